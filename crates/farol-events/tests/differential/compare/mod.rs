//! Holds the decoder against serde_json: both accept and refuse the same bytes, and read the same
//! values. The property tests and the fuzz target share this module.
//!
//! A payload goes two ways: through the decoder into Arrow columns, which [`found`] reads back,
//! and through serde_json, from whose raw texts [`expected`] makes what the interface promises.
//! The second way is written for plainness and shares no code with the first, but for instants.

mod cell;
mod exact;
mod expected;
mod found;
mod raw;

use farol_events::field::fields;
use farol_events::{Decoded, Decoder, Kind, ReasonCode, Reject, TimeRange};
use serde_json::Value;

use expected::Event;

/// What the decoder says beyond JSON itself.
const ABOUT_EVENTS: [ReasonCode; 4] = [
    ReasonCode::MissingEventTime,
    ReasonCode::InvalidEventTime,
    ReasonCode::EventTimeOutOfRange,
    ReasonCode::MissingIdentity,
];

/// An event that any payload may come before.
const GOOD: &[u8] = br#"{"event_id":"a","event_time":"2026-03-01T00:00:00Z","tags":{"a":"b"}}"#;

/// The payload, decoded as any kind of event.
///
/// # Errors
/// Says what differs between decoder and serde_json.
pub fn check_every_kind(payload: &[u8]) -> Result<(), String> {
    Kind::ALL
        .into_iter()
        .try_for_each(|kind| check(kind, payload))
}

/// The payload, decoded as one kind of event.
///
/// # Errors
/// Says what differs between decoder and serde_json.
pub fn check(kind: Kind, payload: &[u8]) -> Result<(), String> {
    let parsed = serde_json::from_slice::<Value>(payload);
    let decoded = decode(kind, payload);
    refused_leaves_nothing(kind, payload, decoded.is_ok())?;
    match (decoded, parsed) {
        (Ok(decoded), Ok(_)) => compare(kind, &decoded, &Event::read(kind, payload)?),
        (Err(reject), Ok(Value::Object(_))) => {
            let expected = Event::read(kind, payload)?.refusal();
            ensure(expected == Some(reject.code), || {
                format!("{kind}: refused with {reject}; expected {expected:?}")
            })
        }
        (Err(reject), Ok(_)) => ensure(reject.code == ReasonCode::NotAnObject, || {
            format!("{kind}: serde_json reads no object, the decoder says {reject}")
        }),
        (Err(reject), Err(error)) => {
            let about_json =
                !ABOUT_EVENTS.contains(&reject.code) && reject.code != ReasonCode::NotAnObject;
            ensure(about_json && !reject.reason.is_empty(), || {
                format!("{kind}: serde_json says {error}, the decoder says {reject}")
            })
        }
        (Ok(_), Err(error)) => Err(format!("{kind}: decoded, but serde_json says {error}")),
    }
}

/// Decodes the payload twice, the second time with white space after it: the decoder predicts keys
/// from the events before, and only far from a payload's end.
fn decode(kind: Kind, payload: &[u8]) -> Result<Decoded, Reject> {
    let mut decoder = Decoder::new(kind, TimeRange::ALL);
    decoder.decode(payload)?;
    let mut padded = payload.to_vec();
    padded.resize(payload.len() + 64, b' ');
    decoder.decode(&padded)?;
    Ok(decoder.finish())
}

/// A payload that is refused leaves no trace in the rows before and after it.
fn refused_leaves_nothing(kind: Kind, payload: &[u8], accepted: bool) -> Result<(), String> {
    if accepted {
        return Ok(());
    }
    let rows = |between: &[&[u8]]| {
        let mut decoder = Decoder::new(kind, TimeRange::ALL);
        let _ = decoder.decode(GOOD);
        for payload in between {
            let _ = decoder.decode(payload);
        }
        let _ = decoder.decode(GOOD);
        decoder.finish().batch
    };
    ensure(rows(&[payload]) == rows(&[]), || {
        format!("{kind}: a refused payload changed other rows")
    })
}

fn compare(kind: Kind, decoded: &Decoded, event: &Event) -> Result<(), String> {
    ensure(event.refusal().is_none(), || {
        format!("{kind}: decoded, but expected {:?}", event.refusal())
    })?;
    for (at, field) in fields(kind).iter().enumerate() {
        let column = decoded.batch.column(at);
        let rows = [0, 1].map(|row| found::cell(column, row));
        ensure(rows[0] == rows[1], || {
            format!(
                "{kind}.{}: {:?} once, then {:?}",
                field.name, rows[0], rows[1]
            )
        })?;
        let matches = match &rows[0] {
            cell if field.name == "attributes" => event.attributes_match(cell)?,
            cell => *cell == event.cells[at],
        };
        ensure(matches, || {
            let expected = match field.name {
                "attributes" => format!("{event:?}"),
                _ => format!("{:?}", event.cells[at]),
            };
            format!(
                "{kind}.{}: found {:?}, expected {expected}",
                field.name, rows[0]
            )
        })?;
    }
    ensure(decoded.batch.num_rows() == 2, || {
        "two events are two rows".to_owned()
    })
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
