//! What a job's trial over the newest rows cost, in words and for programs.

use std::fmt::Write as _;

use farol_jobs::explain::Cost;
use farol_jobs::{Job, JobError};
use serde_json::{Value, json};

type Trial = Result<Option<Cost>, JobError>;

/// For people. A trial that failed does not hide what else there is to say of the job.
pub(super) fn text(job: &Job, trial: &Trial) -> String {
    let inputs = job.inputs().collect::<Vec<_>>().join(", ");
    let cost = match trial {
        Ok(Some(cost)) => cost,
        Ok(None) => return format!("cost       not known: {inputs} has no rows yet\n"),
        Err(error) => return format!("cost       not known, the trial failed: {error}\n"),
    };
    let cpu = cost.cpu_us_per_event().map_or_else(
        || "processor's time not known".to_owned(),
        |cpu_us| format!("{cpu_us:.3} µs of processor time an event"),
    );
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "cost       {cpu}, {:.0} events/s, measured over the newest {} events of {inputs}",
        cost.events_per_second(),
        cost.events
    );
    let _ = writeln!(
        text,
        "partials   {:.1} bytes an event as they are written, {:.1} series a window ({} in {} windows)",
        cost.partials_bytes_per_event(),
        cost.series_per_window(),
        cost.partials,
        cost.windows
    );
    text
}

/// For programs: null where there is nothing to measure, and why where it failed.
pub(super) fn json(trial: &Trial) -> Value {
    match trial {
        Ok(Some(cost)) => json!({
            "events": cost.events, "windows": cost.windows, "partials": cost.partials,
            "partials_bytes": cost.partials_bytes, "elapsed_ms": cost.elapsed.as_secs_f64() * 1e3,
            "cpu_us_per_event": cost.cpu_us_per_event(), "events_per_second": cost.events_per_second(),
            "partials_bytes_per_event": cost.partials_bytes_per_event(),
            "series_per_window": cost.series_per_window(),
        }),
        Ok(None) => Value::Null,
        Err(error) => json!({"error": error.to_string()}),
    }
}
