//! From what a file says to a rule that can run, or to every mistake that keeps it from running.

use farol_jobs::{DefinitionError, suggestion};
use serde_saphyr::Spanned;

use super::catalog::{Catalog, Job};
use super::file::{RuleFile, SeverityFile, read};
use super::place::Source;
use super::{NoData, Rule, Severity};
use crate::condition::{self, Columns, Condition};
use farol_jobs::duration;

/// Windows that `for` and looks at the past may span, each: their rows are held in memory.
const WINDOWS_MAX: i64 = 50_000;

/// The most segments that a rule may keep.
const SEGMENTS_MAX: usize = 8;

/// Reads and checks one rule; `stem` is the file's name without its ending.
pub(super) fn understand(
    stem: &str,
    file: &str,
    text: &str,
    catalog: &Catalog,
) -> Result<Rule, Vec<DefinitionError>> {
    let source = Source { file, text };
    let written = read(source).map_err(|error| vec![error])?;
    let mut check = Check {
        source,
        errors: Vec::new(),
    };
    let rule = check.rule(stem, &written, catalog);
    match rule {
        Some(rule) if check.errors.is_empty() => Ok(rule),
        _ => Err(check.errors),
    }
}

/// What is wrong with one file, as it is being read.
pub(super) struct Check<'a> {
    pub source: Source<'a>,
    pub errors: Vec<DefinitionError>,
}

impl Check<'_> {
    fn rule(&mut self, stem: &str, written: &RuleFile, catalog: &Catalog) -> Option<Rule> {
        self.name(stem, &written.name);
        self.action(written.action.as_ref());
        self.only_of_events(written);
        let (name, job) = self.job(&written.on, catalog)?;
        let window_us = self.window(written.window.as_ref(), job)?;
        let by = self.by(&written.by, job)?;
        let all = catalog.columns(name, job, &by, window_us);
        let when = self.condition(&written.when, &all)?;
        let recover = written.recover_when.as_ref();
        let recover_when = match recover {
            Some(recover) => Some(self.condition(recover, &all)?),
            None => None,
        };
        let written_severity = written.severity.as_ref();
        let severities = self.severities(written_severity.map(|severity| &severity.value), &all)?;
        let hold_us = self.span(written.hold.as_ref(), window_us)?;
        let hold_windows = self.windows(written.hold.as_ref(), hold_us, window_us)?;
        let rule = Rule {
            name: written.name.value.clone(),
            description: written.description.clone(),
            job: name.to_owned(),
            reads: job.reads.clone(),
            window_us,
            by,
            columns: Vec::new(),
            when,
            recover_when,
            hold_windows,
            severities,
            cooldown_us: self.span(written.cooldown.as_ref(), 0)?,
            no_data: self.no_data(written.no_data.as_ref())?,
            renotify_us: match &written.renotify {
                Some(text) => Some(self.span(Some(text), 0)?.max(1)),
                None => None,
            },
            runbook: written.runbook.clone(),
            attention: self.attention(written)?,
        };
        self.windows(Some(&written.when), rule.lookback_us(), window_us)?;
        Some(only_used(rule, &all))
    }

    pub(super) fn say(&mut self, at: &Spanned<String>, message: String, help: Option<String>) {
        self.errors
            .push(self.source.error(at.referenced, message, help));
    }

    pub(super) fn name(&mut self, stem: &str, name: &Spanned<String>) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.value != stem {
            let message = format!("the rule is named `{}`, and its file `{stem}`", name.value);
            self.say(name, message, Some(format!("write name: {stem}")));
        } else if name.value.is_empty() || name.value.len() > 200 || !name.value.chars().all(plain)
        {
            let message = format!("`{}` is not a name", name.value);
            let help = "use letters, digits, `-`, `_` and `.`".to_owned();
            self.say(name, message, Some(help));
        } else if [crate::job_failure::RULE, crate::ingest_stall::RULE]
            .contains(&name.value.as_str())
        {
            let message = format!(
                "`{}` is what Farol itself tells of its own parts under",
                name.value
            );
            self.say(name, message, Some("give it another name".to_owned()));
        }
    }

    pub(super) fn action(&mut self, action: Option<&Spanned<String>>) {
        if let Some(action) = action.filter(|action| action.value != "alert") {
            let message = format!("this version has no action `{}`", action.value);
            self.say(action, message, Some("write action: alert".to_owned()));
        }
    }

    fn job<'c>(
        &mut self,
        on: &Spanned<String>,
        catalog: &'c Catalog,
    ) -> Option<(&'c str, &'c Job)> {
        if let Some((name, job)) = catalog.jobs.get_key_value(&on.value) {
            return Some((name, job));
        }
        let known = catalog.jobs.keys().map(String::as_str);
        let help = suggestion(&on.value, known);
        let message = format!("there is no job `{}`", on.value);
        self.say(on, message, Some(help));
        None
    }

    fn window(&mut self, written: Option<&Spanned<String>>, job: &Job) -> Option<i64> {
        let window_us = self.span(written, job.window_us)?;
        if window_us >= job.window_us && window_us % job.window_us.max(1) == 0 {
            return Some(window_us);
        }
        let base = duration::words(job.window_us);
        if let Some(written) = written {
            let message = format!("the job's windows are {base} wide, and this is no multiple");
            self.say(written, message, Some(format!("write window: {base}")));
        }
        None
    }

    fn by(&mut self, written: &[Spanned<String>], job: &Job) -> Option<Vec<String>> {
        let errors = self.errors.len();
        for (place, segment) in written.iter().enumerate() {
            if !job.segments.contains(&segment.value) {
                let known = job.segments.iter().map(String::as_str);
                let help = suggestion(&segment.value, known);
                self.say(
                    segment,
                    format!("the job has no segment `{}`", segment.value),
                    Some(help),
                );
            } else if written[..place]
                .iter()
                .any(|other| other.value == segment.value)
            {
                self.say(segment, format!("`{}` is there twice", segment.value), None);
            } else if place >= SEGMENTS_MAX {
                self.say(
                    segment,
                    format!("a rule keeps {SEGMENTS_MAX} segments at the most"),
                    None,
                );
            }
        }
        let by = || {
            written
                .iter()
                .map(|segment| segment.value.clone())
                .collect()
        };
        (self.errors.len() == errors).then(by)
    }

    pub(super) fn condition(
        &mut self,
        text: &Spanned<String>,
        columns: &Columns,
    ) -> Option<Condition> {
        condition::check(&text.value, columns)
            .map_err(|mistake| self.errors.push(self.source.mistake(text, mistake)))
            .ok()
    }

    pub(super) fn severities(
        &mut self,
        written: Option<&SeverityFile>,
        columns: &Columns,
    ) -> Option<Vec<(Option<Condition>, Severity)>> {
        let mut severities = Vec::new();
        match written {
            None => severities.push((None, Severity::Warning)),
            Some(SeverityFile::One(word)) => severities.push((None, self.severity(word)?)),
            Some(SeverityFile::List(list)) => {
                for entry in list {
                    let when = match &entry.when {
                        Some(when) => Some(self.condition(when, columns)?),
                        None => None,
                    };
                    severities.push((when, self.severity(&entry.severity)?));
                }
            }
        }
        Some(severities)
    }

    pub(super) fn severity(&mut self, word: &Spanned<String>) -> Option<Severity> {
        let known = Severity::parse(&word.value);
        if known.is_none() {
            let help = suggestion(&word.value, Severity::ALL.map(Severity::as_str));
            self.say(word, format!("`{}` is no severity", word.value), Some(help));
        }
        known
    }

    fn no_data(&mut self, written: Option<&Spanned<String>>) -> Option<NoData> {
        let Some(written) = written else {
            return Some(NoData::Keep);
        };
        match written.value.as_str() {
            "keep" => Some(NoData::Keep),
            "ok" => Some(NoData::Ok),
            "alert" => Some(NoData::Alert),
            "evaluate" => Some(NoData::Evaluate),
            other => {
                let help = suggestion(other, ["keep", "ok", "alert", "evaluate"]);
                self.say(
                    written,
                    format!("`{other}` says nothing about no data"),
                    Some(help),
                );
                None
            }
        }
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

    /// How many windows a span takes, the last one whole.
    fn windows(
        &mut self,
        written: Option<&Spanned<String>>,
        span_us: i64,
        window_us: i64,
    ) -> Option<u32> {
        let windows = (span_us + window_us - 1) / window_us.max(1);
        if windows <= WINDOWS_MAX {
            return u32::try_from(windows.max(1)).ok();
        }
        if let Some(written) = written {
            let message = format!("this spans {windows} windows; {WINDOWS_MAX} are the most");
            let help = "make `window` wider, or look back less far".to_owned();
            self.say(written, message, Some(help));
        }
        None
    }
}

/// The rule over the columns that its conditions name, and no others: rows are held in memory.
fn only_used(rule: Rule, all: &Columns) -> Rule {
    let mut used: Vec<usize> = rule
        .conditions()
        .flat_map(Condition::columns)
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    used.sort_unstable();
    let place = |column: usize| used.binary_search(&column).unwrap_or(usize::MAX);
    let condition = |condition: &Condition| condition.renumbered(&place);
    Rule {
        columns: used
            .iter()
            .map(|column| all.columns[*column].clone())
            .collect(),
        when: condition(&rule.when),
        recover_when: rule.recover_when.as_ref().map(condition),
        severities: rule
            .severities
            .iter()
            .map(|(when, severity)| (when.as_ref().map(condition), *severity))
            .collect(),
        ..rule
    }
}
