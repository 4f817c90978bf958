//! Faults on purpose, for tests: `FAROL_FAILPOINT=ingest.after_upload=kill@3;lake.checkpoint=error`.
//!
//! Each point names a place that a process must survive being stopped at. `kill` sends SIGKILL to the
//! process itself, `error` makes the place fail, `sleep(MS)` makes it wait. `@N` means the Nth pass only;
//! without it `kill` means the first and the others mean every pass.

use crate::exit::usage;

/// The variable that sets them.
const VARIABLE: &str = "FAROL_FAILPOINT";

/// Every point there is, in this version or a later one.
const POINTS: [&str; 22] = [
    "ingest.after_decode",
    "ingest.after_upload",
    "ingest.before_secondary_commit",
    "ingest.after_secondary_commit",
    "ingest.before_commit",
    "ingest.after_commit",
    "ingest.before_kafka_commit",
    "jobs.before_commit",
    "jobs.after_commit",
    "jobs.before_switch",
    "jobs.after_switch",
    "rollups.before_commit",
    "rollups.after_commit",
    "detectors.before_commit",
    "detectors.after_commit",
    "triggers.before_commit",
    "triggers.after_commit",
    "publisher.before_commit",
    "publisher.after_commit",
    "maintenance.before_commit",
    "maintenance.after_commit",
    "lake.checkpoint",
];

/// What a point does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Kill,
    Error,
    Sleep { ms: u64 },
}

/// One point and what it does, at which pass (from 1), or at every one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failpoint {
    point: &'static str,
    action: Action,
    pass: Option<u64>,
}

/// Arms what the environment asks for.
pub fn set_up() -> anyhow::Result<()> {
    let Ok(text) = std::env::var(VARIABLE) else {
        return Ok(());
    };
    if text.trim().is_empty() {
        return Ok(());
    }
    let failpoints = parse(&text).map_err(|reason| usage(format!("{VARIABLE}: {reason}")))?;
    arm(&failpoints)
}

#[cfg(not(feature = "failpoints"))]
fn arm(_: &[Failpoint]) -> anyhow::Result<()> {
    Err(usage(format!(
        "{VARIABLE} is set, but this binary was built without failpoints (cargo feature `failpoints`)"
    )))
}

#[cfg(feature = "failpoints")]
fn arm(failpoints: &[Failpoint]) -> anyhow::Result<()> {
    for failpoint in failpoints {
        let outcome = match failpoint.action {
            Action::Kill => kill_at(failpoint.point, failpoint.pass.unwrap_or(1)),
            Action::Error => fail::cfg(failpoint.point, &at_pass("return", failpoint.pass)),
            Action::Sleep { ms } => fail::cfg(
                failpoint.point,
                &at_pass(&format!("sleep({ms})"), failpoint.pass),
            ),
        };
        outcome.map_err(|reason| anyhow::anyhow!("cannot arm {}: {reason}", failpoint.point))?;
        tracing::warn!("failpoint {} is armed", failpoint.point);
    }
    Ok(())
}

#[cfg(feature = "failpoints")]
fn at_pass(task: &str, pass: Option<u64>) -> String {
    match pass {
        None => task.to_owned(),
        Some(1) => format!("1*{task}->off"),
        Some(pass) => format!("{}*off->1*{task}->off", pass - 1),
    }
}

#[cfg(feature = "failpoints")]
fn kill_at(point: &'static str, pass: u64) -> Result<(), String> {
    use std::sync::atomic::{AtomicU64, Ordering};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let passes = AtomicU64::new(0);
    fail::cfg_callback(point, move || {
        if passes.fetch_add(1, Ordering::Relaxed) + 1 == pass {
            // SIGKILL cannot be caught, so nothing is tidied up: that is the point.
            if let Err(error) = kill(Pid::this(), Signal::SIGKILL) {
                tracing::error!("failpoint {point} could not kill this process: {error}");
                std::process::abort();
            }
        }
    })
}

fn parse(text: &str) -> Result<Vec<Failpoint>, String> {
    text.split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(parse_one)
        .collect()
}

fn parse_one(text: &str) -> Result<Failpoint, String> {
    let (name, rest) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not POINT=ACTION"))?;
    let point = POINTS
        .into_iter()
        .find(|point| *point == name.trim())
        .ok_or_else(|| format!("`{name}` is no failpoint; there are {}", POINTS.join(", ")))?;
    let (action, pass) = match rest.split_once('@') {
        None => (rest, None),
        Some((action, pass)) => match pass.trim().parse() {
            Ok(pass) if pass > 0 => (action, Some(pass)),
            _ => return Err(format!("`{pass}` is not the number of a pass, from 1")),
        },
    };
    let action = match action.trim() {
        "kill" => Action::Kill,
        "error" => Action::Error,
        other => other
            .strip_prefix("sleep(")
            .and_then(|rest| rest.strip_suffix(')'))
            .and_then(|ms| ms.trim().parse().ok())
            .map(|ms| Action::Sleep { ms })
            .ok_or_else(|| format!("`{other}` is no action; there are kill, error, sleep(MS)"))?,
    };
    Ok(Failpoint {
        point,
        action,
        pass,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_points_are_read() {
        let failpoints = parse(
            "ingest.after_upload=kill@3; lake.checkpoint=error;ingest.before_commit=sleep(50)",
        )
        .unwrap();
        assert_eq!(
            failpoints,
            [
                Failpoint {
                    point: "ingest.after_upload",
                    action: Action::Kill,
                    pass: Some(3)
                },
                Failpoint {
                    point: "lake.checkpoint",
                    action: Action::Error,
                    pass: None
                },
                Failpoint {
                    point: "ingest.before_commit",
                    action: Action::Sleep { ms: 50 },
                    pass: None
                },
            ]
        );
        assert_eq!(parse(" ; ").unwrap(), []);
    }

    #[test]
    fn mistakes_are_refused() {
        for text in [
            "ingest.after_upload",
            "ingest.afterupload=kill",
            "ingest.after_upload=explode",
            "ingest.after_upload=kill@0",
            "ingest.after_upload=kill@x",
            "ingest.after_upload=sleep(",
            "ingest.after_upload=sleep(long)",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
