//! farol-server
