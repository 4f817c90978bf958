//! `farol detect`: what detectors there are, what they would have found, and one finding in full.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::{Array as _, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType};
use farol_detectors::definition::Method;
use farol_detectors::drift::{self, Counts};
use farol_detectors::picture::{Distributions, Series, Values, distributions, sparkline, svg};
use farol_detectors::replay::{Replay, replay};
use farol_detectors::{DetectorError, Detectors, Finding, finding, status};
use farol_jobs::time::rfc3339;
use farol_jobs::{Jobs, views};
use farol_lake::FINDINGS;
use farol_lake::sql::Session;
use futures::TryStreamExt as _;
use serde_json::{Value, json};

use crate::cli::{DetectCommand, DetectExplainArgs, DetectRunArgs};
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::output;

/// How wide a sparkline is at the most.
const WIDTH: usize = 100;

/// Windows after an incident that a picture shows.
const WINDOWS_AFTER: i64 = 30;

/// Runs `farol detect …`.
pub async fn run(context: &Context, command: DetectCommand) -> anyhow::Result<Exit> {
    match command {
        DetectCommand::List => list(context).await,
        DetectCommand::Run(arguments) => history(context, &arguments).await,
        DetectCommand::Explain(arguments) => explain(context, &arguments).await,
    }
}

async fn list(context: &Context) -> anyhow::Result<Exit> {
    let jobs = context.jobs().await?;
    let detectors = context.detectors(&jobs)?;
    let status = status::status(&context.lake().await?, &detectors).await?;
    let judged_to = |detector: &str, job: &str| {
        let of_unit = status
            .iter()
            .find(|unit| unit.detector == detector && unit.job == job);
        of_unit.and_then(|unit| unit.judged_to.clone())
    };
    let mut rows = Vec::new();
    for detector in detectors.iter() {
        for unit in &detector.units {
            let judged_to = judged_to(&detector.name, &unit.job);
            let measures: Vec<_> = unit
                .measures
                .iter()
                .map(|watched| json!({"measure": watched.measure, "method": watched.method.as_str(), "direction": watched.direction.as_str()}))
                .collect();
            if context.json {
                output::json(&json!({
                    "name": detector.name, "description": detector.description, "job": unit.job, "by": unit.by,
                    "window_seconds": unit.window_us / 1_000_000, "settle_seconds": unit.settle_us / 1_000_000,
                    "warm_up_seconds": unit.warm_up_us / 1_000_000, "measures": measures,
                    "false_alarms_per_week": unit.false_alarms_per_week, "judged_to": judged_to,
                }))?;
            }
            rows.push(vec![
                detector.name.clone(),
                unit.job.clone(),
                unit.by.join(", "),
                unit.measures.len().to_string(),
                format!("{:.3}", unit.false_alarms_per_week),
                judged_to.unwrap_or_else(|| "-".to_owned()),
            ]);
        }
    }
    if !context.json {
        let header = [
            "detector",
            "on",
            "by",
            "measures",
            "false alarms a week",
            "judged to",
        ];
        output::line(output::table(&header, &rows).trim_end())?;
    }
    Ok(Exit::Done)
}

async fn history(context: &Context, arguments: &DetectRunArgs) -> anyhow::Result<Exit> {
    if arguments.from >= arguments.to {
        return Err(usage("--from must be before --to"));
    }
    let jobs = context.jobs().await?;
    let all = context.detectors(&jobs)?;
    let detectors = match &arguments.detector {
        Some(name) => only(&all, name)?,
        None => all,
    };
    let lake = context.lake().await?;
    let done = replay(&lake, &jobs, &detectors, arguments.from, arguments.to).await?;
    if context.json {
        for finding in &done.findings {
            output::json(&to_json(finding))?;
        }
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = done.findings.iter().map(row).collect();
    if !rows.is_empty() {
        let header = [
            "noticed",
            "state",
            "since",
            "measure",
            "segment",
            "observed",
            "expected",
            "explained by",
        ];
        output::line(output::table(&header, &rows).trim_end())?;
    }
    output::line(&summary(&done, arguments))?;
    Ok(Exit::Done)
}

fn only(detectors: &Detectors, name: &str) -> Result<Detectors, DetectorError> {
    detectors.only(name).ok_or_else(|| DetectorError::Unknown {
        name: name.to_owned(),
        known: detectors.names(),
    })
}

fn row(finding: &Finding) -> Vec<String> {
    vec![
        rfc3339(finding.window.end_us),
        finding.state.as_str().to_owned(),
        rfc3339(finding.since_us),
        format!("{}.{}", finding.job, finding.measure),
        finding.segment.clone(),
        format!("{:.4}", finding.observed),
        format!("{:.4}", finding.reference),
        first_cause(finding).unwrap_or_else(|| "-".to_owned()),
    ]
}

/// The best root cause in words: `model=gpt-4o 93 %`.
fn first_cause(finding: &Finding) -> Option<String> {
    let causes: Value = serde_json::from_str(&finding.root_causes).ok()?;
    let first = causes.get(0)?;
    Some(format!(
        "{} {:.0} %",
        segment_words(first.get("segment")?),
        first.get("share")?.as_f64()? * 100.0
    ))
}

/// A segment as a person writes it: `service=chat, model=gpt-4o`.
fn segment_words(segment: &Value) -> String {
    let pairs = segment.as_object().into_iter().flatten();
    let words: Vec<_> = pairs
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or("null")))
        .collect();
    words.join(", ")
}

fn summary(done: &Replay, arguments: &DetectRunArgs) -> String {
    let incidents = done.findings.iter().filter(|one| one.revision == 0).count();
    format!(
        "{} to {}: {} series, {} windows with those that were learned from, {incidents} incidents",
        rfc3339(arguments.from),
        rfc3339(arguments.to),
        done.series,
        done.windows
    )
}

/// A finding by the names of the table, with what is JSON there as JSON here.
fn to_json(finding: &Finding) -> Value {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    json!({
        "finding_id": finding.finding_id, "revision": finding.revision, "state": finding.state.as_str(),
        "detector": finding.detector, "method": finding.method, "job": finding.job, "measure": finding.measure,
        "direction": finding.direction, "segment": parsed(&finding.segment), "since": rfc3339(finding.since_us),
        "window_start": rfc3339(finding.window.start_us), "window_end": rfc3339(finding.window.end_us),
        "noticed_at": rfc3339(finding.noticed_us), "ended_at": finding.ended_us.map(rfc3339), "statistic": finding.statistic,
        "statistic_value": finding.statistic_value, "threshold": finding.threshold, "p_value": finding.p_value,
        "observed": finding.observed, "reference": finding.reference, "effect": finding.effect,
        "effect_low": finding.effect_low, "effect_high": finding.effect_high,
        "reference_start": rfc3339(finding.reference_span.start_us),
        "reference_end": rfc3339(finding.reference_span.end_us), "observations": finding.observations,
        "root_causes": parsed(&finding.root_causes), "samples": parsed(&finding.samples), "sql": finding.sql,
        "tables": parsed(&finding.tables),
    })
}

async fn explain(context: &Context, arguments: &DetectExplainArgs) -> anyhow::Result<Exit> {
    let lake = context.lake().await?;
    let Some(table) = lake.existing(FINDINGS).await? else {
        return Err(usage(
            "nothing was found in this lake yet; `farol detect run` looks at history",
        ));
    };
    let found = finding::find(&table, &arguments.finding).await?;
    let Some(last) = found
        .iter()
        .max_by_key(|one| (one.finding_id.clone(), one.revision))
    else {
        return Err(usage(format!(
            "no finding begins with `{}`; `farol sql \"SELECT finding_id, measure, since FROM findings\"` lists them",
            arguments.finding
        )));
    };
    if found.iter().any(|one| one.finding_id != last.finding_id) {
        return Err(usage(format!(
            "more than one finding begins with `{}`; write more of its id",
            arguments.finding
        )));
    }
    let jobs = context.jobs().await?;
    let session = Session::open(&lake).await?;
    views::register(&session, &jobs).await?;
    let unit = jobs.get(&last.job).and_then(|job| {
        let measure = job
            .measures()
            .iter()
            .find(|known| known.name == last.measure)?;
        measure.unit.clone()
    });
    let series = series(&session, last, unit).await?;
    if let Some(path) = &arguments.plot {
        let shown = shown_distributions(context, &jobs, &session, last, &series.title).await?;
        let picture = shown.map_or_else(|| svg(&series), |shown| distributions(&shown));
        write(path, &picture)?;
    }
    if context.json {
        output::json(&to_json(last))?;
    } else {
        output::line(&told(last, &series))?;
        if let Some(path) = &arguments.plot {
            output::line(&format!("\ndrawn in {}", path.display()))?;
        }
    }
    Ok(Exit::Done)
}

fn write(path: &Path, picture: &str) -> anyhow::Result<()> {
    use anyhow::Context as _;
    std::fs::write(path, picture).with_context(|| format!("cannot write {}", path.display()))
}

/// Of drift, both distributions; `None` of everything else, and where its detector is not there any more.
async fn shown_distributions(
    context: &Context,
    jobs: &Jobs,
    session: &Session,
    finding: &Finding,
    title: &str,
) -> anyhow::Result<Option<Distributions>> {
    let detectors = context.detectors(jobs)?;
    let unit = detectors.get(&finding.detector).and_then(|detector| {
        let mut units = detector.units.iter();
        units.find(|unit| unit.job == finding.job && unit.is_drift())
    });
    let Some(unit) = unit else { return Ok(None) };
    let Some((before, now)) = drift::rows::compared(session, unit, finding).await? else {
        return Ok(None);
    };
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let of = |counts: &Counts, name: &String| counts.get(name).copied().unwrap_or(0);
    let both = names
        .into_iter()
        .map(|name| (name.clone(), of(&before, name), of(&now, name)));
    let is_numbers = unit
        .measures
        .iter()
        .any(|watched| watched.measure == finding.measure && watched.method == Method::Numbers);
    let values = if is_numbers {
        let number =
            |(name, before, now): (String, u64, u64)| Some((name.parse().ok()?, before, now));
        let mut numbers: Vec<(f64, u64, u64)> = both.filter_map(number).collect();
        numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
        Values::Numbers(numbers)
    } else {
        Values::Categories(both.collect())
    };
    Ok(Some(Distributions {
        title: title.to_owned(),
        values,
    }))
}

/// The series of a finding, from an hour of windows before it to some after its end.
async fn series(
    session: &Session,
    finding: &Finding,
    unit: Option<String>,
) -> anyhow::Result<Series> {
    let window_us = finding.window.end_us - finding.window.start_us;
    let shown_to_us = finding.ended_us.unwrap_or(finding.window.end_us) + WINDOWS_AFTER * window_us;
    // The finding's own SQL ends where it was noticed; what came after is shown too.
    let noticed = rfc3339(finding.window.end_us);
    let sql = finding.sql.replace(
        &format!("window_start < TIMESTAMP '{noticed}'"),
        &format!("window_start < TIMESTAMP '{}'", rfc3339(shown_to_us)),
    );
    let sql = sql.replace(
        &format!("event_time < TIMESTAMP '{noticed}'"),
        &format!("event_time < TIMESTAMP '{}'", rfc3339(shown_to_us)),
    );
    let (_, mut batches) = session.query(&sql).await?;
    let mut known = std::collections::BTreeMap::new();
    while let Some(batch) = batches.try_next().await? {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let times = cast(batch.column(0), &time)?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let values = cast(batch.column(1), &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            let value = values.is_valid(row).then(|| values.value(row));
            known.insert(times.value(row), value);
        }
    }
    let mut points = Vec::new();
    if let (Some((&first, _)), Some((&last, _))) = (known.first_key_value(), known.last_key_value())
    {
        let mut at = first;
        while at <= last {
            points.push((at, known.get(&at).copied().flatten()));
            at += window_us;
        }
    }
    let segment = serde_json::from_str(&finding.segment).unwrap_or(Value::Null);
    Ok(Series {
        title: format!("{} of {}", finding.measure, segment_words(&segment)),
        unit,
        points,
        window_us,
        reference: finding.reference,
        since_us: finding.since_us,
        noticed_us: finding.window.end_us,
        ended_us: finding.ended_us,
    })
}

/// A finding for a person.
fn told(finding: &Finding, series: &Series) -> String {
    let number = |value: f64| format!("{value:.4}");
    let interval = match (finding.effect_low, finding.effect_high) {
        (Some(low), Some(high)) => format!(" (95 %: {} to {})", number(low), number(high)),
        _ => String::new(),
    };
    let unit = series
        .unit
        .as_deref()
        .map(|unit| format!(" {unit}"))
        .unwrap_or_default();
    let end = match finding.ended_us {
        Some(ended_us) => format!("{} {}", finding.state.as_str(), rfc3339(ended_us)),
        None => "it goes on".to_owned(),
    };
    let (blocks, marks) = sparkline(series, WIDTH);
    let mut lines = vec![
        format!("{}  {}", finding.finding_id, series.title),
        format!(
            "since {}, noticed {}, {end}",
            rfc3339(finding.since_us),
            rfc3339(finding.window.end_us)
        ),
        String::new(),
        format!("  {blocks}"),
        format!("  {marks}"),
        "  ┬ since  ▲ noticed  ┴ over".to_owned(),
        String::new(),
        format!(
            "observed   {}{unit}, of {} {}",
            number(finding.observed),
            finding.observations,
            if finding.method == "rate" {
                "trials"
            } else {
                "windows"
            }
        ),
        format!(
            "expected   {}{unit}, learned from {} to {}",
            number(finding.reference),
            rfc3339(finding.reference_span.start_us),
            rfc3339(finding.reference_span.end_us)
        ),
        format!("effect     {}{unit}{interval}", number(finding.effect)),
        format!(
            "evidence   {} {:.3e}, against {:.3e} observations between false alarms",
            finding.statistic, finding.statistic_value, finding.threshold
        ),
        format!(
            "detector   {} ({}, {}) on {}",
            finding.detector, finding.method, finding.direction, finding.job
        ),
    ];
    lines.extend(causes(finding));
    let samples: Vec<String> = serde_json::from_str(&finding.samples).unwrap_or_default();
    if !samples.is_empty() {
        lines.push(format!("traces     {}", samples.join(", ")));
    }
    lines.push(format!("sql        {}", finding.sql));
    lines.join("\n")
}

/// The root causes, one a line.
fn causes(finding: &Finding) -> Vec<String> {
    let causes: Value = serde_json::from_str(&finding.root_causes).unwrap_or(Value::Null);
    let shown = |value: &Value| {
        value
            .as_f64()
            .map_or("-".to_owned(), |value| format!("{value:.4}"))
    };
    let mut lines = Vec::new();
    for (place, cause) in causes.as_array().into_iter().flatten().enumerate() {
        let lead = if place == 0 {
            "explained  "
        } else {
            "           "
        };
        lines.push(format!(
            "{lead}{:.0} % by {}: {} there, {} before",
            cause["share"].as_f64().unwrap_or(0.0) * 100.0,
            segment_words(&cause["segment"]),
            shown(&cause["observed"]),
            shown(&cause["reference"])
        ));
    }
    lines
}
