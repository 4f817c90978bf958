//! Kolmogorov–Smirnov and Wasserstein-1 against SciPy.

use farol_stats::drift::distribution::Distribution;
use farol_stats::drift::kolmogorov_smirnov::{
    kolmogorov_smirnov, kolmogorov_smirnov_exact_p_value, kolmogorov_smirnov_p_value,
};
use farol_stats::drift::wasserstein::{wasserstein, wasserstein_ratio};
use serde::Deserialize;

use crate::assert_close;

#[derive(Deserialize)]
struct Golden {
    samples: Vec<Samples>,
    tails: Vec<Tail>,
}

#[derive(Deserialize)]
struct Samples {
    reference: Vec<f64>,
    window: Vec<f64>,
    statistic: f64,
    asymptotic: Option<f64>,
    exact: f64,
    wasserstein: f64,
    ratio: Option<f64>,
}

#[derive(Deserialize)]
struct Tail {
    n: u64,
    x: f64,
    p: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/drift_numbers.json")).expect("the golden file")
}

#[test]
fn samples_are_compared_as_scipy_does() {
    let cases = golden().samples;
    assert!(cases.len() >= 20);
    for case in cases {
        let (n, m) = (case.reference.len() as u64, case.window.len() as u64);
        let what = format!("{n} {m}");
        let reference = Distribution::from_samples(&case.reference).expect("values");
        let window = Distribution::from_samples(&case.window).expect("values");
        let statistic = kolmogorov_smirnov(&reference, &window);
        assert_close(statistic, case.statistic, 1e-14, &what);
        let exact = kolmogorov_smirnov_exact_p_value(statistic, n, m).expect("small");
        assert_close(exact, case.exact, 1e-11, &what);
        if let Some(expected) = case.asymptotic {
            let p = kolmogorov_smirnov_p_value(statistic, n, m).expect("sizes");
            assert_close(p, expected, 1e-10, &what);
        }
        assert_close(
            wasserstein(&reference, &window),
            case.wasserstein,
            1e-12,
            &what,
        );
        let ratio = wasserstein_ratio(&reference, &window);
        assert_eq!(ratio.is_some(), case.ratio.is_some());
        if let (Some(found), Some(expected)) = (ratio, case.ratio) {
            assert_close(found, expected, 1e-12, &what);
        }
    }
}

#[test]
fn kolmogorovs_distribution_is_that_of_scipy_over_its_range() {
    let cases = golden().tails;
    assert!(cases.len() >= 150);
    for Tail { n, x, p } in cases {
        let found = kolmogorov_smirnov_p_value(x, 2 * n, 2 * n).expect("sizes");
        assert_close(found, p, 1e-10, &format!("{n} {x}"));
        // Small p-values are right in relative terms too, where SciPy's are.
        if p < 0.01 {
            assert!(
                (found / p - 1.0).abs() < 1e-6 || p < 1e-150,
                "{n} {x}: {found}, not {p}"
            );
        }
    }
}
