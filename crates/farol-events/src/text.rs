//! Strings in JSON: where they end, whether they are well-formed, and what they say.
//!
//! Bytes are looked at sixteen at a time, as machine words, for the three things that matter: a
//! quote, a backslash, a control character. UTF-8 is checked only where a byte is not ASCII.

use std::ops::Range;

use crate::scan::{Flaw, ScanError, Scanned};

/// A well-formed string of the payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'p> {
    raw: &'p [u8],
    start: u32,
    escaped: bool,
}

impl<'p> Text<'p> {
    /// The bytes between the quotes, as they are in the payload.
    #[inline]
    pub(crate) fn raw(&self) -> &'p [u8] {
        self.raw
    }

    /// Where those bytes are in the payload.
    #[inline]
    pub(crate) fn range(&self) -> Range<usize> {
        self.start as usize..self.start as usize + self.raw.len()
    }

    /// What the string says; `scratch` holds it where it has to be put together.
    #[inline]
    pub(crate) fn read<'s>(&self, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'p: 's,
    {
        if !self.escaped {
            return self.raw;
        }
        scratch.clear();
        unescape(self.raw, scratch);
        scratch
    }
}

/// Scans the string whose first byte after the opening quote is at `start`.
#[inline]
pub(crate) fn scan(payload: &[u8], start: usize) -> Scanned<Text<'_>> {
    let (at, ascii) = find_special(payload, start);
    let escaped = payload.get(at) != Some(&b'"');
    let end = if escaped {
        finish(payload, start, at, ascii, |_| ())?
    } else {
        at
    };
    let raw = &payload[start..end];
    if !escaped && !ascii {
        check_utf8(raw, start)?;
    }
    Ok(Text {
        raw,
        start: start as u32,
        escaped,
    })
}

/// Appends what the string says whose first byte after the opening quote is at `start`; gives the
/// offset of its closing quote. What is appended is UTF-8, unless there is an error.
#[inline]
pub(crate) fn append(payload: &[u8], start: usize, out: &mut Vec<u8>) -> Scanned<usize> {
    let (at, ascii) = find_special(payload, start);
    if payload.get(at) != Some(&b'"') {
        return finish(payload, start, at, ascii, |part| {
            out.extend_from_slice(part);
        });
    }
    let raw = &payload[start..at];
    if !ascii {
        check_utf8(raw, start)?;
    }
    copy(payload, start, raw, out);
    Ok(at)
}

/// Appends `raw`, which begins at `start`. A short text is appended as a block of fixed size, cut
/// off afterwards: that is a few instructions, where a copy of any length is a call.
#[inline]
fn copy(payload: &[u8], start: usize, raw: &[u8], out: &mut Vec<u8>) {
    const BLOCK: usize = 32;
    match payload[start..].first_chunk::<BLOCK>() {
        Some(block) if raw.len() <= BLOCK => {
            let len = out.len() + raw.len();
            out.extend_from_slice(block);
            out.truncate(len);
        }
        _ => out.extend_from_slice(raw),
    }
}

/// Goes on at `at`, where something other than the closing quote is, up to the closing quote. Every
/// part of what the string says is given to `say`.
#[inline(never)]
fn finish(
    payload: &[u8],
    start: usize,
    mut at: usize,
    mut ascii: bool,
    mut say: impl FnMut(&[u8]),
) -> Scanned<usize> {
    let mut from = start;
    loop {
        match payload.get(at) {
            Some(b'"') => break,
            Some(b'\\') => {
                say(&payload[from..at]);
                let (character, next) = escape(payload, at)?;
                say(character.encode_utf8(&mut [0; 4]).as_bytes());
                from = next;
            }
            Some(_) => return Err(error(Flaw::Control, at)),
            None => return Err(error(Flaw::StringEnd, at)),
        }
        let (next, next_ascii) = find_special(payload, from);
        at = next;
        ascii &= next_ascii;
    }
    say(&payload[from..at]);
    if !ascii {
        check_utf8(&payload[start..at], start)?;
    }
    Ok(at)
}

/// What the escape says whose backslash is at `at`, and the offset after it.
fn escape(payload: &[u8], at: usize) -> Scanned<(char, usize)> {
    let character = match payload.get(at + 1) {
        Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => return unicode_escape(payload, at),
        _ => return Err(error(Flaw::Escape, at + 1)),
    };
    Ok((character, at + 2))
}

/// The same of one or two escapes by code unit.
fn unicode_escape(payload: &[u8], at: usize) -> Scanned<(char, usize)> {
    let first = hex(payload, at + 2)?;
    let (code, next) = match first {
        0xD800..=0xDBFF if payload.get(at + 6..at + 8) == Some(b"\\u") => {
            match hex(payload, at + 8)? {
                second @ 0xDC00..=0xDFFF => {
                    (0x1_0000 + ((first & 0x3FF) << 10 | second & 0x3FF), at + 12)
                }
                _ => (first, at),
            }
        }
        _ => (first, at + 6),
    };
    // What is left of surrogates, unpaired ones, are not characters.
    let character = char::from_u32(code).ok_or_else(|| error(Flaw::Surrogate, at))?;
    Ok((character, next))
}

/// The value of the four hexadecimal digits at `at`.
fn hex(payload: &[u8], at: usize) -> Scanned<u32> {
    let digits = payload
        .get(at..at + 4)
        .ok_or_else(|| error(Flaw::Hex, at))?;
    digits
        .iter()
        .try_fold(0, |value, digit| {
            Some(value << 4 | char::from(*digit).to_digit(16)?)
        })
        .ok_or_else(|| error(Flaw::Hex, at))
}

/// Appends what a well-formed string says. `raw` is what is between its quotes.
pub(crate) fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut from = 0;
    while let Some(len) = memchr::memchr(b'\\', &raw[from..]) {
        out.extend_from_slice(&raw[from..from + len]);
        let Ok((character, next)) = escape(raw, from + len) else {
            return;
        };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        from = next;
    }
    out.extend_from_slice(&raw[from..]);
}

#[cold]
fn error(flaw: Flaw, at: usize) -> ScanError {
    ScanError {
        flaw,
        at: at as u32,
    }
}

#[cold]
fn check_utf8(raw: &[u8], start: usize) -> Scanned<()> {
    match std::str::from_utf8(raw) {
        Ok(_) => Ok(()),
        Err(invalid) => Err(error(Flaw::Utf8, start + invalid.valid_up_to())),
    }
}

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// The offset of the first quote, backslash or control character at or after `at` (the payload's
/// length if there is none), and whether what was looked at on the way is ASCII.
#[inline]
fn find_special(payload: &[u8], mut at: usize) -> (usize, bool) {
    let mut seen = 0;
    while let Some(chunk) = payload[at.min(payload.len())..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        seen |= word;
        let special = special_bytes(word);
        if special != 0 {
            return (at + special.trailing_zeros() as usize / 8, seen & HIGH == 0);
        }
        at += 8;
    }
    let mut high = seen & HIGH != 0;
    while let Some(byte) = payload.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            break;
        }
        high |= !byte.is_ascii();
        at += 1;
    }
    (at, !high)
}

/// The high bit of bytes that are a quote, a backslash or a control character. The lowest bit set
/// is right; a borrow can set further ones above it.
#[inline]
fn special_bytes(word: u64) -> u64 {
    let quote = word ^ (ONES * 0x22);
    let backslash = word ^ (ONES * 0x5c);
    let found = (quote.wrapping_sub(ONES) & !quote)
        | (backslash.wrapping_sub(ONES) & !backslash)
        | (word.wrapping_sub(ONES * 0x20) & !word);
    found & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<String, Flaw> {
        let payload = format!("\"{content}\"");
        let mut out = Vec::new();
        let end = append(payload.as_bytes(), 1, &mut out).map_err(|error| error.flaw);
        let text = scan(payload.as_bytes(), 1).map_err(|error| error.flaw)?;
        assert_eq!(end, Ok(text.range().end));
        assert_eq!(out, text.read(&mut Vec::new()));
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn finds_the_first_special_byte_at_every_offset() {
        for len in 0..40 {
            for special in [b'"', b'\\', b'\n', 0x00, 0x1f] {
                for after in [b'"', b'a', 0x80, 0x00] {
                    let mut payload = vec![b'~'; len];
                    payload.push(special);
                    payload.extend([after; 20]);
                    assert_eq!(find_special(&payload, 0).0, len);
                }
            }
            assert_eq!(find_special(&vec![b' '; len], 0), (len, true));
            assert_eq!(find_special(&vec![0xff; len], 0), (len, len == 0));
        }
    }

    #[test]
    fn every_byte_is_classed() {
        for byte in 0..=255_u8 {
            let special = matches!(byte, b'"' | b'\\' | 0..0x20);
            assert_eq!(
                special_bytes(u64::from_le_bytes([byte; 8])) != 0,
                special,
                "{byte}"
            );
        }
    }

    #[test]
    fn escapes_say_what_serde_json_says() {
        for content in [
            "",
            "plain",
            "résumé",
            r#"\"\\\/\b\f\n\r\t"#,
            r"\u0041\u00e9\u20AC",
            r"\uD83D\uDE00 and more",
            r"\u0000",
            r"\uffff",
            "before\\nafter, more than sixteen bytes on \\t both sides",
            "日本\\n語",
        ] {
            let expected: String = serde_json::from_str(&format!("\"{content}\"")).unwrap();
            assert_eq!(read(content), Ok(expected), "{content}");
        }
    }

    #[test]
    fn malformed_strings_are_refused() {
        assert_eq!(read("a\nb"), Err(Flaw::Control));
        assert_eq!(read(r"\q"), Err(Flaw::Escape));
        assert_eq!(read(r"\u12"), Err(Flaw::Hex));
        assert_eq!(read(r"\u+123"), Err(Flaw::Hex));
        assert_eq!(read(r"\ud800"), Err(Flaw::Surrogate));
        assert_eq!(read(r"\ud800\u0041"), Err(Flaw::Surrogate));
        assert_eq!(read(r"\udc00"), Err(Flaw::Surrogate));
        assert_eq!(scan(b"\"abc", 1).unwrap_err().flaw, Flaw::StringEnd);
        assert_eq!(scan(b"\"abc\\", 1).unwrap_err().flaw, Flaw::Escape);
        assert_eq!(scan(b"\"", 1).unwrap_err().flaw, Flaw::StringEnd);
    }

    #[test]
    fn invalid_utf8_says_where() {
        let payload = b"\"0123456789abcdef\xff\"";
        let error = scan(payload, 1).unwrap_err();
        assert_eq!((error.flaw, error.at), (Flaw::Utf8, 17));
        assert_eq!(scan(b"\"\\n\xff\"", 1).unwrap_err().flaw, Flaw::Utf8);
    }
}
