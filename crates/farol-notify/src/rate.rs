//! A route's rate limit: so many notifications in any span of time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::retry::millis;

/// So many notifications in any span of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub count: u32,
    /// In how long.
    pub per: Duration,
}

/// When notifications went out, in milliseconds, as far back as the limit looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent(VecDeque<i64>);

impl Sent {
    /// What is remembered of earlier notifications.
    pub fn restore(times_ms: impl IntoIterator<Item = i64>) -> Self {
        let mut times: Vec<i64> = times_ms.into_iter().collect();
        times.sort_unstable();
        Self(times.into())
    }

    /// From when the next may go out, in milliseconds.
    pub fn free_ms(&self, limit: RateLimit, now_ms: i64) -> i64 {
        let count = usize::try_from(limit.count).unwrap_or(usize::MAX).max(1);
        let oldest = self
            .0
            .len()
            .checked_sub(count)
            .and_then(|at| self.0.get(at));
        oldest.map_or(now_ms, |oldest| {
            now_ms.max(oldest.saturating_add(millis(limit.per)))
        })
    }

    /// One goes out.
    pub fn note(&mut self, limit: RateLimit, now_ms: i64) {
        self.0.push_back(now_ms);
        let count = usize::try_from(limit.count).unwrap_or(usize::MAX).max(1);
        while self.0.len() > count {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_span_has_more_than_the_limit() {
        let limit = RateLimit {
            count: 3,
            per: Duration::from_secs(10),
        };
        let mut sent = Sent::default();
        let mut times = Vec::new();
        let mut now_ms = 0;
        for _ in 0..20 {
            now_ms = sent.free_ms(limit, now_ms + 100);
            sent.note(limit, now_ms);
            times.push(now_ms);
        }
        for window in times.windows(4) {
            assert!(window[3] - window[0] >= 10_000, "{window:?}");
        }
    }
}
