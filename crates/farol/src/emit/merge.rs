//! Several sources of events as one, by event time.
//!
//! Each file of a workload is in the order of its own time, and several cover the same hours: read
//! one after the other they would send the watermark ahead and the rest would be late.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use super::{
    error::EmitError,
    record::{Events, Record},
};

/// Merges sources that are each in order of time. Equal times come in the order of the sources;
/// a source that is out of order stays in its own order.
pub fn by_time(sources: Vec<Events>) -> Events {
    let mut merged = ByTime {
        heads: sources.iter().map(|_| None).collect(),
        sources,
        next: BinaryHeap::new(),
        faults: VecDeque::new(),
    };
    for source in 0..merged.sources.len() {
        merged.advance(source);
    }
    Box::new(merged)
}

struct ByTime {
    sources: Vec<Events>,
    heads: Vec<Option<Record>>,
    next: BinaryHeap<Reverse<(i64, usize)>>,
    faults: VecDeque<EmitError>,
}

impl ByTime {
    /// Takes the next event of a source; the faults before it are told first.
    fn advance(&mut self, source: usize) {
        // A run of faults is told in portions, so that a file of nothing else is not held in memory.
        const FAULTS_MAX: usize = 64;
        for found in self.sources[source].by_ref() {
            match found {
                Ok(record) => {
                    self.next
                        .push(Reverse((record.event_time_us.unwrap_or(i64::MIN), source)));
                    self.heads[source] = Some(record);
                    return;
                }
                Err(fault) => {
                    self.faults.push_back(fault);
                    if self.faults.len() >= FAULTS_MAX {
                        self.next.push(Reverse((i64::MIN, source)));
                        return;
                    }
                }
            }
        }
    }
}

impl Iterator for ByTime {
    type Item = Result<Record, EmitError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(fault) = self.faults.pop_front() {
                return Some(Err(fault));
            }
            let Reverse((_, source)) = self.next.pop()?;
            let head = self.heads[source].take();
            self.advance(source);
            if let Some(record) = head {
                return Some(Ok(record));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::record::{Content, WorkloadEvent};

    fn source(name: &'static str, times: &[i64]) -> Events {
        let records: Vec<_> = times
            .iter()
            .map(|time| {
                let event = WorkloadEvent::new(format!("{name}{time}"), "s".into());
                Ok(Record {
                    event_time_us: Some(*time),
                    content: Content::Workload(Box::new(event)),
                })
            })
            .collect();
        Box::new(records.into_iter())
    }

    #[test]
    fn events_come_by_time() {
        let keys: Vec<String> = by_time(vec![
            source("a", &[1, 4, 4]),
            source("b", &[0, 4, 9]),
            source("c", &[]),
        ])
        .map(|record| record.expect("no faults").key().expect("an id").to_owned())
        .collect();
        assert_eq!(keys, ["b0", "a1", "a4", "a4", "b4", "b9"]);
    }

    #[test]
    fn faults_do_not_end_a_source() {
        let fault = |line| {
            Err(EmitError::Line {
                file: "f".into(),
                line,
                reason: "bad".into(),
            })
        };
        let faults: Events = Box::new((0..200).map(fault).chain(source("a", &[5])));
        let all: Vec<_> = by_time(vec![faults, source("b", &[7])]).collect();
        assert_eq!(all.iter().filter(|record| record.is_err()).count(), 200);
        assert_eq!(all.iter().filter(|record| record.is_ok()).count(), 2);
    }
}
