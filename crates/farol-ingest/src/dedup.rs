//! Which entries were seen before: a bounded memory of 128-bit fingerprints.
//!
//! A fingerprint is kept with a digest of where it was first read (its *origin*: partition and offset).
//! An entry is a duplicate only when the same fingerprint came from *another* origin, so reading the same
//! record again, after a rewind or a partition's return, never makes it a duplicate of itself.
//!
//! The memory is a ring of generations: the newest takes inserts, and a generation is dropped whole once it
//! is older than the horizon. A generation also ends when its share of the memory is full, so that a flood
//! shortens the horizon instead of growing the process. A whole batch is probed at a time: probes that do
//! not depend on each other hide the cache misses that probing row by row exposes.

use std::collections::VecDeque;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::{Duration, Instant};

use hashbrown::HashMap;

/// Generations that share the horizon. An entry is remembered for at least the horizon and at most
/// `GENERATIONS / (GENERATIONS - 1)` of it.
const GENERATIONS: usize = 4;

/// Bytes one remembered entry takes: key, origin and control byte at the table's fullest load (7/8).
const ENTRY_BYTES: usize = 33 * 8 / 7;

/// Spreads offsets over an origin's bits; it is odd, so that it has an inverse.
const OFFSET_FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// What undoes [`OFFSET_FACTOR`], modulo 2^64.
const OFFSET_INVERSE: u64 = inverse(OFFSET_FACTOR);

/// The inverse of an odd number modulo 2^64: each round doubles the bits that are right, of which an odd
/// number has three.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut round = 0;
    while round < 5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
}

/// Where an entry was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(u64);

impl Origin {
    /// The origin of an entry; `partition` is [`partition_digest`] of its partition.
    pub fn new(partition: u64, offset: i64, entry: i32) -> Self {
        // Odd multipliers keep the three apart; two origins are only ever compared under one fingerprint.
        let offset = (offset as u64).wrapping_mul(OFFSET_FACTOR);
        let entry = u64::from(entry.cast_unsigned()).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
        Self(partition ^ offset ^ entry.rotate_left(29))
    }
}

/// A digest of a partition's name.
pub fn partition_digest(partition: &crate::marks::PartitionKey) -> u64 {
    xxhash_rust::xxh3::xxh3_64(partition.to_string().as_bytes())
}

/// Fingerprints are hashes already: their low half serves as it is.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }
}

type Seen = HashMap<u128, u64, BuildHasherDefault<Identity>>;

struct Generation {
    seen: Seen,
    began: Instant,
}

/// The memory of entries seen.
pub struct Deduplicator {
    generations: VecDeque<Generation>,
    horizon: Duration,
    entries_per_generation: usize,
}

impl Deduplicator {
    /// Remembers entries for `horizon`, or for as long as `memory_bytes` allows.
    pub fn new(horizon: Duration, memory_bytes: usize, now: Instant) -> Self {
        let mut this = Self {
            generations: VecDeque::with_capacity(GENERATIONS),
            horizon,
            entries_per_generation: (memory_bytes / GENERATIONS / ENTRY_BYTES).max(1),
        };
        this.begin(now);
        this
    }

    /// Remembers an entry without asking whether it was seen (when the memory is rebuilt from the lake).
    pub fn remember(&mut self, fingerprint: u128, origin: Origin, now: Instant) {
        self.make_room(1, now);
        if let Some(generation) = self.generations.back_mut() {
            generation.seen.entry(fingerprint).or_insert(origin.0);
        }
    }

    /// Asks for a whole batch at once, and remembers what is new. `duplicates` gets the positions of the
    /// entries seen before, ascending; entries without a fingerprint are never duplicates.
    pub fn check(
        &mut self,
        fingerprints: &[Option<u128>],
        origin_of: impl Fn(usize) -> Origin,
        now: Instant,
        duplicates: &mut Vec<usize>,
    ) {
        duplicates.clear();
        self.make_room(fingerprints.len(), now);
        let Some((newest, older)) = self.split() else {
            return;
        };
        for generation in older {
            if generation.seen.is_empty() {
                continue;
            }
            for (row, fingerprint) in fingerprints.iter().enumerate() {
                let Some(fingerprint) = fingerprint else {
                    continue;
                };
                let seen = generation.seen.get(fingerprint);
                if seen.is_some_and(|origin| *origin != origin_of(row).0) {
                    duplicates.push(row);
                }
            }
        }
        if !duplicates.is_empty() {
            duplicates.sort_unstable();
            duplicates.dedup();
        }
        let known = duplicates.len();
        for (row, fingerprint) in fingerprints.iter().enumerate() {
            let Some(fingerprint) = fingerprint else {
                continue;
            };
            if duplicates[..known].binary_search(&row).is_ok() {
                continue;
            }
            let origin = origin_of(row).0;
            if *newest.seen.entry(*fingerprint).or_insert(origin) != origin {
                duplicates.push(row);
            }
        }
        duplicates.sort_unstable();
    }

    /// Forgets what was read of a partition (by its digest) at these offsets. What was not committed when the
    /// partition went is read again by its next owner: were it remembered here, the same event at another place
    /// would be taken for a duplicate of it, while that owner may take it for a duplicate of this one.
    ///
    /// Only first entries of records are told by their origin.
    pub fn forget(&mut self, partition: u64, offsets: &std::ops::Range<i64>) {
        let offset_of = |origin: u64| {
            (origin ^ partition)
                .wrapping_mul(OFFSET_INVERSE)
                .cast_signed()
        };
        for generation in &mut self.generations {
            generation
                .seen
                .retain(|_, origin| !offsets.contains(&offset_of(*origin)));
        }
    }

    /// How far back an entry is certain to be remembered at present.
    pub fn effective_horizon(&self, now: Instant) -> Duration {
        match self.generations.front() {
            // Nothing was dropped for want of memory yet: all there was within the horizon is there.
            Some(_) if self.generations.len() < GENERATIONS => self.horizon,
            Some(oldest) => now
                .saturating_duration_since(oldest.began)
                .min(self.horizon),
            None => Duration::ZERO,
        }
    }

    /// Bytes held at present.
    pub fn memory_bytes(&self) -> usize {
        self.generations
            .iter()
            .map(|g| g.seen.allocation_size())
            .sum()
    }

    fn split(&mut self) -> Option<(&mut Generation, &[Generation])> {
        let slice = self.generations.make_contiguous();
        let (newest, older) = slice.split_last_mut()?;
        Some((newest, older))
    }

    /// Begins a generation where the newest is too old, or could not take so many entries more: a table that
    /// grows beyond its share doubles.
    fn make_room(&mut self, incoming: usize, now: Instant) {
        let share = self.horizon / (GENERATIONS as u32 - 1);
        let (full, aged) = self.generations.back().map_or((true, true), |newest| {
            let held = newest.seen.len();
            let full = held > 0 && held + incoming > self.entries_per_generation;
            (full, now.saturating_duration_since(newest.began) >= share)
        });
        if full || aged {
            self.begin(now);
        }
    }

    fn begin(&mut self, now: Instant) {
        if self.generations.len() == GENERATIONS {
            self.generations.pop_front();
        }
        // Growing by doubling would hold the old and the new table at once at the worst moment.
        let expected = self.generations.back().map_or(0, |g| g.seen.len());
        let expected = expected.min(self.entries_per_generation);
        let seen = Seen::with_capacity_and_hasher(expected, BuildHasherDefault::default());
        self.generations.push_back(Generation { seen, began: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HORIZON: Duration = Duration::from_mins(10);

    fn check(
        dedup: &mut Deduplicator,
        fingerprints: &[Option<u128>],
        base: i64,
        now: Instant,
    ) -> Vec<usize> {
        let mut duplicates = Vec::new();
        let origin = |row: usize| Origin::new(7, base + row as i64, 0);
        dedup.check(fingerprints, origin, now, &mut duplicates);
        duplicates
    }

    #[test]
    fn an_entry_from_another_place_is_a_duplicate_and_the_same_record_is_not() {
        let now = Instant::now();
        let mut dedup = Deduplicator::new(HORIZON, 1 << 20, now);
        assert_eq!(
            check(&mut dedup, &[Some(1), Some(2), None, None], 0, now),
            [0; 0]
        );
        assert_eq!(
            check(&mut dedup, &[Some(1), Some(2), None, None], 0, now),
            [0; 0],
            "read again"
        );
        assert_eq!(
            check(&mut dedup, &[Some(2), Some(3), Some(1)], 100, now),
            [0, 2]
        );
    }

    #[test]
    fn what_was_not_committed_is_forgotten_with_its_partition() {
        let now = Instant::now();
        let mut dedup = Deduplicator::new(HORIZON, 1 << 20, now);
        assert_eq!(
            check(&mut dedup, &[Some(1), Some(2), Some(3)], 10, now),
            [0; 0]
        );
        dedup.forget(8, &(0..100));
        dedup.forget(7, &(11..13));
        // The same events at other places: only the committed one was seen.
        assert_eq!(
            check(&mut dedup, &[Some(1), Some(2), Some(3)], 500, now),
            [0]
        );
    }

    #[test]
    fn duplicates_within_one_batch_are_found() {
        let now = Instant::now();
        let mut dedup = Deduplicator::new(HORIZON, 1 << 20, now);
        assert_eq!(
            check(&mut dedup, &[Some(5), Some(5), Some(6), Some(5)], 0, now),
            [1, 3]
        );
    }

    #[test]
    fn an_entry_is_remembered_for_the_horizon_and_then_forgotten() {
        let start = Instant::now();
        let mut dedup = Deduplicator::new(HORIZON, 1 << 20, start);
        check(&mut dedup, &[Some(1)], 0, start);
        for minute in 1..=10 {
            let now = start + Duration::from_secs(60 * minute);
            assert_eq!(
                check(&mut dedup, &[Some(1)], 50, now),
                [0],
                "after {minute} minutes"
            );
        }
        for minute in 11..=20 {
            check(
                &mut dedup,
                &[Some(1_000 + u128::from(minute))],
                0,
                start + Duration::from_secs(60 * minute),
            );
        }
        let later = start + Duration::from_mins(21);
        assert_eq!(check(&mut dedup, &[Some(1)], 50, later), [0; 0]);
    }

    #[test]
    fn a_flood_shortens_the_horizon_and_not_the_memory() {
        let now = Instant::now();
        let limit = 1 << 20;
        let mut dedup = Deduplicator::new(HORIZON, limit, now);
        for batch in 0..200_u64 {
            let at = now + Duration::from_millis(batch);
            let fingerprints: Vec<_> = (0..1_000_u64)
                .map(|i| {
                    u128::from(batch * 1_000 + i)
                        .wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
                })
                .map(Some)
                .collect();
            assert_eq!(
                check(&mut dedup, &fingerprints, batch as i64 * 1_000, at),
                [0; 0]
            );
            assert!(
                dedup.memory_bytes() <= limit * 2,
                "{} bytes",
                dedup.memory_bytes()
            );
        }
        assert!(dedup.effective_horizon(now + Duration::from_millis(200)) < Duration::from_secs(1));
    }

    #[test]
    fn what_is_rebuilt_from_the_lake_counts_as_seen() {
        let now = Instant::now();
        let mut dedup = Deduplicator::new(HORIZON, 1 << 20, now);
        dedup.remember(9, Origin::new(7, 41, 0), now);
        assert_eq!(check(&mut dedup, &[Some(9)], 41, now), [0; 0]);
        assert_eq!(check(&mut dedup, &[Some(9)], 42, now), [0]);
    }
}
