//! A finding: one incident as a row of the table `findings`.

mod rows;

use farol_jobs::segment::{quoted_name, quoted_text, text_list};
use farol_jobs::time::rfc3339;
use farol_jobs::{Segment, duration, identity};
use serde_json::{Value, json};

use crate::definition::{Unit, Watched};
use crate::drift;
use crate::unit::Noticed;
use farol_stats::watch::{Change, Span};

pub use rows::{find, since};
pub(crate) use rows::{read, to_batch};

/// How far before the change a finding's SQL and pictures begin, in windows.
const WINDOWS_BEFORE: i64 = 60;

/// Whether an incident goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It goes on.
    Open,
    /// It is over.
    Ended,
    /// It lasted so long that it is the new level.
    Adopted,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Open, Self::Ended, Self::Adopted];

    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ended => "ended",
            Self::Adopted => "adopted",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Its place in the order of findings.
    pub sequence: i64,
    /// The incident.
    pub finding_id: String,
    /// How often it was said anew.
    pub revision: i64,
    /// Whether it goes on.
    pub state: State,
    /// The detector.
    pub detector: String,
    /// How the measure is watched.
    pub method: String,
    /// The job.
    pub job: String,
    /// The measure.
    pub measure: String,
    /// Which change was looked for.
    pub direction: String,
    /// The segment, as a JSON object.
    pub segment: String,
    /// When the change most likely began, in microseconds.
    pub since_us: i64,
    /// The window at whose end it was noticed.
    pub window: Span,
    /// When it could be noticed, by the watermark: the window's end and the detector's `settle`.
    pub noticed_us: i64,
    /// When it was over.
    pub ended_us: Option<i64>,
    /// What was compared.
    pub statistic: String,
    /// Its value.
    pub statistic_value: f64,
    /// What it was compared with.
    pub threshold: f64,
    /// The probability of such a value without a change, where the method gives one.
    pub p_value: Option<f64>,
    /// The measure since the change.
    pub observed: f64,
    /// What it was expected to be.
    pub reference: f64,
    /// By how much it changed.
    pub effect: f64,
    /// The lower end of the effect's interval.
    pub effect_low: Option<f64>,
    /// The upper end.
    pub effect_high: Option<f64>,
    /// Where the reference begins and ends.
    pub reference_span: Span,
    /// What the observed value is made of.
    pub observations: i64,
    /// Which segments explain it, as a JSON array.
    pub root_causes: String,
    /// Trace ids, as a JSON array.
    pub samples: String,
    /// A query that shows the measure.
    pub sql: String,
    /// The versions of the tables that were read, as a JSON object.
    pub tables: String,
}

impl Finding {
    /// An incident that was just noticed, without samples and causes; `None` where what was noticed is an end.
    pub fn opened(unit: &Unit, noticed: &Noticed) -> Option<Self> {
        let Change::Opened(evidence) = noticed.change else {
            return None;
        };
        let watched = unit.measures.get(noticed.key.0)?;
        let segment = &noticed.key.1;
        let known = |value: f64| value.is_finite().then_some(value);
        Some(Self {
            sequence: 0,
            finding_id: finding_id(unit, noticed),
            revision: 0,
            state: State::Open,
            detector: unit.detector.clone(),
            method: watched.method.as_str().to_owned(),
            job: unit.job.clone(),
            measure: watched.measure.clone(),
            direction: watched.direction.as_str().to_owned(),
            segment: segment.to_json(&unit.by).to_string(),
            since_us: evidence.since_us,
            window: noticed.window,
            noticed_us: noticed.window.end_us + unit.settle_us,
            ended_us: None,
            statistic: noticed.statistic.to_owned(),
            statistic_value: evidence.value,
            threshold: evidence.threshold,
            p_value: noticed.p_value,
            observed: evidence.observed,
            reference: evidence.reference,
            effect: evidence.effect,
            effect_low: known(evidence.effect_low),
            effect_high: known(evidence.effect_high),
            reference_span: evidence.reference_span,
            observations: evidence.observations as i64,
            root_causes: causes(unit, &watched.measure, noticed).to_string(),
            samples: "[]".to_owned(),
            sql: sql(unit, watched, noticed, evidence.since_us),
            tables: "{}".to_owned(),
        })
    }

    /// A finding for tests of what is made of findings.
    pub fn example() -> Self {
        let span = |start_us, end_us| Span { start_us, end_us };
        Self {
            sequence: 3,
            finding_id: "f".to_owned(),
            revision: 0,
            state: State::Open,
            detector: "d".to_owned(),
            method: "rate".to_owned(),
            job: "performance".to_owned(),
            measure: "error_rate".to_owned(),
            direction: "increase".to_owned(),
            segment: r#"{"service":"a"}"#.to_owned(),
            since_us: 60,
            window: span(120, 180),
            noticed_us: 180,
            ended_us: None,
            statistic: "e_value".to_owned(),
            statistic_value: 1e6,
            threshold: 1e5,
            p_value: None,
            observed: 0.5,
            reference: 0.01,
            effect: 0.49,
            effect_low: Some(0.4),
            effect_high: None,
            reference_span: span(0, 60),
            observations: 40,
            root_causes: "[]".to_owned(),
            samples: r#"["t"]"#.to_owned(),
            sql: "SELECT 1".to_owned(),
            tables: "{}".to_owned(),
        }
    }

    /// The same incident, over.
    #[must_use]
    pub fn ended(&self, ended_us: i64, adopted: bool) -> Self {
        Self {
            revision: self.revision + 1,
            state: if adopted {
                State::Adopted
            } else {
                State::Ended
            },
            ended_us: Some(ended_us),
            ..self.clone()
        }
    }
}

/// Causes that are known from the comparison itself: categories whose shares changed, and the version that is another.
fn causes(unit: &Unit, measure: &str, noticed: &Noticed) -> Value {
    let name = unit.compare.as_deref().unwrap_or(measure);
    let told = noticed.moved.iter().map(|one| {
        let mut cause = json!({
            "segment": {name: one.value},
            "share": one.share,
            "observed": one.observed,
            "reference": one.reference,
        });
        if let Some(other) = &noticed.compared_with {
            cause["compared_with"] = json!({name: other});
        }
        cause
    });
    Value::Array(told.collect())
}

/// The id of the incident that something was noticed of.
pub(crate) fn finding_id(unit: &Unit, noticed: &Noticed) -> String {
    let measure = unit
        .measures
        .get(noticed.key.0)
        .map_or("", |watched| watched.measure.as_str());
    let segment = noticed.key.1.to_json(&unit.by).to_string();
    let opened = noticed.opened_us.to_string();
    identity::of_parts(&[&unit.detector, &unit.job, measure, &segment, &opened])
}

/// The query that shows a finding.
fn sql(unit: &Unit, watched: &Watched, noticed: &Noticed, since_us: i64) -> String {
    let segment = &noticed.key.1;
    if unit.is_drift() {
        let moved = noticed.moved.first().map(|one| one.value.as_str());
        return drift::rows::shown_by(unit, segment, watched, moved, noticed.window);
    }
    let measure = quoted_name(&watched.measure);
    let from_us = since_us - WINDOWS_BEFORE * unit.window_us;
    let range = Span {
        start_us: from_us,
        end_us: noticed.window.end_us,
    };
    let compared = unit.compare.as_ref().zip(noticed.compared_with.as_ref());
    if let (Some((compare, other)), Some((Some(version), others))) =
        (compared, segment.0.split_last())
    {
        let name = quoted_name(compare);
        let of = |version: &str| {
            let version = quoted_text(version);
            format!("max({measure}) FILTER (WHERE {name} = {version})")
        };
        let values = format!("{} AS value, {} AS reference", of(version), of(other));
        let of_others = Segment(others.to_vec()).to_sql(&unit.by);
        let rows = measures(unit, &values, range, &of_others);
        return format!("{rows} GROUP BY window_start ORDER BY window_start");
    }
    let values = format!("{measure} AS value");
    let rows = measures(unit, &values, range, &segment.to_sql(&unit.by));
    format!("{rows} ORDER BY window_start")
}

/// Values of a unit's measures in a range.
fn measures(unit: &Unit, values: &str, range: Span, filter: &str) -> String {
    format!(
        "SELECT window_start, {values} FROM measures({}, {}{}) \
         WHERE window_start >= TIMESTAMP '{}' AND window_start < TIMESTAMP '{}'{filter}",
        quoted_text(&unit.job),
        quoted_text(&duration::words(unit.window_us)),
        text_list(unit.by.iter()),
        rfc3339(range.start_us),
        rfc3339(range.end_us),
    )
}
