//! Decimals with 38 digits, 12 of them after the point, read from text and never through binary
//! floating point.

/// How many digits a decimal has.
pub const PRECISION: u8 = 38;
/// How many of a decimal's digits are after the point.
pub const SCALE: i8 = 12;
