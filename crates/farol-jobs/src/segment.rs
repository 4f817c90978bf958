//! A segment: what rules and detectors keep apart, by the values of the columns they name.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The values of segments, in the order of a `by`; `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Segment(pub Vec<Option<String>>);

impl Segment {
    /// The segment as messages have it: names and values.
    pub fn to_json(&self, by: &[String]) -> Value {
        let value = |value: &Option<String>| value.clone().map_or(Value::Null, Value::String);
        let pairs = by.iter().cloned().zip(self.0.iter().map(value));
        Value::Object(pairs.collect::<Map<_, _>>())
    }

    /// Reads it back; `None` where it has other names than these.
    pub fn from_json(text: &str, by: &[String]) -> Option<Self> {
        let Ok(Value::Object(pairs)) = serde_json::from_str(text) else {
            return None;
        };
        if pairs.len() != by.len() {
            return None;
        }
        let values = by.iter().map(|name| match pairs.get(name)? {
            Value::Null => Some(None),
            Value::String(value) => Some(Some(value.clone())),
            _ => None,
        });
        values.collect::<Option<Vec<_>>>().map(Self)
    }

    /// The condition of SQL that finds the segment's rows; empty where everything is one segment.
    pub fn to_sql(&self, by: &[String]) -> String {
        let mut sql = String::new();
        for (name, value) in by.iter().zip(&self.0) {
            sql.push_str(" AND ");
            sql.push_str(quoted_name(name).as_str());
            match value {
                None => sql.push_str(" IS NULL"),
                Some(value) => {
                    sql.push_str(" = ");
                    sql.push_str(&quoted_text(value));
                }
            }
        }
        sql
    }
}

/// Names and a column's worth of comma before each: what follows the first column of a query.
pub fn name_list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.fold(String::new(), |list, name| {
        list + ", " + quoted_name(name).as_str()
    })
}

/// Texts, with a comma before each: what follows the first argument of a function.
pub fn text_list<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    texts.fold(String::new(), |list, text| {
        list + ", " + quoted_text(text).as_str()
    })
}

/// A name of SQL, quoted where it must be.
pub fn quoted_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// A text of SQL.
pub fn quoted_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_written_and_read_back() {
        let by = ["service".to_owned(), "model".to_owned()];
        let segment = Segment(vec![Some("it's".to_owned()), None]);
        let json = segment.to_json(&by).to_string();
        assert_eq!(json, r#"{"model":null,"service":"it's"}"#);
        assert_eq!(Segment::from_json(&json, &by), Some(segment.clone()));
        assert_eq!(Segment::from_json(&json, &by[..1]), None);
        assert_eq!(
            segment.to_sql(&by),
            " AND service = 'it''s' AND model IS NULL"
        );
    }
}
