//! The dictionary as a page of Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use farol_detectors::Detector;
use farol_jobs::{Better, Job, Mode};
use farol_lake::sql::dictionary::{Relation, RelationColumn};
use farol_triggers::Rule;
use farol_triggers::condition::Condition;
use farol_triggers::rule::{Attention, EventRule, FindingRule, Severity};

use crate::config::Span;

use super::catalog::Catalog;

const INTRODUCTION: &str = "\
# Data dictionary

What every table, view, job, function, detector and rule of Farol means. This page is written by `farol docs` from their definitions;
`farol docs NAME` prints one of them, with your own jobs and rules among them, and SQL finds the columns in the table
`data_dictionary`:

```sql
SELECT column_name, data_type, unit, description FROM data_dictionary WHERE table_name = 'traces';
```

Times are UTC. NULL means that it is not known; it is never written as 0. Money is decimal, beside its currency: amounts of
different currencies are never added.

Tokens and cost count where a model is called (`calls_model(operation)`: chat, text_completion, embeddings, or a span that
does not say what it is). Spans around a call often repeat what the calls inside of them used, so that counting both would
count it twice:

```
invoke_agent trip-planner      4,210 tokens   not counted: repeats its parts
├─ chat gpt-4o                 1,300 tokens   counted
├─ execute_tool search_flights                not counted
└─ chat gpt-4o                 2,910 tokens   counted
                               ────────────
                               4,210 tokens
```
";

/// The whole page.
pub(super) fn page(catalog: &Catalog) -> String {
    format!("{INTRODUCTION}{}", sections(catalog))
}

/// What the catalog holds, without the introduction.
pub(super) fn sections(catalog: &Catalog) -> String {
    let mut text = String::new();
    relations(&mut text, "Tables", &catalog.tables);
    relations(&mut text, "Views", &catalog.views);
    if !catalog.jobs.is_empty() {
        text.push_str("\n## Jobs\n");
        for (job, view) in &catalog.jobs {
            self::job(&mut text, job, view);
        }
    }
    if !catalog.functions.is_empty() {
        text.push_str("\n## Functions\n\n");
        let rows = catalog
            .functions
            .iter()
            .map(|function| vec![code(function.call), function.description.to_owned()]);
        table(&mut text, &["call", "what it gives"], rows);
    }
    if !catalog.detectors.is_empty() {
        text.push_str("\n## Detectors\n");
        for detector in &catalog.detectors {
            self::detector(&mut text, detector);
        }
    }
    if !(catalog.rules.is_empty()
        && catalog.finding_rules.is_empty()
        && catalog.event_rules.is_empty())
    {
        text.push_str("\n## Rules\n");
        for rule in &catalog.rules {
            self::rule(&mut text, rule);
        }
        for rule in &catalog.finding_rules {
            self::finding_rule(&mut text, rule);
        }
        for rule in &catalog.event_rules {
            self::event_rule(&mut text, rule);
        }
    }
    text
}

fn relations(text: &mut String, title: &str, relations: &[Relation]) {
    if relations.is_empty() {
        return;
    }
    // Writing to a string cannot fail.
    let _ = write!(text, "\n## {title}\n");
    for relation in relations {
        let _ = write!(
            text,
            "\n### {}\n\n{}\n\n",
            relation.name, relation.description
        );
        columns(text, relation.columns.iter());
    }
}

fn columns<'a>(text: &mut String, columns: impl Iterator<Item = &'a RelationColumn>) {
    let rows = columns.map(|column| {
        vec![
            code(&column.name),
            column.data_type.clone(),
            column.unit.clone().unwrap_or_default(),
            column.description.clone(),
        ]
    });
    table(text, &["column", "type", "unit", "meaning"], rows);
}

fn job(text: &mut String, job: &Job, view: &Relation) {
    let mode = match job.mode() {
        Mode::Incremental => "the rows that each version adds".to_owned(),
        Mode::Recompute {
            reach_us,
            reach_after_us,
        } => {
            let told = |us: i64| Span(Duration::from_micros(us.unsigned_abs()));
            format!(
                "whole windows, with what is within {} before and {} after them",
                told(reach_us),
                told(reach_after_us)
            )
        }
    };
    let _ = write!(
        text,
        "\n### {}\n\n{}\n\nReads `{}`: {mode}. Partials are in `partials.{}`.\n\n",
        job.name(),
        view.description,
        job.inputs().collect::<Vec<_>>().join("`, `"),
        job.name()
    );
    let is_measure = |name: &str| job.measures().iter().any(|measure| measure.name == name);
    columns(
        text,
        view.columns
            .iter()
            .filter(|column| !is_measure(&column.name)),
    );
    text.push('\n');
    let measures = job.measures().iter().map(|measure| {
        vec![
            code(&measure.name),
            code(&measure.text),
            measure.unit.clone().unwrap_or_default(),
            match measure.better {
                Some(Better::Lower) => "lower".to_owned(),
                Some(Better::Higher) => "higher".to_owned(),
                None => String::new(),
            },
            measure.description.clone().unwrap_or_default(),
        ]
    });
    let header = ["measure", "expression", "unit", "better", "meaning"];
    table(text, &header, measures);
}

fn named(text: &mut String, name: &str, description: Option<&str>) {
    let _ = write!(text, "\n### {name}\n\n");
    if let Some(description) = description {
        let _ = write!(text, "{}.\n\n", description.trim_end_matches('.'));
    }
}

fn detector(text: &mut String, detector: &Detector) {
    named(text, &detector.name, detector.description.as_deref());
    for unit in &detector.units {
        let window = Span(Duration::from_micros(unit.window_us.unsigned_abs()));
        let measures: Vec<_> = unit
            .measures
            .iter()
            .map(|watched| format!("{} ({})", code(&watched.measure), watched.method.as_str()))
            .collect();
        let by: Vec<_> = unit.by.iter().map(|name| code(name)).collect();
        let _ = writeln!(
            text,
            "* looks at windows of {window} of `{}`, by {}: {}",
            unit.job,
            by.join(", "),
            measures.join(", ")
        );
    }
    let _ = writeln!(
        text,
        "* gives at most {} false alarms a week, all of it together",
        detector.false_alarms_per_week
    );
}

fn finding_rule(text: &mut String, rule: &FindingRule) {
    named(text, &rule.name, rule.description.as_deref());
    let by: Vec<_> = rule.by.iter().map(|name| code(name)).collect();
    let _ = writeln!(
        text,
        "* looks at `findings`, those with the same {} together",
        by.join(", ")
    );
    let _ = writeln!(text, "* fires when {}", condition(&rule.when));
    let _ = writeln!(text, "* recovers when all of them are over");
    severities(text, &rule.severities);
    attention(text, &rule.attention);
    if let Some(runbook) = &rule.runbook {
        let _ = writeln!(text, "* runbook: {runbook}");
    }
}

fn event_rule(text: &mut String, rule: &EventRule) {
    let EventRule { rule: counted, .. } = rule;
    named(text, &counted.name, counted.description.as_deref());
    let by: Vec<_> = counted.by.iter().map(|name| code(name)).collect();
    let _ = writeln!(
        text,
        "* looks at each row of `{}`, those with the same {} together",
        rule.table,
        by.join(", ")
    );
    let when = rule.when.split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = writeln!(text, "* counts those of which {}", code(&when));
    let within = Span(Duration::from_micros(rule.within_us.unsigned_abs()));
    let _ = writeln!(
        text,
        "* fires when {} within {within}",
        condition(&counted.when)
    );
    severities(text, &counted.severities);
    attention(text, &counted.attention);
    if let Some(runbook) = &counted.runbook {
        let _ = writeln!(text, "* runbook: {runbook}");
    }
}

fn severities(text: &mut String, severities: &[(Option<Condition>, Severity)]) {
    for (when, severity) in severities {
        let when = when
            .as_ref()
            .map_or_else(String::new, |when| format!(" when {}", condition(when)));
        let _ = writeln!(text, "* severity {}{when}", severity.as_str());
    }
}

fn attention(text: &mut String, attention: &Attention) {
    if !attention.muted_by.is_empty() {
        let muted_by: Vec<_> = attention.muted_by.iter().map(|rule| code(rule)).collect();
        let _ = writeln!(text, "* muted by {}", muted_by.join(", "));
    }
    for level in &attention.escalate {
        let after = Span(Duration::from_micros(level.after_us.unsigned_abs()));
        let severity = level.severity.map_or("said again", Severity::as_str);
        let _ = writeln!(text, "* after {after} that nobody acknowledges: {severity}");
    }
}

fn rule(text: &mut String, rule: &Rule) {
    named(text, &rule.name, rule.description.as_deref());
    let window = Span(Duration::from_micros(rule.window_us.unsigned_abs()));
    let by = rule.by.iter().map(|name| code(name)).collect::<Vec<_>>();
    let _ = writeln!(
        text,
        "* looks at windows of {window} of `{}`, by {}",
        rule.job,
        by.join(", ")
    );
    let _ = writeln!(text, "* fires when {}", condition(&rule.when));
    if rule.hold_windows > 1 {
        let _ = writeln!(text, "* and that held for {} windows", rule.hold_windows);
    }
    if let Some(recovers) = &rule.recover_when {
        let _ = writeln!(text, "* recovers when {}", condition(recovers));
    }
    severities(text, &rule.severities);
    attention(text, &rule.attention);
    if let Some(runbook) = &rule.runbook {
        let _ = writeln!(text, "* runbook: {runbook}");
    }
}

fn condition(condition: &Condition) -> String {
    code(
        &condition
            .text()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
    )
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn table(text: &mut String, header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let names: Vec<_> = header.iter().map(|name| (*name).to_owned()).collect();
    text.push_str(&line(&names));
    text.push_str(&line(&vec!["---".to_owned(); header.len()]));
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        text.push_str(&line(&cells));
    }
}
