//! Keeping files few and storage small.
