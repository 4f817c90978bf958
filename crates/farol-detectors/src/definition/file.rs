//! A detector's YAML, with the place of everything that can be wrong.

use farol_jobs::DefinitionError;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

/// What the file says. Unknown keys are an error.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DetectorFile {
    pub name: Spanned<String>,
    pub description: Option<String>,
    pub on: Words,
    #[serde(default)]
    pub except: Vec<Spanned<String>>,
    pub measures: Option<Words>,
    #[serde(default)]
    pub columns: Vec<Spanned<String>>,
    #[serde(default)]
    pub by: Vec<Spanned<String>>,
    pub compare: Option<Spanned<String>>,
    pub window: Option<Spanned<String>>,
    pub method: Option<Spanned<String>>,
    pub direction: Option<Spanned<String>>,
    pub missing: Option<Spanned<String>>,
    pub time_zone: Option<Spanned<String>>,
    #[serde(default)]
    pub holidays: Vec<Spanned<String>>,
    pub reference: Option<Spanned<String>>,
    pub settle: Option<Spanned<String>>,
    pub warm_up: Option<Spanned<String>>,
    pub false_alarms_per_week: Option<Spanned<f64>>,
    pub least_effect: Option<Spanned<f64>>,
}

/// One word, or several. The place of each is where they begin: which of two forms a value has is found out by reading it
/// whole, and the places within it are lost in that.
#[derive(Debug)]
pub(super) struct Words {
    words: Vec<Spanned<String>>,
    is_one: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    One(String),
    Several(Vec<String>),
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = Spanned::<Written>::deserialize(deserializer)?;
        let (words, is_one) = match found.value {
            Written::One(word) => (vec![word], true),
            Written::Several(words) => (words, false),
        };
        let placed = |word| Spanned::new(word, found.referenced, found.defined);
        Ok(Self {
            words: words.into_iter().map(placed).collect(),
            is_one,
        })
    }
}

impl Words {
    pub fn all(&self) -> &[Spanned<String>] {
        &self.words
    }

    /// Whether it is this one word.
    pub fn is(&self, wanted: &str) -> bool {
        self.is_one && self.words.iter().all(|word| word.value == wanted)
    }
}

/// A file whose mistakes are told.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl Source<'_> {
    /// A mistake at a place of the file.
    pub fn error(
        self,
        at: Location,
        message: impl Into<String>,
        help: Option<String>,
    ) -> DefinitionError {
        DefinitionError {
            file: self.file.to_owned(),
            line: at.line(),
            column: at.column(),
            message: message.into(),
            help,
        }
    }

    /// Reads a detector's file.
    pub fn read(self) -> Result<DetectorFile, DefinitionError> {
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(self.text, options).map_err(
            |error: serde_saphyr::Error| {
                let message = error.without_snippet().to_string();
                let told = message
                    .rsplit_once(" at line ")
                    .map_or(message.as_str(), |(before, _)| before);
                let location = error.location().unwrap_or(Location::UNKNOWN);
                self.error(location, told, None)
            },
        )
    }
}
