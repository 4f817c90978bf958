//! Other columns for a table, and what is noted of it: a metadata action in a commit.
//!
//! ```text
//! Table::redefine(spec, notes) ──▶ a handle whose uploads have the new columns
//!                              └─▶ Redefinition ──▶ Commit::redefining, with the files to remove and to add
//! ```
//!
//! The action is part of the same entry of the log as the files, so no version of the table has the columns of one
//! definition and the rows of another. The table stays what it is: its id, its partitioning and its protocol.
//!
//! Handles that were opened before go on writing files with the columns they know. Whoever may redefine a table must
//! therefore have every commit to it demand a mark that the redefinition moves.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, SchemaRef};
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use serde_json::{Value, json};

use crate::error::LakeError;
use crate::spec::TableSpec;
use crate::table::Table;

/// What a program notes of a table beside Delta's own properties, by its names.
pub type Notes = BTreeMap<String, String>;

/// The metadata action that a commit carries.
#[derive(Debug, Clone)]
pub struct Redefinition {
    pub(crate) metadata: Value,
}

impl Table {
    /// Another definition of the table, to be committed, and a handle whose uploads have its columns. Notes are laid
    /// over those that are there.
    ///
    /// # Errors
    /// Where a column has a type that a table cannot hold.
    pub fn redefine(
        &self,
        spec: &TableSpec,
        notes: &Notes,
    ) -> Result<(Self, Redefinition), LakeError> {
        let columns: StructType = spec.schema.as_ref().try_into_kernel()?;
        let mut metadata =
            serde_json::to_value(self.metadata()).map_err(|error| unreadable(&error))?;
        metadata["schemaString"] =
            json!(serde_json::to_string(&columns).map_err(|error| unreadable(&error))?);
        metadata["description"] = json!(spec.description);
        for (key, value) in spec.properties() {
            metadata["configuration"][key] = json!(value);
        }
        for (key, value) in notes {
            metadata["configuration"][key] = json!(value);
        }
        let handle = self.with_columns(&spec.schema)?;
        Ok((handle, Redefinition { metadata }))
    }
}

fn unreadable(error: &serde_json::Error) -> LakeError {
    LakeError::Arrow(arrow::error::ArrowError::JsonError(error.to_string()))
}

/// The first way in which a table's columns do not hold what another schema's do; columns that it has beside are none.
pub(crate) fn first_difference(present: &SchemaRef, wanted: &SchemaRef) -> Option<String> {
    for field in wanted.fields() {
        let Ok(found) = present.field_with_name(field.name()) else {
            return Some(format!("column `{}` is missing", field.name()));
        };
        if !same_type(found.data_type(), field.data_type()) {
            return Some(format!(
                "column `{}` is {}, not {}",
                field.name(),
                found.data_type(),
                field.data_type()
            ));
        }
    }
    None
}

/// Whether two types hold the same values: names and nullability inside lists, maps and structs differ by writer.
pub fn same_type(left: &DataType, right: &DataType) -> bool {
    use DataType as T;
    match (left, right) {
        (T::List(a), T::List(b)) | (T::Map(a, _), T::Map(b, _)) => {
            same_type(a.data_type(), b.data_type())
        }
        (T::Struct(a), T::Struct(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| same_type(a.data_type(), b.data_type()))
        }
        // What a reader makes of a text or of bytes is its own affair.
        (T::Utf8 | T::Utf8View, T::Utf8 | T::Utf8View)
        | (T::Binary | T::BinaryView, T::Binary | T::BinaryView) => true,
        _ => left == right,
    }
}
