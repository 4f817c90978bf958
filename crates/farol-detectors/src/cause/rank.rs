//! How much a value explains, and which of several explains best: pure.

/// Shares that are closer than this are equal: then other things decide.
const EQUAL: f64 = 0.05;
/// What one value must explain for a pair with it to be looked at, and how much of it the pair must keep.
const REFINED_FROM: f64 = 0.6;
const KEPT: f64 = 0.9;
/// What all rows have in common is ranked like a value that explains so much.
const CONSTANT: f64 = 0.5;
/// Pairs that are tried.
const PAIRS_MAX: usize = 6;

/// One value, or a pair, that may explain a change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    /// Segments and their values.
    pub values: Vec<(String, Option<String>)>,
    /// How much of the change it explains, at most 1.
    pub share: f64,
    /// The largest part of the traffic that it had, before or since.
    pub traffic: f64,
    /// Whether it was not there before the change.
    pub is_new: bool,
    /// Whether all rows have it, so that it explains all and nothing.
    pub is_constant: bool,
    /// The place of its (first) segment among the job's.
    pub order: usize,
}

impl Candidate {
    /// What all rows have in common, if anything.
    pub fn constant(values: Vec<(String, Option<String>)>) -> Option<Self> {
        (!values.is_empty()).then_some(Self {
            values,
            share: 1.0,
            traffic: 1.0,
            is_new: false,
            is_constant: true,
            order: usize::MAX,
        })
    }

    /// What it is ranked by.
    fn weight(&self) -> f64 {
        if self.is_constant {
            CONSTANT
        } else {
            self.share
        }
    }

    /// The pair with another value, where it keeps what this one explains; it is less of the traffic by nature.
    pub fn narrowed(
        &self,
        other: &Self,
        values: Vec<(String, Option<String>)>,
        share: f64,
    ) -> Option<Self> {
        (share >= KEPT * self.share).then(|| Self {
            values,
            share,
            traffic: self.traffic.min(other.traffic),
            is_new: self.is_new || other.is_new,
            is_constant: false,
            order: self.order,
        })
    }
}

/// How much of a change from `before` to `now` is gone without something, given the measure without it now and before.
/// `None` where that cannot be told.
pub(super) fn share(
    now: f64,
    before: f64,
    without: (Option<f64>, Option<f64>),
    is_new: bool,
) -> Option<f64> {
    let change = now - before;
    if change == 0.0 || !change.is_finite() {
        return None;
    }
    let left = match without {
        (Some(now), Some(before)) => now - before,
        // All that was before is gone without it: what there is now is compared with the whole.
        (Some(now), None) => now - before,
        // Nothing is left now: it is all of the change, which says something only where it is new.
        (None, _) if is_new => 0.0,
        (None, _) => return None,
    };
    Some((1.0 - left / change).min(1.0))
}

/// The candidates, the best first: by what they explain; among equals new ones, then those with less traffic, then by the
/// order of the job's segments.
pub(super) fn ranked(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    let step = |share: f64| (share / EQUAL).round() as i64;
    candidates.sort_by(|a, b| {
        step(b.weight())
            .cmp(&step(a.weight()))
            .then(b.is_new.cmp(&a.is_new))
            .then(a.traffic.total_cmp(&b.traffic))
            .then(a.order.cmp(&b.order))
            .then_with(|| a.values.cmp(&b.values))
    });
    candidates
}

/// Pairs of ranked candidates of different segments that are worth trying, by their places.
pub(super) fn refinements(ranked: &[Candidate]) -> Vec<(usize, usize)> {
    let strong: Vec<_> = (0..ranked.len())
        .filter(|place| !ranked[*place].is_constant && ranked[*place].share >= REFINED_FROM)
        .collect();
    let mut pairs = Vec::new();
    for (at, &first) in strong.iter().enumerate() {
        for &second in &strong[at + 1..] {
            if ranked[first].order != ranked[second].order && pairs.len() < PAIRS_MAX {
                pairs.push((first, second));
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, share: f64, traffic: f64, order: usize) -> Candidate {
        Candidate {
            values: vec![(name.to_owned(), Some("v".to_owned()))],
            share,
            traffic,
            is_new: false,
            is_constant: false,
            order,
        }
    }

    #[test]
    fn a_value_explains_what_is_gone_without_it() {
        // Errors went from 1 % to 21 %, and stay at 1 % without the provider; without the environment they rise too.
        let all = (0.21, 0.01);
        let of = |without, is_new| share(all.0, all.1, without, is_new);
        assert_eq!(of((Some(0.01), Some(0.01)), false), Some(1.0));
        assert!(of((Some(0.2), Some(0.01)), false).unwrap() < 0.1);
        assert_eq!(
            of((None, Some(0.01)), true),
            Some(1.0),
            "a new version took over all"
        );
        assert_eq!(
            of((None, None), false),
            None,
            "there never was anything else"
        );
        assert_eq!(share(0.1, 0.1, (Some(0.1), Some(0.1)), false), None);
    }

    #[test]
    fn among_equals_new_and_narrow_ones_come_first() {
        let mut new = one("prompt_version", 0.99, 0.6, 5);
        new.is_new = true;
        let ranked = ranked(vec![
            one("environment", 0.98, 0.9, 1),
            one("model", 1.0, 0.3, 3),
            new.clone(),
            one("task", 0.4, 0.1, 6),
        ]);
        let names: Vec<_> = ranked.iter().map(|one| one.values[0].0.as_str()).collect();
        assert_eq!(names, ["prompt_version", "model", "environment", "task"]);
        assert_eq!(refinements(&ranked), [(0, 1), (0, 2), (1, 2)]);
    }

    #[test]
    fn what_all_have_in_common_comes_after_what_explains_most() {
        let all = vec![("provider".to_owned(), Some("v".to_owned()))];
        let ranked = ranked(vec![
            one("task", 0.3, 0.1, 6),
            Candidate::constant(all).unwrap(),
            one("model", 0.7, 0.3, 3),
        ]);
        let names: Vec<_> = ranked.iter().map(|one| one.values[0].0.as_str()).collect();
        assert_eq!(names, ["model", "provider", "task"]);
        assert!(refinements(&ranked).is_empty());
        assert_eq!(Candidate::constant(Vec::new()), None);
    }

    #[test]
    fn a_pair_must_keep_what_is_explained() {
        let (model, task) = (one("model", 1.0, 0.4, 3), one("task", 0.95, 0.5, 6));
        let values = || vec![model.values[0].clone(), task.values[0].clone()];
        assert!(model.narrowed(&task, values(), 0.97).is_some());
        assert!(model.narrowed(&task, values(), 0.5).is_none());
    }
}
