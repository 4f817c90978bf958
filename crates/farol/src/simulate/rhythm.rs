//! How traffic rises and falls over the day.

/// The busiest hour, UTC.
const PEAK_HOUR: f64 = 15.0;

/// How far the day's rate swings around its mean.
const SWING: f64 = 0.5;

/// The rate at a time as a multiple of the mean rate. Its mean over a day is 1.
pub fn factor(time_us: i64) -> f64 {
    const DAY_US: i64 = 86_400_000_000;
    let hour = time_us.rem_euclid(DAY_US) as f64 / 3_600e6;
    1.0 + SWING * ((hour - PEAK_HOUR) / 24.0 * std::f64::consts::TAU).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_a_peak_a_trough_and_the_mean() {
        let at = |hour: f64| factor((hour * 3_600e6) as i64);
        assert!(
            (at(15.0) - 1.5).abs() < 1e-9
                && (at(3.0) - 0.5).abs() < 1e-9
                && (at(9.0) - 1.0).abs() < 1e-9
        );
        let mean = (0..1_440)
            .map(|minute| at(f64::from(minute) / 60.0))
            .sum::<f64>()
            / 1_440.0;
        assert!((mean - 1.0).abs() < 1e-9);
    }
}
