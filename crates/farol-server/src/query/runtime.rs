//! The threads of queries: apart from those of ingest, and of lower priority, so that a heavy query takes what the
//! others leave.

use std::io;

use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};
use tokio::runtime::{Builder, Handle, Runtime};

/// Priority of the threads that compute, from 0 to 99: niceness 12. Beside work at the usual priority such a thread gets a
/// fifteenth of a core, and all of it when nothing else wants it; what that costs ingest is in `benches/README.md`. At the
/// lowest there is, niceness 19, a machine that is busy with anything else would answer no query at all.
const COMPUTING_PRIORITY: u8 = 17;

/// Priority of the threads that talk to clients, niceness 5: before those that compute, so that a time limit is kept and
/// a cancelled query ends, and after ingest.
const TALKING_PRIORITY: u8 = 36;

/// Threads that talk to clients, where rows are encoded.
const TALKING_THREADS: usize = 2;

/// Two runtimes; dropping them ends their tasks without waiting.
pub(crate) struct Threads {
    computing: Option<Runtime>,
    talking: Option<Runtime>,
    computing_handle: Handle,
    talking_handle: Handle,
}

impl Threads {
    pub fn start() -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let computing = runtime("farol-query", cores, COMPUTING_PRIORITY)?;
        let talking = runtime("farol-client", TALKING_THREADS, TALKING_PRIORITY)?;
        Ok(Self {
            computing_handle: computing.handle().clone(),
            talking_handle: talking.handle().clone(),
            computing: Some(computing),
            talking: Some(talking),
        })
    }

    /// Where queries are planned and computed.
    pub fn computing(&self) -> &Handle {
        &self.computing_handle
    }

    /// Where connections are served and rows encoded.
    pub fn talking(&self) -> &Handle {
        &self.talking_handle
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for runtime in [self.computing.take(), self.talking.take()]
            .into_iter()
            .flatten()
        {
            // It may be dropped by a task, where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}

fn runtime(name: &str, threads: usize, priority: u8) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .thread_name(name)
        .worker_threads(threads)
        .on_thread_start(move || lower(priority))
        .enable_all()
        .build()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The niceness of the thread that asks, as Linux tells it.
    fn niceness() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(16).unwrap().parse().unwrap()
    }

    #[test]
    fn queries_run_below_everything_else() {
        let threads = Threads::start().unwrap();
        let usual = niceness();
        let ask = |handle: &Handle| {
            let (sender, receiver) = std::sync::mpsc::channel();
            handle.spawn(async move { sender.send(niceness()) });
            receiver.recv().unwrap()
        };
        let (computing, talking) = (ask(threads.computing()), ask(threads.talking()));
        assert_eq!(computing, 12);
        assert!(
            usual <= talking && talking < computing,
            "{usual} {talking} {computing}"
        );
    }
}
