//! What is said of a payload that does not become a row. Nothing here is on the way of those that do.

use std::ops::Range;

use crate::decoder::TimeRange;
use crate::reject::{ReasonCode, Reject};
use crate::scan::{Flaw, ScanError, Scanner};
use crate::{Kind, time_text};

/// Why a payload is not a row.
pub(crate) enum Refusal {
    NotJson(ScanError),
    NotAnEvent(Reject),
}

impl From<ScanError> for Refusal {
    fn from(error: ScanError) -> Self {
        Self::NotJson(error)
    }
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        Self::NotAnEvent(reject)
    }
}

impl Refusal {
    /// The refusal as callers see it.
    #[cold]
    pub(crate) fn into_reject(self, payload: &[u8]) -> Reject {
        match self {
            Self::NotJson(error) => not_json(payload, error),
            Self::NotAnEvent(reject) => reject,
        }
    }
}

#[cold]
pub(crate) fn not_an_object(scanner: &mut Scanner<'_>) -> Refusal {
    scanner.peek();
    let start = scanner.at();
    if start == scanner.payload().len() {
        let reason =
            format!("the payload has {start} bytes, none of them content: expected a JSON object");
        return Reject::new(ReasonCode::EmptyPayload, reason).into();
    }
    if let Err(error) = scanner.skip_value().and_then(|()| scanner.end()) {
        return error.into();
    }
    let found = excerpt(scanner.payload(), &(start..scanner.payload().len()));
    let reason = format!("expected a JSON object, found {found}");
    Reject::new(ReasonCode::NotAnObject, reason).into()
}

#[cold]
fn not_json(payload: &[u8], error: ScanError) -> Reject {
    let code = match error.flaw {
        Flaw::Utf8 => ReasonCode::InvalidUtf8,
        Flaw::Depth => ReasonCode::TooDeep,
        Flaw::Range => ReasonCode::NumberOutOfRange,
        _ => ReasonCode::InvalidJson,
    };
    let at = error.at as usize;
    let found = match payload.get(at..) {
        None | Some([]) => "the end".to_owned(),
        Some(rest) => excerpt(payload, &(at..at + rest.len().min(20))),
    };
    Reject::new(
        code,
        format!(
            "byte {at} of {}: {}, found {found}",
            payload.len(),
            error.flaw
        ),
    )
}

#[cold]
pub(crate) fn missing_event_time() -> Reject {
    let reason = format!("event_time is missing or null: {}", time_text::EXPECTED);
    Reject::new(ReasonCode::MissingEventTime, reason)
}

#[cold]
pub(crate) fn invalid_event_time(payload: &[u8], value: &Range<usize>) -> Reject {
    let reason = format!(
        "event_time is {} (byte {}): {}",
        excerpt(payload, value),
        value.start,
        time_text::EXPECTED
    );
    Reject::new(ReasonCode::InvalidEventTime, reason)
}

#[cold]
pub(crate) fn event_time_out_of_range(event_time_us: i64, accepted: TimeRange) -> Reject {
    let reason = format!(
        "event_time is {}: expected {} to {}",
        time_text::format_rfc3339(event_time_us),
        time_text::format_rfc3339(accepted.min_us),
        time_text::format_rfc3339(accepted.max_us)
    );
    Reject::new(ReasonCode::EventTimeOutOfRange, reason)
}

#[cold]
pub(crate) fn missing_identity(kind: Kind) -> Reject {
    let names = kind.identity().join(", ");
    let reason = format!("expected at least one of {names} that is neither null nor empty");
    Reject::new(ReasonCode::MissingIdentity, reason)
}

/// A part of the payload, shortened, for a person to read.
fn excerpt(payload: &[u8], range: &Range<usize>) -> String {
    const CHARS_MAX: usize = 60;
    let bytes = &payload[range.start..range.end.min(range.start + 4 * CHARS_MAX)];
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text.chars().take(CHARS_MAX).collect();
    if shown.len() < range.len() {
        shown.push('…');
    }
    shown.escape_debug().to_string()
}
