//! How far event time has come in one partition: pure arithmetic over microseconds since the epoch.
//!
//! A watermark trails the newest event by a bound, never goes back, is clamped where events claim to come
//! from the future, and moves with the clock while a partition that was read to its end stays silent.

/// One partition's watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    bound_us: i64,
    value_us: Option<i64>,
}

impl Watermark {
    /// A watermark that stands where the partition's mark left it.
    pub fn resumed(bound_us: i64, value_us: Option<i64>) -> Self {
        Self { bound_us, value_us }
    }

    /// Takes the newest event time of some rows into account, as read at `now_us`.
    pub fn observe(&mut self, max_event_time_us: i64, now_us: i64) {
        self.advance(max_event_time_us.min(now_us));
    }

    /// Moves with the clock: the partition was read to its end and is silent.
    pub fn idle(&mut self, now_us: i64) {
        self.advance(now_us);
    }

    /// Microseconds since the epoch; `None` before the first event.
    pub fn value_us(&self) -> Option<i64> {
        self.value_us
    }

    fn advance(&mut self, time_us: i64) {
        let candidate = time_us.saturating_sub(self.bound_us);
        self.value_us = Some(
            self.value_us
                .map_or(candidate, |value| value.max(candidate)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_trails_the_newest_event_by_the_bound() {
        let mut watermark = Watermark::resumed(10, None);
        assert_eq!(watermark.value_us(), None);
        watermark.observe(100, 1_000);
        assert_eq!(watermark.value_us(), Some(90));
    }

    #[test]
    fn it_never_goes_back() {
        let mut watermark = Watermark::resumed(10, Some(500));
        watermark.observe(100, 1_000);
        watermark.idle(200);
        assert_eq!(watermark.value_us(), Some(500));
    }

    #[test]
    fn an_event_from_the_future_counts_as_now() {
        let mut watermark = Watermark::resumed(10, None);
        watermark.observe(i64::MAX, 1_000);
        assert_eq!(watermark.value_us(), Some(990));
    }

    #[test]
    fn silence_moves_it_with_the_clock() {
        let mut watermark = Watermark::resumed(10, Some(500));
        watermark.idle(2_000);
        assert_eq!(watermark.value_us(), Some(1_990));
    }
}
