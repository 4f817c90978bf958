//! Where an action goes, and how it looks as a Kafka record.

use farol_kafka::OutgoingRecord;

use crate::action::{ALERT, Action};
use crate::budget::BUDGET;
use farol_jobs::time::rfc3339;

/// The output topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outputs {
    /// Alerts.
    pub alerts: String,
    /// What budgets have come to, and what is to be done about it.
    pub budget: String,
    /// Closed windows of measures.
    pub metrics: String,
}

impl Outputs {
    /// Every topic that actions are written to.
    pub(super) fn topics(&self) -> [&str; 2] {
        [&self.alerts, &self.budget]
    }

    /// The topic of a kind; `None` where this version does not know it.
    fn of(&self, kind: &str) -> Option<&String> {
        match kind {
            ALERT => Some(&self.alerts),
            BUDGET => Some(&self.budget),
            _ => None,
        }
    }
}

/// The actions as records, in order. What is of a kind that this version does not know stays in the table.
pub(super) fn records(actions: &[Action], outputs: &Outputs, lake_id: &str) -> Vec<OutgoingRecord> {
    let known = actions
        .iter()
        .filter_map(|action| Some((action, outputs.of(&action.kind)?)));
    let record = |(action, topic): (&Action, &String)| OutgoingRecord {
        topic: topic.clone(),
        key: action.alert_id.clone().into_bytes(),
        payload: action.body.clone().into_bytes(),
        headers: [
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", action.action_id.clone()),
            ("ce_type", format!("farol.{}", action.kind)),
            ("ce_source", lake_id.to_owned()),
            ("ce_time", rfc3339(action.window_end_us)),
            ("content-type", "application/json".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec(),
        timestamp_ms: None,
    };
    known.map(record).collect()
}
