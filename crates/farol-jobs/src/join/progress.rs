//! How far a join is: the marks of its table.

use farol_lake::{Joined, Marks, Step};

/// What the application ids of joins begin with.
pub(super) const PREFIX: &str = "farol/join/";

/// How far a join is, and what became of the rows that it read.
///
/// `read = joined + repeated + unmatched`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JoinProgress {
    /// Commits of the join so far: what each demands where it found it, and moves.
    pub steps: Option<i64>,
    /// The version of the feedback or evaluations that is covered; `None` before the first step.
    pub own_version: Option<i64>,
    /// The version of the traces that is covered.
    pub traces_version: Option<i64>,
    /// Rows of feedback or evaluations read.
    pub read: i64,
    /// Those that found their call.
    pub joined: i64,
    /// Those that say again what is joined already.
    pub repeated: i64,
    /// The smaller of the watermarks of both tables, when the join was last level with them; microseconds since the epoch.
    pub watermark_us: Option<i64>,
}

impl JoinProgress {
    /// Reads it from the marks of a joined table.
    pub fn of(joined: Joined, marks: &Marks) -> Self {
        let mark = |suffix: &str| marks.get(&id(joined, suffix)).copied();
        Self {
            steps: mark(""),
            own_version: mark(&format!("@{}", joined.kind().table())),
            traces_version: mark("@traces"),
            read: mark("#read").unwrap_or(0),
            joined: mark("#joined").unwrap_or(0),
            repeated: mark("#repeated").unwrap_or(0),
            watermark_us: mark("#watermark_us"),
        }
    }

    /// Rows that have not found their call.
    pub fn unmatched(&self) -> i64 {
        self.read - self.joined - self.repeated
    }

    /// What counts the next commit.
    pub(super) fn next_step(&self) -> i64 {
        self.steps.map_or(1, |steps| steps + 1)
    }

    /// The step from here to another progress.
    pub(super) fn step_to(&self, joined: Joined, to: &Self) -> Step {
        let marks = [
            (String::new(), to.steps),
            (format!("@{}", joined.kind().table()), to.own_version),
            ("@traces".to_owned(), to.traces_version),
            ("#read".to_owned(), Some(to.read)),
            ("#joined".to_owned(), Some(to.joined)),
            ("#repeated".to_owned(), Some(to.repeated)),
            ("#watermark_us".to_owned(), to.watermark_us),
        ];
        let marks = marks.into_iter();
        Step {
            guard: id(joined, ""),
            from: self.steps,
            marks: marks
                .filter_map(|(suffix, value)| Some((id(joined, &suffix), value?)))
                .collect(),
        }
    }
}

fn id(joined: Joined, suffix: &str) -> String {
    format!("{PREFIX}{}{suffix}", joined.table())
}

/// The watermark of a joined table; `None` where the marks are of another table, or it has none yet.
pub(crate) fn watermark_us(marks: &Marks) -> Option<i64> {
    let mut joined = Joined::ALL.into_iter();
    joined.find_map(|joined| marks.get(&id(joined, "#watermark_us")).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_step_sets_is_what_is_read_back() {
        let from = JoinProgress::default();
        let to = JoinProgress {
            own_version: Some(4),
            traces_version: Some(9),
            read: 10,
            joined: 6,
            repeated: 1,
            watermark_us: Some(77),
            steps: Some(from.next_step()),
        };
        let step = from.step_to(Joined::Feedback, &to);
        assert_eq!((step.from, to.unmatched()), (None, 3));
        let marks: Marks = step.marks.into_iter().collect();
        assert!(marks.contains_key(&step.guard));
        assert_eq!(JoinProgress::of(Joined::Feedback, &marks), to);
        assert_eq!(JoinProgress::of(Joined::Evaluations, &marks), from);
        assert_eq!(watermark_us(&marks), Some(77));
        assert_eq!(watermark_us(&Marks::new()), None);
    }
}
