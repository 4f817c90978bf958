//! Events as they are, one JSON object a line.
//!
//! A line goes to Kafka byte for byte unless its time or service is to be changed; then only those
//! members are replaced and every other member keeps its text. A line that is not a JSON object is
//! reported and not sent, because ingest could only make a dead letter of it; `--unchecked` sends
//! it all the same.

use std::{io::Write as _, path::Path, sync::Arc};

use farol_events::Kind;

use super::{
    error::EmitError,
    lines::{BytesRead, Lines},
    members::Members,
    record::{Content, Record},
    time::{event_time_us, rfc3339},
};

/// One line that was read.
#[derive(Debug)]
pub struct Line {
    file: Arc<Path>,
    number: u64,
    text: Vec<u8>,
    key: Option<String>,
    service: Option<String>,
    kind: Kind,
}

impl Line {
    /// File and line, for messages.
    pub fn origin(&self) -> String {
        format!("{}:{}", self.file.display(), self.number)
    }

    /// The record key: trace id, else event id.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The kind of event that the members speak of.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Writes the line, its times moved from `old_us` to `new_us` where a new one is given.
    pub fn write_json(
        &self,
        old_us: Option<i64>,
        new_us: Option<i64>,
        into: &mut Vec<u8>,
    ) -> serde_json::Result<()> {
        let moved = new_us.filter(|new| Some(*new) != old_us);
        if moved.is_none() && self.service.is_none() {
            into.extend_from_slice(&self.text);
            return Ok(());
        }
        let members: Members = serde_json::from_slice(&self.text)?;
        let mut write = ObjectWriter::new(into);
        for (name, value) in members.iter() {
            let start_us = match (name, moved, old_us) {
                ("event_time", Some(_), _) => continue,
                ("start_time", Some(new), Some(old)) => {
                    event_time_us(value).map(|start| start + (new - old))
                }
                ("service", ..) if self.service.is_some() => continue,
                _ => None,
            };
            match start_us {
                Some(start_us) => write.text(name, &rfc3339(start_us))?,
                None => write.raw(name, value)?,
            }
        }
        if let Some(moved) = moved {
            write.text("event_time", &rfc3339(moved))?;
        }
        if let Some(service) = &self.service {
            write.text("service", service)?;
        }
        write.finish();
        Ok(())
    }
}

/// The lines of one file as events.
pub struct Ndjson {
    file: Arc<Path>,
    lines: Lines,
    service: Option<String>,
    unchecked: bool,
}

impl Ndjson {
    /// Opens a file. `service` replaces every event's service; `unchecked` sends every line as it is.
    pub fn open(
        file: &Path,
        service: Option<&str>,
        unchecked: bool,
        read: BytesRead,
    ) -> Result<Self, EmitError> {
        let lines = Lines::open(file, read)?;
        Ok(Self {
            file: lines.file().into(),
            lines,
            service: service.map(str::to_owned),
            unchecked,
        })
    }

    fn line(&self, text: Vec<u8>) -> Line {
        let (file, number) = (Arc::clone(&self.file), self.lines.line());
        Line {
            file,
            number,
            text,
            key: None,
            service: None,
            kind: Kind::Trace,
        }
    }

    fn event(&self, text: Vec<u8>) -> Result<Record, EmitError> {
        let members = match serde_json::from_slice::<Members>(&text) {
            Ok(members) => members,
            Err(_) if self.unchecked => {
                let line = Line {
                    key: None,
                    service: None,
                    kind: Kind::Trace,
                    ..self.line(text)
                };
                return Ok(Record {
                    event_time_us: None,
                    content: Content::Line(line),
                });
            }
            Err(error) => return Err(self.lines.fault(not_an_object(&error))),
        };
        let key = members.id("trace_id").or_else(|| members.id("event_id"));
        let time_us = members.get("event_time").and_then(event_time_us);
        let kind = members.kind();
        let line = Line {
            key,
            kind,
            service: self.service.clone(),
            ..self.line(text)
        };
        Ok(Record {
            event_time_us: time_us,
            content: Content::Line(line),
        })
    }
}

/// serde_json counts lines within the text it was given; only the column helps here.
fn not_an_object(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    match error.column() {
        0 => format!("expected a JSON object, not sent: {what}"),
        column => format!("expected a JSON object, not sent: {what} at column {column}"),
    }
}

impl Iterator for Ndjson {
    type Item = Result<Record, EmitError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let text = match self.lines.next_line()? {
                Ok(line) if line.trim_ascii().is_empty() => continue,
                Ok(line) => line.to_vec(),
                Err(error) => return Some(Err(error)),
            };
            return Some(self.event(text));
        }
    }
}

/// Writes an object member by member.
struct ObjectWriter<'a> {
    into: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> ObjectWriter<'a> {
    fn new(into: &'a mut Vec<u8>) -> Self {
        into.push(b'{');
        Self { into, first: true }
    }

    fn name(&mut self, name: &str) -> serde_json::Result<()> {
        if !std::mem::take(&mut self.first) {
            self.into.push(b',');
        }
        serde_json::to_writer(&mut *self.into, name)?;
        self.into.push(b':');
        Ok(())
    }

    fn text(&mut self, name: &str, value: &str) -> serde_json::Result<()> {
        self.name(name)?;
        serde_json::to_writer(&mut *self.into, value)
    }

    fn raw(&mut self, name: &str, value: &str) -> serde_json::Result<()> {
        self.name(name)?;
        self.into
            .write_all(value.as_bytes())
            .map_err(serde_json::Error::io)
    }

    fn finish(self) {
        self.into.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, service: Option<&str>, unchecked: bool) -> Vec<Result<Record, String>> {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let file = directory.path().join("events.ndjson");
        std::fs::write(&file, text).expect("the test's file");
        Ndjson::open(&file, service, unchecked, BytesRead::default())
            .expect("an open file")
            .map(|record| record.map_err(|error| error.to_string()))
            .collect()
    }

    fn written(record: &Record, new_us: Option<i64>) -> String {
        let mut json = Vec::new();
        record
            .write_json(new_us, "run", &mut json)
            .expect("a line that was read");
        String::from_utf8(json).expect("JSON is UTF-8")
    }

    #[test]
    fn a_line_passes_as_it_is() {
        let text = "{ \"event_time\": 1735689600, \"event_id\": 7, \"x\" : [1, 2.50], \"x\":null }";
        let records = read(text, None, false);
        let record = records[0].as_ref().expect("a good line");
        assert_eq!(record.key(), Some("7"));
        assert_eq!(written(record, None), text);
    }

    #[test]
    fn times_move_together_and_the_rest_keeps_its_text() {
        let text = "{\"start_time\":\"2025-01-01T00:00:00Z\",\"n\":1.50,\"event_time\":1735689602,\"trace_id\":\"t\",\"event_id\":\"e\"}";
        let records = read(text, Some("shop"), false);
        let record = records[0].as_ref().expect("a good line");
        assert_eq!(record.key(), Some("t"));
        assert_eq!(
            written(record, Some(1_735_689_603_000_000)),
            "{\"start_time\":\"2025-01-01T00:00:01.000000Z\",\"n\":1.50,\"trace_id\":\"t\",\"event_id\":\"e\",\
             \"event_time\":\"2025-01-01T00:00:03.000000Z\",\"service\":\"shop\"}"
        );
    }

    #[test]
    fn what_is_no_object_is_reported_with_its_line() {
        let records = read(
            "{\"event_id\":\"a\"}\n\n[1]\n{\"event_id\":\n{\"event_id\":\"b\"}\n",
            None,
            false,
        );
        assert_eq!(records.len(), 4);
        assert!(
            records[1]
                .as_ref()
                .unwrap_err()
                .contains("events.ndjson:3: expected a JSON object"),
            "{records:?}"
        );
        assert!(
            records[2]
                .as_ref()
                .unwrap_err()
                .contains("events.ndjson:4:"),
            "{records:?}"
        );
        assert_eq!(records[3].as_ref().unwrap().key(), Some("b"));
    }

    #[test]
    fn unchecked_lines_pass_whatever_they_are() {
        let records = read("{broken\n", None, true);
        let record = records[0].as_ref().expect("unchecked");
        assert_eq!(
            (record.key(), written(record, None).as_str()),
            (None, "{broken")
        );
    }
}
