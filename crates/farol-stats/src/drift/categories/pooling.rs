//! Sparse categories gathered into cells that are full enough to compare.
//!
//! ```text
//! categories, most frequent first (both sides together):  60  25 | 6  4 | 3  3  2  2 | 1  1
//!                                                          │   │   └┬─┘   └───┬────┘   └─┘ too few alone:
//! cells with enough in the smaller side:                  60  25   10        10 + 2 ◀──────── into the last
//! ```
//!
//! The rule looks at the counts of both sides together and never at how they are split between the sides. Under no change
//! that split is as if dealt at random, so a test on the cells keeps its level.

/// The smallest expected count of a cell on the smaller side. Source: W. Cochran, "Some methods for strengthening the
/// common χ² tests", Biometrics 10 (1954).
pub const MINIMUM_EXPECTED: f64 = 5.0;

use super::totals;

/// Gathers categories, from the most to the least frequent in both sides together (ties by position), into cells whose
/// expected count on the smaller side is at least `minimum_expected`; an unfinished last cell joins the one before it.
///
/// Categories that neither side has are left out. Returns the cells' counts for the reference and the window; `None` where
/// a side is empty or the lengths differ.
pub fn pool_sparse(
    reference: &[u64],
    window: &[u64],
    minimum_expected: f64,
) -> Option<(Vec<u64>, Vec<u64>)> {
    let (n, m) = totals(reference, window)?;
    let smaller_share = n.min(m) as f64 / (n + m) as f64;
    let mut order: Vec<usize> = (0..reference.len())
        .filter(|place| reference[*place] + window[*place] > 0)
        .collect();
    order.sort_by_key(|place| std::cmp::Reverse(reference[*place] + window[*place]));
    let mut cells: (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
    let mut open = (0, 0);
    for place in order {
        open.0 += reference[place];
        open.1 += window[place];
        if (open.0 + open.1) as f64 * smaller_share >= minimum_expected {
            cells.0.push(open.0);
            cells.1.push(open.1);
            open = (0, 0);
        }
    }
    match (cells.0.last_mut(), cells.1.last_mut()) {
        (Some(last_reference), Some(last_window)) => {
            *last_reference += open.0;
            *last_window += open.1;
        }
        _ => cells = (vec![open.0], vec![open.1]),
    }
    Some(cells)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frequent_categories_stay_and_sparse_ones_are_gathered() {
        let counts = [30, 1, 3, 12, 2, 1, 1, 0, 2, 1];
        let (reference, window) = pool_sparse(&counts, &counts, 5.0).unwrap();
        // 30, 12, then 3 + 2, then 2 + 1 + 1 + 1, which the last 1 joins.
        assert_eq!(reference, [30, 12, 5, 6]);
        assert_eq!(window, reference);
    }

    #[test]
    fn too_few_for_two_cells_are_one() {
        assert_eq!(pool_sparse(&[1, 1], &[1, 0], 5.0), Some((vec![2], vec![1])));
        assert_eq!(pool_sparse(&[0], &[1], 5.0), None);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_every_cell_is_full_enough(
            pairs in proptest::collection::vec((0_u64..20, 0_u64..20), 1..60),
        ) {
            let (reference, window): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            if let Some((r, w)) = pool_sparse(&reference, &window, 5.0) {
                let (n, m): (u64, u64) = (r.iter().sum(), w.iter().sum());
                prop_assert_eq!(n, reference.iter().sum::<u64>());
                prop_assert_eq!(m, window.iter().sum::<u64>());
                let share = n.min(m) as f64 / (n + m) as f64;
                for (a, b) in r.iter().zip(&w) {
                    prop_assert!(r.len() == 1 || (a + b) as f64 * share >= 5.0);
                }
            }
        }
    }
}
