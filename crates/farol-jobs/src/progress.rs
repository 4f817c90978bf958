//! How far a job is: the versions of its inputs that its partials cover, and the watermark of what they hold.

use std::collections::BTreeMap;

use farol_ingest::marks::by_partition;
use farol_lake::{Lake, LakeError, Marks, Step, Table};
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload};
use serde::{Deserialize, Serialize};

use crate::changed::{self, Changed};
use crate::definition::{Job, Jobs};
use crate::error::JobError;

/// Where a failing job says so, for other processes to read. Vacuum passes over names that begin with `_`.
const ERROR_FILE: &str = "_farol_job_error.json";

/// How far a job's partials reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The version of the first input that they cover, it included; `None` before the first step.
    pub version: Option<i64>,
    /// The versions of further inputs, in their order.
    pub further: Vec<Option<i64>>,
    /// The input's watermark when they were last level with it, microseconds since the epoch: no window that ends
    /// before it gets anything but late rows. `None` while a partition of the input has none.
    pub watermark_us: Option<i64>,
    /// Partials that were kept under `other`, because there were more series than `max_series`.
    pub overflowed: i64,
}

/// The application id of the watermark of a job's partials.
pub fn watermark_id(job: &Job) -> String {
    format!("{}#watermark_us", job.app_id())
}

/// The application id of the count of partials kept under `other`.
pub fn overflow_id(job: &Job) -> String {
    format!("{}#overflowed", job.app_id())
}

impl Progress {
    /// Reads a job's progress from the marks of its table of partials.
    pub fn of(job: &Job, marks: &Marks) -> Self {
        let versions = job.app_ids().into_iter();
        let mut versions = versions.map(|id| marks.get(&id).copied());
        Self {
            version: versions.next().flatten(),
            further: versions.collect(),
            watermark_us: marks.get(&watermark_id(job)).copied(),
            overflowed: marks.get(&overflow_id(job)).copied().unwrap_or(0),
        }
    }

    /// The versions of all inputs, in their order.
    pub fn versions(&self) -> Vec<Option<i64>> {
        let further = self.further.iter().copied();
        std::iter::once(self.version).chain(further).collect()
    }

    /// Whether any version of an input is covered.
    pub fn has_begun(&self) -> bool {
        self.versions().iter().any(Option::is_some)
    }

    /// Whether the other covers a newer version of any input.
    pub fn is_behind(&self, other: &Self) -> bool {
        let versions = self.versions().into_iter().zip(other.versions());
        let mut newer = versions.map(|(own, other)| own < other);
        newer.any(|newer| newer)
    }

    /// This progress, with other versions of the inputs.
    pub(crate) fn at(&self, versions: Vec<Option<i64>>) -> Self {
        let mut versions = versions.into_iter();
        Self {
            version: versions.next().flatten(),
            further: versions.collect(),
            ..self.clone()
        }
    }

    /// The steps from here to another progress, one for each input, of which a commit takes all or none. Each demands
    /// its input's version where it was found, also where it stays: a process that took another way from here has moved
    /// one of them.
    pub(crate) fn steps_to(&self, job: &Job, to: &Self) -> Vec<Step> {
        let versions = self.versions().into_iter().zip(to.versions());
        let mut steps: Vec<_> = job
            .app_ids()
            .into_iter()
            .zip(versions)
            .map(|(guard, (from, to))| Step {
                marks: to
                    .map(|version| (guard.clone(), version))
                    .into_iter()
                    .collect(),
                guard,
                from,
            })
            .collect();
        let mut marks = Vec::new();
        let watermark = to
            .watermark_us
            .filter(|_| to.watermark_us != self.watermark_us);
        marks.extend(watermark.map(|time_us| (watermark_id(job), time_us)));
        if to.overflowed != self.overflowed {
            marks.push((overflow_id(job), to.overflowed));
        }
        if let Some(first) = steps.first_mut() {
            first.marks.extend(marks);
        }
        steps
    }
}

/// A job's progress at the newest version of its table of partials.
pub async fn progress(partials: &Table, job: &Job) -> Result<Progress, LakeError> {
    Ok(Progress::of(job, &partials.marks(&job.app_id()).await?))
}

/// The watermark of a table of events: the smallest of its partitions'. `None` where one has none yet. A topic that
/// was created again goes on under another id, so the newest of a partition's watermarks counts. A joined table has one
/// of its own.
pub fn watermark_us(marks: &Marks) -> Option<i64> {
    if let Some(joined) = crate::join::watermark_us(marks) {
        return Some(joined);
    }
    let mut partitions = BTreeMap::<(String, i32), Option<i64>>::new();
    for (key, marks) in by_partition(marks) {
        let known = partitions.entry((key.topic, key.partition)).or_default();
        *known = (*known).max(marks.watermark_us);
    }
    partitions.into_values().min().flatten()
}

/// What is known of a job, as `farol status` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobStatus {
    /// The job.
    pub name: String,
    /// The version of its first input that its partials cover.
    pub version: Option<i64>,
    /// Versions of its inputs that they do not cover yet; `None` where there is no input yet.
    pub behind: Option<i64>,
    /// The watermark of what the partials hold, microseconds since the epoch.
    #[serde(skip)]
    pub watermark_us: Option<i64>,
    /// Partials kept under `other`.
    pub overflowed: i64,
    /// Why it fails, where it does.
    pub error: Option<String>,
    /// How it differs from what its partials were made with, where it does: it is stopped until they are computed anew.
    pub changed: Option<Changed>,
}

/// What is known of every job, from the lake alone.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn status(lake: &Lake, jobs: &Jobs) -> Result<Vec<JobStatus>, JobError> {
    let mut found = Vec::new();
    for job in jobs.iter() {
        found.push(status_of(lake, job).await?);
    }
    Ok(found)
}

/// What is known of one job, from the lake alone.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn status_of(lake: &Lake, job: &Job) -> Result<JobStatus, JobError> {
    let (mut progress, mut error) = (Progress::default(), None);
    let mut changed = None;
    if let Some(partials) = lake.existing(&job.table_name()).await? {
        progress = self::progress(&partials, job).await?;
        error = failure(&partials).await?;
        changed = changed::changed(lake, job, &partials).await?;
    }
    let behind = behind(lake, job, &progress).await?;
    Ok(JobStatus {
        name: job.name().to_owned(),
        version: progress.version,
        behind,
        watermark_us: progress.watermark_us,
        overflowed: progress.overflowed,
        error,
        changed,
    })
}

/// Versions of a job's inputs that are there and not covered.
async fn behind(lake: &Lake, job: &Job, progress: &Progress) -> Result<Option<i64>, LakeError> {
    let mut behind = None;
    let versions = progress
        .versions()
        .into_iter()
        .chain(std::iter::repeat(None));
    for (input, covered) in job.inputs().zip(versions) {
        if let Some(input) = lake.existing(input).await? {
            let left = input.refresh().await? - covered.unwrap_or(-1);
            behind = Some(behind.unwrap_or(0) + left);
        }
    }
    Ok(behind)
}

#[derive(Serialize, Deserialize)]
struct ErrorFile {
    error: String,
}

/// Why a job fails, as it was last noted beside its partials; `None` where it does not.
///
/// # Errors
/// Where the store cannot be read.
pub async fn failure(partials: &Table) -> Result<Option<String>, LakeError> {
    match partials.store().get(&Path::from(ERROR_FILE)).await {
        Ok(found) => {
            let bytes = found.bytes().await?;
            let error = serde_json::from_slice::<ErrorFile>(&bytes);
            Ok(Some(error.map_or_else(
                |_| "it failed, and why cannot be read".to_owned(),
                |file| file.error,
            )))
        }
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Says, or takes back, that a job fails. That this fails too must not stop the job: it is logged.
pub(crate) async fn tell_error(partials: &Table, error: Option<&str>) {
    let path = Path::from(ERROR_FILE);
    let store = partials.store();
    let told = match error {
        Some(error) => {
            let file = ErrorFile {
                error: error.to_owned(),
            };
            let text = serde_json::to_vec(&file).unwrap_or_default();
            store.put(&path, PutPayload::from(text)).await.map(|_| ())
        }
        None => match store.delete(&path).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other,
        },
    };
    if let Err(reason) = told {
        tracing::debug!(
            "what `farol status` says of {} may be stale: {reason}",
            partials.name()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_partition_holds_the_watermark() {
        let marks = |values: &[(&str, i64)]| -> Marks {
            values
                .iter()
                .map(|(id, value)| (format!("farol/c/{id}"), *value))
                .collect()
        };
        assert_eq!(watermark_us(&marks(&[])), None);
        let two = marks(&[
            ("t@i/0#watermark_us", 5),
            ("t@i/1#watermark_us", 3),
            ("t@i/1#next", 9),
        ]);
        assert_eq!(watermark_us(&two), Some(3));
        let silent = marks(&[("t@i/0#watermark_us", 5), ("t@i/1#next", 9)]);
        assert_eq!(watermark_us(&silent), None);
        let recreated = marks(&[("t@old/0#watermark_us", 5), ("t@new/0#watermark_us", 8)]);
        assert_eq!(watermark_us(&recreated), Some(8));
    }
}
