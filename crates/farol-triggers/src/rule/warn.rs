//! What is good as a rule's file and makes no good rule: it never fires, or a severity is never reached.

use farol_jobs::DefinitionError;

use super::catalog::Job;
use super::file::{RuleFile, SeverityFile};
use super::place::Source;
use crate::condition::{Mistake, never, unreached};

/// Warnings of a rule that was read and checked.
pub(super) fn warnings(source: Source<'_>, written: &RuleFile, job: &Job) -> Vec<DefinitionError> {
    let when = &written.when;
    if let Some(mistake) = never(&when.value, &job.limits) {
        let message = format!("the rule never fires: {}", mistake.message);
        return vec![source.mistake(when, Mistake::new(mistake.span, message))];
    }
    let Some(severity) = &written.severity else {
        return Vec::new();
    };
    let SeverityFile::List(entries) = &severity.value else {
        return Vec::new();
    };
    let conditions: Vec<_> = entries
        .iter()
        .map(|entry| entry.when.as_ref().map(|when| when.value.as_str()))
        .collect();
    let found = entries.iter().enumerate().filter_map(|(place, entry)| {
        let (before, this) = (&conditions[..place], conditions[place]);
        let mistake = unreached(&when.value, before, this, &job.limits)?;
        let message = format!(
            "`{}`, number {} of the severities, is never reached: {}",
            entry.severity.value,
            place + 1,
            mistake.message
        );
        // Entries of either form have lost their own place.
        Some(source.error(severity.referenced, message, None))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::super::file::read;
    use super::*;
    use crate::condition::Bounds;

    fn told(text: &str) -> Vec<String> {
        let source = Source {
            file: "r.yaml",
            text,
        };
        let job = Job {
            limits: [("error_rate".to_owned(), Bounds::RATIO)].into(),
            ..Job::default()
        };
        let written = read(source).unwrap();
        let found = warnings(source, &written, &job);
        found.iter().map(ToString::to_string).collect()
    }

    const RULE: &str = "name: r\non: performance\nwhen: >\n  requests >= 20\n  AND error_rate > 0.2\n\
        severity:\n  - {when: error_rate > 0.5, severity: critical}\n  - {severity: warning}\n";

    #[test]
    fn a_good_rule_has_none() {
        assert_eq!(told(RULE), Vec::<String>::new());
    }

    #[test]
    fn warnings_have_file_line_and_column() {
        let never = told(&RULE.replace("error_rate > 0.2", "error_rate > 20"));
        assert_eq!(
            never,
            [
                "r.yaml:5:7: the rule never fires: `error_rate` is at least 0 and at most 1 here, so this is never true"
            ]
        );
        let twice = told(&RULE.replace(
            "{when: error_rate > 0.5, severity: critical}",
            "{severity: critical}",
        ));
        assert_eq!(
            twice,
            [
                "r.yaml:7:3: `warning`, number 2 of the severities, is never reached: one before it has no condition"
            ]
        );
        let below = told(&RULE.replace("error_rate > 0.5", "error_rate < 0.1"));
        assert_eq!(below.len(), 1);
        assert!(
            below[0].starts_with(
                "r.yaml:7:3: `critical`, number 1 of the severities, is never reached: "
            ),
            "{below:?}"
        );
    }
}
