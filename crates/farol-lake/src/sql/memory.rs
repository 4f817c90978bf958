//! The memory that one query may hold.
//!
//! Operators that can spill to disk (sorts, groups) share half of it evenly. The rest is for those that cannot,
//! so that what was spilled can be merged again however much the others hold; they may also take what the others have not.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion::common::{Result, resources_datafusion_err};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, human_readable_size,
};

/// A pool of memory for a query.
#[derive(Debug)]
pub struct QueryMemory {
    bytes: usize,
    held: Mutex<Held>,
}

/// Who holds how much, in bytes.
#[derive(Debug, Default)]
struct Held {
    /// How many operators can spill.
    spillers: usize,
    by_spillers: usize,
    by_others: usize,
}

impl Held {
    /// What an operator that can spill may hold.
    fn share(&self, bytes: usize) -> usize {
        let left = bytes.saturating_sub(self.by_others).min(bytes / 2);
        left.checked_div(self.spillers).unwrap_or(left)
    }

    fn of(&mut self, consumer: &MemoryConsumer) -> &mut usize {
        if consumer.can_spill() {
            &mut self.by_spillers
        } else {
            &mut self.by_others
        }
    }
}

impl QueryMemory {
    /// A pool of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self {
            bytes,
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for the query", human_readable_size(self.bytes))
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &'static str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.held().spillers += usize::from(consumer.can_spill());
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        let mut held = self.held();
        held.spillers = held
            .spillers
            .saturating_sub(usize::from(consumer.can_spill()));
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        let mut held = self.held();
        *held.of(reservation.consumer()) += additional;
    }

    fn shrink(&self, reservation: &MemoryReservation, less: usize) {
        let mut held = self.held();
        let bytes = held.of(reservation.consumer());
        *bytes = bytes.saturating_sub(less);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut held = self.held();
        let consumer = reservation.consumer();
        let most = if consumer.can_spill() {
            held.share(self.bytes).saturating_sub(reservation.size())
        } else {
            self.bytes.saturating_sub(held.by_spillers + held.by_others)
        };
        if additional > most {
            return Err(resources_datafusion_err!(
                "{} holds {} and wants {} more, of which {} are left to it of {self}",
                consumer.name(),
                human_readable_size(reservation.size()),
                human_readable_size(additional),
                human_readable_size(most)
            ));
        }
        *held.of(consumer) += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        let held = self.held();
        held.by_spillers + held.by_others
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn reservation(pool: &Arc<dyn MemoryPool>, name: &str, can_spill: bool) -> MemoryReservation {
        MemoryConsumer::new(name)
            .with_can_spill(can_spill)
            .register(pool)
    }

    #[test]
    fn those_who_spill_leave_half_to_those_who_cannot() {
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(1_000));
        let sort = reservation(&pool, "sort", true);
        let group = reservation(&pool, "group", true);
        sort.try_grow(250).unwrap();
        group.try_grow(250).unwrap();
        let error = sort.try_grow(1).unwrap_err().to_string();
        assert!(error.contains("sort holds 250.0 B"), "{error}");
        let merge = reservation(&pool, "merge", false);
        merge.try_grow(500).unwrap();
        merge.try_grow(1).unwrap_err();
        assert_eq!(pool.reserved(), 1_000);
        drop(group);
        // One alone may take what two had, and no more.
        sort.try_grow(250).unwrap();
        sort.try_grow(1).unwrap_err();
        drop(sort);
        merge.try_grow(500).unwrap();
        drop(merge);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn what_others_hold_is_not_there_for_those_who_spill() {
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(1_000));
        let join = reservation(&pool, "join", false);
        join.try_grow(600).unwrap();
        let sort = reservation(&pool, "sort", true);
        sort.try_grow(401).unwrap_err();
        sort.try_grow(400).unwrap();
    }
}
