//! What the coordinator does because time has passed: flushes that are due, questions about where the logs end, a
//! drain's end, and the end of it all.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::{Coordinator, DRAIN_ATTEMPTS, Inbox, SHUTDOWN_PATIENCE};
use crate::assignment::Stopped;
use crate::buffer::TableBuffer;
use crate::flush;
use crate::measure;
use crate::partition::Partition;

impl Coordinator {
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        self.flush_what_is_due(now);
        if now.saturating_duration_since(self.last_probe)
            >= self.surroundings.options.idle_timeout / 2
        {
            self.last_probe = now;
            self.probe();
            measure::memory(&self.surroundings.in_flight, &self.dedup, now);
        }
        if self.retry_at.is_some_and(|at| now >= at) {
            self.retry_at = None;
            let waiting = self.partitions.values();
            let waiting =
                waiting.filter(|p| matches!(p.stopped, Some(Stopped::LakeUnreachable(_))));
            let waiting: Vec<_> = waiting.map(|p| p.slot.epoch).collect();
            self.restart(&waiting);
        }
        self.drain(now);
    }

    pub(super) fn flush_what_is_due(&mut self, now: Instant) {
        let options = &self.surroundings.options;
        let (bytes, interval) = (options.flush_bytes(), options.flush_interval);
        let max_attempts = self.drain.as_ref().map(|_| DRAIN_ATTEMPTS);
        for buffer in self.buffers.values_mut() {
            if !buffer.is_due(bytes, interval, now) {
                continue;
            }
            let partitions = self.partitions.values_mut();
            let parts: Vec<_> = partitions
                .filter(|partition| partition.slot.kind == buffer.kind())
                .filter_map(Partition::part)
                .collect();
            let Some(job) = buffer.take(parts, max_attempts) else {
                continue;
            };
            let inbox = self.surroundings.inbox.clone();
            let health = self.surroundings.health.clone();
            let table = buffer.kind().table();
            let report = move |failure: Option<&str>| health.commit(table, failure);
            let deliver = move |done| {
                if inbox.send(Inbox::Flushed(done)).is_err() {
                    tracing::debug!("a flush ended after ingest did");
                }
            };
            flush::spawn(
                &self.surroundings.runtime,
                self.surroundings.tables.clone(),
                self.surroundings.consumer.clone(),
                job,
                report,
                deliver,
            );
        }
    }

    /// Asks the broker where the logs end: an idle partition is one whose broker says so.
    fn probe(&mut self) {
        self.report_health();
        for partition in self.partitions.values().filter(|p| p.stopped.is_none()) {
            measure::lag(partition);
            let (epoch, at) = (partition.slot.epoch, partition.slot.at.clone());
            let (consumer, inbox) = (
                self.surroundings.consumer.clone(),
                self.surroundings.inbox.clone(),
            );
            self.surroundings.runtime.spawn_blocking(move || {
                match consumer.log_range(&at, Duration::from_secs(5)) {
                    Ok((_, log_end)) => {
                        if inbox.send(Inbox::Probed { epoch, log_end }).is_err() {
                            tracing::debug!("a probe ended after ingest did");
                        }
                    }
                    Err(error) => {
                        tracing::debug!("the broker did not tell where {at:?} ends: {error}");
                    }
                }
            });
        }
    }

    pub(super) fn report_health(&self) {
        let stopped = self.partitions.values().filter_map(|p| match &p.stopped {
            Some(Stopped::Beyond(reason) | Stopped::LakeUnreachable(reason)) => {
                Some(reason.clone())
            }
            None => None,
        });
        let lag = self.partitions.values().map(Partition::lag_records).sum();
        self.surroundings
            .health
            .partitions(self.partitions.len(), lag, stopped.collect());
    }

    fn drain(&mut self, now: Instant) {
        let Some(drain) = &mut self.drain else { return };
        for partition in self.partitions.values() {
            drain.heard(partition);
        }
        if drain.is_read() {
            self.buffers.values_mut().for_each(TableBuffer::force);
        }
        if drain.is_done() {
            self.surroundings.stop.cancel();
        } else if drain.asks_elsewhere(now) {
            crate::drain::ask_elsewhere(&self.surroundings);
        }
    }

    /// Finishes the batch in hand: what was taken from Kafka is decoded and committed.
    pub(super) fn finish(&mut self, inbox: &Receiver<Inbox>) {
        let deadline = Instant::now() + SHUTDOWN_PATIENCE;
        while Instant::now() < deadline {
            let decoded = self.workers_ended >= self.surroundings.workers;
            if decoded && self.error.is_none() {
                self.buffers.values_mut().for_each(TableBuffer::force);
                self.flush_what_is_due(Instant::now());
            }
            let under_way = self.buffers.values().any(TableBuffer::is_flushing);
            if decoded && !under_way && (self.error.is_some() || self.is_committed()) {
                return;
            }
            self.hear(inbox);
        }
        tracing::warn!(
            "ended before everything read was committed; it is read again at the next start"
        );
    }

    fn is_committed(&self) -> bool {
        self.partitions
            .values()
            .all(|partition| !partition.is_dirty())
    }
}
