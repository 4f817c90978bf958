//! Maps and lists under construction, over the buffers of what they hold.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use crate::buffers::{ColumnBuffer, TextBuffer, ValueBuffer, ahead, finish_padded};
use crate::field::{FieldType, Member};
use crate::schema;

/// Where each row's entries end, and which rows are there.
struct Rows {
    offsets: Vec<i32>,
    validity: NullBufferBuilder,
}

impl Rows {
    fn new() -> Self {
        Self {
            offsets: vec![0],
            validity: NullBufferBuilder::new(0),
        }
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Entries of all rows that are closed.
    fn entries(&self) -> usize {
        self.offsets[self.len()] as usize
    }

    fn close(&mut self, entries: usize) {
        let end = i32::try_from(entries).expect("a batch has fewer than 2^31 entries");
        self.offsets.push(end);
        self.validity.append_non_null();
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
    }

    /// Where rows end, which rows are there, and an empty beginning in their place.
    fn take(&mut self) -> (OffsetBuffer<i32>, Option<arrow_buffer::NullBuffer>) {
        let capacity = ahead(self.offsets.len());
        let mut next = Vec::with_capacity(capacity);
        next.push(0);
        let offsets = std::mem::replace(&mut self.offsets, next);
        let validity = std::mem::replace(&mut self.validity, NullBufferBuilder::new(capacity));
        (
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            validity.build(),
        )
    }
}

/// An array of maps from text under construction. Entries are appended to `keys` and `values`,
/// then [`MapBuffer::close`] makes them a row.
pub(crate) struct MapBuffer<V> {
    rows: Rows,
    pub(crate) keys: TextBuffer,
    pub(crate) values: V,
    value_type: DataType,
}

/// A value that an entry may move to when a later entry of the same key replaces another.
pub(crate) trait EntryValues: ColumnBuffer {
    /// Takes back the entries from the `start`-th on, and appends those of them that are `kept`.
    fn retain(&mut self, start: usize, kept: &[usize]);
}

impl<V: EntryValues> MapBuffer<V> {
    pub(crate) fn new(values: V, value_type: DataType) -> Self {
        Self {
            rows: Rows::new(),
            keys: TextBuffer::new(),
            values,
            value_type,
        }
    }

    /// Makes the entries appended since the last row a row. Of entries with equal keys the last
    /// one stays.
    pub(crate) fn close(&mut self) {
        let start = self.rows.entries();
        if let Some(kept) = last_of_each_key(&self.keys, start) {
            self.keys.retain(start, &kept);
            self.values.retain(start, &kept);
        }
        self.rows.close(self.keys.len());
    }
}

/// The last entry of each key, in order, or `None` if all keys from the `start`-th on differ.
fn last_of_each_key(keys: &TextBuffer, start: usize) -> Option<Vec<usize>> {
    const FEW: usize = 8;
    let end = keys.len();
    if end - start <= FEW {
        let repeated = (start..end)
            .any(|later| (start..later).any(|earlier| keys.value(earlier) == keys.value(later)));
        if !repeated {
            return None;
        }
    }
    let last: HashMap<&[u8], usize> = (start..end)
        .map(|entry| (keys.value(entry), entry))
        .collect();
    if last.len() == end - start {
        return None;
    }
    let mut kept: Vec<usize> = last.into_values().collect();
    kept.sort_unstable();
    Some(kept)
}

impl EntryValues for TextBuffer {
    fn retain(&mut self, start: usize, kept: &[usize]) {
        let texts: Vec<Option<Vec<u8>>> = kept
            .iter()
            .map(|entry| self.get(*entry).map(<[u8]>::to_vec))
            .collect();
        self.truncate(start);
        for text in texts {
            match text {
                Some(text) => self.push(&text),
                None => self.push_nulls(1),
            }
        }
    }
}

impl EntryValues for ValueBuffer<Float64Type> {
    fn retain(&mut self, start: usize, kept: &[usize]) {
        let numbers: Vec<Option<f64>> = kept.iter().map(|entry| self.get(*entry)).collect();
        self.truncate(start);
        for number in numbers {
            match number {
                Some(number) => self.push(number),
                None => self.push_nulls(1),
            }
        }
    }
}

impl<V: EntryValues> ColumnBuffer for MapBuffer<V> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn push_nulls(&mut self, count: usize) {
        self.rows.push_nulls(count);
    }

    fn truncate(&mut self, len: usize) {
        self.rows.truncate(len);
        self.keys.truncate(self.rows.entries());
        self.values.truncate(self.rows.entries());
    }

    fn finish(&mut self) -> ArrayRef {
        let entries = StructArray::new(
            schema::entry_fields(self.value_type.clone()),
            vec![self.keys.finish(), self.values.finish()],
            None,
        );
        let (offsets, validity) = self.rows.take();
        let field = schema::entries_field(self.value_type.clone());
        Arc::new(MapArray::new(field, offsets, entries, validity, false))
    }
}

/// An array of lists of texts under construction. Elements are appended to `elements`, then
/// [`TextListBuffer::close`] makes them a row.
pub(crate) struct TextListBuffer {
    rows: Rows,
    pub(crate) elements: TextBuffer,
}

impl TextListBuffer {
    pub(crate) fn new() -> Self {
        Self {
            rows: Rows::new(),
            elements: TextBuffer::new(),
        }
    }

    /// Makes the elements appended since the last row a row.
    pub(crate) fn close(&mut self) {
        self.rows.close(self.elements.len());
    }
}

impl ColumnBuffer for TextListBuffer {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn push_nulls(&mut self, count: usize) {
        self.rows.push_nulls(count);
    }

    fn truncate(&mut self, len: usize) {
        self.rows.truncate(len);
        self.elements.truncate(self.rows.entries());
    }

    fn finish(&mut self) -> ArrayRef {
        let (offsets, validity) = self.rows.take();
        let field = schema::element_field(DataType::Utf8);
        Arc::new(ListArray::new(
            field,
            offsets,
            self.elements.finish(),
            validity,
        ))
    }
}

/// A member of the objects in a list under construction.
pub(crate) enum MemberBuffer {
    Text(TextBuffer),
    Double(ValueBuffer<Float64Type>),
}

impl MemberBuffer {
    fn new(field_type: FieldType) -> Self {
        match field_type {
            FieldType::Double => Self::Double(ValueBuffer::new(DataType::Float64)),
            _ => Self::Text(TextBuffer::new()),
        }
    }

    fn as_buffer_mut(&mut self) -> &mut dyn ColumnBuffer {
        match self {
            Self::Text(buffer) => buffer,
            Self::Double(buffer) => buffer,
        }
    }
}

/// An array of lists of objects under construction. For each element values are appended to
/// members, then [`ObjectsBuffer::close_element`] makes them an element; then
/// [`ObjectsBuffer::close`] makes the elements a row.
pub(crate) struct ObjectsBuffer {
    field_type: FieldType,
    rows: Rows,
    elements: NullBufferBuilder,
    members: Vec<MemberBuffer>,
}

impl ObjectsBuffer {
    pub(crate) fn new(field_type: FieldType) -> Self {
        let members = field_type.members();
        Self {
            field_type,
            rows: Rows::new(),
            elements: NullBufferBuilder::new(0),
            members: members
                .iter()
                .map(|member| MemberBuffer::new(member.field_type))
                .collect(),
        }
    }

    /// Elements so far, over all rows.
    pub(crate) fn elements(&self) -> usize {
        self.elements.len()
    }

    /// A member by its name, with its buffer.
    pub(crate) fn member(&mut self, name: &[u8]) -> Option<(&'static Member, &mut MemberBuffer)> {
        let members = self.field_type.members();
        let at = members
            .iter()
            .position(|member| member.name.as_bytes() == name)?;
        Some((&members[at], &mut self.members[at]))
    }

    /// Makes the values appended to members since the last element an element. Members without
    /// one are null.
    pub(crate) fn close_element(&mut self) {
        self.elements.append_non_null();
    }

    /// Appends a null element.
    pub(crate) fn push_null_element(&mut self) {
        self.elements.append_null();
    }

    /// Makes the elements since the last row a row.
    pub(crate) fn close(&mut self) {
        self.rows.close(self.elements.len());
    }

    fn truncate_elements(&mut self, len: usize) {
        if len < self.elements.len() {
            self.elements.truncate(len);
        }
        for member in &mut self.members {
            member.as_buffer_mut().truncate(len);
        }
    }
}

impl ColumnBuffer for ObjectsBuffer {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn push_nulls(&mut self, count: usize) {
        self.rows.push_nulls(count);
    }

    fn truncate(&mut self, len: usize) {
        self.rows.truncate(len);
        self.truncate_elements(self.rows.entries());
    }

    fn finish(&mut self) -> ArrayRef {
        let count = self.elements.len();
        let fields = schema::member_fields(self.field_type);
        let columns = fields
            .iter()
            .zip(&mut self.members)
            .map(|(field, member)| finish_padded(member.as_buffer_mut(), field.data_type(), count))
            .collect();
        let validity = std::mem::replace(&mut self.elements, NullBufferBuilder::new(ahead(count)));
        let elements = StructArray::new(fields.clone(), columns, validity.build());
        let (offsets, validity) = self.rows.take();
        let field = schema::element_field(DataType::Struct(fields));
        Arc::new(ListArray::new(field, offsets, Arc::new(elements), validity))
    }
}
