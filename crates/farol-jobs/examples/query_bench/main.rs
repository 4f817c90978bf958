//! A lake of many traces, written straight into it, and queries over it in a warm process. `benches/queries/run.py` drives it
//! and compares with another engine.
//!
//! ```text
//! query_bench generate LAKE TRACES DAYS    the traces, compacted; their partials by the real runner; the rollups
//! query_bench ask LAKE RUNS < QUERIES      a line {"name", "sql"} each, or {"name", "sqls"} for a query a run, or a
//!                                          setting for those after it, named "set":
//!                                          a line of milliseconds each
//! ```

mod traces;

use std::collections::HashMap;
use std::io::BufRead as _;
use std::path::PathBuf;
use std::time::Instant;

use farol_events::Kind;
use farol_jobs::compact::compact_table;
use farol_jobs::rollup::{Level, Rollup};
use farol_jobs::step::{Runner, Stepped};
use farol_jobs::{Jobs, Sources, views};
use farol_lake::maintenance::{CompactOptions, VacuumOptions, compact, vacuum};
use farol_lake::sql::Session;
use farol_lake::{Commit, Lake, TableSpec};
use futures::TryStreamExt as _;
use serde::Deserialize;

/// Whatever goes wrong ends the bench.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Rows of a file as ingest would write them, before compaction.
const FILE_ROWS: usize = 250_000;

/// The jobs whose partials are measured.
const JOBS: [&str; 2] = ["performance", "spend"];

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match texts.as_slice() {
        ["generate", lake, traces, days] => generate(lake, traces.parse()?, days.parse()?).await,
        ["rollups", lake] => {
            let lake = Lake::open(lake, HashMap::new()).await?;
            measure(&lake, &jobs().await?).await
        }
        ["ask", lake, runs] => ask(lake, runs.parse()?).await,
        _ => Err(
            "query_bench generate LAKE TRACES DAYS | rollups LAKE | ask LAKE RUNS < QUERIES".into(),
        ),
    }
}

async fn jobs() -> Outcome<Jobs> {
    let sources = Sources {
        dir: PathBuf::from("/nowhere"),
        builtin: true,
        max_series: 100_000,
        tags: farol_jobs::Tags::default(),
    };
    Ok(farol_jobs::load(&sources).await?)
}

async fn generate(lake: &str, count: usize, days: usize) -> Outcome<()> {
    let lake = Lake::open(lake, HashMap::new()).await?;
    let table = lake.table("traces", &TableSpec::raw(Kind::Trace)).await?;
    let jobs = jobs().await?;
    let mut runners = Vec::new();
    for name in JOBS {
        let job = jobs.get(name).ok_or("a job that is part of Farol")?;
        runners.push(Runner::open(&lake, job.clone()).await?);
    }
    let began = Instant::now();
    for day in 0..days {
        let rows = count * (day + 1) / days - count * day / days;
        let mut written = 0;
        while written < rows {
            let file_rows = FILE_ROWS.min(rows - written);
            let (date, batches) = traces::file(day, written, file_rows, rows);
            let upload = table.upload(Some(date), batches).await?;
            let commit = Commit::append(Vec::new(), vec![upload]);
            table.commit(&commit).await?;
            written += file_rows;
        }
        for runner in &mut runners {
            level(runner).await?;
        }
        compact(&table, &CompactOptions::at_once()).await?;
        // The disk is shared: what was compacted away goes at once.
        let options = VacuumOptions {
            older_than: std::time::Duration::ZERO,
            unsafe_age: true,
            ..VacuumOptions::default()
        };
        vacuum(&table, options).await?;
        eprintln!(
            "day {day}: {rows} traces, {:.0} s",
            began.elapsed().as_secs_f64()
        );
    }
    measure(&lake, &jobs).await
}

/// Brings partials and rollups level, and merges both.
async fn measure(lake: &Lake, jobs: &Jobs) -> Outcome<()> {
    let options = CompactOptions::at_once();
    for name in JOBS {
        let job = jobs.get(name).ok_or("a job that is part of Farol")?;
        let mut runner = Runner::open(lake, job.clone()).await?;
        level(&mut runner).await?;
        compact_table(lake, jobs, runner.output(), &options).await?;
        eprintln!("{name}: {} partials", runner.output().logged_rows().await?);
        for level in Level::ALL {
            let began = Instant::now();
            if let Some(mut rollup) = Rollup::open(lake, job, runner.output(), level).await? {
                while rollup.step().await? != Stepped::Level {}
                eprintln!("{name} by {level}: {:.1} s", began.elapsed().as_secs_f64());
            }
        }
    }
    for table in lake.names().await? {
        if let Some(found) = lake.existing(&table).await? {
            eprintln!("{table}: {} rows", found.logged_rows().await?);
        }
    }
    Ok(())
}

async fn level(runner: &mut Runner) -> Outcome<()> {
    while runner.step().await? != Stepped::Level {}
    Ok(())
}

/// A query to time: one text, or one for each run.
#[derive(Deserialize)]
struct Query {
    name: String,
    #[serde(default)]
    sql: String,
    #[serde(default)]
    sqls: Vec<String>,
}

async fn ask(lake: &str, runs: usize) -> Outcome<()> {
    let lake = Lake::open(lake, HashMap::new()).await?;
    let jobs = jobs().await?;
    let session = Session::open(&lake).await?;
    views::register(&session, &jobs).await?;
    for line in std::io::stdin().lock().lines() {
        let query: Query = serde_json::from_str(&line?)?;
        let text = |run: usize| {
            let many = query.sqls.get(run % query.sqls.len().max(1));
            many.map_or(query.sql.as_str(), String::as_str)
        };
        if query.name == "set" {
            session.context().sql(&query.sql).await?.collect().await?;
            continue;
        }
        let mut rows = 0;
        let mut times_ms = Vec::new();
        // Warm: the first runs open files and read footers.
        for run in 0..runs + 3 {
            let began = Instant::now();
            if query.name == "refresh" {
                session.refresh().await?;
                views::register(&session, &jobs).await?;
            } else {
                let (_, stream) = session.query(text(run)).await?;
                let batches: Vec<_> = stream.try_collect().await?;
                rows = batches
                    .iter()
                    .map(arrow::array::RecordBatch::num_rows)
                    .sum();
            }
            if run >= 3 {
                times_ms.push(began.elapsed().as_secs_f64() * 1e3);
            }
        }
        let told = serde_json::json!({"name": query.name, "rows": rows, "times_ms": times_ms});
        println!("{told}");
    }
    Ok(())
}
