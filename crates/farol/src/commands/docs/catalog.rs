//! Everything that has a name in SQL or in the configuration of pipelines, put together.

use std::sync::Arc;

use farol_detectors::{Detector, Detectors};
use farol_jobs::{Job, Jobs, suggestion};
use farol_lake::sql::dictionary::{self, Relation, RelationKind};
use farol_lake::sql::functions::{FUNCTIONS, Function};
use farol_triggers::rule::{EventRule, FindingRule};
use farol_triggers::{Rule, Rules};

use crate::exit::usage;

/// The function over windows, which farol-jobs adds to SQL.
const MEASURES: Function = Function {
    name: "measures",
    call: "measures('job', 'window', 'segment', …)",
    description: "A table: the job's measures over windows of that length, by those segments; the others are merged. Right at any grain.",
};

/// What there is to describe.
#[derive(Debug)]
pub(super) struct Catalog {
    pub tables: Vec<Relation>,
    pub views: Vec<Relation>,
    /// Each job with the view that SQL sees of it.
    pub jobs: Vec<(Arc<Job>, Relation)>,
    pub functions: Vec<Function>,
    pub detectors: Vec<Arc<Detector>>,
    pub rules: Vec<Arc<Rule>>,
    pub finding_rules: Vec<Arc<FindingRule>>,
    pub event_rules: Vec<Arc<EventRule>>,
}

impl Catalog {
    /// Puts together what is in effect.
    pub(super) async fn of(
        jobs: &Jobs,
        detectors: &Detectors,
        rules: &Rules,
    ) -> anyhow::Result<Self> {
        let context = dictionary::without_rows().await?;
        let mut catalog = Self {
            tables: Vec::new(),
            views: Vec::new(),
            jobs: Vec::new(),
            functions: FUNCTIONS.into_iter().chain([MEASURES]).collect(),
            detectors: detectors.iter().cloned().collect(),
            rules: rules.iter().cloned().collect(),
            finding_rules: rules.on_findings().cloned().collect(),
            event_rules: rules.on_events().cloned().collect(),
        };
        farol_jobs::views::register_without_rows(&context, jobs).await?;
        let own = dictionary::relations(&context).await?;
        let of_jobs = farol_jobs::dictionary::relations(&context, jobs).await?;
        for relation in own.into_iter().chain(of_jobs) {
            match (jobs.get(&relation.name), relation.kind) {
                (Some(job), _) => catalog.jobs.push((job.clone(), relation)),
                (None, RelationKind::Table) => catalog.tables.push(relation),
                (None, RelationKind::View) => catalog.views.push(relation),
            }
        }
        // A job's partials are told with the job.
        catalog
            .tables
            .retain(|table| !table.name.starts_with("partials."));
        Ok(catalog)
    }

    /// What has one of these names.
    ///
    /// # Errors
    /// Where nothing has a name; the nearest one is suggested.
    pub(super) fn only(mut self, names: &[String]) -> anyhow::Result<Self> {
        let known = self.names();
        for name in names {
            if !known.contains(name) {
                let near = suggestion(name, known.iter().map(String::as_str));
                return Err(usage(format!("nothing is called `{name}`; {near}")));
            }
        }
        let wanted = |name: &str| names.iter().any(|wanted| wanted == name);
        self.tables.retain(|table| wanted(&table.name));
        self.views.retain(|view| wanted(&view.name));
        self.jobs.retain(|(job, _)| wanted(job.name()));
        self.functions.retain(|function| wanted(function.name));
        self.detectors.retain(|detector| wanted(&detector.name));
        self.rules.retain(|rule| wanted(&rule.name));
        self.finding_rules.retain(|rule| wanted(&rule.name));
        self.event_rules.retain(|rule| wanted(&rule.rule.name));
        Ok(self)
    }

    fn names(&self) -> Vec<String> {
        let relations = self.tables.iter().chain(&self.views);
        let mut names: Vec<_> = relations.map(|relation| relation.name.clone()).collect();
        names.extend(self.jobs.iter().map(|(job, _)| job.name().to_owned()));
        names.extend(
            self.functions
                .iter()
                .map(|function| function.name.to_owned()),
        );
        let detectors = self.detectors.iter();
        names.extend(detectors.map(|detector| detector.name.clone()));
        names.extend(self.rules.iter().map(|rule| rule.name.clone()));
        names.extend(self.finding_rules.iter().map(|rule| rule.name.clone()));
        names.extend(self.event_rules.iter().map(|rule| rule.rule.name.clone()));
        names
    }
}
