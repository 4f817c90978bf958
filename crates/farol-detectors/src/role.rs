//! The role: a step whenever there is something new, until it is told to stop.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use farol_jobs::Jobs;
use farol_lake::Lake;
use tokio_util::sync::CancellationToken;

use crate::definition::Detectors;
use crate::error::DetectorError;
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
    /// Cancelled to end at once.
    pub shutdown: CancellationToken,
    /// Cancelled when nothing more will be added to the measures: close all windows, judge them, and end.
    pub finish: CancellationToken,
    /// What is wrong, if anything.
    pub health: Health,
}

/// Why a role is not doing its work, for `/readyz`. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<Option<String>>>);

impl Health {
    /// The reason; empty where all is well.
    pub fn reasons(&self) -> Vec<String> {
        let reason = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reason.iter().cloned().collect()
    }

    /// Says why, or that all is well.
    pub fn set(&self, reason: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// Plays the role `detectors` until it is told to end. A failure is tried again.
///
/// # Errors
/// Where all windows could not be judged before the end that [`RunOptions::finish`] asks for.
pub async fn run(
    lake: Lake,
    jobs: Jobs,
    detectors: Detectors,
    options: RunOptions,
) -> Result<(), DetectorError> {
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
                service = Some(Service::open(&lake, &jobs, &detectors).await?);
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
                        return Err(DetectorError::Failed(failed));
                    }
                    tokio::time::sleep(options.interval).await;
                    continue;
                }
                failures = 0;
                match stepped {
                    Stepped::Level if finishing => return Ok(()),
                    Stepped::Level => options.interval,
                    // There may be more: a step takes so many windows of each unit.
                    _ => continue,
                }
            }
            Err(error) => {
                failures += 1;
                tracing::error!(failures, "detectors failed, trying again: {error}");
                metrics::counter!("farol_detector_errors_total").increment(1);
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
