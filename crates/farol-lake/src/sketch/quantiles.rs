//! Quantiles: a DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with
//! relative-error guarantees", VLDB 2019). The mapping from values to bins is `sketches-ddsketch`'s.
//!
//! The state is our own. The library's keeps a floating-point sum and collapses bins as they come, so its
//! bytes depend on order; ours counts values by bin, never collapses (a double's whole range is 37,000 bins
//! at most, and a service's latencies are some hundred), and so depends on nothing but the values.

use std::sync::LazyLock;

use sketches_ddsketch::Config;

use super::{Sketch, SketchError, varint};

/// The first byte: which encoding follows.
const ENCODING: u8 = 1;

/// A quantile is right within this part of its value.
pub const RELATIVE_ERROR: f64 = 0.01;

/// The largest distance of a bin from zero: what the largest double maps to, and some.
const KEY_MAX: i32 = 40_000;

static MAPPING: LazyLock<Config> = LazyLock::new(|| Config::new(RELATIVE_ERROR, 2_048, 1e-9));

/// How many values fell into each bin, with their extremes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QuantileSketch {
    /// Bins of positive values by key, sorted.
    positive: Bins,
    /// Bins of negative values by the key of their magnitude, sorted.
    negative: Bins,
    /// Values too near to zero for a bin (below 1e-9).
    zeros: u64,
    /// The smallest and the largest value.
    range: Option<(f64, f64)>,
}

impl QuantileSketch {
    /// Adds a value. One that is not finite says nothing about any quantile and is passed over.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        // Zero has two signs, which must not show in the bytes.
        let value = value + 0.0;
        let smallest = MAPPING.min_possible();
        if value > smallest {
            self.positive.add(MAPPING.key(value), 1);
        } else if value < -smallest {
            self.negative.add(MAPPING.key(-value), 1);
        } else {
            self.zeros += 1;
        }
        self.widen(value, value);
    }

    /// How many values were added.
    pub fn count(&self) -> u64 {
        self.positive
            .count
            .saturating_add(self.negative.count)
            .saturating_add(self.zeros)
    }

    /// The value at quantile `q` (0 to 1), within one percent of it; `None` where nothing was added or `q` is
    /// not a quantile. Of n sorted values from 0, it is the one at ⌊q · (n − 1)⌋.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let (low, high) = self.range.filter(|_| (0.0..=1.0).contains(&q))?;
        if q == 0.0 {
            return Some(low);
        }
        if q == 1.0 {
            return Some(high);
        }
        let rank = (q * (self.count() - 1) as f64) as u64;
        let value = if rank < self.negative.count {
            -MAPPING.value(self.negative.key_at(self.negative.count - 1 - rank)?)
        } else if rank < self.negative.count + self.zeros {
            0.0
        } else {
            MAPPING.value(
                self.positive
                    .key_at(rank - self.negative.count - self.zeros)?,
            )
        };
        Some(value.clamp(low, high))
    }

    /// Adds everything of another sketch.
    pub fn merge(&mut self, other: &Self) {
        self.positive.merge(&other.positive);
        self.negative.merge(&other.negative);
        self.zeros += other.zeros;
        if let Some((low, high)) = other.range {
            self.widen(low, high);
        }
    }

    /// Reads a sketch back.
    ///
    /// # Errors
    /// Where the bytes are not what [`Sketch::write`] writes.
    pub fn read(bytes: &[u8]) -> Result<Self, SketchError> {
        let wrong = |reason| SketchError {
            expected: "quantile",
            reason,
        };
        let mut rest = bytes;
        let (head, tail) = rest.split_at_checked(17).ok_or(wrong("they are too few"))?;
        rest = tail;
        if head[0] != ENCODING {
            return Err(wrong("the first byte is of no known encoding"));
        }
        let double = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&head[at..at + 8]);
            f64::from_le_bytes(eight)
        };
        let range = (double(1), double(9));
        let zeros = varint::read(&mut rest).ok_or(wrong("they end early"))?;
        let positive = Bins::read(&mut rest).ok_or(wrong("the bins are not whole"))?;
        let negative = Bins::read(&mut rest).ok_or(wrong("the bins are not whole"))?;
        let sketch = Self {
            positive,
            negative,
            zeros,
            range: Some(range),
        };
        let ordered = range.0.is_finite() && range.1.is_finite() && range.0 <= range.1;
        if !rest.is_empty() || sketch.count() == 0 || !ordered {
            return Err(wrong("what they say does not add up"));
        }
        Ok(sketch)
    }

    fn widen(&mut self, low: f64, high: f64) {
        self.range = Some(
            self.range
                .map_or((low, high), |(l, h)| (l.min(low), h.max(high))),
        );
    }
}

impl Sketch for QuantileSketch {
    fn is_empty(&self) -> bool {
        self.range.is_none()
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        let (low, high) = self.range.unwrap_or_default();
        bytes.push(ENCODING);
        bytes.extend_from_slice(&low.to_le_bytes());
        bytes.extend_from_slice(&high.to_le_bytes());
        varint::write(self.zeros, bytes);
        self.positive.write(bytes);
        self.negative.write(bytes);
    }

    fn merge_bytes(&mut self, bytes: &[u8]) -> Result<(), SketchError> {
        let other = Self::read(bytes)?;
        if self.is_empty() {
            *self = other;
        } else {
            self.merge(&other);
        }
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        (self.positive.bins.capacity() + self.negative.bins.capacity()) * size_of::<(i32, u64)>()
    }
}

/// Counts by key, sorted by key, none of them zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Bins {
    bins: Vec<(i32, u64)>,
    count: u64,
}

impl Bins {
    fn add(&mut self, key: i32, count: u64) {
        match self.bins.binary_search_by_key(&key, |bin| bin.0) {
            Ok(found) => self.bins[found].1 += count,
            Err(place) => self.bins.insert(place, (key, count)),
        }
        self.count += count;
    }

    fn merge(&mut self, other: &Self) {
        if other.bins.len() * 8 < self.bins.len() {
            other
                .bins
                .iter()
                .for_each(|(key, count)| self.add(*key, *count));
            return;
        }
        let mut merged = Vec::with_capacity(self.bins.len().max(other.bins.len()));
        let (mut left, mut right) = (self.bins.as_slice(), other.bins.as_slice());
        while let (Some(l), Some(r)) = (left.first(), right.first()) {
            if l.0 <= r.0 {
                let both = if l.0 == r.0 { r.1 } else { 0 };
                merged.push((l.0, l.1 + both));
                left = &left[1..];
                right = &right[usize::from(l.0 == r.0)..];
            } else {
                merged.push(*r);
                right = &right[1..];
            }
        }
        merged.extend_from_slice(left);
        merged.extend_from_slice(right);
        self.bins = merged;
        self.count += other.count;
    }

    fn key_at(&self, rank: u64) -> Option<i32> {
        let mut passed = 0;
        let mut bins = self.bins.iter();
        bins.find(|(_, count)| {
            passed += count;
            passed > rank
        })
        .map(|(key, _)| *key)
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        varint::write(self.bins.len() as u64, bytes);
        let mut before = 0;
        for (index, (key, count)) in self.bins.iter().enumerate() {
            // The first key is signed; the others are their distance from the one before.
            let step = if index == 0 {
                varint::zigzag(*key)
            } else {
                (key - before) as u64
            };
            varint::write(step, bytes);
            varint::write(*count, bytes);
            before = *key;
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let length = usize::try_from(varint::read(bytes)?).ok()?;
        // A bin takes two bytes at least: a length that lies must not reserve memory.
        let mut bins = Vec::with_capacity(length.min(bytes.len() / 2));
        let mut total = 0_u64;
        let mut before = 0_i32;
        for index in 0..length {
            let step = varint::read(bytes)?;
            let key = if index == 0 {
                varint::unzigzag(step)?
            } else {
                before.checked_add(i32::try_from(step).ok().filter(|step| *step > 0)?)?
            };
            let count = varint::read(bytes).filter(|count| *count > 0)?;
            if key.abs() > KEY_MAX {
                return None;
            }
            total = total.checked_add(count)?;
            bins.push((key, count));
            before = key;
        }
        Some(Self { bins, count: total })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sketch(values: &[f64]) -> QuantileSketch {
        let mut sketch = QuantileSketch::default();
        values.iter().for_each(|value| sketch.add(*value));
        sketch
    }

    fn bytes(sketch: &QuantileSketch) -> Vec<u8> {
        let mut bytes = Vec::new();
        sketch.write(&mut bytes);
        bytes
    }

    #[test]
    fn quantiles_are_within_one_percent() {
        let values: Vec<f64> = (1..=10_000).map(f64::from).collect();
        let sketch = sketch(&values);
        for q in [0.01, 0.5, 0.9, 0.95, 0.99, 0.999] {
            let exact = values[(q * 9_999.0) as usize];
            let got = sketch.quantile(q).unwrap();
            assert!(
                (got - exact).abs() <= RELATIVE_ERROR * exact,
                "{q}: {got}, exactly {exact}"
            );
        }
        assert_eq!(sketch.quantile(0.0), Some(1.0));
        assert_eq!(sketch.quantile(1.0), Some(10_000.0));
        assert_eq!(sketch.quantile(1.1), None);
        assert_eq!(sketch.quantile(f64::NAN), None);
        assert_eq!(QuantileSketch::default().quantile(0.5), None);
    }

    #[test]
    fn one_value_is_every_quantile() {
        let sketch = sketch(&[1234.5]);
        assert_eq!(
            sketch.quantile(0.5),
            Some(1234.5),
            "clamped to the extremes"
        );
    }

    #[test]
    fn what_is_no_number_says_nothing() {
        let sketch = sketch(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        assert!(sketch.is_empty());
    }

    proptest! {
        #[test]
        fn bytes_depend_on_the_values_alone(
            mut values in prop::collection::vec(prop_oneof![
                -1e9_f64..1e9, Just(0.0), Just(-0.0), 1e-12_f64..1e-6, any::<f64>()
            ], 1..200),
            cut in 0_usize..200,
            seed in any::<u64>(),
        ) {
            let whole = sketch(&values);
            prop_assume!(!whole.is_empty());
            // Another order, split in two, and merged the other way round.
            let length = values.len();
            for index in 0..length {
                values.swap(index, (seed.wrapping_mul(index as u64 + 1) % length as u64) as usize);
            }
            let (left, right) = values.split_at(cut.min(length));
            let mut merged = QuantileSketch::default();
            for part in [sketch(right), sketch(left)] {
                if !part.is_empty() {
                    merged.merge_bytes(&bytes(&part)).unwrap();
                }
            }
            prop_assert_eq!(bytes(&merged), bytes(&whole));
            prop_assert_eq!(QuantileSketch::read(&bytes(&whole)).unwrap(), whole);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(sketch) = QuantileSketch::read(&bytes) {
                sketch.quantile(0.5);
            }
        }
    }
}
