//! Finding rules: those that are part of Farol, and the user's own over them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farol_jobs::DefinitionError;

use super::attention;
use super::catalog::Catalog;
use super::check::understand;
use super::file::read;
use super::place::Source;
use super::shipped::SHIPPED;
use super::{Attention, EventRule, FindingRule, Rule, warn};
use super::{events, findings};
use crate::budget::Budgets;

/// How the files of shipped rules are named in messages.
const PART_OF_FAROL: &str = "(part of farol)";

/// Files are read up to this size.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The most rules that run.
const RULES_MAX: usize = 1_000;

/// Where rules are looked for.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The pipelines' directory: rules are below `triggers` in it. It need not be there.
    pub dir: PathBuf,
    /// Whether the rules that are part of Farol are in effect. A file of the same name replaces one in any case.
    pub builtin: bool,
}

/// Every rule that is in effect, by name.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    on_jobs: BTreeMap<String, Arc<Rule>>,
    on_findings: BTreeMap<String, Arc<FindingRule>>,
    on_events: BTreeMap<String, Arc<EventRule>>,
    /// Where each rule on measures says when it fires: a remark without words.
    places: BTreeMap<String, DefinitionError>,
    warnings: Vec<DefinitionError>,
    /// The budgets that are in effect beside them.
    pub budgets: Budgets,
}

impl Rules {
    /// The rules on measures, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.on_jobs.values()
    }

    /// The rules on findings, by name.
    pub fn on_findings(&self) -> impl Iterator<Item = &Arc<FindingRule>> {
        self.on_findings.values()
    }

    /// The rules on single events, by name.
    pub fn on_events(&self) -> impl Iterator<Item = &Arc<EventRule>> {
        self.on_events.values()
    }

    /// The rule on measures of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Rule>> {
        self.on_jobs.get(name)
    }

    /// What is good as a file and makes no good rule: it never fires, or a severity is never reached.
    pub fn warnings(&self) -> &[DefinitionError] {
        &self.warnings
    }

    /// A remark on when a rule on measures fires, with the place in its file.
    pub fn remark(&self, rule: &str, message: String) -> Option<DefinitionError> {
        let place = self.places.get(rule)?.clone();
        Some(DefinitionError { message, ..place })
    }

    /// Who is to be disturbed by the alerts of each rule, by its name.
    pub fn attention(&self) -> impl Iterator<Item = (&str, &Attention)> {
        let on_jobs = self
            .iter()
            .map(|rule| (rule.name.as_str(), &rule.attention));
        let on_findings = self
            .on_findings()
            .map(|rule| (rule.name.as_str(), &rule.attention));
        let on_events = self.on_events().map(|rule| &rule.rule);
        let on_events = on_events.map(|rule| (rule.name.as_str(), &rule.attention));
        on_jobs.chain(on_findings).chain(on_events)
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self
            .on_jobs
            .keys()
            .chain(self.on_findings.keys())
            .chain(self.on_events.keys())
            .cloned()
            .collect();
        names.sort();
        names
    }
}

impl Rules {
    /// Puts a rule on measures into effect, and notes what is to be said of it.
    fn take(&mut self, rule: Rule, source: Source<'_>, catalog: &Catalog) {
        if let (Ok(written), Some(job)) = (read(source), catalog.jobs.get(&rule.job)) {
            let place = source.error(written.when.referenced, "", None);
            self.places.insert(rule.name.clone(), place);
            self.warnings.extend(warn::warnings(source, &written, job));
        }
        self.on_jobs.insert(rule.name.clone(), Arc::new(rule));
    }
}

/// Reads and checks every rule.
///
/// # Errors
/// Everything that is wrong with any of them, each with file, line and column.
pub fn load(sources: &Sources, catalog: &Catalog) -> Result<Rules, Vec<DefinitionError>> {
    let mut texts = BTreeMap::new();
    let mut errors = Vec::new();
    if sources.builtin {
        // A shipped rule over a shipped job that the user has replaced or left out is the user's to decide.
        for shipped in SHIPPED {
            let file = format!("{}.yaml {PART_OF_FAROL}", shipped.name);
            texts.insert(shipped.name.to_owned(), (file, shipped.yaml.to_owned()));
        }
    }
    match own(&sources.dir.join("triggers")) {
        Ok(files) => {
            for (name, path) in files {
                match read_file(&path) {
                    Ok(text) => {
                        texts.insert(name, (path.display().to_string(), text));
                    }
                    Err(error) => errors.push(error),
                }
            }
        }
        Err(error) => errors.push(error),
    }
    errors.extend(attention::mistakes(&texts));
    let mut rules = Rules::default();
    for (name, (file, text)) in texts {
        let source = Source {
            file: &file,
            text: &text,
        };
        if findings::is_on_findings(source) {
            match findings::understand(&name, source, catalog) {
                Ok(rule) => {
                    rules.on_findings.insert(name, Arc::new(rule));
                }
                Err(found) => errors.extend(found),
            }
            continue;
        }
        if events::is_on_events(source) {
            match events::understand(&name, source) {
                Ok(rule) => {
                    rules.on_events.insert(name, Arc::new(rule));
                }
                Err(found) => errors.extend(found),
            }
            continue;
        }
        match understand(&name, &file, &text, catalog) {
            Ok(rule) => rules.take(rule, source, catalog),
            Err(found) => errors.extend(explained(found, &name, &file, &text, catalog)),
        }
    }
    let count = rules.names().len();
    if count > RULES_MAX {
        let dir = sources.dir.join("triggers");
        let message = format!("there are {count} rules; {RULES_MAX} are the most");
        errors.push(whole_file(&dir, message));
    }
    if errors.is_empty() {
        Ok(rules)
    } else {
        Err(errors)
    }
}

/// The mistakes of a rule; where it is part of Farol and its job was replaced, that is what they come of.
fn explained(
    mut found: Vec<DefinitionError>,
    name: &str,
    file: &str,
    text: &str,
    catalog: &Catalog,
) -> Vec<DefinitionError> {
    let is_shipped = file.ends_with(PART_OF_FAROL);
    let written = read(Source { file, text }).ok().filter(|_| is_shipped);
    let Some(on) = written.map(|written| written.on.value) else {
        return found;
    };
    let job = catalog.jobs.get(&on);
    if let Some(own) = job.and_then(|job| job.replaced_by.as_ref()) {
        for error in &mut found {
            error.help = Some(format!(
                "rule `{name}`, which is part of farol, needs this of job `{on}`, in whose place {own} stands: give it there, or put a rule of your own called `{name}` in the rule's place"
            ));
        }
    }
    found
}

/// Reads and checks one rule's text, for tests of what rules lead to.
#[cfg(test)]
pub(crate) fn understand_text(
    name: &str,
    text: &str,
    catalog: &Catalog,
) -> Result<Rule, Vec<DefinitionError>> {
    understand(name, &format!("{name}.yaml"), text, catalog)
}

/// The user's files, by the name of their rule. A directory that is not there has none.
fn own(dir: &Path) -> Result<Vec<(String, PathBuf)>, DefinitionError> {
    let wrong = |error: std::io::Error| whole_file(dir, format!("cannot read it: {error}"));
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(wrong(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(wrong)?.path();
        let is_yaml = path
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml");
        if let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            && is_yaml
        {
            files.push((name.to_owned(), path));
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<String, DefinitionError> {
    let size = std::fs::metadata(path)
        .map_err(|error| whole_file(path, format!("cannot read it: {error}")))?
        .len();
    if size > FILE_BYTES_MAX {
        let message = format!("it is {size} bytes long; {FILE_BYTES_MAX} are the most");
        return Err(whole_file(path, message));
    }
    std::fs::read_to_string(path)
        .map_err(|error| whole_file(path, format!("cannot read it: {error}")))
}

fn whole_file(path: &Path, message: String) -> DefinitionError {
    DefinitionError {
        file: path.display().to_string(),
        line: 0,
        column: 0,
        message,
        help: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Job, Severity};
    use super::*;
    use crate::condition::Type;

    fn catalog() -> Catalog {
        let number = |name: &str| (name.to_owned(), Type::Number);
        let performance = Job {
            reads: "traces".to_owned(),
            window_us: 60_000_000,
            segments: vec![
                "service".to_owned(),
                "environment".to_owned(),
                "model".to_owned(),
            ],
            measures: [
                "error_rate",
                "requests",
                "errors",
                "latency_p50_ms",
                "latency_p95_ms",
            ]
            .map(number)
            .to_vec(),
            limits: [("error_rate".to_owned(), crate::condition::Bounds::RATIO)].into(),
            sketches: vec!["latency".to_owned()],
            replaced_by: None,
        };
        let spend = Job {
            measures: vec![number("cost_usd")],
            ..performance.clone()
        };
        Catalog {
            jobs: [
                ("performance".to_owned(), performance),
                ("spend".to_owned(), spend),
            ]
            .into(),
        }
    }

    fn one(text: &str) -> Result<Rule, Vec<DefinitionError>> {
        understand("r", "r.yaml", text, &catalog())
    }

    const GOOD: &str = "name: r\non: performance\nwindow: 5m\nby: [service]\n\
        when: requests >= 20 AND error_rate > 0.2\nrecover_when: error_rate < 0.1\nfor: 12m\n\
        severity:\n  - {when: error_rate > 0.5, severity: critical}\n  - {severity: warning}\n\
        cooldown: 10m\nno_data: ok\nrenotify: 1h\naction: alert\nrunbook: https://example.org\n";

    #[test]
    fn a_rule_is_read() {
        let rule = one(GOOD).unwrap();
        assert_eq!(rule.hold_windows, 3);
        assert_eq!(rule.severities.len(), 2);
        assert_eq!(rule.severities[1].1, Severity::Warning);
        let names: Vec<_> = rule.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["error_rate", "requests"], "only what is used");
    }

    #[test]
    fn windows_without_rows_can_be_evaluated() {
        struct Hour;
        impl crate::condition::Past for Hour {
            fn look(&self, _: crate::condition::PastTerm) -> Option<f64> {
                Some(100.0)
            }
        }
        let text = "name: r\non: performance\nwindow: 1m\nby: [service]\nno_data: evaluate\n\
            when: service = 'a' AND coalesce(requests, 0) < 0.2 * baseline('1 hour', requests)\n";
        let rule = one(text).unwrap();
        let holds = |rule: &Rule, service: &str| {
            let segment = farol_jobs::segment::Segment(vec![Some(service.to_owned())]);
            let row = rule.absent_row(&segment)?;
            rule.judge(&row, &Hour).holds
        };
        assert_eq!(holds(&rule, "a"), Some(true), "the segment is known");
        assert_eq!(holds(&rule, "b"), Some(false));
        let keeps = one(&text.replace("evaluate", "keep")).unwrap();
        assert_eq!(holds(&keeps, "a"), None);
    }

    #[test]
    fn mistakes_have_file_line_and_column() {
        let cases = [
            (
                "on: performance",
                "on: performanse",
                2,
                5,
                "did you mean `performance`?",
            ),
            (
                "error_rate > 0.2",
                "eror_rate > 0.2",
                5,
                26,
                "did you mean `error_rate`?",
            ),
            ("error_rate > 0.2", "cost_usd > 0.2", 5, 26, "on: spend"),
            (
                "error_rate > 0.2",
                "error_rate > 'x'",
                5,
                39,
                "without quotes",
            ),
            (
                "when: requests >= 20 AND error_rate > 0.2",
                "when: >\n  requests >= 20\n  AND eror_rate > 0.2",
                7,
                7,
                "did you mean",
            ),
            ("window: 5m", "window: 90s", 3, 9, "1 minute"),
            (
                "by: [service]",
                "by: [sevice]",
                4,
                6,
                "did you mean `service`?",
            ),
            ("cooldown: 10m", "cooldwn: 10m", 11, 1, ""),
            ("no_data: ok", "no_data: fine", 12, 10, "keep"),
            ("action: alert", "action: reboot", 14, 9, "action: alert"),
            ("name: r", "name: other", 1, 7, "name: r"),
            ("for: 12m", "for: soon", 7, 6, ""),
        ];
        for (good, bad, line, column, help) in cases {
            let errors = one(&GOOD.replacen(good, bad, 1)).unwrap_err();
            let error = &errors[0];
            assert_eq!((error.line, error.column), (line, column), "{bad}: {error}");
            assert!(error.to_string().contains(help), "{bad}: {error}");
        }
    }
}
