//! One column of a batch under construction, for each type of field.

use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_schema::DataType;

use crate::buffers::{ColumnBuffer, TextBuffer, ValueBuffer};
use crate::field::FieldType;
use crate::nested::{MapBuffer, ObjectsBuffer, TextListBuffer};
use crate::schema::data_type;

/// The column of a field.
pub(crate) enum Column {
    Text(TextBuffer),
    Time(ValueBuffer<TimestampMicrosecondType>),
    Integer(ValueBuffer<Int64Type>),
    Double(ValueBuffer<Float64Type>),
    Money(ValueBuffer<Decimal128Type>),
    TextMap(MapBuffer<TextBuffer>),
    DoubleMap(MapBuffer<ValueBuffer<Float64Type>>),
    TextList(TextListBuffer),
    Json(TextBuffer),
    Objects(ObjectsBuffer),
}

impl Column {
    pub(crate) fn new(field_type: FieldType) -> Self {
        let own_type = data_type(field_type);
        match field_type {
            FieldType::Text => Self::Text(TextBuffer::new()),
            FieldType::Time => Self::Time(ValueBuffer::new(own_type)),
            FieldType::Integer => Self::Integer(ValueBuffer::new(own_type)),
            FieldType::Double => Self::Double(ValueBuffer::new(own_type)),
            FieldType::Money => Self::Money(ValueBuffer::new(own_type)),
            FieldType::TextMap => Self::TextMap(MapBuffer::new(TextBuffer::new(), DataType::Utf8)),
            FieldType::DoubleMap => Self::DoubleMap(MapBuffer::new(
                ValueBuffer::new(DataType::Float64),
                DataType::Float64,
            )),
            FieldType::TextList => Self::TextList(TextListBuffer::new()),
            FieldType::Json => Self::Json(TextBuffer::new()),
            FieldType::Retrieved | FieldType::Candidates | FieldType::Guardrails => {
                Self::Objects(ObjectsBuffer::new(field_type))
            }
        }
    }

    /// The text of a row; empty where it is null, and in columns that are not of text.
    #[inline]
    pub(crate) fn text(&self, row: usize) -> &[u8] {
        match self {
            Self::Text(buffer) if row < buffer.len() => buffer.value(row),
            _ => &[],
        }
    }

    pub(crate) fn as_buffer_mut(&mut self) -> &mut dyn ColumnBuffer {
        match self {
            Self::Text(buffer) | Self::Json(buffer) => buffer,
            Self::Time(buffer) => buffer,
            Self::Integer(buffer) => buffer,
            Self::Double(buffer) => buffer,
            Self::Money(buffer) => buffer,
            Self::TextMap(buffer) => buffer,
            Self::DoubleMap(buffer) => buffer,
            Self::TextList(buffer) => buffer,
            Self::Objects(buffer) => buffer,
        }
    }
}
