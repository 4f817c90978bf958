//! Keys that are part of the configuration's format, but that nothing acts on yet. Setting one is no
//! error; leaving that unsaid would be.

use super::types::{Config, Format};

/// Sections and keys without effect, as prefixes of dotted paths.
const PENDING: [&str; 5] = [
    "outputs.fine_tuning",
    "outputs.prompt_update",
    "outputs.rollout",
    "outputs.routing",
    "retention",
];

/// The keys that were written and have no effect, and the topics that are not read, as one would name
/// them to a person.
pub(crate) fn not_in_effect(written: &[String], config: &Config) -> Vec<String> {
    let mut keys = Vec::new();
    for prefix in PENDING {
        let is_below = |path: &&String| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut below = written.iter().filter(is_below);
        match (below.next(), below.next()) {
            (Some(only), None) => keys.push(only.clone()),
            (Some(_), Some(_)) => keys.push(prefix.to_owned()),
            (None, _) => {}
        }
    }
    for topic in &config.topics {
        if topic.kind.event_kind().is_none() {
            keys.push(format!(
                "topic {} (kind {} is not read yet)",
                topic.name,
                topic.kind.as_str()
            ));
        } else if topic.format != Format::Json {
            keys.push(format!(
                "topic {} (format {} is not read yet)",
                topic.name,
                topic.format.as_str()
            ));
        }
    }
    keys
}
