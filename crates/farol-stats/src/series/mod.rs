//! Anomalies of time series.

pub mod autoregression;
pub mod components;
pub mod difference;
pub mod neighbours;
pub mod range;
pub mod scale;
pub mod seasonal;
pub mod shift;
pub mod windows;
