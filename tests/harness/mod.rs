//! What the end-to-end tests share: a real Kafka, a Farol in a process of its own, and patience with a
//! deadline. Nothing here knows Farol but by its command line, its configuration and its tables.

// Each test program includes this module and uses a part of it.
#![allow(dead_code)]

pub mod events;
pub mod farol;
pub mod kafka;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// For what takes seconds when nothing is wrong: two test threads may share two cores with a broker.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Looks at `condition` until it holds; fails the test where it does not within `deadline`.
pub fn wait_until<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            began.elapsed() < deadline,
            "not within {deadline:?}: {what}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// A service in a process of its own, which ends with this one, however that ends.
pub struct Served {
    /// The line it said when it was ready.
    pub said: String,
    /// Its standard input is what keeps it alive.
    _process: Child,
}

/// Starts a service that says a line when it is ready, and ends when its standard input does.
pub fn serve(command: &mut Command) -> Served {
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the service's program is there");
    let mut said = String::new();
    let output = process.stdout.take().expect("it is piped");
    BufReader::new(output)
        .read_line(&mut said)
        .expect("it can be read");
    let said = said.trim().to_owned();
    assert!(!said.is_empty(), "{command:?} did not start");
    Served {
        said,
        _process: process,
    }
}

/// The workspace's root.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the workspace's root is there")
}

/// A file or directory of the data that lies beside a checkout and is no part of it. `None`, said on
/// standard error, where it is not there: the test that asks then has nothing to do.
pub fn shared_data(path: &str) -> Option<PathBuf> {
    let place = root().join("../shared").join(path);
    if place.exists() {
        return Some(place);
    }
    eprintln!(
        "SKIPPED: this test needs {path} of the shared data, and {} is not there",
        place.display()
    );
    None
}

/// A Python with other people's Kafka client and Delta Lake readers.
pub fn python() -> PathBuf {
    let output = Command::new("bash")
        .arg(root().join("tests/services/python.sh"))
        .output()
        .expect("bash is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "tests/services/python.sh failed: {said}"
    );
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
}

/// Holds jobs' measures against an independent computation over the raw events; fails with its lines where something
/// differs, or where a job has no rows.
pub fn measures_equal_raw_events(farol: &farol::Farol, jobs: &[&str]) {
    let named = |option: &'static str| jobs.iter().flat_map(move |job| [option, *job]);
    let judged = Command::new(python())
        .arg(root().join("tests/measures.py"))
        .args(["--farol", env!("CARGO_BIN_EXE_farol"), "--directory"])
        .arg(farol.path())
        .args(named("--job"))
        .args(named("--require"))
        .output()
        .expect("Python is there");
    let said = String::from_utf8_lossy(&judged.stdout);
    let failed = String::from_utf8_lossy(&judged.stderr);
    assert!(judged.status.success(), "{said}{failed}");
    println!("{said}");
}
