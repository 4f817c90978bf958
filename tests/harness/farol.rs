//! Farol as its users run it: a configuration file, commands, and processes that can be killed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::{PATIENCE, wait_until};

/// What makes tests short: new partitions, and instances that are gone, are noticed soon.
const PROPERTIES: &str = "topic.metadata.refresh.interval.ms: '1000', session.timeout.ms: '4000', heartbeat.interval.ms: '500'";

/// An input topic: its name, kind and partitions.
pub type Topic<'a> = (&'a str, &'a str, i32);

/// A directory with a configuration and a lake, and the program to use on them.
pub struct Farol {
    directory: TempDir,
    calls: AtomicUsize,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Results.
    pub stdout: String,
    /// Diagnostics.
    pub stderr: String,
}

/// One partition, as `farol status --json` says it; the names are its.
#[allow(clippy::struct_field_names)]
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Partition {
    pub topic: String,
    pub partition: i32,
    pub next: Option<i64>,
    pub log_end: Option<i64>,
    pub read: i64,
    pub stored: i64,
    pub duplicates: i64,
    pub dead_letters: i64,
    pub lost: i64,
    pub watermark: Option<String>,
    pub replayed: i64,
    pub lag_records: Option<i64>,
    pub owner: Option<String>,
    pub error: Option<String>,
}

/// Sums over partitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub read: i64,
    pub stored: i64,
    pub duplicates: i64,
    pub dead_letters: i64,
    pub lost: i64,
    pub replayed: i64,
}

impl Farol {
    /// A configuration over these brokers and topics. `more` is YAML to add; it may set `ingest` and whatever
    /// else the defaults here leave out.
    pub fn new(brokers: &str, topics: &[Topic<'_>], more: &str) -> Self {
        let mut config = String::from("topics:\n");
        for (name, kind, partitions) in topics {
            // Writing to a string cannot fail.
            let _ = writeln!(
                config,
                "  - {{name: {name}, kind: {kind}, format: json, partitions: {partitions}}}"
            );
        }
        let group = topics.first().map_or("farol", |(name, ..)| *name);
        let _ = writeln!(
            config,
            "server: {{http: null, postgres: null, flight: null}}"
        );
        let _ = writeln!(
            config,
            "kafka: {{brokers: '{brokers}', group: {group}, properties: {{{PROPERTIES}}}}}"
        );
        if !more.contains("ingest:") {
            config.push_str("ingest: {flush_interval: 200ms, idle_timeout: 2s}\n");
        }
        config.push_str(more);
        Self::with_config(&config)
    }

    /// Exactly this configuration.
    pub fn with_config(config: &str) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("farol-test-")
            .tempdir()
            .expect("a directory");
        fs::write(directory.path().join("farol.yaml"), config)
            .expect("the configuration can be written");
        Self {
            directory,
            calls: AtomicUsize::new(0),
        }
    }

    /// The directory that commands run in.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where the lake is.
    pub fn lake(&self) -> PathBuf {
        self.path().join("farol-data/lake")
    }

    fn spawn(&self, arguments: &[&str], environment: &[(&str, &str)]) -> FarolProcess {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let stdout = self.path().join(format!("{call}.out"));
        let stderr = self.path().join(format!("{call}.err"));
        let child = Command::new(env!("CARGO_BIN_EXE_farol"))
            .args(arguments)
            .current_dir(self.path())
            .env_remove("FAROL_FAILPOINT")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).expect("a file for the output"))
            .stderr(File::create(&stderr).expect("a file for the output"))
            .spawn()
            .expect("farol is there");
        FarolProcess {
            child,
            stdout,
            stderr,
            name: format!("farol {}", arguments.join(" ")),
        }
    }

    /// Starts a command that keeps running.
    pub fn start(&self, arguments: &[&str]) -> FarolProcess {
        self.spawn(arguments, &[])
    }

    /// `farol up`, and the addresses that it says it is at.
    pub fn up(&self) -> (FarolProcess, Value) {
        let mut process = self.start(&["up", "--json"]);
        let addresses = wait_until("the addresses are printed", PATIENCE, || {
            assert!(process.ended().is_none(), "{}", process.stderr());
            serde_json::from_str(process.stdout().lines().next()?).ok()
        });
        (process, addresses)
    }

    /// Starts a command with failpoints armed.
    pub fn start_with_failpoint(&self, arguments: &[&str], failpoint: &str) -> FarolProcess {
        self.spawn(arguments, &[("FAROL_FAILPOINT", failpoint)])
    }

    /// Runs a command to its end.
    pub fn call(&self, arguments: &[&str]) -> Ended {
        let mut process = self.start(arguments);
        let status = process.wait(PATIENCE);
        Ended {
            code: status.code(),
            stdout: process.stdout(),
            stderr: process.stderr(),
        }
    }

    /// Runs a command that must succeed, and gives what it printed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.call(arguments);
        assert_eq!(
            ended.code,
            Some(0),
            "farol {}: {}{}",
            arguments.join(" "),
            ended.stdout,
            ended.stderr
        );
        ended.stdout
    }

    /// Reads every topic to its end.
    pub fn drain(&self) {
        self.ok(&["run", "--roles", "ingest", "--drain"]);
    }

    /// The rows of a query.
    pub fn sql(&self, query: &str) -> Vec<Value> {
        let text = self.ok(&["sql", query, "--format", "json"]);
        serde_json::from_str(&text).expect("a list of rows")
    }

    /// The one number that a query gives.
    pub fn number(&self, query: &str) -> i64 {
        let rows = self.sql(query);
        let row = rows.first().and_then(Value::as_object).expect("a row");
        row.values()
            .next()
            .and_then(Value::as_i64)
            .expect("a number")
    }

    /// Every row's `event_id`, sorted.
    pub fn event_ids(&self, table: &str) -> Vec<String> {
        let rows = self.sql(&format!("SELECT event_id FROM {table} ORDER BY event_id"));
        rows.iter()
            .map(|row| row["event_id"].as_str().expect("an id").to_owned())
            .collect()
    }

    /// Every partition's state.
    pub fn status(&self) -> Vec<Partition> {
        let ended = self.call(&["status", "--json"]);
        assert!(
            matches!(ended.code, Some(0 | 3)),
            "farol status: {}",
            ended.stderr
        );
        let status: Value = serde_json::from_str(&ended.stdout).expect("an object");
        serde_json::from_value(status["partitions"].clone()).expect("a list of partitions")
    }

    /// Sums over the partitions, each of which must add up.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for partition in self.status() {
            assert_eq!(
                partition.read,
                partition.stored + partition.duplicates + partition.dead_letters,
                "the accounting of {partition:?}"
            );
            totals.read += partition.read;
            totals.stored += partition.stored;
            totals.duplicates += partition.duplicates;
            totals.dead_letters += partition.dead_letters;
            totals.lost += partition.lost;
            totals.replayed += partition.replayed;
        }
        totals
    }

    /// Waits until so many entries are read and committed.
    pub fn wait_for_read(&self, read: usize) -> Totals {
        wait_until(&format!("{read} entries are read"), PATIENCE, || {
            let totals = self.totals();
            (totals.read >= read as i64).then_some(totals)
        })
    }

    /// Every claim of the marks holds against the rows.
    pub fn verify(&self) {
        self.ok(&["lake", "verify"]);
    }

    /// How many files a table's directory holds, whether they are committed or not.
    pub fn parquet_files(&self, table: &str) -> usize {
        fn count(directory: &Path) -> usize {
            let Ok(entries) = fs::read_dir(directory) else {
                return 0;
            };
            let count_one = |path: PathBuf| {
                let data = path
                    .extension()
                    .is_some_and(|extension| extension == "parquet");
                let log = path.file_name().is_some_and(|name| name == "_delta_log");
                if path.is_dir() && !log {
                    count(&path)
                } else {
                    usize::from(data)
                }
            };
            entries.flatten().map(|entry| count_one(entry.path())).sum()
        }
        count(&self.lake().join(table))
    }
}

/// A Farol at work. It is killed when it is dropped; what it said is shown when a test fails.
pub struct FarolProcess {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    name: String,
}

impl FarolProcess {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).expect("its output is there")
    }

    /// What it logged so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).expect("its output is there")
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids are small");
        kill(Pid::from_raw(id), signal).expect("it runs");
    }

    /// How it ended, once it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("`{}` ends", self.name);
        wait_until(&what, deadline, || self.ended())
    }

    /// Kills it as nothing can prevent.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.wait(PATIENCE);
    }

    /// Asks it to end, and gives its exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.wait(PATIENCE).code()
    }

    /// Freezes it: it neither works nor answers, and does not know.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// The most memory it has held so far, in bytes. `None` once it has ended.
    pub fn peak_memory_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
        Some(kibibytes * 1024)
    }
}

impl Drop for FarolProcess {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may end between the two lines, and then there is nobody to kill.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            let said = fs::read_to_string(&self.stderr).unwrap_or_default();
            let lines: Vec<_> = said.lines().collect();
            eprintln!(
                "--- {}\n{}",
                self.name,
                lines[lines.len().saturating_sub(60)..].join("\n")
            );
        }
    }
}
