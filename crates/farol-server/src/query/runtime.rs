//! The threads of queries: apart from those of ingest, and of lower priority, so that a heavy query takes what the
//! others leave.

use std::io;

use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};
use tokio::runtime::{Builder, Handle, Runtime};

/// Priority of the threads that plan and run light queries, from 0 to 99: niceness 8. Beside work at the usual priority
/// such a thread gets a sixth of a core, and all of it when nothing else wants it.
const LIGHT_PRIORITY: u8 = 28;

/// Priority of the threads that talk to clients, niceness 7: before those that compute, so that a time limit is kept and
/// a cancelled query ends, and after ingest.
const TALKING_PRIORITY: u8 = 31;

/// Threads that talk to clients, where rows are encoded: few, so that much that is read leaves cores to ingest.
const TALKING_THREADS: usize = 1;

/// Three runtimes; dropping them ends their tasks without waiting.
pub(crate) struct Threads {
    light: Owned,
    heavy: Owned,
    talking: Owned,
}

impl Threads {
    pub fn start() -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            light: Owned::start("farol-query", cores, || lower(LIGHT_PRIORITY))?,
            heavy: Owned::start("farol-heavy", cores, only_leftovers)?,
            talking: Owned::start("farol-client", TALKING_THREADS, || lower(TALKING_PRIORITY))?,
        })
    }

    /// Where queries are planned, and run if that does not take long.
    pub fn light(&self) -> &Handle {
        &self.light.handle
    }

    /// Where queries run that may take any time.
    pub fn heavy(&self) -> &Handle {
        &self.heavy.handle
    }

    /// Where connections are served and rows encoded.
    pub fn talking(&self) -> &Handle {
        &self.talking.handle
    }
}

/// A runtime that ends with its owner.
struct Owned {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Owned {
    fn start(name: &str, threads: usize, begin: fn()) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name(name)
            .worker_threads(threads)
            .on_thread_start(begin)
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped by a task, where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}

/// Gives the thread that calls it a priority.
fn lower(priority: u8) {
    let lowered = ThreadPriorityValue::try_from(priority).and_then(|value| {
        set_current_thread_priority(ThreadPriority::Crossplatform(value))
            .map_err(|error| format!("{error:?}"))
    });
    if let Err(error) = lowered {
        tracing::warn!("a thread of queries runs at the usual priority: {error}");
    }
}

/// Lets the thread that calls it run when no other wants to. However nice a thread is, Linux lets it finish its turn of some
/// milliseconds before one that wakes up, which cost ingest a sixth of its rate; one of the idle class makes room at once.
#[cfg(target_os = "linux")]
fn only_leftovers() {
    lower(LIGHT_PRIORITY);
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let idle = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
    if let Err(error) = idle {
        tracing::warn!("a thread of heavy queries runs before its turn: {error:?}");
    }
}

#[cfg(not(target_os = "linux"))]
fn only_leftovers() {
    lower(1);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// What Linux calls the class of threads that get what others leave.
    const SCHED_IDLE: i32 = 5;

    /// The niceness and the scheduling class of the thread that asks, as Linux tells them.
    fn standing() -> (i32, i32) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let fields: Vec<_> = fields.split(' ').collect();
        [16, 38].map(|at| fields[at].parse().unwrap()).into()
    }

    #[test]
    fn queries_run_below_everything_else() {
        let threads = Threads::start().unwrap();
        let usual = standing();
        let ask = |handle: &Handle| {
            let (sender, receiver) = std::sync::mpsc::channel();
            handle.spawn(async move { sender.send(standing()) });
            receiver.recv().unwrap()
        };
        let [light, heavy, talking] =
            [threads.light(), threads.heavy(), threads.talking()].map(ask);
        assert_eq!(heavy.1, SCHED_IDLE);
        assert!(
            usual.0 <= talking.0 && talking.0 < light.0,
            "{usual:?} {talking:?} {light:?}"
        );
        for other in [usual, light, talking] {
            assert_ne!(other.1, SCHED_IDLE);
        }
    }
}
