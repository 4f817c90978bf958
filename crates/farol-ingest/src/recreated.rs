//! A topic that was deleted and created again while it was read.
//!
//! Kafka's client goes by the topic's name: it learns of the new topic with its next look at the metadata, and reads
//! on at the old offset. Where the new log is shorter it is told so, and we ask anew where to begin. Where the new
//! log has grown past that offset already, what lies before it would be skipped, and what comes after be counted as
//! the old log's. So every flush asks for the ids of its topics *after* its records were fetched and before they are
//! committed. An id never comes back: where it is still the one that the partition was taken over with, all the
//! records before the question are of that log. Where it is another, they are dropped, and the partition is taken
//! over again, by its new id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use farol_kafka::Consumer;

use crate::slot::{Part, Slot};

/// How long the broker may take to say the ids. One that does not answer has given us nothing new either.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The epochs whose topic is another by now, as the broker says.
pub(crate) async fn recreated(consumer: Arc<Consumer>, parts: &[Part]) -> Vec<u64> {
    let mut topics: Vec<_> = parts
        .iter()
        .map(|part| part.slot.key.topic.clone())
        .collect();
    topics.sort_unstable();
    topics.dedup();
    let asked = tokio::task::spawn_blocking(move || consumer.topic_ids(&topics, TIMEOUT)).await;
    match asked {
        Ok(Ok(ids)) => {
            let others = changed(parts.iter().map(|part| &*part.slot), &ids);
            for part in parts
                .iter()
                .filter(|part| others.contains(&part.slot.epoch))
            {
                tracing::warn!(
                    partition = %part.slot.at,
                    topic_id = part.slot.key.topic_id,
                    "the topic was deleted and created again while it was read; it is taken over anew"
                );
            }
            others
        }
        Ok(Err(error)) => {
            tracing::warn!("the ids of the topics read are not known at present: {error}");
            Vec::new()
        }
        Err(error) => {
            tracing::error!("asking for the ids of the topics read failed: {error}");
            Vec::new()
        }
    }
}

/// The epochs of slots whose topic has another id. A topic that is gone has none: what was read of it was its own.
fn changed<'a>(slots: impl Iterator<Item = &'a Slot>, ids: &BTreeMap<String, String>) -> Vec<u64> {
    let is_another = |slot: &&Slot| {
        ids.get(&slot.key.topic)
            .is_some_and(|id| *id != slot.key.topic_id)
    };
    slots.filter(is_another).map(|slot| slot.epoch).collect()
}

#[cfg(test)]
mod tests {
    use farol_events::Kind;
    use farol_kafka::TopicPartition;

    use super::*;
    use crate::marks::PartitionKey;

    fn slot(topic: &str, topic_id: &str, epoch: u64) -> Slot {
        let key = PartitionKey {
            cluster_id: "c".into(),
            topic: topic.into(),
            topic_id: topic_id.into(),
            partition: 0,
        };
        let at = TopicPartition {
            topic: topic.into(),
            partition: 0,
        };
        Slot {
            at,
            key,
            kind: Kind::Trace,
            epoch,
            digest: 0,
        }
    }

    #[test]
    fn only_a_topic_with_another_id_is_another_log() {
        let slots = [
            slot("kept", "a", 1),
            slot("again", "b", 2),
            slot("gone", "c", 3),
        ];
        let ids = [("kept", "a"), ("again", "B")].map(|(topic, id)| (topic.into(), id.into()));
        assert_eq!(changed(slots.iter(), &ids.into()), [2]);
    }
}
