//! Names and types: what a condition may say about a job, before it runs.

use std::ops::Range;

use farol_jobs::suggestion;

use super::{
    Condition, Expr, Function, Kind, Mistake, Node, Operator, PastTerm, Type, Value, parse,
};
use farol_jobs::duration;

/// What a condition can name, and what else there is, to say where a name belongs.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// The job (or other source) that the rule reads.
    pub source: String,
    /// The window's width, in microseconds.
    pub window_us: i64,
    /// Measures and segments kept: a condition's row in this order.
    pub columns: Vec<(String, Type)>,
    /// Segments of the job that the rule does not keep.
    pub segments_merged: Vec<String>,
    /// Columns of the job that no condition can compare: sketches.
    pub sketches: Vec<String>,
    /// Measures of other jobs: the measure, the job.
    pub elsewhere: Vec<(String, String)>,
}

/// Reads and checks a condition: it must be true or false (or NULL).
///
/// # Errors
/// The first mistake, with its place in the text.
pub fn check(text: &str, columns: &Columns) -> Result<Condition, Mistake> {
    let expr = parse::parse(text)?;
    let (root, kind) = Checker { columns }.node(&expr)?;
    match kind {
        Some(Type::Boolean) => Ok(Condition {
            text: text.to_owned(),
            root,
        }),
        Some(other) => Err(Mistake::new(
            expr.span,
            format!("a condition must be true or false, and this is {other}"),
        )
        .with_help("compare it: error_rate > 0.2")),
        None => Err(Mistake::new(
            expr.span,
            "the condition is always NULL, so it would never fire",
        )),
    }
}

struct Checker<'a> {
    columns: &'a Columns,
}

/// An expression's type; `None` is that of a bare NULL, which fits anywhere.
type Typed = (Node, Option<Type>);

impl Checker<'_> {
    fn node(&self, expr: &Expr) -> Result<Typed, Mistake> {
        Ok(match &expr.kind {
            Kind::Null => (Node::Constant(Value::Null), None),
            Kind::Number(number) => (Node::Constant(Value::Number(*number)), Some(Type::Number)),
            Kind::Text(text) => (Node::Constant(Value::Text(text.clone())), Some(Type::Text)),
            Kind::Boolean(value) => (Node::Constant(Value::Boolean(*value)), Some(Type::Boolean)),
            Kind::Name(name) => {
                let (column, kind) = self.column(name, expr.span.clone())?;
                (Node::Column(column), Some(kind))
            }
            Kind::Not(inner) => {
                let node = self.of_type(inner, Type::Boolean, "NOT")?;
                (Node::Not(Box::new(node)), Some(Type::Boolean))
            }
            Kind::Negative(inner) => {
                let node = self.of_type(inner, Type::Number, "-")?;
                (Node::Negative(Box::new(node)), Some(Type::Number))
            }
            Kind::IsNull(inner) => {
                let (node, _) = self.node(inner)?;
                (Node::IsNull(Box::new(node)), Some(Type::Boolean))
            }
            Kind::Binary(operator, left, right) => self.binary(*operator, left, right)?,
            Kind::Call(Function::Abs, arguments) => {
                let inner = arguments
                    .iter()
                    .map(|argument| self.of_type(argument, Type::Number, "abs"))
                    .collect::<Result<_, _>>()?;
                (Node::Call(Function::Abs, inner), Some(Type::Number))
            }
            Kind::Call(Function::Coalesce, arguments) => self.coalesce(arguments)?,
            Kind::Past(kind, span, measure) => {
                let span_us = self.past_span(*kind, span)?;
                let column = self.past_measure(measure)?;
                let term = PastTerm {
                    kind: *kind,
                    span_us,
                    column,
                };
                (Node::Past(term), Some(Type::Number))
            }
        })
    }

    fn binary(&self, operator: Operator, left: &Expr, right: &Expr) -> Result<Typed, Mistake> {
        let boxed = |left, right| Node::Binary(operator, Box::new(left), Box::new(right));
        match operator {
            Operator::And | Operator::Or => {
                let name = if operator == Operator::And {
                    "AND"
                } else {
                    "OR"
                };
                let left = self.of_type(left, Type::Boolean, name)?;
                let right = self.of_type(right, Type::Boolean, name)?;
                Ok((boxed(left, right), Some(Type::Boolean)))
            }
            _ if operator.is_comparison() => {
                let (left_node, left_type) = self.node(left)?;
                let (right_node, right_type) = self.node(right)?;
                match (left_type, right_type) {
                    (Some(one), Some(other)) if one != other => Err(Mistake::new(
                        right.span.clone(),
                        format!("this is {other}, and it is compared with {one}"),
                    )
                    .with_help(match one {
                        Type::Number => "write a number, without quotes",
                        Type::Text => "write text in single quotes: 'checkout'",
                        Type::Boolean => "write TRUE or FALSE",
                    })),
                    (None, _) | (_, None) => Err(Mistake::new(
                        left.span.start..right.span.end,
                        "a comparison with NULL is never true",
                    )
                    .with_help("write IS NULL or IS NOT NULL")),
                    _ => Ok((boxed(left_node, right_node), Some(Type::Boolean))),
                }
            }
            _ => {
                let left = self.of_type(left, Type::Number, "arithmetic")?;
                let right = self.of_type(right, Type::Number, "arithmetic")?;
                Ok((boxed(left, right), Some(Type::Number)))
            }
        }
    }

    fn coalesce(&self, arguments: &[Expr]) -> Result<Typed, Mistake> {
        let mut common = None;
        let mut nodes = Vec::new();
        for argument in arguments {
            let (node, kind) = self.node(argument)?;
            match (common, kind) {
                (Some(one), Some(other)) if one != other => {
                    return Err(Mistake::new(
                        argument.span.clone(),
                        format!("this is {other}, and what comes before it is {one}"),
                    ));
                }
                (None, _) => common = kind,
                _ => {}
            }
            nodes.push(node);
        }
        Ok((Node::Call(Function::Coalesce, nodes), common))
    }

    fn of_type(&self, expr: &Expr, wanted: Type, by: &str) -> Result<Node, Mistake> {
        let (node, found) = self.node(expr)?;
        match found {
            Some(found) if found != wanted => {
                let mistake = Mistake::new(
                    expr.span.clone(),
                    format!("{by} needs {wanted}, and this is {found}"),
                );
                Err(match (found, wanted) {
                    (Type::Number, Type::Boolean) => {
                        mistake.with_help("compare it: error_rate > 0.2")
                    }
                    _ => mistake,
                })
            }
            _ => Ok(node),
        }
    }

    fn column(&self, name: &str, span: Range<usize>) -> Result<(usize, Type), Mistake> {
        let columns = &self.columns.columns;
        if let Some(place) = columns.iter().position(|(known, _)| known == name) {
            return Ok((place, columns[place].1));
        }
        let source = &self.columns.source;
        if self
            .columns
            .segments_merged
            .iter()
            .any(|known| known == name)
        {
            let message = format!("`{name}` is a segment that this rule merges");
            return Err(Mistake::new(span, message).with_help(format!("add {name} to `by`")));
        }
        if self.columns.sketches.iter().any(|known| known == name) {
            let message = format!("`{name}` is a sketch, which cannot be compared");
            return Err(Mistake::new(span, message).with_help("use a measure over it"));
        }
        let others: Vec<&str> = self
            .columns
            .elsewhere
            .iter()
            .filter(|(measure, _)| measure == name)
            .map(|(_, job)| job.as_str())
            .collect();
        let mistake = Mistake::new(span, format!("`{source}` has no measure `{name}`"));
        Err(if others.is_empty() {
            let known = columns.iter().map(|(known, _)| known.as_str());
            mistake.with_help(suggestion(name, known))
        } else {
            mistake.with_help(format!(
                "it is a measure of {}: write `on: {}` in a rule of its own",
                others.join(" and "),
                others[0]
            ))
        })
    }

    fn past_span(&self, kind: super::PastKind, expr: &Expr) -> Result<i64, Mistake> {
        let wrong = |message: String| Mistake::new(expr.span.clone(), message);
        let Kind::Text(text) = &expr.kind else {
            return Err(wrong("how far back must be text".to_owned())
                .with_help("write it in quotes and first: previous('1 hour', error_rate)"));
        };
        let span_us = duration::parse_us(text).map_err(wrong)?;
        let window_us = self.columns.window_us;
        if span_us < window_us || (window_us > 0 && span_us % window_us != 0) {
            let (what, window) = (
                match kind {
                    super::PastKind::Previous => "previous",
                    super::PastKind::Baseline => "baseline",
                },
                duration::words(window_us),
            );
            return Err(wrong(format!(
                "{what} looks back by whole windows, and the window is {window}"
            ))
            .with_help(format!("write a multiple of {window}")));
        }
        Ok(span_us)
    }

    fn past_measure(&self, expr: &Expr) -> Result<usize, Mistake> {
        let Kind::Name(name) = &expr.kind else {
            return Err(Mistake::new(
                expr.span.clone(),
                "previous and baseline take the name of a measure",
            )
            .with_help("write such as: baseline('7 days', error_rate)"));
        };
        match self.column(name, expr.span.clone())? {
            (column, Type::Number) => Ok(column),
            (_, kind) => Err(Mistake::new(
                expr.span.clone(),
                format!("previous and baseline take a measure, and `{name}` is {kind}"),
            )),
        }
    }
}
