//! How far routes are.

use farol_kafka::{Admin, KafkaConfig};
use serde::Serialize;

use crate::error::NotifyError;
use crate::progress;
use crate::settings::Plan;

/// How far a route is in a partition of the alert topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteStatus {
    /// The route.
    pub route: String,
    /// The receiver's name.
    pub receiver: String,
    /// The kind of receiver.
    pub kind: &'static str,
    /// The partition; `None` where the topic does not exist.
    pub partition: Option<i32>,
    /// The first offset that is not done with; `None` where the route has not begun.
    pub next: Option<i64>,
    /// Where the partition ends.
    pub log_end: Option<i64>,
    /// Records that are not done with.
    pub lag_records: Option<i64>,
    /// Alerts that were told and are not over.
    pub open_alerts: usize,
    /// Notifications that were made and are not accepted.
    pub on_its_way: usize,
}

/// How far every route is. Blocks.
///
/// # Errors
/// Where Kafka does not answer.
pub fn status(
    kafka: &KafkaConfig,
    alerts: &str,
    plan: &Plan,
) -> Result<Vec<RouteStatus>, NotifyError> {
    let kept = progress::load(kafka, &kafka.group)?;
    let ranges = Admin::connect(kafka)?.ranges(&[alerts.to_owned()])?;
    let mut rows = Vec::new();
    for route in &plan.routes {
        let row = RouteStatus {
            route: route.terms.route.clone(),
            receiver: route.receiver.name.clone(),
            kind: route.receiver.receiver.kind(),
            partition: None,
            next: None,
            log_end: None,
            lag_records: None,
            open_alerts: 0,
            on_its_way: 0,
        };
        if ranges.is_empty() {
            rows.push(row.clone());
        }
        for (at, (_, log_end)) in &ranges {
            let mut row = row.clone();
            row.partition = Some(at.partition);
            row.log_end = Some(*log_end);
            if let Some(known) = kept.get(&(row.route.clone(), at.partition)) {
                let next = known.topic_id.as_ref().map(|_| known.kept.position.next);
                row.next = next;
                row.lag_records = next.map(|next| (log_end - next).max(0));
                row.open_alerts = known.kept.groups().map(|(_, open, _)| open).sum();
                row.on_its_way = known
                    .kept
                    .groups()
                    .filter_map(|(_, _, sealed)| sealed)
                    .count();
            }
            rows.push(row);
        }
    }
    Ok(rows)
}
