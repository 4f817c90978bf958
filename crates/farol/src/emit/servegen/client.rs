//! One client: its windows one after the other, and the requests of each.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{
    density::Densities,
    requests::{Identity, Requests},
    window::{Parameters, Window},
};
use crate::emit::{error::EmitError, record::Record};

/// The requests of one client in order of time.
///
/// A pool may have thousands of clients: between two portions of windows the file is closed, and
/// only the present window and the present densities are held.
pub struct Client {
    trace_file: PathBuf,
    dataset_file: Option<PathBuf>,
    /// Byte and line at which the next portion starts; `None` at the end of the file.
    resume: Option<(u64, u64)>,
    ahead: VecDeque<Parameters>,
    length_s: u64,
    identity: Identity,
    start_us: i64,
    densities: Densities,
    densities_until_s: u64,
    window: Option<Requests>,
    failed: bool,
}

/// A window's length where the file has only one line.
const WINDOW_S: u64 = 600;

/// Lines read at a time.
const PORTION: usize = 64;

impl Client {
    /// A client by its `chunk-N-trace.csv`, whose time zero is `start_us`. Without `service` the
    /// service is `servegen`.
    pub fn open(
        trace_file: &Path,
        service: Option<&str>,
        start_us: i64,
    ) -> Result<Self, EmitError> {
        let read_error = |source| EmitError::Read {
            file: trace_file.to_owned(),
            source,
        };
        let absolute = std::fs::canonicalize(trace_file).map_err(read_error)?;
        let file_name = absolute
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let chunk = file_name
            .strip_suffix("-trace.csv")
            .unwrap_or(&file_name)
            .to_owned();
        let dataset_file = absolute.with_file_name(format!("{chunk}-dataset.json"));
        let parents: Vec<String> = absolute
            .ancestors()
            .skip(1)
            .take(2)
            .filter_map(|parent| Some(parent.file_name()?.to_string_lossy().into_owned()))
            .collect();
        let model = parents.first().cloned().unwrap_or_default();
        let name = parents
            .iter()
            .rev()
            .chain([&chunk])
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("/");
        let identity = Identity {
            name,
            model: model.into(),
            service: service.unwrap_or("servegen").into(),
        };
        Ok(Self {
            trace_file: trace_file.to_owned(),
            dataset_file: dataset_file.exists().then_some(dataset_file),
            resume: Some((0, 0)),
            ahead: VecDeque::new(),
            length_s: WINDOW_S,
            identity,
            start_us,
            densities: Densities::default(),
            densities_until_s: 0,
            window: None,
            failed: false,
        })
    }

    /// Opens the next window that has requests; `false` at the end.
    fn next_window(&mut self) -> Result<bool, EmitError> {
        loop {
            if self.ahead.len() < 2 {
                self.read_portion()?;
            }
            let Some(parameters) = self.ahead.pop_front() else {
                return Ok(false);
            };
            if let Some(next) = self.ahead.front() {
                self.length_s = next.start_s - parameters.start_s;
            }
            let requests = parameters.requests(self.length_s);
            if requests > 0 {
                self.enter_period(parameters.start_s)?;
                let start_us = self
                    .start_us
                    .saturating_add((parameters.start_s * 1_000_000) as i64);
                let arrivals = Window::new(&parameters, start_us, self.length_s, requests);
                self.window = Some(Requests::new(
                    parameters.start_s,
                    requests,
                    arrivals,
                    &self.densities,
                ));
                return Ok(true);
            }
        }
    }

    fn enter_period(&mut self, at_s: u64) -> Result<(), EmitError> {
        if at_s >= self.densities_until_s {
            (self.densities, self.densities_until_s) = match &self.dataset_file {
                Some(file) => Densities::load(file, at_s)?,
                None => (Densities::default(), u64::MAX),
            };
        }
        Ok(())
    }

    fn read_portion(&mut self) -> Result<(), EmitError> {
        let Some((byte, line)) = self.resume else {
            return Ok(());
        };
        let read_error = |source: io::Error| EmitError::Read {
            file: self.trace_file.clone(),
            source,
        };
        let mut reader = BufReader::new(File::open(&self.trace_file).map_err(read_error)?);
        reader.seek(SeekFrom::Start(byte)).map_err(read_error)?;
        let (mut byte, mut line) = (byte, line);
        let mut text = String::new();
        for _ in 0..PORTION {
            text.clear();
            // A line of six numbers: what is longer than this is no such line.
            let read = io::Read::take(&mut reader, 4_096)
                .read_line(&mut text)
                .map_err(read_error)?;
            if read == 0 {
                self.resume = None;
                return Ok(());
            }
            byte += read as u64;
            line += 1;
            if text.trim().is_empty() {
                continue;
            }
            let fault = |reason| EmitError::Format {
                file: self.trace_file.clone(),
                line,
                reason,
            };
            let parameters = Parameters::parse(text.trim()).map_err(fault)?;
            if self
                .ahead
                .back()
                .is_some_and(|before| before.start_s >= parameters.start_s)
            {
                return Err(fault(
                    "t_s does not come after the line before it".to_owned(),
                ));
            }
            self.ahead.push_back(parameters);
        }
        self.resume = Some((byte, line));
        Ok(())
    }
}

impl Iterator for Client {
    type Item = Result<Record, EmitError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            if let Some(request) = self
                .window
                .as_mut()
                .and_then(|window| window.next(&self.densities))
            {
                return Some(Ok(request.into_record(&self.identity)));
            }
            match self.next_window() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trace: &str, dataset: Option<&str>) -> (tempfile::TempDir, Client) {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let folder = directory.path().join("reason/model-a");
        std::fs::create_dir_all(&folder).expect("the test's folder");
        std::fs::write(folder.join("chunk-3-trace.csv"), trace).expect("the test's file");
        if let Some(dataset) = dataset {
            std::fs::write(folder.join("chunk-3-dataset.json"), dataset).expect("the test's file");
        }
        let client =
            Client::open(&folder.join("chunk-3-trace.csv"), None, 0).expect("an open client");
        (directory, client)
    }

    fn events(client: Client) -> Vec<serde_json::Value> {
        client
            .map(|record| {
                let mut json = Vec::new();
                record
                    .expect("good files")
                    .write_json(None, "run", &mut json)
                    .expect("JSON");
                serde_json::from_slice(&json).expect("JSON")
            })
            .collect()
    }

    #[test]
    fn requests_follow_rate_and_densities() {
        let (_directory, client) = client(
            "0,0,0,,0,0\n600,0.01,1,Gamma,1,1\n1200,0.005,1,Weibull,1,1\n",
            Some(
                r#"{"0": {"input_tokens": "{10: 0.5, 20: 0.5}", "output_tokens": "{8: 1}", "reason_ratio": "{0.5: 1.0}"}}"#,
            ),
        );
        let events = events(client);
        assert_eq!(events.len(), 6 + 3);
        let sum: i64 = events
            .iter()
            .map(|event| event["input_tokens"].as_i64().expect("tokens"))
            .sum();
        assert_eq!(sum, 3 * 30 + 10 + 20 + 10);
        assert!(
            events
                .iter()
                .all(|event| event["reasoning_tokens"] == 4 && event["request_model"] == "model-a")
        );
        assert_eq!(events[0]["event_id"], "reason/model-a/chunk-3/600/0");
        assert!(events[0]["event_time"].as_str() >= Some("1970-01-01T00:10:00"));
        assert!(events[8]["event_time"].as_str() < Some("1970-01-01T00:30:00"));
    }

    #[test]
    fn without_densities_there_are_no_token_counts() {
        let (_directory, client) = client("0,0.01,1,Gamma,1,1\n", None);
        let events = events(client);
        assert_eq!(events.len(), 6);
        assert!(
            events
                .iter()
                .all(|event| event.get("input_tokens").is_none()
                    && event.get("attributes").is_none())
        );
    }

    #[test]
    fn media_are_drawn_piece_by_piece() {
        let (_directory, client) = client(
            "0,0.01,1,Gamma,1,1\n",
            Some(
                r#"{"0": {"text_tokens": "{3: 1}", "image_count": "{1: 0.5, 2: 0.5}", "image_tokens": "{100: 0.5, 200: 0.5}",
                    "audio_count": "{0: 1.0}", "audio_tokens": "{0: 1.0}", "output_tokens": "{8: 1}"}}"#,
            ),
        );
        let events = events(client);
        let sum: i64 = events
            .iter()
            .map(|event| event["input_tokens"].as_i64().expect("tokens"))
            .sum();
        // Three requests with one image and three with two: nine images, five of them of 100 tokens
        // (the middle one of nine lies on the step and takes the lower value).
        assert_eq!(sum, 6 * 3 + 5 * 100 + 4 * 200);
        assert!(
            events
                .iter()
                .all(|event| event["attributes"]["text_tokens"] == 3)
        );
        assert!(events[0]["attributes"].get("audio_tokens").is_none());
    }

    #[test]
    fn a_long_file_is_read_in_portions_and_faults_name_the_line() {
        let lines: Vec<String> = (0..200)
            .map(|line| format!("{},0.01,1,Gamma,1,1\n", line * 600))
            .collect();
        let mut trace = lines.concat();
        trace.push_str("nonsense\n");
        let (_directory, client) = client(&trace, None);
        let all: Vec<_> = client.collect();
        assert!(all.iter().filter(|record| record.is_ok()).count() > 128 * 6);
        let error = all
            .last()
            .expect("some")
            .as_ref()
            .expect_err("a bad line")
            .to_string();
        assert!(
            error.contains("chunk-3-trace.csv:201: 1 columns, expected six"),
            "{error}"
        );
    }
}
