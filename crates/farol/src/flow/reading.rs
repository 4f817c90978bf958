//! What the lake says of the flow: marks, the last closed minute's measures, and the actions that are new.

use std::collections::BTreeMap;
use std::time::Instant;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use chrono::{DateTime, SecondsFormat, Utc};
use farol_ingest::{InputTopic, status};
use farol_jobs::{Jobs, progress, views};
use farol_lake::sql::Session;
use farol_lake::{ACTIONS, Lake};
use futures::TryStreamExt as _;
use serde_json::Value;

use super::picture::{Flow, Service, Told};
use crate::emit::time::now_us;

/// The job whose measures are shown.
const JOB: &str = "performance";

/// The width of its windows, in microseconds.
const MINUTE_US: i64 = 60_000_000;

/// Messages that are read at once.
const TOLD_MAX: usize = 100;

/// Reads on from where it was.
pub struct Reader {
    lake: Lake,
    topics: Vec<InputTopic>,
    jobs: Jobs,
    session: Session,
    /// Entries read, and when that was seen.
    before: Option<(i64, Instant)>,
    /// The first action that was not read; `None`: none was, and what is there is of earlier.
    next_action: Option<i64>,
    /// What fires: the alert's id, and its words.
    firing: BTreeMap<String, String>,
}

impl Reader {
    pub async fn open(lake: Lake, topics: Vec<InputTopic>, jobs: Jobs) -> anyhow::Result<Self> {
        let session = Session::open(&lake).await?;
        Ok(Self {
            lake,
            topics,
            jobs,
            session,
            before: None,
            next_action: None,
            firing: BTreeMap::new(),
        })
    }

    /// How things are, and what was told of alerts since the last look.
    pub async fn look(&mut self) -> anyhow::Result<(Flow, Vec<Told>)> {
        self.session.refresh().await?;
        views::register(&self.session, &self.jobs).await?;
        let mut flow = Flow::default();
        self.marks(&mut flow).await?;
        self.measures(&mut flow).await?;
        let told = self.actions().await?;
        flow.firing = self.firing.values().cloned().collect();
        Ok((flow, told))
    }

    async fn marks(&mut self, flow: &mut Flow) -> anyhow::Result<()> {
        let marks = status::marks_of(&self.lake, &self.topics).await?;
        let read = marks.values().map(|marks| marks.read).sum::<i64>();
        let now = Instant::now();
        flow.events_per_second = self.before.map(|(known, at)| {
            let seconds = now.duration_since(at).as_secs_f64();
            (read - known) as f64 / seconds.max(0.001)
        });
        self.before = Some((read, now));
        let slowest = marks.values().filter_map(|marks| marks.watermark_us).min();
        flow.watermark_age_seconds = slowest.map(|time_us| (now_us() - time_us) as f64 / 1e6);
        Ok(())
    }

    async fn measures(&self, flow: &mut Flow) -> anyhow::Result<()> {
        let status = progress::status(&self.lake, &self.jobs).await?;
        let watermark_us = status
            .iter()
            .find(|job| job.name == JOB)
            .and_then(|job| job.watermark_us);
        let Some(start_us) = watermark_us.map(|time_us| time_us - time_us.rem_euclid(MINUTE_US))
        else {
            return Ok(());
        };
        let Some(start) = DateTime::<Utc>::from_timestamp_micros(start_us - MINUTE_US) else {
            return Ok(());
        };
        flow.minute = Some(start.format("%H:%M").to_string());
        let sql = format!(
            "SELECT service, requests, error_rate, latency_p95_ms, tokens_per_second FROM measures('{JOB}', '1 minute', 'service') \
             WHERE window_start = TIMESTAMP '{}' ORDER BY service",
            start.to_rfc3339_opts(SecondsFormat::Secs, true)
        );
        for batch in self.query(&sql).await? {
            let names = cast(batch.column(0), &DataType::Utf8)?;
            let names = names.as_string::<i32>();
            let numbers = numbers(&batch, 1..5)?;
            flow.services.extend((0..batch.num_rows()).map(|row| {
                let [requests, error_rate, latency_p95_ms, tokens_per_second] =
                    [0, 1, 2, 3].map(|column: usize| numbers[column][row]);
                Service {
                    name: if names.is_valid(row) {
                        names.value(row)
                    } else {
                        "-"
                    }
                    .to_owned(),
                    requests,
                    error_rate,
                    latency_p95_ms,
                    tokens_per_second,
                }
            }));
        }
        Ok(())
    }

    async fn actions(&mut self) -> anyhow::Result<Vec<Told>> {
        if self.lake.existing(ACTIONS).await?.is_none() {
            self.next_action = Some(0);
            return Ok(Vec::new());
        }
        let earlier = self.next_action.is_none();
        let mut told = Vec::new();
        loop {
            let from = self.next_action.unwrap_or(0);
            let sql = format!(
                "SELECT body, sequence FROM actions WHERE sequence >= {from} AND kind = 'alert' ORDER BY sequence LIMIT {TOLD_MAX}"
            );
            let mut read = 0;
            for batch in self.query(&sql).await? {
                let bodies = cast(batch.column(0), &DataType::Utf8)?;
                let sequences = numbers(&batch, 1..2)?.remove(0);
                for (body, sequence) in bodies.as_string::<i32>().iter().zip(sequences) {
                    let body: Value = serde_json::from_str(body.unwrap_or("null"))?;
                    told.push(self.take(&body));
                    read += 1;
                    self.next_action = Some(sequence.map_or(from, |number| number as i64 + 1));
                }
            }
            if read < TOLD_MAX {
                break;
            }
        }
        self.next_action.get_or_insert(0);
        Ok(if earlier { Vec::new() } else { told })
    }

    /// Takes a message over.
    fn take(&mut self, body: &Value) -> Told {
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let payload = &body["payload"];
        let evidence = &body["evidence"];
        let values = body["segment"].as_object().into_iter().flatten();
        let segment: Vec<String> = values.map(|(_, value)| word(value)).collect();
        let told = Told {
            at: word(&body["window_end"]),
            rule: word(&body["rule"]),
            segment: segment.join(" "),
            previous: word(&payload["previous_state"]),
            state: word(&payload["state"]),
            withdrawn: payload["cause"] == "withdrawn",
            compared: evidence["measure"].as_str().map(|measure| {
                let of = |name: &str| evidence[name].as_f64();
                (measure.to_owned(), of("value"), of("threshold"))
            }),
        };
        let alert = word(&payload["alert_id"]);
        if matches!(told.state.as_str(), "alert" | "warning" | "no_data") {
            self.firing
                .insert(alert, format!("{} {}", told.rule, told.segment));
        } else {
            self.firing.remove(&alert);
        }
        told
    }

    async fn query(&self, sql: &str) -> anyhow::Result<Vec<RecordBatch>> {
        Ok(self.session.query(sql).await?.1.try_collect().await?)
    }
}

/// Columns as numbers.
fn numbers(
    batch: &RecordBatch,
    columns: std::ops::Range<usize>,
) -> anyhow::Result<Vec<Vec<Option<f64>>>> {
    let of = |column: usize| {
        let values = cast(batch.column(column), &DataType::Float64)?;
        Ok(values.as_primitive::<Float64Type>().iter().collect())
    };
    columns.map(of).collect()
}
