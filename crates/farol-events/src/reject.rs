//! Why a record did not become a row: a code for machines, a sentence for people.

use std::fmt;

/// Why a record is a dead letter. [`ReasonCode::as_str`] is what the dead-letter table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReasonCode {
    /// The payload has no bytes, or nothing but white space.
    EmptyPayload,
    /// The record is a tombstone: it has no payload.
    NullPayload,
    /// A text is not UTF-8.
    InvalidUtf8,
    /// The payload is not JSON.
    InvalidJson,
    /// Arrays and objects are nested deeper than 127.
    TooDeep,
    /// A number is beyond the range of 64-bit floating point.
    NumberOutOfRange,
    /// The payload is JSON, but not an object.
    NotAnObject,
    /// There is no event time.
    MissingEventTime,
    /// The event time cannot be read.
    InvalidEventTime,
    /// The event time is further in the past or in the future than is accepted.
    EventTimeOutOfRange,
    /// None of the ids is there by which the event would be known.
    MissingIdentity,
    /// The record is larger than is accepted.
    TooLarge,
}

impl ReasonCode {
    /// Every code.
    pub const ALL: [Self; 12] = [
        Self::EmptyPayload,
        Self::NullPayload,
        Self::InvalidUtf8,
        Self::InvalidJson,
        Self::TooDeep,
        Self::NumberOutOfRange,
        Self::NotAnObject,
        Self::MissingEventTime,
        Self::InvalidEventTime,
        Self::EventTimeOutOfRange,
        Self::MissingIdentity,
        Self::TooLarge,
    ];

    /// The code as tables and messages write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EmptyPayload => "empty_payload",
            Self::NullPayload => "null_payload",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::InvalidJson => "invalid_json",
            Self::TooDeep => "too_deep",
            Self::NumberOutOfRange => "number_out_of_range",
            Self::NotAnObject => "not_an_object",
            Self::MissingEventTime => "missing_event_time",
            Self::InvalidEventTime => "invalid_event_time",
            Self::EventTimeOutOfRange => "event_time_out_of_range",
            Self::MissingIdentity => "missing_identity",
            Self::TooLarge => "too_large",
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A record that is refused, and why: what is wrong, where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct Reject {
    /// The class of what is wrong.
    pub code: ReasonCode,
    /// What is wrong, where (byte offset or field), and what was expected.
    pub reason: String,
}

impl Reject {
    /// Refuses a record for a reason.
    pub fn new(code: ReasonCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }

    /// Refuses a tombstone.
    pub fn null_payload() -> Self {
        Self::new(
            ReasonCode::NullPayload,
            "the record has no payload (a tombstone): expected a JSON object",
        )
    }

    /// Refuses a record of `bytes` where at most `limit` bytes are accepted.
    pub fn too_large(bytes: usize, limit: usize) -> Self {
        Self::new(
            ReasonCode::TooLarge,
            format!("the payload has {bytes} bytes: expected at most {limit}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct() {
        let names: std::collections::HashSet<_> =
            ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ReasonCode::ALL.len());
    }

    #[test]
    fn a_reject_shows_code_and_reason() {
        let text = Reject::too_large(20, 10).to_string();
        assert_eq!(
            text,
            "too_large: the payload has 20 bytes: expected at most 10"
        );
    }
}
