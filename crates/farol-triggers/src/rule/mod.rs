//! What a rule is: a condition over a job's measures, and what keeps it from crying wolf.
//!
//! ```text
//! NAME.yaml ──▶ file (places kept) ──▶ checked against the catalog of jobs ──▶ Rule
//! ```

mod attention;
mod catalog;
mod check;
pub(crate) mod events;
mod file;
mod findings;
mod load;
mod place;
mod shipped;
mod warn;

use crate::condition::{Condition, Past, Row, Type, Value};
use farol_jobs::segment::Segment;

pub use catalog::{Catalog, Job};
pub use events::EventRule;
pub use findings::FindingRule;
#[cfg(test)]
pub(crate) use load::understand_text;
pub use load::{Rules, Sources, load};
pub(crate) use place::Source;
pub use shipped::{runbook, runbooks};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth looking at in working hours.
    Warning,
    /// Worth waking somebody.
    Critical,
}

impl Severity {
    /// Every severity, the least first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The word in rules and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The severity of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// What a window without rows means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoData {
    /// Nothing: the state stays.
    Keep,
    /// The condition does not hold.
    Ok,
    /// It is worth an alert of its own.
    Alert,
    /// The conditions are evaluated, over measures that are all NULL and over the past as it is.
    Evaluate,
}

/// A rule that was read and checked.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// The job whose measures it looks at.
    pub job: String,
    /// The table that the job reads.
    pub reads: String,
    /// The width of its windows, in microseconds.
    pub window_us: i64,
    /// The segments that it keeps apart.
    pub by: Vec<String>,
    /// The columns of a row that conditions are evaluated over.
    pub columns: Vec<(String, Type)>,
    /// When it fires.
    pub when: Condition,
    /// When it recovers; `None`: when `when` is false.
    pub recover_when: Option<Condition>,
    /// Windows in a row that `when` must hold.
    pub hold_windows: u32,
    /// The severities, each with its condition; the first that holds is taken.
    pub severities: Vec<(Option<Condition>, Severity)>,
    /// How long after a recovery it does not fire, in microseconds.
    pub cooldown_us: i64,
    /// What a window without rows means.
    pub no_data: NoData,
    /// How often it says again that it still fires, in microseconds.
    pub renotify_us: Option<i64>,
    /// Where a person reads what to do.
    pub runbook: Option<String>,
    /// Who is to be disturbed by its alerts.
    pub attention: Attention,
}

/// Who is to be disturbed by a rule's alerts, and how that grows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attention {
    /// Rules whose alerts mute those of this one, where their segments agree.
    pub muted_by: Vec<String>,
    /// What becomes of an alert that nobody sees to, the soonest first.
    pub escalate: Vec<Escalation>,
}

impl Attention {
    /// The levels of the escalation by the names of a rule's file, `after` in seconds.
    pub fn escalate_json(&self) -> serde_json::Value {
        let level = |level: &Escalation| {
            let severity = level.severity.map(Severity::as_str);
            serde_json::json!({"after_seconds": level.after_us / 1_000_000, "severity": severity})
        };
        self.escalate.iter().map(level).collect()
    }
}

/// A level of an escalation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Escalation {
    /// How long the alert has fired since people were first notified of it, in microseconds.
    pub after_us: i64,
    /// How bad it is from then on, at least; `None`: as the rule says.
    pub severity: Option<Severity>,
}

/// What a rule says of one window of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// Whether `when` holds; `None`: not known.
    pub holds: Option<bool>,
    /// Whether it has recovered; `None`: not known.
    pub recovers: Option<bool>,
    /// How bad it is, if it holds.
    pub severity: Severity,
}

impl Rule {
    /// Judges a window that has rows.
    pub fn judge(&self, row: &Row, past: &dyn Past) -> Judgement {
        let holds = self.when.holds(row, past);
        let recovers = match &self.recover_when {
            None => holds.map(|holds| !holds),
            Some(condition) => condition.holds(row, past),
        };
        Judgement {
            holds,
            recovers,
            severity: self.severity(row, past),
        }
    }

    /// The row of a window without rows: its segment is known, and no measure. `None` where such windows are not
    /// evaluated.
    pub(crate) fn absent_row(&self, segment: &Segment) -> Option<Vec<Value>> {
        let value = |name: &String| {
            let place = self.by.iter().position(|kept| kept == name)?;
            segment.0.get(place)?.clone().map(Value::Text)
        };
        let row = || {
            let columns = self.columns.iter();
            columns.map(|(name, _)| value(name).unwrap_or(Value::Null))
        };
        (self.no_data == NoData::Evaluate).then(|| row().collect())
    }

    /// The first severity whose condition holds; where none does, the least of those named.
    fn severity(&self, row: &Row, past: &dyn Past) -> Severity {
        let holds = |condition: &Condition| condition.holds(row, past) == Some(true);
        self.severities
            .iter()
            .find(|(condition, _)| condition.as_ref().is_none_or(holds))
            .map_or_else(|| self.least_severity(), |(_, severity)| *severity)
    }

    /// The least severity that the rule names.
    pub fn least_severity(&self) -> Severity {
        let named = self.severities.iter().map(|(_, severity)| *severity);
        named.min().unwrap_or(Severity::Warning)
    }

    /// Every condition of the rule.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        std::iter::once(&self.when)
            .chain(&self.recover_when)
            .chain(self.severities.iter().filter_map(|(when, _)| when.as_ref()))
    }

    /// How far back its conditions look, in microseconds.
    pub fn lookback_us(&self) -> i64 {
        self.conditions()
            .map(Condition::lookback_us)
            .max()
            .unwrap_or(0)
    }

    /// The application id of its progress in the `actions` table.
    pub fn app_id(&self) -> String {
        format!("farol/trigger/{}", self.name)
    }
}
