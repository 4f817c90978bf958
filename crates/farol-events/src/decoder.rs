//! From records to rows: one pass over each payload, straight into the columns of the next batch.
//!
//! A record becomes exactly one row, or none at all: a payload is read into the columns as it is
//! scanned, and if it turns out to be refused, every column is cut back to where the row began.

use arrow_array::{ArrayRef, RecordBatch, new_null_array};
use arrow_schema::SchemaRef;

use crate::Kind;
use crate::buffers::{ColumnBuffer, ahead, finish_padded};
use crate::column::Column;
use crate::field::{Field, fields};
use crate::fingerprint::Ids;
use crate::keys::{Keys, UNKNOWN};
use crate::notes::Notes;
use crate::refusal::{self, Refusal};
use crate::reject::Reject;
use crate::scan::{ScanError, Scanner};
use crate::schema::event_schema;
use crate::value::{Instant, ValueReader};

/// The largest payload that is decoded. Callers set a lower limit of their own.
const PAYLOAD_BYTES_MAX: usize = 512 << 20;

/// The most bytes of payload in one batch: texts have 32-bit offsets. Callers take batches long
/// before.
const BATCH_BYTES_MAX: usize = 1 << 30;

/// The event times that are accepted, both ends included, in microseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// The earliest.
    pub min_us: i64,
    /// The latest.
    pub max_us: i64,
}

impl TimeRange {
    /// Every instant that can be told.
    pub const ALL: Self = Self {
        min_us: i64::MIN,
        max_us: i64::MAX,
    };
}

/// Rows decoded since the last time they were taken.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The events, as [`event_schema`] says.
    pub batch: RecordBatch,
    /// For each row the fingerprint by which a producer's retry is recognised, if it has one.
    pub fingerprints: Vec<Option<u128>>,
    /// The earliest event time, in microseconds since 1970; meaningless without rows.
    pub min_event_time_us: i64,
    /// The latest event time, in microseconds since 1970; meaningless without rows.
    pub max_event_time_us: i64,
}

/// Decodes JSON records of one kind of event into Arrow batches. Reusable; one per thread.
///
/// ```
/// # use farol_events::{Decoder, Kind, ReasonCode, TimeRange};
/// let mut decoder = Decoder::new(Kind::Feedback, TimeRange::ALL);
/// decoder.decode(br#"{"event_id":"f1","event_time":1767225600,"kind":"thumbs","value":1}"#)?;
/// let refused = decoder.decode(br#"{"event_id":"f2"}"#).unwrap_err();
/// assert_eq!(refused.code, ReasonCode::MissingEventTime);
/// assert_eq!(decoder.finish().batch.num_rows(), 1);
/// # Ok::<(), farol_events::Reject>(())
/// ```
pub struct Decoder {
    kind: Kind,
    fields: &'static [Field],
    schema: SchemaRef,
    places: Places,
    time_range: TimeRange,
    columns: Vec<Column>,
    keys: Keys,
    notes: Notes,
    scratch: Vec<u8>,
    rows: usize,
    batch_bytes: usize,
    fingerprints: Vec<Option<u128>>,
    min_event_time_us: i64,
    max_event_time_us: i64,
    null_arrays: Vec<Option<ArrayRef>>,
}

/// Where in the field table the fields are that mean something to the decoder itself.
struct Places {
    event_time: usize,
    attributes: usize,
    identity: Vec<usize>,
    service: Option<usize>,
    event_id: Option<usize>,
    trace_id: Option<usize>,
    span_id: Option<usize>,
}

impl Decoder {
    /// A decoder without rows.
    pub fn new(kind: Kind, time_range: TimeRange) -> Self {
        let fields = fields(kind);
        Self {
            kind,
            fields,
            schema: event_schema(kind),
            places: Places::new(kind),
            time_range,
            columns: fields
                .iter()
                .map(|field| Column::new(field.field_type))
                .collect(),
            keys: Keys::new(fields),
            notes: Notes::default(),
            scratch: Vec::new(),
            rows: 0,
            batch_bytes: 0,
            fingerprints: Vec::new(),
            min_event_time_us: i64::MAX,
            max_event_time_us: i64::MIN,
            null_arrays: vec![None; fields.len()],
        }
    }

    /// Sets the event times that are accepted from now on.
    pub fn set_time_range(&mut self, time_range: TimeRange) {
        self.time_range = time_range;
    }

    /// Rows since the last [`Decoder::finish`].
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Appends the event in the payload as exactly one row, or refuses it and appends none.
    ///
    /// # Panics
    /// If rows of more than 1 GiB of payload are decoded without a [`Decoder::finish`] between them.
    pub fn decode(&mut self, payload: &[u8]) -> Result<(), Reject> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Reject::too_large(payload.len(), PAYLOAD_BYTES_MAX));
        }
        self.batch_bytes += payload.len();
        assert!(
            self.batch_bytes <= BATCH_BYTES_MAX,
            "rows are taken before they exceed 1 GiB"
        );
        self.append(payload).map_err(|refusal| {
            self.batch_bytes -= payload.len();
            for column in &mut self.columns {
                column.as_buffer_mut().truncate(self.rows);
            }
            refusal.into_reject(payload)
        })
    }

    /// Gives the rows since the last time, and starts anew.
    pub fn finish(&mut self) -> Decoded {
        let columns = (0..self.columns.len())
            .map(|at| self.finish_column(at))
            .collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns)
            .expect("columns are built by the schema's own field table");
        let next = Vec::with_capacity(ahead(self.rows));
        let decoded = Decoded {
            batch,
            fingerprints: std::mem::replace(&mut self.fingerprints, next),
            min_event_time_us: self.min_event_time_us,
            max_event_time_us: self.max_event_time_us,
        };
        self.rows = 0;
        self.batch_bytes = 0;
        self.min_event_time_us = i64::MAX;
        self.max_event_time_us = i64::MIN;
        decoded
    }

    /// A column's rows as an array. Most columns of most batches are null throughout: their arrays
    /// are kept and given again while the batches are of one size.
    fn finish_column(&mut self, at: usize) -> ArrayRef {
        let buffer = self.columns[at].as_buffer_mut();
        let data_type = self.schema.field(at).data_type();
        if buffer.len() > 0 {
            return finish_padded(buffer, data_type, self.rows);
        }
        match &self.null_arrays[at] {
            Some(array) if array.len() == self.rows => array.clone(),
            _ => {
                let array = new_null_array(data_type, self.rows);
                self.null_arrays[at] = Some(array.clone());
                array
            }
        }
    }

    fn append(&mut self, payload: &[u8]) -> Result<(), Refusal> {
        self.notes.clear();
        let mut scanner = Scanner::new(payload);
        if scanner.peek() != b'{' {
            return Err(refusal::not_an_object(&mut scanner));
        }
        scanner.open()?;
        let instant = self.members(&mut scanner)?;
        scanner.end()?;

        let event_time_us = self.event_time(payload, &instant)?;
        self.check_identity()?;
        if !self.notes.is_empty() {
            self.append_attributes(payload);
        }
        self.fingerprints.push(self.ids().fingerprint(self.kind));
        self.min_event_time_us = self.min_event_time_us.min(event_time_us);
        self.max_event_time_us = self.max_event_time_us.max(event_time_us);
        self.rows += 1;
        Ok(())
    }

    /// Reads every member of the event into its column; gives what it says of its time.
    fn members(&mut self, scanner: &mut Scanner<'_>) -> Result<Instant, ScanError> {
        let row = self.rows;
        let mut instant = Instant::Null;
        self.keys.begin();
        while let Some(key) = self.keys.next(scanner)? {
            if key.target == UNKNOWN {
                scanner.peek();
                let start = scanner.at();
                scanner.skip_value()?;
                self.notes.unknown(key.raw, start..scanner.at());
                continue;
            }
            let column = &mut self.columns[key.target];
            let mut reader = ValueReader {
                scanner,
                notes: &mut self.notes,
                scratch: &mut self.scratch,
            };
            if key.target == self.places.event_time {
                instant = reader.instant()?;
            } else if key.target == self.places.attributes {
                reader.notes.forget(key.target);
                let own = reader.object(key.target)?;
                reader.notes.set_own(own);
            } else {
                reader.read(column, key.target, row)?;
            }
        }
        Ok(instant)
    }

    /// Appends the event's time, if it is one that is accepted.
    fn event_time(&mut self, payload: &[u8], instant: &Instant) -> Result<i64, Reject> {
        let event_time_us = match instant {
            Instant::At(event_time_us) => *event_time_us,
            Instant::Null => return Err(refusal::missing_event_time()),
            Instant::Invalid(value) => return Err(refusal::invalid_event_time(payload, value)),
        };
        if !(self.time_range.min_us..=self.time_range.max_us).contains(&event_time_us) {
            return Err(refusal::event_time_out_of_range(
                event_time_us,
                self.time_range,
            ));
        }
        if let Column::Time(buffer) = &mut self.columns[self.places.event_time] {
            buffer.push(event_time_us);
        }
        Ok(event_time_us)
    }

    fn check_identity(&self) -> Result<(), Reject> {
        let known = self
            .places
            .identity
            .iter()
            .any(|at| !self.text(Some(*at)).is_empty());
        if known {
            Ok(())
        } else {
            Err(refusal::missing_identity(self.kind))
        }
    }

    /// The row's text of a field; empty if it has none.
    #[inline]
    fn text(&self, at: Option<usize>) -> &[u8] {
        at.map_or(&[], |at| self.columns[at].text(self.rows))
    }

    fn ids(&self) -> Ids<'_> {
        Ids {
            service: self.text(self.places.service),
            event_id: self.text(self.places.event_id),
            trace_id: self.text(self.places.trace_id),
            span_id: self.text(self.places.span_id),
        }
    }

    fn append_attributes(&mut self, payload: &[u8]) {
        if let Column::Json(buffer) = &mut self.columns[self.places.attributes] {
            buffer.begin(self.rows);
            self.scratch.clear();
            self.notes.write(self.fields, payload, &mut self.scratch);
            buffer.push(&self.scratch);
        }
    }
}

impl Places {
    fn new(kind: Kind) -> Self {
        let find = |name: &str| fields(kind).iter().position(|field| field.name == name);
        let known = |name: &str| find(name).expect("tests hold the field table to have it");
        Self {
            event_time: known("event_time"),
            attributes: known("attributes"),
            identity: kind.identity().iter().map(|name| known(name)).collect(),
            service: find("service"),
            event_id: find("event_id"),
            trace_id: find("trace_id"),
            span_id: find("span_id"),
        }
    }
}

#[cfg(test)]
mod tests;
