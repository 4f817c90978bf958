//! `farol dlq …`: records that could not become rows.

use anyhow::Context as _;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, TimestampMicrosecondType};
use farol_ingest::replay::{self, ReplayFilter, ReplayReport};
use farol_lake::sql::Session;
use futures::TryStreamExt;

use crate::cli::{DlqCommand, DlqFilter, SqlFormat};
use crate::context::Context;
use crate::exit::Exit;
use crate::output;

use super::sql;

/// Dead letters listed when no limit is given.
const DEFAULT_LIMIT: u64 = 100;

/// Runs `farol dlq …`.
pub async fn run(context: &Context, command: DlqCommand) -> anyhow::Result<Exit> {
    match command {
        DlqCommand::List { filter } => list(context, &filter).await,
        DlqCommand::Show {
            topic,
            partition,
            offset,
        } => show(context, &topic, partition, offset).await,
        DlqCommand::Replay { filter } => replay(context, filter).await,
    }
}

async fn list(context: &Context, filter: &DlqFilter) -> anyhow::Result<Exit> {
    let session = open(context).await?;
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT);
    let query = format!(
        "SELECT kafka_topic AS topic, kafka_partition AS partition, kafka_offset AS \"offset\", kafka_entry AS entry, \
         ingested_at, reason_code, reason FROM dead_letters_open{} ORDER BY ingested_at DESC, kafka_offset DESC \
         LIMIT {limit}",
        condition(filter)
    );
    let format = if context.json {
        SqlFormat::Ndjson
    } else {
        SqlFormat::Table
    };
    let rows = sql::to_stdout(&session, &query, format).await?;
    if filter.limit.is_none() && rows == DEFAULT_LIMIT {
        tracing::info!("the newest {DEFAULT_LIMIT} are listed; --limit lists more");
    }
    Ok(Exit::Done)
}

/// The filter as a `WHERE` clause, or nothing.
fn condition(filter: &DlqFilter) -> String {
    let equals = |column: &str, value: &Option<String>| {
        value
            .as_ref()
            .map(|value| format!("{column} = '{}'", value.replace('\'', "''")))
    };
    let conditions: Vec<String> = [
        equals("kafka_topic", &filter.topic),
        equals("reason_code", &filter.reason_code),
    ]
    .into_iter()
    .flatten()
    .collect();
    if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    }
}

async fn show(context: &Context, topic: &str, partition: i32, offset: i64) -> anyhow::Result<Exit> {
    let session = open(context).await?;
    let query = format!(
        "SELECT kafka_entry, ingested_at, reason_code, reason, kafka_key, headers, raw FROM dead_letters \
         WHERE kafka_topic = '{}' AND kafka_partition = {partition} AND kafka_offset = {offset} ORDER BY kafka_entry",
        topic.replace('\'', "''")
    );
    if context.json {
        let rows = sql::to_stdout(&session, &query, SqlFormat::Ndjson).await?;
        anyhow::ensure!(
            rows > 0,
            "there is no dead letter at {topic} {partition} {offset}"
        );
        return Ok(Exit::Done);
    }
    let (_, stream) = session.query(&query).await?;
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    let mut shown = 0;
    for batch in &batches {
        for row in 0..batch.num_rows() {
            output::line(&described(batch, row, topic, partition, offset)?)?;
            shown += 1;
        }
    }
    anyhow::ensure!(
        shown > 0,
        "there is no dead letter at {topic} {partition} {offset}"
    );
    Ok(Exit::Done)
}

/// One dead letter for a person.
fn described(
    batch: &RecordBatch,
    row: usize,
    topic: &str,
    partition: i32,
    offset: i64,
) -> anyhow::Result<String> {
    let column = |name: &str| {
        batch
            .column_by_name(name)
            .with_context(|| format!("no column {name}"))
    };
    let text = |name: &str| -> anyhow::Result<String> {
        let column = arrow::compute::cast(column(name)?, &DataType::Utf8)?;
        let strings = column.as_string::<i32>();
        Ok(if strings.is_null(row) {
            "-".to_owned()
        } else {
            strings.value(row).to_owned()
        })
    };
    let binary = |name: &str| -> anyhow::Result<String> {
        let column = arrow::compute::cast(column(name)?, &DataType::Binary)?;
        let values = column.as_binary::<i32>();
        Ok(if values.is_null(row) {
            "-".to_owned()
        } else {
            output::readable(values.value(row))
        })
    };
    let entry = column("kafka_entry")?
        .as_primitive_opt::<Int32Type>()
        .map_or(0, |entries| entries.value(row));
    let ingested = column("ingested_at")?
        .as_primitive_opt::<TimestampMicrosecondType>()
        .and_then(|times| chrono::DateTime::from_timestamp_micros(times.value(row)))
        .map_or_else(String::new, |time| {
            time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
        });
    Ok(format!(
        "record   {topic}, partition {partition}, offset {offset}, entry {entry}\ningested {ingested}\n\
         reason   {}: {}\nkey      {}\nheaders  {}\n\n{}",
        text("reason_code")?,
        text("reason")?,
        binary("kafka_key")?,
        text("headers")?,
        binary("raw")?
    ))
}

async fn replay(context: &Context, filter: DlqFilter) -> anyhow::Result<Exit> {
    let lake = context.lake().await?;
    let filter = ReplayFilter {
        topic: filter.topic,
        reason_code: filter.reason_code,
        limit: filter.limit,
    };
    let report = replay::replay(
        &lake,
        &filter,
        &context.input_topics(),
        &context.ingest_options(),
    )
    .await?;
    let ReplayReport {
        stored,
        duplicates,
        still_bad,
        examples,
    } = report;
    if context.json {
        output::json(&serde_json::json!({
            "stored": stored, "duplicates": duplicates, "still_bad": still_bad, "examples": examples,
        }))?;
    } else {
        output::line(&format!(
            "stored {stored}, duplicates {duplicates}, still bad {still_bad}"
        ))?;
        for example in &examples {
            output::line(&format!("  {example}"))?;
        }
    }
    Ok(if still_bad > 0 {
        Exit::Degraded
    } else {
        Exit::Done
    })
}

async fn open(context: &Context) -> anyhow::Result<Session> {
    let lake = context.lake().await?;
    Ok(Session::open(&lake).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_become_conditions() {
        assert_eq!(condition(&DlqFilter::default()), "");
        let filter = DlqFilter {
            topic: Some("it's".to_owned()),
            reason_code: Some("invalid_json".to_owned()),
            limit: None,
        };
        assert_eq!(
            condition(&filter),
            " WHERE kafka_topic = 'it''s' AND reason_code = 'invalid_json'"
        );
    }
}
