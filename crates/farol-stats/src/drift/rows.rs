//! Rows of numbers as one plain slice, checked once: a table of columns, or vectors of one width.
//!
//! ```text
//! [a b c | d e f | …]  width 3 ──checked──▶ Rows ──▶ row after row, or ndarray's matrix
//! ```

use ndarray::Array2;

/// Rows of one width, in one slice row after row; at least one row, and every value finite.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    values: &'a [f64],
    width: usize,
}

impl<'a> Rows<'a> {
    /// `None` where there is no row, the last is not whole or a value is not finite.
    pub fn new(values: &'a [f64], width: usize) -> Option<Self> {
        let whole = width > 0 && !values.is_empty() && values.len().is_multiple_of(width);
        (whole && values.iter().all(|value| value.is_finite())).then_some(Self { values, width })
    }

    /// How many values a row has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many rows there are; never 0.
    pub fn count(&self) -> usize {
        self.values.len() / self.width
    }

    /// The rows, one after another.
    pub(super) fn each(&self) -> std::slice::ChunksExact<'a, f64> {
        self.values.chunks_exact(self.width)
    }

    /// The rows at some places, in that order, as a matrix.
    pub(super) fn matrix_of(&self, places: &[usize]) -> Array2<f64> {
        Array2::from_shape_fn((places.len(), self.width), |(row, column)| {
            self.values[places[row] * self.width + column]
        })
    }

    /// The mean row.
    pub(super) fn mean(&self) -> Vec<f64> {
        let mut sum = vec![0.0; self.width];
        for row in self.each() {
            add(&mut sum, row);
        }
        sum.iter().map(|sum| sum / self.count() as f64).collect()
    }
}

/// Adds a row to a sum of rows.
pub(super) fn add(sum: &mut [f64], row: &[f64]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_rows_of_finite_values_are_rows() {
        assert!(Rows::new(&[1.0, 2.0, 3.0], 2).is_none());
        assert!(Rows::new(&[], 2).is_none());
        assert!(Rows::new(&[1.0], 0).is_none());
        assert!(Rows::new(&[1.0, f64::NAN], 2).is_none());
        let rows = Rows::new(&[1.0, 2.0, 3.0, 6.0], 2).unwrap();
        assert_eq!((rows.count(), rows.width()), (2, 2));
        assert_eq!(rows.mean(), [2.0, 4.0]);
        assert_eq!(rows.matrix_of(&[1]).as_slice(), Some(&[3.0, 6.0][..]));
    }
}
