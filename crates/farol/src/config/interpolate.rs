//! `${NAME}` and `${file:PATH}` inside the file's values: how secrets stay out of it.

use std::path::Path;

use super::error::ConfigError;
use super::tree::{Node, Value};

/// Where names and files are looked up; a seam for tests.
pub(crate) trait Lookup {
    /// An environment variable's value.
    fn variable(&self, name: &str) -> Option<String>;
    /// A file's text.
    fn file(&self, path: &str) -> std::io::Result<String>;
}

/// The process's environment, and files beside the configuration file.
pub(crate) struct Surroundings<'a> {
    /// What a relative path starts from.
    pub(crate) directory: &'a Path,
}

impl Lookup for Surroundings<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> std::io::Result<String> {
        std::fs::read_to_string(self.directory.join(path))
    }
}

/// Replaces every reference in the values below `node`.
pub(crate) fn interpolate(node: &mut Node, lookup: &impl Lookup) -> Result<(), ConfigError> {
    match &mut node.value {
        Value::Null => Ok(()),
        Value::Scalar(scalar) => {
            let replaced = replace(&scalar.text, lookup)
                .map_err(|message| ConfigError::new(message, Some(node.origin.clone())))?;
            if let Some(text) = replaced {
                scalar.text = text;
                scalar.interpolated = true;
            }
            Ok(())
        }
        Value::List(items) => items
            .iter_mut()
            .try_for_each(|item| interpolate(item, lookup)),
        Value::Map(entries) => entries
            .iter_mut()
            .try_for_each(|(_, item)| interpolate(item, lookup)),
    }
}

/// The text with its references replaced, or `None` where it has none. `$${` stands for `${`.
fn replace(text: &str, lookup: &impl Lookup) -> Result<Option<String>, String> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            replaced.push_str(&rest[..start - 1]);
            replaced.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        replaced.push_str(&rest[..start]);
        let Some(end) = rest[start..].find('}') else {
            return Err("`${` has no closing brace; write `$${` for the two characters".to_owned());
        };
        replaced.push_str(&resolve(&rest[start + 2..start + end], lookup)?);
        rest = &rest[start + end + 1..];
    }
    replaced.push_str(rest);
    Ok(Some(replaced))
}

fn resolve(reference: &str, lookup: &impl Lookup) -> Result<String, String> {
    if let Some(path) = reference.strip_prefix("file:") {
        let text = lookup
            .file(path)
            .map_err(|error| format!("cannot read file {path}: {error}"))?;
        return Ok(text.trim_end_matches(['\n', '\r']).to_owned());
    }
    let mut letters = reference.chars();
    let is_name = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if !is_name {
        return Err(format!(
            "`${{{reference}}}` is neither ${{NAME}} nor ${{file:PATH}}"
        ));
    }
    lookup
        .variable(reference)
        .ok_or_else(|| format!("environment variable {reference} is not set"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Lookup for Fixed {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "PASSWORD").then(|| "s3cret: #1".to_owned())
        }

        fn file(&self, path: &str) -> std::io::Result<String> {
            match path {
                "run/token" => Ok("abc\n".to_owned()),
                _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
            }
        }
    }

    #[test]
    fn references_are_replaced_inside_text() {
        let replaced = |text| replace(text, &Fixed).unwrap();
        assert_eq!(replaced("plain $5"), None);
        assert_eq!(replaced("${PASSWORD}").as_deref(), Some("s3cret: #1"));
        assert_eq!(replaced("a${file:run/token}b").as_deref(), Some("aabcb"));
        assert_eq!(
            replaced("$${PASSWORD} ${PASSWORD}").as_deref(),
            Some("${PASSWORD} s3cret: #1")
        );
    }

    #[test]
    fn what_cannot_be_replaced_is_said() {
        let error = |text| replace(text, &Fixed).unwrap_err();
        assert_eq!(error("${NOPE}"), "environment variable NOPE is not set");
        assert!(error("${file:missing}").starts_with("cannot read file missing: "));
        assert!(error("${PASSWORD").contains("no closing brace"));
        assert_eq!(
            error("${a-b}"),
            "`${a-b}` is neither ${NAME} nor ${file:PATH}"
        );
    }
}
