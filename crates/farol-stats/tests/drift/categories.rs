//! Divergences, chi-square tests and intervals against SciPy.

use farol_stats::drift::categories::{
    Measure, asymptotic_null, chi_square_homogeneity, jensen_shannon, new_category_mass,
    population_stability_index,
};
use serde::Deserialize;

use crate::assert_close;

#[derive(Deserialize)]
struct Table {
    reference: Vec<u64>,
    window: Vec<u64>,
    psi: Option<f64>,
    psi_p: Option<f64>,
    jsd: f64,
    jsd_p: f64,
    categories: usize,
    chi_square: f64,
    chi_square_p: f64,
    degrees: u64,
    new: f64,
    new_lower: f64,
    new_upper: f64,
}

#[test]
fn tables_are_compared_as_scipy_does() {
    let cases: Vec<Table> =
        serde_json::from_str(include_str!("../golden/drift_categories.json")).expect("golden");
    assert!(cases.len() >= 20);
    let mut indices = 0;
    for case in &cases {
        let (reference, window) = (&case.reference, &case.window);
        let sizes = (reference.iter().sum(), window.iter().sum());
        let what = format!("{} categories, {sizes:?}", case.categories);
        let p_value = |measure, statistic| {
            asymptotic_null(measure, statistic, sizes, case.categories)
                .expect("sizes")
                .1
        };
        if let (Some(psi), Some(psi_p)) = (case.psi, case.psi_p) {
            indices += 1;
            let found = population_stability_index(reference, window).expect("counts");
            assert_close(found, psi, 1e-12, &what);
            let p = p_value(Measure::PopulationStabilityIndex, found);
            assert_close(p, psi_p, 1e-9, &what);
        }
        let found = jensen_shannon(reference, window).expect("counts");
        assert_close(found, case.jsd, 1e-12, &what);
        let p = p_value(Measure::JensenShannon, found);
        assert_close(p, case.jsd_p, 1e-9, &what);
        let chi = chi_square_homogeneity(reference, window).expect("counts");
        assert_close(chi.statistic, case.chi_square, 1e-11, &what);
        assert_close(chi.p_value, case.chi_square_p, 1e-9, &what);
        assert_eq!(chi.degrees_of_freedom, case.degrees);
        let mass = new_category_mass(reference, window, 0.95).expect("counts");
        assert_close(mass.share, case.new, 1e-14, &what);
        assert_close(mass.lower, case.new_lower, 1e-9, &what);
        assert_close(mass.upper, case.new_upper, 1e-9, &what);
    }
    assert!(indices >= 10, "{indices}");
}
