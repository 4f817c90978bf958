//! A configuration as it was written: scalars as their text, each value with the place it came from.
//!
//! The file, the environment and `--set` are read into the same tree, laid over each other, and only
//! then given types: so every layer has the same syntax, and an error names the place to mend.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::error::ConfigError;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the file, at a line and a column counted from 1.
    File {
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// Byte offset of the value's first byte, where the parser knows it.
        offset: Option<usize>,
        /// The value's length in bytes.
        length: usize,
    },
    /// In an environment variable of this name.
    Environment(String),
    /// In `--set KEY=…`.
    Argument(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { line, column, .. } => write!(f, "line {line}, column {column}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Argument(key) => write!(f, "--set {key}"),
        }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// What was written.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing: `null`, `~`, or no text at all.
    Null,
    /// Text, a number or a truth value; which of them is for the type that takes it to say.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order written.
    Map(Vec<(Key, Node)>),
}

/// The text of a scalar.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Whether part of the text came from the environment or another file, and may be a secret.
    pub(crate) interpolated: bool,
}

/// A map's key and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) origin: Origin,
}

/// Sections whose keys belong to someone else and may hold dots: what follows their name in a dotted
/// path is one key.
const OPEN_SECTIONS: [&[&str]; 2] = [&["kafka", "properties"], &["lake", "storage_options"]];

/// Splits `kafka.properties.sasl.password` into the keys that lead to the value.
pub(crate) fn dotted_path(dotted: &str) -> Vec<String> {
    let parts: Vec<&str> = dotted.split('.').collect();
    for section in OPEN_SECTIONS {
        if parts.len() > section.len() && parts.starts_with(section) {
            let mut path: Vec<String> = section.iter().map(|key| (*key).to_owned()).collect();
            path.push(parts[section.len()..].join("."));
            return path;
        }
    }
    parts.into_iter().map(str::to_owned).collect()
}

/// Turns `FAROL__KAFKA__PROPERTIES__SASL_PASSWORD` into the keys that lead to the value, or `None`
/// where the variable is not one of ours. Kafka's own properties are spelled with dots.
pub(crate) fn environment_path(variable: &str) -> Option<Vec<String>> {
    let rest = variable.strip_prefix("FAROL__")?;
    let mut path: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
    for section in OPEN_SECTIONS {
        if path.len() > section.len() && path.iter().zip(section).all(|(key, name)| key == name) {
            let mut key = path.split_off(section.len()).join("__");
            if section == ["kafka", "properties"] {
                key = key.replace("__", ".").replace('_', ".");
            }
            path.push(key);
            break;
        }
    }
    Some(path)
}

/// Whether a path leads to a key of someone else, whose value is text.
pub(crate) fn is_open(path: &[String]) -> bool {
    OPEN_SECTIONS.iter().any(|section| {
        path.len() > section.len() && path.iter().zip(*section).all(|(key, name)| key == name)
    })
}

impl Node {
    /// An empty map, for a file that is not there.
    pub(crate) fn empty() -> Self {
        Self {
            value: Value::Map(Vec::new()),
            origin: Origin::File {
                line: 1,
                column: 1,
                offset: None,
                length: 0,
            },
        }
    }

    /// Reads YAML. Aliases and merge keys work; a key written twice is an error.
    pub(crate) fn parse_file(source: &str) -> Result<Self, ConfigError> {
        Self::parse(source, None)
    }

    /// Reads the value of a variable or of `--set`: YAML, else the text as it is.
    pub(crate) fn parse_value(text: &str, origin: Origin) -> Self {
        match Self::parse(text, Some(&origin)) {
            Ok(node) if !text.trim().is_empty() => node,
            _ => Self {
                value: Value::Scalar(Scalar {
                    text: text.to_owned(),
                    interpolated: false,
                }),
                origin,
            },
        }
    }

    fn parse(source: &str, elsewhere: Option<&Origin>) -> Result<Self, ConfigError> {
        let options = serde_saphyr::options! { with_snippet: false };
        let raw: Spanned<RawValue> = serde_saphyr::from_str_with_options(source, options)
            .map_err(|error| ConfigError::syntax(&error))?;
        Ok(raw
            .value
            .into_node(raw.referenced, raw.defined, source, elsewhere))
    }

    /// Lays `value` over what the path leads to, making the sections on the way.
    pub(crate) fn set(&mut self, path: &[String], value: Node) -> Result<(), ConfigError> {
        let Some((first, rest)) = path.split_first() else {
            *self = value;
            return Ok(());
        };
        match &mut self.value {
            Value::Map(entries) => {
                let known = entries.iter().position(|(key, _)| key.name == *first);
                let index = known.unwrap_or_else(|| {
                    let key = Key {
                        name: first.clone(),
                        origin: value.origin.clone(),
                    };
                    let blank = Node {
                        value: Value::Null,
                        origin: value.origin.clone(),
                    };
                    entries.push((key, blank));
                    entries.len() - 1
                });
                entries[index].1.set(rest, value)
            }
            Value::List(items) => {
                let length = items.len();
                let item = first
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get_mut(index));
                let Some(item) = item else {
                    let message = format!("`{first}` is not an item of a list of {length}");
                    return Err(ConfigError::new(message, Some(value.origin))
                        .with_help("items are counted from 0; the file must have the list"));
                };
                item.set(rest, value)
            }
            Value::Null if first.parse::<usize>().is_err() => {
                self.value = Value::Map(Vec::new());
                self.set(path, value)
            }
            Value::Null | Value::Scalar(_) => {
                let message = format!("there is nothing below which `{first}` could be set");
                Err(ConfigError::new(message, Some(value.origin)))
            }
        }
    }

    /// The paths of every value that is written here and is not null, dotted.
    pub(crate) fn written(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_written("", &mut paths);
        paths
    }

    fn collect_written(&self, path: &str, paths: &mut Vec<String>) {
        match &self.value {
            Value::Null => {}
            Value::Scalar(_) | Value::List(_) => paths.push(path.to_owned()),
            Value::Map(entries) => {
                for (key, node) in entries {
                    let dot = if path.is_empty() { "" } else { "." };
                    node.collect_written(&format!("{path}{dot}{}", key.name), paths);
                }
            }
        }
    }
}

/// The tree as the YAML reader gives it, with its locations.
enum RawValue {
    Null,
    Text(String),
    /// A number or a truth value, whose text is taken from the source.
    Other,
    List(Vec<Spanned<RawValue>>),
    Map(Vec<(Spanned<RawKey>, Spanned<RawValue>)>),
}

/// A key; one that is not text is taken from the source.
struct RawKey(Option<String>);

impl RawValue {
    fn into_node(
        self,
        referenced: Location,
        defined: Location,
        source: &str,
        elsewhere: Option<&Origin>,
    ) -> Node {
        let origin = elsewhere.cloned().unwrap_or_else(|| origin_of(referenced));
        let scalar = |text| {
            Value::Scalar(Scalar {
                text,
                interpolated: false,
            })
        };
        let value = match self {
            Self::Null => Value::Null,
            Self::Text(text) => scalar(text),
            Self::Other => scalar(source_text(source, defined)),
            Self::List(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| {
                        item.value
                            .into_node(item.referenced, item.defined, source, elsewhere)
                    })
                    .collect(),
            ),
            Self::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, item)| {
                        let name = key
                            .value
                            .0
                            .unwrap_or_else(|| source_text(source, key.defined));
                        let origin = elsewhere
                            .cloned()
                            .unwrap_or_else(|| origin_of(key.referenced));
                        let node =
                            item.value
                                .into_node(item.referenced, item.defined, source, elsewhere);
                        (Key { name, origin }, node)
                    })
                    .collect(),
            ),
        };
        Node { value, origin }
    }
}

pub(crate) fn origin_of(location: Location) -> Origin {
    let span = location.span();
    Origin::File {
        line: location.line(),
        column: location.column(),
        offset: span
            .byte_offset()
            .and_then(|offset| usize::try_from(offset).ok()),
        length: usize::try_from(span.byte_len().unwrap_or(0)).unwrap_or(0),
    }
}

fn source_text(source: &str, location: Location) -> String {
    let span = location.span();
    let range = || {
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
        source.get(start..end)
    };
    range().unwrap_or_default().trim().to_owned()
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_none<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawValue, D::Error> {
        RawValue::deserialize(deserializer)
    }

    fn visit_bool<E>(self, _: bool) -> Result<RawValue, E> {
        Ok(RawValue::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<RawValue, E> {
        Ok(RawValue::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<RawValue, E> {
        Ok(RawValue::Other)
    }

    fn visit_i128<E>(self, _: i128) -> Result<RawValue, E> {
        Ok(RawValue::Other)
    }

    fn visit_u128<E>(self, _: u128) -> Result<RawValue, E> {
        Ok(RawValue::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<RawValue, E> {
        Ok(RawValue::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(RawValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RawValue, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(RawValue::Map(map))
    }
}

impl<'de> Deserialize<'de> for RawKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match RawValue::deserialize(deserializer)? {
            RawValue::Text(text) => Ok(Self(Some(text))),
            RawValue::Null | RawValue::Other => Ok(Self(None)),
            RawValue::List(_) | RawValue::Map(_) => {
                Err(serde::de::Error::custom("a key must be text"))
            }
        }
    }
}
