//! Root causes: which further segment explains most of a change, and how much of it.
//!
//! ```text
//! partials since the change ──┐
//! partials before it ─────────┴──▶ the measure without one value of a segment, both times ──▶ share ──▶ rank
//! ```
//!
//! A value explains a change as far as the change is gone without it: `1 − (now − before, without it) / (now − before)`.
//! That holds for sums, rates and quantiles alike, and it tells the model whose calls fail from the environment that most
//! calls are in: without the environment the rest of the calls has changed as much. Only rows that know the segment are looked at. What all rows
//! have in common is told too, after what explains more than half. Where a value was not there
//! before (a new version), it comes first among equals. Where two values together explain as much as one of them alone,
//! and are less of the traffic, the pair comes first.
//!
//! What is known of attribution by exclusion: R. Bhagwan et al., "Adtributor: Revenue Debugging in Advertising Systems",
//! NSDI (2014), which this generalizes from sums to any measure that merges.

mod rank;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::logical_expr::{Expr, ident, lit};
use datafusion::prelude::SessionContext;
use farol_jobs::pooled::Pool;
use farol_jobs::{Job, Segment};
use serde_json::{Map, Value, json};

use crate::definition::Unit;
use crate::finding::Finding;
use rank::{Candidate, ranked, refinements, share};

/// Values of one segment that are tried, those with most of the traffic.
const VALUES_MAX: usize = 12;
/// Causes that a finding names, and the least that one must explain.
const CAUSES_MAX: usize = 5;
const SHARE_MIN: f64 = 0.1;
/// What must be left of the traffic without a value for the rest to say anything.
const LEFT_MIN: f64 = 0.05;
/// How much of the whole change the rows that know a segment must have.
const CHANGED_MIN: f64 = 0.5;
/// How far before the change it is compared with, in lengths of the time since, and at the least.
const BEFORE_LENGTHS: i64 = 4;
const BEFORE_US_MIN: i64 = 2 * 3_600_000_000;

/// The causes of a finding's change, the best first, as a JSON array.
///
/// # Errors
/// Where the partials cannot be read.
pub async fn root_causes(
    session: &SessionContext,
    unit: &Unit,
    job: &Arc<Job>,
    segment: &Segment,
    finding: &Finding,
) -> Result<Value, DataFusionError> {
    let (since_us, to_us) = (finding.since_us, finding.window.end_us);
    let before_us = (BEFORE_LENGTHS * (to_us - since_us)).max(BEFORE_US_MIN);
    let own = of_segment(unit, segment);
    let change = Compared {
        now: Pool::read(session, job, (since_us, to_us), own.clone()).await?,
        before: Pool::read(session, job, (since_us - before_us, since_us), own).await?,
        measure: &finding.measure,
        // A sum grows with the time that it is taken over.
        scale: if job
            .measures()
            .iter()
            .any(|known| known.name == finding.measure)
        {
            1.0
        } else {
            (to_us - since_us) as f64 / before_us as f64
        },
    };
    let (Some(now), Some(before)) = change.at_both(None).await? else {
        return Ok(json!([]));
    };
    let whole = now - before;
    let mut candidates = Vec::new();
    let mut constant = Vec::new();
    for (order, name) in unit.others.iter().enumerate() {
        match change.values_of(order, name, whole).await? {
            Values::Several(found) => candidates.extend(found),
            Values::One(value) => constant.push((name.clone(), Some(value))),
        }
    }
    candidates.extend(Candidate::constant(constant));
    let mut candidates = ranked(candidates);
    for (first, second) in refinements(&candidates) {
        let pair = change.pair(&candidates[first], &candidates[second], whole);
        candidates.extend(pair.await?);
    }
    let mut causes = Vec::new();
    for one in ranked(candidates)
        .into_iter()
        .filter(|one| one.share >= SHARE_MIN)
        .take(CAUSES_MAX)
    {
        let (observed, reference) = change.within(&one).await?;
        let values = one.values.iter().map(|(name, value)| {
            let value = value.clone().map_or(Value::Null, Value::String);
            (name.clone(), value)
        });
        causes.push(json!({
            "segment": values.collect::<Map<_, _>>(),
            "share": one.share,
            "observed": observed,
            "reference": reference,
        }));
    }
    Ok(Value::Array(causes))
}

/// The filter that picks out a segment's rows; `None` where everything is one.
fn of_segment(unit: &Unit, segment: &Segment) -> Option<Expr> {
    unit.by
        .iter()
        .zip(&segment.0)
        .map(|(name, value)| is(name, value.as_deref()))
        .reduce(Expr::and)
}

fn is(name: &str, value: Option<&str>) -> Expr {
    match value {
        Some(value) => ident(name).eq(lit(value)),
        None => ident(name).is_null(),
    }
}

/// The rows that say something about all of some segments. A call of a tool has no model, and fails with the model's call that
/// it is part of: of models it says nothing.
fn known(values: &[(String, Option<String>)]) -> Option<Expr> {
    let known = values.iter().map(|(name, _)| ident(name).is_not_null());
    known.reduce(Expr::and)
}

/// Of those the rows that do not have all of the values.
fn without(values: &[(String, Option<String>)]) -> Option<Expr> {
    let differs = values
        .iter()
        .map(|(name, value)| ident(name).not_eq(lit(value.as_deref().unwrap_or_default())));
    let differs = differs.reduce(Expr::or)?;
    Some(known(values)?.and(differs))
}

/// What the values of a segment come to.
enum Values {
    /// There are several, and each explains so much.
    Several(Vec<Candidate>),
    /// All rows have this one, since the change and before.
    One(String),
}

/// A measure at both times.
struct Compared<'a> {
    now: Pool,
    before: Pool,
    measure: &'a str,
    scale: f64,
}

impl Compared<'_> {
    async fn at_both(
        &self,
        filter: Option<Expr>,
    ) -> Result<(Option<f64>, Option<f64>), DataFusionError> {
        let now = self.now.measure(self.measure, filter.clone()).await?;
        let before = self.before.measure(self.measure, filter).await?;
        Ok((now, before.map(|before| before * self.scale)))
    }

    /// How much of the change in the rows that say something of it is gone without some values; `None` where that cannot
    /// be told, or those rows have not changed by half as much as all.
    async fn share(
        &self,
        values: &[(String, Option<String>)],
        whole: f64,
        is_new: bool,
    ) -> Result<Option<f64>, DataFusionError> {
        let (Some(now), Some(before)) = self.at_both(known(values)).await? else {
            return Ok(None);
        };
        if (now - before) / whole < CHANGED_MIN {
            return Ok(None);
        }
        let left = self.at_both(without(values)).await?;
        Ok(share(now, before, left, is_new))
    }

    async fn within(&self, one: &Candidate) -> Result<(Option<f64>, Option<f64>), DataFusionError> {
        let values = one.values.iter();
        let filter = values
            .map(|(name, value)| is(name, value.as_deref()))
            .reduce(Expr::and);
        self.at_both(filter).await
    }

    async fn values_of(
        &self,
        order: usize,
        name: &str,
        whole: f64,
    ) -> Result<Values, DataFusionError> {
        let (shares, before) = (
            shares(&self.now, name).await?,
            shares(&self.before, name).await?,
        );
        let mut all: Vec<_> = before.keys().chain(shares.keys()).cloned().collect();
        all.sort();
        all.dedup();
        if let [only] = all.as_slice() {
            return Ok(Values::One(only.clone()));
        }
        let of =
            |shares: &BTreeMap<String, f64>, value: &str| shares.get(value).copied().unwrap_or(0.0);
        let weight = |value: &String| of(&shares, value).max(of(&before, value));
        all.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
        all.truncate(VALUES_MAX);
        let mut found = Vec::new();
        for value in all {
            let is_new = !before.contains_key(&value);
            let traffic = weight(&value);
            if 1.0 - traffic < LEFT_MIN && !is_new {
                continue;
            }
            let values = vec![(name.to_owned(), Some(value))];
            if let Some(share) = self.share(&values, whole, is_new).await? {
                found.push(Candidate {
                    values,
                    share,
                    traffic,
                    is_new,
                    is_constant: false,
                    order,
                });
            }
        }
        Ok(Values::Several(found))
    }

    async fn pair(
        &self,
        first: &Candidate,
        second: &Candidate,
        whole: f64,
    ) -> Result<Option<Candidate>, DataFusionError> {
        let values: Vec<_> = first.values.iter().chain(&second.values).cloned().collect();
        let is_new = first.is_new || second.is_new;
        let share = self.share(&values, whole, is_new).await?;
        Ok(share.and_then(|share| first.narrowed(second, values, share)))
    }
}

/// The known values of a segment with their shares of the traffic that has one.
async fn shares(pool: &Pool, name: &str) -> Result<BTreeMap<String, f64>, DataFusionError> {
    let found = pool.shares(name).await?;
    let mut known: BTreeMap<String, f64> = found
        .into_iter()
        .filter_map(|(value, share)| Some((value?, share)))
        .collect();
    let sum: f64 = known.values().sum();
    if sum > 0.0 {
        known.values_mut().for_each(|share| *share /= sum);
    }
    Ok(known)
}
