//! When a failed attempt is made again: exponential back-off with jitter, and an end to it.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It may succeed later: no answer, a time-out, a certificate, 408, 429, 5xx.
    Temporary {
        /// In words, without secrets.
        reason: String,
        /// The receiver's own word on when to come back.
        after: Option<Duration>,
    },
    /// It never will: any other answer.
    Refused {
        /// In words, without secrets.
        reason: String,
    },
}

impl Failure {
    /// In words.
    pub fn reason(&self) -> &str {
        match self {
            Self::Temporary { reason, .. } | Self::Refused { reason } => reason,
        }
    }
}

/// What follows a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Another attempt, in milliseconds since the epoch.
    Again(i64),
    /// The notification is a dead letter, for this reason.
    DeadLetter(String),
}

/// The terms of trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Pause after the first failure; doubled with each.
    pub first: Duration,
    /// The longest pause, unless the receiver asks for a longer one.
    pub longest: Duration,
    /// Attempts at the most.
    pub attempts: u32,
    /// How old a notification may get.
    pub age: Duration,
}

/// The longest pause that a receiver may ask for.
const AFTER_MAX: Duration = Duration::from_hours(1);

impl Retry {
    /// What follows the `attempts`-th failed attempt. The jitter is of the notification's id, so that it is the same
    /// for whoever asks, and another for each notification.
    pub fn verdict(
        &self,
        id: &str,
        attempts: u32,
        sealed_ms: i64,
        now_ms: i64,
        failure: &Failure,
    ) -> Verdict {
        let (reason, after) = match failure {
            Failure::Refused { reason } => {
                return Verdict::DeadLetter(format!("refused: {reason}"));
            }
            Failure::Temporary { reason, after } => (reason, after),
        };
        let age_ms = now_ms.saturating_sub(sealed_ms);
        if attempts >= self.attempts {
            return Verdict::DeadLetter(format!("given up after {attempts} attempts: {reason}"));
        }
        let pause = self
            .pause(id, attempts)
            .max(after.unwrap_or_default().min(AFTER_MAX));
        let pause_ms = millis(pause);
        if age_ms.saturating_add(pause_ms) > millis(self.age) {
            return Verdict::DeadLetter(format!(
                "given up after {attempts} attempts in {} s: {reason}",
                age_ms / 1_000
            ));
        }
        Verdict::Again(now_ms.saturating_add(pause_ms))
    }

    /// Between half of the exponential pause and all of it.
    fn pause(&self, id: &str, attempts: u32) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1_u32 << attempts.saturating_sub(1).min(20));
        let whole = doubled.min(self.longest);
        let digest = Sha256::digest(format!("{id}/{attempts}"));
        let share = f64::from(u16::from_be_bytes([digest[0], digest[1]])) / f64::from(u16::MAX);
        whole.mul_f64(0.5 + share / 2.0)
    }
}

/// Whole milliseconds, as times are counted here.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry {
        first: Duration::from_secs(1),
        longest: Duration::from_mins(5),
        attempts: 20,
        age: Duration::from_hours(6),
    };

    fn failed(after: Option<u64>) -> Failure {
        Failure::Temporary {
            reason: "500".to_owned(),
            after: after.map(Duration::from_secs),
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_vary() {
        for attempts in 1..20 {
            let Verdict::Again(at) = RETRY.verdict("n", attempts, 0, 0, &failed(None)) else {
                panic!("no retry after {attempts}")
            };
            let whole = (1_000_i64 << (attempts - 1)).min(300_000);
            assert!(
                (whole / 2..=whole).contains(&at),
                "{attempts}: {at} of {whole}"
            );
        }
        assert_ne!(RETRY.pause("a", 3), RETRY.pause("b", 3));
        assert_eq!(RETRY.pause("a", 3), RETRY.pause("a", 3));
    }

    #[test]
    fn the_receivers_own_word_counts_within_bounds() {
        let at = |after| RETRY.verdict("n", 1, 0, 0, &failed(Some(after)));
        assert_eq!(at(30), Verdict::Again(30_000));
        assert_eq!(at(90_000), Verdict::Again(3_600_000));
    }

    #[test]
    fn there_is_an_end() {
        let dead = |verdict| match verdict {
            Verdict::DeadLetter(reason) => reason,
            Verdict::Again(at) => panic!("again at {at}"),
        };
        assert_eq!(
            dead(RETRY.verdict("n", 20, 0, 0, &failed(None))),
            "given up after 20 attempts: 500"
        );
        let late = 6 * 3_600_000;
        assert_eq!(
            dead(RETRY.verdict("n", 3, 0, late, &failed(None))),
            "given up after 3 attempts in 21600 s: 500"
        );
        let refused = Failure::Refused {
            reason: "404".to_owned(),
        };
        assert_eq!(dead(RETRY.verdict("n", 1, 0, 0, &refused)), "refused: 404");
    }
}
