//! Rows of the `actions` table as messages.

use std::time::Duration;

use arrow::array::{Array as _, RecordBatch};
use chrono::{DateTime, SecondsFormat};
use datafusion::prelude::{SessionContext, col, lit};
use farol_kafka::Record;
use farol_lake::Table;

use super::sink::ID_HEADER;
use super::{Outputs, Position};
use crate::action::{ActionKind, NEXT_NUMBER, number_column, text_column};
use crate::error::TriggerError;

/// Actions that are published at once at the most.
pub(super) const BATCH_ACTIONS: usize = 500;

/// A message to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub topic: String,
    pub key: String,
    pub payload: Vec<u8>,
    pub timestamp_ms: i64,
    pub headers: Vec<(&'static str, String)>,
    /// What it is known by, where that must not be there twice.
    pub id: Option<String>,
}

impl Message {
    pub fn header_pairs(&self) -> Vec<(&str, &str)> {
        self.headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect()
    }

    pub fn record<'a>(&'a self, headers: &'a [(&'a str, &'a str)]) -> Record<'a> {
        Record {
            topic: &self.topic,
            key: Some(self.key.as_bytes()),
            payload: Some(&self.payload),
            timestamp_ms: Some(self.timestamp_ms),
            headers,
        }
    }
}

/// The messages of the actions after a position, which is moved past them.
pub(super) async fn messages(
    table: &Table,
    outputs: &Outputs,
    position: &mut Position,
    source: &str,
) -> Result<Vec<Message>, TriggerError> {
    let decided = table.marks(NEXT_NUMBER).await?;
    let decided = decided.get(NEXT_NUMBER).copied().unwrap_or(0);
    if decided <= position.next_action {
        return Ok(Vec::new());
    }
    let through = decided.min(position.next_action + BATCH_ACTIONS as i64);
    let context = SessionContext::new();
    let rows = table.rows_at(table.version()).await?;
    let number = || col("action_number");
    let rows = context
        .read_table(rows)?
        .filter(
            number()
                .gt_eq(lit(position.next_action))
                .and(number().lt(lit(through))),
        )?
        .sort(vec![number().sort(true, true)])?
        .collect()
        .await?;
    let mut messages = Vec::new();
    for batch in rows {
        let numbers = number_column(&batch, "action_number")?;
        for row in 0..batch.num_rows() {
            // Dense and in order, or something was lost: then nothing is sent.
            if numbers.value(row) != position.next_action {
                return Err(TriggerError::ActionMissing {
                    number: position.next_action,
                });
            }
            messages.push(message(&batch, row, outputs, source)?);
            position.next_action += 1;
        }
    }
    if position.next_action != through {
        return Err(TriggerError::ActionMissing {
            number: position.next_action,
        });
    }
    Ok(messages)
}

fn message(
    batch: &RecordBatch,
    row: usize,
    outputs: &Outputs,
    source: &str,
) -> Result<Message, TriggerError> {
    let text = |name: &str| -> Result<String, TriggerError> {
        let column = text_column(batch, name)?;
        if column.is_null(row) {
            return Err(TriggerError::Malformed(format!("an action has no `{name}`")));
        }
        Ok(column.value(row).to_owned())
    };
    let word = text("kind")?;
    let topic = ActionKind::parse(&word).and_then(|kind| outputs.actions.get(&kind));
    let topic = topic.ok_or_else(|| {
        TriggerError::Malformed(format!("this version sends no actions of kind `{word}`"))
    })?;
    let end_us = number_column(batch, "window_end")?.value(row);
    let id = text("action_id")?;
    Ok(Message {
        topic: topic.clone(),
        key: text("message_key")?,
        payload: text("body")?.into_bytes(),
        timestamp_ms: end_us.div_euclid(1_000),
        headers: vec![
            ("ce_specversion", "1.0".to_owned()),
            (ID_HEADER, id.clone()),
            ("ce_type", format!("farol.{word}")),
            ("ce_source", source.to_owned()),
            ("ce_time", rfc3339(end_us)),
            ("content-type", "application/json".to_owned()),
        ],
        id: Some(id),
    })
}

/// A time as RFC 3339 in UTC, to the microsecond where it has any.
pub(crate) fn rfc3339(time_us: i64) -> String {
    let whole = Duration::from_secs(1).as_micros() as i64;
    let format = if time_us % whole == 0 {
        SecondsFormat::Secs
    } else {
        SecondsFormat::Micros
    };
    DateTime::from_timestamp_micros(time_us)
        .map(|time| time.to_rfc3339_opts(format, true))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_schema() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_500_000), "1970-01-01T00:00:01.500000Z");
        assert_eq!(rfc3339(-1_000_000), "1969-12-31T23:59:59Z");
    }
}
