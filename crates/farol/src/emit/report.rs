//! What a run did, told at its end.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::time::rfc3339;

/// What was sent.
#[derive(Debug, Default)]
pub struct Report {
    /// Events sent, by topic (or by kind where they go to a file).
    pub events: BTreeMap<String, u64>,
    /// Bytes of their JSON.
    pub bytes: u64,
    /// Lines that were left out.
    pub faults: u64,
    /// Earliest and latest event time sent.
    pub times_us: Option<(i64, i64)>,
    /// Whether a signal ended the run before its end.
    pub stopped: bool,
}

impl Report {
    /// Counts one event.
    pub fn count(&mut self, topic: &str, bytes: usize, time_us: Option<i64>) {
        match self.events.get_mut(topic) {
            Some(events) => *events += 1,
            None => drop(self.events.insert(topic.to_owned(), 1)),
        }
        self.bytes += bytes as u64;
        if let Some(time_us) = time_us {
            let (first, last) = self.times_us.unwrap_or((time_us, time_us));
            self.times_us = Some((first.min(time_us), last.max(time_us)));
        }
    }

    /// Events sent in all.
    pub fn total(&self) -> u64 {
        self.events.values().sum()
    }

    /// One line for people, or one JSON object.
    pub fn render(&self, json: bool, took: Duration) -> String {
        let (first, last) = match self.times_us {
            Some((first, last)) => (Some(rfc3339(first)), Some(rfc3339(last))),
            None => (None, None),
        };
        if json {
            let report = Json {
                events: self.total(),
                topics: &self.events,
                bytes: self.bytes,
                faults: self.faults,
                first_event_time: first,
                last_event_time: last,
                seconds: took.as_secs_f64(),
                stopped: self.stopped,
            };
            return serde_json::to_string(&report).expect("texts and numbers always serialise");
        }
        let topics: Vec<String> = self
            .events
            .iter()
            .map(|(topic, events)| format!("{events} to {topic}"))
            .collect();
        let mut line = format!(
            "{} events sent in {:.1} s",
            self.total(),
            took.as_secs_f64()
        );
        if !topics.is_empty() {
            line.push_str(": ");
            line.push_str(&topics.join(", "));
        }
        if let (Some(first), Some(last)) = (first, last) {
            line.extend(["; event times ", first.as_str(), " to ", last.as_str()]);
        }
        if self.stopped {
            line.push_str("; stopped by a signal");
        }
        line
    }
}

#[derive(Serialize)]
struct Json<'a> {
    events: u64,
    topics: &'a BTreeMap<String, u64>,
    bytes: u64,
    faults: u64,
    first_event_time: Option<String>,
    last_event_time: Option<String>,
    seconds: f64,
    stopped: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_how_many_where_and_when() {
        let mut report = Report::default();
        report.count("a", 10, Some(2_000_000));
        report.count("b", 10, Some(1_000_000));
        report.count("a", 10, None);
        assert_eq!(
            report.render(false, Duration::from_secs(2)),
            "3 events sent in 2.0 s: 2 to a, 1 to b; event times 1970-01-01T00:00:01.000000Z to 1970-01-01T00:00:02.000000Z"
        );
        let json: serde_json::Value =
            serde_json::from_str(&report.render(true, Duration::ZERO)).expect("JSON");
        assert_eq!(
            (
                json["events"].as_u64(),
                json["topics"]["a"].as_u64(),
                json["bytes"].as_u64()
            ),
            (Some(3), Some(2), Some(30))
        );
    }
}
