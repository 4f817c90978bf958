//! farol-events
