//! The one thread that knows the state of every partition: it deduplicates, gathers rows, decides when to
//! flush, and learns what became of each flush.
//!
//! Everything reaches it through one inbox, in the order in which it happened for each partition: an
//! assignment before its records, records in offset order, the end of a partition after the records before
//! it. What carries the epoch of an assignment that has ended is dropped.

mod deadlines;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use farol_events::Kind;
use farol_kafka::{Consumer, TopicPartition};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::assignment::{Stopped, Taken};
use crate::buffer::TableBuffer;
use crate::clock::{day_of, now_us};
use crate::decode::Chunk;
use crate::dedup::{Deduplicator, Origin};
use crate::drain::Drain;
use crate::error::IngestError;
use crate::flush::{FlushDone, Rows};
use crate::marks::{Marks, PartitionKey};
use crate::measure;
use crate::options::IngestOptions;
use crate::partition::Partition;
use crate::readiness::Health;
use crate::seen::Seen;
use crate::slot::{Slot, Tally};
use crate::tables::Tables;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(20);

/// How long an end waits for flushes under way before what they hold is left to the next start.
const SHUTDOWN_PATIENCE: Duration = Duration::from_mins(1);

/// How long the lake is left alone after it could not say where a partition resumes.
const RETRY_ASSIGNMENT: Duration = Duration::from_secs(10);

/// Tries to commit before a drain gives up.
const DRAIN_ATTEMPTS: u32 = 10;

/// What the coordinator hears of.
pub(crate) enum Inbox {
    /// Partitions were handed to us.
    Taken { taken: Vec<Taken>, seen: Vec<Seen> },
    /// These epochs have ended.
    Revoked(Vec<u64>),
    /// Records were decoded.
    Chunk(Chunk),
    /// A partition was read to its end.
    End { slot: Arc<Slot>, offset: i64 },
    /// The offset asked for is not in the log any more.
    OutOfRange(Arc<Slot>),
    /// A flush ended.
    Flushed(FlushDone),
    /// The broker told a partition's range.
    Probed { epoch: u64, log_end: i64 },
    /// The lake told the marks of partitions that others own (while draining).
    MarksElsewhere(BTreeMap<PartitionKey, Marks>),
    /// A decoding worker has no more to do.
    WorkerEnded,
    /// A thread cannot go on.
    Failed(IngestError),
}

/// What the coordinator asks of the consuming thread.
pub(crate) enum Command {
    /// Ask for these partitions' start offsets again.
    Restart(Vec<TopicPartition>),
}

/// What the coordinator works with.
pub(crate) struct Surroundings {
    pub tables: Tables,
    pub options: IngestOptions,
    pub consumer: Arc<Consumer>,
    pub runtime: Handle,
    pub inbox: Sender<Inbox>,
    pub commands: Sender<Command>,
    /// Bytes between Kafka's client and the commit.
    pub in_flight: Arc<AtomicUsize>,
    /// Cancelled by us when everything is done, or by the operator.
    pub stop: CancellationToken,
    pub health: Health,
    pub workers: usize,
}

/// The state of ingest.
pub(crate) struct Coordinator {
    surroundings: Surroundings,
    partitions: HashMap<u64, Partition>,
    buffers: BTreeMap<&'static str, TableBuffer>,
    dedup: Deduplicator,
    duplicates: Vec<usize>,
    drain: Option<Drain>,
    last_probe: Instant,
    retry_at: Option<Instant>,
    workers_ended: usize,
    error: Option<IngestError>,
    total: Tally,
    commits: u64,
}

/// What ingest did, for whoever started it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IngestReport {
    /// Entries read and committed by this process.
    pub read: i64,
    /// Of them, rows stored.
    pub stored: i64,
    /// Of them, duplicates.
    pub duplicates: i64,
    /// Of them, dead letters.
    pub dead_letters: i64,
    /// Offsets that retention took before they were read.
    pub lost: i64,
    /// Commits made.
    pub commits: u64,
    /// Partitions left alone because of an error that a person has to look at.
    pub stopped_partitions: usize,
}

impl Coordinator {
    pub fn new(surroundings: Surroundings, drain: Option<Drain>) -> Self {
        let now = Instant::now();
        let options = &surroundings.options;
        let dedup = Deduplicator::new(options.dedup_horizon, options.dedup_memory_bytes, now);
        Self {
            dedup,
            surroundings,
            partitions: HashMap::new(),
            buffers: BTreeMap::new(),
            duplicates: Vec::new(),
            drain,
            last_probe: now,
            retry_at: None,
            workers_ended: 0,
            error: None,
            total: Tally::default(),
            commits: 0,
        }
    }

    /// Works until it is told to stop, or until a drain is done.
    pub fn run(mut self, inbox: &Receiver<Inbox>) -> Result<IngestReport, IngestError> {
        while !self.surroundings.stop.is_cancelled() {
            self.hear(inbox);
            self.tick();
        }
        self.finish(inbox);
        let stopped = self
            .partitions
            .values()
            .filter(|p| p.stopped.is_some())
            .count();
        let Tally {
            read,
            stored,
            duplicates,
            dead_letters,
            lost,
        } = self.total;
        let commits = self.commits;
        match self.error {
            Some(error) => Err(error),
            None => Ok(IngestReport {
                read,
                stored,
                duplicates,
                dead_letters,
                lost,
                commits,
                stopped_partitions: stopped,
            }),
        }
    }

    /// Takes what has arrived, waiting for the first of it until the next tick at the longest.
    fn hear(&mut self, inbox: &Receiver<Inbox>) {
        match inbox.recv_timeout(TICK) {
            Ok(message) => self.take(message),
            Err(RecvTimeoutError::Timeout) => return,
            // Impossible while we hold a sender ourselves.
            Err(RecvTimeoutError::Disconnected) => {
                return self.fail(IngestError::ThreadEnded("inbox"));
            }
        }
        // A bounded share, so that deadlines are met under load.
        for message in inbox.try_iter().take(64) {
            self.take(message);
        }
    }

    fn take(&mut self, message: Inbox) {
        match message {
            Inbox::Taken { taken, seen } => self.take_partitions(taken, &seen),
            Inbox::Revoked(epochs) => epochs.into_iter().for_each(|epoch| self.forget(epoch)),
            Inbox::Chunk(chunk) => {
                if let Err(error) = self.take_chunk(chunk) {
                    self.fail(error);
                }
            }
            Inbox::End { slot, offset } => {
                if let Some(partition) = self.partitions.get_mut(&slot.epoch) {
                    partition.end_at(offset);
                    self.buffer(slot.kind).touch();
                }
            }
            Inbox::OutOfRange(slot) => self.restart_when_committed(&slot),
            Inbox::Flushed(done) => self.take_flushed(done),
            Inbox::Probed { epoch, log_end } => self.take_probe(epoch, log_end),
            Inbox::MarksElsewhere(marks) => {
                if let Some(drain) = &mut self.drain {
                    drain.heard_elsewhere(&marks);
                }
            }
            Inbox::WorkerEnded => self.workers_ended += 1,
            Inbox::Failed(error) => self.fail(error),
        }
    }

    fn take_partitions(&mut self, taken: Vec<Taken>, seen: &[Seen]) {
        let now = Instant::now();
        for entry in seen {
            self.dedup.remember(entry.fingerprint, entry.origin, now);
        }
        for taken in taken {
            let slot = taken.slot.clone();
            let earlier: Vec<_> = self
                .partitions
                .values()
                .filter(|p| p.slot.at == slot.at)
                .map(|p| p.slot.epoch)
                .collect();
            for epoch in earlier {
                self.forget(epoch);
            }
            if matches!(taken.stopped, Some(Stopped::LakeUnreachable(_))) {
                self.retry_at = Some(now + RETRY_ASSIGNMENT);
            }
            let partition = Partition::new(taken, self.surroundings.options.watermark_bound, now);
            self.partitions.insert(slot.epoch, partition);
            self.buffer(slot.kind).touch();
        }
        self.report_health();
    }

    /// Drops all that an assignment has not handed to a flush: whoever reads next reads it again.
    fn forget(&mut self, epoch: u64) {
        if let Some(partition) = self.partitions.remove(&epoch) {
            let uncommitted = partition.uncommitted();
            if !uncommitted.is_empty() {
                self.dedup.forget(partition.slot.digest, &uncommitted);
            }
            let freed = self.buffer(partition.slot.kind).forget(epoch);
            self.surroundings
                .in_flight
                .fetch_sub(freed, Ordering::Relaxed);
            measure::forget(&partition.slot);
        }
    }

    fn take_chunk(&mut self, mut chunk: Chunk) -> Result<(), IngestError> {
        let in_flight = &self.surroundings.in_flight;
        let epoch = chunk.slot.epoch;
        in_flight.fetch_sub(chunk.raw_bytes, Ordering::Relaxed);
        let Some(partition) = self.partitions.get_mut(&epoch) else {
            return Ok(());
        };
        if !partition.continues_at(chunk.first) {
            tracing::error!(
                partition = %partition.slot.at,
                first = chunk.first,
                next = partition.next(),
                "Kafka's client handed records over again; the partition is read anew from its mark"
            );
            self.restart(&[epoch]);
            return Ok(());
        }
        let (now, now_us) = (Instant::now(), now_us());
        let digest = chunk.slot.digest;
        let origin = |row: usize| Origin::new(digest, chunk.offsets[row], 0);
        self.dedup
            .check(&chunk.fingerprints, origin, now, &mut self.duplicates);
        let rows = chunk.batch.num_rows();
        if rows > 0 {
            partition.observe(chunk.max_event_time_us, now_us);
        }
        if !self.duplicates.is_empty() {
            chunk.batch = without(&chunk.batch, &self.duplicates)?;
        }
        let tally = Tally {
            read: chunk.read,
            stored: chunk.batch.num_rows() as i64,
            duplicates: self.duplicates.len() as i64,
            dead_letters: chunk.dead_letters.len() as i64,
            lost: 0,
        };
        partition.take(&tally, chunk.next, now);
        let rows = Rows {
            epoch,
            min_day: day_of(chunk.min_event_time_us),
            max_day: day_of(chunk.max_event_time_us),
            batch: chunk.batch,
        };
        let taken =
            self.buffer(chunk.slot.kind)
                .push(rows, chunk.dead_letters, chunk.oldest_timestamp_ms);
        self.surroundings
            .in_flight
            .fetch_add(taken, Ordering::Relaxed);
        Ok(())
    }

    fn take_flushed(&mut self, done: FlushDone) {
        self.surroundings
            .in_flight
            .fetch_sub(done.bytes, Ordering::Relaxed);
        self.buffer(done.kind).flushed();
        let landed = !done.committed.is_empty();
        let mut offsets = Vec::new();
        for committed in &done.committed {
            let tally = measure::difference(&committed.before, &committed.after);
            measure::add(&mut self.total, &tally);
            if let Some(partition) = self.partitions.get_mut(&committed.epoch) {
                partition.landed(committed.after, committed.dead_letters_next);
                measure::committed(partition, &tally);
                offsets.extend(
                    committed
                        .after
                        .next
                        .map(|next| (partition.slot.at.clone(), next)),
                );
            }
        }
        if landed {
            self.commits += 1;
            measure::flush(&done, now_us());
            self.commit_offsets(&offsets);
        }
        self.restart(&done.overtaken);
        if let Some(error) = done.failed {
            self.fail(error);
        }
        let ready: Vec<_> = self
            .partitions
            .values()
            .filter(|p| p.restart_when_committed && p.is_committed())
            .map(|p| p.slot.epoch)
            .collect();
        self.restart(&ready);
    }

    /// Kafka's own offsets follow the table's, for lag dashboards only.
    fn commit_offsets(&self, offsets: &[(TopicPartition, i64)]) {
        fail::fail_point!("ingest.before_kafka_commit", |_| ());
        if let Err(error) = self.surroundings.consumer.commit_offsets(offsets) {
            tracing::debug!(
                "committing Kafka's own offsets failed (the table's are what counts): {error}"
            );
        }
    }

    /// Drops what these assignments hold and has their start offsets asked for again.
    fn restart(&mut self, epochs: &[u64]) {
        let partitions: Vec<_> = epochs
            .iter()
            .filter_map(|epoch| self.partitions.get(epoch))
            .map(|p| p.slot.at.clone())
            .collect();
        for epoch in epochs {
            self.forget(*epoch);
        }
        if !partitions.is_empty()
            && self
                .surroundings
                .commands
                .send(Command::Restart(partitions))
                .is_err()
        {
            self.fail(IngestError::ThreadEnded("consumer"));
        }
    }

    /// What was read is committed first: the log no longer holds it.
    fn restart_when_committed(&mut self, slot: &Arc<Slot>) {
        let Some(partition) = self.partitions.get_mut(&slot.epoch) else {
            return;
        };
        partition.restart_when_committed = true;
        if partition.is_committed() {
            self.restart(&[slot.epoch]);
        } else {
            self.buffer(slot.kind).force();
        }
    }

    fn take_probe(&mut self, epoch: u64, log_end: i64) {
        let timeout = self.surroundings.options.idle_timeout;
        let Some(partition) = self.partitions.get_mut(&epoch) else {
            return;
        };
        let kind = partition.slot.kind;
        if partition.idle(log_end, timeout, Instant::now(), now_us()) {
            self.buffer(kind).touch();
        }
    }

    fn buffer(&mut self, kind: Kind) -> &mut TableBuffer {
        self.buffers
            .entry(kind.table())
            .or_insert_with(|| TableBuffer::new(kind))
    }

    fn fail(&mut self, error: IngestError) {
        tracing::error!("ingest ends: {error}");
        self.error.get_or_insert(error);
        self.surroundings.stop.cancel();
    }
}

/// The rows of a batch without those at `positions`.
fn without(
    batch: &arrow::array::RecordBatch,
    positions: &[usize],
) -> Result<arrow::array::RecordBatch, arrow::error::ArrowError> {
    let mut keep = vec![true; batch.num_rows()];
    for position in positions {
        keep[*position] = false;
    }
    filter_record_batch(batch, &BooleanArray::from(keep))
}
