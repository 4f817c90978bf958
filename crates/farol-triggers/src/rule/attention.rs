//! Who is to be disturbed by a rule's alerts: `muted_by` and `escalate`, and what can be wrong with them.
//!
//! ```text
//! muted_by, rule by rule ──▶ every name is a rule, none mutes itself in the end
//! escalate ──▶ levels, the soonest first
//! ```

use std::collections::{BTreeMap, BTreeSet};

use farol_jobs::{DefinitionError, suggestion};
use serde_saphyr::Spanned;

use super::check::Check;
use super::file::{RuleFile, read};
use super::place::Source;
use super::{Attention, Escalation};

/// The rules that no file holds: what Farol tells of itself.
const OWN: [&str; 2] = [crate::job_failure::RULE, crate::ingest_stall::RULE];

/// The most rules that one rule is muted by, and the most levels of an escalation.
const ENTRIES_MAX: usize = 20;

impl Check<'_> {
    pub(super) fn attention(&mut self, written: &RuleFile) -> Option<Attention> {
        let mut escalate: Vec<Escalation> = Vec::new();
        for level in &written.escalate {
            let after_us = self.span(Some(&level.after), 0)?;
            let before_us = escalate.last().map_or(0, |before| before.after_us);
            if after_us <= before_us {
                let message = "each level must come later than the one before it".to_owned();
                let help = "put the soonest first, none at once".to_owned();
                self.say(&level.after, message, Some(help));
            } else if escalate.len() >= ENTRIES_MAX {
                let message = format!("{ENTRIES_MAX} levels are the most");
                self.say(&level.after, message, None);
            }
            let severity = match &level.severity {
                Some(word) => Some(self.severity(word)?),
                None => None,
            };
            escalate.push(Escalation { after_us, severity });
        }
        if let Some(one) = written.muted_by.get(ENTRIES_MAX) {
            let message = format!("a rule is muted by {ENTRIES_MAX} rules at the most");
            self.say(one, message, None);
        }
        let muted_by = written.muted_by.iter();
        Some(Attention {
            muted_by: muted_by.map(|one| one.value.clone()).collect(),
            escalate,
        })
    }
}

/// What is wrong with the dependencies between rules, by the rules' files and texts. Files that cannot be read are told of
/// elsewhere.
pub(super) fn mistakes(texts: &BTreeMap<String, (String, String)>) -> Vec<DefinitionError> {
    let mut written: BTreeMap<&str, Vec<Spanned<String>>> = BTreeMap::new();
    for (name, (file, text)) in texts {
        if let Ok(rule) = read(Source { file, text }) {
            written.insert(name, rule.muted_by);
        }
    }
    let mut errors = Vec::new();
    for (name, muted_by) in &written {
        let Some((file, text)) = texts.get(*name) else {
            continue;
        };
        let source = Source { file, text };
        for one in muted_by {
            let at = one.referenced;
            if !is_rule(texts, &one.value) {
                let known = texts.keys().map(String::as_str);
                let known = known.chain(OWN);
                let message = format!("there is no rule `{}`", one.value);
                errors.push(source.error(at, message, Some(suggestion(&one.value, known))));
            } else if let Some(way) = way_back(&written, name, &one.value) {
                let message = format!("rules mute each other in a circle: {name}, {way}");
                let help = "name the rule that is the cause in those that follow from it, not the other way round";
                errors.push(source.error(at, message, Some(help.to_owned())));
            }
        }
    }
    errors
}

fn is_rule(texts: &BTreeMap<String, (String, String)>, name: &str) -> bool {
    OWN.contains(&name) || texts.contains_key(name)
}

/// The rules from one on that lead back to another, in words; `None` where none do.
fn way_back(
    written: &BTreeMap<&str, Vec<Spanned<String>>>,
    to: &str,
    from: &str,
) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![vec![from.to_owned()]];
    while let Some(way) = open.pop() {
        let last = way.last()?.clone();
        if last == to {
            return Some(way.join(", "));
        }
        if !seen.insert(last.clone()) {
            continue;
        }
        for next in written.get(last.as_str()).into_iter().flatten() {
            let mut longer = way.clone();
            longer.push(next.value.clone());
            open.push(longer);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rules: &[(&str, &str)]) -> Vec<String> {
        let text = |name: &str, more: &str| {
            format!("name: {name}\non: performance\nwhen: errors > 1\n{more}\n")
        };
        let texts = rules
            .iter()
            .map(|(name, more)| {
                let file = (format!("{name}.yaml"), text(name, more));
                ((*name).to_owned(), file)
            })
            .collect();
        mistakes(&texts).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn dependencies_that_hold_are_good() {
        let rules = [
            ("outage", ""),
            ("errors", "muted_by: [outage]"),
            ("quality", "muted_by: [errors, outage, job-failing]"),
        ];
        assert_eq!(told(&rules), [""; 0]);
    }

    #[test]
    fn a_rule_that_is_not_there_is_told_with_its_place() {
        let told = told(&[("outage", ""), ("errors", "muted_by: [outag]")]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("errors.yaml:4:12"), "{told:?}");
        assert!(told[0].contains("there is no rule `outag`"), "{told:?}");
        assert!(told[0].contains("outage"), "{told:?}");
    }

    #[test]
    fn circles_are_told() {
        let own = told(&[("errors", "muted_by: [errors]")]);
        assert!(own[0].contains("errors, errors"), "{own:?}");
        let three = told(&[
            ("a", "muted_by: [b]"),
            ("b", "muted_by: [c]"),
            ("c", "muted_by: [a]"),
            ("d", "muted_by: [a]"),
        ]);
        assert_eq!(three.len(), 3, "d is in no circle: {three:?}");
        assert!(three[0].contains("a, b, c, a"), "{three:?}");
    }
}
