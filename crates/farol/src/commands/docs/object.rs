//! The dictionary as one JSON object.

use farol_detectors::Detector;
use farol_jobs::{Better, Job};
use farol_lake::sql::dictionary::Relation;
use farol_triggers::Rule;
use farol_triggers::condition::Condition;
use farol_triggers::rule::{EventRule, FindingRule, Severity};
use serde_json::{Value, json};

use super::catalog::Catalog;

/// `{tables, views, jobs, functions, detectors, rules}`, each a list of objects with a name.
pub(super) fn of(catalog: &Catalog) -> Value {
    let relations = |relations: &[Relation]| relations.iter().map(relation).collect::<Vec<_>>();
    let jobs: Vec<_> = catalog
        .jobs
        .iter()
        .map(|(one, view)| job(one, view))
        .collect();
    let functions: Vec<_> = catalog
        .functions
        .iter()
        .map(|function| {
            json!({"name": function.name, "call": function.call, "description": function.description})
        })
        .collect();
    let on_findings = catalog.finding_rules.iter().map(|one| finding_rule(one));
    let on_events = catalog.event_rules.iter().map(|one| event_rule(one));
    let rules: Vec<_> = catalog
        .rules
        .iter()
        .map(|one| rule(one))
        .chain(on_findings)
        .chain(on_events)
        .collect();
    let detectors: Vec<_> = catalog.detectors.iter().map(|one| detector(one)).collect();
    json!({
        "tables": relations(&catalog.tables), "views": relations(&catalog.views), "jobs": jobs,
        "functions": functions, "detectors": detectors, "rules": rules,
    })
}

fn relation(relation: &Relation) -> Value {
    let columns: Vec<_> = relation
        .columns
        .iter()
        .map(|column| {
            json!({"name": column.name, "type": column.data_type, "unit": column.unit, "description": column.description})
        })
        .collect();
    json!({"name": relation.name, "description": relation.description, "columns": columns})
}

fn job(job: &Job, view: &Relation) -> Value {
    let mut told = relation(view);
    let partials: Vec<_> = job
        .partials()
        .iter()
        .map(|partial| json!({"name": partial.name, "kind": partial.kind.as_str()}))
        .collect();
    let measures: Vec<_> = job
        .measures()
        .iter()
        .map(|measure| {
            let better = measure.better.map(|better| match better {
                Better::Lower => "lower",
                Better::Higher => "higher",
            });
            json!({"name": measure.name, "expr": measure.text, "unit": measure.unit, "better": better,
                "description": measure.description})
        })
        .collect();
    told["reads"] = json!(job.reads());
    told["window"] = json!(job.window().to_string());
    told["mode"] = json!(job.mode().as_str());
    told["segments"] = json!(job.segments());
    told["partials"] = json!(partials);
    told["measures"] = json!(measures);
    told
}

fn detector(detector: &Detector) -> Value {
    let units = detector.units.iter().map(|unit| {
        let measures = unit.measures.iter().map(|watched| {
            json!({"measure": watched.measure, "method": watched.method.as_str(), "direction": watched.direction.as_str()})
        });
        json!({
            "job": unit.job, "by": unit.by, "window_seconds": unit.window_us / 1_000_000,
            "settle_seconds": unit.settle_us / 1_000_000, "measures": measures.collect::<Vec<_>>(),
        })
    });
    json!({
        "name": detector.name, "description": detector.description, "units": units.collect::<Vec<_>>(),
        "false_alarms_per_week": detector.false_alarms_per_week,
    })
}

fn severities(severities: &[(Option<Condition>, Severity)]) -> Vec<Value> {
    let told = severities.iter().map(|(when, severity)| {
        json!({"when": when.as_ref().map(Condition::text), "severity": severity.as_str()})
    });
    told.collect()
}

fn finding_rule(rule: &FindingRule) -> Value {
    json!({
        "name": rule.name, "description": rule.description, "on": "findings", "by": rule.by,
        "when": rule.when.text(), "severity": severities(&rule.severities), "runbook": rule.runbook,
        "muted_by": rule.attention.muted_by, "escalate": rule.attention.escalate_json(),
    })
}

fn event_rule(rule: &EventRule) -> Value {
    json!({
        "name": rule.rule.name, "description": rule.rule.description, "on": rule.table, "by": rule.rule.by,
        "when": rule.when, "fires": rule.rule.when.text(), "within_seconds": rule.within_us / 1_000_000,
        "severity": severities(&rule.rule.severities), "runbook": rule.rule.runbook,
        "muted_by": rule.rule.attention.muted_by, "escalate": rule.rule.attention.escalate_json(),
    })
}

fn rule(rule: &Rule) -> Value {
    json!({
        "name": rule.name, "description": rule.description, "on": rule.job,
        "window_seconds": rule.window_us / 1_000_000, "by": rule.by, "when": rule.when.text(),
        "recover_when": rule.recover_when.as_ref().map(Condition::text), "for_windows": rule.hold_windows,
        "severity": severities(&rule.severities), "runbook": rule.runbook,
        "muted_by": rule.attention.muted_by, "escalate": rule.attention.escalate_json(),
    })
}
