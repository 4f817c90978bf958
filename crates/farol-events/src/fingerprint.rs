//! Fingerprints by which an event is recognised when a producer sends it again: 128 bits of xxh3
//! over the ids, each preceded by its length, and over what kind of ids they are.

use xxhash_rust::xxh3::xxh3_128;

use crate::Kind;

/// What the ids of a fingerprint are, so that equal texts in different roles differ.
#[derive(Clone, Copy)]
enum Domain {
    Event = 1,
    Span = 2,
}

/// The fingerprint of an event known by its own id within its service, if it names one.
pub fn event_fingerprint(kind: Kind, service: Option<&str>, event_id: &str) -> u128 {
    hash(
        kind,
        Domain::Event,
        service.map(str::as_bytes),
        event_id.as_bytes(),
    )
}

/// The fingerprint of an event known by its span.
pub fn span_fingerprint(kind: Kind, trace_id: &str, span_id: &str) -> u128 {
    hash(
        kind,
        Domain::Span,
        Some(trace_id.as_bytes()),
        span_id.as_bytes(),
    )
}

/// The fingerprint by which a producer's retry is recognised: of (service, event id), else of
/// (trace id, span id), else none. An empty text counts as absent.
pub fn fingerprint(
    kind: Kind,
    service: Option<&str>,
    event_id: Option<&str>,
    trace_id: Option<&str>,
    span_id: Option<&str>,
) -> Option<u128> {
    Ids {
        service: service.unwrap_or_default().as_bytes(),
        event_id: event_id.unwrap_or_default().as_bytes(),
        trace_id: trace_id.unwrap_or_default().as_bytes(),
        span_id: span_id.unwrap_or_default().as_bytes(),
    }
    .fingerprint(kind)
}

/// The ids of one event; empty where absent.
pub(crate) struct Ids<'a> {
    pub(crate) service: &'a [u8],
    pub(crate) event_id: &'a [u8],
    pub(crate) trace_id: &'a [u8],
    pub(crate) span_id: &'a [u8],
}

impl Ids<'_> {
    /// See [`fingerprint`].
    pub(crate) fn fingerprint(&self, kind: Kind) -> Option<u128> {
        if !self.event_id.is_empty() {
            let service = Some(self.service).filter(|service| !service.is_empty());
            Some(hash(kind, Domain::Event, service, self.event_id))
        } else if !self.trace_id.is_empty() && !self.span_id.is_empty() {
            Some(hash(kind, Domain::Span, Some(self.trace_id), self.span_id))
        } else {
            None
        }
    }
}

fn hash(kind: Kind, domain: Domain, first: Option<&[u8]>, second: &[u8]) -> u128 {
    const HEAD: usize = 10;
    let first_len = first.map_or(u64::MAX, |first| first.len() as u64);
    let first = first.unwrap_or_default();
    let len = HEAD + first.len() + second.len();
    let mut head = [kind as u8, domain as u8, 0, 0, 0, 0, 0, 0, 0, 0];
    head[2..].copy_from_slice(&first_len.to_le_bytes());

    // Ids are short: nearly always the text to hash fits on the stack.
    let mut short = [0; 192];
    if let Some(buffer) = short.get_mut(..len) {
        buffer[..HEAD].copy_from_slice(&head);
        buffer[HEAD..HEAD + first.len()].copy_from_slice(first);
        buffer[HEAD + first.len()..].copy_from_slice(second);
        xxh3_128(buffer)
    } else {
        xxh3_128(&[&head, first, second].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_do_not_run_into_each_other() {
        let all = [
            event_fingerprint(Kind::Trace, None, "ab"),
            event_fingerprint(Kind::Trace, Some("a"), "b"),
            event_fingerprint(Kind::Trace, Some("ab"), ""),
            event_fingerprint(Kind::Cost, None, "ab"),
            span_fingerprint(Kind::Trace, "a", "b"),
            span_fingerprint(Kind::Trace, "ab", ""),
        ];
        let distinct: std::collections::HashSet<_> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn the_event_id_goes_first_then_the_span_then_nothing() {
        let kind = Kind::Trace;
        assert_eq!(
            fingerprint(kind, Some("s"), Some("e"), Some("t"), Some("p")),
            Some(event_fingerprint(kind, Some("s"), "e"))
        );
        assert_eq!(
            fingerprint(kind, Some("s"), Some(""), Some("t"), Some("p")),
            Some(span_fingerprint(kind, "t", "p"))
        );
        assert_eq!(
            fingerprint(kind, Some("s"), None, Some("t"), Some("")),
            None
        );
        assert_eq!(fingerprint(kind, Some("s"), None, Some("t"), None), None);
        assert_eq!(
            fingerprint(kind, Some(""), Some("e"), None, None),
            Some(event_fingerprint(kind, None, "e"))
        );
    }

    #[test]
    fn long_ids_are_hashed_like_short_ones() {
        let long = "x".repeat(500);
        assert_eq!(
            event_fingerprint(Kind::Trace, Some(&long), "e"),
            event_fingerprint(Kind::Trace, Some(&long), "e")
        );
        assert_ne!(
            event_fingerprint(Kind::Trace, Some(&long), "e"),
            event_fingerprint(Kind::Trace, Some(&long[1..]), "xe")
        );
    }

    #[test]
    fn fingerprints_stay_as_they_are() {
        // They are compared with those of rows written by earlier versions.
        assert_eq!(
            event_fingerprint(Kind::Trace, Some("checkout"), "e-1"),
            xxh3_128(b"\x00\x01\x08\x00\x00\x00\x00\x00\x00\x00checkoute-1")
        );
    }
}
