//! When each event is sent, and what time it says. Pure: the clock is an argument.
//!
//! | `--from-time` | pace | event's time | sent |
//! |---|---|---|---|
//! | `original` | none | its own | at once |
//! | `original` | `--speed X` | its own | X times as fast as the events follow each other |
//! | `original` | `--rate N` | its own | N a second |
//! | `now` | none | moved so that the last event happens now | at once |
//! | `now` | `--speed X` or `--rate N` | when it is sent | as above |
//!
//! So no event is ever ahead of the clock, which would hold watermarks up.

/// Which time events say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FromTime {
    /// The times of the files.
    Original,
    /// Times as if it all happened now.
    Now,
}

/// How fast events are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as Kafka takes them.
    Unpaced,
    /// So many times as fast as they follow each other by their own time.
    Speed(f64),
    /// So many a second.
    Rate(f64),
}

/// Where one event belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// When to send it, by the wall clock; `None` at once.
    pub due_us: Option<i64>,
    /// The time it shall say instead of its own.
    pub event_time_us: Option<i64>,
}

/// Places the events of one run.
#[derive(Debug)]
pub struct Schedule {
    from_time: FromTime,
    pace: Pace,
    started_us: i64,
    /// The latest event time of the input, needed to move it without a pace.
    last_us: Option<i64>,
    first_us: Option<i64>,
    placed: u64,
}

impl Schedule {
    /// A run that starts at `started_us` by the wall clock.
    pub fn new(from_time: FromTime, pace: Pace, started_us: i64, last_us: Option<i64>) -> Self {
        Self {
            from_time,
            pace,
            started_us,
            last_us,
            first_us: None,
            placed: 0,
        }
    }

    /// Whether the input's latest time has to be known before the first event can be placed.
    pub fn needs_last(from_time: FromTime, pace: Pace) -> bool {
        from_time == FromTime::Now && pace == Pace::Unpaced
    }

    /// Places the next event. `Err`: its own time is needed and unknown; it has no place.
    pub fn place(&mut self, event_time_us: Option<i64>) -> Result<Place, &'static str> {
        const UNKNOWN: &str =
            "event_time is missing or no time, so that it can be neither moved nor paced; not sent";
        let due_us = match self.pace {
            Pace::Unpaced => None,
            Pace::Speed(speed) => {
                let time_us = event_time_us.ok_or(UNKNOWN)?;
                let first_us = *self.first_us.get_or_insert(time_us);
                let passed_us = time_us.saturating_sub(first_us).max(0);
                Some(
                    self.started_us
                        .saturating_add((passed_us as f64 / speed) as i64),
                )
            }
            Pace::Rate(per_second) => {
                let passed_us = self.placed as f64 / per_second * 1e6;
                Some(self.started_us.saturating_add(passed_us as i64))
            }
        };
        let event_time_us = match (self.from_time, due_us) {
            (FromTime::Original, _) => None,
            (FromTime::Now, Some(due_us)) => Some(due_us),
            (FromTime::Now, None) => {
                let time_us = event_time_us.ok_or(UNKNOWN)?;
                let last_us = self.last_us.unwrap_or(time_us);
                Some(
                    self.started_us
                        .saturating_sub(last_us.saturating_sub(time_us)),
                )
            }
        };
        self.placed += 1;
        Ok(Place {
            due_us,
            event_time_us,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Placed = Result<(Option<i64>, Option<i64>), &'static str>;

    fn places(from_time: FromTime, pace: Pace, times: &[Option<i64>]) -> Vec<Placed> {
        let last_us = times.iter().flatten().copied().max();
        let mut schedule = Schedule::new(from_time, pace, 1_000_000, last_us);
        times
            .iter()
            .map(|time| {
                schedule
                    .place(*time)
                    .map(|place| (place.due_us, place.event_time_us))
            })
            .collect()
    }

    #[test]
    fn original_times_stay() {
        let times = [Some(50), None, Some(90)];
        assert_eq!(
            places(FromTime::Original, Pace::Unpaced, &times),
            [Ok((None, None)), Ok((None, None)), Ok((None, None))]
        );
        assert_eq!(
            places(FromTime::Original, Pace::Rate(1_000.0), &times),
            [
                Ok((Some(1_000_000), None)),
                Ok((Some(1_001_000), None)),
                Ok((Some(1_002_000), None))
            ]
        );
        let by_speed = places(FromTime::Original, Pace::Speed(2.0), &times);
        assert_eq!(
            (by_speed[0], by_speed[2]),
            (Ok((Some(1_000_000), None)), Ok((Some(1_000_020), None)))
        );
        assert!(by_speed[1].is_err());
    }

    #[test]
    fn now_never_runs_ahead_of_the_clock() {
        let times = [Some(50), Some(40), Some(90)];
        assert_eq!(
            places(FromTime::Now, Pace::Unpaced, &times),
            [
                Ok((None, Some(999_960))),
                Ok((None, Some(999_950))),
                Ok((None, Some(1_000_000)))
            ]
        );
        assert_eq!(
            places(FromTime::Now, Pace::Speed(4.0), &times),
            [
                Ok((Some(1_000_000), Some(1_000_000))),
                Ok((Some(1_000_000), Some(1_000_000))),
                Ok((Some(1_000_010), Some(1_000_010)))
            ]
        );
        assert_eq!(
            places(FromTime::Now, Pace::Rate(1.0), &[None, None])[1],
            Ok((Some(2_000_000), Some(2_000_000)))
        );
        assert!(places(FromTime::Now, Pace::Unpaced, &[None])[0].is_err());
    }
}
