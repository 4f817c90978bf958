//! Sketches: small summaries that merge exactly, in any order, into the same bytes.
//!
//! ```text
//! values ──▶ QuantileSketch ──▶ bytes ──▶ merged with others ──▶ quantile(q)
//! values ──▶ DistinctSketch ──▶ bytes ──▶ merged with others ──▶ distinct_count
//! ```
//!
//! Both are functions of the multiset (or set) of their values alone: neither the order of values, nor how they
//! were split over sketches, nor the order of merges shows in the bytes. So a replay, a shuffled input and a
//! backfill give the same partials to the last bit.

mod distinct;
mod quantiles;
mod varint;

pub use distinct::DistinctSketch;
pub use quantiles::QuantileSketch;

/// Why bytes are not a sketch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are not a {expected} sketch: {reason}")]
pub struct SketchError {
    /// What was expected.
    pub expected: &'static str,
    /// What is wrong with them.
    pub reason: &'static str,
}

/// What SQL's aggregates ask of a sketch.
pub trait Sketch: Default + Send + Sync + std::fmt::Debug + 'static {
    /// Whether nothing was added yet: such a sketch is NULL.
    fn is_empty(&self) -> bool;
    /// The canonical bytes, appended.
    fn write(&self, bytes: &mut Vec<u8>);
    /// Adds everything that a sketch's bytes stand for.
    fn merge_bytes(&mut self, bytes: &[u8]) -> Result<(), SketchError>;
    /// Bytes held on the heap.
    fn heap_bytes(&self) -> usize;
}
