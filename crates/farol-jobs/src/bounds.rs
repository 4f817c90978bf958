//! What a filter on windows says of the partials they are made of, so that a bound on time reaches the table's files.
//!
//! Windows are merged from partials of narrower ones. The filter itself is applied to the windows; the bounds found
//! here only leave out partials that no window within the filter has, and may be wider than the filter.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use crate::definition::{WINDOW_END, WINDOW_START, time_literal, time_type};
use crate::grain::Grain;

/// Bounds of the partials' own `window_start` that follow from a filter on windows of a grain.
pub fn bounds(filter: &Expr, grain: &Grain) -> Vec<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else {
        return Vec::new();
    };
    if *op == Operator::And {
        return [bounds(left, grain), bounds(right, grain)].concat();
    }
    let (column, op, value) = match (column_of(left), column_of(right)) {
        (Some(column), None) => (column, Some(*op), right),
        (None, Some(column)) => (column, op.swap(), left),
        _ => return Vec::new(),
    };
    match (op, time_of(value)) {
        (Some(op), Some(time)) => bounds_of(&column.name, op, time, grain),
        _ => Vec::new(),
    }
}

/// The column that an expression is. Where the other side has a finer type, the column is cast to that, which changes
/// no order.
fn column_of(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Cast(cast) if is_as_fine(cast.field.data_type()) => column_of(&cast.expr),
        _ => None,
    }
}

fn is_as_fine(time: &DataType) -> bool {
    use TimeUnit::{Microsecond, Nanosecond};
    matches!(time, DataType::Timestamp(Microsecond | Nanosecond, _))
}

/// A time in microseconds.
#[derive(Debug, Clone, Copy)]
struct Time {
    us: i64,
    /// Whether it was rounded down to that.
    rounded: bool,
}

fn time_of(expr: &Expr) -> Option<Time> {
    let Expr::Literal(value, _) = expr else {
        return None;
    };
    let rounded = match value {
        ScalarValue::TimestampNanosecond(Some(time_ns), _) => time_ns % 1_000 != 0,
        _ => false,
    };
    match value.cast_to(&time_type()) {
        Ok(ScalarValue::TimestampMicrosecond(Some(us), _)) => Some(Time { us, rounded }),
        _ => None,
    }
}

fn bounds_of(column: &str, op: Operator, time: Time, grain: &Grain) -> Vec<Expr> {
    let time_us = time.us;
    let Some((start_us, end_us)) = grain.window_of(time_us) else {
        return Vec::new();
    };
    let start = || Expr::Column(Column::from_name(WINDOW_START));
    let from = |time_us| start().gt_eq(time_literal(time_us));
    let before = |time_us| start().lt(time_literal(time_us));
    let begins_there = time_us == start_us && !time.rounded;
    // The window before, which ends where this one begins.
    let previous = grain.window_of(start_us.saturating_sub(1));
    match (column, op) {
        (WINDOW_START, Operator::Gt | Operator::GtEq) => vec![from(time_us)],
        (WINDOW_START, Operator::Lt) if begins_there => vec![before(start_us)],
        (WINDOW_START, Operator::Lt | Operator::LtEq) => vec![before(end_us)],
        (WINDOW_START, Operator::Eq) => vec![from(start_us), before(end_us)],
        (WINDOW_END, Operator::GtEq) if begins_there => match previous {
            Some((previous_us, _)) => vec![from(previous_us)],
            None => Vec::new(),
        },
        (WINDOW_END, Operator::Gt | Operator::GtEq) => vec![from(start_us)],
        (WINDOW_END, Operator::Lt | Operator::LtEq) => vec![before(start_us)],
        (WINDOW_END, Operator::Eq) => match previous {
            Some((previous_us, _)) => vec![from(previous_us), before(start_us)],
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::cast;
    use proptest::prelude::*;

    use super::*;
    use crate::grain::TimeZone;

    const HOURS: i64 = 3_600_000_000;

    fn column(name: &str) -> Expr {
        Expr::Column(Column::new(Some("performance"), name))
    }

    fn told(filter: &Expr, grain: &str) -> String {
        let grain = Grain::parse(grain, TimeZone::UTC).unwrap();
        let bounds = bounds(filter, &grain);
        let texts: Vec<_> = bounds.iter().map(ToString::to_string).collect();
        texts.join(" AND ")
    }

    #[test]
    fn a_bound_on_wide_windows_bounds_the_narrow_ones() {
        let at = time_literal;
        let start = || column("window_start");
        let told = |filter: Expr| told(&filter, "1 hour");
        let from = |hours| format!("window_start >= {}", at(hours * HOURS));
        let before = |hours| format!("window_start < {}", at(hours * HOURS));
        assert_eq!(told(start().gt(at(2 * HOURS))), from(2));
        assert_eq!(told(at(2 * HOURS).lt_eq(start())), from(2));
        assert_eq!(told(start().lt_eq(at(2 * HOURS))), before(3));
        assert_eq!(told(start().lt(at(2 * HOURS))), before(2));
        assert_eq!(told(start().lt(at(2 * HOURS + 1))), before(3));
        assert_eq!(
            told(start().eq(at(2 * HOURS))),
            format!("{} AND {}", from(2), before(3))
        );
        assert_eq!(
            told(start().gt(at(2 * HOURS)).and(start().lt(at(2 * HOURS + 1)))),
            format!("{} AND {}", from(2), before(3))
        );
        assert_eq!(told(start().not_eq(at(0))), "");
        let end = || column("window_end");
        assert_eq!(told(end().gt(at(2 * HOURS))), from(2));
        assert_eq!(told(end().gt_eq(at(2 * HOURS))), from(1));
        assert_eq!(told(end().lt_eq(at(2 * HOURS))), before(2));
        assert_eq!(
            told(end().eq(at(2 * HOURS))),
            format!("{} AND {}", from(1), before(2))
        );
        assert_eq!(told(column("service").gt(at(0))), "");
    }

    #[test]
    fn a_bound_in_nanoseconds_is_a_bound_too() {
        let nanosecond =
            |time_ns| Expr::Literal(ScalarValue::TimestampNanosecond(Some(time_ns), None), None);
        let start = cast(
            column("window_start"),
            DataType::Timestamp(TimeUnit::Nanosecond, None),
        );
        let filter = start.gt_eq(nanosecond(2 * HOURS * 1_000 + 1));
        let from = format!("window_start >= {}", time_literal(2 * HOURS));
        assert_eq!(told(&filter, "1 hour"), from);
    }

    fn holds(op: Operator, left: i64, right: i64) -> bool {
        match op {
            Operator::Gt => left > right,
            Operator::GtEq => left >= right,
            Operator::Lt => left < right,
            Operator::LtEq => left <= right,
            _ => left == right,
        }
    }

    /// Whether a narrow window is within bounds.
    fn is_within(bounds: &[Expr], minute_us: i64) -> bool {
        bounds.iter().all(|bound| {
            let Expr::BinaryExpr(BinaryExpr { op, right, .. }) = bound else {
                panic!("{bound}");
            };
            holds(*op, minute_us, time_of(right).unwrap().us)
        })
    }

    proptest! {
        /// No partial of a window that the filter keeps is left out.
        #[test]
        fn bounds_keep_whatever_the_filter_keeps(
            minute in 24_000_000_i64..30_000_000,
            near in -200_000_i64..200_000,
            exact in any::<bool>(),
            of_end in any::<bool>(),
            op in prop::sample::select(vec![Operator::Gt, Operator::GtEq, Operator::Lt, Operator::LtEq, Operator::Eq]),
            grain in prop::sample::select(vec!["1 hour", "1 day in Europe/London", "1 month in America/Sao_Paulo", "1 week"]),
        ) {
            let grain = Grain::parse(grain, TimeZone::UTC).unwrap();
            let minute_us = minute * 60_000_000;
            let (start, end) = grain.window_of(minute_us).unwrap();
            let (name, edge) = if of_end { ("window_end", end) } else { ("window_start", start) };
            let value = if exact { edge } else { (minute + near) * 60_000_000 };
            let filter = Expr::BinaryExpr(BinaryExpr::new(
                Box::new(column(name)),
                op,
                Box::new(time_literal(value)),
            ));
            if holds(op, edge, value) {
                prop_assert!(is_within(&bounds(&filter, &grain), minute_us), "{filter} by {grain}");
            }
        }
    }
}
