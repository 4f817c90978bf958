//! What a condition says of one window of one segment.

use std::cmp::Ordering;

use super::{Condition, Function, Node, Operator, PastTerm};

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Not known.
    Null,
    /// A number, never NaN or infinite.
    Number(f64),
    /// Text.
    Text(String),
    /// True or false.
    Boolean(bool),
}

impl Value {
    /// A number; what is none (NaN, infinite) is not known.
    pub fn number(value: f64) -> Self {
        if value.is_finite() {
            Self::Number(value)
        } else {
            Self::Null
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }
}

/// A window's values, in the order of [`super::Columns::columns`].
pub type Row = [Value];

/// The segment's past, as a condition asks for it.
pub trait Past {
    /// The value of `previous` or `baseline` for the window at hand; NULL where there is no data.
    fn look(&self, term: PastTerm) -> Option<f64>;
}

/// What a condition compared, for evidence.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Compared {
    /// The column that was compared.
    pub column: Option<usize>,
    /// Its value.
    pub value: Option<f64>,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// The value of the first look at the column's own past.
    pub baseline: Option<f64>,
}

impl Condition {
    /// Whether the condition holds; `None` is NULL: not known.
    pub fn holds(&self, row: &Row, past: &dyn Past) -> Option<bool> {
        truth(&self.root.value(row, past))
    }

    /// The first comparison of a measure in the text, with its values in this window.
    pub fn compared(&self, row: &Row, past: &dyn Past) -> Compared {
        let Some((column, other)) = self.root.decisive(row, past) else {
            return Compared::default();
        };
        let mut baseline = None;
        self.root.visit(&mut |node| {
            if let Node::Past(term) = node
                && term.column == column
                && baseline.is_none()
            {
                baseline = past.look(*term);
            }
        });
        Compared {
            column: Some(column),
            value: row[column].as_number(),
            threshold: other.value(row, past).as_number(),
            baseline,
        }
    }
}

/// A value as a truth; anything but a boolean is not known.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Boolean(value) => Some(*value),
        _ => None,
    }
}

fn from_truth(value: Option<bool>) -> Value {
    value.map_or(Value::Null, Value::Boolean)
}

impl Node {
    /// The column, where this is nothing but a column that holds no text.
    fn measure(&self, row: &Row) -> Option<usize> {
        match self {
            Self::Column(column) if !matches!(row[*column], Value::Text(_)) => Some(*column),
            _ => None,
        }
    }

    /// The first comparison of a measure, and what it is compared with; of an `OR` that of the side that holds.
    fn decisive(&self, row: &Row, past: &dyn Past) -> Option<(usize, &Self)> {
        let of = |node: &'_ Self| truth(&node.value(row, past)) == Some(true);
        match self {
            Self::Binary(Operator::Or, left, right) if of(right) && !of(left) => right
                .decisive(row, past)
                .or_else(|| left.decisive(row, past)),
            Self::Binary(operator, left, right) if operator.is_comparison() => {
                let left_first = left.measure(row).map(|column| (column, right.as_ref()));
                left_first.or_else(|| right.measure(row).map(|column| (column, left.as_ref())))
            }
            Self::Binary(_, left, right) => left
                .decisive(row, past)
                .or_else(|| right.decisive(row, past)),
            Self::Not(inner) | Self::Negative(inner) | Self::IsNull(inner) => {
                inner.decisive(row, past)
            }
            Self::Call(_, arguments) => {
                arguments.iter().find_map(|inner| inner.decisive(row, past))
            }
            Self::Constant(_) | Self::Column(_) | Self::Past(_) => None,
        }
    }

    fn value(&self, row: &Row, past: &dyn Past) -> Value {
        match self {
            Self::Constant(value) => value.clone(),
            Self::Column(column) => row[*column].clone(),
            Self::Not(inner) => from_truth(truth(&inner.value(row, past)).map(|value| !value)),
            Self::Negative(inner) => match inner.value(row, past) {
                Value::Number(value) => Value::Number(-value),
                _ => Value::Null,
            },
            Self::IsNull(inner) => Value::Boolean(inner.value(row, past) == Value::Null),
            Self::Binary(operator, left, right) => {
                combine(*operator, &left.value(row, past), &right.value(row, past))
            }
            Self::Call(Function::Abs, arguments) => {
                let value = arguments.first().map(|inner| inner.value(row, past));
                value
                    .and_then(|value| value.as_number())
                    .map_or(Value::Null, |value| Value::Number(value.abs()))
            }
            Self::Call(Function::Coalesce, arguments) => arguments
                .iter()
                .map(|inner| inner.value(row, past))
                .find(|value| *value != Value::Null)
                .unwrap_or(Value::Null),
            Self::Past(term) => past.look(*term).map_or(Value::Null, Value::number),
        }
    }
}

fn combine(operator: Operator, left: &Value, right: &Value) -> Value {
    match operator {
        Operator::And => from_truth(match (truth(left), truth(right)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }),
        Operator::Or => from_truth(match (truth(left), truth(right)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        }),
        _ if operator.is_comparison() => {
            from_truth(order(left, right).map(|order| match operator {
                Operator::Equal => order.is_eq(),
                Operator::Different => order.is_ne(),
                Operator::Less => order.is_lt(),
                Operator::LessOrEqual => order.is_le(),
                Operator::Greater => order.is_gt(),
                _ => order.is_ge(),
            }))
        }
        _ => match (left, right) {
            (Value::Number(left), Value::Number(right)) => Value::number(match operator {
                Operator::Plus => left + right,
                Operator::Minus => left - right,
                Operator::Times => left * right,
                Operator::Divide => left / right,
                _ => left % right,
            }),
            _ => Value::Null,
        },
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Boolean(left), Value::Boolean(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Columns, PastKind, Type, check};
    use super::*;

    struct NoPast;
    impl Past for NoPast {
        fn look(&self, _: PastTerm) -> Option<f64> {
            None
        }
    }

    struct Fixed(f64);
    impl Past for Fixed {
        fn look(&self, term: PastTerm) -> Option<f64> {
            assert_eq!(term.kind, PastKind::Baseline);
            Some(self.0)
        }
    }

    fn columns() -> Columns {
        let named = |name: &str, kind| (name.to_owned(), kind);
        Columns {
            source: "performance".to_owned(),
            window_us: 60_000_000,
            columns: vec![
                named("error_rate", Type::Number),
                named("requests", Type::Number),
                named("service", Type::Text),
            ],
            segments_merged: vec!["model".to_owned()],
            sketches: vec!["latency".to_owned()],
            elsewhere: vec![("cost_usd".to_owned(), "spend".to_owned())],
        }
    }

    fn holds(text: &str, error_rate: Option<f64>, requests: Option<f64>) -> Option<bool> {
        let value = |number: Option<f64>| number.map_or(Value::Null, Value::Number);
        let row = [
            value(error_rate),
            value(requests),
            Value::Text("checkout".to_owned()),
        ];
        check(text, &columns())
            .unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"))
            .holds(&row, &NoPast)
    }

    /// A window with these values, of a service that is not known.
    fn numbers(error_rate: f64, requests: f64) -> [Value; 3] {
        [
            Value::Number(error_rate),
            Value::Number(requests),
            Value::Null,
        ]
    }

    #[test]
    fn logic_has_three_values() {
        let rule = "error_rate > 0.2 AND requests >= 20";
        assert_eq!(holds(rule, Some(0.3), Some(20.0)), Some(true));
        assert_eq!(holds(rule, Some(0.3), Some(19.0)), Some(false));
        assert_eq!(holds(rule, None, Some(20.0)), None);
        assert_eq!(holds(rule, None, Some(1.0)), Some(false));
        assert_eq!(
            holds("error_rate > 0.2 OR requests >= 20", None, Some(20.0)),
            Some(true)
        );
        assert_eq!(holds("NOT error_rate > 0.2", None, None), None);
        assert_eq!(holds("error_rate IS NULL", None, None), Some(true));
        assert_eq!(holds("error_rate IS NOT NULL", None, None), Some(false));
    }

    #[test]
    fn arithmetic_binds_as_in_sql() {
        assert_eq!(holds("1 + 2 * 3 = 7 AND NOT FALSE", None, None), Some(true));
        assert_eq!(holds("-(1 - 3) = 2", None, None), Some(true));
        assert_eq!(holds("error_rate / 0 > 1", Some(1.0), None), None);
        assert_eq!(
            holds(
                "error_rate BETWEEN 0.1 AND 0.2 AND service IN ('a', 'checkout')",
                Some(0.15),
                None
            ),
            Some(true)
        );
        assert_eq!(
            holds("service NOT IN ('checkout')", None, None),
            Some(false)
        );
        assert_eq!(
            holds("coalesce(error_rate, 1) > 0.5 AND abs(-1) = 1", None, None),
            Some(true)
        );
        assert_eq!(
            holds("previous('1 hour', error_rate) < 1", Some(1.0), None),
            None
        );
    }

    #[test]
    fn evidence_names_the_first_comparison_of_a_measure() {
        let text = "1.5 * baseline('7 days', error_rate) < error_rate AND requests > 3";
        let condition = check(text, &columns()).unwrap();
        assert_eq!(condition.lookback_us(), 7 * 86_400_000_000);
        let row = numbers(0.5, 9.0);
        let compared = condition.compared(&row, &Fixed(0.2));
        assert_eq!(compared.column, Some(0));
        assert_eq!(compared.value, Some(0.5));
        assert!((compared.threshold.unwrap() - 0.3).abs() < 1e-12);
        assert_eq!(compared.baseline, Some(0.2));
    }

    #[test]
    fn evidence_tells_the_past_of_what_it_names() {
        let text = "requests > 2 * baseline('7 days', requests) OR error_rate > 0.4";
        let condition = check(text, &columns()).unwrap();
        let baseline = |error_rate, requests| {
            let row = numbers(error_rate, requests);
            let compared = condition.compared(&row, &Fixed(5.0));
            (compared.column, compared.baseline)
        };
        assert_eq!(baseline(0.1, 20.0), (Some(1), Some(5.0)));
        assert_eq!(baseline(0.5, 9.0), (Some(0), None));
    }

    #[test]
    fn evidence_is_of_the_side_that_holds() {
        let text = "error_rate > 0.12 AND requests >= 60 OR error_rate > 0.2 AND requests >= 20";
        let condition = check(text, &columns()).unwrap();
        let threshold = |error_rate, requests| {
            let row = numbers(error_rate, requests);
            condition.compared(&row, &Fixed(0.0)).threshold
        };
        assert_eq!(threshold(0.3, 20.0), Some(0.2));
        assert_eq!(threshold(0.3, 80.0), Some(0.12));
        assert_eq!(threshold(0.1, 80.0), Some(0.12), "neither holds");
    }

    #[test]
    fn mistakes_say_where_and_what_instead() {
        let cases = [
            ("eror_rate > 0.2", "eror_rate", "did you mean `error_rate`?"),
            ("error_rate > 'high'", "'high'", "without quotes"),
            ("cost_usd > 5", "cost_usd", "on: spend"),
            ("model = 'x'", "model", "add model to `by`"),
            ("latency > 5", "latency", "measure over it"),
            ("error_rate", "error_rate", "compare it"),
            ("error_rate AND requests > 1", "error_rate", "compare it"),
            ("median(error_rate) > 1", "median", "previous, baseline"),
            ("previous(error_rate, 3) > 1", "error_rate", "in quotes"),
            (
                "previous('90s', error_rate) > 1",
                "'90s'",
                "multiple of 1 minute",
            ),
            ("error_rate = NULL", "error_rate = NULL", "IS NULL"),
            ("error_rate > 20%", "", ""),
            ("error_rate >", "", ""),
            ("error_rate > 1 requests", "requests", ""),
            ("(error_rate > 1", "", ""),
            ("error_rate > 'x", "'x", ""),
        ];
        for (text, place, help) in cases {
            let mistake = check(text, &columns()).unwrap_err();
            assert_eq!(&text[mistake.span.clone()], place, "{text}: {mistake:?}");
            let told = mistake.help.clone().unwrap_or_default();
            assert!(told.contains(help), "{text}: {mistake:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let text = format!("{}1 = 1{}", "(".repeat(500), ")".repeat(500));
        assert!(
            check(&text, &columns())
                .unwrap_err()
                .message
                .contains("nests")
        );
    }
}
