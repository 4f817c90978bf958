//! The configuration: its types and defaults, and how it is put together.
//!
//! Four layers, the later over the earlier: the defaults in these types, the file, environment
//! variables (`FAROL__KAFKA__BROKERS`), and `--set KEY=VALUE`. The layers above the defaults are laid
//! over each other as a tree of text ([`tree`]), references to secrets are put in ([`interpolate`]),
//! and the whole is given its types at once ([`typed`]), so that a mistake in any layer is reported in
//! the same way, with its place.

mod error;
mod interpolate;
mod pending;
mod tree;
mod typed;
mod types;
mod units;

use std::path::{Path, PathBuf};

pub use error::ConfigError;
pub use types::{Config, Server, Topic};
#[cfg(test)]
use units::ByteSize;
pub use units::Span;

use tree::{Node, Origin, Scalar, Value};

/// The file that is read when no other is named.
pub const DEFAULT_FILE: &str = "farol.yaml";

/// Where the configuration comes from.
#[derive(Debug, Default)]
pub struct Sources {
    /// `--config`; without it [`DEFAULT_FILE`] is read if it is there.
    pub file: Option<PathBuf>,
    /// Variables, of which those that begin with `FAROL__` count.
    pub environment: Vec<(String, String)>,
    /// Every `--set KEY=VALUE`.
    pub arguments: Vec<String>,
}

/// The environment's variables that begin with `FAROL__`. One that is not UTF-8 is none of ours.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("FAROL__"))
        .collect()
}

/// A configuration and what is to be said about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file it was read from, if there was one.
    pub file: Option<PathBuf>,
    /// Keys that were set and that nothing acts on yet.
    pub not_in_effect: Vec<String>,
}

/// Reads and checks the configuration.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let file = find_file(sources.file.as_deref())?;
    let (name, text) = match &file {
        Some((path, text)) => (path.display().to_string(), text.as_str()),
        None => (String::new(), ""),
    };
    let directory = file
        .as_ref()
        .and_then(|(path, _)| path.parent())
        .unwrap_or(Path::new("."));
    read(text, directory, sources)
        .map(|(config, not_in_effect)| Loaded {
            config,
            file: file.as_ref().map(|(path, _)| path.clone()),
            not_in_effect,
        })
        .map_err(|error| error.in_file(&name, text))
}

fn find_file(named: Option<&Path>) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.to_owned(), text))),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigError::new(
            format!("cannot read {}: {error}", path.display()),
            None,
        )),
    }
}

fn read(
    text: &str,
    directory: &Path,
    sources: &Sources,
) -> Result<(Config, Vec<String>), ConfigError> {
    let mut tree = Node::parse_file(text)?;
    interpolate::interpolate(&mut tree, &interpolate::Surroundings { directory })?;
    for (variable, value) in &sources.environment {
        if let Some(path) = tree::environment_path(variable) {
            let node = layered_value(&path, value, Origin::Environment(variable.clone()));
            tree.set(&path, node)?;
        }
    }
    for argument in &sources.arguments {
        let Some((key, value)) = argument.split_once('=') else {
            let origin = Some(Origin::Argument(argument.clone()));
            return Err(ConfigError::new("expected KEY=VALUE", origin));
        };
        let path = tree::dotted_path(key);
        let node = layered_value(&path, value, Origin::Argument(key.to_owned()));
        tree.set(&path, node)?;
    }
    let written = tree.written();
    let config: Config = typed::read(tree)?;
    config.validate()?;
    let not_in_effect = pending::not_in_effect(&written, &config);
    Ok((config, not_in_effect))
}

/// A value given outside the file: YAML, but text as it is where only text can be meant (a password
/// may hold any character).
fn layered_value(path: &[String], value: &str, origin: Origin) -> Node {
    if tree::is_open(path) {
        let scalar = Scalar {
            text: value.to_owned(),
            interpolated: true,
        };
        return Node {
            value: Value::Scalar(scalar),
            origin,
        };
    }
    Node::parse_value(value, origin)
}

#[cfg(test)]
mod tests;
