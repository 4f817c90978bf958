//! A route at work: records into its engine, notifications out of it, one at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::{counter, gauge};
use tokio::time::Instant;

use super::reader::{Event, Reader};
use super::writer::Writer;
use super::{RunOptions, now_ms};
use crate::alert;
use crate::dead_letter::DeadLetter;
use crate::engine::{Engine, Position, Step, Verdict};
use crate::error::NotifyError;
use crate::progress::{PROGRESS_TOPIC, Place, PositionRecord, ToKeep};
use crate::retry::Failure;
use crate::settings::PlannedRoute;

/// How often progress over records that are of no concern is kept, at the most.
const KEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Pause after Kafka failed.
const PAUSE: Duration = Duration::from_secs(1);

/// A partition of the alert topic, as the route sees it.
struct Partition {
    engine: Engine,
    topic_id: String,
    kept: Option<Position>,
    log_end: i64,
}

struct Route {
    options: RunOptions,
    planned: PlannedRoute,
    reader: Reader,
    writer: Writer,
    partitions: BTreeMap<i32, Partition>,
    keep_at: Instant,
}

/// Runs a route until it is told to end.
pub(super) async fn run(options: RunOptions, planned: PlannedRoute) -> Result<(), NotifyError> {
    let reader = Reader::start(&options.kafka, &options.alerts, &planned.terms.route)?;
    let mut route = Route {
        writer: Writer::new(options.kafka.clone()),
        options,
        planned,
        reader,
        partitions: BTreeMap::new(),
        keep_at: Instant::now(),
    };
    let name = route.planned.terms.route.clone();
    let mut is_failing = false;
    while !route.options.shutdown.is_cancelled() {
        match route.turn().await {
            Ok(()) if is_failing => {
                is_failing = false;
                route.options.health.set(&name, None);
            }
            Ok(()) => {}
            Err(error @ NotifyError::Ended(_)) => return Err(error),
            Err(error) => {
                tracing::error!(route = %name, "delivery waits for Kafka: {error}");
                route.options.health.set(&name, Some(error.to_string()));
                is_failing = true;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    // What was done is kept if Kafka lets us; else it is done again.
    if let Err(error) = route.keep(true).await {
        tracing::warn!("progress could not be kept at the end: {error}");
    }
    route.reader.close().await;
    Ok(())
}

impl Route {
    fn name(&self) -> &str {
        &self.planned.terms.route
    }

    /// Hears what there is to hear, and does one thing that is due, or waits.
    async fn turn(&mut self) -> Result<(), NotifyError> {
        while self.has_room() {
            match self.reader.events.try_recv() {
                Ok(event) => self.hear(event),
                Err(_) => break,
            }
        }
        self.keep(false).await?;
        let now = now_ms();
        let steps = self
            .partitions
            .iter()
            .map(|(number, at)| (*number, at.engine.step(now)));
        let mut wake_ms: Option<i64> = None;
        let mut due = None;
        for (partition, step) in steps {
            match step {
                Step::Wait(Some(at_ms)) => {
                    wake_ms = Some(wake_ms.map_or(at_ms, |known| known.min(at_ms)));
                }
                Step::Wait(None) => {}
                step => due = due.or(Some((partition, step))),
            }
        }
        match due {
            Some((partition, Step::Seal(key))) => {
                if let Some(at) = self.partitions.get_mut(&partition) {
                    at.engine.seal(&key, now);
                }
                Ok(())
            }
            Some((partition, Step::Attempt(key))) => self.attempt(partition, &key).await,
            _ => self.wait(wake_ms).await,
        }
    }

    async fn wait(&mut self, wake_ms: Option<i64>) -> Result<(), NotifyError> {
        let pause_ms = wake_ms
            .map_or(1_000, |at_ms| at_ms - now_ms())
            .clamp(1, 1_000);
        let pause = Duration::from_millis(pause_ms.unsigned_abs());
        let shutdown = self.options.shutdown.clone();
        let has_room = self.has_room();
        tokio::select! {
            () = shutdown.cancelled() => {}
            event = self.reader.events.recv(), if has_room => {
                let gone = || NotifyError::Ended("the consumer's thread".to_owned());
                self.hear(event.ok_or_else(gone)?);
            }
            () = tokio::time::sleep(pause) => {}
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        !self.partitions.values().any(|at| at.engine.is_full())
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Assigned {
                partition,
                topic_id,
                kept,
            } => {
                let log_end = kept.position.next;
                let terms = self.planned.terms.clone();
                let engine = Engine::new(terms, kept);
                self.partitions.insert(
                    partition,
                    Partition {
                        engine,
                        topic_id,
                        kept: None,
                        log_end,
                    },
                );
            }
            Event::Revoked { partition } => {
                self.partitions.remove(&partition);
            }
            Event::Records {
                partition,
                records,
                room,
            } => {
                for (offset, value) in records {
                    self.take(partition, offset, value.as_deref());
                }
                drop(room);
            }
            Event::End { partition, offset } => {
                if let Some(at) = self.partitions.get_mut(&partition) {
                    at.engine.read_to(offset);
                    at.log_end = at.log_end.max(offset);
                }
            }
            Event::LogEnd { partition, offset } => {
                if let Some(at) = self.partitions.get_mut(&partition) {
                    at.log_end = offset;
                }
            }
            Event::Trouble(reason) => {
                let route = &self.planned.terms.route;
                if let Some(reason) = &reason {
                    tracing::warn!(route = %route, "reading {}: {reason}", self.options.alerts);
                }
                self.options.health.set(route, reason);
            }
        }
    }

    fn take(&mut self, partition: i32, offset: i64, value: Option<&[u8]>) {
        let record = match value.map(alert::parse) {
            Some(Ok(record)) => Some(record),
            // A tombstone says nothing of an alert.
            None => None,
            Some(Err(reason)) => {
                tracing::error!(
                    route = self.name(),
                    partition,
                    offset,
                    "a record of {} is no alert and is left out: {reason}",
                    self.options.alerts
                );
                self.count("unreadable");
                None
            }
        };
        if let Some(at) = self.partitions.get_mut(&partition) {
            at.engine.take(offset, record, now_ms());
            at.log_end = at.log_end.max(offset + 1);
        }
    }

    /// Keeps what changed. Positions that move over records of no concern are kept now and then, or `at_once`.
    async fn keep(&mut self, at_once: bool) -> Result<(), NotifyError> {
        let may_wait = !at_once && Instant::now() < self.keep_at;
        let mut moved = Vec::new();
        for (number, at) in &mut self.partitions {
            let place = Place {
                group: &self.options.kafka.group,
                route: &self.planned.terms.route,
                partition: *number,
            };
            let changes = at.engine.take_changes().map_err(NotifyError::Ended)?;
            let changed = !changes.is_empty();
            // A group is forgotten only once the position is past its records, or they would be told again.
            let (over, changes): (Vec<_>, Vec<_>) =
                changes.into_iter().partition(|(_, value)| value.is_none());
            for change in changes {
                self.writer.add(PROGRESS_TOPIC, place.group(change)?);
            }
            let position = at.engine.position();
            if at.kept != Some(position) && (changed || !may_wait) {
                let topic_id = at.topic_id.clone();
                let record = PositionRecord { position, topic_id };
                self.writer.add(PROGRESS_TOPIC, place.position(&record)?);
                at.kept = Some(position);
                moved.push((*number, position.next));
            }
            for change in over {
                self.writer.add(PROGRESS_TOPIC, place.group(change)?);
            }
            let lag = (at.log_end - position.next).max(0);
            let labels = [
                ("route", self.planned.terms.route.clone()),
                ("partition", number.to_string()),
            ];
            gauge!("farol_notify_lag_records", &labels).set(lag as f64);
        }
        self.writer.flush().await?;
        if !may_wait {
            self.keep_at = Instant::now() + KEEP_INTERVAL;
        }
        if !moved.is_empty() {
            self.reader.commit(moved);
        }
        Ok(())
    }

    /// Sends a notification that is kept already.
    async fn attempt(&mut self, partition: i32, key: &str) -> Result<(), NotifyError> {
        let Some(at) = self.partitions.get(&partition) else {
            return Ok(());
        };
        let Some((notification, thread)) = at.engine.sealed(key) else {
            return Ok(());
        };
        let (notification, thread) = (notification.clone(), thread.map(str::to_owned));
        let receiver = self.planned.receiver.receiver.clone();
        let sent = receiver
            .send(&notification, thread.as_deref(), now_ms())
            .await;
        // Whether the partition is still ours: else it is for its new owner to say what became of the notification.
        while let Ok(event) = self.reader.events.try_recv() {
            self.hear(event);
        }
        let Some(at) = self.partitions.get_mut(&partition) else {
            return Ok(());
        };
        match sent {
            Ok(receipt) => {
                at.engine.settle(key, receipt.thread);
                tracing::info!(
                    route = self.name(), notification = %notification.id,
                    status = notification.status.as_str(), "notification accepted"
                );
                self.count("accepted");
            }
            Err(failure) => match at.engine.failed(key, now_ms(), &failure) {
                Verdict::Again(at_ms) => {
                    tracing::warn!(
                        route = self.name(), notification = %notification.id,
                        again_in_ms = at_ms - now_ms(), "notification not accepted: {}", failure.reason()
                    );
                    self.count("retried");
                }
                Verdict::DeadLetter(reason) => {
                    let attempts = at.engine.attempts(key);
                    let letter = self.dead_letter(reason, attempts, notification)?;
                    self.give_up(partition, key, &failure, letter).await?;
                }
            },
        }
        Ok(())
    }

    fn dead_letter(
        &self,
        reason: String,
        attempts: u32,
        notification: crate::Notification,
    ) -> Result<ToKeep, NotifyError> {
        let letter = DeadLetter {
            route: self.name().to_owned(),
            receiver: self.planned.receiver.name.clone(),
            reason,
            attempts,
            given_up_ms: now_ms(),
            notification,
        };
        Ok(ToKeep {
            key: letter.key().as_bytes().to_vec(),
            value: Some(letter.value()?),
        })
    }

    /// The dead letter is written first: only then the notification is done with.
    async fn give_up(
        &mut self,
        partition: i32,
        key: &str,
        failure: &Failure,
        letter: ToKeep,
    ) -> Result<(), NotifyError> {
        tracing::error!(
            route = self.name(),
            "a notification is a dead letter, see `farol notify dead-letters list`: {}",
            failure.reason()
        );
        self.writer.add(&self.options.dead_letters, letter);
        self.writer.flush().await?;
        if let Some(at) = self.partitions.get_mut(&partition) {
            at.engine.settle(key, None);
        }
        self.count("dead_letter");
        Ok(())
    }

    fn count(&self, outcome: &'static str) {
        let labels = [
            ("route", self.name().to_owned()),
            ("outcome", outcome.to_owned()),
        ];
        counter!("farol_notifications_total", &labels).increment(1);
    }
}
