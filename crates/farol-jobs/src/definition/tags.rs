//! Tags as segments: the word `tags` among a job's segments stands for every tag that the configuration lists.
//!
//! ```text
//! jobs.tags: [team, feature]  ┐
//! segments: [service, tags]   ├──▶ segments service, team, feature;  team = tags['team'], NULL where it is absent
//! SQL: SELECT …, tags, …      ┘
//! ```
//!
//! So an SQL file need not know which tags an organisation counts by. Without configured tags the word vanishes.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, DataFusionError, ScalarValue};
use datafusion::logical_expr::{Expr, ident, lit};
use serde::Deserialize;

use super::file::JobFile;
use super::names::{RESERVED, is_name};
use super::plan::Planner;
use super::{CONTRIBUTIONS, Job};
use crate::error::DefinitionError;

/// The word in `segments`, and the column of a job's SQL that holds the tags of a row.
pub(super) const TAGS: &str = "tags";

/// Tags that can be segments at the most: each makes more series.
const TAGS_MAX: usize = 16;

/// The tags that stand for the word `tags` among a job's segments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Tags(Vec<String>);

impl Tags {
    /// The tags' names, in the order of their columns.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for Tags {
    type Error = String;

    /// Takes names that can be columns of every job.
    ///
    /// # Errors
    /// Says which name cannot be one, and why.
    fn try_from(names: Vec<String>) -> Result<Self, String> {
        if names.len() > TAGS_MAX {
            return Err(format!(
                "there are {} tags; {TAGS_MAX} can be segments at the most",
                names.len()
            ));
        }
        for (place, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err("a tag's name is empty".to_owned());
            }
            if !is_name(name) {
                return Err(format!(
                    "tag `{name}` cannot be a column: names are of small letters, digits and underscores, and begin with a letter"
                ));
            }
            if RESERVED.contains(&name.as_str()) || name == TAGS || name == CONTRIBUTIONS {
                return Err(format!(
                    "tag `{name}` cannot be a column: the name has a meaning of its own"
                ));
            }
            if names[..place].contains(name) {
                return Err(format!("tag `{name}` is there twice"));
            }
        }
        Ok(Self(names))
    }
}

impl Planner<'_> {
    /// The segments that a file stands for, and those of them that are tags.
    pub(super) fn segments(&self, file: &JobFile) -> (Vec<String>, Vec<String>) {
        let (mut segments, mut tags) = (Vec::new(), Vec::new());
        for segment in &file.segments {
            if segment.value == TAGS {
                segments.extend(self.tags.names().iter().cloned());
                tags.extend(self.tags.names().iter().cloned());
            } else {
                segments.push(segment.value.clone());
            }
        }
        (segments, tags)
    }

    /// A configured tag must not have the name of another column of the job.
    pub(super) fn check_tags(&self, file: &JobFile, errors: &mut Vec<DefinitionError>) {
        let Some(word) = file.segments.iter().find(|name| name.value == TAGS) else {
            return;
        };
        let partials = file.partials.0.iter().map(|(name, _)| ("partial", name));
        let measures = file.measures.0.iter().map(|(name, _)| ("measure", name));
        let segments = file.segments.iter().map(|name| ("segment", name));
        for (what, name) in segments.chain(partials).chain(measures) {
            if self.tags.names().contains(&name.value) {
                errors.push(self.at(
                    word.referenced,
                    format!(
                        "`tags` stands for the tag `{0}` too, and `{0}` is a {what} of this job already",
                        name.value
                    ),
                    Some(format!(
                        "take `{}` out of `jobs.tags` in the configuration, or rename the {what}",
                        name.value
                    )),
                ));
            }
        }
    }

    /// The SQL's column of tags must hold texts by their names.
    pub(super) fn check_tags_type(
        &self,
        file: &JobFile,
        columns: &DFSchema,
        errors: &mut Vec<DefinitionError>,
    ) {
        let Some(word) = file.segments.iter().find(|name| name.value == TAGS) else {
            return;
        };
        let found = columns.fields().iter().find(|field| field.name() == TAGS);
        let message = match found.map(|field| field.data_type()) {
            Some(data_type) if key_type(data_type).is_some() => return,
            Some(other) => format!(
                "column `{TAGS}` of {} is {other}, no map of texts",
                self.sql.0
            ),
            None => format!("segment `{TAGS}` is not a column of {}", self.sql.0),
        };
        let help = format!("select the input's column `{TAGS}` as it is");
        errors.push(self.at(word.referenced, message, Some(help)));
    }
}

/// A segment as an expression over the columns of a job's SQL.
pub(crate) fn segment_of(
    job: &Job,
    name: &str,
    columns: &DFSchema,
) -> Result<Expr, DataFusionError> {
    if !job.tags().iter().any(|tag| tag == name) {
        return Ok(ident(name));
    }
    let tags = columns.field_with_unqualified_name(TAGS)?;
    let key_type = key_type(tags.data_type()).ok_or_else(|| {
        DataFusionError::Plan(format!(
            "column `{TAGS}` is {}, no map of texts",
            tags.data_type()
        ))
    })?;
    // Keys are compared as they are stored, whichever of Arrow's texts that is.
    let key = ScalarValue::from(name).cast_to(&key_type)?;
    Ok(datafusion::functions::core::get_field().call(vec![ident(TAGS), lit(key)]))
}

/// The type of the keys of a map from text to text.
fn key_type(data_type: &DataType) -> Option<DataType> {
    let DataType::Map(entries, _) = data_type else {
        return None;
    };
    let DataType::Struct(fields) = entries.data_type() else {
        return None;
    };
    let texts = fields.iter().all(|field| is_text(field.data_type()));
    let key = fields.first().filter(|_| texts)?;
    Some(key.data_type().clone())
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Result<Tags, String> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Tags::try_from(names)
    }

    #[test]
    fn names_that_cannot_be_columns_are_refused() {
        assert_eq!(
            tags(&["team", "cost_centre"]).unwrap().names(),
            ["team", "cost_centre"]
        );
        assert!(tags(&[]).unwrap().names().is_empty());
        for (names, told) in [
            (["team", ""], "a tag's name is empty"),
            (["team", "team"], "tag `team` is there twice"),
            (
                ["team", "Cost-Centre"],
                "tag `Cost-Centre` cannot be a column: names are",
            ),
            (["team", "window_start"], "has a meaning of its own"),
            (["team", "tags"], "has a meaning of its own"),
        ] {
            let error = tags(&names).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn the_number_of_tags_is_bounded() {
        let names: Vec<_> = (0..=TAGS_MAX).map(|tag| format!("tag_{tag}")).collect();
        assert!(Tags::try_from(names[1..].to_vec()).is_ok());
        let error = Tags::try_from(names).unwrap_err();
        assert_eq!(error, "there are 17 tags; 16 can be segments at the most");
    }
}
