//! From what a file says to budgets that can be held, or to every mistake that keeps them from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use farol_jobs::{DefinitionError, Grain, Job, Jobs, TimeZone, duration, suggestion};
use serde_saphyr::Spanned;

use super::definition::{Budget, Enforcement, Period, Rollover, Spend, Threshold};
use super::file::{BudgetFile, ThresholdFile, read};
use super::money::{Money, SCALE};
use crate::rule::Source;

/// The longest name.
const NAME_BYTES_MAX: usize = 100;

/// The most thresholds of a budget.
const THRESHOLDS_MAX: usize = 20;

/// The largest per cent of a threshold.
const PERCENT_MAX: u32 = 1_000;

/// The longest rolling period, in days.
const ROLLING_DAYS_MAX: i64 = 366;

const HOUR_US: i64 = 3_600_000_000;

const MINUTE_US: i64 = 60_000_000;

/// Rolling periods of this length and longer move by hours, shorter ones by minutes: either has a bounded number of steps.
const HOURLY_FROM_US: i64 = 48 * HOUR_US;

/// Reads and checks one file's text.
pub(crate) fn understand(
    file: &str,
    text: &str,
    jobs: &Jobs,
) -> Result<BTreeMap<String, Arc<Budget>>, Vec<DefinitionError>> {
    let source = Source { file, text };
    let written = read(source).map_err(|error| vec![error])?;
    let mut budgets = BTreeMap::new();
    let mut check = Check {
        source,
        jobs,
        errors: Vec::new(),
    };
    for one in &written.budgets {
        if budgets.contains_key(&one.name.value) {
            let message = format!("there is a budget `{}` above", one.name.value);
            check.wrong(&one.name, message, None);
        } else if let Some(budget) = check.budget(one) {
            budgets.insert(budget.name.clone(), Arc::new(budget));
        }
    }
    if check.errors.is_empty() {
        Ok(budgets)
    } else {
        Err(check.errors)
    }
}

/// What is wrong with one file, as it is being read.
struct Check<'a> {
    source: Source<'a>,
    jobs: &'a Jobs,
    errors: Vec<DefinitionError>,
}

impl Check<'_> {
    fn wrong<T>(&mut self, at: &Spanned<T>, message: impl Into<String>, help: Option<String>) {
        self.errors
            .push(self.source.error(at.referenced, message, help));
    }

    /// What was read of a value, or its mistake noted.
    fn read<R>(&mut self, at: &Spanned<String>, read: Result<R, String>) -> Option<R> {
        read.map_err(|message| self.wrong(at, message, None)).ok()
    }

    fn budget(&mut self, written: &BudgetFile) -> Option<Budget> {
        let before = self.errors.len();
        self.name(&written.name);
        let source = self.spend(written);
        let limit = self.read(&written.limit, written.limit.value.parse::<Money>());
        if limit.is_some_and(|limit| limit <= Money::ZERO) {
            let message = "a limit must be more than 0";
            self.wrong(&written.limit, message, None);
        }
        self.currency(&written.currency);
        let zone = self.zone(written.time_zone.as_ref());
        let period = self.period(written, zone);
        let thresholds = self.thresholds(&written.name, &written.thresholds);
        let rollover = self.rollover(written, limit);
        let jobs = self.jobs_of(written, source)?;
        let (scope, by, tags) = self.columns(written, &jobs);
        if let Some(Period::Calendar(grain)) = period {
            for job in &jobs {
                if let Err(message) = grain.check_made_of(job.window()) {
                    self.wrong(&written.period, message, None);
                }
            }
        }
        let (period, limit) = (period?, limit?);
        (self.errors.len() == before).then(|| Budget {
            name: written.name.value.clone(),
            description: written.description.clone(),
            scope,
            by,
            tags,
            limit,
            currency: written.currency.value.clone(),
            period,
            period_name: period_name(&written.period.value).unwrap_or("rolling"),
            time_zone: zone,
            thresholds,
            rollover,
            source,
            file: self.source.file.to_owned(),
        })
    }

    fn name(&mut self, name: &Spanned<String>) {
        let text = &name.value;
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(plain) {
            let message = format!(
                "`{text}` is not a name: small letters, digits, `-` and `_`, at most {NAME_BYTES_MAX} of them"
            );
            self.wrong(name, message, None);
        }
    }

    fn currency(&mut self, currency: &Spanned<String>) {
        let code = &currency.value;
        if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            let message =
                format!("`{code}` is not a currency; write its three letters, such as USD");
            self.wrong(currency, message, None);
        }
    }

    fn spend(&mut self, written: &BudgetFile) -> Spend {
        let Some(word) = &written.source else {
            return Spend::Calls;
        };
        Spend::parse(&word.value).unwrap_or_else(|| {
            let known = Spend::ALL.map(Spend::as_str);
            let message = format!(
                "there is no source `{}`; there are {}",
                word.value,
                known.join(", ")
            );
            let help = Some(suggestion(&word.value, known));
            self.wrong(word, message, help);
            Spend::Calls
        })
    }

    fn zone(&mut self, written: Option<&Spanned<String>>) -> TimeZone {
        let default = self.jobs.time_zone();
        let Some(written) = written else {
            return default;
        };
        let read = written.value.parse();
        self.read(written, read).unwrap_or(default)
    }

    fn period(&mut self, written: &BudgetFile, zone: TimeZone) -> Option<Period> {
        let word = &written.period;
        if word.value == "rolling" {
            let Some(length) = &written.length else {
                let message = "a rolling period needs its `length`";
                self.wrong(
                    word,
                    message,
                    Some("write such as `length: 30d`".to_owned()),
                );
                return None;
            };
            let length_us = self.read(length, duration::parse_us(&length.value))?;
            if length_us % HOUR_US != 0
                || !(HOUR_US..=ROLLING_DAYS_MAX * 24 * HOUR_US).contains(&length_us)
            {
                let message = format!(
                    "a rolling period is of whole hours, from one hour to {ROLLING_DAYS_MAX} days"
                );
                self.wrong(length, message, None);
                return None;
            }
            let step_us = if length_us >= HOURLY_FROM_US {
                HOUR_US
            } else {
                MINUTE_US
            };
            return Some(Period::Rolling { length_us, step_us });
        }
        if let Some(length) = &written.length {
            self.wrong(length, "only a rolling period has a `length`", None);
        }
        let grain = match word.value.as_str() {
            "daily" => "1 day",
            "weekly" => "1 week",
            "monthly" => "1 month",
            other => {
                let known = ["daily", "weekly", "monthly", "rolling"];
                let message = format!(
                    "there is no period `{other}`; there are {}",
                    known.join(", ")
                );
                let help = Some(suggestion(other, known));
                self.wrong(word, message, help);
                return None;
            }
        };
        let grain = Grain::parse(grain, zone);
        self.read(word, grain).map(Period::Calendar)
    }

    fn thresholds(&mut self, name: &Spanned<String>, written: &[ThresholdFile]) -> Vec<Threshold> {
        let mut thresholds = Vec::new();
        if written.is_empty() || written.len() > THRESHOLDS_MAX {
            let message = format!("a budget has 1 to {THRESHOLDS_MAX} thresholds");
            self.wrong(name, message, None);
        }
        for one in written {
            let percent = one.percent.value;
            if !(1..=PERCENT_MAX).contains(&percent) {
                let message = format!("a threshold is 1 to {PERCENT_MAX} per cent of the limit");
                self.wrong(&one.percent, message, None);
            }
            let Some(action) = Enforcement::parse(&one.action.value) else {
                let known = Enforcement::ALL.map(Enforcement::as_str);
                let word = &one.action.value;
                let message = format!(
                    "there is no action `{word}`; there are {}",
                    known.join(", ")
                );
                let help = Some(suggestion(word, known));
                self.wrong(&one.action, message, help);
                continue;
            };
            let threshold = Threshold { percent, action };
            if thresholds.contains(&threshold) {
                self.wrong(&one.action, "this threshold is there twice", None);
            }
            thresholds.push(threshold);
        }
        thresholds.sort_unstable();
        thresholds
    }

    fn rollover(&mut self, written: &BudgetFile, limit: Option<Money>) -> Rollover {
        let word = written.rollover.as_ref();
        let rolls = match word.map(|word| word.value.as_str()) {
            None | Some("none") => false,
            Some("unused") => true,
            Some(other) => {
                let message = format!("there is no rollover `{other}`; there are none, unused");
                if let Some(word) = word {
                    self.wrong(word, message, None);
                }
                return Rollover::None;
            }
        };
        let cap = written.rollover_cap.as_ref();
        match (rolls, cap) {
            (false, Some(cap)) => {
                self.wrong(cap, "there is a cap only where `rollover: unused`", None);
                Rollover::None
            }
            (false, None) => Rollover::None,
            (true, _) if written.period.value == "rolling" => {
                let message = "a rolling period leaves nothing that could be rolled over";
                if let Some(word) = word {
                    self.wrong(word, message, None);
                }
                Rollover::None
            }
            (true, Some(cap)) => match self.read(cap, cap.value.parse::<Money>()) {
                Some(amount) if amount > Money::ZERO => Rollover::Unused { cap: amount },
                Some(_) => {
                    self.wrong(cap, "a cap must be more than 0", None);
                    Rollover::None
                }
                None => Rollover::None,
            },
            // At most a whole limit is added.
            (true, None) => Rollover::Unused {
                cap: limit.unwrap_or_default(),
            },
        }
    }

    /// The jobs that a source reads, where they are as a budget needs them.
    fn jobs_of(&mut self, written: &BudgetFile, source: Spend) -> Option<Vec<Arc<Job>>> {
        let at = written.source.as_ref().unwrap_or(&written.name);
        let mut found = Vec::new();
        for (name, partials) in source.reads() {
            let Some(job) = self.jobs.get(name).cloned() else {
                let message = format!(
                    "source `{}` reads the job `{name}`, and there is none",
                    source.as_str()
                );
                let help = "set `pipelines.builtin: true`, or add a job of that name".to_owned();
                self.wrong(at, message, Some(help));
                return None;
            };
            if job.mode().is_recompute() {
                let message =
                    format!("job `{name}` computes windows anew; budgets add up what jobs append");
                self.wrong(at, message, None);
                return None;
            }
            for partial in *partials {
                let is_money =
                    |data_type: &DataType| matches!(data_type, DataType::Decimal128(_, SCALE));
                let known = job.partials().iter().find(|known| known.name == *partial);
                if !known.is_some_and(|known| is_money(&known.data_type)) {
                    let message = format!(
                        "job `{name}` has no partial `{partial}` that is a decimal with {SCALE} digits after the point"
                    );
                    self.wrong(at, message, None);
                    return None;
                }
            }
            if !job.segments().iter().any(|segment| segment == CURRENCY) {
                let message = format!(
                    "job `{name}` does not keep currencies apart; amounts of different ones are never added"
                );
                self.wrong(at, message, None);
                return None;
            }
            found.push(job);
        }
        Some(found)
    }

    /// The scope, the column of `by`, and which of them are tags.
    fn columns(
        &mut self,
        written: &BudgetFile,
        jobs: &[Arc<Job>],
    ) -> (Vec<(String, String)>, Option<String>, Vec<String>) {
        let mut scope = Vec::new();
        let mut tags = Vec::new();
        for (name, value) in written.scope.columns() {
            self.segment(name, value, jobs);
            scope.push((name.to_owned(), value.value.clone()));
        }
        for (name, value) in &written.scope.tags {
            self.tag(name, value, jobs);
            tags.push(name.clone());
            scope.push((name.clone(), value.value.clone()));
        }
        let by = written.by.as_ref().map(|by| {
            if let Some(tag) = by.value.strip_prefix(TAG) {
                self.tag(tag, by, jobs);
                tags.push(tag.to_owned());
                tag.to_owned()
            } else {
                self.segment(&by.value, by, jobs);
                by.value.clone()
            }
        });
        if let (Some(by), Some(at)) = (&by, &written.by)
            && scope.iter().any(|(name, _)| name == by)
        {
            let message = format!("`{by}` is part of the scope already: it has one value");
            self.wrong(at, message, None);
        }
        (scope, by, tags)
    }

    /// A name must be a segment of every job that is read.
    fn segment(&mut self, name: &str, at: &Spanned<String>, jobs: &[Arc<Job>]) {
        for job in jobs {
            let is_tag = job.tags().iter().any(|tag| tag == name);
            let known = job.segments().iter().any(|segment| segment == name);
            if known && !is_tag && name != CURRENCY {
                continue;
            }
            let names = job.segments().iter().map(String::as_str);
            let help = if is_tag {
                Some(format!(
                    "it is a tag: write `tags: {{{name}: …}}` in a scope, `{TAG}{name}` for `by`"
                ))
            } else if name == CURRENCY {
                Some("the currency is a key of its own".to_owned())
            } else {
                Some(suggestion(name, names.filter(|known| *known != CURRENCY)))
            };
            let message = format!("`{name}` is no segment of the job `{}`", job.name());
            self.wrong(at, message, help);
        }
    }

    /// A tag must be one of those that are segments.
    fn tag(&mut self, name: &str, at: &Spanned<String>, jobs: &[Arc<Job>]) {
        for job in jobs {
            if !job.tags().iter().any(|tag| tag == name) {
                let message = format!("the tag `{name}` is no segment of the job `{}`", job.name());
                let help = format!("add `{name}` to `jobs.tags` in the configuration");
                self.wrong(at, message, Some(help));
            }
        }
    }
}

/// The segment that keeps currencies apart.
pub(super) const CURRENCY: &str = "currency";

/// What `by` has before the name of a tag.
pub(super) const TAG: &str = "tag.";

fn period_name(word: &str) -> Option<&'static str> {
    ["daily", "weekly", "monthly", "rolling"]
        .into_iter()
        .find(|known| *known == word)
}
