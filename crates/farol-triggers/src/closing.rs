//! Which windows of a rule are closed, and whether that leaves anything to decide.

use crate::book::Book;
use farol_jobs::time::floor;

/// Which windows count as closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// Those whose end the watermark has passed.
    Watermark,
    /// All that have rows: nothing more will come.
    Everything,
}

/// Whether there is anything to decide for a rule.
pub(crate) fn due(book: &Book, watermark_us: Option<i64>, closing: Closing) -> bool {
    if closing == Closing::Watermark && book.waits() {
        return false;
    }
    let closed_us = closed(book, watermark_us);
    closing == Closing::Everything
        || book.stale
        || closed_us > book.closed_us
        || book
            .dirty_us
            .is_some_and(|dirty_us| Some(dirty_us) < closed_us)
}

/// The end of the windows that are closed by the watermark, or were closed before.
pub(crate) fn closed(book: &Book, watermark_us: Option<i64>) -> Option<i64> {
    let by_watermark = watermark_us.map(|time_us| floor(time_us, book.rule.window_us));
    book.closed_us.max(by_watermark)
}

/// The end of the window that the clock is in.
pub(crate) fn present(book: &Book, now_us: i64) -> i64 {
    floor(now_us, book.rule.window_us).saturating_add(book.rule.window_us)
}

/// The end of all windows that have rows, but none that lies ahead of the clock.
pub(crate) fn everything(book: &Book, known_us: Option<i64>, now_us: i64) -> Option<i64> {
    let newest = book.history.newest_us();
    let end = newest.map(|newest_us| {
        let end_us = newest_us.saturating_add(book.rule.window_us);
        end_us.min(present(book, now_us))
    });
    known_us.max(end)
}
