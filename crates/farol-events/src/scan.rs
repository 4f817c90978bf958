//! JSON, byte by byte: what is where in a payload, exactly as strictly as `serde_json` reads it
//! into a `Value`. Nothing here knows of fields or columns.
//!
//! A [`Scanner`] walks forward only. Strings and numbers come back as slices of the payload; texts
//! are copied once, by whoever asks for them.

use crate::number::{self, Number};
use crate::text::{self, Text};

/// The deepest nesting of arrays and objects that is accepted.
const DEPTH_MAX: u8 = 127;

/// What is wrong with a payload as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("expected a value")]
    Value,
    #[error("expected true, false or null")]
    Literal,
    #[error("expected a key, which is a string")]
    Key,
    #[error("expected ':' after a key")]
    Colon,
    #[error("expected ',' or '}}' after a member")]
    ObjectEnd,
    #[error("expected ',' or ']' after an element")]
    ArrayEnd,
    #[error("expected nothing after the object")]
    Trailing,
    #[error("expected a closing quote")]
    StringEnd,
    #[error("expected control characters in strings to be escaped")]
    Control,
    #[error("expected one of \" \\ / b f n r t u after a backslash")]
    Escape,
    #[error("expected four hexadecimal digits after \\u")]
    Hex,
    #[error("expected surrogates to come in pairs")]
    Surrogate,
    #[error("expected a number's next digit")]
    Digit,
    #[error("expected no digits after a leading zero")]
    LeadingZero,
    #[error("expected a number within the range of 64-bit floating point")]
    Range,
    #[error("expected UTF-8")]
    Utf8,
    #[error("expected at most 127 levels of arrays and objects")]
    Depth,
}

/// A flaw, and the byte offset at which it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScanError {
    pub(crate) flaw: Flaw,
    pub(crate) at: u32,
}

pub(crate) type Scanned<T> = Result<T, ScanError>;

/// A position in a payload.
pub(crate) struct Scanner<'p> {
    payload: &'p [u8],
    at: usize,
    depth: u8,
}

impl<'p> Scanner<'p> {
    /// Starts at the payload's first byte. A payload has fewer than 2^32 bytes.
    pub(crate) fn new(payload: &'p [u8]) -> Self {
        Self {
            payload,
            at: 0,
            depth: 0,
        }
    }

    /// The whole payload.
    #[inline]
    pub(crate) fn payload(&self) -> &'p [u8] {
        self.payload
    }

    /// The byte offset of what comes next.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes forward over `len` bytes that are known to be well-formed.
    #[inline]
    pub(crate) fn advance(&mut self, len: usize) {
        self.at += len;
    }

    /// The next byte, or 0, which JSON never accepts, at the end.
    #[inline]
    fn byte(&self) -> u8 {
        self.payload.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn skip_whitespace(&mut self) {
        while matches!(self.byte(), b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    /// The first byte of the next token, or 0 at the end.
    #[inline]
    pub(crate) fn peek(&mut self) -> u8 {
        let byte = self.byte();
        if byte > b' ' {
            return byte;
        }
        self.skip_whitespace();
        self.byte()
    }

    #[cold]
    pub(crate) fn error(&self, flaw: Flaw) -> ScanError {
        ScanError {
            flaw,
            at: self.at as u32,
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8, flaw: Flaw) -> Scanned<()> {
        if self.peek() != byte {
            return Err(self.error(flaw));
        }
        self.at += 1;
        Ok(())
    }

    /// Nothing but white space is left.
    pub(crate) fn end(&mut self) -> Scanned<()> {
        self.skip_whitespace();
        if self.at == self.payload.len() {
            Ok(())
        } else {
            Err(self.error(Flaw::Trailing))
        }
    }

    /// A string, from its opening quote.
    #[inline]
    pub(crate) fn string(&mut self) -> Scanned<Text<'p>> {
        let text = text::scan(self.payload, self.at + 1)?;
        self.at += text.raw().len() + 2;
        Ok(text)
    }

    /// A string, from its opening quote. What it says is appended; it is UTF-8, unless there is an
    /// error.
    #[inline]
    pub(crate) fn string_into(&mut self, out: &mut Vec<u8>) -> Scanned<()> {
        self.at = text::append(self.payload, self.at + 1, out)? + 1;
        Ok(())
    }

    /// A number, from its sign or first digit.
    #[inline]
    pub(crate) fn number(&mut self) -> Scanned<Number<'p>> {
        let number = number::scan(self.payload, self.at)?;
        self.at += number.text.len();
        Ok(number)
    }

    /// `true`, `false` or `null`.
    #[inline]
    pub(crate) fn literal(&mut self, literal: &'static str) -> Scanned<()> {
        if !self.payload[self.at..].starts_with(literal.as_bytes()) {
            return Err(self.error(Flaw::Literal));
        }
        self.at += literal.len();
        Ok(())
    }

    /// Goes into an array or object, past its opening bracket.
    #[inline]
    pub(crate) fn open(&mut self) -> Scanned<()> {
        if self.depth == DEPTH_MAX {
            return Err(self.error(Flaw::Depth));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn close(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    /// Inside an object, goes past what precedes the next member's key and gives the key, or goes
    /// past the closing brace and gives `None`. `first`: no member came before.
    #[inline]
    pub(crate) fn next_key(&mut self, first: bool) -> Scanned<Option<Text<'p>>> {
        match self.peek() {
            b'}' => {
                self.close();
                return Ok(None);
            }
            b',' if !first => self.at += 1,
            _ if first => {}
            _ => return Err(self.error(Flaw::ObjectEnd)),
        }
        if self.peek() != b'"' {
            return Err(self.error(Flaw::Key));
        }
        let key = self.string()?;
        self.expect(b':', Flaw::Colon)?;
        Ok(Some(key))
    }

    /// Inside an array, goes to the next element and gives true, or goes past the closing bracket
    /// and gives false. `first`: no element came before.
    #[inline]
    pub(crate) fn next_element(&mut self, first: bool) -> Scanned<bool> {
        match self.peek() {
            b']' if first => {
                self.close();
                Ok(false)
            }
            _ if first => Ok(true),
            b']' => {
                self.close();
                Ok(false)
            }
            b',' => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(self.error(Flaw::ArrayEnd)),
        }
    }

    /// Goes past any value. It is read as strictly as one that is kept.
    pub(crate) fn skip_value(&mut self) -> Scanned<()> {
        match self.peek() {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            b'{' => self.skip_object(),
            b'[' => self.skip_array(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => Err(self.error(Flaw::Value)),
        }
    }

    fn skip_object(&mut self) -> Scanned<()> {
        self.open()?;
        let mut first = true;
        while self.next_key(first)?.is_some() {
            self.skip_value()?;
            first = false;
        }
        Ok(())
    }

    fn skip_array(&mut self) -> Scanned<()> {
        self.open()?;
        let mut first = true;
        while self.next_element(first)? {
            self.skip_value()?;
            first = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the whole of a payload is one JSON value, and if not, the flaw and where.
    fn scan(payload: &[u8]) -> Result<(), (Flaw, u32)> {
        let mut scanner = Scanner::new(payload);
        scanner
            .skip_value()
            .and_then(|()| scanner.end())
            .map_err(|error| (error.flaw, error.at))
    }

    #[test]
    fn accepts_and_refuses_what_serde_json_does() {
        let payloads: &[&[u8]] = &[
            b"{}",
            b" [ ] ",
            b"[1,2]",
            b"[1,]",
            b"[,1]",
            b"[1 2]",
            b"{\"a\":1,}",
            b"{\"a\":}",
            b"{,\"a\":1}",
            b"{\"a\" : [ { } , null ] }",
            b"{\"a\"}",
            b"{a:1}",
            b"{1:1}",
            b"{\"a\":1 \"b\":2}",
            b"true",
            b"tru",
            b"truex",
            b"nul",
            b"null ",
            b"falsey",
            b"\"a\"",
            b"\"a",
            b"",
            b" ",
            b"{",
            b"[",
            b"{}x",
            b"{} {}",
            b"\xef\xbb\xbf{}",
            b"[\"\\u0000\"]",
            b"\"\x00\"",
            b"\"\x1f\"",
            b"\"\x7f\"",
            b"\"\n\"",
            b"\0",
            b"[\x0b1]",
            b"[\xc2\xa01]",
            b"/**/1",
            b"'a'",
            b"NaN",
            b"Infinity",
            b"-Infinity",
            b"\"\\x\"",
            b"\"\\u12\"",
            b"\"\\u12g4\"",
            b"\"\\ud800\"",
            b"\"\\udc00\"",
            b"\"\\ud800\\udc00\"",
            b"\"\\ud800\\ud800\"",
            b"\"\\ud800x\"",
            b"\"\\ud800\\n\"",
            b"\"\\uD83D\\uDE00\"",
            b"\"\xff\"",
            b"\"\xc3\xa9\"",
            b"\"\xc3\"",
            b"\"\xed\xa0\x80\"",
            b"\"\xc3\\u00e9\"",
            b"{\"\xff\":1}",
            b"{\"\\q\":1}",
            b"0",
            b"-0",
            b"-",
            b"00",
            b"01",
            b"-01",
            b"1.",
            b".1",
            b"1.e1",
            b"1e",
            b"1e+",
            b"1E-5",
            b"+1",
            b"1e308",
            b"1e309",
            b"-1e309",
            b"1e999",
            b"0e999",
            b"1e-999",
            b"0.0e99999999999",
            b"1e99999999999",
            b"1e-99999999999",
            b"123456789012345678901234567890",
            b"1x",
            b"1.5.5",
            b"--1",
            b"1e1.5",
        ];
        for payload in payloads {
            let expected = serde_json::from_slice::<serde_json::Value>(payload);
            assert_eq!(
                scan(payload).is_ok(),
                expected.is_ok(),
                "{:?}: {expected:?}",
                String::from_utf8_lossy(payload)
            );
        }
    }

    #[test]
    fn long_integers_are_held_against_the_range_too() {
        for digits in [308, 309, 310, 400] {
            let payload = "9".repeat(digits);
            let expected = serde_json::from_str::<serde_json::Value>(&payload);
            assert_eq!(
                scan(payload.as_bytes()).is_ok(),
                expected.is_ok(),
                "{digits}"
            );
        }
    }

    #[test]
    fn nesting_ends_where_serde_json_ends_it() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for depth in [1, 126, 127, 128, 129, 10_000] {
                let payload = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                let expected = serde_json::from_str::<serde_json::Value>(&payload);
                assert_eq!(
                    scan(payload.as_bytes()).is_ok(),
                    expected.is_ok(),
                    "{depth}"
                );
            }
        }
        assert_eq!(scan(&[b'['; 200]), Err((Flaw::Depth, 127)));
    }

    #[test]
    fn closing_a_level_gives_it_back() {
        let payload = format!("[{}]", vec!["[[]]"; 200].join(","));
        assert_eq!(scan(payload.as_bytes()), Ok(()));
    }

    #[test]
    fn flaws_say_where() {
        assert_eq!(scan(b"{\"a\" 1}"), Err((Flaw::Colon, 5)));
        assert_eq!(scan(b"[1 2]"), Err((Flaw::ArrayEnd, 3)));
        assert_eq!(scan(b"{} x"), Err((Flaw::Trailing, 3)));
    }
}
