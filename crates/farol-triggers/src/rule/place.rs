//! Where a mistake is: file, line and column, also inside a text that YAML folded.

use std::ops::Range;

use farol_jobs::DefinitionError;
use serde::de::DeserializeOwned;
use serde_saphyr::{Location, Spanned};

use crate::condition::Mistake;

/// A file whose mistakes are told.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl Source<'_> {
    /// Reads the file as YAML.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, DefinitionError> {
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

    /// A mistake inside a condition.
    pub fn mistake(self, condition: &Spanned<String>, mistake: Mistake) -> DefinitionError {
        let at = condition.referenced;
        let (line, column) = self.within(at, &condition.value, &mistake.span);
        DefinitionError {
            file: self.file.to_owned(),
            line,
            column,
            message: mistake.message,
            help: mistake.help,
        }
    }

    /// The line and column of a span of a value. YAML may have quoted, folded or indented it: the value's letters
    /// are found again one after the other, beginning where the value does.
    fn within(self, at: Location, value: &str, span: &Range<usize>) -> (u64, u64) {
        let (mut line, mut column) = (at.line(), at.column());
        let lines = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let start: usize = self
            .text
            .split_inclusive('\n')
            .take(lines)
            .map(str::len)
            .sum();
        let skipped = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
        let mut letters = self.text[start..].chars().skip(skipped);
        let mut place = (line, column);
        let before = value[..span.start.min(value.len())].chars();
        let there = value[span.start.min(value.len())..].chars().take(1);
        for wanted in before.chain(there).filter(|letter| !letter.is_whitespace()) {
            loop {
                let Some(letter) = letters.next() else {
                    return (at.line(), at.column());
                };
                place = (line, column);
                if letter == '\n' {
                    (line, column) = (line + 1, 1);
                } else {
                    column += 1;
                }
                if letter == wanted {
                    break;
                }
            }
        }
        // At the end of the text: right after the last letter.
        if span.start >= value.trim_end().len() && !value.trim().is_empty() {
            return (place.0, place.1 + 1);
        }
        place
    }
}
