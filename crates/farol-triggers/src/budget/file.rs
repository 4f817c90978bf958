//! `budgets.yaml` as it is written, with the place of everything that can be wrong.

use std::collections::BTreeMap;

use farol_jobs::DefinitionError;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::rule::Source;

/// What the file says. Unknown keys are an error.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetsFile {
    pub budgets: Vec<BudgetFile>,
}

/// One budget.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetFile {
    pub name: Spanned<String>,
    pub description: Option<String>,
    #[serde(default)]
    pub scope: ScopeFile,
    pub by: Option<Spanned<String>>,
    pub limit: Spanned<String>,
    pub currency: Spanned<String>,
    pub period: Spanned<String>,
    /// How long a rolling period is.
    pub length: Option<Spanned<String>>,
    pub time_zone: Option<Spanned<String>>,
    pub thresholds: Vec<ThresholdFile>,
    pub rollover: Option<Spanned<String>>,
    pub rollover_cap: Option<Spanned<String>>,
    pub source: Option<Spanned<String>>,
}

/// Whose spend: columns of the job and their values, and tags below `tags`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScopeFile {
    pub service: Option<Spanned<String>>,
    pub environment: Option<Spanned<String>>,
    pub provider: Option<Spanned<String>>,
    pub model: Option<Spanned<String>>,
    pub prompt_id: Option<Spanned<String>>,
    pub prompt_version: Option<Spanned<String>>,
    pub task: Option<Spanned<String>>,
    pub source: Option<Spanned<String>>,
    pub unit: Option<Spanned<String>>,
    #[serde(default)]
    pub tags: BTreeMap<String, Spanned<String>>,
}

impl ScopeFile {
    /// The columns that are named, with their values, tags after the others.
    pub fn columns(&self) -> Vec<(&str, &Spanned<String>)> {
        let own = [
            ("service", &self.service),
            ("environment", &self.environment),
            ("provider", &self.provider),
            ("model", &self.model),
            ("prompt_id", &self.prompt_id),
            ("prompt_version", &self.prompt_version),
            ("task", &self.task),
            ("source", &self.source),
            ("unit", &self.unit),
        ];
        own.into_iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
            .collect()
    }
}

/// A threshold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ThresholdFile {
    pub percent: Spanned<u32>,
    pub action: Spanned<String>,
}

/// Reads a file.
pub(super) fn read(source: Source<'_>) -> Result<BudgetsFile, DefinitionError> {
    source.read()
}
