//! Is a Wasserstein distance more than sampling noise? Its null, its debiased effect and its p-value.
//!
//! ```text
//! samples ──▶ W ───────────────────────────────┐
//!    └─ pooled, labels dealt anew, W again ×R ─┴──▶ p, effect = (W − mean of the R) / reference's deviation
//!
//! sketches ─▶ W ───────────────────────────────┐
//!    └─ pooled F, a Brownian bridge on it ×R ──┴──▶ the same
//! ```
//!
//! Two samples of one distribution are never equal: at n = m = 100 their W is about 0.18 standard deviations. So the mean
//! under no change is subtracted. A true shift is then understated, by less than that mean.

use rand::Rng;
use rand::seq::index::sample;
use rand_distr::StandardNormal;

use super::distribution::Distribution;
use super::resampling::{Null, Resampling};
use super::wasserstein::wasserstein;

/// A Wasserstein distance beside what it would be under no change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WassersteinTest {
    /// W, in the unit of the values.
    pub distance: f64,
    /// The mean of W under no change at these sizes, in the unit of the values.
    pub expected: f64,
    /// (W − expected) in standard deviations of the reference, at least 0. `None` where the reference is constant.
    pub effect: Option<f64>,
    /// P(a W at least as large) under no change.
    pub p_value: f64,
}

impl WassersteinTest {
    fn of(reference: &Distribution, distance: f64, null: &Null) -> Option<Self> {
        let expected = null.mean()?;
        let deviation = reference.standard_deviation();
        Some(Self {
            distance,
            expected,
            effect: (deviation > 0.0).then(|| (distance - expected).max(0.0) / deviation),
            p_value: null.p_value(distance),
        })
    }
}

/// Tests samples by permutation: the pooled values are dealt anew into a reference and a window of the same sizes.
///
/// The p-value is exact for independent values of any distribution, with or without ties; `expected` is the mean over the
/// permutations. `None` where a sample is empty, a value is not finite or there are no rounds. Takes
/// rounds · (n + m) steps. Source: B. Efron, R. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 15.
pub fn wasserstein_permutation_test(
    reference: &[f64],
    window: &[f64],
    resampling: Resampling,
) -> Option<WassersteinTest> {
    let before = Distribution::from_samples(reference)?;
    let after = Distribution::from_samples(window)?;
    let mut pooled = [reference, window].concat();
    pooled.sort_unstable_by(f64::total_cmp);
    let (n, m) = (reference.len(), window.len());
    let (fewer, more) = (n.min(m), n.max(m));
    let mut marked = vec![false; pooled.len()];
    let null = resampling.draw(|generator| {
        let chosen = sample(generator, pooled.len(), fewer);
        chosen.iter().for_each(|place| marked[place] = true);
        let distance = dealt_distance(&pooled, &marked, (fewer as f64, more as f64));
        chosen.iter().for_each(|place| marked[place] = false);
        distance
    });
    WassersteinTest::of(&before, wasserstein(&before, &after), &null)
}

/// W between the marked values and the others, of which there are as many as `sizes` says.
fn dealt_distance(pooled: &[f64], marked: &[bool], sizes: (f64, f64)) -> f64 {
    let (mut here, mut there) = (0_u32, 0_u32);
    let mut sum = 0.0;
    for (pair, &is_marked) in pooled.windows(2).zip(marked) {
        here += u32::from(is_marked);
        there += u32::from(!is_marked);
        let distance = (f64::from(here) / sizes.0 - f64::from(there) / sizes.1).abs();
        sum += distance * (pair[1] - pair[0]);
    }
    sum
}

/// Tests distribution functions, a sketch's among them, by the asymptotic null: W·√(nm / (n + m)) is ∫ |B(H(x))| dx, with
/// B a Brownian bridge and H the pooled distribution function. Bridges are drawn from the seed.
///
/// Right for large samples (some hundred values each and more), from a sketch for the values as rounded to their bins.
/// `expected` is the closed form of [`wasserstein_expected`]. `None` without rounds. Takes rounds · bins steps.
///
/// Source: E. del Barrio, E. Giné, C. Matrán, "Central limit theorems for the Wasserstein distance between the empirical
/// and the true distributions", Ann. Probab. 27 (1999).
pub fn wasserstein_asymptotic_test(
    reference: &Distribution,
    window: &Distribution,
    resampling: Resampling,
) -> Option<WassersteinTest> {
    let scale = noise_scale(reference, window);
    let pooled: Vec<(f64, f64)> = pooled_function(reference, window).collect();
    let null = resampling.draw(|generator| {
        // The bridge's area depends on its own end, so the walk is kept until that is known.
        let mut walk = Vec::with_capacity(pooled.len());
        let (mut height, mut time) = (0.0, 0.0);
        for &(at, _) in &pooled {
            let normal: f64 = generator.sample(StandardNormal);
            height += (at - time).sqrt() * normal;
            time = at;
            walk.push(height);
        }
        let area: f64 = pooled
            .iter()
            .zip(&walk)
            .map(|(&(at, gap), here)| (here - at * height).abs() * gap)
            .sum();
        scale * area
    });
    let test = WassersteinTest::of(reference, wasserstein(reference, window), &null)?;
    let expected = wasserstein_expected(reference, window);
    let deviation = reference.standard_deviation();
    Some(WassersteinTest {
        expected,
        effect: (deviation > 0.0).then(|| (test.distance - expected).max(0.0) / deviation),
        ..test
    })
}

/// What W is on average under no change, in the unit of the values: √(2/π) · √(1/n + 1/m) · ∫ √(H(1 − H)) dx.
///
/// At each value F − G is nearly normal with variance H(1 − H)(1/n + 1/m), and a normal's mean magnitude is √(2/π) of its
/// deviation. Derived from the central limit theorem, so it is for large samples.
pub fn wasserstein_expected(reference: &Distribution, window: &Distribution) -> f64 {
    let area: f64 = pooled_function(reference, window)
        .map(|(at, gap)| (at * (1.0 - at)).sqrt() * gap)
        .sum();
    (2.0 / std::f64::consts::PI).sqrt() * noise_scale(reference, window) * area
}

/// √(1/n + 1/m).
fn noise_scale(reference: &Distribution, window: &Distribution) -> f64 {
    (1.0 / reference.count() as f64 + 1.0 / window.count() as f64).sqrt()
}

/// The pooled distribution function at each value, with the gap to the next value; the last, at 1, has no gap.
fn pooled_function<'a>(
    reference: &'a Distribution,
    window: &'a Distribution,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    let all = (reference.count() + window.count()) as f64;
    let mut steps = reference.walk(window).peekable();
    std::iter::from_fn(move || {
        let step = steps.next()?;
        let gap = steps.peek().map_or(0.0, |next| next.value - step.value);
        Some(((step.reference + step.window) as f64 / all, gap))
    })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const RESAMPLING: Resampling = Resampling {
        rounds: 999,
        seed: 7,
    };

    fn normals(count: usize, shift: f64, seed: u64) -> Vec<f64> {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        (0..count)
            .map(|_| shift + generator.sample::<f64, _>(StandardNormal))
            .collect()
    }

    #[test]
    fn both_nulls_agree_on_large_samples() {
        let (reference, window) = (normals(2_000, 0.0, 1), normals(1_000, 0.08, 2));
        let exact = wasserstein_permutation_test(&reference, &window, RESAMPLING).unwrap();
        let [before, after] =
            [&reference, &window].map(|sample| Distribution::from_samples(sample).unwrap());
        let asymptotic = wasserstein_asymptotic_test(&before, &after, RESAMPLING).unwrap();
        assert!((exact.p_value - asymptotic.p_value).abs() < 0.03);
        assert!((exact.expected / asymptotic.expected - 1.0).abs() < 0.05);
        assert!((exact.distance - asymptotic.distance).abs() < 1e-12);
    }

    #[test]
    fn no_change_is_rarely_an_effect_and_a_shift_always() {
        let mut alarms = 0;
        for seed in 0..40 {
            let reference = normals(100, 0.0, 2 * seed);
            let resampling = Resampling { rounds: 199, seed };
            let same = wasserstein_permutation_test(
                &reference,
                &normals(80, 0.0, 2 * seed + 1),
                resampling,
            );
            alarms += u32::from(same.unwrap().p_value <= 0.05);
            let moved = wasserstein_permutation_test(
                &reference,
                &normals(80, 1.0, 2 * seed + 1),
                resampling,
            )
            .unwrap();
            assert!(moved.p_value <= 0.01 && moved.effect.unwrap() > 0.4);
        }
        // Binomial(40, 0.05) exceeds 7 with a chance of 0.0007.
        assert!(alarms <= 7, "{alarms}");
    }

    #[test]
    fn a_constant_reference_has_a_p_value_and_no_effect() {
        let test = wasserstein_permutation_test(&[1.0; 30], &[2.0; 30], RESAMPLING).unwrap();
        assert_eq!(test.effect, None);
        assert!((test.p_value - 0.001).abs() < 1e-12);
        assert_eq!(wasserstein_permutation_test(&[], &[1.0], RESAMPLING), None);
        let none = Resampling { rounds: 0, seed: 1 };
        assert_eq!(wasserstein_permutation_test(&[1.0], &[1.0], none), None);
    }
}
