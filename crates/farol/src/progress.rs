//! How far long work is, on standard error.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows how far work is. Counts from any thread.
pub struct Progress {
    view: View,
}

enum View {
    Hidden,
    Bar(ProgressBar),
    Lines(Lines),
}

struct Lines {
    what: String,
    unit: &'static str,
    total: u64,
    done: AtomicU64,
    started: Instant,
    next: Mutex<Instant>,
}

impl Progress {
    pub(crate) fn start(what: &str, total: u64, unit: &'static str, quiet: bool) -> Self {
        let view = if quiet {
            View::Hidden
        } else if std::io::stderr().is_terminal() {
            View::Bar(bar(what, total, unit))
        } else {
            let started = Instant::now();
            View::Lines(Lines {
                what: what.to_owned(),
                unit,
                total,
                done: AtomicU64::new(0),
                started,
                next: Mutex::new(started + LINE_INTERVAL),
            })
        };
        Self { view }
    }

    /// Counts `more` as done.
    pub fn add(&self, more: u64) {
        match &self.view {
            View::Hidden => {}
            View::Bar(bar) => bar.inc(more),
            View::Lines(lines) => {
                let done = lines.done.fetch_add(more, Ordering::Relaxed) + more;
                lines.say_if_due(done);
            }
        }
    }

    /// Sets how much is done.
    pub fn set(&self, done: u64) {
        match &self.view {
            View::Hidden => {}
            View::Bar(bar) => bar.set_position(done),
            View::Lines(lines) => {
                lines.done.store(done, Ordering::Relaxed);
                lines.say_if_due(done);
            }
        }
    }

    /// Takes the bar away; what was done is for the command to say.
    pub fn finish(self) {
        if let View::Bar(bar) = &self.view {
            bar.finish_and_clear();
        }
    }
}

impl Lines {
    fn say_if_due(&self, done: u64) {
        let now = Instant::now();
        // Another thread that holds the lock is just saying it.
        let Ok(mut next) = self.next.try_lock() else {
            return;
        };
        if now < *next {
            return;
        }
        *next = now + LINE_INTERVAL;
        let seconds = self.started.elapsed().as_secs_f64();
        let of_total = if self.total > 0 {
            format!(" of {}", self.total)
        } else {
            String::new()
        };
        eprintln!(
            "{}: {done}{of_total} {} in {seconds:.0} s ({:.0}/s)",
            self.what,
            self.unit,
            done as f64 / seconds
        );
    }
}

fn bar(what: &str, total: u64, unit: &'static str) -> ProgressBar {
    let (bar, template) = if total > 0 {
        let template = "{msg} {wide_bar} {human_pos}/{human_len} {prefix} {per_sec} {eta}";
        (ProgressBar::new(total), template)
    } else {
        (
            ProgressBar::new_spinner(),
            "{spinner} {msg} {human_pos} {prefix} {per_sec} {elapsed}",
        )
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(unit);
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
