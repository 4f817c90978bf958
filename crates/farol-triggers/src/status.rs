//! How far triggers and the publisher are, for `farol status`.

use farol_lake::{ACTIONS, Lake, LakeError};
use serde::Serialize;

use crate::book::closed_id;
use crate::outbox::{MARKS, NEXT_ACTION};
use crate::rule::Rules;
use farol_jobs::time::rfc3339;

/// How far one rule is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleStatus {
    /// The rule.
    pub name: String,
    /// The job or the table that it reads.
    pub on: String,
    /// The version of the job's partials at its last commit; `None` before the first, and for rules on findings.
    pub version: Option<i64>,
    /// The end of the last window that was evaluated, in RFC 3339.
    pub evaluated_to: Option<String>,
}

/// How far every rule is, and how many actions there are, from the lake alone.
pub async fn status(lake: &Lake, rules: &Rules) -> Result<(Vec<RuleStatus>, i64), LakeError> {
    let marks = match lake.existing(ACTIONS).await? {
        Some(actions) => actions.marks(MARKS).await?,
        None => farol_lake::Marks::new(),
    };
    let told = rules.iter().map(|rule| RuleStatus {
        name: rule.name.clone(),
        on: rule.job.clone(),
        version: marks.get(&rule.app_id()).copied(),
        evaluated_to: marks.get(&closed_id(rule)).map(|time_us| rfc3339(*time_us)),
    });
    let on_findings = rules.on_findings().map(|rule| RuleStatus {
        name: rule.name.clone(),
        on: "findings".to_owned(),
        version: None,
        evaluated_to: None,
    });
    let on_events = rules.on_events().map(|rule| RuleStatus {
        name: rule.rule.name.clone(),
        on: rule.table.clone(),
        version: marks.get(&rule.rule.app_id()).copied(),
        evaluated_to: marks
            .get(&closed_id(&rule.rule))
            .map(|time_us| rfc3339(*time_us)),
    });
    Ok((
        told.chain(on_findings).chain(on_events).collect(),
        marks.get(NEXT_ACTION).copied().unwrap_or(0),
    ))
}
