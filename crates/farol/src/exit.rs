//! How a command ends, as the shell sees it.

use std::process::ExitCode;

use crate::config::ConfigError;

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Done,
    /// Done, but something is amiss: a person should look.
    Degraded,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Degraded => Self::from(3),
        }
    }
}

/// The command cannot be meant as it was given.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Makes a usage error, for `return Err(usage(…))`.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    UsageError(message.into()).into()
}

/// The exit code of an error: 2 where the user has something to mend in what they gave, else 1.
pub fn code_of(error: &anyhow::Error) -> u8 {
    if error.is::<UsageError>() || error.is::<ConfigError>() {
        2
    } else {
        1
    }
}
