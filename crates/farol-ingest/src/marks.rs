//! The names of progress: which Delta application id says what about which Kafka partition.
//!
//! A primary table's commit moves, for every partition it took records from, one application
//! transaction per [`Mark`]. The id is `farol/<cluster id>/<topic>@<topic id>/<partition>#<mark>`, so
//! that a topic deleted and created again (another topic id) is another log with marks of its own.

use std::collections::BTreeMap;
use std::fmt;

/// One Kafka partition, named so that no other log can ever be mistaken for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey {
    /// The id Kafka gives its cluster (a UUID stored with its data for the embedded broker).
    pub cluster_id: String,
    /// The topic's name.
    pub topic: String,
    /// The topic's id, or `-` where the broker has none.
    pub topic_id: String,
    /// The partition's number.
    pub partition: i32,
}

/// What a mark counts. All but `WatermarkUs` start at zero; none ever decreases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// The offset that will be read next; the guard of every step.
    Next,
    /// Entries read: `stored + duplicates + dead_letters`.
    Read,
    /// Entries stored as rows of the primary table.
    Stored,
    /// Entries left out because they were seen before.
    Duplicates,
    /// Entries kept in `dead_letters`.
    DeadLetters,
    /// Offsets that retention took before they were read.
    Lost,
    /// The partition's watermark, microseconds since the epoch.
    WatermarkUs,
    /// Dead letters stored later by a replay.
    Replayed,
    /// Rows dropped by the table's retention.
    Expired,
}

impl Mark {
    /// Every mark.
    pub const ALL: [Self; 9] = [
        Self::Next,
        Self::Read,
        Self::Stored,
        Self::Duplicates,
        Self::DeadLetters,
        Self::Lost,
        Self::WatermarkUs,
        Self::Replayed,
        Self::Expired,
    ];

    /// The mark's name inside an application id.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Read => "read",
            Self::Stored => "stored",
            Self::Duplicates => "duplicates",
            Self::DeadLetters => "dead_letters",
            Self::Lost => "lost",
            Self::WatermarkUs => "watermark_us",
            Self::Replayed => "replayed",
            Self::Expired => "expired",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mark| mark.as_str() == name)
    }
}

impl fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "farol/{}/{}@{}/{}",
            self.cluster_id, self.topic, self.topic_id, self.partition
        )
    }
}

impl PartitionKey {
    /// The application id of one mark of this partition.
    pub fn app_id(&self, mark: Mark) -> String {
        format!("{self}#{}", mark.as_str())
    }

    /// The part that the application ids of a topic's partitions share, whatever its topic id.
    pub fn topic_prefix(cluster_id: &str, topic: &str) -> String {
        format!("farol/{cluster_id}/{topic}@")
    }

    /// Reads an application id back; `None` where it is not one of a partition's marks.
    pub fn parse(app_id: &str) -> Option<(Self, Mark)> {
        let (path, mark) = app_id.strip_prefix("farol/")?.rsplit_once('#')?;
        let mark = Mark::parse(mark)?;
        let (path, partition) = path.rsplit_once('/')?;
        let (cluster_id, topic) = path.split_once('/')?;
        let (topic, topic_id) = topic.rsplit_once('@')?;
        let partition = partition.parse().ok().filter(|number| *number >= 0)?;
        let (cluster_id, topic, topic_id) = (cluster_id.into(), topic.into(), topic_id.into());
        Some((
            Self {
                cluster_id,
                topic,
                topic_id,
                partition,
            },
            mark,
        ))
    }
}

/// What a partition's marks say; `None` where a mark was never set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// The offset that will be read next.
    pub next: Option<i64>,
    /// Entries read.
    pub read: i64,
    /// Entries stored as rows.
    pub stored: i64,
    /// Entries seen before.
    pub duplicates: i64,
    /// Entries kept in `dead_letters`.
    pub dead_letters: i64,
    /// Offsets that retention took first.
    pub lost: i64,
    /// The watermark, microseconds since the epoch.
    pub watermark_us: Option<i64>,
    /// Dead letters stored by a replay.
    pub replayed: i64,
    /// Rows dropped by retention.
    pub expired: i64,
}

impl Marks {
    /// Takes one mark's value over.
    pub fn set(&mut self, mark: Mark, value: i64) {
        match mark {
            Mark::Next => self.next = Some(value),
            Mark::Read => self.read = value,
            Mark::Stored => self.stored = value,
            Mark::Duplicates => self.duplicates = value,
            Mark::DeadLetters => self.dead_letters = value,
            Mark::Lost => self.lost = value,
            Mark::WatermarkUs => self.watermark_us = Some(value),
            Mark::Replayed => self.replayed = value,
            Mark::Expired => self.expired = value,
        }
    }
}

/// Sorts a table's application transactions into the marks of each partition; others are passed over.
pub fn by_partition<'a>(
    transactions: impl IntoIterator<Item = (&'a String, &'a i64)>,
) -> BTreeMap<PartitionKey, Marks> {
    let mut partitions = BTreeMap::<PartitionKey, Marks>::new();
    for (app_id, value) in transactions {
        if let Some((key, mark)) = PartitionKey::parse(app_id) {
            partitions.entry(key).or_default().set(mark, *value);
        }
    }
    partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PartitionKey {
        PartitionKey {
            cluster_id: "5L6g3nShT-eMCtK--X86sw".into(),
            topic: "llm.traces".into(),
            topic_id: "J8qXRwI-Qyi2G0guFTiuYw".into(),
            partition: 3,
        }
    }

    #[test]
    fn an_app_id_reads_back_as_what_it_was_made_of() {
        for mark in Mark::ALL {
            assert_eq!(
                PartitionKey::parse(&key().app_id(mark)),
                Some((key(), mark))
            );
        }
        let unnamed = PartitionKey {
            topic_id: "-".into(),
            ..key()
        };
        assert_eq!(
            unnamed.app_id(Mark::Next),
            "farol/5L6g3nShT-eMCtK--X86sw/llm.traces@-/3#next"
        );
        assert_eq!(
            PartitionKey::parse(&unnamed.app_id(Mark::Next)),
            Some((unnamed, Mark::Next))
        );
    }

    #[test]
    fn other_app_ids_are_not_partitions() {
        for other in [
            "farol/maintenance/traces",
            "farol/job/performance",
            "spark-query-1",
            "farol/c/t@i/x#next",
            "farol/c/t@i/-1#next",
            "farol/c/t@i/1#nonsense",
        ] {
            assert_eq!(PartitionKey::parse(other), None, "{other}");
        }
    }

    #[test]
    fn marks_are_gathered_by_partition() {
        let other = PartitionKey {
            partition: 1,
            ..key()
        };
        let transactions = BTreeMap::from([
            (key().app_id(Mark::Next), 7),
            (key().app_id(Mark::Lost), 2),
            (other.app_id(Mark::WatermarkUs), -5),
            ("farol/maintenance/traces".to_owned(), 9),
        ]);
        let partitions = by_partition(&transactions);
        assert_eq!(partitions.len(), 2);
        assert_eq!(
            partitions[&key()],
            Marks {
                next: Some(7),
                lost: 2,
                ..Marks::default()
            }
        );
        assert_eq!(
            partitions[&other],
            Marks {
                watermark_us: Some(-5),
                ..Marks::default()
            }
        );
    }
}
