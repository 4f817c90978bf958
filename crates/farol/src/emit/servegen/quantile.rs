//! Quantiles of the two distributions that describe the time between requests. Their scale does
//! not matter, because a window stretches its times to fill it; so the scale is 1 here.

/// The quantile of a Weibull distribution of the given shape and scale 1.
pub fn weibull(shape: f64, probability: f64) -> f64 {
    (-(-probability).ln_1p()).powf(1.0 / shape)
}

/// The quantile of a Gamma distribution of the given shape and scale 1, to a relative 1e-12.
///
/// Found by bisection on the logarithm of the value: with shapes of a hundredth, as bursty clients
/// have them, most of the distribution lies below 1e-100, where Newton's steps go astray.
pub fn gamma(shape: f64, probability: f64) -> f64 {
    let (mut low, mut high) = (-700.0_f64, (shape + 40.0 * shape.sqrt() + 60.0).ln());
    if cumulative_gamma(shape, low.exp()) >= probability {
        return 0.0;
    }
    while high - low > 1e-13 * high.abs().max(1.0) {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if cumulative_gamma(shape, middle.exp()) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high).exp()
}

/// The regularised lower incomplete gamma function P(a, x): a series below a + 1, a continued
/// fraction (Lentz's method) above, each where it converges fast.
fn cumulative_gamma(a: f64, x: f64) -> f64 {
    const STEPS_MAX: u32 = 10_000;
    let front = (a * x.ln() - x - ln_gamma(a + 1.0)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0, 1.0);
        for step in 1..STEPS_MAX {
            term *= x / (a + f64::from(step));
            sum += term;
            if term < sum * 1e-16 {
                break;
            }
        }
        return front * sum;
    }
    let mut denominator = x + 1.0 - a;
    let mut upper = 1.0 / TINY;
    let mut lower = 1.0 / denominator;
    let mut fraction = lower;
    for step in 1..STEPS_MAX {
        let step = f64::from(step);
        let numerator = -step * (step - a);
        denominator += 2.0;
        lower = 1.0 / away_from_zero(numerator * lower + denominator);
        upper = away_from_zero(denominator + numerator / upper);
        let change = lower * upper;
        fraction *= change;
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    1.0 - front * a * fraction
}

/// Keeps Lentz's method from dividing by zero.
const TINY: f64 = 1e-300;

fn away_from_zero(value: f64) -> f64 {
    if value.abs() < TINY { TINY } else { value }
}

/// The logarithm of the gamma function for positive values (Lanczos, g = 7, nine terms).
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let mut sum = TERMS[0];
    for (index, term) in TERMS.iter().enumerate().skip(1) {
        sum += term / (x + index as f64);
    }
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() <= 1e-10 * expected.abs(),
            "{found} is not {expected}"
        );
    }

    #[test]
    fn an_exponential_is_both() {
        for probability in [0.001_f64, 0.5, 0.999] {
            let expected = -(-probability).ln_1p();
            close(weibull(1.0, probability), expected);
            close(gamma(1.0, probability), expected);
        }
    }

    #[test]
    fn gamma_of_shape_a_half_is_half_a_squared_normal() {
        // Median and 95 % of chi-squared with one degree of freedom.
        close(gamma(0.5, 0.5), 0.454_936_423_119_572_7 / 2.0);
        close(gamma(0.5, 0.95), 3.841_458_820_694_124 / 2.0);
    }

    #[test]
    fn quantiles_undo_the_distribution_at_every_shape() {
        for shape in [0.0104, 0.05, 0.3, 2.0, 17.0, 129.7] {
            let mut before = 0.0;
            for rank in 0..64 {
                let probability = (f64::from(rank) + 0.5) / 64.0;
                let value = gamma(shape, probability);
                assert!(
                    value >= before && value.is_finite(),
                    "shape {shape} probability {probability}: {value}"
                );
                if value > 0.0 {
                    let back = cumulative_gamma(shape, value);
                    assert!(
                        (back - probability).abs() < 1e-9,
                        "shape {shape}: {back} is not {probability}"
                    );
                }
                before = value;
            }
        }
    }
}
