//! farol-kafka
