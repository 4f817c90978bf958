//! A rule on findings: which of them are worth an alert, and which belong to one.
//!
//! ```text
//! finding ──when──▶ by: the alert it belongs to ──▶ the first that is open fires, the last that is over recovers
//! ```
//!
//! A detector has judged already how long something must last and how sure it is; so such a rule has no window of its own,
//! no `for`, and recovers when every finding of its alert is over.

use farol_detectors::Finding;
use farol_jobs::{DefinitionError, Segment, suggestion};
use serde_json::Value as Json;
use serde_saphyr::Spanned;

use super::catalog::Catalog;
use super::check::Check;
use super::file::{RuleFile, read};
use super::place::Source;
use super::{Attention, Severity};
use crate::condition::{Columns, Condition, Past, PastTerm, Type, Value};

/// What such a rule is on.
const FINDINGS: &str = "findings";

/// What a condition can compare of every finding.
const TEXTS: [&str; 5] = ["detector", "method", "job", "measure", "direction"];
const NUMBERS: [&str; 7] = [
    "observed",
    "reference",
    "effect",
    "relative_effect",
    "statistic_value",
    "threshold",
    "observations",
];

/// A rule on findings that was read and checked.
#[derive(Debug, Clone)]
pub struct FindingRule {
    /// Its name.
    pub name: String,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// What findings of one alert have in common.
    pub by: Vec<String>,
    /// Which findings it is about.
    pub when: Condition,
    /// The severities, each with its condition; the first that holds is taken.
    pub severities: Vec<(Option<Condition>, Severity)>,
    /// Where a person reads what to do.
    pub runbook: Option<String>,
    /// Who is to be disturbed by its alerts.
    pub attention: Attention,
    /// The names of a finding's values, in the order of a row.
    columns: Vec<String>,
}

/// A finding has no past of its own.
struct NoPast;

impl Past for NoPast {
    fn look(&self, _: PastTerm) -> Option<f64> {
        None
    }
}

impl FindingRule {
    /// How bad a finding is by this rule; `None` where the rule is not about it.
    pub fn judge(&self, finding: &Finding) -> Option<Severity> {
        let segment: Json = serde_json::from_str(&finding.segment).unwrap_or_default();
        let row: Vec<_> = self
            .columns
            .iter()
            .map(|name| value(finding, &segment, name))
            .collect();
        if self.when.holds(&row, &NoPast) != Some(true) {
            return None;
        }
        let holds = |condition: &Condition| condition.holds(&row, &NoPast) == Some(true);
        let first = self
            .severities
            .iter()
            .find(|(condition, _)| condition.as_ref().is_none_or(holds));
        let least = || self.severities.iter().map(|(_, severity)| *severity).min();
        first.map(|(_, severity)| *severity).or_else(least)
    }

    /// The alert that a finding belongs to.
    pub fn segment(&self, finding: &Finding) -> Segment {
        let segment: Json = serde_json::from_str(&finding.segment).unwrap_or_default();
        let values = self
            .by
            .iter()
            .map(|name| match value(finding, &segment, name) {
                Value::Text(text) => Some(text),
                _ => None,
            });
        Segment(values.collect())
    }

    /// The application id of its progress in the `actions` table.
    pub fn app_id(&self) -> String {
        format!("farol/trigger/{}", self.name)
    }
}

fn value(finding: &Finding, segment: &Json, name: &str) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    match name {
        "detector" => text(&finding.detector),
        "method" => text(&finding.method),
        "job" => text(&finding.job),
        "measure" => text(&finding.measure),
        "direction" => text(&finding.direction),
        "observed" => Value::number(finding.observed),
        "reference" => Value::number(finding.reference),
        "effect" => Value::number(finding.effect),
        // A division by zero is not known, as in any condition.
        "relative_effect" => Value::number(finding.effect / finding.reference.abs()),
        "statistic_value" => Value::number(finding.statistic_value),
        "threshold" => Value::number(finding.threshold),
        "observations" => Value::number(finding.observations as f64),
        other => segment[other].as_str().map_or(Value::Null, text),
    }
}

/// Whether a file is a rule on findings.
pub(super) fn is_on_findings(source: Source<'_>) -> bool {
    read(source).is_ok_and(|written| written.on.value == FINDINGS)
}

/// Reads and checks a rule on findings; `stem` is the file's name without its ending.
pub(super) fn understand(
    stem: &str,
    source: Source<'_>,
    catalog: &Catalog,
) -> Result<FindingRule, Vec<DefinitionError>> {
    let written = read(source).map_err(|error| vec![error])?;
    let mut check = Check {
        source,
        errors: Vec::new(),
    };
    let rule = check.on_findings(stem, &written, catalog);
    match rule {
        Some(rule) if check.errors.is_empty() => Ok(rule),
        _ => Err(check.errors),
    }
}

impl Check<'_> {
    fn on_findings(
        &mut self,
        stem: &str,
        written: &RuleFile,
        catalog: &Catalog,
    ) -> Option<FindingRule> {
        self.name(stem, &written.name);
        self.action(written.action.as_ref());
        self.no_windows(written);
        self.only_of_events(written);
        let columns = columns(catalog);
        let by = self.by_of_findings(&written.by, &columns);
        let when = self.condition(&written.when, &columns)?;
        let severity = written.severity.as_ref().map(|severity| &severity.value);
        let severities = self.severities(severity, &columns)?;
        let conditions = severities.iter().filter_map(|(when, _)| when.as_ref());
        if std::iter::once(&when)
            .chain(conditions)
            .any(|one| one.lookback_us() > 0)
        {
            let message = "a finding has no past of its own".to_owned();
            let help = "compare `observed` with `reference`".to_owned();
            self.say(&written.when, message, Some(help));
        }
        Some(FindingRule {
            name: written.name.value.clone(),
            description: written.description.clone(),
            by: by?,
            when,
            severities,
            runbook: written.runbook.clone(),
            attention: self.attention(written)?,
            columns: columns.columns.into_iter().map(|(name, _)| name).collect(),
        })
    }

    /// What only a rule on measures can say.
    fn no_windows(&mut self, written: &RuleFile) {
        let said = [
            ("window", &written.window),
            ("recover_when", &written.recover_when),
            ("for", &written.hold),
            ("cooldown", &written.cooldown),
            ("no_data", &written.no_data),
            ("renotify", &written.renotify),
        ];
        for (key, value) in said {
            if let Some(value) = value {
                let message = format!("a rule on findings has no `{key}`");
                let help =
                    "the detector says how long something must last; leave it out".to_owned();
                self.say(value, message, Some(help));
            }
        }
    }

    fn by_of_findings(
        &mut self,
        written: &[Spanned<String>],
        columns: &Columns,
    ) -> Option<Vec<String>> {
        let texts = columns
            .columns
            .iter()
            .filter(|(_, kind)| *kind == Type::Text);
        let known: Vec<_> = texts.map(|(name, _)| name.as_str()).collect();
        let mut by = Vec::new();
        for name in written {
            if known.contains(&name.value.as_str()) {
                by.push(name.value.clone());
                continue;
            }
            let help = suggestion(&name.value, known.iter().copied());
            self.say(
                name,
                format!("findings have no `{}` to go by", name.value),
                Some(help),
            );
            return None;
        }
        Some(by)
    }
}

/// What a condition over findings can name.
fn columns(catalog: &Catalog) -> Columns {
    let mut columns: Vec<(String, Type)> = Vec::new();
    let texts = TEXTS.iter().map(|name| ((*name).to_owned(), Type::Text));
    let numbers = NUMBERS
        .iter()
        .map(|name| ((*name).to_owned(), Type::Number));
    columns.extend(texts.chain(numbers));
    for segment in catalog.jobs.values().flat_map(|job| &job.segments) {
        if columns.iter().all(|(name, _)| name != segment) {
            columns.push((segment.clone(), Type::Text));
        }
    }
    Columns {
        source: FINDINGS.to_owned(),
        window_us: 1,
        columns,
        ..Columns::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Job;
    use super::*;

    const GOOD: &str = "name: r\non: findings\nby: [detector, service]\nwhen: relative_effect > 0.5 AND service IS NOT NULL\n\
        severity:\n  - {when: observed > 0.4, severity: critical}\n  - {severity: warning}\naction: alert\n";

    fn one(text: &str) -> Result<FindingRule, Vec<DefinitionError>> {
        let performance = Job {
            segments: vec!["service".to_owned()],
            ..Job::default()
        };
        let catalog = Catalog {
            jobs: [("performance".to_owned(), performance)].into(),
        };
        let source = Source {
            file: "r.yaml",
            text,
        };
        assert!(is_on_findings(source) || text.contains("cooldwn"));
        understand("r", source, &catalog)
    }

    #[test]
    fn a_finding_is_judged_by_its_numbers_and_its_segment() {
        let rule = one(GOOD).unwrap();
        let finding = Finding::example();
        assert_eq!(rule.judge(&finding), Some(Severity::Critical));
        assert_eq!(
            rule.segment(&finding),
            Segment(vec![Some("d".to_owned()), Some("a".to_owned())])
        );
        let mild = Finding {
            observed: 0.3,
            ..finding.clone()
        };
        assert_eq!(rule.judge(&mild), Some(Severity::Warning));
        let elsewhere = Finding {
            segment: "{}".to_owned(),
            ..finding.clone()
        };
        assert_eq!(rule.judge(&elsewhere), None);
        let from_nothing = Finding {
            reference: 0.0,
            effect: 0.0,
            ..finding
        };
        assert_eq!(rule.judge(&from_nothing), None, "0 / 0 is not known");
    }

    #[test]
    fn mistakes_have_line_and_column() {
        let cases = [
            (
                "relative_effect > 0.5",
                "relativ_effect > 0.5",
                4,
                7,
                "relative_effect",
            ),
            (
                "by: [detector, service]",
                "by: [detector, servce]",
                3,
                16,
                "service",
            ),
            ("action: alert", "for: 5m", 8, 6, "leave it out"),
            (
                "relative_effect > 0.5",
                "observed > previous('1 hour', observed)",
                4,
                7,
                "reference",
            ),
        ];
        for (good, bad, line, column, help) in cases {
            let errors = one(&GOOD.replacen(good, bad, 1)).unwrap_err();
            let error = &errors[0];
            assert_eq!((error.line, error.column), (line, column), "{bad}: {error}");
            assert!(error.to_string().contains(help), "{bad}: {error}");
        }
    }
}
