//! The rules that are part of Farol, and the runbooks of everything that Farol alerts on by itself.
//!
//! ```text
//! pipelines/triggers/NAME.yaml ──▶ SHIPPED ──▶ load       docs/runbooks/NAME.md ──▶ runbook(NAME)
//! ```

/// A rule and the text that its `runbook` points to.
pub(super) struct Shipped {
    pub name: &'static str,
    pub yaml: &'static str,
    runbook: &'static str,
}

/// A runbook, from the repository's `docs/runbooks`.
macro_rules! runbook {
    ($name:literal) => {
        include_str!(concat!("../../../../docs/runbooks/", $name, ".md"))
    };
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        [$(Shipped {
            name: $name,
            yaml: include_str!(concat!("../../../../pipelines/triggers/", $name, ".yaml")),
            runbook: runbook!($name),
        }),*]
    };
}

/// The rules that are part of Farol.
pub(super) const SHIPPED: [Shipped; 20] = shipped![
    "cache-collapse",
    "cost-surge",
    "dead-letters",
    "error-rate-high",
    "expensive-call",
    "fallback-rate-high",
    "findings-open",
    "guardrail-blocks-high",
    "hallucination-rate-high",
    "identifier-leaked",
    "jailbreak-answered",
    "jailbreak-wave",
    "latency-p95-high",
    "negative-feedback-high",
    "pii-detected-high",
    "provider-outage",
    "quality-decline",
    "retrieval-failure",
    "timeout-rate-high",
    "traffic-loss",
];

/// Runbooks of what Farol tells without a rule of a file.
const BUILT_IN: [(&str, &str); 2] = [
    ("ingest-stalled", runbook!("ingest-stalled")),
    ("job-failing", runbook!("job-failing")),
];

/// The runbook, in Markdown, of an alert that Farol ships, by its rule's name.
#[must_use]
pub fn runbook(rule: &str) -> Option<&'static str> {
    let shipped = SHIPPED.iter().map(|rule| (rule.name, rule.runbook));
    let mut known = shipped.chain(BUILT_IN);
    known.find(|(name, _)| *name == rule).map(|(_, text)| text)
}

/// The rules that have a runbook here, in order of their names.
pub fn runbooks() -> impl Iterator<Item = &'static str> {
    let mut names: Vec<_> = SHIPPED.iter().map(|rule| rule.name).collect();
    names.extend(BUILT_IN.map(|(name, _)| name));
    names.sort_unstable();
    names.into_iter()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::rule::{Catalog, Rules, Sources, load};

    async fn jobs() -> Catalog {
        let sources = farol_jobs::Sources {
            dir: PathBuf::from("/nonexistent"),
            builtin: true,
            max_series: 1_000,
            tags: farol_jobs::Tags::default(),
        };
        crate::catalog(&farol_jobs::load(&sources).await.unwrap())
    }

    fn rules(catalog: &Catalog) -> Result<Rules, Vec<farol_jobs::DefinitionError>> {
        let sources = Sources {
            dir: PathBuf::from("/nonexistent"),
            builtin: true,
        };
        load(&sources, catalog)
    }

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// Names of the files of a directory that end so, without the ending.
    fn stems(directory: &str, ending: &str) -> Vec<String> {
        let entries = std::fs::read_dir(repository().join(directory)).unwrap();
        let mut stems: Vec<_> = entries
            .filter_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                name.strip_suffix(ending).map(str::to_owned)
            })
            .collect();
        stems.sort();
        stems
    }

    #[tokio::test]
    async fn every_file_is_shipped_and_good() {
        let rules = rules(&jobs().await).unwrap();
        assert_eq!(rules.names(), stems("pipelines/triggers", ".yaml"));
    }

    #[tokio::test]
    async fn every_shipped_rule_says_what_it_is_for_and_has_a_runbook() {
        let rules = rules(&jobs().await).unwrap();
        let on_jobs = rules
            .iter()
            .map(|rule| (&rule.name, &rule.description, &rule.runbook));
        let on_findings = rules
            .on_findings()
            .map(|rule| (&rule.name, &rule.description, &rule.runbook));
        let on_events = rules.on_events().map(|rule| {
            let rule = &rule.rule;
            (&rule.name, &rule.description, &rule.runbook)
        });
        for (name, description, runbook) in on_jobs.chain(on_findings).chain(on_events) {
            assert!(description.is_some(), "{name} has no description");
            let expected = format!("docs/runbooks/{name}.md");
            assert_eq!(runbook.as_ref(), Some(&expected), "{name}");
            assert!(repository().join(&expected).is_file(), "{expected}");
        }
    }

    #[test]
    fn every_runbook_is_of_an_alert_and_says_how_to_look_what_it_is_and_what_to_do() {
        let names: Vec<_> = runbooks().collect();
        assert_eq!(names, stems("docs/runbooks", ".md"));
        for name in names {
            let text = runbook(name).unwrap();
            assert!(text.starts_with(&format!("# {name}\n")), "{name}");
            for part in ["## How to look", "## What it usually is", "## What to do"] {
                assert!(text.contains(part), "{name} has no part `{part}`");
            }
        }
        assert!(runbooks().any(|name| name == crate::job_failure::RULE));
        assert_eq!(runbook("nobody's"), None);
    }

    #[tokio::test]
    async fn a_replaced_job_must_keep_what_shipped_rules_need() {
        let mut catalog = jobs().await;
        let performance = catalog.jobs.get_mut("performance").unwrap();
        performance
            .measures
            .retain(|(name, _)| name != "latency_p95_ms");
        performance.replaced_by = Some("jobs/performance.yaml".to_owned());
        let errors = rules(&catalog).unwrap_err();
        assert!(
            errors
                .iter()
                .all(|error| error.file.starts_with("latency-p95-high.yaml"))
        );
        let told = errors[0].to_string();
        assert!(
            told.contains("rule `latency-p95-high`, which is part of farol, needs this of job `performance`, in whose place jobs/performance.yaml stands"),
            "{told}"
        );
    }
}
