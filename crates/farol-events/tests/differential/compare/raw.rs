//! JSON through serde_json, one level at a time, each value kept as its text. Unlike `Value` this
//! loses neither the digits of numbers nor the order of members.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object in order, each key and value as often as it comes.
#[derive(Clone, Debug, Default)]
pub struct Members(pub Vec<(String, Box<RawValue>)>);

impl Members {
    /// The last value of a key.
    pub fn get(&self, name: &str) -> Option<&str> {
        let member = self.0.iter().rfind(|(key, _)| key == name);
        member.map(|(_, value)| value.get())
    }

    /// The last of each key, in order, as texts.
    pub fn last_of_each(&self) -> Vec<(&str, &str)> {
        let mut last = Vec::new();
        for (key, value) in &self.0 {
            replace(&mut last, key.as_str(), value.get());
        }
        last
    }
}

/// Appends an entry and takes away an earlier one of the same key.
pub fn replace<K: PartialEq, V>(entries: &mut Vec<(K, V)>, key: K, value: V) {
    entries.retain(|(other, _)| *other != key);
    entries.push((key, value));
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                while let Some(member) = map.next_entry()? {
                    members.0.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// What a value is, and what it holds.
pub enum Shape {
    Null,
    Boolean,
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Box<RawValue>>),
    Object(Members),
}

/// Reads a value's text, which is known to be JSON.
pub fn shape(text: &str) -> Result<Shape, String> {
    let shape = match text.as_bytes().first() {
        Some(b'n') => Ok(Shape::Null),
        Some(b't' | b'f') => Ok(Shape::Boolean),
        Some(b'"') => serde_json::from_str(text).map(Shape::Text),
        Some(b'[') => serde_json::from_str(text).map(Shape::List),
        Some(b'{') => serde_json::from_str(text).map(Shape::Object),
        _ => Ok(Shape::Number(text.to_owned())),
    };
    shape.map_err(|error| format!("serde_json does not read {text:?} again: {error}"))
}

/// How many levels of arrays and objects a value has.
pub fn nesting(text: &str) -> Result<usize, String> {
    let deepest = |values: Vec<&RawValue>| {
        values.into_iter().try_fold(0, |deepest, value| {
            nesting(value.get()).map(|levels| levels.max(deepest))
        })
    };
    match shape(text)? {
        Shape::List(elements) => Ok(1 + deepest(elements.iter().map(AsRef::as_ref).collect())?),
        Shape::Object(members) => {
            let values = members.0.iter().map(|(_, value)| value.as_ref());
            Ok(1 + deepest(values.collect())?)
        }
        _ => Ok(0),
    }
}
