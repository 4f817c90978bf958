//! How a command ends, as the shell sees it.

use std::process::ExitCode;

use farol_detectors::DetectorError;
use farol_jobs::JobError;
use farol_triggers::TriggerError;

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
    let of_jobs = matches!(
        error.downcast_ref(),
        Some(JobError::Definitions(_) | JobError::Unknown { .. } | JobError::Range(_))
    );
    let of_rules = matches!(
        error.downcast_ref(),
        Some(
            TriggerError::Rules(_)
                | TriggerError::Unknown { .. }
                | TriggerError::UnknownBudget { .. }
        )
    );
    let of_detectors = matches!(
        error.downcast_ref(),
        Some(DetectorError::Definitions(_) | DetectorError::Unknown { .. })
    );
    if of_jobs || of_rules || of_detectors || error.is::<UsageError>() || error.is::<ConfigError>()
    {
        2
    } else {
        1
    }
}

/// An error and its causes on one line. Libraries repeat a cause's text in their own; it is told once.
pub fn told(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !line.contains(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let error = Err::<(), _>(anyhow::anyhow!("no route"))
            .context("cannot reach b: no route")
            .context("starting")
            .unwrap_err();
        assert_eq!(told(&error), "starting: cannot reach b: no route");
    }

    #[test]
    fn mistakes_of_the_user_have_a_code_of_their_own() {
        assert_eq!(code_of(&usage("wrong")), 2);
        assert_eq!(code_of(&anyhow::anyhow!("broken")), 1);
    }
}
