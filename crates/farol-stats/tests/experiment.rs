//! Sequences, tests and posteriors against SciPy, NumPy and numerical integrals: `golden/experiment.py`. How often
//! sequences leave the truth is simulated here in small, and in `examples/coverage.rs` at length.

use farol_stats::experiment::arm::Arm;
use farol_stats::experiment::bernstein_sequence::BernsteinSequence;
use farol_stats::experiment::beta_posterior::BetaPosterior;
use farol_stats::experiment::cuped::{self, Units};
use farol_stats::experiment::mean_sequence::mean_confidence_interval;
use farol_stats::experiment::mixture_sprt::compare;
use farol_stats::experiment::proportion_sequence::{
    proportion_confidence_interval, proportion_ln_e_value,
};
use farol_stats::experiment::quantile_sequence::quantile_confidence_ranks;
use farol_stats::experiment::{Interval, sample_ratio};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Mean {
    count: u64,
    observed: f64,
    variance: f64,
    tuned_for: u64,
    alpha: f64,
    lower: f64,
    upper: f64,
}

#[derive(Deserialize)]
struct Bernstein {
    alpha: f64,
    values: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
}

#[derive(Deserialize)]
struct Proportion {
    successes: u64,
    trials: u64,
    alpha: f64,
    lower: f64,
    upper: f64,
    rate: f64,
    ln_e_value: f64,
}

#[derive(Deserialize)]
struct Quantile {
    count: u64,
    level: f64,
    tuned_for: u64,
    alpha: f64,
    lower: Option<u64>,
    upper: Option<u64>,
}

#[derive(Deserialize)]
struct Compared {
    control: Vec<f64>,
    treatment: Vec<f64>,
    scale: f64,
    difference: f64,
    ln_ratio: f64,
    p_value: f64,
    lower: f64,
    upper: f64,
}

#[derive(Deserialize)]
struct Cuped {
    control: (Vec<f64>, Vec<f64>),
    treatment: (Vec<f64>, Vec<f64>),
    theta: f64,
    means: (f64, f64),
    variances: (f64, f64),
    reduction: f64,
}

#[derive(Deserialize)]
struct Ratio {
    counts: Vec<u64>,
    planned: Vec<f64>,
    statistic: f64,
    p_value: f64,
    ln_e_value: f64,
}

#[derive(Deserialize)]
struct PosteriorArm {
    successes: u64,
    trials: u64,
    mean: f64,
    lower: f64,
    upper: f64,
}

#[derive(Deserialize)]
struct Posterior {
    prior: (f64, f64),
    arms: (PosteriorArm, PosteriorArm),
    above: f64,
}

#[derive(Deserialize)]
struct Jeffreys {
    successes: u64,
    trials: u64,
    lower: f64,
    upper: f64,
}

#[derive(Deserialize)]
struct Golden {
    means: Vec<Mean>,
    bernsteins: Vec<Bernstein>,
    proportions: Vec<Proportion>,
    quantiles: Vec<Quantile>,
    comparisons: Vec<Compared>,
    cupeds: Vec<Cuped>,
    ratios: Vec<Ratio>,
    posteriors: Vec<Posterior>,
    jeffreys: Vec<Jeffreys>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/experiment.json")).expect("the golden file")
}

fn assert_close(found: f64, expected: f64, what: &str) {
    let close = (found - expected).abs() <= TOLERANCE * (1.0 + expected.abs());
    assert!(close, "{what}: {found} {expected}");
}

fn assert_interval(found: Option<Interval>, lower: f64, upper: f64, what: &str) {
    let found = found.expect("an interval");
    assert_close(found.lower, lower, what);
    assert_close(found.upper, upper, what);
}

#[test]
fn the_mean_sequence_is_the_integrated_mixture() {
    for case in golden().means {
        let arm = Arm {
            count: case.count,
            mean: case.observed,
            variance: case.variance,
        };
        let found = mean_confidence_interval(&arm, case.tuned_for, case.alpha);
        assert_interval(found, case.lower, case.upper, "mean");
    }
}

#[test]
fn the_bernstein_sequence_is_its_formula_at_every_step() {
    for case in golden().bernsteins {
        let mut sequence = BernsteinSequence::new(case.alpha).expect("a level");
        for (step, value) in case.values.iter().enumerate() {
            let found = sequence.observe(*value);
            assert_interval(found, case.lower[step], case.upper[step], "step");
        }
        assert_eq!(sequence.count(), case.values.len() as u64);
    }
}

#[test]
fn the_proportion_sequence_ends_where_the_integrated_e_value_does() {
    for case in golden().proportions {
        let what = format!("{} of {}", case.successes, case.trials);
        let found = proportion_confidence_interval(case.successes, case.trials, case.alpha);
        assert_interval(found, case.lower, case.upper, &what);
        let e_value = proportion_ln_e_value(case.successes, case.trials, case.rate);
        assert_close(e_value.expect("an e-value"), case.ln_e_value, &what);
    }
}

#[test]
fn quantile_ranks_are_those_of_the_integrated_mixture() {
    let cases = golden().quantiles;
    assert!(cases.len() >= 7);
    for case in cases {
        let found = quantile_confidence_ranks(case.count, case.level, case.tuned_for, case.alpha)
            .expect("ranks");
        let what = format!("{} of {}", case.level, case.count);
        assert_eq!(
            (found.lower, found.upper),
            (case.lower, case.upper),
            "{what}"
        );
    }
}

#[test]
fn the_mixture_test_is_its_integral() {
    for case in golden().comparisons {
        let control = Arm::of_values(&case.control).expect("values");
        let treatment = Arm::of_values(&case.treatment).expect("values");
        let found = compare(&control, &treatment, case.scale).expect("a comparison");
        assert_close(found.difference, case.difference, "difference");
        assert_close(found.ln_likelihood_ratio, case.ln_ratio, "ln Λ");
        assert_close(found.p_value, case.p_value, "p");
        assert_interval(
            found.confidence_interval(0.05),
            case.lower,
            case.upper,
            "interval",
        );
    }
}

#[test]
fn cuped_is_least_squares_within_arms() {
    for case in golden().cupeds {
        let control = Units {
            during: &case.control.0,
            before: &case.control.1,
        };
        let treatment = Units {
            during: &case.treatment.0,
            before: &case.treatment.1,
        };
        let found = cuped::adjust(control, treatment).expect("an adjustment");
        assert_close(found.theta, case.theta, "θ");
        assert_close(found.control.mean, case.means.0, "control");
        assert_close(found.treatment.mean, case.means.1, "treatment");
        assert_close(
            found.control.variance,
            case.variances.0,
            "control's variance",
        );
        assert_close(
            found.treatment.variance,
            case.variances.1,
            "treatment's variance",
        );
        assert_close(found.variance_reduction, case.reduction, "reduction");
    }
}

#[test]
fn the_sample_ratio_test_is_that_of_scipy_and_its_e_value_an_urn() {
    for case in golden().ratios {
        let what = format!("{:?}", case.counts);
        let found = sample_ratio::chi_square(&case.counts, &case.planned).expect("a test");
        assert_close(found.statistic, case.statistic, &what);
        assert!(
            (found.p_value / case.p_value - 1.0).abs() < TOLERANCE,
            "{what}"
        );
        let e_value = sample_ratio::ln_e_value(&case.counts, &case.planned).expect("an e-value");
        assert_close(e_value, case.ln_e_value, &what);
    }
}

#[test]
fn posteriors_are_those_of_scipy() {
    for case in golden().posteriors {
        let posterior = |arm: &PosteriorArm| {
            let found = BetaPosterior::new(case.prior.0, case.prior.1, arm.successes, arm.trials);
            let found = found.expect("a posterior");
            let what = format!("{} of {}", arm.successes, arm.trials);
            assert_close(found.mean(), arm.mean, &what);
            assert_interval(found.credible_interval(0.95), arm.lower, arm.upper, &what);
            found
        };
        let (first, second) = (posterior(&case.arms.0), posterior(&case.arms.1));
        assert_close(first.probability_above(&second), case.above, "above");
        assert_close(second.probability_above(&first), 1.0 - case.above, "below");
    }
    for case in golden().jeffreys {
        let found = BetaPosterior::new(0.5, 0.5, case.successes, case.trials).expect("a posterior");
        assert_interval(
            found.credible_interval(0.99),
            case.lower,
            case.upper,
            "Jeffreys",
        );
    }
}

/// How many of 400 streams ever leave the truth in 500 looks must be at most α of them, but for chance: 20, and three
/// standard deviations are 13.
const STREAMS: u32 = 400;
const LOOKS: u64 = 500;
const MOST_LEAVING: u32 = 33;

#[test]
fn sequences_hold_at_all_looks_at_once() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let limit = 20.0_f64.ln();
    let ranks: Vec<_> = (0..=LOOKS)
        .map(|look| quantile_confidence_ranks(look, 0.5, 300, 0.05).expect("a level"))
        .collect();
    let (mut bernstein_left, mut proportion_left, mut quantile_left, mut once_left) = (0, 0, 0, 0);
    for _ in 0..STREAMS {
        let mut bernstein = BernsteinSequence::new(0.05).expect("a level");
        let (mut successes, mut below) = (0, 0);
        let (mut proportion, mut quantile, mut once) = (false, false, false);
        for look in 1..=LOOKS {
            let value: f64 = rng.random();
            // The square of a uniform value: a skewed one with mean 1/3 and median 1/4.
            bernstein.observe(value * value).expect("a value");
            below += u64::from(value < 0.5);
            successes += u64::from(rng.random::<f64>() < 0.1);
            let e_value = proportion_ln_e_value(successes, look, 0.1).expect("counts");
            proportion |= e_value >= limit;
            let bounds = ranks[look as usize];
            quantile |= bounds.lower.is_some_and(|rank| rank > below)
                || bounds.upper.is_some_and(|rank| rank <= below);
            // The interval for one look, taken at every look, as a check that this would be found out.
            let rate = successes as f64 / look as f64;
            let radius = 1.96 * (rate * (1.0 - rate) / look as f64).sqrt();
            once |= look >= 100 && (rate - 0.1).abs() > radius;
        }
        bernstein_left += u32::from(!bernstein.interval().contains(1.0 / 3.0));
        proportion_left += u32::from(proportion);
        quantile_left += u32::from(quantile);
        once_left += u32::from(once);
    }
    for left in [bernstein_left, proportion_left, quantile_left] {
        assert!(left <= MOST_LEAVING, "{left}");
    }
    assert!(once_left > 2 * MOST_LEAVING, "{once_left}");
}
