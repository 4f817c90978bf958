//! A rule on single events: which rows of a table are worth an alert, and how a flood of them becomes one.
//!
//! ```text
//! row ──when (SQL)──▶ by: the alert it belongs to ──▶ at_least of them within so long fire, none for so long recovers
//! ```
//!
//! `when` is any condition of SQL over one row of the table. What it counts is judged like a measure: the rule holds a
//! [`Rule`] over one column, `events`, with windows of a minute.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{DFSchema, DataFusionError, plan_err};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use farol_jobs::{DefinitionError, definition, duration, suggestion};
use farol_lake::TableSpec;
use serde_saphyr::Spanned;

use super::check::Check;
use super::file::{RuleFile, read};
use super::place::Source;
use super::{NoData, Rule};
use crate::condition::{self, Columns, Mistake, Type};

/// What is counted, as conditions and messages name it.
pub(crate) const EVENTS: &str = "events";

/// The column of events that says when they happened.
const EVENT_TIME: &str = "event_time";

/// Tables whose rows such a rule can be on, and the column that says when each happened.
const TABLES: [(&str, &str); 5] = [
    ("traces", EVENT_TIME),
    ("feedback", EVENT_TIME),
    ("costs", EVENT_TIME),
    ("evaluations", EVENT_TIME),
    ("dead_letters", "ingested_at"),
];

/// The width of the windows in which events are counted, in microseconds.
const WINDOW_US: i64 = 60_000_000;

/// How long no event must come before an alert recovers, unless the rule says.
const WITHIN_US: i64 = 15 * WINDOW_US;

/// The longest that a rule may look back: each minute of it is held in memory.
const WITHIN_MAX_US: i64 = 24 * 60 * WINDOW_US;

/// Alerts of one rule at a time, unless it says.
const ALERTS: u64 = 20;

/// The most that it may say.
const ALERTS_MAX: u64 = 1_000;

/// A rule on single events that was read and checked.
#[derive(Debug, Clone)]
pub struct EventRule {
    /// What is made of the counts: the alert's lifecycle over windows of a minute and the column `events`.
    pub rule: Arc<Rule>,
    /// The table whose rows it is on.
    pub table: String,
    /// The column that says when a row happened.
    pub time: String,
    /// Which rows it is about: a condition of SQL.
    pub when: String,
    /// How far back events are counted, in microseconds; so long without enough of them, and the alert recovers.
    pub within_us: i64,
    /// Alerts at a time; events of further segments are told as one.
    pub max_alerts: usize,
}

impl EventRule {
    /// Whether its rows say when they happened; others have but the time at which they were read.
    pub(crate) fn has_event_time(&self) -> bool {
        self.time == EVENT_TIME
    }
}

/// What keeps a text from being a condition of SQL over rows of a schema.
fn check(sql: &str, schema: &SchemaRef) -> Result<(), DataFusionError> {
    // What follows an expression is not looked at otherwise.
    let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql)?;
    parser.parse_expr()?;
    parser.expect_token(&Token::EOF)?;
    let schema = DFSchema::try_from(schema.as_ref().clone())?;
    let context = definition::context();
    let expression = context.parse_sql_expr(sql, &schema)?;
    // Types that do not fit each other come to light here, not when rows arrive.
    let expression = context.create_physical_expr(expression, &schema)?;
    match expression.data_type(schema.as_arrow())? {
        DataType::Boolean => Ok(()),
        other => plan_err!("a condition must be true or false, and this is {other}"),
    }
}

/// A mistake in a condition of SQL, at the place that SQL tells, or at its beginning.
fn mistake(sql: &str, error: &DataFusionError) -> Mistake {
    let place = error.diagnostic().and_then(|diagnostic| diagnostic.span);
    let start = place.map_or(0, |place| {
        let line = usize::try_from(place.start.line)
            .unwrap_or(1)
            .saturating_sub(1);
        let column = usize::try_from(place.start.column)
            .unwrap_or(1)
            .saturating_sub(1);
        let before: usize = sql.split_inclusive('\n').take(line).map(str::len).sum();
        before + column
    });
    let mistake = Mistake::new(start..start + 1, error.strip_backtrace());
    mistake.with_help("write a condition of SQL over one row: cost > 10")
}

/// Whether a file is a rule on single events.
pub(super) fn is_on_events(source: Source<'_>) -> bool {
    read(source).is_ok_and(|written| place(&written.on.value).is_some())
}

fn place(table: &str) -> Option<(&'static str, &'static str)> {
    TABLES.into_iter().find(|(name, _)| *name == table)
}

/// Reads and checks a rule on single events; `stem` is the file's name without its ending.
pub(super) fn understand(
    stem: &str,
    source: Source<'_>,
) -> Result<EventRule, Vec<DefinitionError>> {
    let written = read(source).map_err(|error| vec![error])?;
    let mut check = Check {
        source,
        errors: Vec::new(),
    };
    let rule = check.on_events(stem, &written);
    match rule {
        Some(rule) if check.errors.is_empty() => Ok(rule),
        _ => Err(check.errors),
    }
}

impl Check<'_> {
    fn on_events(&mut self, stem: &str, written: &RuleFile) -> Option<EventRule> {
        self.name(stem, &written.name);
        self.action(written.action.as_ref());
        self.not_of_events(written);
        let (table, time) = place(&written.on.value)?;
        let schema = TableSpec::known(table)?.schema;
        let by = self.by_of_events(&written.by, table, &schema);
        if let Err(error) = check(&written.when.value, &schema) {
            let mistake = mistake(&written.when.value, &error);
            self.errors
                .push(self.source.mistake(&written.when, mistake));
        }
        let counted = Columns {
            source: table.to_owned(),
            window_us: WINDOW_US,
            columns: vec![(EVENTS.to_owned(), Type::Number)],
            ..Columns::default()
        };
        let severity = written.severity.as_ref().map(|severity| &severity.value);
        let severities = self.severities(severity, &counted)?;
        let at_least = self.number(written.at_least.as_ref(), 1, u64::MAX >> 12)?;
        let when = condition::check(&format!("{EVENTS} >= {at_least}"), &counted);
        let within_us = self.within(written.within.as_ref())?;
        let max_alerts = self.number(written.max_alerts.as_ref(), ALERTS, ALERTS_MAX)?;
        let rule = Rule {
            name: written.name.value.clone(),
            description: written.description.clone(),
            job: table.to_owned(),
            reads: table.to_owned(),
            window_us: WINDOW_US,
            by: by?,
            columns: counted.columns,
            when: when.ok()?,
            recover_when: None,
            hold_windows: 1,
            severities,
            cooldown_us: self.span(written.cooldown.as_ref(), 0)?,
            no_data: NoData::Ok,
            renotify_us: match &written.renotify {
                Some(text) => Some(self.span(Some(text), 0)?.max(1)),
                None => None,
            },
            runbook: written.runbook.clone(),
            attention: self.attention(written)?,
        };
        Some(EventRule {
            rule: Arc::new(rule),
            table: table.to_owned(),
            time: time.to_owned(),
            when: written.when.value.clone(),
            within_us,
            max_alerts: usize::try_from(max_alerts).unwrap_or(usize::MAX),
        })
    }

    /// What only a rule on measures can say.
    fn not_of_events(&mut self, written: &RuleFile) {
        let said = [
            (
                "window",
                &written.window,
                "`within` says how far back events are counted",
            ),
            (
                "recover_when",
                &written.recover_when,
                "it recovers when there were too few events for as long as `within` says",
            ),
            (
                "for",
                &written.hold,
                "`at_least` says how many events must come",
            ),
            (
                "no_data",
                &written.no_data,
                "no events means that nothing is wrong",
            ),
        ];
        for (key, value, help) in said {
            if let Some(value) = value {
                let message = format!("a rule on single events has no `{key}`");
                self.say(value, message, Some(help.to_owned()));
            }
        }
    }

    /// What only a rule on single events can say.
    pub(super) fn only_of_events(&mut self, written: &RuleFile) {
        let help = || {
            Some(
                "such rules are on traces, feedback, costs, evaluations or dead_letters".to_owned(),
            )
        };
        let numbers = [
            ("at_least", &written.at_least),
            ("max_alerts", &written.max_alerts),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                let message = format!("only a rule on single events has `{key}`");
                self.errors
                    .push(self.source.error(number.referenced, message, help()));
            }
        }
        if let Some(within) = &written.within {
            self.say(
                within,
                "only a rule on single events has `within`".to_owned(),
                help(),
            );
        }
    }

    fn by_of_events(
        &mut self,
        written: &[Spanned<String>],
        table: &str,
        schema: &SchemaRef,
    ) -> Option<Vec<String>> {
        let texts = schema
            .fields()
            .iter()
            .filter(|field| field.data_type() == &DataType::Utf8);
        let known: Vec<_> = texts.map(|field| field.name().as_str()).collect();
        let mut by = Vec::new();
        for name in written {
            if known.contains(&name.value.as_str()) && !by.contains(&name.value) {
                by.push(name.value.clone());
                continue;
            }
            let help = suggestion(&name.value, known.iter().copied());
            let message = format!(
                "{table} has no text `{}` to go by, or it is there twice",
                name.value
            );
            self.say(name, message, Some(help));
            return None;
        }
        Some(by)
    }

    fn within(&mut self, written: Option<&Spanned<String>>) -> Option<i64> {
        let within_us = self.span(written, WITHIN_US)?;
        if (WINDOW_US..=WITHIN_MAX_US).contains(&within_us) && within_us % WINDOW_US == 0 {
            return Some(within_us);
        }
        if let Some(written) = written {
            let message = format!(
                "events are counted over whole minutes, from {} to {}",
                duration::words(WINDOW_US),
                duration::words(WITHIN_MAX_US)
            );
            self.say(written, message, Some("write within: 15m".to_owned()));
        }
        None
    }

    fn number(&mut self, written: Option<&Spanned<u64>>, otherwise: u64, most: u64) -> Option<u64> {
        let Some(written) = written else {
            return Some(otherwise);
        };
        if (1..=most).contains(&written.value) {
            return Some(written.value);
        }
        let message = format!("{} is not from 1 to {most}", written.value);
        self.errors
            .push(self.source.error(written.referenced, message, None));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "name: r\non: traces\nby: [service]\nwhen: cost_usd > 10 AND status = 'ok'\n\
        at_least: 2\nwithin: 10m\nseverity:\n  - {when: events > 100, severity: critical}\n  - {severity: warning}\n\
        renotify: 1h\naction: alert\n";

    fn one(text: &str) -> Result<EventRule, Vec<DefinitionError>> {
        let source = Source {
            file: "r.yaml",
            text,
        };
        assert!(is_on_events(source) || text.contains("at_lest"), "{text}");
        understand("r", source)
    }

    #[test]
    fn a_rule_is_read() {
        let rule = one(GOOD).unwrap();
        assert_eq!(
            (rule.table.as_str(), rule.time.as_str()),
            ("traces", "event_time")
        );
        assert_eq!(rule.within_us, 10 * WINDOW_US);
        assert_eq!(rule.rule.when.text(), "events >= 2");
        assert_eq!(rule.rule.severities.len(), 2);
        let letters = GOOD
            .replace("on: traces", "on: dead_letters")
            .replace("by: [service]", "by: [kafka_topic]");
        let letters = letters.replace(
            "cost_usd > 10 AND status = 'ok'",
            "reason_code <> 'too_large'",
        );
        assert_eq!(one(&letters).unwrap().time, "ingested_at");
    }

    #[test]
    fn any_condition_of_sql_over_a_row_is_understood() {
        for when in [
            "output ~ '[0-9]{3}-[0-9]{2}-[0-9]{4}'",
            "array_length(retrieved) > 100",
            "tags['team'] = 'risk'",
            "calls_model(operation) AND latency_ms > 60000",
        ] {
            let text = GOOD.replace("cost_usd > 10 AND status = 'ok'", when);
            one(&text).unwrap_or_else(|errors| panic!("{when}: {}", errors[0]));
        }
    }

    #[test]
    fn mistakes_have_line_and_column() {
        let cases = [
            ("cost_usd > 10", "costs_usd > 10", 4, 7, "costs_usd"),
            (
                "cost_usd > 10 AND status = 'ok'",
                "input_tokens + 1",
                4,
                7,
                "true or false",
            ),
            ("by: [service]", "by: [servce]", 3, 6, "service"),
            ("within: 10m", "within: 90s", 6, 9, "whole minutes"),
            ("within: 10m", "within: 2d", 6, 9, "1 day"),
            ("at_least: 2", "at_least: 0", 5, 11, "from 1"),
            ("renotify: 1h", "for: 5m", 10, 6, "at_least"),
            ("status = 'ok'", "status = 'ok' nonsense", 4, 7, "nonsense"),
        ];
        for (good, bad, line, column, help) in cases {
            let errors = one(&GOOD.replacen(good, bad, 1)).unwrap_err();
            let error = &errors[0];
            assert_eq!((error.line, error.column), (line, column), "{bad}: {error}");
            assert!(error.to_string().contains(help), "{bad}: {error}");
        }
    }
}
