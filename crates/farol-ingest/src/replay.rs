//! Storing dead letters after a fix: what decodes now becomes rows, exactly once.
//!
//! Open dead letters are read from one snapshot, decoded again with the present decoder and bounds, and
//! stored under the coordinates of their records. Each commit moves the `replayed` mark of the partitions it
//! takes from, and must find it where it was when the snapshot was taken: two replays at once, or one that
//! was killed and begun again, cannot store a record twice. The dead letters stay; the view
//! `dead_letters_open` leaves out those whose coordinates have a row.
//!
//! `read = stored + duplicates + dead_letters` stays as it is: what is replayed counts in its own mark.

mod known;

use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use farol_events::{Decoder, Kind};
use farol_lake::sql::Session;
use farol_lake::{Commit, Lake, Outcome, Step};
use futures::TryStreamExt as _;

use crate::clock::{day_of, now_us};
use crate::dead_letter::without_event_date;
use crate::decode::{Place, decode_payload, table_batch};
use crate::error::IngestError;
use crate::flush::{Rows, upload_rows};
use crate::marks::{Mark, Marks, PartitionKey, by_partition};
use crate::options::{IngestOptions, InputTopic};
use crate::tables::Tables;

/// Bytes of dead letters that one commit stores.
const CHUNK_BYTES: usize = 64 << 20;

/// Times that another replay may be faster before this one gives up.
const MAX_OVERTAKEN: u32 = 10;

/// Dead letters still bad that are told one by one.
const MAX_TOLD: usize = 20;

/// Which dead letters to replay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplayFilter {
    /// Of this topic only.
    pub topic: Option<String>,
    /// With this reason only.
    pub reason_code: Option<String>,
    /// So many at the most, oldest first.
    pub limit: Option<u64>,
}

/// What a replay came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Records stored.
    pub stored: u64,
    /// Records whose event was stored already, under another record's coordinates.
    pub duplicates: u64,
    /// Records that still cannot be stored.
    pub still_bad: u64,
    /// The first of them, each with its place and reason.
    pub examples: Vec<String>,
}

/// An open dead letter.
struct Letter {
    topic: String,
    partition: i32,
    offset: i64,
    reason_code: String,
    raw: Option<Vec<u8>>,
}

/// Replays open dead letters.
///
/// # Errors
/// Where the lake cannot be read or written. What was committed until then stays, and is left out by the next
/// replay.
pub async fn replay(
    lake: &Lake,
    filter: &ReplayFilter,
    topics: &[InputTopic],
    options: &IngestOptions,
) -> Result<ReplayReport, IngestError> {
    let tables = Tables::open(lake, topics).await?;
    let mut report = ReplayReport::default();
    for _ in 0..MAX_OVERTAKEN {
        report.still_bad = 0;
        report.duplicates = 0;
        report.examples.clear();
        let mut pass = Pass::begin(&tables, topics, options, &mut report).await?;
        if pass.run(filter).await? {
            return Ok(report);
        }
        tracing::warn!("another replay is under way; looking again at what is left");
    }
    let table = "dead_letters".to_owned();
    let reason = "other replays kept being faster".to_owned();
    Err(IngestError::GaveUp {
        table,
        attempts: MAX_OVERTAKEN,
        reason,
    })
}

/// One pass over the open dead letters of one snapshot.
struct Pass<'a> {
    tables: &'a Tables,
    kinds: BTreeMap<&'a str, Kind>,
    options: &'a IngestOptions,
    session: Session,
    /// Read before the session was opened: what it sees is no older.
    marks: BTreeMap<PartitionKey, Marks>,
    stored: HashSet<(Kind, u128)>,
    report: &'a mut ReplayReport,
}

impl<'a> Pass<'a> {
    async fn begin(
        tables: &'a Tables,
        topics: &'a [InputTopic],
        options: &'a IngestOptions,
        report: &'a mut ReplayReport,
    ) -> Result<Self, IngestError> {
        let mut marks = BTreeMap::new();
        for table in tables.all_primary() {
            marks.extend(by_partition(&table.marks("farol/").await?));
        }
        let session = Session::open(&tables.lake).await?;
        let kinds = topics
            .iter()
            .map(|topic| (topic.name.as_str(), topic.kind))
            .collect();
        Ok(Self {
            tables,
            kinds,
            options,
            session,
            marks,
            stored: HashSet::new(),
            report,
        })
    }

    /// Works through the dead letters; `false` where another replay moved a mark.
    async fn run(&mut self, filter: &ReplayFilter) -> Result<bool, IngestError> {
        let (_, mut stream) = self.session.query(&query(filter)).await?;
        let (mut letters, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = stream
            .try_next()
            .await
            .map_err(|error| IngestError::Lake(error.into()))?
        {
            for letter in read(&batch)? {
                bytes += letter.raw.as_ref().map_or(0, Vec::len);
                letters.push(letter);
                if bytes >= CHUNK_BYTES {
                    bytes = 0;
                    if !self.chunk(std::mem::take(&mut letters)).await? {
                        return Ok(false);
                    }
                }
            }
        }
        self.chunk(letters).await
    }

    async fn chunk(&mut self, letters: Vec<Letter>) -> Result<bool, IngestError> {
        let mut by_kind = BTreeMap::<&'static str, (Kind, Vec<Letter>)>::new();
        for letter in letters {
            match self.kinds.get(letter.topic.as_str()).copied() {
                Some(kind) => by_kind
                    .entry(kind.table())
                    .or_insert((kind, Vec::new()))
                    .1
                    .push(letter),
                None => self.bad(&letter, "its topic is not among the configured topics"),
            }
        }
        for (kind, letters) in by_kind.into_values() {
            if !self.store(kind, letters).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Stores the letters of one kind that decode now, in one commit.
    async fn store(&mut self, kind: Kind, letters: Vec<Letter>) -> Result<bool, IngestError> {
        let mut groups = BTreeMap::<PartitionKey, Vec<Letter>>::new();
        for letter in letters {
            match self.key_of(&letter) {
                Some(key) => groups.entry(key).or_default().push(letter),
                None => self.bad(&letter, "the lake has no marks of its partition"),
            }
        }
        let mut rows = Vec::new();
        let mut steps = Vec::new();
        for (key, letters) in &groups {
            let batches = self.decode(kind, key, letters).await?;
            let count: i64 = batches
                .iter()
                .map(|rows| rows.batch.num_rows() as i64)
                .sum();
            if count > 0 {
                let guard = key.app_id(Mark::Replayed);
                let before = self.marks.get(key).map_or(0, |marks| marks.replayed);
                let from = (before > 0).then_some(before);
                steps.push((
                    key.clone(),
                    Step {
                        marks: vec![(guard.clone(), before + count)],
                        guard,
                        from,
                    },
                ));
                rows.extend(batches);
            }
        }
        let Some(table) = self.tables.primary(kind).filter(|_| !rows.is_empty()) else {
            return Ok(true);
        };
        let uploads = upload_rows(table, &rows).await?;
        let moved: Vec<_> = steps
            .iter()
            .map(|(key, step)| (key.clone(), step.marks[0].1))
            .collect();
        let commit = Commit::append(steps.into_iter().map(|(_, step)| step).collect(), uploads);
        match table.commit(&commit).await? {
            Outcome::Overtaken { .. } => Ok(false),
            Outcome::Committed { .. } => {
                self.report.stored += rows
                    .iter()
                    .map(|rows| rows.batch.num_rows() as u64)
                    .sum::<u64>();
                for (key, value) in moved {
                    self.marks
                        .entry(key)
                        .or_default()
                        .set(Mark::Replayed, value);
                }
                Ok(true)
            }
        }
    }

    /// The log that a letter came from. Of several logs that had the topic's name, it is one that was read
    /// beyond the letter's offset.
    fn key_of(&self, letter: &Letter) -> Option<PartitionKey> {
        let named =
            |key: &PartitionKey| key.topic == letter.topic && key.partition == letter.partition;
        let read = |marks: &Marks| marks.next.is_some_and(|next| next > letter.offset);
        self.marks
            .iter()
            .rfind(|(key, marks)| named(key) && read(marks))
            .map(|(key, _)| key.clone())
    }

    async fn decode(
        &mut self,
        kind: Kind,
        key: &PartitionKey,
        letters: &[Letter],
    ) -> Result<Vec<Rows>, IngestError> {
        let mut decoder = Decoder::new(kind, self.options.time_range(now_us()));
        let mut decoded = Vec::new();
        for letter in letters {
            if letter.reason_code == farol_events::ReasonCode::TooLarge.as_str() {
                self.bad(letter, "only its beginning was kept; emit it again");
                continue;
            }
            match decode_payload(
                &mut decoder,
                letter.raw.as_deref(),
                self.options.max_record_bytes,
            ) {
                Ok(()) => decoded.push(letter.offset),
                Err(reject) => self.bad(letter, &reject.reason),
            }
        }
        let events = decoder.finish();
        if events.batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        let known = known::stored_already(&self.session, kind, &events).await?;
        self.stored
            .extend(known.into_iter().map(|fingerprint| (kind, fingerprint)));
        let mut keep = Vec::with_capacity(decoded.len());
        for fingerprint in &events.fingerprints {
            let new = fingerprint.is_none_or(|fingerprint| self.stored.insert((kind, fingerprint)));
            keep.push(new);
        }
        self.report.duplicates += keep.iter().filter(|new| !**new).count() as u64;
        let schema = without_event_date(&farol_events::table_schema(kind));
        let place = Place {
            key,
            offsets: &decoded,
            ingested_at_us: now_us(),
        };
        let batch = table_batch(kind, &schema, &events.batch, &place)?;
        let batch = arrow::compute::filter_record_batch(&batch, &keep.into())?;
        let (min_day, max_day) = (
            day_of(events.min_event_time_us),
            day_of(events.max_event_time_us),
        );
        Ok(vec![Rows {
            epoch: 0,
            batch,
            min_day,
            max_day,
        }])
    }

    fn bad(&mut self, letter: &Letter, reason: &str) {
        self.report.still_bad += 1;
        if self.report.examples.len() < MAX_TOLD {
            let Letter {
                topic,
                partition,
                offset,
                reason_code,
                ..
            } = letter;
            self.report.examples.push(format!(
                "{topic} {partition} {offset} ({reason_code}): {reason}"
            ));
        }
    }
}

fn query(filter: &ReplayFilter) -> String {
    let equals = |column: &str, value: &Option<String>| {
        value
            .as_ref()
            .map(|value| format!("{column} = '{}'", value.replace('\'', "''")))
    };
    let conditions: Vec<_> = [
        equals("kafka_topic", &filter.topic),
        equals("reason_code", &filter.reason_code),
    ]
    .into_iter()
    .flatten()
    .collect();
    let wanted = if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    };
    let limit = filter
        .limit
        .map(|limit| format!(" LIMIT {limit}"))
        .unwrap_or_default();
    format!(
        "SELECT kafka_topic, kafka_partition, kafka_offset, reason_code, raw FROM dead_letters_open{wanted} \
         ORDER BY kafka_topic, kafka_partition, kafka_offset{limit}"
    )
}

fn read(batch: &RecordBatch) -> Result<Vec<Letter>, IngestError> {
    let text = |index: usize| arrow::compute::cast(batch.column(index), &DataType::Utf8);
    let (topics, codes) = (text(0)?, text(3)?);
    let (topics, codes) = (topics.as_string::<i32>(), codes.as_string::<i32>());
    let partitions = batch.column(1).as_primitive::<Int32Type>();
    let offsets = batch.column(2).as_primitive::<Int64Type>();
    let raw = arrow::compute::cast(batch.column(4), &DataType::LargeBinary)?;
    let raw = raw.as_binary::<i64>();
    let letter = |row: usize| Letter {
        topic: topics.value(row).to_owned(),
        partition: partitions.value(row),
        offset: offsets.value(row),
        reason_code: codes.value(row).to_owned(),
        raw: raw.is_valid(row).then(|| raw.value(row).to_vec()),
    };
    Ok((0..batch.num_rows()).map(letter).collect())
}
