//! How long e-detectors run without a change, and how soon they see one, beside CUSUM at equal run length.
//!
//!     cargo run --release -p farol-stats --example run_length
//!
//! Seeded, so that it prints the same each time. Five tables:
//!
//! 1. Mean run length without a change over 1,000 runs. Runs are cut at eight times the asked length and count as that
//!    long, so the mean is a lower bound of the true one.
//! 2. Median delay of detection in observations, with the change at the start of watching (the worst case) and after
//!    1,000 observations without one. CUSUM is tuned to the change that comes; the e-detector is not told.
//! 3. The same for counts in windows, where alarms come at the ends of windows only.
//! 4. The same for scores, uniform within 0.15 of their mean: less variance than a rate of yes and no.
//! 5. False alarms a week over many streams against the budget.

use farol_stats::sequential::Direction;
use farol_stats::sequential::alarm_budget::average_run_length;
use farol_stats::sequential::cusum::BernoulliCusum;
use farol_stats::sequential::e_detector::EDetector;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const RUN_LENGTH: f64 = 100_000.0;
const RUNS: usize = 1000;
const CUT: u64 = 800_000;
const BEFORE: u64 = 1000;
const CHANGES: [(f64, f64); 16] = [
    (0.5, 0.45),
    (0.5, 0.4),
    (0.7, 0.65),
    (0.7, 0.6),
    (0.85, 0.83),
    (0.85, 0.80),
    (0.85, 0.75),
    (0.85, 0.6),
    (0.95, 0.93),
    (0.95, 0.9),
    (0.95, 0.8),
    (0.99, 0.98),
    (0.99, 0.95),
    (0.01, 0.02),
    (0.05, 0.1),
    (0.2, 0.25),
];

/// What the runs need of a detector.
trait Detector: Clone {
    fn observe(&mut self, value: f64);
    fn is_alarm(&self) -> bool;
}

impl Detector for EDetector {
    fn observe(&mut self, value: f64) {
        EDetector::observe(self, value).expect("simulated values are in 0 to 1");
    }
    fn is_alarm(&self) -> bool {
        EDetector::is_alarm(self)
    }
}

impl Detector for BernoulliCusum {
    fn observe(&mut self, value: f64) {
        BernoulliCusum::observe(self, value > 0.5);
    }
    fn is_alarm(&self) -> bool {
        BernoulliCusum::is_alarm(self)
    }
}

fn outcome(rng: &mut ChaCha8Rng, rate: f64) -> f64 {
    f64::from(u8::from(rng.random::<f64>() < rate))
}

fn score(rng: &mut ChaCha8Rng, mean: f64) -> f64 {
    mean + 0.15 * (2.0 * rng.random::<f64>() - 1.0)
}

/// Observations until the alarm, at most `cut`.
fn run(detector: &impl Detector, cut: u64, mut draw: impl FnMut() -> f64) -> u64 {
    let mut detector = detector.clone();
    for observation in 1..=cut {
        detector.observe(draw());
        if detector.is_alarm() {
            return observation;
        }
    }
    cut
}

fn mean_with_error(runs: &[u64]) -> (f64, f64) {
    let count = runs.len() as f64;
    let mean = runs.iter().map(|run| *run as f64).sum::<f64>() / count;
    let squares: f64 = runs.iter().map(|run| (*run as f64 - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0) / count).sqrt())
}

fn median(mut runs: Vec<u64>) -> u64 {
    runs.sort_unstable();
    runs[runs.len() / 2]
}

/// Delays of all runs, after `before` observations without an alarm (runs with one are drawn again).
fn delays(
    detector: &impl Detector,
    before: u64,
    rng: &mut ChaCha8Rng,
    means: (f64, f64),
    draw: fn(&mut ChaCha8Rng, f64) -> f64,
) -> Vec<u64> {
    let mut found = Vec::with_capacity(RUNS);
    'runs: while found.len() < RUNS {
        let mut warm = detector.clone();
        for _ in 0..before {
            warm.observe(draw(rng, means.0));
            if warm.is_alarm() {
                continue 'runs;
            }
        }
        found.push(run(&warm, CUT, || draw(rng, means.1)));
    }
    found
}

fn detector(baseline: f64, changed: f64) -> EDetector {
    let direction = if changed < baseline {
        Direction::Decrease
    } else {
        Direction::Increase
    };
    EDetector::new(direction, baseline, RUN_LENGTH)
        .expect("baselines of the table are between 0 and 1")
}

fn cusum(baseline: f64, changed: f64) -> BernoulliCusum {
    BernoulliCusum::new(baseline, changed, RUN_LENGTH)
        .expect("rates of the table are between 0 and 1")
}

fn without_a_change(seed: u64) {
    println!(
        "1. Mean run length without a change, {RUNS} runs, asked {RUN_LENGTH} (lower bound, ± standard error)"
    );
    println!(
        "{:>9} {:>9} {:>18} {:>7} {:>18} {:>9}",
        "baseline", "looks for", "e-detector", "cut", "CUSUM", "exact"
    );
    for (baseline, changed) in [
        (0.5, 0.4),
        (0.7, 0.6),
        (0.85, 0.8),
        (0.95, 0.9),
        (0.99, 0.95),
        (0.01, 0.02),
        (0.2, 0.25),
    ] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let e = detector(baseline, changed);
        let runs: Vec<u64> = (0..RUNS)
            .map(|_| run(&e, CUT, || outcome(&mut rng, baseline)))
            .collect();
        let c = cusum(baseline, changed);
        let others: Vec<u64> = (0..RUNS)
            .map(|_| run(&c, CUT, || outcome(&mut rng, baseline)))
            .collect();
        let (mean, error) = mean_with_error(&runs);
        let (other, other_error) = mean_with_error(&others);
        let cut = runs.iter().filter(|run| **run == CUT).count();
        let looks = if changed < baseline {
            "decrease"
        } else {
            "increase"
        };
        let exact = c
            .average_run_length(baseline)
            .expect("rates of the table are between 0 and 1");
        println!(
            "{baseline:>9} {looks:>9} {mean:>9.0} ± {error:>6.0} {cut:>7} {other:>9.0} ± {other_error:>6.0} {exact:>9.0}"
        );
    }
}

fn after_a_change(seed: u64) {
    println!("\n2. Median delay of detection, {RUNS} runs, run length {RUN_LENGTH}");
    println!(
        "{:>6} {:>6} {:>22} {:>22}",
        "", "", "change at the start", "after 1,000"
    );
    println!(
        "{:>6} {:>6} {:>11} {:>10} {:>11} {:>10}",
        "from", "to", "e-detector", "CUSUM", "e-detector", "CUSUM"
    );
    for means in CHANGES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (e, c) = (detector(means.0, means.1), cusum(means.0, means.1));
        print!("{:>6} {:>6}", means.0, means.1);
        for before in [0, BEFORE] {
            let ours = median(delays(&e, before, &mut rng, means, outcome));
            let others = median(delays(&c, before, &mut rng, means, outcome));
            print!(" {ours:>11} {others:>10}");
        }
        println!();
    }
}

/// Windows until the alarm, in observations at their ends.
fn run_of_windows(
    detector: &EDetector,
    before: u64,
    size: u64,
    rng: &mut ChaCha8Rng,
    means: (f64, f64),
    cut: u64,
) -> u64 {
    let mut detector = detector.clone();
    let mut seen = 0;
    while seen < before + cut {
        let mean = if seen < before { means.0 } else { means.1 };
        let ones = (0..size).filter(|_| rng.random::<f64>() < mean).count() as u64;
        seen += size;
        detector
            .observe_window(ones, size)
            .expect("ones are counted among the trials");
        if detector.is_alarm() {
            if seen <= before {
                detector.reset();
                continue;
            }
            break;
        }
    }
    seen - before
}

fn by_windows(seed: u64) {
    println!(
        "\n3. By windows, 0.85 to 0.80 after 1,000: mean run length without a change ({} runs), median delay ({})",
        RUNS / 4,
        4 * RUNS
    );
    println!("{:>8} {:>18} {:>8}", "window", "run length", "delay");
    let e = detector(0.85, 0.80);
    for size in [1, 10, 50, 200, 1000] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let quiet: Vec<u64> = (0..RUNS / 4)
            .map(|_| run_of_windows(&e, 0, size, &mut rng, (0.85, 0.85), CUT))
            .collect();
        let (mean, error) = mean_with_error(&quiet);
        let changed: Vec<u64> = (0..4 * RUNS)
            .map(|_| run_of_windows(&e, BEFORE, size, &mut rng, (0.85, 0.80), CUT))
            .collect();
        println!(
            "{size:>8} {mean:>9.0} ± {error:>6.0} {:>8}",
            median(changed)
        );
    }
}

fn of_scores(seed: u64) {
    println!(
        "\n4. Scores within 0.15 of their mean: mean run length ({} runs), median delay",
        4 * RUNS
    );
    println!(
        "{:>6} {:>6} {:>18} {:>10} {:>12}",
        "from", "to", "run length", "at start", "after 1,000"
    );
    for means in [(0.85, 0.80), (0.7, 0.65), (0.5, 0.45), (0.3, 0.35)] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let e = detector(means.0, means.1);
        let quiet: Vec<u64> = (0..4 * RUNS)
            .map(|_| run(&e, CUT, || score(&mut rng, means.0)))
            .collect();
        let (mean, error) = mean_with_error(&quiet);
        let at_start = median(delays(&e, 0, &mut rng, means, score));
        let later = median(delays(&e, BEFORE, &mut rng, means, score));
        println!(
            "{:>6} {:>6} {mean:>9.0} ± {error:>6.0} {at_start:>10} {later:>12}",
            means.0, means.1
        );
    }
}

fn within_the_budget(seed: u64) {
    let (streams, per_week, weeks) = (100, 2000_u32, 200_u32);
    println!(
        "\n5. False alarms of {streams} streams with {per_week} observations a week each, {weeks} weeks"
    );
    println!(
        "{:>8} {:>12} {:>14}",
        "budget", "run length", "alarms a week"
    );
    for budget in [0.5, 1.0, 5.0] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let length = average_run_length(budget, f64::from(per_week) * f64::from(streams))
            .expect("budgets and streams are positive");
        let mut alarms = 0_u32;
        for stream in 0..streams {
            let rate = 0.5 + 0.49 * f64::from(stream) / f64::from(streams);
            let mut e = EDetector::new(Direction::Decrease, rate, length)
                .expect("rates of the table are between 0 and 1");
            for _ in 0..per_week * weeks {
                Detector::observe(&mut e, outcome(&mut rng, rate));
                if e.is_alarm() {
                    alarms += 1;
                    e.reset();
                }
            }
        }
        println!(
            "{budget:>8} {length:>12.0} {:>14.3}",
            f64::from(alarms) / f64::from(weeks)
        );
    }
}

fn main() {
    let seed = 20_240_601;
    let state = serde_json::to_string(&detector(0.85, 0.8)).expect("a state is plain numbers");
    println!("State of one detector: {} bytes as JSON\n", state.len());
    without_a_change(seed);
    after_a_change(seed + 1);
    by_windows(seed + 2);
    of_scores(seed + 3);
    within_the_budget(seed + 4);
}
