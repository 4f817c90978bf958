//! A confidence sequence for the mean of any values with a variance: the normal mixture.
//!
//! ```text
//! count, mean, variance so far ──mixture of normal bets, tuned to a sample size──▶ mean ± radius
//! ```
//!
//! Sources: S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
//! sequences", Annals of Statistics 49 (2021), the two-sided normal mixture √((v + ρ) ln((v + ρ) / (α² ρ)));
//! I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic
//! confidence sequences", Annals of Statistics 52 (2024), for an estimated variance in the place of a known one.

use super::arm::Arm;
use super::{Interval, is_error_level, mixture_strength};

/// The interval, at this time, of a confidence sequence for the mean.
///
/// * `so_far`: all values up to now.
/// * `tuned_for`: the number of values at which the sequence is narrowest, fixed before the first look; it holds at all
///   others.
/// * `alpha`: the chance that the mean is ever outside, such as 0.05.
///
/// Assumes independent values with a finite variance, or known variance and sub-Gaussian values for exactness. With the
/// variance estimated it is **asymptotic**: it holds for looks that begin at a sample size at which the central limit
/// theorem does. For values within bounds, [`bernstein_sequence`](super::bernstein_sequence) is exact.
///
/// `None` where an argument is out of range or there are no values.
pub fn mean_confidence_interval(so_far: &Arm, tuned_for: u64, alpha: f64) -> Option<Interval> {
    let variance = so_far.variance_of_mean()?;
    if tuned_for == 0 || !is_error_level(alpha) {
        return None;
    }
    let count = so_far.count as f64;
    let strength = mixture_strength(tuned_for as f64, alpha);
    let ratio = (count + strength) / strength;
    // √((v + ρ) ln((v + ρ) / (α² ρ))) / n, in units of the standard deviation.
    let boundary = (count + strength) * (ratio.ln() - 2.0 * alpha.ln());
    let radius = (variance / count * boundary).sqrt();
    Some(Interval {
        lower: so_far.mean - radius,
        upper: so_far.mean + radius,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_wider_than_the_interval_for_one_look_but_not_much() {
        let arm = Arm {
            count: 1000,
            mean: 3.0,
            variance: 4.0,
        };
        let found = mean_confidence_interval(&arm, 1000, 0.05).unwrap();
        let once = 2.0 * 1.959_964 * (4.0_f64 / 1000.0).sqrt();
        let ratio = found.width() / once;
        assert!((1.3..1.7).contains(&ratio), "{ratio}");
        assert!((f64::midpoint(found.lower, found.upper) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn arguments_out_of_range_give_nothing() {
        let arm = Arm {
            count: 10,
            mean: 0.0,
            variance: 1.0,
        };
        assert_eq!(mean_confidence_interval(&arm, 0, 0.05), None);
        assert_eq!(mean_confidence_interval(&arm, 10, 0.0), None);
        assert_eq!(mean_confidence_interval(&arm, 10, f64::NAN), None);
        let broken = Arm {
            variance: f64::NAN,
            ..arm
        };
        assert_eq!(mean_confidence_interval(&broken, 10, 0.05), None);
    }
}
