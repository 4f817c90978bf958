//! farol-lake
