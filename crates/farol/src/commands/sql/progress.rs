//! How far a long query is: rows and bytes read so far, on standard error, at a terminal only.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use farol_lake::sql::{Meter, Scanned};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::output;

/// A query that is answered sooner shows nothing.
const PATIENCE: Duration = Duration::from_millis(700);

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(200);

/// Shows what a query has read until it is dropped.
pub(super) struct ScanProgress {
    bar: Arc<Mutex<Bar>>,
    task: JoinHandle<()>,
}

enum Bar {
    Waiting,
    Shown(ProgressBar),
    Gone,
}

/// Who is there to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watch {
    /// Nobody: there is no terminal, or quiet was asked for.
    Nobody,
    /// A person whose rows come to the same terminal: it must be gone before the first.
    UntilRows,
    /// A person whose rows go to a file.
    ToTheEnd,
}

impl Watch {
    /// For a query whose rows go to standard output.
    pub(super) fn over_screen(quiet: bool) -> Self {
        if Self::over_file(quiet) == Self::ToTheEnd && std::io::stdout().is_terminal() {
            Self::UntilRows
        } else {
            Self::Nobody
        }
    }

    /// For a query whose rows go to a file.
    pub(super) fn over_file(quiet: bool) -> Self {
        if !quiet && std::io::stderr().is_terminal() {
            Self::ToTheEnd
        } else {
            Self::Nobody
        }
    }

    /// Begins to show what a query has read.
    pub(super) fn start(self, meter: Meter) -> Option<ScanProgress> {
        (self != Self::Nobody).then(|| ScanProgress::start(meter))
    }
}

impl ScanProgress {
    fn start(meter: Meter) -> Self {
        let bar = Arc::new(Mutex::new(Bar::Waiting));
        let shown = bar.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            loop {
                if !show(&shown, meter.read()) {
                    return;
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        Self { bar, task }
    }
}

impl Drop for ScanProgress {
    fn drop(&mut self) {
        self.task.abort();
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if let Bar::Shown(bar) = std::mem::replace(&mut *bar, Bar::Gone) {
            bar.finish_and_clear();
        }
    }
}

/// Shows a state; false where the query has ended meanwhile.
fn show(bar: &Mutex<Bar>, scanned: Scanned) -> bool {
    let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
    match &*bar {
        Bar::Gone => return false,
        Bar::Shown(bar) => bar.set_message(told(scanned)),
        Bar::Waiting => {
            let spinner = ProgressBar::new_spinner();
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {msg} in {elapsed}; Ctrl-C stops it")
            {
                spinner.set_style(style);
            }
            spinner.set_message(told(scanned));
            spinner.enable_steady_tick(INTERVAL);
            *bar = Bar::Shown(spinner);
        }
    }
    true
}

fn told(scanned: Scanned) -> String {
    format!(
        "{} rows, {} read",
        indicatif::HumanCount(scanned.rows),
        output::bytes(scanned.bytes)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_told_in_words() {
        let scanned = Scanned {
            rows: 1_234_567,
            bytes: 3 << 20,
        };
        assert_eq!(told(scanned), "1,234,567 rows, 3.0 MiB read");
    }

    #[test]
    fn nothing_is_shown_once_the_query_has_ended() {
        let bar = Mutex::new(Bar::Gone);
        assert!(!show(&bar, Scanned::default()));
        assert!(matches!(*bar.lock().unwrap(), Bar::Gone));
    }
}
