//! The thread that polls Kafka: it serves rebalances, and hands messages to the decoding workers.
//!
//! It takes no messages while more bytes are under way than the bound allows, but goes on serving
//! rebalances, so that a slow lake never costs the group membership.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use farol_kafka::{Consumer, ConsumerEvent, MessageBatch};
use tokio_util::sync::CancellationToken;

use crate::assignment::LakeAssignment;
use crate::coordinator::{Command, Inbox};
use crate::error::IngestError;
use crate::slot::Slot;

/// How long a poll waits for messages.
const POLL: Duration = Duration::from_millis(50);

/// Work for a decoding thread, in the order of each partition.
pub(crate) enum Job {
    Messages {
        slot: Arc<Slot>,
        messages: MessageBatch,
    },
    End {
        slot: Arc<Slot>,
        offset: i64,
    },
}

pub(crate) struct Polling {
    pub consumer: Arc<Consumer>,
    pub assignment: Arc<LakeAssignment>,
    pub workers: Vec<Sender<Job>>,
    pub inbox: Sender<Inbox>,
    pub commands: Receiver<Command>,
    pub in_flight: Arc<AtomicUsize>,
    pub in_flight_limit: usize,
    pub stop: CancellationToken,
}

impl Polling {
    /// Polls until told to stop. Dropping the workers' senders afterwards lets them finish.
    pub fn run(self) {
        while !self.stop.is_cancelled() {
            if let Err(error) = self.turn() {
                let _ = self.inbox.send(Inbox::Failed(error));
                return;
            }
        }
    }

    fn turn(&self) -> Result<(), IngestError> {
        for Command::Restart(partitions) in self.commands.try_iter() {
            self.consumer.restart(&partitions)?;
        }
        let full = self.in_flight.load(Ordering::Relaxed) >= self.in_flight_limit;
        let polled = if full {
            self.consumer.serve(POLL)?
        } else {
            self.consumer.poll(POLL)?
        };
        for messages in polled.batches {
            // A batch of a partition that was taken away meanwhile: its next owner reads it.
            let Some(slot) = self.assignment.slot(messages.at()) else {
                continue;
            };
            self.in_flight
                .fetch_add(messages.bytes(), Ordering::Relaxed);
            self.dispatch(&slot.clone(), Job::Messages { slot, messages })?;
        }
        polled
            .events
            .into_iter()
            .try_for_each(|event| self.hear(event))
    }

    fn dispatch(&self, slot: &Slot, job: Job) -> Result<(), IngestError> {
        let worker = &self.workers[slot.at.partition as usize % self.workers.len()];
        worker
            .send(job)
            .map_err(|_| IngestError::ThreadEnded("decoder"))
    }

    fn hear(&self, event: ConsumerEvent) -> Result<(), IngestError> {
        match event {
            ConsumerEvent::EndOfPartition { at, offset } => {
                if let Some(slot) = self.assignment.slot(&at) {
                    self.dispatch(&slot.clone(), Job::End { slot, offset })?;
                }
            }
            ConsumerEvent::OffsetOutOfRange { at } => {
                if let Some(slot) = self.assignment.slot(&at) {
                    let ended = |_| IngestError::ThreadEnded("coordinator");
                    self.inbox.send(Inbox::OutOfRange(slot)).map_err(ended)?;
                }
            }
            ConsumerEvent::PartitionError { at, reason } => {
                tracing::warn!(partition = ?at, "Kafka: {reason}");
            }
            ConsumerEvent::Transient { reason } => tracing::warn!("Kafka: {reason}"),
            ConsumerEvent::Fatal { reason } => return Err(IngestError::ConsumerFatal(reason)),
        }
        Ok(())
    }
}
