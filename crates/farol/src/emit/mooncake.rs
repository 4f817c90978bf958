//! The Mooncake traces: JSON lines with `timestamp`, `input_length`, `output_length`, `hash_ids`.
//!
//! `timestamp` counts milliseconds from the start of the trace, which is placed at `--start`.
//! `hash_ids` names the 512-token blocks of the prompt and is kept in `attributes`: which of them a
//! cache would have held depends on a cache that the trace does not know, so no cached tokens are
//! claimed.

use std::{path::Path, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    error::EmitError,
    lines::{BytesRead, Lines},
    record::{Content, Record, WorkloadEvent},
    request_id,
};

/// The requests of one file.
pub struct Mooncake {
    lines: Lines,
    service: Arc<str>,
    start_us: i64,
}

#[derive(Deserialize)]
struct Row<'a> {
    timestamp: f64,
    input_length: u32,
    output_length: u32,
    #[serde(borrow)]
    hash_ids: Option<&'a RawValue>,
}

impl Mooncake {
    /// Opens a file whose time zero is `start_us`. Without `service` the service is the file's name
    /// without `_trace` and its ending: `conversation`, `synthetic`.
    pub fn open(
        file: &Path,
        service: Option<&str>,
        start_us: i64,
        read: BytesRead,
    ) -> Result<Self, EmitError> {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let service = service
            .unwrap_or_else(|| stem.strip_suffix("_trace").unwrap_or(&stem))
            .into();
        Ok(Self {
            lines: Lines::open(file, read)?,
            service,
            start_us,
        })
    }

    fn event(&self, line: &[u8]) -> Result<Record, String> {
        let row: Row = serde_json::from_slice(line).map_err(|error| {
            let text = error.to_string();
            let what = text.split(" at line ").next().unwrap_or(&text);
            format!("expected an object with timestamp, input_length and output_length: {what} at column {}", error.column())
        })?;
        if !(0.0..1e13).contains(&row.timestamp) {
            return Err(format!(
                "timestamp is {}, expected milliseconds since the start of the trace",
                row.timestamp
            ));
        }
        let event_id = request_id(self.lines.file(), self.lines.line(), line);
        let mut event = WorkloadEvent::new(event_id, Arc::clone(&self.service));
        event.input_tokens = Some(row.input_length.into());
        event.output_tokens = Some(row.output_length.into());
        if let Some(hash_ids) = row.hash_ids {
            let attributes = format!("{{\"hash_ids\":{}}}", hash_ids.get());
            event.attributes =
                Some(RawValue::from_string(attributes).map_err(|error| error.to_string())?);
        }
        let time_us = self
            .start_us
            .saturating_add((row.timestamp * 1_000.0).round() as i64);
        Ok(Record {
            event_time_us: Some(time_us),
            content: Content::Workload(Box::new(event)),
        })
    }
}

impl Iterator for Mooncake {
    type Item = Result<Record, EmitError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.lines.next_line()? {
                Ok(line) if line.trim_ascii().is_empty() => continue,
                Ok(line) => line.to_vec(),
                Err(error) => return Some(Err(error)),
            };
            return Some(self.event(&line).map_err(|reason| self.lines.fault(reason)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_its_time_from_the_start() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let file = directory.path().join("conversation_trace.jsonl");
        std::fs::write(
            &file,
            "{\"timestamp\": 1500, \"input_length\": 6758, \"output_length\": 500, \"hash_ids\": [0, 1]}\n{\"timestamp\": -1}\n",
        )
        .expect("the test's file");
        let source = Mooncake::open(&file, None, 1_735_689_600_000_000, BytesRead::default())
            .expect("an open file");
        let records: Vec<_> = source.collect();
        let record = records[0].as_ref().expect("a good line");
        let mut json = Vec::new();
        record.write_json(None, "run", &mut json).expect("JSON");
        let id = record.key().expect("an id").to_owned();
        assert_eq!(
            String::from_utf8_lossy(&json),
            format!(
                "{{\"event_id\":\"{id}\",\"event_time\":\"2025-01-01T00:00:01.500000Z\",\"service\":\"conversation\",\
                 \"operation\":\"chat\",\"input_tokens\":6758,\"output_tokens\":500,\"attributes\":{{\"hash_ids\":[0, 1]}}}}"
            )
        );
        assert!(
            records[1]
                .as_ref()
                .expect_err("no lengths")
                .to_string()
                .contains("jsonl:2: expected an object")
        );
    }
}
