//! The layer as a service holds it: alerts as published, what operators said, what rules say.

use std::collections::BTreeMap;
use std::sync::Arc;

use farol_lake::Lake;

use super::attend::{Alerts, Terms, attend};
use super::dependencies::held_back;
use super::{Acknowledgements, Notes};
use crate::action::Action;
use crate::book::Book;
use crate::error::TriggerError;
use crate::look::Look;
use crate::rule::{Attention, Rule, Rules};

/// Who is to be disturbed, for a service.
#[derive(Default)]
pub(crate) struct Attending {
    alerts: Alerts,
    notes: Notes,
    /// What rules say, by their names.
    settings: BTreeMap<String, Attention>,
}

impl Attending {
    /// Nothing was said yet.
    pub fn new(rules: &Rules) -> Self {
        let settings = rules.attention();
        Self {
            settings: settings
                .map(|(name, one)| (name.to_owned(), one.clone()))
                .collect(),
            ..Self::default()
        }
    }

    /// Takes over a message that was published. Messages come in the order of their sequence.
    pub fn take(&mut self, action: &Action) {
        self.alerts.take(action);
    }

    /// Reads what operators said; where it is new, what they said of alerts.
    pub async fn refresh(
        &mut self,
        lake: &Lake,
    ) -> Result<Option<Arc<Acknowledgements>>, TriggerError> {
        self.notes.refresh(lake).await
    }

    /// What was decided, as people are to be told of it.
    pub fn attend<'a>(
        &self,
        books: impl Iterator<Item = &'a Book>,
        decided: Vec<Action>,
    ) -> Vec<Action> {
        let closed_us = books
            .map(|book| (book.rule.name.clone(), book.closed_us))
            .collect();
        let terms = Terms {
            settings: &self.settings,
            notes: &self.notes,
            closed_us: &closed_us,
        };
        attend(&self.alerts, &terms, decided)
    }
}

/// How far a rule may be evaluated: as its job's watermark is, but not past the rules that mute it. Those that fail, and
/// those whose job has nothing yet, are not waited for.
pub(crate) fn watermark_of(
    rule: &Rule,
    books: &[Book],
    looks: &BTreeMap<String, Look>,
) -> Option<i64> {
    let watermark_of = |job: &String| looks.get(job)?.progress.watermark_us;
    let goes_on = |book: &&Book| {
        rule.attention.muted_by.contains(&book.rule.name)
            && book.failure.is_none()
            && watermark_of(&book.rule.job).is_some()
    };
    let above = books.iter().filter(goes_on);
    let above = above.map(|book| (book.closed_us, book.rule.window_us));
    Some(held_back(watermark_of(&rule.job)?, above))
}
