//! One sketch for each group, as DataFusion's hash aggregation wants them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use crate::sketch::{DistinctSketch, QuantileSketch, Sketch};

/// How a column's values get into a sketch.
pub(super) trait Absorb: Sketch {
    /// The type that values are cast to first.
    const INPUT: DataType;
    /// Adds the value of each row, which is of [`Absorb::INPUT`], to the row's sketch; `None` leaves the row out.
    fn absorb(values: &ArrayRef, visit: impl FnMut(usize, &dyn Fn(&mut Self)));
}

impl Absorb for QuantileSketch {
    const INPUT: DataType = DataType::Float64;

    fn absorb(values: &ArrayRef, mut visit: impl FnMut(usize, &dyn Fn(&mut Self))) {
        let values = values.as_primitive::<Float64Type>();
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let value = values.value(row);
            visit(row, &|sketch| sketch.add(value));
        }
    }
}

impl Absorb for DistinctSketch {
    const INPUT: DataType = DataType::Utf8View;

    fn absorb(values: &ArrayRef, mut visit: impl FnMut(usize, &dyn Fn(&mut Self))) {
        let values = values.as_string_view();
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let value = values.value(row);
            visit(row, &|sketch| sketch.add(value));
        }
    }
}

/// What the rows of an aggregate hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Rows {
    /// Values.
    Values,
    /// Sketches.
    Sketches,
}

/// A sketch for each group.
#[derive(Debug)]
pub(super) struct SketchGroups<S> {
    rows: Rows,
    sketches: Vec<S>,
    heap_bytes: usize,
}

impl<S: Absorb> SketchGroups<S> {
    pub fn new(rows: Rows) -> Self {
        Self {
            rows,
            sketches: Vec::new(),
            heap_bytes: 0,
        }
    }

    fn grow(&mut self, groups: usize) {
        if self.sketches.len() < groups {
            self.sketches.resize_with(groups, S::default);
        }
    }

    fn change(&mut self, group: usize, change: impl FnOnce(&mut S)) {
        let sketch = &mut self.sketches[group];
        let before = sketch.heap_bytes();
        change(sketch);
        self.heap_bytes = (self.heap_bytes + sketch.heap_bytes()).saturating_sub(before);
    }

    fn add(
        &mut self,
        rows: Rows,
        column: &ArrayRef,
        group_of: impl Fn(usize) -> usize,
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let taken =
            |row: usize| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        match rows {
            Rows::Values => {
                let column = cast(column, &S::INPUT)?;
                S::absorb(&column, |row, add| {
                    if taken(row) {
                        self.change(group_of(row), add);
                    }
                });
            }
            Rows::Sketches => {
                let column = cast(column, &DataType::Binary)?;
                let column = column.as_binary::<i32>();
                for row in (0..column.len()).filter(|row| column.is_valid(*row) && taken(*row)) {
                    let mut merged = Ok(());
                    self.change(group_of(row), |sketch| {
                        merged = sketch.merge_bytes(column.value(row));
                    });
                    merged.map_err(|error| DataFusionError::Execution(error.to_string()))?;
                }
            }
        }
        Ok(())
    }

    fn emit(&mut self, emit_to: EmitTo) -> ArrayRef {
        let emitted = emit_to.take_needed(&mut self.sketches);
        self.heap_bytes = self.sketches.iter().map(Sketch::heap_bytes).sum();
        encode(&emitted)
    }
}

fn encode<S: Sketch>(sketches: &[S]) -> ArrayRef {
    let mut array = BinaryBuilder::with_capacity(sketches.len(), sketches.len() * 32);
    let mut bytes = Vec::new();
    for sketch in sketches {
        if sketch.is_empty() {
            array.append_null();
        } else {
            bytes.clear();
            sketch.write(&mut bytes);
            array.append_value(&bytes);
        }
    }
    Arc::new(array.finish())
}

fn only(columns: &[ArrayRef]) -> Result<&ArrayRef> {
    columns.first().ok_or_else(|| {
        DataFusionError::Internal("a sketch's aggregate was given no column".to_owned())
    })
}

impl<S: Absorb> GroupsAccumulator for SketchGroups<S> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        self.add(
            self.rows,
            only(values)?,
            |row| group_indices[row],
            opt_filter,
        )
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(self.emit(emit_to))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.emit(emit_to)])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        self.add(
            Rows::Sketches,
            only(values)?,
            |row| group_indices[row],
            None,
        )
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let column = only(values)?;
        let mut each = Self::new(self.rows);
        each.grow(column.len());
        each.add(self.rows, column, |row| row, opt_filter)?;
        Ok(vec![each.emit(EmitTo::All)])
    }

    fn size(&self) -> usize {
        self.sketches.capacity() * size_of::<S>() + self.heap_bytes
    }
}

/// One sketch over everything: an aggregate without `GROUP BY`.
#[derive(Debug)]
pub(super) struct WholeSketch<S>(SketchGroups<S>);

impl<S: Absorb> WholeSketch<S> {
    pub fn new(rows: Rows) -> Self {
        let mut groups = SketchGroups::new(rows);
        groups.grow(1);
        Self(groups)
    }

    fn value(&self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&encode(&self.0.sketches), 0)
    }
}

impl<S: Absorb> Accumulator for WholeSketch<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.add(self.0.rows, only(values)?, |_| 0, None)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.value()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.add(Rows::Sketches, only(states)?, |_| 0, None)
    }
}
