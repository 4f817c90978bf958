//! The role: a step whenever there is something new, until it is told to stop.

use std::time::Duration;

use farol_detectors::Health;
use farol_jobs::Jobs;
use farol_lake::Lake;
use tokio_util::sync::CancellationToken;

use crate::error::TriggerError;
use crate::ingest_stall::InputStanding;
use crate::rule::Rules;
use crate::service::{Closing, Service, Stepped};

/// The longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Failures in a row after which a service that is to end gives up.
const FAILURES_AT_END_MAX: u32 = 5;

/// How the role is played.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// How often it looks for new versions of measures.
    pub interval: Duration,
    /// Older windows are history: measured, not alerted on.
    pub max_age: Duration,
    /// Cancelled to end at once.
    pub shutdown: CancellationToken,
    /// Cancelled when nothing more will be added to the measures: close all windows, evaluate, and end.
    pub finish: CancellationToken,
    /// What is wrong, if anything.
    pub health: Health,
    /// What is unread of the input; `None` where nobody looks.
    pub standing: Option<InputStanding>,
}

/// Plays the role `triggers` until it is told to end. A failure is tried again.
///
/// # Errors
/// Where all windows could not be evaluated before the end that [`RunOptions::finish`] asks for.
pub async fn run(
    lake: Lake,
    jobs: Jobs,
    rules: Rules,
    options: RunOptions,
) -> Result<(), TriggerError> {
    let max_age_us = i64::try_from(options.max_age.as_micros()).unwrap_or(i64::MAX / 4);
    let mut service = None;
    let mut failures = 0_u32;
    loop {
        let finishing = options.finish.is_cancelled();
        let closing = if finishing {
            Closing::Everything
        } else {
            Closing::Watermark
        };
        let work = async {
            if service.is_none() {
                let standing = options.standing.clone();
                service = Some(Service::open(&lake, &jobs, &rules, max_age_us, standing).await?);
            }
            match &mut service {
                Some(service) => service.step(closing).await,
                None => Ok(Stepped::Level),
            }
        };
        let stepped = tokio::select! {
            () = options.shutdown.cancelled() => return Ok(()),
            stepped = work => stepped,
        };
        let pause = match stepped {
            Ok(Stepped::Overtaken) => continue,
            Ok(stepped) => {
                let failed = service.as_ref().map(Service::failed).unwrap_or_default();
                let failed = (!failed.is_empty()).then(|| failed.join("; "));
                options.health.set(failed.clone());
                if let Some(failed) = failed.filter(|_| finishing) {
                    failures += 1;
                    if failures >= FAILURES_AT_END_MAX {
                        return Err(TriggerError::RulesFailed(failed));
                    }
                    tokio::time::sleep(options.interval).await;
                    continue;
                }
                failures = 0;
                match stepped {
                    Stepped::Level if finishing => return Ok(()),
                    _ if finishing => continue,
                    _ => options.interval,
                }
            }
            Err(error) => {
                failures += 1;
                tracing::error!(failures, "triggers failed, trying again: {error}");
                metrics::counter!("farol_trigger_errors_total").increment(1);
                options.health.set(Some(error.to_string()));
                if finishing && failures >= FAILURES_AT_END_MAX {
                    return Err(error);
                }
                service = None;
                PAUSE_MAX.min(options.interval * 2_u32.pow(failures.min(7)))
            }
        };
        tokio::select! {
            () = options.shutdown.cancelled() => return Ok(()),
            () = options.finish.cancelled(), if !finishing => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
