//! The terminal, where a block that is drawn anew and lines that scroll by share it.
//!
//! ```text
//! block ──▶ drawn at the bottom, in place of the one before
//! lines, log ──▶ above it
//! ```
//!
//! Standard error holds the block. Without a block, everything is printed as it comes.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

/// The block that is drawn at present.
static BLOCK: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn held() -> MutexGuard<'static, Option<ProgressBar>> {
    BLOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A block at the terminal's bottom, until it is dropped. There is one at a time.
pub struct Block(ProgressBar);

impl Block {
    /// Begins with nothing to show.
    pub fn begin() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        *held() = Some(bar.clone());
        Self(bar)
    }

    /// Draws a text in place of the one before.
    pub fn draw(&self, text: &str) {
        self.0.set_message(text.to_owned());
        self.0.tick();
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        *held() = None;
        self.0.finish_and_clear();
    }
}

/// Does what writes to the terminal, with the block out of the way.
pub fn above<T>(write: impl FnOnce() -> T) -> T {
    match &*held() {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Standard error, above the block. A write is an event of the log, whole.
pub struct LogWriter;

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        above(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
