//! What an event says beyond its fields: its own `attributes`, members that name no field, and
//! values that a field could not take. All of it is kept, as the text of one JSON object.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use crate::field::Field;
use crate::scan::Scanner;

/// The member of `attributes` that tells of values that fields could not take.
pub(crate) const INVALID_FIELDS: &str = "invalid_fields";

/// So many faults of one field are told one by one; where there are more, its whole value is kept
/// instead, so that faults cannot outgrow the payload.
const FAULTS_PER_FIELD_MAX: usize = 16;

/// Nested deeper, a value is kept as a string, so that `attributes` as a whole stays within the
/// depth that readers of JSON accept.
const NESTING_MAX: usize = 100;

/// So few keys are compared with each other one by one.
const FEW: usize = 8;

/// A value that a field, or a part of it, could not take.
struct Fault {
    field: usize,
    /// What part of the field: `[2].score`, `.groundedness`; empty for all of it.
    part: String,
    reason: Cow<'static, str>,
    value: Range<usize>,
}

/// A member that names no field. The key is without its quotes.
struct Unknown {
    key: Range<usize>,
    value: Range<usize>,
}

/// Collected over one event. Ranges are of its payload.
#[derive(Default)]
pub(crate) struct Notes {
    own: Option<Range<usize>>,
    unknown: Vec<Unknown>,
    faults: Vec<Fault>,
}

impl Notes {
    /// Forgets everything, for the next event.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.own = None;
        self.unknown.clear();
        self.faults.clear();
    }

    /// Whether there is anything to keep.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_none() && self.unknown.is_empty() && self.faults.is_empty()
    }

    /// The event's own `attributes`, an object. A later one replaces an earlier one.
    pub(crate) fn set_own(&mut self, own: Option<Range<usize>>) {
        self.own = own;
    }

    /// Keeps a member that names no field.
    pub(crate) fn unknown(&mut self, key: Range<usize>, value: Range<usize>) {
        self.unknown.push(Unknown { key, value });
    }

    /// Keeps a value that a field, or a part of it, could not take.
    pub(crate) fn fault(
        &mut self,
        field: usize,
        part: String,
        reason: impl Into<Cow<'static, str>>,
        value: Range<usize>,
    ) {
        self.forget_part(field, &part);
        if self.count(field) <= FAULTS_PER_FIELD_MAX {
            self.faults.push(Fault {
                field,
                part,
                reason: reason.into(),
                value,
            });
        }
    }

    fn count(&self, field: usize) -> usize {
        self.faults
            .iter()
            .filter(|fault| fault.field == field)
            .count()
    }

    /// Forgets a field's faults: a later value takes the earlier one's place.
    #[inline]
    pub(crate) fn forget(&mut self, field: usize) {
        if !self.faults.is_empty() {
            self.faults.retain(|fault| fault.field != field);
        }
    }

    /// Whether there are faults so far.
    #[inline]
    pub(crate) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Forgets the faults of a part of a field. Where there are too many, not all of them are
    /// here, and those that are stay, so that the whole value is told in the end.
    pub(crate) fn forget_part(&mut self, field: usize, part: &str) {
        if self.count(field) <= FAULTS_PER_FIELD_MAX {
            self.faults
                .retain(|fault| fault.field != field || fault.part != part);
        }
    }

    /// Ends a field that has parts: too many faults become one, of its whole value.
    pub(crate) fn settle(&mut self, field: usize, value: Range<usize>) {
        if self.count(field) > FAULTS_PER_FIELD_MAX {
            self.forget(field);
            let reason = format!("more than {FAULTS_PER_FIELD_MAX} parts of it are invalid");
            self.fault(field, String::new(), reason, value);
        }
    }

    /// Appends the JSON object that keeps everything. Members of the event's own `attributes` come
    /// first, then members that name no field, then the faults; of equal keys the last one stays.
    pub(crate) fn write(&self, fields: &[Field], payload: &[u8], out: &mut Vec<u8>) {
        if let (Some(own), [], []) = (&self.own, &*self.unknown, &*self.faults) {
            out.extend_from_slice(&payload[own.clone()]);
            return;
        }
        let mut members = self
            .own
            .clone()
            .map_or_else(Vec::new, |own| own_members(payload, own));
        members.extend(
            self.unknown
                .iter()
                .map(|unknown| (unknown.key.clone(), unknown.value.clone())),
        );
        retain_last(payload, &mut members, !self.faults.is_empty());
        out.push(b'{');
        for (i, (key, value)) in members.iter().enumerate() {
            separate(i == 0, out);
            out.push(b'"');
            out.extend_from_slice(&payload[key.clone()]);
            out.extend_from_slice(b"\":");
            out.extend_from_slice(&payload[value.clone()]);
        }
        if !self.faults.is_empty() {
            separate(members.is_empty(), out);
            self.write_faults(fields, payload, out);
        }
        out.push(b'}');
    }

    fn write_faults(&self, fields: &[Field], payload: &[u8], out: &mut Vec<u8>) {
        write_string(INVALID_FIELDS.as_bytes(), out);
        out.extend_from_slice(b":{");
        for (i, fault) in self.faults.iter().enumerate() {
            separate(i == 0, out);
            let path = format!("{}{}", fields[fault.field].name, fault.part);
            write_string(path.as_bytes(), out);
            out.extend_from_slice(b":{\"reason\":");
            write_string(fault.reason.as_bytes(), out);
            out.extend_from_slice(b",\"value\":");
            let value = &payload[fault.value.clone()];
            if nesting(value) > NESTING_MAX {
                write_string(value, out);
            } else {
                out.extend_from_slice(value);
            }
            out.push(b'}');
        }
        out.push(b'}');
    }
}

type Member = (Range<usize>, Range<usize>);

/// The members of the object at `own`, which is known to be well-formed.
fn own_members(payload: &[u8], own: Range<usize>) -> Vec<Member> {
    let mut members = Vec::new();
    let mut scanner = Scanner::new(&payload[..own.end]);
    scanner.advance(own.start);
    if scanner.open().is_err() {
        return members;
    }
    while let Ok(Some(key)) = scanner.next_key(members.is_empty()) {
        scanner.peek();
        let start = scanner.at();
        if scanner.skip_value().is_err() {
            break;
        }
        members.push((key.range(), start..scanner.at()));
    }
    members
}

/// Of members with equal keys only the last one stays. `faults`: the faults take their key.
fn retain_last(payload: &[u8], members: &mut Vec<Member>, faults: bool) {
    if members.len() == 1 && !faults {
        return;
    }
    let keys: Vec<Cow<'_, [u8]>> = members
        .iter()
        .map(|(key, _)| decode_key(&payload[key.clone()]))
        .collect();
    let reserved = |key: &[u8]| faults && key == INVALID_FIELDS.as_bytes();
    let kept: Vec<bool> = if keys.len() <= FEW {
        let again = |at: usize| keys[at + 1..].contains(&keys[at]);
        (0..keys.len())
            .map(|at| !again(at) && !reserved(&keys[at]))
            .collect()
    } else {
        let last: HashMap<&[u8], usize> = keys
            .iter()
            .enumerate()
            .map(|(at, key)| (&**key, at))
            .collect();
        let is_last = |at: usize| last.get(&*keys[at]) == Some(&at);
        (0..keys.len())
            .map(|at| is_last(at) && !reserved(&keys[at]))
            .collect()
    };
    let mut kept = kept.into_iter();
    members.retain(|_| kept.next().unwrap_or(true));
}

fn decode_key(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut decoded = Vec::new();
    crate::text::unescape(raw, &mut decoded);
    Cow::Owned(decoded)
}

fn separate(first: bool, out: &mut Vec<u8>) {
    if !first {
        out.push(b',');
    }
}

/// Appends a text as a JSON string.
fn write_string(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

/// How many levels of arrays and objects a well-formed value has.
fn nesting(value: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(inner) = bytes.next() {
                    match inner {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Kind;
    use crate::field::fields;

    /// The range of the first occurrence of a part of the payload.
    fn range(payload: &str, part: &str) -> Range<usize> {
        let start = payload.find(part).unwrap();
        start..start + part.len()
    }

    fn written(notes: &Notes, payload: &str) -> String {
        let mut out = Vec::new();
        notes.write(fields(Kind::Trace), payload.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn own_attributes_alone_stay_as_they_are() {
        let payload = r#"{"attributes": { "a" : [1, 2 ] } }"#;
        let mut notes = Notes::default();
        assert!(notes.is_empty());
        notes.set_own(Some(range(payload, r#"{ "a" : [1, 2 ] }"#)));
        assert!(!notes.is_empty());
        assert_eq!(written(&notes, payload), r#"{ "a" : [1, 2 ] }"#);
    }

    #[test]
    fn own_and_unknown_members_come_together_and_the_last_key_wins() {
        let payload =
            r#"{"attributes":{"a" : "\"x\"", "b":2,"\u0063":3},"b":{"deep":[true]},"c":null}"#;
        let mut notes = Notes::default();
        notes.set_own(Some(range(payload, r#"{"a" : "\"x\"", "b":2,"\u0063":3}"#)));
        let from_b = range(payload, r#"b":{"#).start;
        notes.unknown(from_b..from_b + 1, range(payload, r#"{"deep":[true]}"#));
        let from_c = range(payload, r#"c":null"#).start;
        notes.unknown(from_c..from_c + 1, range(payload, "null"));
        assert_eq!(
            written(&notes, payload),
            r#"{"a":"\"x\"","b":{"deep":[true]},"c":null}"#
        );
    }

    #[test]
    fn faults_are_told_with_reason_and_value() {
        let payload = r#"{"latency_ms":"fast","x":1}"#;
        let latency = fields(Kind::Trace)
            .iter()
            .position(|field| field.name == "latency_ms")
            .unwrap();
        let mut notes = Notes::default();
        notes.unknown(range(payload, "x"), range(payload, "1"));
        notes.fault(
            latency,
            String::new(),
            "expected a number",
            range(payload, r#""fast""#),
        );
        notes.fault(latency, ".a \"b\"\n".to_owned(), "no", range(payload, "1"));
        let value: Value = serde_json::from_str(&written(&notes, payload)).unwrap();
        assert_eq!(
            value,
            json!({"x": 1, "invalid_fields": {
                "latency_ms": {"reason": "expected a number", "value": "fast"},
                "latency_ms.a \"b\"\n": {"reason": "no", "value": 1},
            }})
        );
        notes.forget(latency);
        assert_eq!(written(&notes, payload), r#"{"x":1}"#);
    }

    #[test]
    fn many_faults_of_a_field_become_one_with_its_whole_value() {
        let payload = "[0,1,2]";
        let mut notes = Notes::default();
        for i in 0..1_000 {
            notes.fault(3, format!("[{i}]"), "no", 1..2);
        }
        notes.settle(3, 0..7);
        let value: Value = serde_json::from_str(&written(&notes, payload)).unwrap();
        let told = value["invalid_fields"].as_object().unwrap();
        assert_eq!(told.len(), 1);
        assert_eq!(told["trace_id"]["value"], json!([0, 1, 2]));
    }

    #[test]
    fn what_is_nested_too_deep_is_kept_as_a_string() {
        let payload = format!("{}{}", "[".repeat(126), "]".repeat(126));
        let mut notes = Notes::default();
        notes.fault(0, String::new(), "no", 0..payload.len());
        let value: Value = serde_json::from_str(&written(&notes, &payload)).unwrap();
        assert_eq!(value["invalid_fields"]["event_id"]["value"], json!(payload));
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        assert_eq!(nesting(br#"[{"a[[[":"\"[["},[1]]"#), 2);
        assert_eq!(nesting(b"1"), 0);
    }
}
