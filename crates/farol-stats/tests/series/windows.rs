//! The benchmark's rule.

use super::*;

#[test]
fn the_sigmoid_and_probation_are_those_that_nab_describes() {
    assert_close(scaled_sigmoid(-1.0), 0.986_614_298_151_43, 1e-12);
    assert_close(scaled_sigmoid(-0.5), 0.848_283_639_957_513, 1e-12);
    assert_close(scaled_sigmoid(0.0), 0.0, 1e-12);
    assert_close(scaled_sigmoid(3.1), -1.0, 1e-12);
    assert_close(probation_rows(4032), 604.0, 1e-12);
    assert_close(probation_rows(20_000), 750.0, 1e-12);
}

/// 100 rows, windows at rows 40 to 49 and 70 to 79; the score is the row's place in `order`, or 0.
fn judged(alarms: &[(usize, f64)]) -> Judged {
    let times: Vec<i64> = (0..100).collect();
    let mut scores = vec![0.0; 100];
    for (row, score) in alarms {
        scores[*row] = *score;
    }
    let mut judged = Judged::default();
    judged.add(&times, &scores, &[(40, 49), (70, 79)]);
    judged
}

#[test]
fn totals_are_those_computed_by_hand() {
    let standard = &PROFILES[0];
    let sigmoid = |x: f64| 2.0 / (1.0 + (5.0 * x).exp()) - 1.0;
    // Silence: both windows missed.
    let silent = judged(&[]).at(standard, 0.5);
    assert_close(silent.total, -2.0, 1e-12);
    assert_close(silent.normalized, 0.0, 1e-12);
    // Both found at their first row: the best there is.
    let perfect = judged(&[(40, 1.0), (70, 1.0)]).at(standard, 0.5);
    assert_close(perfect.normalized, 100.0, 1e-9);
    // Half into the first window, later rows of it count nothing, the second missed, one false alarm far from any window,
    // one three rows after the first window, and one in probation that does not count.
    let mixed = judged(&[(5, 1.0), (20, 1.0), (45, 1.0), (48, 1.0), (52, 1.0)]);
    let expected = sigmoid(-0.5) / sigmoid(-1.0) - 1.0 - 0.11 + 0.11 * sigmoid(3.0 / 9.0);
    let outcome = mixed.at(standard, 0.5);
    assert_close(outcome.total, expected, 1e-12);
    assert_close(outcome.normalized, 100.0 * (expected + 2.0) / 4.0, 1e-9);
    assert_eq!((outcome.windows_found, outcome.false_alarms), (1, 2));
    // Misses weigh twice where false negatives are to be few.
    assert_close(judged(&[]).at(&PROFILES[2], 0.5).total, -4.0, 1e-12);
    assert_close(
        judged(&[(20, 1.0)]).at(&PROFILES[1], 0.5).total,
        -2.22,
        1e-12,
    );
}

#[test]
fn the_optimum_is_the_threshold_that_earns_most() {
    let standard = &PROFILES[0];
    let judged = judged(&[(20, 0.3), (25, 0.2), (40, 0.9), (70, 0.3), (90, 0.1)]);
    let optimum = judged.optimum(standard).expect("rows");
    // At 0.3 the second window is found for one false alarm.
    assert_close(optimum.threshold, 0.3, 1e-12);
    assert_close(optimum.total, 2.0 - 0.11, 1e-12);
    for threshold in [0.9, 0.2, 0.1] {
        assert!(judged.at(standard, threshold).total < optimum.total);
    }
    assert!(Judged::default().optimum(standard).is_none());
}
