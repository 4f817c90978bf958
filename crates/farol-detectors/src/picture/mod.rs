//! Pictures of a finding: a sparkline for a terminal, and an SVG with the series, what was expected, and the alarm; of drift
//! one with both distributions.
//!
//! They are pure functions of a [`Series`], or of [`Distributions`].

mod distributions;
mod sparkline;
mod svg;

pub use distributions::{Distributions, Values, distributions};
pub use sparkline::sparkline;
pub use svg::svg;

/// A measure around a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What is shown: a title of one line.
    pub title: String,
    /// The unit of the measure, if it has one.
    pub unit: Option<String>,
    /// Windows in order: their start in microseconds and the measure, where it is known.
    pub points: Vec<(i64, Option<f64>)>,
    /// The width of a window, in microseconds.
    pub window_us: i64,
    /// What the measure was expected to be.
    pub reference: f64,
    /// Where the change began.
    pub since_us: i64,
    /// The end of the window that noticed it.
    pub noticed_us: i64,
    /// When it was over.
    pub ended_us: Option<i64>,
}

impl Series {
    /// The lowest and the highest value, the reference among them.
    fn extent(&self) -> (f64, f64) {
        let known = self.points.iter().filter_map(|(_, value)| *value);
        let values = known
            .chain([self.reference])
            .filter(|value| value.is_finite());
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        match (low.is_finite(), low < high) {
            (false, _) => (0.0, 1.0),
            (_, true) => (low, high),
            (_, false) => (low - 0.5, high + 0.5),
        }
    }
}

#[cfg(test)]
mod tests;
