//! History through the layer: when a rule would have fired, and whether anybody would have been notified.

use std::collections::BTreeMap;

use farol_jobs::Jobs;
use farol_lake::Lake;

use super::attend::{Alerts, Terms, attend};
use super::dependencies::depths;
use super::notes::Notes;
use super::silence::silences;
use crate::action::Action;
use crate::error::TriggerError;
use crate::replay::Replay;
use crate::rule::{Attention, Rules};
use crate::{on_events, replay};

/// What a rule's replay shows, with what the rules that mute it would have said, the silences that there are, and its
/// escalation. Nobody acknowledges anything. Rules on findings mute nothing here: what was found is no function of the range.
///
/// # Errors
/// Where measures, events or silences cannot be read.
pub async fn attended(
    lake: &Lake,
    jobs: &Jobs,
    rules: &Rules,
    rule: &str,
    replayed: Replay,
) -> Result<Replay, TriggerError> {
    let (from_us, to_us) = (replayed.from_us, replayed.to_us);
    let settings: BTreeMap<String, Attention> = rules
        .attention()
        .map(|(name, one)| (name.to_owned(), one.clone()))
        .collect();
    let mut closed_us = BTreeMap::from([(rule.to_owned(), Some(to_us))]);
    let mut decided: Vec<Action> = Vec::new();
    for cause in causes(&settings, rule) {
        let found = if let Some(cause) = rules.get(&cause) {
            replay::replay(lake, jobs, cause, from_us, to_us).await?
        } else if let Some(cause) = rules.on_events().find(|one| one.rule.name == cause) {
            on_events::replay(lake, cause, from_us, to_us).await?
        } else {
            continue;
        };
        closed_us.insert(cause, Some(found.to_us));
        decided.extend(found.actions);
    }
    decided.extend(replayed.actions);
    let notes = Notes::of(silences(lake).await?);
    let terms = Terms {
        settings: &settings,
        notes: &notes,
        closed_us: &closed_us,
    };
    let mut actions = attend(&Alerts::default(), &terms, decided);
    actions.retain(|action| action.rule == rule);
    Ok(Replay {
        actions,
        ..replayed
    })
}

/// The rules that mute a rule, those that mute these too, causes first.
fn causes(settings: &BTreeMap<String, Attention>, rule: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = vec![rule.to_owned()];
    while let Some(name) = open.pop() {
        for cause in settings
            .get(&name)
            .into_iter()
            .flat_map(|one| &one.muted_by)
        {
            if !found.contains(cause) {
                found.push(cause.clone());
                open.push(cause.clone());
            }
        }
    }
    let depths = depths(settings.iter().map(|(name, one)| (name.as_str(), one)));
    found.sort_by_key(|name| (depths.get(name).copied(), name.clone()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_of_causes_come_first() {
        let muted_by = |names: &[&str]| Attention {
            muted_by: names.iter().map(|name| (*name).to_owned()).collect(),
            escalate: Vec::new(),
        };
        let settings = BTreeMap::from([
            ("quality".to_owned(), muted_by(&["errors", "outage"])),
            ("errors".to_owned(), muted_by(&["outage"])),
            ("outage".to_owned(), muted_by(&[])),
            ("other".to_owned(), muted_by(&["quality"])),
        ]);
        assert_eq!(causes(&settings, "quality"), ["outage", "errors"]);
    }
}
