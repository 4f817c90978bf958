//! A budget that was read and checked: whose spend, how much of it, in what time, and what happens on the way.

use farol_jobs::{Grain, Segment, TimeZone};
use serde_json::{Map, Value};

use super::money::Money;

/// What is done when a threshold is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Enforcement {
    /// The team is told.
    NotifyTeam,
    /// Finance is told.
    NotifyFinance,
    /// Gateways send calls to a cheaper model.
    SwitchToCheaperModel,
    /// Gateways refuse calls.
    BlockRequests,
}

impl Enforcement {
    /// Every action, the mildest first.
    pub const ALL: [Self; 4] = [
        Self::NotifyTeam,
        Self::NotifyFinance,
        Self::SwitchToCheaperModel,
        Self::BlockRequests,
    ];

    /// The word in files and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotifyTeam => "notify_team",
            Self::NotifyFinance => "notify_finance",
            Self::SwitchToCheaperModel => "switch_to_cheaper_model",
            Self::BlockRequests => "block_requests",
        }
    }

    /// The action of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// Whether a gateway does something about it, beside what people are told.
    pub fn is_enforced(self) -> bool {
        self >= Self::SwitchToCheaperModel
    }
}

/// A part of the limit, and what happens when it is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold {
    /// Per cent of the limit.
    pub percent: u32,
    /// What is done.
    pub action: Enforcement,
}

/// What counts as spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spend {
    /// What calls say that they cost: `cost` of the job `spend`.
    Calls,
    /// Lines of usage and of adjustment that providers report: the job `billing`.
    Billing,
    /// What calls say, and lines of adjustment, which no call repeats.
    CallsAndAdjustments,
}

impl Spend {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Calls, Self::Billing, Self::CallsAndAdjustments];

    /// The word in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Billing => "billing",
            Self::CallsAndAdjustments => "calls_and_adjustments",
        }
    }

    /// The source of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// The jobs that are read, and the partials of each that are added up. The first job's watermark is the budget's clock.
    pub fn reads(self) -> &'static [(&'static str, &'static [&'static str])] {
        match self {
            Self::Calls => &[("spend", &["cost"])],
            Self::Billing => &[("billing", &["usage_amount", "adjustment_amount"])],
            Self::CallsAndAdjustments => {
                &[("spend", &["cost"]), ("billing", &["adjustment_amount"])]
            }
        }
    }
}

/// How the time that a limit is for is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Days, weeks or months of a time zone's calendar.
    Calendar(Grain),
    /// The last so many microseconds, moved on by steps.
    Rolling {
        /// How long.
        length_us: i64,
        /// By how much it moves.
        step_us: i64,
    },
}

/// What becomes of what a period leaves unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollover {
    /// It is gone.
    None,
    /// It is added to the next period's limit, up to a cap.
    Unused {
        /// The most that is added.
        cap: Money,
    },
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its name.
    pub name: String,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// The columns that must have a value for spend to count, by name.
    pub scope: Vec<(String, String)>,
    /// The column of whose every value there is a budget of its own.
    pub by: Option<String>,
    /// Which of the columns are tags.
    pub tags: Vec<String>,
    /// What may be spent in a period.
    pub limit: Money,
    /// In what. Amounts of other currencies are not counted.
    pub currency: String,
    /// For what time.
    pub period: Period,
    /// The word for the period: `daily`, `weekly`, `monthly`, `rolling`.
    pub period_name: &'static str,
    /// Whose calendar.
    pub time_zone: TimeZone,
    /// What happens on the way, by rising per cent.
    pub thresholds: Vec<Threshold>,
    /// What becomes of what is left.
    pub rollover: Rollover,
    /// What counts as spent.
    pub source: Spend,
    /// The file that it stands in, for messages.
    pub file: String,
}

impl Budget {
    /// The columns that it looks at: those of its scope, and the one that it is kept by.
    pub fn columns(&self) -> impl Iterator<Item = &String> {
        self.scope.iter().map(|(name, _)| name).chain(&self.by)
    }

    /// What one of its budgets is about, as messages have it: tags are below `tags`.
    pub fn scope_json(&self, segment: &Segment) -> Value {
        let mut all = Map::new();
        let mut tags = Map::new();
        let own = self
            .scope
            .iter()
            .map(|(name, value)| (name, Some(value.clone())));
        let by = self.by.iter().zip(segment.0.iter().cloned());
        for (name, value) in own.chain(by) {
            let place = if self.tags.contains(name) {
                &mut tags
            } else {
                &mut all
            };
            place.insert(name.clone(), value.map_or(Value::Null, Value::String));
        }
        if !tags.is_empty() {
            all.insert("tags".to_owned(), Value::Object(tags));
        }
        Value::Object(all)
    }

    /// The names of the columns that segments have values of.
    pub fn by_names(&self) -> Vec<String> {
        self.by.iter().cloned().collect()
    }
}
