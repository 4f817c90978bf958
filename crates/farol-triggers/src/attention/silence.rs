//! Silences: when nobody is to be notified of which alerts.

use std::collections::BTreeMap;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use farol_jobs::identity;
use farol_lake::{Lake, SILENCES, Table, TableSpec};
use glob::Pattern;
use serde_json::{Map, Value, json};

use super::table::{self, Cell, append, rows};
use crate::error::TriggerError;
use crate::rule::Severity;

/// The longest comment, in bytes: it is part of messages.
pub const COMMENT_BYTES_MAX: usize = 2_000;

/// Which alerts a silence is about: all that is given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matchers {
    /// A pattern of the rule's name, with `*` and `?`; `None`: any rule.
    pub rule: Option<Pattern>,
    /// The severities; none: any.
    pub severity: Vec<Severity>,
    /// Patterns of the segment's values, by name. What is NULL or not there matches no pattern.
    pub segment: BTreeMap<String, Pattern>,
}

impl Matchers {
    /// Reads what a silence is about.
    ///
    /// # Errors
    /// Where it would be about everything, or a pattern is none.
    pub fn parse(
        rule: Option<&str>,
        severity: &[Severity],
        segment: &[(String, String)],
    ) -> Result<Self, String> {
        if rule.is_none() && severity.is_empty() && segment.is_empty() {
            return Err(
                "a silence of everything must be meant: give --rule, --severity or --segment; --rule '*' is every rule"
                    .to_owned(),
            );
        }
        let pattern = |text: &str| {
            Pattern::new(text).map_err(|error| format!("`{text}` is no pattern: {error}"))
        };
        let mut patterns = BTreeMap::new();
        for (name, text) in segment {
            patterns.insert(name.clone(), pattern(text)?);
        }
        let mut severity = severity.to_vec();
        severity.sort_unstable();
        severity.dedup();
        Ok(Self {
            rule: rule.map(pattern).transpose()?,
            severity,
            segment: patterns,
        })
    }

    /// Whether an alert of this rule and segment can be meant, whatever its severity.
    pub fn can_match(&self, rule: &str, segment: &Map<String, Value>) -> bool {
        let fits = |(name, pattern): (&String, &Pattern)| {
            let value = segment.get(name).and_then(Value::as_str);
            value.is_some_and(|value| pattern.matches(value))
        };
        self.rule
            .as_ref()
            .is_none_or(|pattern| pattern.matches(rule))
            && self.segment.iter().all(fits)
    }

    /// As the table has it.
    pub fn to_json(&self) -> Value {
        let segment = self.segment.iter();
        let segment: Map<String, Value> = segment
            .map(|(name, pattern)| (name.clone(), json!(pattern.as_str())))
            .collect();
        let severity: Vec<_> = self.severity.iter().map(|one| one.as_str()).collect();
        json!({
            "rule": self.rule.as_ref().map(Pattern::as_str),
            "severity": severity,
            "segment": segment,
        })
    }

    fn from_json(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let severity = value["severity"].as_array()?.iter();
        let severity = severity
            .map(|one| Severity::parse(one.as_str()?))
            .collect::<Option<Vec<_>>>()?;
        let segment = value["segment"].as_object()?.iter();
        let segment = segment
            .map(|(name, one)| Some((name.clone(), Pattern::new(one.as_str()?).ok()?)))
            .collect::<Option<BTreeMap<_, _>>>()?;
        let rule = match &value["rule"] {
            Value::Null => None,
            one => Some(Pattern::new(one.as_str()?).ok()?),
        };
        Some(Self {
            rule,
            severity,
            segment,
        })
    }
}

/// A silence, as its highest revision has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Its id.
    pub silence_id: String,
    /// 0 as it was written, 1 when it was ended early.
    pub revision: i64,
    /// Which alerts it is about.
    pub matchers: Matchers,
    /// It mutes windows that end from then on, in microseconds.
    pub starts_us: i64,
    /// It mutes windows that end before, in microseconds.
    pub ends_us: i64,
    /// Why.
    pub comment: String,
    /// Who wrote this revision.
    pub written_by: String,
    /// When, in microseconds.
    pub written_us: i64,
}

impl Silence {
    /// A new silence. Its id is made of what it says.
    pub fn new(
        matchers: Matchers,
        starts_us: i64,
        ends_us: i64,
        comment: String,
        written_by: String,
        written_us: i64,
    ) -> Self {
        let silence_id = identity::of_parts(&[
            &matchers.to_json().to_string(),
            &starts_us.to_string(),
            &ends_us.to_string(),
            &comment,
            &written_by,
            &written_us.to_string(),
        ]);
        Self {
            silence_id,
            revision: 0,
            matchers,
            starts_us,
            ends_us,
            comment,
            written_by,
            written_us,
        }
    }

    /// The silence, ended at a time; one that has not begun never will.
    #[must_use]
    pub fn expired(&self, at_us: i64, written_by: String) -> Self {
        Self {
            revision: self.revision + 1,
            ends_us: at_us.max(self.starts_us).min(self.ends_us),
            written_by,
            written_us: at_us,
            ..self.clone()
        }
    }

    /// Whether it mutes an alert at a window that ends then.
    pub fn mutes(
        &self,
        rule: &str,
        segment: &Map<String, Value>,
        severity: Severity,
        end_us: i64,
    ) -> bool {
        let of_severity = &self.matchers.severity;
        (self.starts_us..self.ends_us).contains(&end_us)
            && (of_severity.is_empty() || of_severity.contains(&severity))
            && self.matchers.can_match(rule, segment)
    }

    /// As a muted message names it.
    pub(crate) fn to_muted(&self) -> Value {
        json!({"by": "silence", "silence_id": self.silence_id, "comment": self.comment})
    }

    /// Writes this revision to the lake.
    ///
    /// # Errors
    /// Where the lake cannot be written.
    pub async fn write(&self, lake: &Lake) -> Result<(), TriggerError> {
        let row = [
            Cell::Text(self.silence_id.clone()),
            Cell::Count(self.revision),
            Cell::Text(self.matchers.to_json().to_string()),
            Cell::Time(self.starts_us),
            Cell::Time(self.ends_us),
            Cell::Text(self.comment.clone()),
            Cell::Text(self.written_by.clone()),
            Cell::Time(self.written_us),
        ];
        append(lake, SILENCES, &TableSpec::silences(), &row).await
    }
}

/// Every silence that was ever written, by its id, each as its highest revision has it.
///
/// # Errors
/// Where the lake cannot be read, or holds what this version does not understand.
pub async fn silences(lake: &Lake) -> Result<Vec<Silence>, TriggerError> {
    match lake.existing(SILENCES).await? {
        Some(table) => {
            let version = table.refresh().await?;
            read(&table, version).await
        }
        None => Ok(Vec::new()),
    }
}

/// Every silence at a version of the table.
pub(super) async fn read(table: &Table, version: i64) -> Result<Vec<Silence>, TriggerError> {
    let mut newest: BTreeMap<String, Silence> = BTreeMap::new();
    for batch in rows(table, version, &TableSpec::silences()).await? {
        let text = |column, row| table::text(&batch, column, row);
        let time = |column, row| table::time(&batch, column, row);
        for row in 0..batch.num_rows() {
            let matchers = text(2, row);
            let silence = Silence {
                silence_id: text(0, row),
                revision: batch.column(1).as_primitive::<Int64Type>().value(row),
                matchers: Matchers::from_json(&matchers).ok_or_else(|| {
                    TriggerError::Operators(format!(
                        "silence {} is about `{matchers}`",
                        text(0, row)
                    ))
                })?,
                starts_us: time(3, row),
                ends_us: time(4, row),
                comment: text(5, row),
                written_by: text(6, row),
                written_us: time(7, row),
            };
            let known = newest.get(&silence.silence_id);
            if known.is_none_or(|known| known.revision < silence.revision) {
                newest.insert(silence.silence_id.clone(), silence);
            }
        }
    }
    Ok(newest.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn all_that_is_given_must_match() {
        let pairs = [("service".to_owned(), "check*".to_owned())];
        let matchers = Matchers::parse(Some("error-*"), &[Severity::Warning], &pairs).unwrap();
        let silence = Silence::new(matchers, 10, 20, String::new(), "ana".to_owned(), 5);
        let checkout = segment(&json!({"service": "checkout", "model": null}));
        let mutes = |rule, segment: &_, severity, at| silence.mutes(rule, segment, severity, at);
        assert!(mutes("error-rate-high", &checkout, Severity::Warning, 10));
        assert!(mutes("error-rate-high", &checkout, Severity::Warning, 19));
        assert!(!mutes("error-rate-high", &checkout, Severity::Warning, 20));
        assert!(!mutes("error-rate-high", &checkout, Severity::Warning, 9));
        assert!(!mutes("error-rate-high", &checkout, Severity::Critical, 15));
        assert!(!mutes("latency", &checkout, Severity::Warning, 15));
        let search = segment(&json!({"service": "search"}));
        assert!(!mutes("error-rate-high", &search, Severity::Warning, 15));
        let unknown = segment(&json!({"service": null}));
        assert!(!mutes("error-rate-high", &unknown, Severity::Warning, 15));
        assert!(!mutes(
            "error-rate-high",
            &Map::new(),
            Severity::Warning,
            15
        ));
    }

    #[test]
    fn matchers_are_written_and_read_back_and_everything_must_be_meant() {
        let pairs = [("model".to_owned(), "gpt-?".to_owned())];
        let severity = [Severity::Critical, Severity::Info, Severity::Critical];
        let matchers = Matchers::parse(None, &severity, &pairs).unwrap();
        let text = matchers.to_json().to_string();
        assert_eq!(Matchers::from_json(&text), Some(matchers));
        assert!(Matchers::parse(None, &[], &[]).is_err());
        assert!(
            Matchers::parse(Some("["), &[], &[])
                .unwrap_err()
                .contains("`[`")
        );
        assert!(Matchers::parse(Some("*"), &[], &[]).is_ok());
    }

    #[test]
    fn an_end_before_the_time_is_a_revision() {
        let matchers = Matchers::parse(Some("*"), &[], &[]).unwrap();
        let silence = Silence::new(matchers, 10, 20, String::new(), "ana".to_owned(), 5);
        let ended = silence.expired(15, "bo".to_owned());
        assert_eq!((ended.revision, ended.ends_us), (1, 15));
        assert_eq!(ended.silence_id, silence.silence_id);
        assert_eq!(
            silence.expired(7, "bo".to_owned()).ends_us,
            10,
            "it never begins"
        );
        assert_eq!(
            silence.expired(30, "bo".to_owned()).ends_us,
            20,
            "it is over"
        );
    }
}
