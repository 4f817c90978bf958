//! From a budget that people can name, false alarms per week, to the run length that detectors are built with.
//!
//! ```text
//! false alarms per week ─┐
//!                        ├──▶ observations per week / false alarms per week = average run length
//! observations per week ─┘     (all streams together)
//! ```
//!
//! Why the sum over streams is enough: without a change, an e-detector's value less the number of observations is a
//! supermartingale. Each alarm takes at least the threshold out of it, so the expected number of alarms in the first n
//! observations of a stream is at most n / threshold, for every n and not only in the long run. Over streams both sides
//! add up, whatever the streams have to do with one another.

/// The average run length, in observations, that keeps the expected number of false alarms of all streams together
/// within a budget.
///
/// * `false_alarms_per_week`: the budget over all streams, above 0; less than one is one in several weeks.
/// * `observations_per_week`: how many observations all streams together are expected to make in a week, above 0.
///
/// `None` where either is not a positive, finite number. It is never below 1, the run length of a detector that always
/// fires.
///
/// Assumes detectors that start again after an alarm, such as [`EDetector`](super::e_detector::EDetector).
///
/// Source: the supermartingale of J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential
/// change detection", New England Journal of Statistics in Data Science (2023), summed over alarms as told above.
pub fn average_run_length(false_alarms_per_week: f64, observations_per_week: f64) -> Option<f64> {
    let positive = |number: f64| number.is_finite() && number > 0.0;
    if !positive(false_alarms_per_week) || !positive(observations_per_week) {
        return None;
    }
    let run_length = observations_per_week / false_alarms_per_week;
    run_length.is_finite().then(|| run_length.max(1.0))
}

#[cfg(test)]
mod tests {
    use super::average_run_length;

    #[test]
    fn the_budget_is_shared_by_all_observations() {
        assert_eq!(average_run_length(1.0, 100_000.0), Some(100_000.0));
        assert_eq!(average_run_length(0.25, 100_000.0), Some(400_000.0));
        assert_eq!(average_run_length(10.0, 2.0), Some(1.0));
    }

    #[test]
    fn what_is_no_budget_gives_no_run_length() {
        assert_eq!(average_run_length(0.0, 10.0), None);
        assert_eq!(average_run_length(1.0, f64::NAN), None);
        assert_eq!(average_run_length(1.0, -5.0), None);
        assert_eq!(average_run_length(f64::MIN_POSITIVE, f64::MAX), None);
    }
}
