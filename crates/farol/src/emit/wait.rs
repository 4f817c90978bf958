//! Waiting for an event's time without being deaf to signals.

use std::time::{Duration, Instant};

use tokio::{runtime::Handle, select, time::sleep};
use tokio_util::sync::CancellationToken;

use super::time::now_us;

/// Waits on a thread of its own (never on one that drives tasks).
#[derive(Debug)]
pub struct Waiter {
    runtime: Handle,
    shutdown: CancellationToken,
    started: Instant,
    started_us: i64,
}

impl Waiter {
    /// A waiter that `shutdown` interrupts. Call within a runtime.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self {
            runtime: Handle::current(),
            shutdown,
            started: Instant::now(),
            started_us: now_us(),
        }
    }

    /// Waits until the wall clock shows `due_us`, not at all where it is past or `None`. `false`:
    /// the run is to end.
    ///
    /// The clock is read once at the start and counted on from there, so that setting it back does
    /// not hold a run up.
    pub fn until(&self, due_us: Option<i64>) -> bool {
        if self.shutdown.is_cancelled() {
            return false;
        }
        let Some(due_us) = due_us else { return true };
        let due = Duration::from_micros(due_us.saturating_sub(self.started_us).max(0) as u64);
        let ahead = due.saturating_sub(self.started.elapsed());
        // Timers have a resolution of a millisecond; what is nearer goes out in the same breath.
        if ahead < Duration::from_millis(1) {
            return true;
        }
        self.runtime.block_on(async {
            select! {
                () = self.shutdown.cancelled() => false,
                () = sleep(ahead) => true,
            }
        })
    }
}
