//! A job's YAML, with the place of everything that can be wrong.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use crate::error::DefinitionError;

/// What the file says. Unknown keys are an error.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobFile {
    pub name: Spanned<String>,
    pub description: Option<String>,
    pub reads: Spanned<Reads>,
    pub window: Spanned<String>,
    pub mode: Option<Spanned<String>>,
    pub reach: Option<Spanned<String>>,
    pub reach_after: Option<Spanned<String>>,
    pub max_series: Option<Spanned<u64>>,
    #[serde(default)]
    pub segments: Vec<Spanned<String>>,
    pub partials: Ordered<Spanned<String>>,
    #[serde(default)]
    pub measures: Ordered<MeasureFile>,
}

/// One measure.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeasureFile {
    pub expr: Spanned<String>,
    pub unit: Option<String>,
    pub better: Option<Spanned<String>>,
    pub description: Option<String>,
}

/// The tables that a job reads: one name, or a list of them.
#[derive(Debug)]
pub(super) enum Reads {
    One(String),
    Several(Vec<Spanned<String>>),
}

impl JobFile {
    /// The names of the tables that the job reads, with their places.
    pub fn inputs(&self) -> Vec<(&str, Location)> {
        match &self.reads.value {
            Reads::One(name) => vec![(name, self.reads.referenced)],
            Reads::Several(names) => names
                .iter()
                .map(|name| (name.value.as_str(), name.referenced))
                .collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Reads {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;

        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = Reads;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a table, or a list of names")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Reads::One(name.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(Reads::Several(names))
            }
        }

        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// A map in the file's order, its keys with their places.
#[derive(Debug)]
pub(super) struct Ordered<V>(pub Vec<(Spanned<String>, V)>);

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Ordered<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Ordered<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names, each with what it is")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// Where mistakes of a file are told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub file: &'a str,
}

impl Place<'_> {
    /// A mistake at a place of the file.
    pub fn error(
        self,
        location: Location,
        message: impl Into<String>,
        help: Option<String>,
    ) -> DefinitionError {
        DefinitionError {
            file: self.file.to_owned(),
            line: location.line(),
            column: location.column(),
            message: message.into(),
            help,
        }
    }
}

/// Reads a job's file.
pub(super) fn read(file: &str, text: &str) -> Result<JobFile, DefinitionError> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error: serde_saphyr::Error| {
        let message = error.without_snippet().to_string();
        let told = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(before, _)| before);
        let location = error.location().unwrap_or(Location::UNKNOWN);
        Place { file }.error(location, told, None)
    })
}

/// The name that is nearest to what was written, to suggest it; all of them where none is near.
pub fn suggestion<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    let nearest = names
        .iter()
        .map(|name| (strsim::levenshtein(written, name), *name))
        .min()
        .filter(|(distance, _)| *distance <= 1 + written.len() / 4);
    match nearest {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("there are {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        let names = ["requests", "errors", "latency"];
        assert_eq!(suggestion("erors", names), "did you mean `errors`?");
        assert_eq!(
            suggestion("cost", names),
            "there are requests, errors, latency"
        );
    }

    #[test]
    fn one_table_or_a_list_is_read_with_places() {
        let rest = "window: 1m\npartials: {n: sum}\n";
        let one = read("j.yaml", &format!("name: a\nreads: traces\n{rest}")).unwrap();
        let several = read(
            "j.yaml",
            &format!("name: a\nreads: [traces, feedback]\n{rest}"),
        )
        .unwrap();
        let told = |file: &JobFile| -> Vec<(String, u64, u64)> {
            let names = file.inputs().into_iter();
            names
                .map(|(name, at)| (name.to_owned(), at.line(), at.column()))
                .collect()
        };
        assert_eq!(told(&one), [("traces".to_owned(), 2, 8)]);
        assert_eq!(
            told(&several),
            [("traces".to_owned(), 2, 9), ("feedback".to_owned(), 2, 17)]
        );
        assert!(read("j.yaml", &format!("name: a\nreads: {{a: b}}\n{rest}")).is_err());
    }

    #[test]
    fn unknown_keys_are_refused_with_their_place() {
        let error = read("j.yaml", "name: a\nreads: traces\nwindwo: 1m\n").unwrap_err();
        assert_eq!((error.line, error.column), (3, 1), "{error}");
        assert!(error.message.contains("windwo"), "{error}");
    }
}
