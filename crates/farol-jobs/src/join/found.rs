//! What was found for rows that wait: for each the call that counts, of all that were seen.

use std::collections::{HashMap, HashSet};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;

use super::columns::times;
use super::subject::{Calls, Rank, Tier};
use super::waiting::{Place, Waiting, gather};

/// The calls found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    best: HashMap<Place, (Rank, Place)>,
    calls: Vec<RecordBatch>,
}

/// Rows and the calls that they are about: two batches of equal length.
#[derive(Debug)]
pub(super) struct Matched {
    pub own: RecordBatch,
    pub calls: RecordBatch,
}

impl Found {
    /// Whether a row's call was found.
    pub fn has(&self, place: &Place) -> bool {
        self.best.contains_key(place)
    }

    /// How many rows' calls were found.
    pub fn len(&self) -> usize {
        self.best.len()
    }

    /// The rows whose calls were found.
    pub fn places(&self) -> HashSet<Place> {
        self.best.keys().copied().collect()
    }

    /// Looks through calls for what rows are about, as far away as `most`.
    pub fn take(
        &mut self,
        waiting: &Waiting,
        batch: &RecordBatch,
        most: Tier,
    ) -> Result<(), ArrowError> {
        let calls = Calls::of(batch)?;
        let own_times = waiting.batches().iter().map(|own| times(own, "event_time"));
        let own_times = own_times.collect::<Result<Vec<_>, _>>()?;
        let mut kept = Vec::<u32>::new();
        for row in 0..batch.num_rows() {
            let mut wanted = false;
            for place in waiting.about(&calls, row)? {
                let own_us = own_times[place.0].value(place.1);
                let rank = Rank::of(own_us, calls.time.value(row), calls.origins.get(row));
                let known = self.best.get(&place);
                if rank.tier > most || known.is_some_and(|(known, _)| *known <= rank) {
                    continue;
                }
                self.best
                    .insert(place, (rank, (self.calls.len(), kept.len())));
                wanted = true;
            }
            if wanted {
                kept.push(u32::try_from(row).unwrap_or(u32::MAX));
            }
        }
        if !kept.is_empty() {
            let kept = UInt32Array::from(kept);
            self.calls.push(take_record_batch(batch, &kept)?);
        }
        Ok(())
    }

    /// The rows that found their call, with it, in the order of the rows.
    pub fn matched(&self, waiting: &Waiting) -> Result<Option<Matched>, ArrowError> {
        let mut pairs: Vec<_> = self
            .best
            .iter()
            .map(|(own, (_, call))| (*own, *call))
            .collect();
        pairs.sort_unstable();
        let (own, calls): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let own = waiting.gather(&own)?;
        let calls = gather(&self.calls, &calls)?;
        Ok(own.zip(calls).map(|(own, calls)| Matched { own, calls }))
    }
}
