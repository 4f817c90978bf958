//! CUPED: less variance in an experiment by what is known of its units from before it.
//!
//! ```text
//! y (during), x (before) of each arm ──▶ θ = cov(y, x) / var(x), within arms ──▶ y − θ (x − mean of all x) ──▶ two arms
//! ```
//!
//! Source: A. Deng, Y. Xu, R. Kohavi, T. Walker, "Improving the sensitivity of online controlled experiments by utilizing
//! pre-experiment data", WSDM 2013. One θ serves both arms. Sums are taken around each arm's own means, so that a
//! difference between arms does not enter θ.

use super::arm::Arm;

/// An experiment with the part taken out that was to be expected beforehand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adjusted {
    /// What the covariate is multiplied by.
    pub theta: f64,
    /// The control with adjusted mean and variance.
    pub control: Arm,
    /// The treatment with adjusted mean and variance.
    pub treatment: Arm,
    /// The part of the variance of the difference that is gone: the squared correlation within arms, about, 0 to 1.
    pub variance_reduction: f64,
}

/// Values of one arm's units, in the same order.
#[derive(Debug, Clone, Copy)]
pub struct Units<'a> {
    /// The values during the experiment.
    pub during: &'a [f64],
    /// The same units' values from before it, which the treatment cannot have touched.
    pub before: &'a [f64],
}

/// Sums around an arm's means.
struct Moments {
    count: f64,
    during: f64,
    before: f64,
    during_squares: f64,
    before_squares: f64,
    products: f64,
}

fn moments(units: Units<'_>) -> Option<Moments> {
    let Units { during, before } = units;
    let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
    if during.len() < 2 || during.len() != before.len() || !finite(during) || !finite(before) {
        return None;
    }
    let count = during.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let mut found = Moments {
        count,
        during: mean(during),
        before: mean(before),
        during_squares: 0.0,
        before_squares: 0.0,
        products: 0.0,
    };
    for (y, x) in during.iter().zip(before) {
        let (y, x) = (y - found.during, x - found.before);
        found.during_squares += y * y;
        found.before_squares += x * x;
        found.products += x * y;
    }
    Some(found)
}

/// Adjusts both arms by their values from before. Units without such values take the mean of the others as theirs, by the
/// caller.
///
/// Assumes that the treatment does not change `before`, and independent units. The adjusted arms go wherever arms go, such
/// as [`compare`](super::mixture_sprt::compare).
///
/// `None` where an arm has fewer than two units, the lengths differ, a value is not finite, or `before` does not vary.
pub fn adjust(control: Units<'_>, treatment: Units<'_>) -> Option<Adjusted> {
    let (control, treatment) = (moments(control)?, moments(treatment)?);
    let before_squares = control.before_squares + treatment.before_squares;
    if before_squares <= 0.0 {
        return None;
    }
    let theta = (control.products + treatment.products) / before_squares;
    let all = control.count + treatment.count;
    let center = (control.before * control.count + treatment.before * treatment.count) / all;
    let arm = |moments: &Moments| Arm {
        count: moments.count as u64,
        mean: moments.during - theta * (moments.before - center),
        variance: (moments.during_squares - 2.0 * theta * moments.products
            + theta * theta * moments.before_squares)
            .max(0.0)
            / (moments.count - 1.0),
    };
    let of_difference = |squares: fn(&Moments) -> f64| {
        let of_mean = |m: &Moments| squares(m) / (m.count - 1.0) / m.count;
        of_mean(&control) + of_mean(&treatment)
    };
    let (adjusted_control, adjusted_treatment) = (arm(&control), arm(&treatment));
    let unadjusted = of_difference(|moments| moments.during_squares);
    let adjusted = adjusted_control.variance_of_mean()? + adjusted_treatment.variance_of_mean()?;
    Some(Adjusted {
        theta,
        control: adjusted_control,
        treatment: adjusted_treatment,
        variance_reduction: if unadjusted > 0.0 {
            1.0 - adjusted / unadjusted
        } else {
            0.0
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wholly_known_beforehand_leaves_the_difference_alone() {
        let before = [1.0, 2.0, 3.0, 4.0];
        let control: Vec<f64> = before.iter().map(|x| 2.0 * x).collect();
        let treatment: Vec<f64> = before.iter().map(|x| 2.0 * x + 0.5).collect();
        let found = adjust(
            Units {
                during: &control,
                before: &before,
            },
            Units {
                during: &treatment,
                before: &before,
            },
        )
        .unwrap();
        assert!((found.theta - 2.0).abs() < 1e-12);
        assert!((found.treatment.mean - found.control.mean - 0.5).abs() < 1e-12);
        assert!((found.variance_reduction - 1.0).abs() < 1e-12);
    }

    #[test]
    fn units_that_do_not_fit_give_nothing() {
        let good = Units {
            during: &[1.0, 2.0],
            before: &[1.0, 2.0],
        };
        let with = |during: &[f64], before: &[f64]| adjust(good, Units { during, before });
        assert_eq!(with(&[1.0], &[1.0]), None, "a unit has no variance");
        assert_eq!(
            with(&[1.0, 2.0], &[1.0]),
            None,
            "a unit without a value before"
        );
        assert_eq!(with(&[1.0, f64::NAN], &[1.0, 2.0]), None, "no number");
        let same = Units {
            during: &[1.0, 2.0],
            before: &[3.0, 3.0],
        };
        assert_eq!(adjust(same, same), None);
    }
}
