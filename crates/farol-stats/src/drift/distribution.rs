//! A piecewise distribution function: how many values are at or below each value.
//!
//! ```text
//! samples ──sorted, ties counted──────────┐
//!                                         ├──▶ Distribution: (value, cumulative count), …
//! sketch's bins: (value, cumulative count)┘          │
//!                                                    └── two of them, walked together ──▶ (value, count, count), …
//! ```
//!
//! Kolmogorov–Smirnov and Wasserstein-1 look at nothing but this, so samples and mergeable sketches share their code. A
//! bin of a sketch counts as if all its values were at the bin's own value; what that costs is stated by the methods that
//! take a [`SketchAccuracy`].

/// How far a sketch's values are from those that it was fed.
///
/// A DDSketch promises `|value − bin's value| ≤ relative · |value|` outside a small interval around zero, whose values all
/// count as zero. Source: C. Masson, J. Rim, H. Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
/// relative-error guarantees", VLDB (2019).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SketchAccuracy {
    /// The relative accuracy, above 0 and below 1.
    pub relative: f64,
    /// Values within this distance of zero are counted as zero, in the unit of the values.
    pub near_zero: f64,
}

impl SketchAccuracy {
    /// The farthest that a value can be from the bin's value that stands for it.
    ///
    /// The promise is relative to the unknown value x; with `|x − v| ≤ α|x|`, x is at most `|v| / (1 − α)`.
    pub(super) fn farthest(self, value: f64) -> f64 {
        self.near_zero + self.relative / (1.0 - self.relative) * value.abs()
    }

    /// Whether the two figures are such as a sketch can have.
    pub(super) fn is_valid(self) -> bool {
        self.relative > 0.0
            && self.relative < 1.0
            && self.near_zero >= 0.0
            && self.near_zero.is_finite()
    }
}

/// A quantity computed from sketches, with the range in which the one of the values themselves lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounded {
    /// What the sketches say.
    pub value: f64,
    /// The values' own is at least this.
    pub lower: f64,
    /// The values' own is at most this; infinite where the sketches bound nothing.
    pub upper: f64,
}

/// An empirical distribution function: strictly increasing values, each with the count of values at or below it.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    steps: Vec<(f64, u64)>,
}

/// A value of either of two distributions, with how many of each are at or below it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    pub value: f64,
    pub reference: u64,
    pub window: u64,
}

impl Distribution {
    /// The distribution of a sample. `None` where it is empty or has a value that is not finite.
    pub fn from_samples(samples: &[f64]) -> Option<Self> {
        if samples.is_empty() || samples.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut sorted = samples.to_vec();
        // By the bytes of its keys: at a million values three quarters of what comparing them takes.
        radsort::sort(&mut sorted);
        let mut steps = Vec::new();
        let mut count = 0;
        // In ascending order at least is equal; minus zero equals zero.
        for equal in sorted.chunk_by(|a, b| a >= b) {
            count += equal.len() as u64;
            steps.push((equal[0], count));
        }
        Some(Self { steps })
    }

    /// The distribution that a sketch keeps: (value, count of values at or below it) for each bin.
    ///
    /// `None` where the values do not increase strictly or are not finite, where the counts fall, or where there are none.
    pub fn from_cumulative(steps: &[(f64, u64)]) -> Option<Self> {
        let ordered = steps
            .windows(2)
            .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let finite = steps.iter().all(|step| step.0.is_finite());
        let counted = steps.last().is_some_and(|last| last.1 > 0);
        (ordered && finite && counted).then(|| Self {
            steps: steps.to_vec(),
        })
    }

    /// How many values there are; never 0.
    pub fn count(&self) -> u64 {
        self.steps.last().map_or(0, |last| last.1)
    }

    /// Each value with how many there are of it.
    pub(super) fn masses(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut before = 0;
        self.steps.iter().map(move |&(value, count)| {
            let mass = count - before;
            before = count;
            (value, mass)
        })
    }

    /// The mean of a function of the values.
    pub(super) fn mean_of(&self, function: impl Fn(f64) -> f64) -> f64 {
        let sum: f64 = self
            .masses()
            .map(|(value, mass)| function(value) * mass as f64)
            .sum();
        sum / self.count() as f64
    }

    /// The mean, in the unit of the values.
    pub fn mean(&self) -> f64 {
        self.mean_of(|value| value)
    }

    /// The standard deviation of these values as a whole population (divided by n), in their unit.
    pub fn standard_deviation(&self) -> f64 {
        let mean = self.mean();
        self.mean_of(|value| (value - mean).powi(2)).sqrt()
    }

    /// The values of both distributions in order, each with both cumulative counts.
    pub(super) fn walk<'a>(&'a self, window: &'a Self) -> impl Iterator<Item = Step> + 'a {
        let (mut here, mut there) = (self.steps.iter().peekable(), window.steps.iter().peekable());
        let (mut reference, mut other) = (0, 0);
        std::iter::from_fn(move || {
            let next = |step: Option<&&(f64, u64)>| step.map_or(f64::INFINITY, |step| step.0);
            let value = next(here.peek()).min(next(there.peek()));
            if value.is_infinite() {
                return None;
            }
            if let Some(step) = here.next_if(|step| step.0 <= value) {
                reference = step.1;
            }
            if let Some(step) = there.next_if(|step| step.0 <= value) {
                other = step.1;
            }
            Some(Step {
                value,
                reference,
                window: other,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_and_their_steps_are_one_distribution() {
        let samples = Distribution::from_samples(&[3.0, 1.0, 3.0, -0.0, 0.0]).unwrap();
        let steps = Distribution::from_cumulative(&[(0.0, 2), (1.0, 3), (3.0, 5)]).unwrap();
        assert_eq!(samples, steps);
        assert_eq!(samples.count(), 5);
        assert!((samples.mean() - 1.4).abs() < 1e-15);
        assert!((samples.standard_deviation() - 1.84_f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        assert_eq!(Distribution::from_samples(&[]), None);
        assert_eq!(Distribution::from_samples(&[1.0, f64::NAN]), None);
        assert_eq!(Distribution::from_samples(&[f64::INFINITY]), None);
        assert_eq!(Distribution::from_cumulative(&[]), None);
        assert_eq!(Distribution::from_cumulative(&[(1.0, 0)]), None);
        assert_eq!(Distribution::from_cumulative(&[(1.0, 1), (1.0, 2)]), None);
        assert_eq!(Distribution::from_cumulative(&[(1.0, 2), (2.0, 1)]), None);
        assert_eq!(Distribution::from_cumulative(&[(f64::NAN, 2)]), None);
    }

    #[test]
    fn two_are_walked_together_in_order() {
        let reference = Distribution::from_samples(&[1.0, 2.0]).unwrap();
        let window = Distribution::from_samples(&[2.0, 2.0, 5.0]).unwrap();
        let steps: Vec<_> = reference
            .walk(&window)
            .map(|step| (step.value, step.reference, step.window))
            .collect();
        assert_eq!(steps, [(1.0, 1, 0), (2.0, 2, 2), (5.0, 2, 3)]);
    }
}
