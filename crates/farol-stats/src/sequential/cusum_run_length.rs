//! The mean run length of a CUSUM whose steps are whole units, by its Markov chain.
//!
//! ```text
//! scores 0 … h−1 ──up with probability p, down with 1−p, h and above is the alarm──▶ (I − P) E = 1 ──▶ E at score 0
//! ```
//!
//! Source: D. Brook, D. A. Evans, "An approach to the probability distribution of CUSUM run length", Biometrika 59
//! (1972). The matrix has a band as wide as the two steps; it is an M-matrix, so elimination needs no pivoting.

/// The mean number of steps until the score comes to `threshold` from 0, where a step is `up` with probability `rising`
/// and otherwise `down`, not below 0.
pub(super) fn average_run_length(up: u32, down: u32, threshold: u32, rising: f64) -> f64 {
    let (up, down, states) = (up as usize, down as usize, threshold as usize);
    let width = down + up + 1;
    // Row `score` holds the columns score − down … score + up.
    let mut rows = vec![0.0; states * width];
    let mut right = vec![1.0; states];
    for score in 0..states {
        let row = &mut rows[score * width..(score + 1) * width];
        row[down] += 1.0;
        let lower = score.saturating_sub(down);
        row[lower + down - score] -= 1.0 - rising;
        if score + up < states {
            row[width - 1] -= rising;
        }
    }
    eliminate(&mut rows, &mut right, down, up);
    for score in (0..states).rev() {
        let row = &rows[score * width..(score + 1) * width];
        let after = (states - 1 - score).min(up);
        let known: f64 = (1..=after)
            .map(|offset| row[down + offset] * right[score + offset])
            .sum();
        right[score] = (right[score] - known) / row[down];
    }
    right.first().copied().unwrap_or(0.0)
}

/// Makes the band upper triangular.
fn eliminate(rows: &mut [f64], right: &mut [f64], down: usize, up: usize) {
    let width = down + up + 1;
    let states = right.len();
    for pivot in 0..states {
        let (above, below) = rows.split_at_mut((pivot + 1) * width);
        let pivot_row = &above[pivot * width + down..];
        for distance in 1..=down.min(states - 1 - pivot) {
            let row = &mut below[(distance - 1) * width..distance * width];
            let factor = row[down - distance] / pivot_row[0];
            if factor == 0.0 {
                continue;
            }
            // In its own coordinates, the row has the pivot's column `distance` before its diagonal.
            for (target, source) in row[down - distance..].iter_mut().zip(pivot_row) {
                *target -= factor * source;
            }
            right[pivot + distance] -= factor * right[pivot];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::average_run_length;

    #[test]
    fn runs_of_one_outcome_have_their_known_length() {
        // An alarm after one rise is geometric: 1 / p.
        assert!((average_run_length(1, 1, 1, 0.2) - 5.0).abs() < 1e-12);
        // With steps down that lose everything it takes a run of r rises: (p^−r − 1) / (1 − p).
        let p: f64 = 0.3;
        let expected = (p.powi(-4) - 1.0) / (1.0 - p);
        assert!((average_run_length(1, 4, 4, p) - expected).abs() < 1e-9);
    }

    #[test]
    fn a_fair_walk_reflected_at_zero_takes_the_square() {
        // From 0, reflected by staying: h (h + 1).
        assert!((average_run_length(1, 1, 30, 0.5) - 930.0).abs() < 1e-8);
    }
}
