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

    /// Appends what the string says, which is UTF-8.
    #[inline]
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        if self.escaped {
            unescape(self.raw, out);
        } else {
            out.extend_from_slice(self.raw);
        }
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
    let (end, ascii) = find_special(payload, start);
    if payload.get(end) == Some(&b'"') {
        let raw = &payload[start..end];
        if !ascii {
            check_utf8(raw, start)?;
        }
        return Ok(Text {
            raw,
            start: start as u32,
            escaped: false,
        });
    }
    scan_escaped(payload, start, end, ascii)
}

/// Goes on from `at`, where something other than the closing quote is.
#[cold]
fn scan_escaped(payload: &[u8], start: usize, mut at: usize, mut ascii: bool) -> Scanned<Text<'_>> {
    loop {
        match payload.get(at) {
            Some(b'"') => break,
            Some(b'\\') => at = skip_escape(payload, at)?,
            Some(_) => return Err(error(Flaw::Control, at)),
            None => return Err(error(Flaw::StringEnd, at)),
        }
        let (next, next_ascii) = find_special(payload, at);
        at = next;
        ascii &= next_ascii;
    }
    let raw = &payload[start..at];
    if !ascii {
        check_utf8(raw, start)?;
    }
    Ok(Text {
        raw,
        start: start as u32,
        escaped: true,
    })
}

/// The offset after the escape whose backslash is at `at`.
fn skip_escape(payload: &[u8], at: usize) -> Scanned<usize> {
    match payload.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match hex(payload, at + 2)? {
            0xD800..=0xDBFF => {
                if payload.get(at + 6..at + 8) != Some(b"\\u") {
                    return Err(error(Flaw::Surrogate, at));
                }
                match hex(payload, at + 8)? {
                    0xDC00..=0xDFFF => Ok(at + 12),
                    _ => Err(error(Flaw::Surrogate, at)),
                }
            }
            0xDC00..=0xDFFF => Err(error(Flaw::Surrogate, at)),
            _ => Ok(at + 6),
        },
        _ => Err(error(Flaw::Escape, at + 1)),
    }
}

/// The value of the four hexadecimal digits at `at`.
fn hex(payload: &[u8], at: usize) -> Scanned<u32> {
    payload
        .get(at..at + 4)
        .and_then(|digits| {
            digits.iter().try_fold(0, |value, digit| {
                Some(value << 4 | (*digit as char).to_digit(16)?)
            })
        })
        .ok_or_else(|| error(Flaw::Hex, at))
}

/// Appends what a string with well-formed escapes says. `raw` is what is between its quotes.
pub(crate) fn unescape(mut raw: &[u8], out: &mut Vec<u8>) {
    out.reserve(raw.len());
    while let Some(at) = memchr::memchr(b'\\', raw) {
        out.extend_from_slice(&raw[..at]);
        raw = unescape_one(&raw[at + 1..], out);
    }
    out.extend_from_slice(raw);
}

/// Appends what one escape says, and gives what follows it. `raw` begins after the backslash.
fn unescape_one<'r>(raw: &'r [u8], out: &mut Vec<u8>) -> &'r [u8] {
    let Some((escape, rest)) = raw.split_first() else {
        return raw;
    };
    let byte = match escape {
        b'b' => b'\x08',
        b'f' => b'\x0c',
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unescape_unicode(rest, out),
        other => *other,
    };
    out.push(byte);
    rest
}

/// Appends the character whose hexadecimal digits begin `raw`, and gives what follows it.
fn unescape_unicode<'r>(raw: &'r [u8], out: &mut Vec<u8>) -> &'r [u8] {
    let unit = |at: usize| hex(raw, at).unwrap_or(0xFFFD);
    let first = unit(0);
    let (code, len) = match first {
        0xD800..=0xDBFF => (0x1_0000 + ((first - 0xD800) << 10) + (unit(6) & 0x3FF), 10),
        _ => (first, 4),
    };
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    raw.get(len..).unwrap_or_default()
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
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
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
        let text = scan(payload.as_bytes(), 1).map_err(|error| error.flaw)?;
        let mut out = Vec::new();
        text.append_to(&mut out);
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
