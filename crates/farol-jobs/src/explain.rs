//! What a job does, and what it costs: how its SQL is planned, what it reads, and a trial over the newest rows.
//!
//! The trial takes the way that a step takes: Parquet is read, the SQL run, partials are grouped and written as files,
//! into a lake in memory. What it costs is then measured rather than guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::functions_aggregate::expr_fn::count_distinct;
use datafusion::logical_expr::{LogicalPlan, ident};
use datafusion::physical_plan::displayable;
use datafusion::prelude::SessionContext;
use farol_lake::{Commit, Lake, Table, TableSpec, Upload};

use crate::aggregate::{InputRows, contributions, whole_window, windows_of, within};
use crate::definition::{Job, WINDOW_START};
use crate::error::JobError;
use crate::inputs::{Inputs, revision};
use crate::partials_table;
use crate::recompute;
use crate::step::{Runner, working_context};
use crate::writer::Series;

/// Events of a trial at the most.
const EVENTS_MAX: u64 = 1_000_000;

/// Windows of a trial at the most, where each is a query of its own.
const WINDOWS_MAX: usize = 30;

/// A trial is repeated until it has taken so long: the kernel counts a process's time in hundredths of a second.
const TRIAL: Duration = Duration::from_millis(500);

/// Repetitions at the most.
const TRIALS_MAX: u32 = 50;

/// How a job is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The tables that it reads, and of each the columns.
    pub reads: BTreeMap<String, BTreeSet<String>>,
    /// The optimized logical plan, from rows to partials.
    pub logical: String,
    /// The physical plan.
    pub physical: String,
}

/// What a trial cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// The newest events that it was over.
    pub events: u64,
    /// The windows that they are in.
    pub windows: u64,
    /// Partials that came of them.
    pub partials: u64,
    /// Bytes of their files.
    pub partials_bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Time of the processor that the process used meanwhile; `None` where the system does not tell.
    pub cpu: Option<Duration>,
}

impl Cost {
    /// Microseconds of the processor's time for an event.
    pub fn cpu_us_per_event(&self) -> Option<f64> {
        let cpu = self.cpu?;
        Some(cpu.as_secs_f64() * 1e6 / self.events as f64)
    }

    /// Events a second.
    pub fn events_per_second(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64()
    }

    /// Bytes of partials for an event, before they are merged with those of other steps.
    pub fn partials_bytes_per_event(&self) -> f64 {
        self.partials_bytes as f64 / self.events as f64
    }

    /// Combinations of segments in a window.
    pub fn series_per_window(&self) -> f64 {
        self.partials as f64 / self.windows.max(1) as f64
    }
}

/// How a job's rows become partials, planned over a file of its input where there is one.
///
/// # Errors
/// Where the lake cannot be read, or the SQL cannot be planned.
pub async fn plan(lake: &Lake, job: &Job) -> Result<Plan, JobError> {
    let context = working_context()?;
    let (rows, _) = newest_rows(lake, job, 1).await?;
    let schemas: Vec<_> = rows.iter().map(|rows| rows.schema()).collect();
    let reads = columns_read(&context, job, &schemas).await?;
    let frame = if job.mode().is_recompute() {
        whole_window(&context, job, &rows, 0, 0).await?
    } else {
        contributions(&context, job, rows, None).await?
    };
    let logical = frame.into_optimized_plan()?;
    let physical = context.state().create_physical_plan(&logical).await?;
    Ok(Plan {
        reads,
        logical: logical.display_indent().to_string(),
        physical: displayable(physical.as_ref()).indent(false).to_string(),
    })
}

/// The columns that a job's SQL reads, by the inputs' names; `schemas` are theirs, in the order of [`Job::inputs`].
async fn columns_read(
    context: &SessionContext,
    job: &Job,
    schemas: &[SchemaRef],
) -> Result<BTreeMap<String, BTreeSet<String>>, DataFusionError> {
    let nothing = schemas
        .iter()
        .map(|schema| -> Arc<dyn TableProvider> { Arc::new(EmptyTable::new(schema.clone())) });
    let plan = contributions(context, job, nothing.collect(), None)
        .await?
        .into_optimized_plan()?;
    let mut read = BTreeMap::<String, BTreeSet<String>>::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let columns = scan.projected_schema.fields().iter();
            let columns = columns.map(|field| field.name().clone());
            let name = scan.table_name.table().to_owned();
            read.entry(name).or_default().extend(columns);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(read)
}

/// The rows of some of the newest files of each input, which hold about so many; and the inputs' versions.
async fn newest_rows(
    lake: &Lake,
    job: &Job,
    events: u64,
) -> Result<(InputRows, Vec<Option<i64>>), JobError> {
    let (mut rows, mut versions) = (InputRows::new(), Vec::new());
    for name in job.inputs() {
        let Some(input) = lake.existing(name).await? else {
            let spec = TableSpec::known(name);
            let schema = spec.map_or_else(|| Arc::new(Schema::empty()), |spec| spec.schema);
            rows.push(Arc::new(EmptyTable::new(schema)));
            versions.push(None);
            continue;
        };
        let newest = input.newest(events).await?;
        rows.push(input.added_rows(newest.files)?);
        versions.push(Some(newest.version));
    }
    Ok((rows, versions))
}

/// Tries a job out over the newest rows of its inputs; `None` where there are none yet.
///
/// # Errors
/// Where the lake cannot be read, or the SQL fails over these rows.
pub async fn cost(lake: &Lake, job: &Arc<Job>) -> Result<Option<Cost>, JobError> {
    let (newest, versions) = newest_rows(lake, job, EVENTS_MAX).await?;
    let context = working_context()?;
    let sample = Sample::of(&context, lake, job, newest, &versions).await?;
    if sample.events == 0 {
        return Ok(None);
    }
    let scratch = Lake::in_memory()?;
    let output = partials_table::make(&scratch, job, &job.table_name()).await?;
    let mut runner = Runner::over(&scratch, job.clone(), output, 0);
    let (began, cpu) = (Instant::now(), cpu_time());
    let mut trials = 0;
    let uploads = loop {
        let uploads = sample
            .trial(&context, &mut runner, revision(&versions))
            .await?;
        trials += 1;
        if began.elapsed() >= TRIAL || trials >= TRIALS_MAX {
            break uploads;
        }
    };
    let elapsed = began.elapsed() / trials;
    let used = cpu_time()
        .zip(cpu)
        .map(|(now, then)| now.saturating_sub(then));
    let partials = uploads.iter().map(|upload| upload.rows).sum();
    let partials_bytes = uploads.iter().map(|upload| upload.bytes).sum();
    Ok(Some(Cost {
        events: sample.events,
        windows: windows_in(&runner.output, uploads).await?,
        partials,
        partials_bytes,
        elapsed,
        cpu: used.map(|used| used / trials),
    }))
}

/// The rows of a trial.
struct Sample {
    rows: InputRows,
    /// Where windows are computed whole: those of the trial.
    windows: BTreeSet<i64>,
    events: u64,
}

impl Sample {
    async fn of(
        context: &SessionContext,
        lake: &Lake,
        job: &Job,
        newest: InputRows,
        versions: &[Option<i64>],
    ) -> Result<Self, JobError> {
        let mut rows = InputRows::new();
        let mut events = 0;
        for input in newest {
            let some = context
                .read_table(input)?
                .limit(0, Some(EVENTS_MAX as usize))?;
            events += some.clone().count().await? as u64;
            rows.push(some.into_view());
        }
        if !job.mode().is_recompute() {
            return Ok(Self {
                rows,
                windows: BTreeSet::new(),
                events,
            });
        }
        let mut windows = BTreeSet::new();
        for input in &rows {
            let starts = windows_of(context, job, input.clone(), None)?;
            for batch in starts.collect().await? {
                let column = batch
                    .column(0)
                    .as_primitive_opt::<TimestampMicrosecondType>();
                windows.extend(column.into_iter().flatten().flatten());
            }
        }
        while windows.len() > WINDOWS_MAX {
            windows.pop_first();
        }
        let mut inputs = Inputs::of(job);
        inputs.open(lake).await?;
        let rows = inputs.rows_at(versions).await?;
        let mut events = 0;
        if let (Some(first), Some(last)) = (windows.first(), windows.last()) {
            let range = (*first, last + job.window().micros());
            for input in &rows {
                let near = context.read_table(input.clone())?;
                let near = near.filter(within(ident("event_time"), range))?;
                events += near.count().await? as u64;
            }
        }
        Ok(Self {
            rows,
            windows,
            events,
        })
    }

    async fn trial(
        &self,
        context: &SessionContext,
        runner: &mut Runner,
        version: i64,
    ) -> Result<Vec<Upload>, JobError> {
        let uploads = if runner.job.mode().is_recompute() {
            recompute::windows(runner, &self.rows, &self.windows, version).await?
        } else {
            let frame = contributions(context, &runner.job, self.rows.clone(), None).await?;
            runner.upload(frame, Series::Limited).await?
        };
        Ok(uploads.0)
    }
}

/// How many windows files of partials hold.
async fn windows_in(output: &Table, uploads: Vec<Upload>) -> Result<u64, JobError> {
    output.commit(&Commit::append(Vec::new(), uploads)).await?;
    let rows = output.rows_at(output.refresh().await?).await?;
    let counted = working_context()?
        .read_table(rows)?
        .aggregate(vec![], vec![count_distinct(ident(WINDOW_START))])?
        .collect()
        .await?;
    let count = counted.first().and_then(|batch| {
        let column = batch.column(0).as_primitive_opt::<Int64Type>()?;
        column.values().first().copied()
    });
    Ok(count.unwrap_or(0).unsigned_abs())
}

/// User and system time of this process; the kernel counts hundredths of a second.
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The process's name is in brackets, and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_told_for_each_event() {
        let cost = Cost {
            events: 2_000,
            windows: 4,
            partials: 10,
            partials_bytes: 6_000,
            elapsed: Duration::from_millis(10),
            cpu: Some(Duration::from_millis(8)),
        };
        assert_eq!(cost.cpu_us_per_event(), Some(4.0));
        let is = |found: f64, expected: f64| (found - expected).abs() < 1e-6;
        assert!(is(cost.events_per_second(), 200_000.0), "{cost:?}");
        assert!(is(cost.partials_bytes_per_event(), 3.0), "{cost:?}");
        assert!(is(cost.series_per_window(), 2.5), "{cost:?}");
        let unknown = Cost { cpu: None, ..cost };
        assert_eq!(unknown.cpu_us_per_event(), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_time_of_the_processor_is_known_and_grows() {
        let before = cpu_time().unwrap();
        let began = Instant::now();
        let mut number = 1_u64;
        while cpu_time().unwrap() == before {
            number = std::hint::black_box(number.wrapping_mul(3));
            assert!(began.elapsed() < Duration::from_secs(60), "it stands still");
        }
        assert!(cpu_time().unwrap() > before);
    }
}
