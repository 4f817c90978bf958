//! `farol lake …`: looks after the tables.

use farol_ingest::verify;
use farol_jobs::compact::MergeReport;
use farol_lake::maintenance::{self, VacuumOptions};
use farol_lake::{Lake, Table};
use serde::Serialize;

use crate::cli::LakeCommand;
use crate::config::Span;
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::output;

use super::offsets;

/// Runs `farol lake …`.
pub async fn run(context: &Context, command: LakeCommand) -> anyhow::Result<Exit> {
    match command {
        LakeCommand::Tables => tables(context).await,
        LakeCommand::Compact { tables } => compact(context, &tables).await,
        LakeCommand::Vacuum {
            tables,
            older_than,
            dry_run,
            unsafe_age,
        } => vacuum(context, &tables, older_than, dry_run, unsafe_age).await,
        LakeCommand::Verify => verify_marks(context).await,
        LakeCommand::ResetOffsets {
            topic,
            partition,
            to,
        } => offsets::reset(context, &topic, partition, to).await,
    }
}

/// One table, as `lake tables --json` prints it.
#[derive(Serialize)]
struct TableSummary {
    name: String,
    version: i64,
    rows: u64,
    files: u64,
    bytes: u64,
}

async fn tables(context: &Context) -> anyhow::Result<Exit> {
    let lake = context.lake().await?;
    let mut summaries = Vec::new();
    for table in chosen(&lake, &[]).await? {
        summaries.push(summary(&table).await?);
    }
    if context.json {
        for summary in &summaries {
            output::json(summary)?;
        }
        return Ok(Exit::Done);
    }
    if summaries.is_empty() {
        output::line(&format!(
            "there are no tables yet in {}",
            context.lake_uri()
        ))?;
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = summaries
        .into_iter()
        .map(|table| {
            vec![
                table.name,
                table.rows.to_string(),
                table.files.to_string(),
                output::bytes(table.bytes),
                table.version.to_string(),
            ]
        })
        .collect();
    output::line(output::table(&["table", "rows", "files", "size", "version"], &rows).trim_end())?;
    Ok(Exit::Done)
}

/// Rows, files and bytes, from the table's log alone.
async fn summary(table: &Table) -> anyhow::Result<TableSummary> {
    let delta = table.snapshot().await?;
    let state = delta.snapshot()?;
    let mut summary = TableSummary {
        name: table.name().to_owned(),
        version: i64::try_from(state.version())?,
        rows: 0,
        files: 0,
        bytes: 0,
    };
    for file in state.log_data().iter() {
        summary.files += 1;
        summary.bytes += u64::try_from(file.size()).unwrap_or(0);
        summary.rows += file.num_records().map_or(0, |rows| rows as u64);
    }
    Ok(summary)
}

/// The named tables, or all of them.
async fn chosen(lake: &Lake, names: &[String]) -> anyhow::Result<Vec<Table>> {
    let there = lake.names().await?;
    if let Some(missing) = names.iter().find(|name| !there.contains(name)) {
        return Err(usage(format!(
            "there is no table `{missing}`; there are {}",
            there.join(", ")
        )));
    }
    let names = if names.is_empty() { &there } else { names };
    let mut tables = Vec::new();
    for name in names {
        tables.extend(lake.existing(name).await?);
    }
    Ok(tables)
}

async fn compact(context: &Context, names: &[String]) -> anyhow::Result<Exit> {
    let lake = context.lake().await?;
    let tables = chosen(&lake, names).await?;
    // Who asks for it by hand wants it done, also where files still come in.
    let mut options = context.maintenance_options().compact;
    options.settled_after = std::time::Duration::ZERO;
    let progress = context.progress("compact", tables.len() as u64, "tables");
    let mut overtaken = false;
    let jobs = context.jobs().await?;
    for table in &tables {
        // Partials are merged rather than copied: those of one window and segment become one.
        let merged = farol_jobs::compact::compact_table(&lake, &jobs, table, &options).await?;
        if let Some(report) = merged {
            tell_merged(context, table.name(), &report)?;
            progress.add(1);
            continue;
        }
        let report = maintenance::compact(table, &options).await?;
        progress.add(1);
        overtaken |= report.overtaken;
        if context.json {
            output::json(&report)?;
        } else if report.files_removed == 0 {
            output::line(&format!("{}: nothing to merge", report.table))?;
        } else {
            output::line(&format!(
                "{}: {} files of {} became {} of {}; {} rows",
                report.table,
                report.files_removed,
                output::bytes(report.bytes_removed),
                report.files_added,
                output::bytes(report.bytes_added),
                report.rows
            ))?;
        }
    }
    progress.finish();
    if overtaken {
        tracing::warn!("another process compacts at the same time; the rest was left to it");
    }
    Ok(Exit::Done)
}

fn tell_merged(context: &Context, table: &str, report: &MergeReport) -> anyhow::Result<()> {
    if context.json {
        return output::json(&serde_json::json!({
            "table": table, "files_removed": report.files_removed,
            "files_added": report.files_added, "rows": report.rows,
        }));
    }
    let told = if report.files_removed == 0 {
        format!("{table}: nothing to merge")
    } else {
        format!(
            "{table}: {} files became {}; {} partials",
            report.files_removed, report.files_added, report.rows
        )
    };
    Ok(output::line(&told)?)
}

async fn vacuum(
    context: &Context,
    names: &[String],
    older_than: Option<Span>,
    dry_run: bool,
    unsafe_age: bool,
) -> anyhow::Result<Exit> {
    let older_than = older_than
        .unwrap_or(context.config.maintenance.vacuum_after)
        .0;
    if older_than < maintenance::SAFE_AGE && !unsafe_age {
        return Err(usage(
            "files younger than 24h may be those of a query or a writer at work; --unsafe-age allows it",
        ));
    }
    let lake = context.lake().await?;
    let options = VacuumOptions {
        older_than,
        dry_run,
        unsafe_age,
    };
    let tables = chosen(&lake, names).await?;
    let progress = context.progress("vacuum", tables.len() as u64, "tables");
    for table in &tables {
        let report = maintenance::vacuum(table, options).await?;
        progress.add(1);
        if context.json {
            output::json(&report)?;
            continue;
        }
        let what = if dry_run {
            "would be deleted"
        } else {
            "deleted"
        };
        output::line(&format!(
            "{}: {} files of {} {what}",
            report.table,
            report.files.len(),
            output::bytes(report.bytes)
        ))?;
        if dry_run {
            for file in &report.files {
                output::line(&format!("  {file}"))?;
            }
        }
    }
    progress.finish();
    Ok(Exit::Done)
}

async fn verify_marks(context: &Context) -> anyhow::Result<Exit> {
    let lake = context.lake().await?;
    let partitions = verify::verify(&lake).await?;
    let wrong = partitions
        .iter()
        .filter(|partition| !partition.problems.is_empty())
        .count();
    if context.json {
        for partition in &partitions {
            output::json(partition)?;
        }
    } else {
        let rows: Vec<Vec<String>> = partitions
            .iter()
            .map(|partition| {
                let verdict = if partition.problems.is_empty() {
                    "ok".to_owned()
                } else {
                    partition.problems.join("; ")
                };
                vec![
                    partition.table.to_owned(),
                    partition.topic.clone(),
                    partition.partition.to_string(),
                    partition.rows.to_string(),
                    partition.dead_letters.to_string(),
                    verdict,
                ]
            })
            .collect();
        let header = [
            "table",
            "topic",
            "partition",
            "rows",
            "dead letters",
            "verdict",
        ];
        output::line(output::table(&header, &rows).trim_end())?;
    }
    if wrong > 0 {
        tracing::error!(
            "{wrong} of {} partitions do not hold what their marks claim",
            partitions.len()
        );
        return Ok(Exit::Degraded);
    }
    Ok(Exit::Done)
}
