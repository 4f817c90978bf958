//! What is wrong with a configuration, and where.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use super::tree::{Origin, origin_of};

/// A mistake in the configuration: the file, a variable, or `--set`.
#[derive(Debug)]
pub struct ConfigError {
    message: String,
    origin: Option<Origin>,
    help: Option<String>,
    source: Option<Box<NamedSource<String>>>,
}

impl ConfigError {
    pub(crate) fn new(message: impl Into<String>, origin: Option<Origin>) -> Self {
        Self {
            message: message.into(),
            origin,
            help: None,
            source: None,
        }
    }

    /// A file that is not YAML.
    pub(crate) fn syntax(error: &serde_saphyr::Error) -> Self {
        let message = error.without_snippet().to_string();
        // The place is told apart, and the library's own options are none of the user's.
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(before, _)| before);
        let message = message
            .split_once(", set DuplicateKeyPolicy")
            .map_or(message, |(before, _)| before);
        Self::new(message, error.location().map(origin_of))
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names the place, unless it is known already.
    pub(crate) fn at(mut self, origin: &Origin) -> Self {
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }

    /// The error for a terminal: the message, the place in the file, and what may help.
    pub fn rendered(&self) -> String {
        let mut text = String::new();
        match miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
            .with_width(110)
            .render_report(&mut text, self)
        {
            Ok(()) => text,
            Err(fmt::Error) => format!("{self}\n"),
        }
    }

    /// Attaches the file's text, to be shown around the place.
    pub(crate) fn in_file(mut self, name: &str, text: &str) -> Self {
        if matches!(self.origin, Some(Origin::File { .. })) {
            self.source = Some(Box::new(NamedSource::new(name, text.to_owned())));
        }
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, &self.source) {
            (Some(Origin::File { line, column, .. }), Some(source)) => {
                write!(f, "{}:{line}:{column}: {}", source.name(), self.message)
            }
            (Some(origin), _) => write!(f, "{origin}: {}", self.message),
            (None, _) => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ConfigError {}

impl serde::de::Error for ConfigError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string(), None)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let error = Self::new(format!("unknown key `{field}`"), None);
        match closest(field, expected) {
            Some(name) => error.with_help(format!("did you mean `{name}`?")),
            None => error.with_help(format!("known here: {}", expected.join(", "))),
        }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let message = format!("`{variant}` is not one of {}", expected.join(", "));
        let error = Self::new(message, None);
        match closest(variant, expected) {
            Some(name) => error.with_help(format!("did you mean `{name}`?")),
            None => error,
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("`{field}` is missing"), None)
    }
}

impl Diagnostic for ConfigError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source
            .as_deref()
            .map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let Some(Origin::File {
            offset,
            length,
            line,
            column,
        }) = &self.origin
        else {
            return None;
        };
        let text = self.source.as_ref()?.inner();
        let offset = offset.unwrap_or_else(|| offset_of(text, *line, *column));
        let label = LabeledSpan::new(Some("here".to_owned()), offset, *length);
        Some(Box::new(std::iter::once(label)))
    }
}

/// The byte offset of a line and a column, both counted from 1.
fn offset_of(text: &str, line: u64, column: u64) -> usize {
    let line = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    let column = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = &text[start..];
    start
        + rest
            .char_indices()
            .nth(column)
            .map_or(rest.len(), |(offset, _)| offset)
}

/// The known name that differs least from what was written, if the difference looks like a slip.
fn closest(written: &str, known: &'static [&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|name| (strsim::levenshtein(written, name), *name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_offsets() {
        assert_eq!(offset_of("ab\nçd\n", 2, 2), 5);
        assert_eq!(offset_of("ab\n", 1, 1), 0);
        assert_eq!(offset_of("ab\n", 9, 9), 3);
    }

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known: &[&str] = &["flush_interval", "memory", "uri"];
        assert_eq!(closest("flush_intervall", known), Some("flush_interval"));
        assert_eq!(closest("memroy", known), Some("memory"));
        assert_eq!(closest("url", known), Some("uri"));
        assert_eq!(closest("partitions", known), None);
    }
}
