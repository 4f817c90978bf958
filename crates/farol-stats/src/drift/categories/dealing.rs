//! Dealing pooled values anew: a table that could as well have been, had nothing changed.
//!
//! ```text
//! pooled counts, window's size ──hypergeometric, category by category──▶ window's counts; the rest is the reference's
//! ```
//!
//! Under no change every choice of the window's values among the pooled ones is equally likely. Given both margins the
//! window's counts are then multivariate hypergeometric, however sparse they are, and that is drawn exactly, at a cost
//! that depends on the categories and not on the values.

use rand::Rng;
use statrs::function::factorial::ln_factorial;

/// Pooled counts to deal from.
pub(super) struct Dealing {
    pooled: Vec<u64>,
    window: u64,
}

impl Dealing {
    /// From the counts of both sides, which are of one length.
    pub fn of(reference: &[u64], window: &[u64]) -> Self {
        let pairs = reference.iter().zip(window);
        Self {
            pooled: pairs.map(|(r, w)| r + w).collect(),
            window: window.iter().sum(),
        }
    }

    /// Draws a table into the two slices.
    pub fn deal(&self, generator: &mut impl Rng, reference: &mut [u64], window: &mut [u64]) {
        let mut left: u64 = self.pooled.iter().sum();
        let mut wanted = self.window;
        for (place, &count) in self.pooled.iter().enumerate() {
            let taken = hypergeometric(generator, left, count, wanted);
            window[place] = taken;
            reference[place] = count - taken;
            left -= count;
            wanted -= taken;
        }
    }
}

/// How many of `marked` among `all` are in a draw of `drawn` without replacement.
fn hypergeometric(generator: &mut impl Rng, all: u64, marked: u64, drawn: u64) -> u64 {
    if marked == 0 || drawn == 0 {
        return 0;
    }
    if marked == all {
        return drawn;
    }
    // A few marked values are placed one by one, which is quicker than a probability.
    if marked <= 8 {
        let mut taken = 0;
        for before in 0..marked {
            taken += u64::from(generator.random_range(0..all - before) < drawn - taken);
        }
        return taken;
    }
    from_the_mode(generator.random(), all, marked, drawn)
}

/// Inversion: probabilities are taken from `uniform`, the mode's first and then outwards, until nothing is left of it. Takes
/// about as many steps as the standard deviation.
fn from_the_mode(uniform: f64, all: u64, marked: u64, drawn: u64) -> u64 {
    let (lowest, highest) = ((marked + drawn).saturating_sub(all), marked.min(drawn));
    let ln_choose = |n: u64, k: u64| ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    let [population, of_marked, of_drawn] = [all, marked, drawn].map(|count| count as f64);
    let mode = ((of_drawn + 1.0) * (of_marked + 1.0) / (population + 2.0)) as u64;
    let mode = mode.clamp(lowest, highest);
    let ln_mode =
        ln_choose(marked, mode) + ln_choose(all - marked, drawn - mode) - ln_choose(all, drawn);
    let (mut low, mut high) = (mode, mode);
    let (mut at_low, mut at_high) = (ln_mode.exp(), ln_mode.exp());
    let mut left = uniform - at_low;
    // Neighbours' probabilities have the ratio of these two products.
    let up = |k: f64| (of_marked - k) * (of_drawn - k);
    let down = |k: f64| k * (population - of_marked - of_drawn + k);
    while left >= 0.0 && (low > lowest || high < highest) {
        if high < highest {
            at_high *= up(high as f64) / down(high as f64 + 1.0);
            high += 1;
            left -= at_high;
            if left < 0.0 {
                return high;
            }
        }
        if low > lowest {
            at_low *= down(low as f64) / up(low as f64 - 1.0);
            low -= 1;
            left -= at_low;
            if left < 0.0 {
                return low;
            }
        }
    }
    // Either the mode took all of it, or rounding left a part below 1e-10 that belongs nowhere.
    mode
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const ROUNDS: f64 = 20_000.0;
    const POINTS: u32 = 200_000;

    fn choose(n: u64, k: u64) -> u128 {
        (0..u128::from(k)).fold(1, |sum, j| sum * (u128::from(n) - j) / (j + 1))
    }

    #[test]
    fn inversion_gives_every_count_its_share_of_the_uniform() {
        // Wide, at either edge of what is possible, and with both sides cut.
        for (all, marked, drawn) in [(40, 15, 12), (60, 50, 30), (30, 9, 28), (100, 10, 3)] {
            let mut counts = vec![0_u32; marked as usize + 1];
            for point in 0..POINTS {
                let uniform = (f64::from(point) + 0.5) / f64::from(POINTS);
                counts[from_the_mode(uniform, all, marked, drawn) as usize] += 1;
            }
            for (taken, count) in (0_u64..).zip(counts) {
                let ways = if taken <= drawn && drawn - taken <= all - marked {
                    choose(marked, taken) * choose(all - marked, drawn - taken)
                } else {
                    0
                };
                let expected = f64::from(POINTS) * ways as f64 / choose(all, drawn) as f64;
                assert!(
                    (f64::from(count) - expected).abs() <= 1.0,
                    "{taken}: {count} {expected}"
                );
            }
        }
    }

    #[test]
    fn margins_are_kept_and_means_and_variances_are_the_laws() {
        // Both ways of drawing, and a category that leaves few.
        let pooled_reference = [3, 30, 400, 0, 67];
        let pooled_window = [2, 20, 100, 0, 78];
        let dealing = Dealing::of(&pooled_reference, &pooled_window);
        let mut generator = ChaCha8Rng::seed_from_u64(1);
        let (mut reference, mut window) = ([0; 5], [0; 5]);
        let (mut sums, mut squares) = ([0.0; 5], [0.0; 5]);
        for _ in 0..ROUNDS as u32 {
            dealing.deal(&mut generator, &mut reference, &mut window);
            assert_eq!(window.iter().sum::<u64>(), 200);
            for place in 0..5 {
                assert_eq!(
                    reference[place] + window[place],
                    pooled_reference[place] + pooled_window[place]
                );
                sums[place] += window[place] as f64;
                squares[place] += (window[place] as f64).powi(2);
            }
        }
        for place in 0..5 {
            let share = (pooled_reference[place] + pooled_window[place]) as f64 / 700.0;
            let mean = 200.0 * share;
            let variance = mean * (1.0 - share) * 500.0 / 699.0;
            let found = sums[place] / ROUNDS;
            assert!(
                (found - mean).abs() <= 5.0 * (variance / ROUNDS).sqrt(),
                "{place}"
            );
            let spread = squares[place] / ROUNDS - found.powi(2);
            assert!((spread - variance).abs() <= 0.06 * variance, "{place}");
        }
    }
}
