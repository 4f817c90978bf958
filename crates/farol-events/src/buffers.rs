//! Arrow arrays under construction whose last rows can be taken back: texts and fixed-size values.
//!
//! Arrow's own builders cannot be truncated, and appending to them costs more. Memory is handed to
//! Arrow without a copy, and the next array's memory is reserved after the size of the last.

use std::sync::Arc;

use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{ArrayRef, PrimitiveArray, StringArray, new_null_array};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

/// The most that is reserved ahead in one go, so that one large batch does not enlarge all later
/// ones: 16 MiB of texts.
const RESERVE_MAX: usize = 16 << 20;

/// An array under construction.
pub(crate) trait ColumnBuffer {
    /// Rows so far.
    fn len(&self) -> usize;
    /// Appends null rows.
    fn push_nulls(&mut self, count: usize);
    /// Takes back all rows from the `len`-th on, and what was appended to a row that is not there
    /// yet.
    fn truncate(&mut self, len: usize);
    /// Gives the rows as an array, and starts anew.
    fn finish(&mut self) -> ArrayRef;

    /// Takes row `row` back if it is there already: a later value replaces it.
    #[inline]
    fn discard(&mut self, row: usize) {
        if self.len() > row {
            self.truncate(row);
        }
    }

    /// Makes row `row`, which is not there, the next one: rows missing before it are null. Absent
    /// values so cost nothing until a later row has one.
    #[inline]
    fn begin(&mut self, row: usize) {
        let len = self.len();
        if len < row {
            self.push_nulls(row - len);
        }
    }
}

/// An array of texts under construction.
pub(crate) struct TextBuffer {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    validity: NullBufferBuilder,
}

impl TextBuffer {
    pub(crate) fn new() -> Self {
        Self::with_capacity(0, 0)
    }

    fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self {
            offsets,
            bytes: Vec::with_capacity(bytes.min(RESERVE_MAX)),
            validity: NullBufferBuilder::new(rows),
        }
    }

    /// Appends a row; the bytes must be UTF-8.
    #[inline]
    pub(crate) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.close_row();
    }

    /// Appends a row of which `write` appends the bytes; they must be UTF-8. Where it fails there
    /// is no row, and what it has appended is to be truncated.
    #[inline]
    pub(crate) fn push_with<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        write(&mut self.bytes)?;
        self.close_row();
        Ok(())
    }

    #[inline]
    fn close_row(&mut self) {
        let end = i32::try_from(self.bytes.len()).expect("a batch's texts stay below 2 GiB");
        self.offsets.push(end);
        self.validity.append_non_null();
    }

    /// The bytes of a row; empty where it is null.
    #[inline]
    pub(crate) fn value(&self, row: usize) -> &[u8] {
        &self.bytes[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// The bytes of a row, unless it is null.
    pub(crate) fn get(&self, row: usize) -> Option<&[u8]> {
        self.validity.is_valid(row).then(|| self.value(row))
    }
}

impl ColumnBuffer for TextBuffer {
    #[inline]
    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn push_nulls(&mut self, count: usize) {
        let end = self.offsets[self.len()];
        self.offsets.resize(self.offsets.len() + count, end);
        self.validity.append_n_nulls(count);
    }

    fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.offsets.truncate(len + 1);
            self.validity.truncate(len);
        }
        self.bytes.truncate(self.offsets[self.len()] as usize);
    }

    fn finish(&mut self) -> ArrayRef {
        let next = Self::with_capacity(ahead(self.len()), ahead(self.bytes.len()));
        let mut done = std::mem::replace(self, next);
        let array = StringArray::try_new(
            OffsetBuffer::new(ScalarBuffer::from(done.offsets)),
            Buffer::from_vec(done.bytes),
            done.validity.finish(),
        );
        Arc::new(array.expect("every text was UTF-8 when it was appended"))
    }
}

/// An array of fixed-size values under construction.
pub(crate) struct ValueBuffer<T: ArrowPrimitiveType> {
    data_type: DataType,
    values: Vec<T::Native>,
    validity: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> ValueBuffer<T> {
    /// `data_type` may say more than `T`: a time zone, a precision.
    pub(crate) fn new(data_type: DataType) -> Self {
        Self {
            data_type,
            values: Vec::new(),
            validity: NullBufferBuilder::new(0),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: T::Native) {
        self.values.push(value);
        self.validity.append_non_null();
    }

    /// The value of a row, unless it is null.
    pub(crate) fn get(&self, row: usize) -> Option<T::Native> {
        self.validity.is_valid(row).then(|| self.values[row])
    }
}

impl<T: ArrowPrimitiveType> ColumnBuffer for ValueBuffer<T> {
    #[inline]
    fn len(&self) -> usize {
        self.values.len()
    }

    fn push_nulls(&mut self, count: usize) {
        self.values
            .resize(self.values.len() + count, T::Native::default());
        self.validity.append_n_nulls(count);
    }

    fn truncate(&mut self, len: usize) {
        if len < self.values.len() {
            self.values.truncate(len);
            self.validity.truncate(len);
        }
    }

    fn finish(&mut self) -> ArrayRef {
        let capacity = ahead(self.values.len());
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(capacity));
        let validity = std::mem::replace(&mut self.validity, NullBufferBuilder::new(capacity));
        let array = PrimitiveArray::<T>::new(ScalarBuffer::from(values), validity.build());
        Arc::new(array.with_data_type(self.data_type.clone()))
    }
}

/// Gives a buffer's first `rows` rows as an array; missing ones are null.
pub(crate) fn finish_padded(
    buffer: &mut dyn ColumnBuffer,
    data_type: &DataType,
    rows: usize,
) -> ArrayRef {
    if buffer.len() == 0 {
        return new_null_array(data_type, rows);
    }
    buffer.begin(rows);
    buffer.finish()
}

/// What to reserve for the next array when the last one took `used`: a little more.
pub(crate) fn ahead(used: usize) -> usize {
    used + used / 16
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{Array, Int64Array};

    use super::*;

    fn texts(buffer: &mut TextBuffer) -> Vec<String> {
        let array = buffer.finish();
        let texts = array.as_string::<i32>().iter();
        texts
            .map(|text| text.unwrap_or("null").to_owned())
            .collect()
    }

    #[test]
    fn missing_rows_are_null_and_repeated_ones_are_replaced() {
        let mut buffer = TextBuffer::new();
        buffer.begin(2);
        buffer.push(b"first");
        buffer.discard(2);
        buffer.begin(2);
        buffer.push(b"again");
        buffer.begin(3);
        buffer.push(b"");
        assert_eq!(buffer.value(2), b"again");
        assert_eq!(texts(&mut buffer), ["null", "null", "again", ""]);
        assert_eq!(buffer.len(), 0);
    }

    #[test]
    fn truncated_rows_leave_nothing_behind() {
        let mut buffer = TextBuffer::new();
        buffer.push(b"kept");
        buffer.push_nulls(1);
        buffer.push(b"dropped");
        buffer.truncate(1);
        buffer.truncate(7);
        buffer.push(b"next");
        assert_eq!(texts(&mut buffer), ["kept", "next"]);
    }

    #[test]
    fn values_follow_the_same_rules() {
        let mut buffer = ValueBuffer::<Int64Type>::new(DataType::Int64);
        buffer.push(1);
        buffer.begin(3);
        buffer.push(4);
        buffer.truncate(2);
        buffer.begin(2);
        buffer.push(3);
        let expected = Int64Array::from(vec![Some(1), None, Some(3)]);
        assert_eq!(buffer.finish().as_primitive::<Int64Type>(), &expected);
    }

    #[test]
    fn what_was_never_there_is_a_null_array() {
        let mut buffer = TextBuffer::new();
        let array = finish_padded(&mut buffer, &DataType::Utf8, 3);
        assert_eq!((array.len(), array.null_count()), (3, 3));
        buffer.push(b"a");
        let array = finish_padded(&mut buffer, &DataType::Utf8, 3);
        assert_eq!((array.len(), array.null_count()), (3, 2));
    }
}
