//! What a job is: a YAML file that says what it measures, and SQL that says what each row adds.
//!
//! ```text
//! NAME.yaml ──▶ file (places kept) ──▶ plan (SQL and measures, typed against the tables) ──▶ Job
//! NAME.sql  ──┘
//! ```
//!
//! The SQL gives **one row for each contribution**: `event_time`, every segment (the column `tags` for those that are
//! tags, see [`Tags`]), and a column for each partial with the value to add. Windows, groups and sketches are the runner's. So an incremental job's SQL looks at one row at a
//! time; that is checked, because only then do partials of different versions add up. SQL that looks at several rows
//! says `mode: recompute` ([`Mode`]).

mod file;
mod fingerprint;
mod load;
mod measures;
mod mode;
mod names;
mod plan;
mod tags;
mod warnings;
mod width;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use farol_lake::TableSpec;

pub use file::suggestion;
pub(crate) use fingerprint::Fingerprint;
pub use load::{Sources, load, shipped};
pub use mode::Mode;
pub use names::check_name;
pub use plan::context;
pub use tags::Tags;
pub(crate) use tags::segment_of;
pub use warnings::warnings;
pub use width::Width;

use crate::grain::TimeZone;
use crate::rollup;
use crate::views::KnownColumns;

/// The column of a partial's window.
pub const WINDOW_START: &str = "window_start";
/// The end of a window, in views.
pub const WINDOW_END: &str = "window_end";
/// Of a job in [`Mode::Recompute`]: the input's version that a window was computed from, of several inputs the sum of
/// theirs. The highest counts.
pub const REVISION: &str = "revision";
/// Of a job in [`Mode::Recompute`]: how many rows of the SQL a partial is made of. 0 says that a revision of a window has
/// nothing in it.
pub const CONTRIBUTIONS: &str = "contributions";

/// A job whose files were read and checked.
#[derive(Debug, Clone)]
pub struct Job {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) reads: String,
    pub(crate) reads_too: Vec<String>,
    pub(crate) window: Width,
    pub(crate) mode: Mode,
    pub(crate) max_series: usize,
    pub(crate) segments: Vec<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) partials: Vec<Partial>,
    pub(crate) measures: Vec<Measure>,
    pub(crate) sql: String,
    pub(crate) files: Files,
}

/// Where a job comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// It is part of Farol.
    Shipped,
    /// Files of the user's own: the YAML and the SQL.
    Own(PathBuf, PathBuf),
}

/// How a partial's values are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialKind {
    /// Whole numbers or decimals are added up.
    Sum,
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// A sketch of the values' distribution.
    Quantiles,
    /// A sketch of how many values differ.
    Distinct,
}

impl PartialKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Sum,
        Self::Min,
        Self::Max,
        Self::Quantiles,
        Self::Distinct,
    ];

    /// The name in a job's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Quantiles => "quantiles",
            Self::Distinct => "distinct",
        }
    }

    /// Whether the column is a sketch rather than a value.
    pub fn is_sketch(self) -> bool {
        matches!(self, Self::Quantiles | Self::Distinct)
    }
}

/// An aggregate that merges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// Its column.
    pub name: String,
    /// How values are put together.
    pub kind: PartialKind,
    /// The column's type in the table of partials.
    pub data_type: DataType,
}

/// Whether more of a measure is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Less is good.
    Lower,
    /// More is good.
    Higher,
}

/// An expression over merged partials.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Its name.
    pub name: String,
    /// The expression, as it is written in the file.
    pub text: String,
    /// What it is counted in: `ratio`, `ms`.
    pub unit: Option<String>,
    /// Whether more of it is good; `None` where that depends.
    pub better: Option<Better>,
    /// What it means, in a sentence.
    pub description: Option<String>,
    /// Its type.
    pub data_type: DataType,
    pub(crate) expr: Expr,
}

impl Job {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The table whose rows it measures; of several the first, whose watermark is the job's.
    pub fn reads(&self) -> &str {
        &self.reads
    }

    /// Every table that it reads, the first of them first.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.reads)
            .chain(&self.reads_too)
            .map(String::as_str)
    }

    /// The width of its windows.
    pub fn window(&self) -> Width {
        self.window
    }

    /// How its windows come about.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Most series that it keeps apart; what is beyond is counted under the segment `other`.
    pub fn max_series(&self) -> usize {
        self.max_series
    }

    /// The columns that rows are grouped by, beside the window: those of its file, with the configured tags for the word
    /// `tags`.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Those of its segments that are tags.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// The aggregates that it keeps.
    pub fn partials(&self) -> &[Partial] {
        &self.partials
    }

    /// The measures over them.
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// Its SQL.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Where it comes from.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The lake's table of its partials.
    pub fn table_name(&self) -> String {
        format!("partials/{}", self.name)
    }

    /// The application id of its progress: the input's version that the partials cover.
    pub fn app_id(&self) -> String {
        format!("farol/job/{}", self.name)
    }

    /// The application ids of its progress in each of its inputs: the first one's is the job's own.
    pub fn app_ids(&self) -> Vec<String> {
        let own = self.app_id();
        let further = self.reads_too.iter().map(|input| format!("{own}@{input}"));
        std::iter::once(own.clone()).chain(further).collect()
    }

    /// The columns of its table of partials.
    pub fn partials_schema(&self) -> SchemaRef {
        let mut fields = vec![Field::new(WINDOW_START, time_type(), true)];
        let segments = self.segments.iter();
        fields.extend(segments.map(|name| Field::new(name, DataType::Utf8, true)));
        let partials = self.partials.iter();
        fields.extend(
            partials.map(|partial| Field::new(&partial.name, partial.data_type.clone(), true)),
        );
        if self.mode.is_recompute() {
            let whole = |name| Field::new(name, DataType::Int64, true);
            fields.extend([whole(CONTRIBUTIONS), whole(REVISION)]);
        }
        Arc::new(Schema::new(fields))
    }

    /// The table of its partials.
    pub fn table_spec(&self) -> TableSpec {
        TableSpec {
            schema: self.partials_schema(),
            partition_columns: Vec::new(),
            description: if self.mode.is_recompute() {
                format!(
                    "Windows of the job {}; the highest revision counts",
                    self.name
                )
            } else {
                format!("Partials of the job {}, which merge", self.name)
            },
        }
    }
}

/// When a window begins: microseconds, UTC.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A time in a query, from microseconds since the epoch.
pub(crate) fn time_literal(time_us: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(
        Some(time_us),
        Some("UTC".into()),
    ))
}

/// Every job that is in effect, by name.
#[derive(Debug, Clone)]
pub struct Jobs {
    by_name: BTreeMap<String, Arc<Job>>,
    time_zone: TimeZone,
    rollup_rows_min: u64,
    known_columns: KnownColumns,
}

impl Default for Jobs {
    fn default() -> Self {
        Self::new([])
    }
}

impl Jobs {
    /// The jobs, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.by_name.values()
    }

    /// The job of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Job>> {
        self.by_name.get(name)
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.by_name.keys().cloned().collect()
    }

    /// The time zone of the days, weeks, months and years of their measures, where a query names none.
    pub fn time_zone(&self) -> TimeZone {
        self.time_zone
    }

    /// Tables of partials with fewer rows than this have no rollup, and are read as they are.
    pub fn rollup_rows_min(&self) -> u64 {
        self.rollup_rows_min
    }

    /// The columns of their views, as far as they were looked for.
    pub(crate) fn known_columns(&self) -> &KnownColumns {
        &self.known_columns
    }

    /// The same jobs with rollups of tables of partials that have so many rows or more.
    #[must_use]
    pub fn rolled_up_from(self, rollup_rows_min: u64) -> Self {
        Self {
            rollup_rows_min,
            ..self
        }
    }

    /// The same jobs with days of another time zone.
    #[must_use]
    pub fn in_time_zone(self, time_zone: TimeZone) -> Self {
        Self { time_zone, ..self }
    }

    pub(crate) fn new(jobs: impl IntoIterator<Item = Job>) -> Self {
        let by_name = jobs
            .into_iter()
            .map(|job| (job.name.clone(), Arc::new(job)))
            .collect();
        Self {
            by_name,
            time_zone: TimeZone::default(),
            rollup_rows_min: rollup::ROWS_MIN,
            known_columns: KnownColumns::default(),
        }
    }
}
