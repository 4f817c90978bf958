//! Budgets as a whole: their files, a year of spend against a second ledger, and every order of arrival.

mod files;
mod orders;
mod room;
mod year;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use farol_jobs::{Jobs, Segment, Sources};

use super::check::understand;
use super::definition::Budget;
use super::facts::Facts;
use super::ledger::{Clock, Decision, decide};
use super::message::{Grounds, action, segment_of, told};
use super::usage::Usage;
use crate::action::Action;

/// The shipped jobs, with the tag `team` as a segment.
fn jobs() -> &'static Jobs {
    static JOBS: OnceLock<Jobs> = OnceLock::new();
    JOBS.get_or_init(|| {
        let sources = Sources {
            dir: "/nowhere".into(),
            builtin: true,
            max_series: 1_000,
            tags: vec!["team".to_owned()].try_into().expect("a tag"),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        runtime
            .block_on(farol_jobs::load(&sources))
            .expect("good jobs")
    })
}

/// One budget, from the lines below its name.
fn budget(lines: &str) -> Arc<Budget> {
    let indented = lines.replace('\n', "\n    ");
    let text = format!("budgets:\n  - name: b\n    {indented}\n");
    let found = understand("budgets.yaml", &text, jobs());
    found
        .expect("a good budget")
        .remove("b")
        .expect("it is there")
}

/// A ledger of actions, as the table is: what is decided is written, and read back as facts.
#[derive(Default)]
struct Table {
    actions: Vec<Action>,
    facts: BTreeMap<Segment, Facts>,
}

impl Table {
    /// Decides a segment, and writes what is to be told.
    fn step(
        &mut self,
        budget: &Budget,
        usage: &Usage,
        segment: &Segment,
        clock: Clock,
    ) -> Vec<Decision> {
        let facts = self.facts.entry(segment.clone()).or_default();
        let decided = decide(budget, segment, usage, facts, clock);
        for decision in &decided {
            let grounds = Grounds {
                as_of_us: clock.as_of_us,
                tables: &[],
                previous: None,
            };
            self.write(budget, action(budget, decision, &grounds));
        }
        decided
    }

    fn write(&mut self, budget: &Budget, action: Action) {
        let segment = segment_of(budget, &action.segment).expect("its own scope");
        let told = told(&action).expect("its own words");
        let said = told.said.expect("no removal");
        let facts = self.facts.entry(segment).or_default();
        facts.take(told.span, told.revision, said);
        self.actions.push(action);
    }

    /// What another process would know.
    fn read_again(&mut self, budget: &Budget) {
        let actions = std::mem::take(self).actions;
        for action in actions {
            self.write(budget, action);
        }
    }
}
