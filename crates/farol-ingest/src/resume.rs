//! Where reading of a partition begins: a pure decision from what the lake says and what the log holds.

use crate::marks::Marks;

/// What Kafka says of a partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRange {
    /// The first offset that retention has left.
    pub start: i64,
    /// The last stable offset: one past the last record that a committed reader sees.
    pub end: i64,
}

/// Where to go on, or why not to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// Read from `offset`; `lost` offsets between the mark and the log's start are gone.
    At {
        /// The first offset to ask for.
        offset: i64,
        /// Offsets that retention took before they were read.
        lost: i64,
    },
    /// The mark lies beyond the log's end: this is another log under the old name, or one that was cut.
    Beyond {
        /// The mark.
        next: i64,
        /// The log's end.
        log_end: i64,
    },
}

/// Decides where a partition is read from. A partition without marks is read from its start, and what its
/// log no longer holds was never ours to lose.
pub fn resume(marks: &Marks, log: LogRange) -> Resume {
    match marks.next {
        None => Resume::At {
            offset: log.start,
            lost: 0,
        },
        Some(next) if next < log.start => Resume::At {
            offset: log.start,
            lost: log.start - next,
        },
        Some(next) if next > log.end => Resume::Beyond {
            next,
            log_end: log.end,
        },
        Some(next) => Resume::At {
            offset: next,
            lost: 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(next: Option<i64>, start: i64, end: i64) -> Resume {
        resume(
            &Marks {
                next,
                ..Marks::default()
            },
            LogRange { start, end },
        )
    }

    #[test]
    fn a_new_partition_is_read_from_its_start_and_has_lost_nothing() {
        assert_eq!(at(None, 0, 0), Resume::At { offset: 0, lost: 0 });
        assert_eq!(
            at(None, 40, 90),
            Resume::At {
                offset: 40,
                lost: 0
            }
        );
    }

    #[test]
    fn a_known_partition_goes_on_at_its_mark() {
        assert_eq!(
            at(Some(40), 0, 90),
            Resume::At {
                offset: 40,
                lost: 0
            }
        );
        assert_eq!(
            at(Some(40), 40, 90),
            Resume::At {
                offset: 40,
                lost: 0
            }
        );
        assert_eq!(
            at(Some(90), 0, 90),
            Resume::At {
                offset: 90,
                lost: 0
            }
        );
    }

    #[test]
    fn what_retention_took_is_counted() {
        assert_eq!(
            at(Some(40), 55, 90),
            Resume::At {
                offset: 55,
                lost: 15
            }
        );
        assert_eq!(
            at(Some(40), 90, 90),
            Resume::At {
                offset: 90,
                lost: 50
            }
        );
    }

    #[test]
    fn a_mark_beyond_the_end_stops() {
        assert_eq!(
            at(Some(91), 0, 90),
            Resume::Beyond {
                next: 91,
                log_end: 90
            }
        );
    }
}
