//! How far each input partition is read, and what became of its entries: marks from the lake, log ends and
//! owners from Kafka where it answers.
//!
//! [`marks_of`] reads the lake, [`BrokerView`] is what Kafka said, and [`partitions`] puts the two together
//! without asking anybody.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use farol_lake::{Lake, LakeError};
use serde::Serialize;

use crate::assignment::beyond;
use crate::marks::{Marks, PartitionKey, by_partition};
use crate::options::InputTopic;
use crate::resume::{LogRange, Resume, resume};

/// One partition, as `farol status --json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartitionStatus {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The offset that will be read next; null where nothing was committed.
    pub next: Option<i64>,
    /// One past the last record a committed reader sees; null where Kafka did not say.
    pub log_end: Option<i64>,
    /// Entries read: stored, duplicates and dead letters.
    pub read: i64,
    /// Entries stored as rows.
    pub stored: i64,
    /// Entries seen before.
    pub duplicates: i64,
    /// Entries kept as dead letters.
    pub dead_letters: i64,
    /// Offsets that were gone before they were read.
    pub lost: i64,
    /// The watermark, RFC 3339.
    pub watermark: Option<String>,
    /// Dead letters stored later.
    pub replayed: i64,
    /// Rows that retention dropped.
    pub expired: i64,
    /// Offsets between `next` and `log_end`.
    pub lag_records: Option<i64>,
    /// 0 where everything is read; else how far what was read is behind the clock, in event time.
    pub lag_seconds: Option<f64>,
    /// Who reads the partition.
    pub owner: Option<String>,
    /// Why the partition is not read.
    pub error: Option<String>,
    /// The watermark, microseconds since the epoch.
    #[serde(skip)]
    pub watermark_us: Option<i64>,
    /// Whether the topic was deleted and created again since something was read under its name.
    #[serde(skip)]
    pub recreated: bool,
}

/// What Kafka says of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogView {
    /// The topic's id, `-` where the broker has none.
    pub topic_id: String,
    /// Its first and last offsets.
    pub range: LogRange,
    /// The group's member that reads it.
    pub owner: Option<String>,
}

/// What Kafka says of the input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BrokerView {
    /// The cluster's id.
    pub cluster_id: String,
    /// By topic and partition.
    pub logs: BTreeMap<(String, i32), LogView>,
}

/// Reads the marks of every input topic, of all the logs that ever had its name.
pub async fn marks_of(
    lake: &Lake,
    topics: &[InputTopic],
) -> Result<BTreeMap<PartitionKey, Marks>, LakeError> {
    let mut all = BTreeMap::new();
    let mut tables = BTreeMap::new();
    for topic in topics {
        let name = topic.kind.table();
        if !tables.contains_key(name) {
            let marks = match lake.existing(name).await? {
                Some(table) => by_partition(&table.marks("farol/").await?),
                None => BTreeMap::new(),
            };
            tables.insert(name, marks);
        }
        let marks = &tables[name];
        all.extend(
            marks
                .iter()
                .filter(|(key, _)| key.topic == topic.name)
                .map(|(key, marks)| (key.clone(), *marks)),
        );
    }
    Ok(all)
}

/// The state of every partition of the input topics, in their order. `broker` is `None` where Kafka did not
/// answer; the lake alone is told then, of the log read last under each name. `current_us` is where the
/// watermark of a partition that is not behind would stand: the clock less the watermark's bound.
pub fn partitions(
    topics: &[InputTopic],
    marks: &BTreeMap<PartitionKey, Marks>,
    broker: Option<&BrokerView>,
    current_us: i64,
) -> Vec<PartitionStatus> {
    let mut all = Vec::new();
    for topic in topics {
        match broker {
            Some(broker) => all.extend(of_logs(&topic.name, marks, broker, current_us)),
            None => all.extend(of_marks(&topic.name, marks)),
        }
    }
    all
}

fn of_logs(
    topic: &str,
    marks: &BTreeMap<PartitionKey, Marks>,
    broker: &BrokerView,
    current_us: i64,
) -> Vec<PartitionStatus> {
    let logs = broker.logs.iter().filter(|((name, _), _)| name == topic);
    logs.map(|((_, partition), log)| {
        let key = PartitionKey {
            cluster_id: broker.cluster_id.clone(),
            topic: topic.to_owned(),
            topic_id: log.topic_id.clone(),
            partition: *partition,
        };
        let own = marks.get(&key).copied().unwrap_or_default();
        let mut status = plain(&key, &own);
        status.log_end = Some(log.range.end);
        status.owner.clone_from(&log.owner);
        status.recreated = marks.keys().any(|other| {
            other.topic == key.topic
                && other.cluster_id == key.cluster_id
                && other.topic_id != key.topic_id
        });
        let lag = lag_records(&own, log.range);
        status.lag_records = Some(lag);
        status.lag_seconds = match own.watermark_us {
            _ if lag == 0 => Some(0.0),
            Some(watermark_us) => Some((current_us - watermark_us).max(0) as f64 / 1e6),
            None => None,
        };
        if let Resume::Beyond { next, log_end } = resume(&own, log.range) {
            status.error = Some(beyond(&key, next, log_end));
        }
        status
    })
    .collect()
}

/// Records that are there and not read. What retention took is not there to be behind of.
fn lag_records(marks: &Marks, log: LogRange) -> i64 {
    (log.end - marks.next.unwrap_or(log.start).max(log.start)).max(0)
}

/// Without Kafka nobody says which log the name stands for now: the one whose watermark is newest.
fn of_marks(topic: &str, marks: &BTreeMap<PartitionKey, Marks>) -> Vec<PartitionStatus> {
    let own = || marks.iter().filter(|(key, _)| key.topic == topic);
    let newest = own().max_by_key(|(_, marks)| marks.watermark_us);
    let Some((newest, _)) = newest else {
        return Vec::new();
    };
    let same_log = |key: &PartitionKey| {
        (&key.cluster_id, &key.topic_id) == (&newest.cluster_id, &newest.topic_id)
    };
    own()
        .filter(|(key, _)| same_log(key))
        .map(|(key, marks)| plain(key, marks))
        .collect()
}

fn plain(key: &PartitionKey, marks: &Marks) -> PartitionStatus {
    PartitionStatus {
        topic: key.topic.clone(),
        partition: key.partition,
        next: marks.next,
        log_end: None,
        read: marks.read,
        stored: marks.stored,
        duplicates: marks.duplicates,
        dead_letters: marks.dead_letters,
        lost: marks.lost,
        watermark: marks.watermark_us.and_then(rfc3339),
        replayed: marks.replayed,
        expired: marks.expired,
        lag_records: None,
        lag_seconds: None,
        owner: None,
        error: None,
        watermark_us: marks.watermark_us,
        recreated: false,
    }
}

fn rfc3339(time_us: i64) -> Option<String> {
    Some(DateTime::from_timestamp_micros(time_us)?.to_rfc3339_opts(SecondsFormat::Micros, true))
}

#[cfg(test)]
mod tests {
    use farol_events::Kind;

    use super::*;

    fn key(topic_id: &str, partition: i32) -> PartitionKey {
        PartitionKey {
            cluster_id: "c".into(),
            topic: "t".into(),
            topic_id: topic_id.into(),
            partition,
        }
    }

    fn topics() -> Vec<InputTopic> {
        vec![InputTopic {
            name: "t".into(),
            kind: Kind::Trace,
        }]
    }

    fn broker(logs: &[(i32, i64, i64)]) -> BrokerView {
        let view = |start, end| LogView {
            topic_id: "new".into(),
            range: LogRange { start, end },
            owner: Some("farol-1".into()),
        };
        let logs = logs
            .iter()
            .map(|(partition, start, end)| (("t".to_owned(), *partition), view(*start, *end)));
        BrokerView {
            cluster_id: "c".into(),
            logs: logs.collect(),
        }
    }

    fn read_to(next: i64, watermark_us: i64) -> Marks {
        Marks {
            next: Some(next),
            read: next,
            stored: next,
            watermark_us: Some(watermark_us),
            ..Marks::default()
        }
    }

    #[test]
    fn marks_and_log_ends_make_the_lag() {
        let marks = BTreeMap::from([
            (key("new", 0), read_to(7, 1_000_000)),
            (key("new", 1), read_to(9, 1_000_000)),
        ]);
        let all = partitions(
            &topics(),
            &marks,
            Some(&broker(&[(0, 0, 10), (1, 0, 9), (2, 4, 6)])),
            5_000_000,
        );
        let lags: Vec<_> = all
            .iter()
            .map(|p| (p.next, p.lag_records, p.lag_seconds))
            .collect();
        assert_eq!(
            lags,
            [
                (Some(7), Some(3), Some(4.0)),
                (Some(9), Some(0), Some(0.0)),
                (None, Some(2), None)
            ]
        );
        assert_eq!(
            all[0].watermark.as_deref(),
            Some("1970-01-01T00:00:01.000000Z")
        );
        assert_eq!(all[0].owner.as_deref(), Some("farol-1"));
        assert!(all.iter().all(|partition| partition.error.is_none()));
    }

    #[test]
    fn a_mark_beyond_the_log_is_an_error() {
        let marks = BTreeMap::from([(key("new", 0), read_to(7, 0))]);
        let all = partitions(&topics(), &marks, Some(&broker(&[(0, 0, 5)])), 0);
        assert_eq!(all[0].lag_records, Some(0));
        assert!(all[0].error.as_deref().unwrap().contains("reset-offsets"));
    }

    #[test]
    fn a_recreated_topic_is_another_log() {
        let marks = BTreeMap::from([(key("old", 0), read_to(7, 5))]);
        let all = partitions(&topics(), &marks, Some(&broker(&[(0, 0, 5)])), 0);
        assert_eq!(
            (all[0].next, all[0].read, all[0].lag_records),
            (None, 0, Some(5))
        );
        assert!(all[0].recreated);
    }

    #[test]
    fn without_kafka_the_newest_log_is_told() {
        let marks = BTreeMap::from([
            (key("old", 0), read_to(7, 5)),
            (key("old", 1), read_to(8, 5)),
            (key("new", 0), read_to(3, 9)),
        ]);
        let all = partitions(&topics(), &marks, None, 0);
        assert_eq!(all.len(), 1);
        assert_eq!(
            (all[0].next, all[0].log_end, all[0].lag_records),
            (Some(3), None, None)
        );
    }

    #[test]
    fn the_shape_is_the_interface() {
        let marks = BTreeMap::from([(key("new", 0), read_to(7, 0))]);
        let all = partitions(&topics(), &marks, None, 0);
        let json = serde_json::to_value(&all[0]).unwrap();
        let mut names: Vec<_> = json
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "dead_letters",
                "duplicates",
                "error",
                "expired",
                "lag_records",
                "lag_seconds",
                "log_end",
                "lost",
                "next",
                "owner",
                "partition",
                "read",
                "replayed",
                "stored",
                "topic",
                "watermark"
            ]
        );
    }
}
