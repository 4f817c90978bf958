//! From one member's value into its column, by the field's type.
//!
//! A value that the field can take becomes its row. `null` is the same as absent. Any other value
//! is a fault: the row stays without a value, and the fault is noted. Only what is not JSON at all
//! is an error, and then the whole event is refused.

use std::ops::Range;

use arrow_array::types::{Decimal128Type, Float64Type, Int64Type};

use crate::buffers::{ColumnBuffer, TextBuffer, ValueBuffer};
use crate::column::Column;
use crate::decimal;
use crate::nested::{MapBuffer, MemberBuffer, ObjectsBuffer, TextListBuffer};
use crate::notes::Notes;
use crate::number::Number;
use crate::scan::{Scanned, Scanner};
use crate::time_text;

/// Reads the values of one event.
pub(crate) struct ValueReader<'r, 'p> {
    pub(crate) scanner: &'r mut Scanner<'p>,
    pub(crate) notes: &'r mut Notes,
    pub(crate) scratch: &'r mut Vec<u8>,
}

/// What a member says about an instant.
pub(crate) enum Instant {
    Null,
    /// Microseconds since 1970, UTC.
    At(i64),
    /// It cannot be read; where it is in the payload.
    Invalid(Range<usize>),
}

/// Part of a field, for faults. Spelled out only where there is one.
#[derive(Clone, Copy)]
enum Part<'a> {
    Whole,
    Entry(&'a [u8]),
    Element(usize),
    Member(usize, &'a str),
}

impl Part<'_> {
    fn spell(self) -> String {
        match self {
            Self::Whole => String::new(),
            Self::Entry(key) => format!(".{}", String::from_utf8_lossy(key)),
            Self::Element(at) => format!("[{at}]"),
            Self::Member(at, name) => format!("[{at}].{name}"),
        }
    }
}

const TEXT: &str = "a string or a number";
const NUMBER: &str = "a number";
const INTEGER: &str = "an integer of 64 bits";
const MONEY: &str = "a decimal, as a number or a string";
const OBJECT: &str = "an object";
const ARRAY: &str = "an array";

impl ValueReader<'_, '_> {
    /// Reads the value of the field `field` into row `row` of its column.
    #[inline]
    pub(crate) fn read(&mut self, column: &mut Column, field: usize, row: usize) -> Scanned<()> {
        self.notes.forget(field);
        match column {
            Column::Text(buffer) => {
                buffer.discard(row);
                self.text(buffer, field, row, Part::Whole)
            }
            Column::Integer(buffer) => {
                buffer.discard(row);
                self.integer(buffer, field, row)
            }
            Column::Double(buffer) => {
                buffer.discard(row);
                self.double(buffer, field, row, Part::Whole)
            }
            Column::Money(buffer) => {
                buffer.discard(row);
                self.money(buffer, field, row)
            }
            Column::TextMap(buffer) => self.text_map(buffer, field, row),
            Column::Time(buffer) => {
                buffer.discard(row);
                match self.instant()? {
                    Instant::Null => {}
                    Instant::At(instant_us) => {
                        buffer.begin(row);
                        buffer.push(instant_us);
                    }
                    Instant::Invalid(value) => {
                        self.notes
                            .fault(field, String::new(), time_text::EXPECTED, value);
                    }
                }
                Ok(())
            }
            Column::DoubleMap(buffer) => self.double_map(buffer, field, row),
            Column::TextList(buffer) => self.text_list(buffer, field, row),
            Column::Json(buffer) => self.json(buffer, field, row),
            Column::Objects(buffer) => self.objects(buffer, field, row),
        }
    }

    #[inline]
    fn text(
        &mut self,
        buffer: &mut TextBuffer,
        field: usize,
        row: usize,
        part: Part<'_>,
    ) -> Scanned<()> {
        match self.scanner.peek() {
            b'"' => {
                buffer.begin(row);
                buffer.push_with(|bytes| self.scanner.string_into(bytes))
            }
            b'-' | b'0'..=b'9' => {
                let number = self.scanner.number()?;
                buffer.begin(row);
                buffer.push(number.text);
                Ok(())
            }
            _ => self.null_or_fault(TEXT, field, part),
        }
    }

    #[inline]
    fn integer(
        &mut self,
        buffer: &mut ValueBuffer<Int64Type>,
        field: usize,
        row: usize,
    ) -> Scanned<()> {
        let (b'-' | b'0'..=b'9') = self.scanner.peek() else {
            return self.null_or_fault(INTEGER, field, Part::Whole);
        };
        let start = self.scanner.at();
        let number = self.scanner.number()?;
        if let Some(value) = number.as_integer().or_else(|| whole_number(&number)) {
            buffer.begin(row);
            buffer.push(value);
        } else {
            let reason = "expected an integer of 64 bits, found another number";
            self.notes
                .fault(field, String::new(), reason, start..self.scanner.at());
        }
        Ok(())
    }

    #[inline]
    fn double(
        &mut self,
        buffer: &mut ValueBuffer<Float64Type>,
        field: usize,
        row: usize,
        part: Part<'_>,
    ) -> Scanned<()> {
        let (b'-' | b'0'..=b'9') = self.scanner.peek() else {
            return self.null_or_fault(NUMBER, field, part);
        };
        let number = self.scanner.number()?;
        buffer.begin(row);
        buffer.push(number.as_double());
        Ok(())
    }

    #[inline]
    fn money(
        &mut self,
        buffer: &mut ValueBuffer<Decimal128Type>,
        field: usize,
        row: usize,
    ) -> Scanned<()> {
        let first = self.scanner.peek();
        let start = self.scanner.at();
        let parsed = match first {
            b'"' => decimal::parse(self.scanner.string()?.read(self.scratch)),
            b'-' | b'0'..=b'9' => decimal::parse(self.scanner.number()?.text),
            _ => return self.null_or_fault(MONEY, field, Part::Whole),
        };
        match parsed {
            Ok(value) => {
                buffer.begin(row);
                buffer.push(value);
            }
            Err(error) => {
                let value = start..self.scanner.at();
                self.notes
                    .fault(field, String::new(), error.to_string(), value);
            }
        }
        Ok(())
    }

    /// Reads an instant: RFC 3339 text, or an integer epoch.
    pub(crate) fn instant(&mut self) -> Scanned<Instant> {
        let first = self.scanner.peek();
        let start = self.scanner.at();
        let instant_us = match first {
            b'"' => time_text::parse_rfc3339(self.scanner.string()?.read(self.scratch)),
            b'-' | b'0'..=b'9' => self
                .scanner
                .number()?
                .as_integer()
                .map(time_text::from_epoch),
            b'n' => {
                self.scanner.literal("null")?;
                return Ok(Instant::Null);
            }
            _ => {
                self.scanner.skip_value()?;
                None
            }
        };
        Ok(instant_us.map_or_else(|| Instant::Invalid(start..self.scanner.at()), Instant::At))
    }

    fn json(&mut self, buffer: &mut TextBuffer, field: usize, row: usize) -> Scanned<()> {
        buffer.discard(row);
        if let Some(value) = self.object(field)? {
            buffer.begin(row);
            buffer.push(&self.scanner.payload()[value]);
        }
        Ok(())
    }

    /// Where in the payload an object is, if the value is one.
    pub(crate) fn object(&mut self, field: usize) -> Scanned<Option<Range<usize>>> {
        if self.scanner.peek() != b'{' {
            self.null_or_fault(OBJECT, field, Part::Whole)?;
            return Ok(None);
        }
        let start = self.scanner.at();
        self.scanner.skip_value()?;
        Ok(Some(start..self.scanner.at()))
    }

    #[inline]
    fn text_map(
        &mut self,
        buffer: &mut MapBuffer<TextBuffer>,
        field: usize,
        row: usize,
    ) -> Scanned<()> {
        buffer.discard(row);
        if self.scanner.peek() != b'{' {
            return self.null_or_fault(OBJECT, field, Part::Whole);
        }
        buffer.begin(row);
        self.scanner.open()?;
        let mut first = true;
        while let Some(key) = self.scanner.next_key(first)? {
            first = false;
            buffer.keys.push(key.read(self.scratch));
            match self.scanner.peek() {
                b'"' => {
                    buffer
                        .values
                        .push_with(|bytes| self.scanner.string_into(bytes))?;
                }
                b'n' => {
                    self.scanner.literal("null")?;
                    buffer.values.push_nulls(1);
                }
                _ => {
                    let start = self.scanner.at();
                    self.scanner.skip_value()?;
                    buffer
                        .values
                        .push(&self.scanner.payload()[start..self.scanner.at()]);
                }
            }
        }
        buffer.close();
        Ok(())
    }

    fn double_map(
        &mut self,
        buffer: &mut MapBuffer<ValueBuffer<Float64Type>>,
        field: usize,
        row: usize,
    ) -> Scanned<()> {
        buffer.discard(row);
        if self.scanner.peek() != b'{' {
            return self.null_or_fault(OBJECT, field, Part::Whole);
        }
        buffer.begin(row);
        let start = self.scanner.at();
        self.scanner.open()?;
        let mut first = true;
        let mut scratch = Vec::new();
        while let Some(key) = self.scanner.next_key(first)? {
            first = false;
            let key = key.read(&mut scratch);
            let part = Part::Entry(key);
            self.forget_part(field, part);
            let entry = buffer.keys.len();
            buffer.keys.push(key);
            self.double(&mut buffer.values, field, entry, part)?;
        }
        buffer.values.begin(buffer.keys.len());
        buffer.close();
        self.notes.settle(field, start..self.scanner.at());
        Ok(())
    }

    fn text_list(&mut self, buffer: &mut TextListBuffer, field: usize, row: usize) -> Scanned<()> {
        buffer.discard(row);
        if self.scanner.peek() != b'[' {
            return self.null_or_fault(ARRAY, field, Part::Whole);
        }
        buffer.begin(row);
        let start = self.scanner.at();
        self.scanner.open()?;
        let mut count = 0;
        while self.scanner.next_element(count == 0)? {
            let elements = &mut buffer.elements;
            match self.scanner.peek() {
                b'"' => {
                    elements.push_with(|bytes| self.scanner.string_into(bytes))?;
                }
                b'-' | b'0'..=b'9' => elements.push(self.scanner.number()?.text),
                _ => {
                    self.null_or_fault(TEXT, field, Part::Element(count))?;
                    elements.push_nulls(1);
                }
            }
            count += 1;
        }
        buffer.close();
        self.notes.settle(field, start..self.scanner.at());
        Ok(())
    }

    fn objects(&mut self, buffer: &mut ObjectsBuffer, field: usize, row: usize) -> Scanned<()> {
        buffer.discard(row);
        if self.scanner.peek() != b'[' {
            return self.null_or_fault(ARRAY, field, Part::Whole);
        }
        buffer.begin(row);
        let start = self.scanner.at();
        self.scanner.open()?;
        let mut count = 0;
        while self.scanner.next_element(count == 0)? {
            if self.scanner.peek() == b'{' {
                self.element(buffer, field, count)?;
                buffer.close_element();
            } else {
                self.null_or_fault(OBJECT, field, Part::Element(count))?;
                buffer.push_null_element();
            }
            count += 1;
        }
        buffer.close();
        self.notes.settle(field, start..self.scanner.at());
        Ok(())
    }

    /// Reads one object of an array. Members that it should not have are kept as faults.
    fn element(&mut self, buffer: &mut ObjectsBuffer, field: usize, at: usize) -> Scanned<()> {
        let element = buffer.elements();
        self.scanner.open()?;
        let mut first = true;
        let mut scratch = Vec::new();
        while let Some(key) = self.scanner.next_key(first)? {
            first = false;
            let key = key.read(&mut scratch);
            if let Some((member, values)) = buffer.member(key) {
                let part = Part::Member(at, member.name);
                self.forget_part(field, part);
                self.member(values, field, element, part)?;
            } else {
                self.scanner.peek();
                let start = self.scanner.at();
                self.scanner.skip_value()?;
                let part = Part::Member(at, &String::from_utf8_lossy(key)).spell();
                let value = start..self.scanner.at();
                self.notes
                    .fault(field, part, "expected no member of this name", value);
            }
        }
        Ok(())
    }

    fn member(
        &mut self,
        buffer: &mut MemberBuffer,
        field: usize,
        element: usize,
        part: Part<'_>,
    ) -> Scanned<()> {
        match buffer {
            MemberBuffer::Text(buffer) => {
                buffer.discard(element);
                self.text(buffer, field, element, part)
            }
            MemberBuffer::Double(buffer) => {
                buffer.discard(element);
                self.double(buffer, field, element, part)
            }
        }
    }

    fn forget_part(&mut self, field: usize, part: Part<'_>) {
        if self.notes.has_faults() {
            self.notes.forget_part(field, &part.spell());
        }
    }

    /// Goes past `null`, or past a value of the wrong type and notes it.
    #[inline(never)]
    fn null_or_fault(&mut self, expected: &str, field: usize, part: Part<'_>) -> Scanned<()> {
        let found = match self.scanner.peek() {
            b'n' => return self.scanner.literal("null"),
            b'"' => "a string",
            b't' | b'f' => "a boolean",
            b'{' => "an object",
            b'[' => "an array",
            _ => "a number",
        };
        let start = self.scanner.at();
        self.scanner.skip_value()?;
        let reason = format!("expected {expected}, found {found}");
        self.notes
            .fault(field, part.spell(), reason, start..self.scanner.at());
        Ok(())
    }
}

/// A number that is not written as an integer but is one: 12.0, 1e3.
#[cold]
fn whole_number(number: &Number<'_>) -> Option<i64> {
    let value = decimal::parse(number.text).ok()?;
    if value % decimal::ONE != 0 {
        return None;
    }
    i64::try_from(value / decimal::ONE).ok()
}
