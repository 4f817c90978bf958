//! Anomalies of time series.

pub mod windows;
