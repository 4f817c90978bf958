//! A rule's YAML, with the place of everything that can be wrong.

use farol_jobs::DefinitionError;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::place::Source;

/// What the file says. Unknown keys are an error.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile {
    pub name: Spanned<String>,
    pub description: Option<String>,
    pub on: Spanned<String>,
    pub window: Option<Spanned<String>>,
    #[serde(default)]
    pub by: Vec<Spanned<String>>,
    pub when: Spanned<String>,
    pub recover_when: Option<Spanned<String>>,
    #[serde(rename = "for")]
    pub hold: Option<Spanned<String>>,
    pub severity: Option<Spanned<SeverityFile>>,
    pub cooldown: Option<Spanned<String>>,
    pub no_data: Option<Spanned<String>>,
    pub renotify: Option<Spanned<String>>,
    pub at_least: Option<Spanned<u64>>,
    pub within: Option<Spanned<String>>,
    pub max_alerts: Option<Spanned<u64>>,
    pub action: Option<Spanned<String>>,
    pub runbook: Option<String>,
    #[serde(default)]
    pub muted_by: Vec<Spanned<String>>,
    #[serde(default)]
    pub escalate: Vec<EscalateEntry>,
}

/// A level of an escalation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EscalateEntry {
    pub after: Spanned<String>,
    pub severity: Option<Spanned<String>>,
}

/// A severity, or several with conditions.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum SeverityFile {
    One(Spanned<String>),
    List(Vec<SeverityEntry>),
}

/// One severity of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeverityEntry {
    pub when: Option<Spanned<String>>,
    pub severity: Spanned<String>,
}

/// Reads a rule's file.
pub(super) fn read(source: Source<'_>) -> Result<RuleFile, DefinitionError> {
    source.read()
}
