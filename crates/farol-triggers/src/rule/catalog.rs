//! What rules can name: the jobs, with their windows, segments and measures.

use std::collections::BTreeMap;

use crate::condition::{Columns, Limits, Type};

/// A job as a rule sees it.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// The table that it reads.
    pub reads: String,
    /// The width of its windows, in microseconds.
    pub window_us: i64,
    /// Its segments.
    pub segments: Vec<String>,
    /// What can be compared: measures, and partials that are plain values.
    pub measures: Vec<(String, Type)>,
    /// Between which numbers measures are, as far as that is known: to warn of what is never true.
    pub limits: Limits,
    /// What cannot: sketches.
    pub sketches: Vec<String>,
    /// The user's own file that stands in the place of a job that is part of Farol.
    pub replaced_by: Option<String>,
}

/// Every job, by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The jobs.
    pub jobs: BTreeMap<String, Job>,
}

impl Catalog {
    /// What a condition over `job` may name, with these segments kept and windows that wide.
    pub(crate) fn columns(&self, name: &str, job: &Job, by: &[String], window_us: i64) -> Columns {
        let segments = by.iter().map(|segment| (segment.clone(), Type::Text));
        let others = self.jobs.iter().filter(|(other, _)| *other != name);
        let elsewhere = others.flat_map(|(other, job)| {
            job.measures
                .iter()
                .map(move |(measure, _)| (measure.clone(), other.clone()))
        });
        let merged = job.segments.iter().filter(|segment| !by.contains(segment));
        Columns {
            source: name.to_owned(),
            window_us,
            columns: job.measures.iter().cloned().chain(segments).collect(),
            segments_merged: merged.cloned().collect(),
            sketches: job.sketches.clone(),
            elsewhere: elsewhere.collect(),
        }
    }
}
