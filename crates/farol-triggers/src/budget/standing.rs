//! What a budget has come to in a period: what is spent of what may be, what is crossed and what is enforced.

use super::definition::{Enforcement, Threshold};
use super::money::Money;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// No threshold is crossed.
    Ok,
    /// A threshold is crossed.
    Warning,
    /// The limit is spent.
    Exhausted,
    /// The budget is no more: nothing is enforced.
    Removed,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warning, Self::Exhausted, Self::Removed];

    /// The word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Exhausted => "exhausted",
            Self::Removed => "removed",
        }
    }

    /// The status of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// What a budget has come to in a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What may be spent in the period: the budget's limit, and what rolled over.
    pub limit: Money,
    /// What was spent.
    pub used: Money,
    /// Every threshold, and whether it is crossed.
    pub thresholds: Vec<(Threshold, bool)>,
}

impl Standing {
    /// Judges what was spent.
    pub(super) fn new(limit: Money, used: Money, thresholds: &[Threshold]) -> Self {
        let judged = thresholds
            .iter()
            .map(|threshold| (*threshold, used.reaches(threshold.percent, limit)));
        Self {
            limit,
            used,
            thresholds: judged.collect(),
        }
    }

    /// How bad it is.
    pub fn status(&self) -> Status {
        if self.used >= self.limit {
            Status::Exhausted
        } else if self.thresholds.iter().any(|(_, crossed)| *crossed) {
            Status::Warning
        } else {
            Status::Ok
        }
    }

    /// What a gateway does: the strictest action of the thresholds that are crossed; `None` for nothing.
    pub fn enforcement(&self) -> Option<Enforcement> {
        let crossed = self.thresholds.iter().filter(|(_, crossed)| *crossed);
        let enforced = crossed.map(|(threshold, _)| threshold.action);
        enforced.filter(|action| action.is_enforced()).max()
    }

    /// Hundredths of a per cent of the limit that are spent.
    pub fn basis_points(&self) -> i64 {
        self.used.basis_points_of(self.limit)
    }

    /// Whether it shows nothing but what the other shows, to a per cent.
    pub(super) fn shows(&self, other: &Self) -> bool {
        self.limit == other.limit
            && self.thresholds == other.thresholds
            && self.status() == other.status()
            && self.basis_points().div_euclid(100) == other.basis_points().div_euclid(100)
    }

    /// Whether nothing is crossed, and less than one per cent spent.
    pub(super) fn is_clean(&self) -> bool {
        self.status() == Status::Ok && self.basis_points().div_euclid(100) == 0
    }
}
