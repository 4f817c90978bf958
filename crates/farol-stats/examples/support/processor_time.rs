//! Processor time of the thread that asks, in seconds: on a machine that is shared, waiting is no cost of what is measured.

/// Seconds that this thread has run for, from `/proc/thread-self/schedstat` (Linux).
pub fn processor_seconds() -> Result<f64, String> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")
        .map_err(|error| format!("/proc/thread-self/schedstat: {error}"))?;
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|field| field.parse::<f64>().ok());
    Ok(nanoseconds.ok_or("no processor time")? / 1e9)
}
