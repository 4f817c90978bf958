//! farol-ingest
