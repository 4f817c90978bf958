//! The Azure LLM inference traces: `TIMESTAMP,ContextTokens,GeneratedTokens`.
//!
//! One line is one request. `TIMESTAMP` is when it was invoked, in steps of 100 ns and UTC; the
//! trace knows no other time, so that it is the event's time (in microseconds, the rest cut off).
//! Text, model, latency and outcome are unknown and stay absent.

use std::{path::Path, sync::Arc};

use chrono::NaiveDateTime;

use super::{
    error::EmitError,
    lines::{BytesRead, Lines},
    record::{Content, Record, WorkloadEvent},
    request_id,
};

/// The requests of one file.
pub struct Azure {
    lines: Lines,
    service: Arc<str>,
    columns: Columns,
}

/// Where the three columns are.
#[derive(Debug, PartialEq)]
struct Columns {
    timestamp: usize,
    context_tokens: usize,
    generated_tokens: usize,
}

impl Azure {
    /// Opens a file and reads its header. Without `service` the service is the file's name without
    /// `AzureLLMInferenceTrace_` and its ending: `code`, `conv`.
    pub fn open(file: &Path, service: Option<&str>, read: BytesRead) -> Result<Self, EmitError> {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let service = service
            .unwrap_or_else(|| {
                stem.strip_prefix("AzureLLMInferenceTrace_")
                    .unwrap_or(&stem)
            })
            .into();
        let mut lines = Lines::open(file, read)?;
        let header = match lines.next_line() {
            Some(line) => String::from_utf8_lossy(line?).into_owned(),
            None => String::new(),
        };
        let columns = columns(&header).map_err(|reason| EmitError::Format {
            file: file.to_owned(),
            line: 1,
            reason,
        })?;
        Ok(Self {
            lines,
            service,
            columns,
        })
    }
}

fn columns(header: &str) -> Result<Columns, String> {
    let names: Vec<&str> = header
        .trim_start_matches('\u{feff}')
        .split(',')
        .map(str::trim)
        .collect();
    let find = |name: &str| {
        let at = names
            .iter()
            .position(|found| found.eq_ignore_ascii_case(name));
        at.ok_or_else(|| {
            format!("no column {name}: expected the header TIMESTAMP,ContextTokens,GeneratedTokens")
        })
    };
    Ok(Columns {
        timestamp: find("TIMESTAMP")?,
        context_tokens: find("ContextTokens")?,
        generated_tokens: find("GeneratedTokens")?,
    })
}

/// One line: time in microseconds, tokens in, tokens out.
fn row(columns: &Columns, line: &str) -> Result<(i64, i64, i64), String> {
    let values: Vec<&str> = line.split(',').map(str::trim).collect();
    let value = |at: usize, name: &str| {
        values
            .get(at)
            .copied()
            .ok_or_else(|| format!("{name} is missing"))
    };
    let tokens = |at: usize, name: &str| {
        let text = value(at, name)?;
        match text.parse::<i64>() {
            Ok(tokens) if tokens >= 0 => Ok(tokens),
            _ => Err(format!(
                "{name} is '{text}', expected a whole number of tokens"
            )),
        }
    };
    let text = value(columns.timestamp, "TIMESTAMP")?;
    // The published files have no zone and are in UTC; newer ones of the family add "+00:00".
    let local = text
        .strip_suffix("+00:00")
        .or_else(|| text.strip_suffix('Z'))
        .unwrap_or(text);
    let time = NaiveDateTime::parse_from_str(&local.replacen('T', " ", 1), "%Y-%m-%d %H:%M:%S%.f")
        .map_err(|_| {
            format!("TIMESTAMP is '{text}', expected a time like 2023-11-16 18:17:03.9799600")
        })?;
    Ok((
        time.and_utc().timestamp_micros(),
        tokens(columns.context_tokens, "ContextTokens")?,
        tokens(columns.generated_tokens, "GeneratedTokens")?,
    ))
}

impl Iterator for Azure {
    type Item = Result<Record, EmitError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.lines.next_line()? {
                Ok(line) if line.trim_ascii().is_empty() => continue,
                Ok(line) => String::from_utf8_lossy(line).into_owned(),
                Err(error) => return Some(Err(error)),
            };
            let (time_us, input_tokens, output_tokens) = match row(&self.columns, &line) {
                Ok(row) => row,
                Err(reason) => return Some(Err(self.lines.fault(reason))),
            };
            let event_id = request_id(self.lines.file(), self.lines.line(), line.as_bytes());
            let mut event = WorkloadEvent::new(event_id, Arc::clone(&self.service));
            event.input_tokens = Some(input_tokens);
            event.output_tokens = Some(output_tokens);
            return Some(Ok(Record {
                event_time_us: Some(time_us),
                content: Content::Workload(Box::new(event)),
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_what_the_trace_says_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let file = directory.path().join("AzureLLMInferenceTrace_code.csv");
        std::fs::write(&file, "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799609,4808,10\r\nx,1,2\r\n")
            .expect("the test's file");
        let records: Vec<_> = Azure::open(&file, None, BytesRead::default())
            .expect("a good header")
            .collect();
        let mut json = Vec::new();
        let record = records[0].as_ref().expect("a good line");
        record.write_json(None, "run", &mut json).expect("JSON");
        let id = record.key().expect("an id").to_owned();
        assert!(id.starts_with("AzureLLMInferenceTrace_code.csv:2:"), "{id}");
        assert_eq!(
            String::from_utf8_lossy(&json),
            format!(
                "{{\"event_id\":\"{id}\",\"event_time\":\"2023-11-16T18:17:03.979960Z\",\"service\":\"code\",\
                 \"operation\":\"chat\",\"input_tokens\":4808,\"output_tokens\":10}}"
            )
        );
        let fault = records[1].as_ref().expect_err("a bad time").to_string();
        assert!(fault.contains("code.csv:3: TIMESTAMP is 'x'"), "{fault}");
    }

    #[test]
    fn bad_lines_say_what_was_expected() {
        let columns =
            columns("ContextTokens,TIMESTAMP,GeneratedTokens").expect("all three columns");
        assert_eq!(
            row(&columns, "5,2023-11-16 18:17:03,6").map(|row| (row.1, row.2)),
            Ok((5, 6))
        );
        assert!(
            row(&columns, "5,2023-11-16 18:17:03,-6")
                .unwrap_err()
                .contains("GeneratedTokens is '-6'")
        );
        assert!(
            row(&columns, "5,2023-11-16 18:17:03")
                .unwrap_err()
                .contains("GeneratedTokens is missing")
        );
        assert!(
            super::columns("{\"timestamp\":0}")
                .unwrap_err()
                .contains("expected the header")
        );
    }
}
