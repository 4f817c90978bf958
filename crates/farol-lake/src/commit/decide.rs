//! The commit's decisions, without any I/O: whose commit was it, may this one be written, what stands against it.

use super::{Marks, Step};

/// What to do next with a commit, after every version of the log so far was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is in the log already: an earlier try landed.
    Landed(i64),
    /// Another owner has moved these steps' guards: step and present value.
    Overtaken(Vec<(usize, Option<i64>)>),
    /// A file that it removes was removed by another.
    FileGone(String),
    /// A step would set a mark back.
    Decreases {
        /// The mark.
        mark: String,
        /// Its value.
        present: i64,
        /// The value it would get.
        wanted: i64,
    },
    /// Write it as the next version.
    Write,
}

/// What is known of the log when a decision is due.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The version of an entry with the commit's UUID, if there is one.
    pub landed_at: Option<i64>,
    /// The table's marks at the newest version.
    pub marks: &'a Marks,
    /// A file of the commit's removals that another entry removed since the commit was planned.
    pub file_gone: Option<&'a str>,
    /// Whether marks may be set back.
    pub may_decrease: bool,
}

/// Decides. Our own entry comes first: once it is there, moved guards are our doing.
pub fn decide(steps: &[Step], evidence: Evidence<'_>) -> Decision {
    if let Some(version) = evidence.landed_at {
        return Decision::Landed(version);
    }
    let present = |id: &str| evidence.marks.get(id).copied();
    let overtaken: Vec<_> = steps
        .iter()
        .enumerate()
        .map(|(index, step)| (index, step, present(&step.guard)))
        .filter(|(_, step, now)| *now != step.from)
        .map(|(index, _, now)| (index, now))
        .collect();
    if !overtaken.is_empty() {
        return Decision::Overtaken(overtaken);
    }
    if let Some(path) = evidence.file_gone {
        return Decision::FileGone(path.to_owned());
    }
    for (mark, wanted) in steps.iter().flat_map(|step| &step.marks) {
        if let Some(present) = present(mark).filter(|now| now > wanted && !evidence.may_decrease) {
            return Decision::Decreases {
                mark: mark.clone(),
                present,
                wanted: *wanted,
            };
        }
    }
    Decision::Write
}

/// What an attempt to write the next version came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The store confirmed the entry.
    Confirmed,
    /// The version is taken; by whom, the log tells.
    Taken,
    /// The store reported an error; the entry may be there all the same, or land later.
    Unknown,
}

/// What to do after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Done.
    Committed,
    /// Read what is new in the log and decide anew.
    LookAgain,
    /// Attempts are used up: say so, and let the caller try the same commit again.
    GiveUp,
}

/// Decides what follows an attempt. A version taken by another is progress of the table, and does not use up
/// attempts as failures do.
pub fn after(attempt: Attempt, failures: u32, max_failures: u32) -> Next {
    match attempt {
        Attempt::Confirmed => Next::Committed,
        Attempt::Taken => Next::LookAgain,
        Attempt::Unknown if failures < max_failures => Next::LookAgain,
        Attempt::Unknown => Next::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(guard: &str, from: Option<i64>, marks: &[(&str, i64)]) -> Step {
        let marks = marks
            .iter()
            .map(|(id, value)| ((*id).to_owned(), *value))
            .collect();
        Step {
            guard: guard.to_owned(),
            from,
            marks,
        }
    }

    fn marks(values: &[(&str, i64)]) -> Marks {
        values
            .iter()
            .map(|(id, value)| ((*id).to_owned(), *value))
            .collect()
    }

    fn evidence(marks: &Marks) -> Evidence<'_> {
        Evidence {
            landed_at: None,
            marks,
            file_gone: None,
            may_decrease: false,
        }
    }

    #[test]
    fn a_first_step_needs_its_mark_absent() {
        let steps = [step("a", None, &[("a", 5)])];
        assert_eq!(decide(&steps, evidence(&marks(&[]))), Decision::Write);
        let taken = marks(&[("a", 0)]);
        assert_eq!(
            decide(&steps, evidence(&taken)),
            Decision::Overtaken(vec![(0, Some(0))])
        );
    }

    #[test]
    fn a_step_needs_its_mark_exactly_where_it_was() {
        let steps = [step("a", Some(5), &[("a", 9)])];
        assert_eq!(
            decide(&steps, evidence(&marks(&[("a", 5)]))),
            Decision::Write
        );
        for other in [4, 6, 9] {
            let moved = marks(&[("a", other)]);
            assert_eq!(
                decide(&steps, evidence(&moved)),
                Decision::Overtaken(vec![(0, Some(other))])
            );
        }
        assert_eq!(
            decide(&steps, evidence(&marks(&[]))),
            Decision::Overtaken(vec![(0, None)])
        );
    }

    #[test]
    fn every_step_that_was_overtaken_is_named() {
        let steps = [
            step("a", Some(1), &[("a", 2)]),
            step("b", Some(1), &[("b", 2)]),
            step("c", Some(1), &[("c", 2)]),
        ];
        let moved = marks(&[("a", 7), ("b", 1), ("c", 8)]);
        assert_eq!(
            decide(&steps, evidence(&moved)),
            Decision::Overtaken(vec![(0, Some(7)), (2, Some(8))])
        );
    }

    #[test]
    fn our_own_entry_is_never_taken_for_anothers() {
        let steps = [step("a", Some(5), &[("a", 9)])];
        let ours = marks(&[("a", 9)]);
        let found = Evidence {
            landed_at: Some(12),
            ..evidence(&ours)
        };
        assert_eq!(decide(&steps, found), Decision::Landed(12));
        let further = marks(&[("a", 20)]);
        let found = Evidence {
            landed_at: Some(12),
            ..evidence(&further)
        };
        assert_eq!(
            decide(&steps, found),
            Decision::Landed(12),
            "even when others went on from it"
        );
    }

    #[test]
    fn marks_do_not_go_back_unless_told_to() {
        let steps = [step("a", Some(5), &[("a", 6), ("count", 3)])];
        let present = marks(&[("a", 5), ("count", 4)]);
        let refused = Decision::Decreases {
            mark: "count".into(),
            present: 4,
            wanted: 3,
        };
        assert_eq!(decide(&steps, evidence(&present)), refused);
        let reset = Evidence {
            may_decrease: true,
            ..evidence(&present)
        };
        assert_eq!(decide(&steps, reset), Decision::Write);
    }

    #[test]
    fn a_file_removed_twice_is_refused() {
        let steps = [step(
            "farol/maintenance/t",
            Some(1),
            &[("farol/maintenance/t", 2)],
        )];
        let present = marks(&[("farol/maintenance/t", 1)]);
        let gone = Evidence {
            file_gone: Some("part-1"),
            ..evidence(&present)
        };
        assert_eq!(decide(&steps, gone), Decision::FileGone("part-1".into()));
    }

    #[test]
    fn an_unknown_answer_is_looked_up_before_it_is_given_up() {
        assert_eq!(after(Attempt::Confirmed, 0, 3), Next::Committed);
        assert_eq!(after(Attempt::Taken, 99, 3), Next::LookAgain);
        assert_eq!(after(Attempt::Unknown, 2, 3), Next::LookAgain);
        assert_eq!(after(Attempt::Unknown, 3, 3), Next::GiveUp);
    }
}
