//! Where one row group ends and the next begins.

use arrow::array::RecordBatch;

/// Most rows in a row group: a page index and a Bloom filter are sized by it.
pub(crate) const MAX_ROWS: usize = 1 << 20;

/// What bounds a row group; whichever is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowGroupLimits {
    /// Most rows.
    pub rows: usize,
    /// Most bytes of rows in memory. A single row may be larger.
    pub bytes: usize,
}

impl Default for RowGroupLimits {
    fn default() -> Self {
        Self {
            rows: MAX_ROWS,
            bytes: 256 << 20,
        }
    }
}

/// Deals batches out to row groups, in their order. A batch that is too large is cut; no data is copied.
pub fn row_groups(
    batches: impl IntoIterator<Item = RecordBatch>,
    limits: RowGroupLimits,
) -> Vec<Vec<RecordBatch>> {
    let mut groups = Vec::new();
    let mut open = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    for piece in batches.into_iter().flat_map(|batch| cut(batch, limits)) {
        let piece_rows = piece.0.num_rows();
        let full = rows + piece_rows > limits.rows || bytes + piece.1 > limits.bytes;
        if full && !open.is_empty() {
            groups.push(std::mem::take(&mut open));
            (rows, bytes) = (0, 0);
        }
        rows += piece_rows;
        bytes += piece.1;
        open.push(piece.0);
    }
    if !open.is_empty() {
        groups.push(open);
    }
    groups
}

/// Cuts a batch into pieces within the limits, each with its estimated bytes.
fn cut(batch: RecordBatch, limits: RowGroupLimits) -> Vec<(RecordBatch, usize)> {
    let rows = batch.num_rows();
    let bytes = batch.get_array_memory_size();
    if rows <= limits.rows && bytes <= limits.bytes {
        return if rows == 0 {
            Vec::new()
        } else {
            vec![(batch, bytes)]
        };
    }
    let row_bytes = bytes.div_ceil(rows.max(1)).max(1);
    let rows_each = (limits.bytes / row_bytes).clamp(1, limits.rows.max(1));
    (0..rows)
        .step_by(rows_each)
        .map(|begin| {
            let length = rows_each.min(rows - begin);
            (batch.slice(begin, length), length * row_bytes)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn batch(rows: i64) -> RecordBatch {
        let column = Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef;
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    fn counts(batches: &[i64], rows: usize, bytes: usize) -> Vec<Vec<usize>> {
        row_groups(
            batches.iter().map(|rows| batch(*rows)),
            RowGroupLimits { rows, bytes },
        )
        .iter()
        .map(|group| group.iter().map(RecordBatch::num_rows).collect())
        .collect()
    }

    #[test]
    fn groups_fill_up_to_the_rows_allowed() {
        assert_eq!(counts(&[3, 3, 3], 6, 1 << 20), [vec![3, 3], vec![3]]);
        assert_eq!(counts(&[], 6, 1 << 20), Vec::<Vec<usize>>::new());
        assert_eq!(counts(&[0, 2, 0], 6, 1 << 20), [vec![2]]);
    }

    #[test]
    fn a_batch_too_large_is_cut() {
        assert_eq!(counts(&[10], 4, 1 << 20), [vec![4], vec![4], vec![2]]);
        let by_bytes = counts(&[1000], 4096, 1024);
        assert!(by_bytes.len() > 7);
        assert_eq!(by_bytes.iter().flatten().sum::<usize>(), 1000);
    }

    #[test]
    fn a_single_row_may_be_larger_than_the_limit() {
        assert_eq!(counts(&[2], 4, 1), [vec![1], vec![1]]);
    }
}
