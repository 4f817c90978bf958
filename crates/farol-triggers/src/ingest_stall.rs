//! Ingest that stands still as an alert of its own. No rule can tell it: what is not read is in no table.
//!
//! ```text
//! the role's host: marks of the lake, log ends of Kafka ──▶ Unread ──▶ no mark moves for a while ──▶ actions table
//! ```
//!
//! An input topic is told of as a whole: an operator who is woken up looks at one thing. Whoever plays the role says what is unread;
//! where nobody does, or Kafka does not answer, nothing is known and nothing is said.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use farol_jobs::time::floor;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::action::{Action, Evidence, Message};
use crate::failing::Failing;

/// The name under which it is told. No rule of a file can have it.
pub(crate) const RULE: &str = "ingest-stalled";

/// How long a partition with unread records must stand still, and how long it must go on again, before that is told. More than what
/// a killed instance's partitions wait for another owner.
const LASTS: Duration = Duration::from_mins(2);

/// The width of an alert's window, in microseconds.
const WINDOW_US: i64 = 60_000_000;

/// What is known of the input partitions at one time.
pub type InputStanding = watch::Receiver<Vec<Unread>>;

/// One input partition, as the lake's marks and Kafka's log end tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset that is read next; `None` where nothing was read yet.
    pub next: Option<i64>,
    /// Records that are there and not read; `None` where Kafka does not say.
    pub records: Option<i64>,
    /// The watermark, in microseconds since the epoch.
    pub watermark_us: Option<i64>,
    /// Why the partition is not read, where that is known.
    pub error: Option<String>,
}

/// What is known of topics that stand still.
pub(crate) struct IngestStalls {
    standing: Option<InputStanding>,
    /// The offset of each partition, and since when it stands there with records unread.
    since: BTreeMap<(String, i32), (Option<i64>, Instant)>,
    /// Which topic stands still, or does not.
    failing: Failing,
}

impl IngestStalls {
    /// Nothing was seen yet.
    pub fn new(standing: Option<InputStanding>) -> Self {
        Self {
            standing,
            since: BTreeMap::new(),
            failing: Failing::new(Duration::ZERO),
        }
    }

    /// Takes over what was published. Actions come in the order of their sequence.
    pub fn take(&mut self, action: &Action) {
        let segment = serde_json::from_str::<Value>(&action.segment).unwrap_or_default();
        if let Some(topic) = segment["kafka_topic"]
            .as_str()
            .filter(|_| action.rule == RULE)
        {
            self.failing.take(topic, action);
        }
    }

    /// Looks at every topic, where something new is known, and says what is to be published.
    pub fn decide(&mut self) -> Vec<Action> {
        let standing = match &mut self.standing {
            Some(standing) if standing.has_changed().unwrap_or(false) => {
                standing.borrow_and_update().clone()
            }
            _ => return Vec::new(),
        };
        self.look(&standing, Instant::now())
    }

    fn look(&mut self, standing: &[Unread], now: Instant) -> Vec<Action> {
        let mut topics: BTreeMap<&str, Vec<&Unread>> = BTreeMap::new();
        for partition in standing {
            topics.entry(&partition.topic).or_default().push(partition);
        }
        let mut actions = Vec::new();
        for (topic, partitions) in topics {
            let stands = |one: &&Unread| self.stands(one, now);
            let stalled: Vec<_> = partitions.iter().copied().filter(stands).collect();
            if self.failing.is_told(topic) != stalled.is_empty() {
                continue;
            }
            let watermark_us = partitions.iter().filter_map(|one| one.watermark_us).min();
            let at_us = floor(watermark_us.unwrap_or(0), WINDOW_US);
            actions.extend(self.action(topic, &stalled, at_us));
        }
        actions
    }

    /// Whether a partition with unread records has stood still for long enough. One that is known to be stopped need not wait.
    fn stands(&mut self, one: &Unread, now: Instant) -> bool {
        let key = (one.topic.clone(), one.partition);
        let unread = one.records.is_some_and(|records| records > 0);
        let since = self.since.entry(key).or_insert((one.next, now));
        if !unread || since.0 != one.next {
            *since = (one.next, now);
        }
        one.error.is_some() || unread && now - since.1 >= LASTS
    }

    fn action(&self, topic: &str, stalled: &[&Unread], at_us: i64) -> Option<Action> {
        let decided = self.failing.decide(topic, !stalled.is_empty(), at_us)?;
        let why: Vec<_> = stalled.iter().map(|one| told(one)).collect();
        let why = why.join("; ");
        let message = Message {
            rule: RULE,
            segment: json!({"kafka_topic": topic}),
            width_us: WINDOW_US,
            decided: &decided,
            evidence: Evidence::default().to_json(None),
            runbook: Some("docs/runbooks/ingest-stalled.md"),
            error: (!why.is_empty()).then_some(&why),
            finding: None,
            count: None,
        };
        Some(message.action())
    }
}

/// Where a partition stands, and why, in words.
fn told(one: &Unread) -> String {
    let at = one
        .next
        .map_or_else(|| "its start".to_owned(), |next| format!("offset {next}"));
    match &one.error {
        Some(error) => format!("partition {}: {error}", one.partition),
        None => format!("partition {} is not read on from {at}", one.partition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(partition: i32, next: i64, records: Option<i64>) -> Unread {
        Unread {
            topic: "t".to_owned(),
            partition,
            next: Some(next),
            records,
            watermark_us: Some(90_000_000),
            error: None,
        }
    }

    #[test]
    fn a_topic_that_stands_is_told_once_and_so_is_that_it_goes_on() {
        let mut stalls = IngestStalls::new(None);
        let start = Instant::now();
        let mut said = Vec::new();
        for (seconds, next, records) in [
            (0, 5, Some(3)),
            (60, 5, Some(9)),
            (119, 5, Some(9)),
            (120, 5, Some(9)),
            (150, 5, Some(9)),
            (180, 6, Some(8)),
            (200, 14, Some(0)),
            (900, 14, Some(0)),
            (910, 14, None),
            (2_000, 14, None),
        ] {
            let seen = [partition(0, next, records), partition(1, 7, Some(0))];
            for action in stalls.look(&seen, start + Duration::from_secs(seconds)) {
                stalls.take(&action);
                let body: Value = serde_json::from_str(&action.body).unwrap();
                said.push((
                    seconds,
                    action.transition.state.as_str(),
                    body["payload"]["error"].clone(),
                ));
            }
        }
        let why = json!("partition 0 is not read on from offset 5");
        assert_eq!(said, [(120, "alert", why), (180, "recovered", Value::Null)]);
    }

    #[test]
    fn a_partition_that_is_stopped_is_told_at_once() {
        let mut stalls = IngestStalls::new(None);
        let stopped = Unread {
            error: Some("the log was cut".to_owned()),
            ..partition(2, 5, Some(0))
        };
        let actions = stalls.look(&[stopped], Instant::now());
        assert_eq!(actions.len(), 1);
        assert_eq!(actions[0].window_us, 60_000_000);
        assert!(
            actions[0].body.contains("partition 2: the log was cut"),
            "{}",
            actions[0].body
        );
    }
}
