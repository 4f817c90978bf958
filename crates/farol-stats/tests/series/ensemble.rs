//! The detectors together: what is an incident, of what kind, and what is none.

use super::*;

/// Two weeks of a day's rhythm with noise, a value every 10 minutes, changed by `change`, through the ensemble.
fn verdicts(seed: u64, change: impl Fn(usize, f64) -> Option<f64>) -> Vec<Option<Verdict>> {
    let mut uniform = uniform(seed);
    let mut ensemble = Ensemble::default();
    (0..14 * 144)
        .map(|row| {
            let hour = row as f64 / 6.0;
            let wave = 100.0 + 30.0 * (hour / 24.0 * std::f64::consts::TAU).sin();
            let value = wave + 4.0 * (uniform() + uniform() + uniform() - 1.5);
            ensemble.observe(row as i64 * 600, change(row, value))
        })
        .collect()
}

fn alarms(verdicts: &[Option<Verdict>]) -> Vec<usize> {
    let rows = verdicts.iter().enumerate();
    rows.filter(|(_, verdict)| verdict.is_some_and(|verdict| verdict.alarm.is_some()))
        .map(|(row, _)| row)
        .collect()
}

#[test]
fn a_spike_is_one_incident_and_told_from_a_shift_of_level() {
    for seed in 0..10 {
        let spike = verdicts(seed, |row, value| {
            Some(if (1500..1503).contains(&row) {
                value + 60.0
            } else {
                value
            })
        });
        let shift = verdicts(seed, |row, value| {
            Some(if row >= 1500 { value + 60.0 } else { value })
        });
        for (verdicts, expected) in [(spike, Change::Spike), (shift, Change::LevelShift)] {
            let near: Vec<_> = alarms(&verdicts)
                .into_iter()
                .filter(|row| (1500..1560).contains(row))
                .collect();
            assert_eq!(near.len(), 1, "{seed} {near:?}");
            assert!(near[0] < 1503, "{seed} {near:?}");
            let changes: Vec<_> = verdicts[near[0]..near[0] + 20]
                .iter()
                .flatten()
                .filter_map(|verdict| verdict.change)
                .collect();
            assert_eq!(changes, [expected], "{seed}");
        }
    }
}

#[test]
fn quiet_series_and_gaps_raise_few_alarms() {
    let mut all = 0;
    for seed in 0..20 {
        let quiet = verdicts(seed, |row, value| {
            (!(900..1000).contains(&row)).then_some(value)
        });
        assert!(quiet[900..1000].iter().all(Option::is_none));
        all += alarms(&quiet).len();
    }
    // The rarest of a quiet series' 2,000 values raise alarms too: up to two a series.
    assert!(all <= 40, "{all}");
}

#[test]
fn a_constant_series_never_raises_an_alarm_and_a_stuck_one_is_flat() {
    let constant = verdicts(1, |_, _| Some(7.0));
    assert_eq!(alarms(&constant), Vec::<usize>::new());
    assert!(constant.iter().flatten().all(|verdict| !verdict.flat));
    let stuck = verdicts(1, |row, value| {
        Some(if row >= 1500 { 100.0 } else { value })
    });
    assert!(stuck[..1500].iter().flatten().all(|verdict| !verdict.flat));
    assert!(stuck[1530].is_some_and(|verdict| verdict.flat));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_value_makes_a_score_that_is_no_number(
        values in prop::collection::vec(prop::option::of(prop::num::f64::ANY), 200..400),
    ) {
        let mut ensemble = Ensemble::default();
        let mut forest = CutForest::new(3, 32, 1);
        for (row, value) in values.into_iter().enumerate() {
            let time = row as i64 * 600;
            if let Some(verdict) = ensemble.observe(time, value) {
                prop_assert!(verdict.score.is_finite() && verdict.score >= 0.0);
                prop_assert!(verdict.alarm.is_none() || row as u32 >= WARM_UP);
            }
            let score = forest.observe(time, value);
            prop_assert!(score.is_none_or(|score| score.is_finite() && score >= 0.0));
        }
    }
}
