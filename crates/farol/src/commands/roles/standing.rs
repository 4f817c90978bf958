//! What is unread of the input, looked up now and then for the role `triggers`: the lake's marks beside Kafka's log ends.
//!
//! ```text
//! marks of the lake, log ends of Kafka ──every 15 s──▶ InputStanding ──▶ the alert `ingest-stalled`
//! ```

use std::time::Duration;

use farol_ingest::InputTopic;
use farol_ingest::status::{self, PartitionStatus};
use farol_kafka::KafkaConfig;
use farol_lake::Lake;
use farol_triggers::{InputStanding, Unread};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::commands::status::ask_broker;

/// How often is looked.
const INTERVAL: Duration = Duration::from_secs(15);

/// Looks until it is told to stop. Where Kafka or the lake does not answer, nothing new is known.
pub(super) async fn look(
    lake: Lake,
    kafka: KafkaConfig,
    topics: Vec<InputTopic>,
    known: watch::Sender<Vec<Unread>>,
    stop: CancellationToken,
) {
    loop {
        let look = async {
            tokio::time::sleep(INTERVAL).await;
            partitions(&lake, &kafka, &topics).await
        };
        let looked = tokio::select! {
            () = stop.cancelled() => return,
            looked = look => looked,
        };
        match looked {
            Ok(partitions) => {
                known.send_replace(partitions.into_iter().map(unread).collect());
            }
            Err(error) => tracing::debug!("what is unread of the input is not known: {error:#}"),
        }
    }
}

/// A way to tell it, and what hears of it.
pub(super) fn channel() -> (watch::Sender<Vec<Unread>>, InputStanding) {
    watch::channel(Vec::new())
}

async fn partitions(
    lake: &Lake,
    kafka: &KafkaConfig,
    topics: &[InputTopic],
) -> anyhow::Result<Vec<PartitionStatus>> {
    // The log ends first: what is committed in between is then read, not unread.
    let broker = ask_broker(kafka, topics).await?;
    let marks = status::marks_of(lake, topics).await?;
    Ok(status::partitions(topics, &marks, Some(&broker), 0))
}

fn unread(partition: PartitionStatus) -> Unread {
    Unread {
        topic: partition.topic,
        partition: partition.partition,
        next: partition.next,
        records: partition.lag_records,
        watermark_us: partition.watermark_us,
        error: partition.error,
    }
}
