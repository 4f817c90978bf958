//! From what a file says to a detector that can run, or to every mistake that keeps it from running.

use std::sync::Arc;

use farol_jobs::{DefinitionError, Job, Jobs, duration, suggestion};
use serde_saphyr::Spanned;

use super::file::{DetectorFile, Source};
use super::{Detector, Missing, Reference, Unit};
use farol_stats::watch::Direction;

/// The most segments that a detector may keep.
const SEGMENTS_MAX: usize = 8;

/// What is not written.
const WARM_UP_US: i64 = 2 * 86_400_000_000;
pub(super) const FALSE_ALARMS_PER_WEEK: f64 = 0.5;
/// Cohen's h of 0.1: a rate of 0.02 that becomes 0.036, or one of 0.85 that becomes 0.81. Of a series, about a fifth.
const LEAST_EFFECT_OF_RATES: f64 = 0.1;
const LEAST_EFFECT_OF_SERIES: f64 = 0.2;

/// A segment that a detector always keeps where a job has it: sums of different currencies are no sum.
const CURRENCY: &str = "currency";

/// Reads and checks one detector; `stem` is the file's name without its ending.
pub(super) fn understand(
    stem: &str,
    source: Source<'_>,
    jobs: &Jobs,
) -> Result<Detector, Vec<DefinitionError>> {
    let written = source.read().map_err(|error| vec![error])?;
    let mut check = Check {
        source,
        errors: Vec::new(),
    };
    let detector = check.detector(stem, &written, jobs);
    match detector {
        Some(detector) if check.errors.is_empty() => Ok(detector),
        _ => Err(check.errors),
    }
}

/// What is wrong with one file, as it is being read.
pub(super) struct Check<'a> {
    pub source: Source<'a>,
    pub errors: Vec<DefinitionError>,
}

/// Which changes are looked for, as it is written.
#[derive(Clone, Copy)]
pub(super) enum Looked {
    Worse,
    Given(Direction),
}

/// How measures are to be watched, as it is written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Asked {
    Auto,
    Rate,
    Series,
    Comparison,
}

impl Check<'_> {
    fn detector(&mut self, stem: &str, written: &DetectorFile, jobs: &Jobs) -> Option<Detector> {
        self.name(stem, &written.name);
        if !written.columns.is_empty() {
            return self.of_columns(written);
        }
        let Some(named) = &written.measures else {
            let message = "it looks at nothing".to_owned();
            let help = "write measures: better, or on: traces and columns: [task, input_tokens]"
                .to_owned();
            self.say(&written.name, message, Some(help));
            return None;
        };
        let window_us = self.span(written.window.as_ref(), 60_000_000);
        let settle_us = self.span(written.settle.as_ref(), 0);
        let warm_up_us = self.span(written.warm_up.as_ref(), WARM_UP_US);
        let missing = self.missing(written.missing.as_ref());
        let calendar = self.calendar(written);
        if let Some(reference) = &written.reference {
            let message = "only a detector of columns has a `reference`".to_owned();
            self.say(reference, message, Some("leave it out".to_owned()));
        }
        let asked = self.asked(written);
        let looked = self.direction(written.direction.as_ref());
        let false_alarms_per_week = self.above_zero(
            written.false_alarms_per_week.as_ref(),
            FALSE_ALARMS_PER_WEEK,
            "false_alarms_per_week",
        )?;
        let least = written.least_effect.as_ref();
        let of_rates = self.above_zero(least, LEAST_EFFECT_OF_RATES, "least_effect")?;
        let of_series = self.above_zero(least, LEAST_EFFECT_OF_SERIES, "least_effect")?;
        let mut units = Vec::new();
        for (job, at) in self.jobs(written, jobs) {
            let Some(mut by) = self.by(&written.by, job, at.is_none()) else {
                continue;
            };
            if let Some(compare) = &written.compare {
                let Some(version) = self.compared(compare, job, &by, at.is_none()) else {
                    continue;
                };
                by.push(version);
            }
            let measures = self.measures(named, job, asked?, looked?, at.is_none());
            let window_us = self.window(window_us?, job, written, at);
            let Some(window_us) = window_us.filter(|_| !measures.is_empty()) else {
                continue;
            };
            let others = job.segments().iter().filter(|name| !by.contains(name));
            units.push(Unit {
                detector: written.name.value.clone(),
                job: job.name().to_owned(),
                reads: job.reads().to_owned(),
                others: others.cloned().collect(),
                by,
                compare: written.compare.as_ref().map(|name| name.value.clone()),
                window_us,
                settle_us: settle_us?,
                warm_up_us: warm_up_us?,
                least_effect_of_rates: of_rates,
                least_effect_of_series: of_series,
                missing: missing?,
                calendar: calendar.clone()?,
                reference: Reference::SameHour,
                measures,
                false_alarms_per_week: 0.0,
            });
        }
        if units.is_empty() && self.errors.is_empty() {
            let first = named.all().first()?;
            let message = "no job has such a measure and such segments".to_owned();
            self.say(first, message, None);
        }
        let all: usize = units.iter().map(|unit| unit.measures.len()).sum();
        for unit in &mut units {
            let share = unit.measures.len() as f64 / all as f64;
            unit.false_alarms_per_week = false_alarms_per_week * share;
        }
        Some(Detector {
            name: written.name.value.clone(),
            description: written.description.clone(),
            false_alarms_per_week,
            units: units.into_iter().map(Arc::new).collect(),
        })
    }

    pub(super) fn say(&mut self, at: &Spanned<String>, message: String, help: Option<String>) {
        let error = self.source.error(at.referenced, message, help);
        self.errors.push(error);
    }

    fn name(&mut self, stem: &str, name: &Spanned<String>) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.value != stem {
            let message = format!(
                "the detector is named `{}`, and its file `{stem}`",
                name.value
            );
            self.say(name, message, Some(format!("write name: {stem}")));
        } else if name.value.is_empty() || name.value.len() > 200 || !name.value.chars().all(plain)
        {
            let help = "use letters, digits, `-`, `_` and `.`".to_owned();
            self.say(name, format!("`{}` is not a name", name.value), Some(help));
        }
    }

    /// The jobs that are named, each with where; without a place where all are meant.
    fn jobs<'j, 'w>(
        &mut self,
        written: &'w DetectorFile,
        jobs: &'j Jobs,
    ) -> Vec<(&'j Arc<Job>, Option<&'w Spanned<String>>)> {
        let except = self.named(&written.except, jobs);
        if written.on.is("all") {
            let left = jobs
                .iter()
                .filter(|job| !except.iter().any(|(other, _)| other.name() == job.name()));
            return left.map(|job| (job, None)).collect();
        }
        if let Some(first) = written.except.first() {
            let message = "`except` leaves jobs out of `on: all`".to_owned();
            self.say(
                first,
                message,
                Some("name the jobs under `on` alone".to_owned()),
            );
        }
        let named = self.named(written.on.all(), jobs);
        named.into_iter().map(|(job, at)| (job, Some(at))).collect()
    }

    fn named<'j, 'w>(
        &mut self,
        words: &'w [Spanned<String>],
        jobs: &'j Jobs,
    ) -> Vec<(&'j Arc<Job>, &'w Spanned<String>)> {
        let mut found = Vec::new();
        for word in words {
            if let Some(job) = jobs.get(&word.value) {
                found.push((job, word));
            } else {
                let names = jobs.names();
                let help = suggestion(&word.value, names.iter().map(String::as_str));
                self.say(
                    word,
                    format!("there is no job `{}`", word.value),
                    Some(help),
                );
            }
        }
        found
    }

    /// The segments to keep of a job. Where all jobs are meant, those that lack one are left out.
    fn by(&mut self, written: &[Spanned<String>], job: &Job, of_all: bool) -> Option<Vec<String>> {
        let mut by: Vec<String> = Vec::new();
        for segment in written {
            let known = job.segments().contains(&segment.value);
            if known && !by.contains(&segment.value) && by.len() < SEGMENTS_MAX {
                by.push(segment.value.clone());
                continue;
            }
            if of_all && !known {
                return None;
            }
            let (message, help) = if !known {
                let names = job.segments().iter().map(String::as_str);
                (
                    format!("job `{}` has no segment `{}`", job.name(), segment.value),
                    Some(suggestion(&segment.value, names)),
                )
            } else if by.len() >= SEGMENTS_MAX {
                let message = format!("a detector keeps {SEGMENTS_MAX} segments at the most");
                (message, None)
            } else {
                (format!("`{}` is there twice", segment.value), None)
            };
            self.say(segment, message, help);
            return None;
        }
        if job.segments().iter().any(|name| name == CURRENCY)
            && !by.iter().any(|name| name == CURRENCY)
        {
            by.push(CURRENCY.to_owned());
        }
        Some(by)
    }

    /// The segment whose values are compared with each other.
    fn compared(
        &mut self,
        written: &Spanned<String>,
        job: &Job,
        by: &[String],
        of_all: bool,
    ) -> Option<String> {
        let name = &written.value;
        if !job.segments().contains(name) {
            if !of_all {
                let names = job.segments().iter().map(String::as_str);
                let message = format!("job `{}` has no segment `{name}`", job.name());
                self.say(written, message, Some(suggestion(name, names)));
            }
            return None;
        }
        if by.contains(name) {
            let message = format!("`{name}` cannot be compared and kept apart");
            self.say(written, message, Some("take it out of by".to_owned()));
            return None;
        }
        Some(name.clone())
    }

    /// The width of a job's windows. Where all jobs are meant, one with wider windows is looked at by its own.
    fn window(
        &mut self,
        window_us: i64,
        job: &Job,
        written: &DetectorFile,
        at: Option<&Spanned<String>>,
    ) -> Option<i64> {
        let base_us = job.window().micros();
        if window_us >= base_us && window_us % base_us == 0 {
            return Some(window_us);
        }
        if at.is_none() {
            return Some(base_us.max(window_us / base_us * base_us));
        }
        if let Some(place) = written.window.as_ref().or(at) {
            let base = duration::words(base_us);
            let message = format!(
                "the windows of job `{}` are {base} wide, and this is no multiple",
                job.name()
            );
            self.say(place, message, Some(format!("write window: {base}")));
        }
        None
    }

    pub(super) fn span(
        &mut self,
        written: Option<&Spanned<String>>,
        otherwise: i64,
    ) -> Option<i64> {
        let Some(written) = written else {
            return Some(otherwise);
        };
        duration::parse_us(&written.value)
            .map_err(|message| self.say(written, message, None))
            .ok()
    }

    pub(super) fn above_zero(
        &mut self,
        written: Option<&Spanned<f64>>,
        otherwise: f64,
        key: &str,
    ) -> Option<f64> {
        let Some(written) = written else {
            return Some(otherwise);
        };
        if written.value.is_finite() && written.value > 0.0 {
            return Some(written.value);
        }
        let message = format!("{key} is a number above 0");
        let help = Some(format!("leave it out for {otherwise}"));
        let error = self.source.error(written.referenced, message, help);
        self.errors.push(error);
        None
    }

    fn word<T: Copy>(
        &mut self,
        written: Option<&Spanned<String>>,
        known: &[(&str, T)],
        otherwise: T,
    ) -> Option<T> {
        let Some(written) = written else {
            return Some(otherwise);
        };
        let found = known.iter().find(|(word, _)| *word == written.value);
        if found.is_none() {
            let help = suggestion(&written.value, known.iter().map(|(word, _)| *word));
            self.say(
                written,
                format!("`{}` is not known here", written.value),
                Some(help),
            );
        }
        found.map(|(_, value)| *value)
    }

    fn missing(&mut self, written: Option<&Spanned<String>>) -> Option<Missing> {
        let known = [("skip", Missing::Skip), ("zero", Missing::Zero)];
        self.word(written, &known, Missing::Skip)
    }

    fn asked(&mut self, written: &DetectorFile) -> Option<Asked> {
        if written.compare.is_some() {
            for (key, value) in [("method", &written.method), ("missing", &written.missing)] {
                if let Some(value) = value {
                    let message = format!("a detector that compares has no `{key}`");
                    self.say(value, message, Some("leave it out".to_owned()));
                }
            }
            return Some(Asked::Comparison);
        }
        let known = [
            ("auto", Asked::Auto),
            ("rate", Asked::Rate),
            ("series", Asked::Series),
        ];
        self.word(written.method.as_ref(), &known, Asked::Auto)
    }

    fn direction(&mut self, written: Option<&Spanned<String>>) -> Option<Looked> {
        let known = [
            ("worse", Looked::Worse),
            ("increase", Looked::Given(Direction::Increase)),
            ("decrease", Looked::Given(Direction::Decrease)),
            ("both", Looked::Given(Direction::Both)),
        ];
        self.word(written, &known, Looked::Worse)
    }
}
