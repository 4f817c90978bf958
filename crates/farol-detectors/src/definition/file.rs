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
    pub window: Option<Spanned<String>>,
    pub method: Option<Spanned<String>>,
    pub direction: Option<Spanned<String>>,
    pub missing: Option<Spanned<String>>,
    pub settle: Option<Spanned<String>>,
    pub warm_up: Option<Spanned<String>>,
    pub false_alarms_per_week: Option<Spanned<f64>>,
    pub least_effect: Option<Spanned<f64>>,
}

/// One word, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Words {
    One(Spanned<String>),
    Several(Vec<Spanned<String>>),
}

impl Words {
    pub fn all(&self) -> &[Spanned<String>] {
        match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::Several(words) => words,
        }
    }

    /// Whether it is this one word.
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::One(word) if word.value == wanted)
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
