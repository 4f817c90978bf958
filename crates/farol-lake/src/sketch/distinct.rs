//! Distinct values: a HyperLogLog sketch in Apache DataSketches' format (lg k = 12, 1.6 % standard error), so
//! that any of its implementations reads the bytes. Hashing and estimating are the `datasketches` crate's.
//!
//! The state is our own: the library's bytes show the order of updates (a running estimate, and the places in
//! its hash set). Ours is a sorted list of coupons (what a value hashes to) while they are few, and 4,096
//! registers from then on. Which of the two depends on how many coupons there are, and on nothing else.

use std::hash::{Hash, Hasher};

use datasketches::hash::value::raw_bytes;
use datasketches::hll::{Coupon, HllSketch};

use super::{Sketch, SketchError};

/// The logarithm of the number of registers.
const LG_K: u8 = 12;
/// Registers.
const REGISTERS: usize = 1 << LG_K;
/// More coupons than this become registers: three quarters of the library's largest set at this size.
const COUPONS_MAX: usize = (REGISTERS / 8) * 3 / 4;
/// A coupon's lower bits name its slot, the upper six are its value.
const SLOT_BITS: u32 = 26;

/// Which values were seen, as far as it takes to count them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistinctSketch(State);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Coupons, sorted, each once.
    Coupons(Vec<u32>),
    /// The largest value seen for each slot.
    Registers(Box<[u8; REGISTERS]>),
}

impl Default for DistinctSketch {
    fn default() -> Self {
        Self(State::Coupons(Vec::new()))
    }
}

impl DistinctSketch {
    /// Adds a value.
    pub fn add(&mut self, value: &str) {
        let mut raw = RawCoupon::default();
        Coupon::from_value(raw_bytes::from_str(value)).hash(&mut raw);
        self.add_coupon(raw.0);
    }

    /// About how many different values were added.
    pub fn estimate(&self) -> f64 {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        // What we write the library reads; an empty sketch counts nothing.
        HllSketch::deserialize(&bytes).map_or(0.0, |sketch| sketch.composite_estimate())
    }

    /// Reads a sketch back: ours, or one of another implementation with the same number of registers.
    ///
    /// # Errors
    /// Where the bytes are not an HLL_8 sketch of 4,096 registers.
    pub fn read(bytes: &[u8]) -> Result<Self, SketchError> {
        let mut sketch = Self::default();
        sketch.merge_bytes(bytes)?;
        Ok(sketch)
    }

    fn add_coupon(&mut self, coupon: u32) {
        match &mut self.0 {
            State::Coupons(coupons) => {
                if let Err(place) = coupons.binary_search(&coupon) {
                    coupons.insert(place, coupon);
                    if coupons.len() > COUPONS_MAX {
                        self.0 = State::Registers(registers(coupons));
                    }
                }
            }
            State::Registers(registers) => raise(registers, coupon),
        }
    }

    fn add_registers(&mut self, other: &[u8]) {
        if let State::Coupons(coupons) = &self.0 {
            self.0 = State::Registers(registers(coupons));
        }
        if let State::Registers(registers) = &mut self.0 {
            for (register, value) in registers.iter_mut().zip(other) {
                *register = (*register).max(*value);
            }
        }
    }
}

fn registers(coupons: &[u32]) -> Box<[u8; REGISTERS]> {
    let mut registers = Box::new([0; REGISTERS]);
    coupons
        .iter()
        .for_each(|coupon| raise(&mut registers, *coupon));
    registers
}

fn raise(registers: &mut [u8; REGISTERS], coupon: u32) {
    let register = &mut registers[coupon as usize & (REGISTERS - 1)];
    *register = (*register).max((coupon >> SLOT_BITS) as u8);
}

/// Reads a coupon's number through its [`Hash`]: the library has no other way to tell it.
#[derive(Default)]
struct RawCoupon(u32);

impl Hasher for RawCoupon {
    fn finish(&self) -> u64 {
        u64::from(self.0)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u32::from(*byte);
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.0 = value;
    }
}

// The format: https://github.com/apache/datasketches-java, HllSketch's PreambleUtil.
const SERIAL_VERSION: u8 = 1;
const FAMILY: u8 = 7;
const EMPTY: u8 = 4;
const COMPACT: u8 = 8;
const OUT_OF_ORDER: u8 = 16;
const HLL_8: u8 = 2 << 2;
const LIST: u8 = HLL_8;
const SET: u8 = HLL_8 | 1;
const HLL: u8 = HLL_8 | 2;
/// So many coupons still are a list.
const LIST_MAX: usize = 7;
/// Bytes before the registers.
const PREAMBLE: usize = 40;

impl Sketch for DistinctSketch {
    fn is_empty(&self) -> bool {
        matches!(&self.0, State::Coupons(coupons) if coupons.is_empty())
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        match &self.0 {
            State::Coupons(coupons) => write_coupons(coupons, bytes),
            State::Registers(registers) => write_registers(registers, bytes),
        }
    }

    fn merge_bytes(&mut self, bytes: &[u8]) -> Result<(), SketchError> {
        let wrong = |reason| SketchError {
            expected: "distinct",
            reason,
        };
        let head = bytes.get(..8).ok_or(wrong("they are too few"))?;
        if head[1] != SERIAL_VERSION || head[2] != FAMILY || head[3] != LG_K {
            return Err(wrong("they are not an HLL sketch of 4,096 registers"));
        }
        let coupons = match head[7] {
            LIST => &bytes[8..],
            SET => bytes.get(12..).ok_or(wrong("they are too few"))?,
            HLL => {
                let registers = bytes
                    .get(PREAMBLE..PREAMBLE + REGISTERS)
                    .ok_or(wrong("registers are missing"))?;
                self.add_registers(registers);
                return Ok(());
            }
            _ => return Err(wrong("they are of another HLL type")),
        };
        if head[5] & COMPACT == 0 && head[5] & EMPTY == 0 {
            return Err(wrong("their coupons are not in compact form"));
        }
        let (coupons, rest) = coupons.as_chunks::<4>();
        if !rest.is_empty() || coupons.len() > COUPONS_MAX {
            return Err(wrong("the coupons are not whole"));
        }
        coupons
            .iter()
            .for_each(|coupon| self.add_coupon(u32::from_le_bytes(*coupon)));
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        match &self.0 {
            State::Coupons(coupons) => coupons.capacity() * size_of::<u32>(),
            State::Registers(_) => REGISTERS,
        }
    }
}

fn write_coupons(coupons: &[u32], bytes: &mut Vec<u8>) {
    let count = coupons.len();
    if count <= LIST_MAX {
        let flags = if count == 0 { EMPTY | COMPACT } else { COMPACT };
        bytes.extend([2, SERIAL_VERSION, FAMILY, LG_K, 3, flags, count as u8, LIST]);
    } else {
        // The table that the library would hold them in, filled to three quarters at the most.
        let lg_table = (5..=LG_K - 3)
            .find(|lg| 4 * count <= 3 << lg)
            .unwrap_or(LG_K - 3);
        bytes.extend([3, SERIAL_VERSION, FAMILY, LG_K, lg_table, COMPACT, 0, SET]);
        bytes.extend((count as u32).to_le_bytes());
    }
    coupons
        .iter()
        .for_each(|coupon| bytes.extend(coupon.to_le_bytes()));
}

fn write_registers(registers: &[u8; REGISTERS], bytes: &mut Vec<u8>) {
    // Sums of powers of two, from the registers in their order: the same for the same registers.
    let (mut low, mut high) = (0.0, 0.0);
    for value in registers {
        let part = 1.0 / (1_u64 << (value & 63)) as f64;
        if *value < 32 {
            low += part;
        } else {
            high += part;
        }
    }
    let zeros = registers.iter().filter(|value| **value == 0).count() as u32;
    bytes.extend([10, SERIAL_VERSION, FAMILY, LG_K, 0, OUT_OF_ORDER, 0, HLL]);
    for double in [0.0_f64, low, high] {
        bytes.extend(double.to_le_bytes());
    }
    bytes.extend(zeros.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend_from_slice(registers);
}

#[cfg(test)]
mod tests {
    use datasketches::hll::HllType;
    use proptest::prelude::*;

    use super::*;

    fn sketch(values: impl IntoIterator<Item = u32>) -> DistinctSketch {
        let mut sketch = DistinctSketch::default();
        values
            .into_iter()
            .for_each(|value| sketch.add(&format!("user-{value}")));
        sketch
    }

    fn bytes(sketch: &DistinctSketch) -> Vec<u8> {
        let mut bytes = Vec::new();
        sketch.write(&mut bytes);
        bytes
    }

    #[test]
    fn few_are_counted_exactly_and_many_closely() {
        for count in [0_u32, 1, 5, 7, 8, 50, 300, 384] {
            let estimate = sketch(0..count).estimate();
            assert!(
                (estimate - f64::from(count)).abs() < 0.5,
                "{count}: {estimate}"
            );
        }
        for count in [385_u32, 1_000, 10_000, 200_000] {
            let estimate = sketch(0..count).estimate();
            let off = (estimate - f64::from(count)).abs() / f64::from(count);
            assert!(off < 0.06, "{count}: {estimate}");
        }
    }

    #[test]
    fn the_library_counts_what_it_read_itself_alike() {
        for count in [3_u32, 100, 5_000] {
            let mut theirs = HllSketch::new(LG_K, HllType::Hll8).unwrap();
            for value in 0..count {
                theirs.update(raw_bytes::from_str(&format!("user-{value}")));
            }
            assert!((theirs.composite_estimate() - sketch(0..count).estimate()).abs() < 1e-6);
            assert_eq!(
                bytes(&DistinctSketch::read(&theirs.serialize()).unwrap()),
                bytes(&sketch(0..count))
            );
        }
    }

    proptest! {
        #[test]
        fn bytes_depend_on_the_set_alone(
            mut values in prop::collection::vec(0_u32..2_000, 1..900),
            cut in 0_usize..900,
        ) {
            let whole = bytes(&sketch(values.iter().copied()));
            values.reverse();
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut merged = DistinctSketch::default();
            for part in [right, left, right] {
                merged.merge_bytes(&bytes(&sketch(part.iter().copied()))).unwrap();
            }
            prop_assert_eq!(bytes(&merged), whole);
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..80), kind in 0_u8..4) {
            if bytes.len() > 8 {
                bytes[1..4].copy_from_slice(&[SERIAL_VERSION, FAMILY, LG_K]);
                bytes[7] = HLL_8 | kind;
            }
            if let Ok(sketch) = DistinctSketch::read(&bytes) {
                sketch.estimate();
            }
        }
    }
}
