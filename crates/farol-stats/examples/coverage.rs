//! How often confidence sequences and always-valid tests are ever wrong when they are looked at all the time.
//!
//!     cargo run --release -p farol-stats --example coverage
//!
//! Seeded, so that it prints the same each time. Each line is 2,000 streams of 10,000 observations with the error set to
//! 0.05: the share of streams in which the interval missed the truth at **any** look must be 0.05 or less (but for chance:
//! 0.065 is three standard deviations). Beside it is what an interval for one look does when it is looked at as often, and
//! how wide intervals are at the end, as a multiple of the one for one look.

use farol_stats::experiment::arm::Arm;
use farol_stats::experiment::bernstein_sequence::BernsteinSequence;
use farol_stats::experiment::mean_sequence::mean_confidence_interval;
use farol_stats::experiment::mixture_sprt::compare;
use farol_stats::experiment::proportion_sequence::{
    proportion_confidence_interval, proportion_ln_e_value,
};
use farol_stats::experiment::quantile_sequence::{QuantileRanks, quantile_confidence_ranks};
use farol_stats::experiment::sample_ratio;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ALPHA: f64 = 0.05;
const ONCE: f64 = 1.959_963_984_540_054;
const STREAMS: usize = 2000;
const LENGTH: u64 = 10_000;
/// Looks at estimated variances begin here, where the central limit theorem has set in.
const FIRST_LOOK: u64 = 100;

/// Sums of a stream of values.
#[derive(Clone, Copy, Default)]
struct Sums {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }

    fn arm(&self) -> Arm {
        Arm {
            count: self.count as u64,
            mean: self.mean,
            variance: self.squares / (self.count - 1.0),
        }
    }

    fn radius_once(&self) -> f64 {
        ONCE * (self.squares / (self.count - 1.0) / self.count).sqrt()
    }
}

/// What a stream did: whether the sequence and the interval for one look were ever wrong, and the ratio of widths.
struct Stream {
    left: bool,
    once_left: bool,
    width: f64,
}

fn line(name: &str, mut stream: impl FnMut(&mut ChaCha8Rng) -> Stream) {
    let mut rng = ChaCha8Rng::seed_from_u64(20_240_604);
    let found: Vec<Stream> = (0..STREAMS).map(|_| stream(&mut rng)).collect();
    let share = |of: fn(&Stream) -> bool| {
        found.iter().filter(|stream| of(stream)).count() as f64 / STREAMS as f64
    };
    let width = found.iter().map(|stream| stream.width).sum::<f64>() / STREAMS as f64;
    let (left, once) = (share(|s| s.left), share(|s| s.once_left));
    let width = if width.is_nan() {
        "-".to_owned()
    } else {
        format!("{width:.2}")
    };
    println!("{name:<44} {left:>8.4} {once:>10.4} {width:>8}");
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (a, b): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

fn exponential(rng: &mut ChaCha8Rng) -> f64 {
    -(1.0 - rng.random::<f64>()).ln()
}

fn mean_line(name: &str, truth: f64, draw: fn(&mut ChaCha8Rng) -> f64) {
    line(name, |rng| {
        let mut sums = Sums::default();
        let mut stream = Stream {
            left: false,
            once_left: false,
            width: 0.0,
        };
        for look in 1..=LENGTH {
            sums.add(draw(rng));
            if look >= FIRST_LOOK {
                let found = mean_confidence_interval(&sums.arm(), 2000, ALPHA)
                    .expect("simulated values are finite and not all alike");
                stream.left |= !found.contains(truth);
                stream.once_left |= (sums.mean - truth).abs() > sums.radius_once();
                stream.width = found.width() / (2.0 * sums.radius_once());
            }
        }
        stream
    });
}

fn bernstein_line(name: &str, truth: f64, draw: fn(&mut ChaCha8Rng) -> f64) {
    line(name, |rng| {
        let mut sums = Sums::default();
        let mut sequence = BernsteinSequence::new(ALPHA).expect("levels are between 0 and 1");
        let mut once_left = false;
        for look in 1..=LENGTH {
            let value = draw(rng);
            sums.add(value);
            sequence
                .observe(value)
                .expect("simulated values are in 0 to 1");
            once_left |= look >= FIRST_LOOK && (sums.mean - truth).abs() > sums.radius_once();
        }
        Stream {
            // The sequence is the intersection of its intervals, so the last one shows whether any missed.
            left: !sequence.interval().contains(truth),
            once_left,
            width: sequence.interval().width() / (2.0 * sums.radius_once()),
        }
    });
}

fn proportion_line(rate: f64) {
    line(&format!("proportion, exact, rate {rate}"), |rng| {
        let (mut successes, mut left, mut once_left) = (0, false, false);
        for look in 1..=LENGTH {
            successes += u64::from(rng.random::<f64>() < rate);
            let e_value = proportion_ln_e_value(successes, look, rate)
                .expect("successes are among the trials");
            left |= e_value >= -ALPHA.ln();
            let observed = successes as f64 / look as f64;
            let radius = ONCE * (observed * (1.0 - observed) / look as f64).sqrt();
            once_left |= look >= FIRST_LOOK && (observed - rate).abs() > radius;
        }
        let observed = successes as f64 / LENGTH as f64;
        let radius = ONCE * (observed * (1.0 - observed) / LENGTH as f64).sqrt();
        let found = proportion_confidence_interval(successes, LENGTH, ALPHA)
            .expect("successes are among the trials");
        Stream {
            left,
            once_left,
            width: found.width() / (2.0 * radius),
        }
    });
}

/// `place` says of a draw whether it is below the quantile and whether it is at or below it.
fn quantile_line(name: &str, level: f64, place: fn(&mut ChaCha8Rng, f64) -> (bool, bool)) {
    let ranks: Vec<QuantileRanks> = (0..=LENGTH)
        .map(|count| {
            quantile_confidence_ranks(count, level, 2000, ALPHA)
                .expect("levels are between 0 and 1")
        })
        .collect();
    line(name, |rng| {
        let (mut below, mut at_or_below, mut left, mut once_left) = (0, 0, false, false);
        let mut width = f64::NAN;
        for look in 1..=LENGTH {
            let (strictly, or_at) = place(rng, level);
            below += u64::from(strictly);
            at_or_below += u64::from(or_at);
            let bounds = ranks[look as usize];
            left |= bounds.lower.is_some_and(|rank| rank > at_or_below);
            left |= bounds.upper.is_some_and(|rank| rank <= below);
            let count = look as f64;
            let radius = ONCE * (count * level * (1.0 - level)).sqrt();
            once_left |= look >= FIRST_LOOK
                && (level * count - radius > at_or_below as f64
                    || level * count + radius < below as f64);
            if let (Some(lower), Some(upper)) = (bounds.lower, bounds.upper) {
                width = (upper - lower) as f64 / (2.0 * radius);
            }
        }
        Stream {
            left,
            once_left,
            width,
        }
    });
}

fn difference_line(name: &str, draw: fn(&mut ChaCha8Rng, f64) -> f64, shift: f64) {
    line(name, |rng| {
        let (mut control, mut treatment) = (Sums::default(), Sums::default());
        let mut stream = Stream {
            left: false,
            once_left: false,
            width: 0.0,
        };
        for look in 1..=LENGTH / 2 {
            control.add(draw(rng, 0.0));
            treatment.add(draw(rng, shift));
            if look >= FIRST_LOOK {
                let Some(found) = compare(&control.arm(), &treatment.arm(), 0.1) else {
                    continue;
                };
                let interval = found
                    .confidence_interval(ALPHA)
                    .expect("levels are between 0 and 1");
                stream.left |= !interval.contains(shift);
                let radius = control.radius_once().hypot(treatment.radius_once());
                stream.once_left |= (found.difference - shift).abs() > radius;
                stream.width = interval.width() / (2.0 * radius);
            }
        }
        stream
    });
}

fn ratio_line() {
    line("sample ratio 50:50, Dirichlet mixture", |rng| {
        let (mut first, mut left, mut once_left) = (0, false, false);
        for look in 1..=LENGTH {
            first += u64::from(rng.random::<bool>());
            let counts = [first, look - first];
            left |= sample_ratio::ln_e_value(&counts, &[1.0, 1.0])
                .expect("successes are among the trials")
                >= -ALPHA.ln();
            if look >= FIRST_LOOK {
                once_left |= sample_ratio::chi_square(&counts, &[1.0, 1.0])
                    .expect("successes are among the trials")
                    .p_value
                    < ALPHA;
            }
        }
        Stream {
            left,
            once_left,
            width: f64::NAN,
        }
    });
}

/// When mixture tests and a test at the planned end find a real difference.
fn power() {
    println!(
        "\nA difference of two means with deviation 1, up to 5,000 units an arm, looked at after each from 100 on"
    );
    println!(
        "{:>10} {:>10} {:>22} {:>16}",
        "difference", "found", "median units an arm", "found by one look"
    );
    for shift in [0.0, 0.05, 0.1, 0.2, 0.5] {
        let mut rng = ChaCha8Rng::seed_from_u64(20_240_605);
        let (mut stops, mut at_end) = (Vec::new(), 0);
        for _ in 0..STREAMS {
            let (mut control, mut treatment) = (Sums::default(), Sums::default());
            let mut stop = None;
            for look in 1..=LENGTH / 2 {
                control.add(normal(&mut rng));
                treatment.add(normal(&mut rng) + shift);
                if look >= FIRST_LOOK && stop.is_none() {
                    let found = compare(&control.arm(), &treatment.arm(), 0.1)
                        .expect("simulated values are finite and not all alike");
                    stop = (found.p_value <= ALPHA).then_some(look);
                }
            }
            stops.extend(stop);
            let radius = control.radius_once().hypot(treatment.radius_once());
            at_end += usize::from((treatment.mean - control.mean).abs() > radius);
        }
        stops.sort_unstable();
        let share = stops.len() as f64 / STREAMS as f64;
        let median = if share > 0.5 {
            stops[STREAMS / 2].to_string()
        } else {
            "-".to_owned()
        };
        println!(
            "{shift:>10} {share:>10.4} {median:>22} {:>16.4}",
            at_end as f64 / STREAMS as f64
        );
    }
}

fn main() {
    println!(
        "{:<44} {:>8} {:>10} {:>8}",
        "", "ever out", "one look's", "width"
    );
    mean_line("mean, asymptotic, normal", 0.0, normal);
    mean_line("mean, asymptotic, exponential (skewed)", 1.0, exponential);
    bernstein_line("mean in 0 to 1, Bernstein, uniform", 0.5, |rng| {
        rng.random()
    });
    bernstein_line("mean in 0 to 1, Bernstein, yes with 0.05", 0.05, |rng| {
        f64::from(u8::from(rng.random::<f64>() < 0.05))
    });
    bernstein_line("mean in 0 to 1, Bernstein, fourth power", 0.2, |rng| {
        rng.random::<f64>().powi(4)
    });
    for rate in [0.5, 0.85, 0.99, 0.01] {
        proportion_line(rate);
    }
    let continuous = |rng: &mut ChaCha8Rng, level: f64| {
        let below = rng.random::<f64>() < level;
        (below, below)
    };
    quantile_line("median, continuous", 0.5, continuous);
    quantile_line("95th percentile, continuous", 0.95, continuous);
    quantile_line("99th percentile, continuous", 0.99, continuous);
    // The quantile is a value that a tenth of draws take: strictly below are 0.05 less than the level, at most 0.05 more.
    quantile_line("median of ties", 0.5, |rng, level| {
        let draw = rng.random::<f64>();
        (draw < level - 0.05, draw < level + 0.05)
    });
    difference_line(
        "difference, mixture test, normal, none",
        |rng, shift| normal(rng) + shift,
        0.0,
    );
    difference_line(
        "difference, mixture test, normal, 0.2",
        |rng, shift| normal(rng) + shift,
        0.2,
    );
    difference_line(
        "difference, rates 0.2 and 0.25",
        |rng, shift| f64::from(u8::from(rng.random::<f64>() < 0.2 + shift)),
        0.05,
    );
    ratio_line();
    power();
}
