//! Rows that wait for their call, in memory, found by what they are about.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;

use super::columns::{Origin, Origins, said};
use super::subject::{Calls, Subject, Subjects};

/// A row: its batch, and its place there.
pub(super) type Place = (usize, usize);

/// A batch takes memory of its own, whatever its rows: more are made one.
const BATCHES: usize = 64;

/// Rows that wait. They are what is in the lake and not joined: a cache.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    batches: Vec<RecordBatch>,
    /// By [`span_key`].
    spans: HashMap<String, Vec<Place>>,
    /// By `trace_id`.
    roots: HashMap<String, Vec<Place>>,
    /// By `response_id`.
    responses: HashMap<String, Vec<Place>>,
    rows: usize,
    bytes: usize,
}

/// The ids by which the calls of rows are looked for.
#[derive(Debug, Default)]
pub(super) struct Ids {
    pub traces: HashSet<String>,
    /// Of rows that say no trace.
    pub responses: HashSet<String>,
}

impl Waiting {
    /// The rows of some batches.
    pub fn of(batches: Vec<RecordBatch>) -> Result<Self, ArrowError> {
        let mut waiting = Self::default();
        for batch in batches {
            waiting.push(batch)?;
        }
        Ok(waiting)
    }

    /// Takes more rows.
    pub fn push(&mut self, batch: RecordBatch) -> Result<(), ArrowError> {
        let subjects = Subjects::of(&batch)?;
        let index = self.batches.len();
        for row in 0..batch.num_rows() {
            let place = (index, row);
            match subjects.get(row) {
                Subject::Span { trace_id, span_id } => {
                    let key = span_key(&mut String::new(), trace_id, span_id).to_owned();
                    self.spans.entry(key).or_default().push(place);
                }
                Subject::Response { response_id, .. } => {
                    let known = self.responses.entry(response_id.to_owned());
                    known.or_default().push(place);
                }
                Subject::Root { trace_id } => {
                    let known = self.roots.entry(trace_id.to_owned());
                    known.or_default().push(place);
                }
                Subject::Unknown => {}
            }
        }
        self.rows += batch.num_rows();
        self.bytes += batch.get_array_memory_size();
        self.batches.push(batch);
        Ok(())
    }

    /// How many rows wait.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The memory that they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// The rows, moved out.
    pub fn into_batches(self) -> Vec<RecordBatch> {
        self.batches
    }

    /// Every row but some.
    pub fn places(&self, but: &HashSet<Place>) -> Vec<Place> {
        let all = self.batches.iter().enumerate();
        all.flat_map(|(index, batch)| (0..batch.num_rows()).map(move |row| (index, row)))
            .filter(|place| !but.contains(place))
            .collect()
    }

    /// Rows as one batch, in that order; `None` where there is none.
    pub fn gather(&self, places: &[Place]) -> Result<Option<RecordBatch>, ArrowError> {
        gather(&self.batches, places)
    }

    /// Every row but some.
    pub fn without(&self, gone: &HashSet<Place>) -> Result<Self, ArrowError> {
        let kept = self.gather(&self.places(gone))?;
        Self::of(kept.into_iter().collect())
    }

    /// The same, in one batch where they are many.
    pub fn tidied(self) -> Result<Self, ArrowError> {
        if self.batches.len() <= BATCHES {
            return Ok(self);
        }
        self.without(&HashSet::new())
    }

    /// Every row but those that were read from some places.
    pub fn without_origins(&self, gone: &HashSet<Origin>) -> Result<Self, ArrowError> {
        let mut places = HashSet::new();
        for (index, batch) in self.batches.iter().enumerate() {
            let origins = Origins::of(batch)?;
            let rows = (0..batch.num_rows()).filter(|row| gone.contains(&origins.get(*row)));
            places.extend(rows.map(|row| (index, row)));
        }
        self.without(&places)
    }

    /// The ids by which the rows' calls are looked for, of those that are not in `but`.
    pub fn ids(&self, but: impl Fn(&Place) -> bool) -> Result<Ids, ArrowError> {
        let mut ids = Ids::default();
        for (index, batch) in self.batches.iter().enumerate() {
            let subjects = Subjects::of(batch)?;
            for row in (0..batch.num_rows()).filter(|row| !but(&(index, *row))) {
                match subjects.get(row) {
                    Subject::Span { trace_id, .. }
                    | Subject::Root { trace_id }
                    | Subject::Response {
                        trace_id: Some(trace_id),
                        ..
                    } => {
                        if !ids.traces.contains(trace_id) {
                            ids.traces.insert(trace_id.to_owned());
                        }
                    }
                    Subject::Response {
                        response_id,
                        trace_id: None,
                    } => {
                        ids.responses.insert(response_id.to_owned());
                    }
                    Subject::Unknown => {}
                }
            }
        }
        Ok(ids)
    }

    /// The times of the rows that are not in `but`.
    pub fn times_us(&self, but: impl Fn(&Place) -> bool) -> Result<Vec<i64>, ArrowError> {
        let mut times = Vec::new();
        for (index, batch) in self.batches.iter().enumerate() {
            let subjects = Subjects::of(batch)?;
            let rows = (0..batch.num_rows()).filter(|row| !but(&(index, *row)));
            times.extend(rows.map(|row| subjects.time_us(row)));
        }
        Ok(times)
    }

    /// The rows that a call may be what they are about.
    pub fn about(&self, calls: &Calls<'_>, row: usize) -> Result<BTreeSet<Place>, ArrowError> {
        let mut places = BTreeSet::new();
        let trace_id = said(calls.trace_id, row);
        if let Some(trace_id) = trace_id {
            if let Some(span_id) = said(calls.span_id, row) {
                let mut key = String::with_capacity(64);
                let found = self.spans.get(span_key(&mut key, trace_id, span_id));
                places.extend(found.into_iter().flatten());
            }
            if said(calls.parent_span_id, row).is_none() {
                places.extend(self.roots.get(trace_id).into_iter().flatten());
            }
        }
        if let Some(response_id) = said(calls.response_id, row) {
            for place in self.responses.get(response_id).into_iter().flatten() {
                let subjects = Subjects::of(&self.batches[place.0])?;
                if let Subject::Response { trace_id: of, .. } = subjects.get(place.1)
                    && (of.is_none() || of == trace_id)
                {
                    places.insert(*place);
                }
            }
        }
        Ok(places)
    }
}

/// A span's key; an id holds no zero byte that would make two of them one, since a length comes first.
fn span_key<'a>(key: &'a mut String, trace_id: &str, span_id: &str) -> &'a str {
    use std::fmt::Write as _;
    key.clear();
    // Writing to a string cannot fail.
    let _ = write!(key, "{}:{trace_id}{span_id}", trace_id.len());
    key
}

/// Rows of batches as one batch, in that order; `None` where there is none.
pub(super) fn gather(
    batches: &[RecordBatch],
    places: &[Place],
) -> Result<Option<RecordBatch>, ArrowError> {
    if places.is_empty() {
        return Ok(None);
    }
    let batches: Vec<_> = batches.iter().collect();
    interleave_record_batch(&batches, places).map(Some)
}
