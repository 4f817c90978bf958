//! A route's consumer, on a thread of its own: it keeps the membership while the route waits for its receiver.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver as Commands, Sender as Commander, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use farol_kafka::{
    Assigned, Assignment, Consumer, ConsumerEvent, KafkaConfig, Start, TopicPartition,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::route_group;
use crate::engine::{Kept, Position};
use crate::error::NotifyError;
use crate::progress::{self, KeptPartition};

/// One step of waiting for messages.
const WAIT: Duration = Duration::from_millis(200);

/// How long until progress that could not be read is asked for again.
const AGAIN: Duration = Duration::from_secs(2);

/// How often the end of a partition is asked for.
const ENDS: Duration = Duration::from_secs(10);

/// How long leaving the group may take.
const LEAVE: Duration = Duration::from_secs(5);

/// Batches that may wait for the route: further ones stay in Kafka's client, whose memory is bounded.
const BATCHES: usize = 2;

/// What a route hears.
pub(super) enum Event {
    /// A partition is the route's, and this is what is kept of it.
    Assigned {
        partition: i32,
        topic_id: String,
        kept: Kept,
    },
    /// A partition is another's.
    Revoked { partition: i32 },
    /// Records, in order; a tombstone has no value.
    Records {
        partition: i32,
        records: Vec<(i64, Option<Vec<u8>>)>,
        room: Option<OwnedSemaphorePermit>,
    },
    /// The partition was read to its end.
    End { partition: i32, offset: i64 },
    /// Where the partition's log ends now.
    LogEnd { partition: i32, offset: i64 },
    /// The client has trouble; `None`: it has none any more.
    Trouble(Option<String>),
}

/// The other end of a reader. The thread ends when it is dropped.
pub(super) struct Reader {
    pub events: UnboundedReceiver<Event>,
    commands: Commander<Vec<(i32, i64)>>,
    thread: JoinHandle<()>,
}

impl Reader {
    /// Joins the route's group.
    pub fn start(kafka: &KafkaConfig, alerts: &str, route: &str) -> Result<Self, NotifyError> {
        let (events, heard) = unbounded_channel();
        let (commands, orders) = channel();
        let starts = Arc::new(Starts {
            kafka: kafka.clone(),
            route: route.to_owned(),
            events: events.clone(),
            unknown: Mutex::default(),
        });
        let mut member = kafka.clone();
        member.group = route_group(&kafka.group, route);
        let topic = alerts.to_owned();
        let thread = Thread {
            events,
            orders,
            starts: starts.clone(),
            room: Arc::new(Semaphore::new(BATCHES)),
        };
        let consumer = Consumer::subscribe(&member, &[topic], starts)?;
        let thread = std::thread::Builder::new()
            .name(format!("notify-{route}"))
            .spawn(move || thread.run(&consumer))
            .map_err(|error| NotifyError::Ended(format!("no thread: {error}")))?;
        Ok(Self {
            events: heard,
            commands,
            thread,
        })
    }

    /// Leaves the group: another instance then need not wait until this one is missed.
    pub async fn close(self) {
        let Self {
            events,
            commands,
            thread,
        } = self;
        drop((events, commands));
        let left = tokio::task::spawn_blocking(move || thread.join().is_ok());
        if !matches!(tokio::time::timeout(LEAVE, left).await, Ok(Ok(true))) {
            tracing::warn!("a consumer did not leave its group in time; the group will miss it");
        }
    }

    /// Tells the group how far partitions are done with. It is for those who look at the group's lag: progress is kept
    /// elsewhere.
    pub fn commit(&self, offsets: Vec<(i32, i64)>) {
        // A thread that is gone has said why by an event.
        let _ = self.commands.send(offsets);
    }
}

struct Thread {
    events: UnboundedSender<Event>,
    orders: Commands<Vec<(i32, i64)>>,
    starts: Arc<Starts>,
    room: Arc<Semaphore>,
}

impl Thread {
    fn run(self, consumer: &Consumer) {
        let mut look = Look {
            ends_at: Instant::now(),
            again_at: Instant::now(),
            owned: BTreeSet::new(),
        };
        let mut in_trouble = false;
        while !self.events.is_closed() {
            let outcome = self.turn(consumer, &mut look);
            let trouble = outcome.err();
            if trouble.is_some() || in_trouble {
                in_trouble = trouble.is_some();
                let _ = self.events.send(Event::Trouble(trouble));
            }
            if in_trouble {
                std::thread::sleep(WAIT);
            }
        }
    }

    /// One turn: orders, messages, and now and then a look around.
    fn turn(&self, consumer: &Consumer, look: &mut Look) -> Result<(), String> {
        let told = |error: farol_kafka::KafkaError| error.to_string();
        match self.orders.try_recv() {
            Ok(offsets) => {
                let offsets: Vec<_> = offsets
                    .into_iter()
                    .filter_map(|(partition, next)| {
                        let at = look.owned.iter().find(|at| at.partition == partition)?;
                        Some((at.clone(), next))
                    })
                    .collect();
                if !offsets.is_empty() {
                    consumer.commit_offsets(&offsets).map_err(told)?;
                }
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        let polled = match self.room.clone().try_acquire_owned() {
            Ok(room) => {
                let polled = consumer.poll(WAIT).map_err(told)?;
                self.hand_over(&polled.batches, room, look);
                polled
            }
            Err(_) => consumer.serve(WAIT).map_err(told)?,
        };
        let mut trouble = None;
        for event in polled.events {
            match event {
                ConsumerEvent::EndOfPartition { at, offset } => {
                    look.owned.insert(at.clone());
                    let _ = self.events.send(Event::End {
                        partition: at.partition,
                        offset,
                    });
                }
                // Retention took what was to be read: it begins anew, at what there is.
                ConsumerEvent::OffsetOutOfRange { at } => self.starts.unknown().push(at),
                ConsumerEvent::PartitionError { reason, .. }
                | ConsumerEvent::Fatal { reason }
                | ConsumerEvent::Transient { reason } => trouble = Some(reason),
            }
        }
        self.look_around(consumer, look)?;
        trouble.map_or(Ok(()), Err)
    }

    /// Hands messages over, copied: the client's own memory must not wait for a receiver.
    fn hand_over(
        &self,
        batches: &[farol_kafka::MessageBatch],
        room: OwnedSemaphorePermit,
        look: &mut Look,
    ) {
        let mut room = Some(room);
        for batch in batches {
            look.owned.insert(batch.at().clone());
            let records = batch
                .iter()
                .map(|message| (message.offset(), message.payload().map(<[u8]>::to_vec)))
                .collect();
            // Batches of other partitions came with the first one, and ride on its room.
            let room = room.take();
            let partition = batch.at().partition;
            let _ = self.events.send(Event::Records {
                partition,
                records,
                room,
            });
        }
    }

    fn look_around(&self, consumer: &Consumer, look: &mut Look) -> Result<(), String> {
        let now = Instant::now();
        let unknown = std::mem::take(&mut *self.starts.unknown());
        if !unknown.is_empty() {
            if now < look.again_at {
                self.starts.unknown().extend(unknown);
            } else {
                look.again_at = now + AGAIN;
                let failed = consumer
                    .restart(&unknown)
                    .map_err(|error| error.to_string());
                if failed.is_err() {
                    self.starts.unknown().extend(unknown);
                }
                failed?;
            }
        }
        if now >= look.ends_at {
            look.ends_at = now + ENDS;
            for at in &look.owned {
                let range = consumer.log_range(at, Duration::from_secs(5));
                let (_, offset) = range.map_err(|error| error.to_string())?;
                let _ = self.events.send(Event::LogEnd {
                    partition: at.partition,
                    offset,
                });
            }
        }
        Ok(())
    }
}

/// What the thread remembers from turn to turn.
struct Look {
    ends_at: Instant,
    again_at: Instant,
    /// Partitions that were heard of.
    owned: BTreeSet<TopicPartition>,
}

/// Where partitions begin: where the route's progress says. Asked inside the rebalance.
struct Starts {
    kafka: KafkaConfig,
    route: String,
    events: UnboundedSender<Event>,
    /// Partitions whose start could not be told.
    unknown: Mutex<Vec<TopicPartition>>,
}

impl Starts {
    fn unknown(&self) -> std::sync::MutexGuard<'_, Vec<TopicPartition>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Assignment for Starts {
    fn assigned(&self, partitions: Vec<Assigned>) -> Vec<Start> {
        let mut loaded = match progress::load(&self.kafka, &self.kafka.group) {
            Ok(loaded) => loaded,
            Err(error) => {
                let _ = self.events.send(Event::Trouble(Some(error.to_string())));
                self.unknown()
                    .extend(partitions.iter().map(|assigned| assigned.at.clone()));
                return vec![Start::Stopped; partitions.len()];
            }
        };
        partitions
            .into_iter()
            .map(|assigned| {
                let partition = assigned.at.partition;
                let known = loaded.remove(&(self.route.clone(), partition));
                let kept = begin(known.unwrap_or_default(), &assigned);
                let next = kept.position.next;
                let topic_id = assigned.topic_id;
                let _ = self.events.send(Event::Assigned {
                    partition,
                    topic_id,
                    kept,
                });
                Start::Offset(next)
            })
            .collect()
    }

    fn revoked(&self, partitions: &[TopicPartition], _lost: bool) {
        for at in partitions {
            let _ = self.events.send(Event::Revoked {
                partition: at.partition,
            });
        }
    }
}

/// Where a partition begins, by what is kept of it and what its log holds.
fn begin(known: KeptPartition, assigned: &Assigned) -> Kept {
    let KeptPartition { mut kept, topic_id } = known;
    let (log_start, log_end) = (assigned.log_start, assigned.log_end);
    match topic_id {
        // A new route: what is there already is history.
        None => {
            kept.position = Position {
                next: log_start,
                history_end: log_end,
            };
        }
        Some(id) if id == assigned.topic_id && kept.position.next <= log_end => {
            kept.position.next = kept.position.next.max(log_start);
        }
        // Another log, or one that was cut: all of it is news.
        Some(_) => {
            kept.forget_offsets();
            kept.position = Position {
                next: log_start,
                history_end: log_start,
            };
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(topic_id: &str, log_start: i64, log_end: i64) -> Assigned {
        let at = TopicPartition {
            topic: "llm.alerts".into(),
            partition: 0,
        };
        Assigned {
            at,
            topic_id: topic_id.to_owned(),
            log_start,
            log_end,
        }
    }

    fn known(next: i64) -> KeptPartition {
        let mut known = KeptPartition {
            topic_id: Some("t".to_owned()),
            ..KeptPartition::default()
        };
        known.kept.position = Position {
            next,
            history_end: 4,
        };
        known
    }

    #[test]
    fn a_partition_begins_where_it_was_left() {
        let new = begin(KeptPartition::default(), &assigned("t", 3, 9)).position;
        assert_eq!(
            new,
            Position {
                next: 3,
                history_end: 9
            }
        );
        let left = begin(known(7), &assigned("t", 3, 9)).position;
        assert_eq!(
            left,
            Position {
                next: 7,
                history_end: 4
            }
        );
        let overtaken = begin(known(7), &assigned("t", 8, 9)).position;
        assert_eq!(
            overtaken,
            Position {
                next: 8,
                history_end: 4
            }
        );
        for another in [assigned("u", 0, 9), assigned("t", 0, 5)] {
            let position = begin(known(7), &another).position;
            assert_eq!(
                position,
                Position {
                    next: 0,
                    history_end: 0
                }
            );
        }
    }
}
