//! The measures of a job that a detector looks at, and how each is watched.

use farol_jobs::{Better, Job, Measure, Partial, PartialKind, suggestion};
use serde_saphyr::Spanned;

use super::check::{Asked, Check, Looked};
use super::file::Words;
use super::{Method, Watched};
use farol_stats::watch::Direction;

/// The unit of measures that are shares.
const RATIO: &str = "ratio";

impl Check<'_> {
    pub(super) fn measures(
        &mut self,
        written: &Words,
        job: &Job,
        asked: Asked,
        looked: Looked,
        of_all: bool,
    ) -> Vec<Watched> {
        if written.is("better") {
            let judged = job
                .measures()
                .iter()
                .filter(|measure| measure.better.is_some());
            return judged
                .filter_map(|measure| watched(job, measure, asked, looked))
                .collect();
        }
        let mut found = Vec::new();
        for word in written.all() {
            let measure = job
                .measures()
                .iter()
                .find(|measure| measure.name == word.value);
            let partial = job
                .partials()
                .iter()
                .find(|partial| partial.name == word.value && partial.kind == PartialKind::Sum);
            let one = match (measure, partial) {
                (Some(measure), _) => watched(job, measure, asked, looked),
                (None, Some(_)) if asked == Asked::Comparison => None,
                (None, Some(_)) => direction_of(None, looked).map(|direction| Watched {
                    measure: word.value.clone(),
                    direction,
                    method: Method::Series,
                }),
                (None, None) if of_all => continue,
                (None, None) => {
                    let names = job.measures().iter().map(|measure| measure.name.as_str());
                    let help = suggestion(&word.value, names);
                    let message = format!("job `{}` has no measure `{}`", job.name(), word.value);
                    self.say(word, message, Some(help));
                    continue;
                }
            };
            if let Some(one) = one {
                found.push(one);
            } else {
                let better = measure.and_then(|measure| measure.better);
                self.unfit(word, asked, direction_of(better, looked).is_none());
            }
        }
        found
    }

    fn unfit(&mut self, word: &Spanned<String>, asked: Asked, is_undirected: bool) {
        let name = &word.value;
        let (message, help) = match asked {
            Asked::Rate => (
                format!("`{name}` is no ratio of two sums"),
                "write method: auto, or method: series",
            ),
            Asked::Comparison if !is_undirected => (
                format!("`{name}` is no mean: of few calls it is another than of many"),
                "compare versions by ratios of sums, such as latency_mean_ms",
            ),
            _ => (
                format!("the job does not say which way of `{name}` is better"),
                "write direction: increase, decrease or both",
            ),
        };
        self.say(word, message, Some(help.to_owned()));
    }
}

/// A measure as it is watched; `None` where it cannot be watched like that.
fn watched(job: &Job, measure: &Measure, asked: Asked, looked: Looked) -> Option<Watched> {
    let direction = direction_of(measure.better, looked)?;
    let rate = rate_of(job, measure).filter(|_| asked != Asked::Series);
    let method = match (asked, rate) {
        (Asked::Comparison, rate) if is_mean(job, measure) => Method::Comparison {
            of_shares: rate.is_some(),
        },
        (Asked::Rate, None) | (Asked::Comparison, _) => return None,
        // A rate has one bound, beyond which it is watched.
        (Asked::Auto, Some(_)) if direction == Direction::Both => Method::Series,
        (_, Some(method)) => method,
        (_, None) => Method::Series,
    };
    Some(Watched {
        measure: measure.name.clone(),
        direction,
        method,
    })
}

fn direction_of(better: Option<Better>, looked: Looked) -> Option<Direction> {
    match (looked, better) {
        (Looked::Given(direction), _) => Some(direction),
        (Looked::Worse, Some(Better::Lower)) => Some(Direction::Increase),
        (Looked::Worse, Some(Better::Higher)) => Some(Direction::Decrease),
        (Looked::Worse, None) => None,
    }
}

/// The two sums that a share is made of, where it is one: `a / b`, where both are made of counts that are added.
fn rate_of(job: &Job, measure: &Measure) -> Option<Method> {
    if measure.unit.as_deref() != Some(RATIO) {
        return None;
    }
    let (ones, trials) = measure.text.split_once('/')?;
    let is_count = |partial: &Partial| partial.data_type.is_integer();
    (is_sums(job, ones, is_count) && is_sums(job, trials, is_count)).then(|| Method::Rate {
        ones: ones.trim().to_owned(),
        trials: trials.trim().to_owned(),
    })
}

/// Whether a measure is a mean: sums by sums, perhaps times a number. Of few calls it is as large as of many; a quantile or a
/// maximum is not.
fn is_mean(job: &Job, measure: &Measure) -> bool {
    let Some((above, below)) = measure.text.split_once('/') else {
        return false;
    };
    let mut below = below.split(['/', '*']);
    let any = |_: &Partial| true;
    is_sums(job, above, any)
        && below.next().is_some_and(|below| is_sums(job, below, any))
        && below.all(|factor| factor.trim().parse::<f64>().is_ok())
}

/// Whether an expression is made of sums of a job that are added, and of nothing else.
fn is_sums(job: &Job, text: &str, fits: impl Fn(&Partial) -> bool) -> bool {
    let mut names = text
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|name| !name.is_empty())
        .peekable();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_+() ".contains(c);
    let is_sum = |name: &str| {
        job.partials().iter().any(|partial| {
            partial.name == name && partial.kind == PartialKind::Sum && fits(partial)
        })
    };
    text.chars().all(plain) && names.peek().is_some() && names.all(is_sum)
}
