//! Between which numbers something is.

use super::Operator;

/// Numbers from one to another; an end that is open does not belong to them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    low: f64,
    low_open: bool,
    high: f64,
    high_open: bool,
}

impl Bounds {
    /// Every number.
    pub const ANY: Self = Self::closed(f64::NEG_INFINITY, f64::INFINITY);

    /// A part of a whole: 0 to 1.
    pub const RATIO: Self = Self::closed(0.0, 1.0);

    const fn closed(low: f64, high: f64) -> Self {
        Self {
            low,
            low_open: false,
            high,
            high_open: false,
        }
    }

    /// This number and all above.
    #[must_use]
    pub const fn from(low: f64) -> Self {
        Self::closed(low, f64::INFINITY)
    }

    /// One number.
    #[must_use]
    pub const fn exactly(number: f64) -> Self {
        Self::closed(number, number)
    }

    /// Whether it is one number.
    pub(super) fn is_one(self) -> bool {
        self.low >= self.high
    }

    /// What can be so compared with a number of `other`.
    pub(super) fn compared(operator: Operator, other: Self) -> Self {
        match operator {
            Operator::Equal => other,
            Operator::Less => Self {
                high: other.high,
                high_open: true,
                ..Self::ANY
            },
            Operator::LessOrEqual => Self {
                high: other.high,
                high_open: other.high_open,
                ..Self::ANY
            },
            Operator::Greater => Self {
                low: other.low,
                low_open: true,
                ..Self::ANY
            },
            Operator::GreaterOrEqual => Self {
                low: other.low,
                low_open: other.low_open,
                ..Self::ANY
            },
            _ => Self::ANY,
        }
    }

    /// What belongs to both; `None` where nothing does.
    pub(super) fn meet(self, other: Self) -> Option<Self> {
        let (low, low_open) = if self.low > other.low {
            (self.low, self.low_open)
        } else if other.low > self.low {
            (other.low, other.low_open)
        } else {
            (self.low, self.low_open || other.low_open)
        };
        let (high, high_open) = if self.high < other.high {
            (self.high, self.high_open)
        } else if other.high < self.high {
            (other.high, other.high_open)
        } else {
            (self.high, self.high_open || other.high_open)
        };
        let found = Self {
            low,
            low_open,
            high,
            high_open,
        };
        let is_empty = low > high || (low >= high && (low_open || high_open));
        (!is_empty).then_some(found)
    }

    /// The least that holds both. Its ends are closed: it may be a little too wide.
    pub(super) fn hull(self, other: Self) -> Self {
        Self::closed(self.low.min(other.low), self.high.max(other.high))
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self::of(&[self.low + other.low, self.high + other.high])
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self::of(&[self.low - other.high, self.high - other.low])
    }

    pub(super) fn times(self, other: Self) -> Self {
        let ends = [self.low, self.high];
        let products = ends.map(|end| [end * other.low, end * other.high]);
        Self::of(products.as_flattened())
    }

    /// From the least to the most of some numbers; infinity less infinity may be anything.
    fn of(numbers: &[f64]) -> Self {
        if numbers.iter().any(|number| number.is_nan()) {
            return Self::ANY;
        }
        let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self::closed(low, high)
    }
}

impl std::fmt::Display for Bounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let above = if self.low_open { "above" } else { "at least" };
        let below = if self.high_open { "below" } else { "at most" };
        match (self.low.is_finite(), self.high.is_finite()) {
            _ if self.is_one() => write!(f, "{}", self.low),
            (true, true) => write!(f, "{above} {} and {below} {}", self.low, self.high),
            (true, false) => write!(f, "{above} {}", self.low),
            (false, true) => write!(f, "{below} {}", self.high),
            (false, false) => f.write_str("any number"),
        }
    }
}
