//! Which field a key names. Producers write their keys in the same order again and again, so the
//! bytes that followed a key last time are compared in place first; only where they differ the key
//! is scanned and looked up.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use crate::field::Field;
use crate::scan::{Scanned, Scanner};

/// What a key names: a field's place in the field table, or [`UNKNOWN`].
pub(crate) type Target = usize;

/// A key that names no field.
pub(crate) const UNKNOWN: Target = SLOTS_EMPTY as Target;

const SLOTS: usize = 256;
const SLOTS_EMPTY: u8 = u8::MAX;

/// From names to fields.
struct KeyTable {
    fields: &'static [Field],
    slots: [u8; SLOTS],
}

impl KeyTable {
    fn new(fields: &'static [Field]) -> Self {
        assert!(fields.len() < SLOTS / 2, "the table of keys stays sparse");
        let mut slots = [SLOTS_EMPTY; SLOTS];
        for (target, field) in fields.iter().enumerate() {
            let mut slot = Self::first_slot(field.name.as_bytes());
            while slots[slot] != SLOTS_EMPTY {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = target as u8;
        }
        Self { fields, slots }
    }

    fn first_slot(key: &[u8]) -> usize {
        xxh3_64(key) as usize % SLOTS
    }

    fn find(&self, key: &[u8]) -> Target {
        let mut slot = Self::first_slot(key);
        loop {
            match self.slots[slot] {
                SLOTS_EMPTY => return UNKNOWN,
                target if self.fields[target as usize].name.as_bytes() == key => {
                    return target as Target;
                }
                _ => slot = (slot + 1) % SLOTS,
            }
        }
    }
}

/// What came between a key's value and the next value: separators, white space and the next key.
#[derive(Clone, Copy)]
struct Expected {
    bytes: [u8; Self::LEN_MAX],
    mask: [u8; Self::LEN_MAX],
    len: u8,
    key_start: u8,
    key_len: u8,
    target: u8,
}

impl Expected {
    const LEN_MAX: usize = 32;
    /// Matches nothing: no payload's next 32 bytes equal zero under a full mask.
    const NOTHING: Self = Self {
        bytes: [0; Self::LEN_MAX],
        mask: [0xff; Self::LEN_MAX],
        len: 0,
        key_start: 0,
        key_len: 0,
        target: SLOTS_EMPTY,
    };

    /// Whether the payload goes on as expected. Payloads are compared in whole words; so close to
    /// the end that there are none, the answer is no.
    #[inline]
    fn matches(&self, rest: &[u8]) -> bool {
        let Some(window) = rest.first_chunk::<{ Self::LEN_MAX }>() else {
            return false;
        };
        let mut different = 0;
        for ((found, expected), mask) in window.iter().zip(&self.bytes).zip(&self.mask) {
            different |= (found ^ expected) & mask;
        }
        different == 0
    }
}

/// A member's key: what it names, and where it is between its quotes.
pub(crate) struct Key {
    pub(crate) target: Target,
    pub(crate) raw: Range<usize>,
}

/// Finds the keys of an event's members, one after the other.
pub(crate) struct Keys {
    table: KeyTable,
    /// What followed each field's value last; then, what followed an unknown one's; then, what
    /// began an object.
    expected: Vec<Expected>,
    previous: usize,
    scratch: Vec<u8>,
}

impl Keys {
    pub(crate) fn new(fields: &'static [Field]) -> Self {
        Self {
            table: KeyTable::new(fields),
            expected: vec![Expected::NOTHING; fields.len() + 2],
            previous: 0,
            scratch: Vec::new(),
        }
    }

    fn start(&self) -> usize {
        self.expected.len() - 1
    }

    /// Begins a new object, whose opening brace the scanner has passed.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.previous = self.start();
    }

    /// The next member's key; the scanner is then before its value. `None` at the object's end,
    /// which the scanner has then passed.
    #[inline]
    pub(crate) fn next(&mut self, scanner: &mut Scanner<'_>) -> Scanned<Option<Key>> {
        let from = scanner.at();
        let expected = &self.expected[self.previous];
        if expected.matches(&scanner.payload()[from..]) {
            scanner.advance(usize::from(expected.len));
            let start = from + usize::from(expected.key_start);
            let raw = start..start + usize::from(expected.key_len);
            let target = Target::from(expected.target);
            self.previous = target.min(self.expected.len() - 2);
            return Ok(Some(Key { target, raw }));
        }
        self.look_up(scanner, from)
    }

    #[inline(never)]
    fn look_up(&mut self, scanner: &mut Scanner<'_>, from: usize) -> Scanned<Option<Key>> {
        let Some(text) = scanner.next_key(self.previous == self.start())? else {
            return Ok(None);
        };
        let target = self.table.find(text.read(&mut self.scratch));
        let payload = scanner.payload();
        scanner.peek();
        let passed = &payload[from..scanner.at()];
        let raw = text.range();
        self.expected[self.previous] = expectation(passed, raw.start - from, raw.len(), target);
        self.previous = target.min(self.expected.len() - 2);
        Ok(Some(Key { target, raw }))
    }
}

fn expectation(passed: &[u8], key_start: usize, key_len: usize, target: Target) -> Expected {
    let mut expected = Expected::NOTHING;
    if let Some(bytes) = expected.bytes.get_mut(..passed.len()) {
        bytes.copy_from_slice(passed);
        expected.mask[passed.len()..].fill(0);
        expected.len = passed.len() as u8;
        expected.key_start = key_start as u8;
        expected.key_len = key_len as u8;
        expected.target = target as u8;
    }
    expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::field::fields;

    /// The keys of an object of numbers, as their texts and targets.
    fn keys(keys: &mut Keys, payload: &str) -> Vec<(String, Target)> {
        let mut scanner = Scanner::new(payload.as_bytes());
        assert_eq!(scanner.peek(), b'{');
        scanner.open().unwrap();
        keys.begin();
        let mut found = Vec::new();
        while let Some(key) = keys.next(&mut scanner).unwrap() {
            found.push((payload[key.raw].to_owned(), key.target));
            scanner.skip_value().unwrap();
        }
        scanner.end().unwrap();
        found
    }

    fn target(name: &str) -> Target {
        fields(Kind::Trace)
            .iter()
            .position(|field| field.name == name)
            .unwrap_or(UNKNOWN)
    }

    #[test]
    fn every_field_is_found_by_its_name() {
        for kind in Kind::ALL {
            let table = KeyTable::new(fields(kind));
            for (target, field) in fields(kind).iter().enumerate() {
                assert_eq!(table.find(field.name.as_bytes()), target);
            }
            for other in ["", "event", "event_id ", "EVENT_ID", "input_token"] {
                assert_eq!(table.find(other.as_bytes()), UNKNOWN);
            }
        }
    }

    #[test]
    fn keys_are_found_whatever_came_before() {
        let padding = " ".repeat(40);
        let objects: &[(&str, &[&str])] = &[
            (
                r#"{"span_id":1,"trace_id":2,"nobody":3}"#,
                &["span_id", "trace_id", "nobody"],
            ),
            (
                r#"{"span_id":1,"trace_id":2,"nobody":3}"#,
                &["span_id", "trace_id", "nobody"],
            ),
            (
                r#"{"span_id":1,"latency_ms":2,"nobody":3}"#,
                &["span_id", "latency_ms", "nobody"],
            ),
            (
                r#"{ "span_id" : 1 , "trace_id" : 2 }"#,
                &["span_id", "trace_id"],
            ),
            (
                r#"{ "span_id" : 1 , "trace_id" : 2 }"#,
                &["span_id", "trace_id"],
            ),
            (r#"{"span_id":  1,"trace_id":2}"#, &["span_id", "trace_id"]),
            (r"{}", &[]),
            (
                r#"{"nobody":1,"a":2,"nobody":3,"span_id":4}"#,
                &["nobody", "a", "nobody", "span_id"],
            ),
            (
                r#"{"nobody":1,"a":2,"nobody":3,"span_id":4}"#,
                &["nobody", "a", "nobody", "span_id"],
            ),
        ];
        let mut keys_finder = Keys::new(fields(Kind::Trace));
        for (payload, names) in objects {
            let expected: Vec<_> = names
                .iter()
                .map(|name| ((*name).to_owned(), target(name)))
                .collect();
            // Once so that the end is too near for prediction, once so that it is far.
            assert_eq!(keys(&mut keys_finder, payload), expected, "{payload}");
            assert_eq!(
                keys(&mut keys_finder, &format!("{payload}{padding}")),
                expected,
                "{payload}"
            );
        }
    }

    #[test]
    fn escaped_keys_name_the_same_fields() {
        let mut finder = Keys::new(fields(Kind::Trace));
        let payload = format!(r#"{{"trace\u005fid":1}}{}"#, " ".repeat(40));
        for _ in 0..2 {
            assert_eq!(
                keys(&mut finder, &payload),
                [(r"trace\u005fid".to_owned(), target("trace_id"))]
            );
        }
    }
}
