//! Whether a condition can ever be true, and a severity ever be reached.
//!
//! ```text
//! condition, assumed true ──▶ the bounds of each column, narrower with each comparison ──▶ nothing left: it never is
//! ```
//!
//! What is said to be impossible is; much that is impossible is not noticed. Looks at the past are not followed: they
//! have the bounds of their measure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::bounds::Bounds;
use super::{Expr, Function, Kind, Mistake, Operator, parse};

/// What can be said of every column before anything is compared.
pub type Limits = BTreeMap<String, Bounds>;

/// Why a condition is never true; `None` where it may be, or where it cannot be read.
pub(crate) fn never(text: &str, limits: &Limits) -> Option<Mistake> {
    let expr = parse::parse(text).ok()?;
    assume(&expr, true, &Known::new(limits)).err()
}

/// Why a severity is never reached: the rule's condition holds, and none of those before it does. `None` in a place of
/// `before` or of `severity` is a severity without a condition.
pub(crate) fn unreached(
    when: &str,
    before: &[Option<&str>],
    severity: Option<&str>,
    limits: &Limits,
) -> Option<Mistake> {
    if before.contains(&None) {
        return Some(Mistake::new(0..0, "one before it has no condition"));
    }
    let severity = parse::parse(severity?).ok()?;
    // Where the rule never fires, that is what is to be said.
    let mut known = assume(&parse::parse(when).ok()?, true, &Known::new(limits)).ok()?;
    for earlier in before.iter().flatten() {
        let earlier = parse::parse(earlier).ok()?;
        // What may be NULL is not taken without being false either.
        if is_known(&earlier, &known) {
            match assume(&earlier, false, &known) {
                Ok(narrower) => known = narrower,
                Err(_) => {
                    return Some(Mistake::new(
                        severity.span,
                        "those before it take every case",
                    ));
                }
            }
        }
    }
    assume(&severity, true, &known).err()
}

/// What holds of columns, as far as it has been read.
#[derive(Clone)]
struct Known<'a> {
    limits: &'a Limits,
    bounds: BTreeMap<String, Bounds>,
    texts: BTreeMap<String, String>,
    null: BTreeSet<String>,
    not_null: BTreeSet<String>,
}

impl<'a> Known<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            bounds: BTreeMap::new(),
            texts: BTreeMap::new(),
            null: BTreeSet::new(),
            not_null: BTreeSet::new(),
        }
    }

    fn limit(&self, name: &str) -> Bounds {
        self.limits.get(name).copied().unwrap_or(Bounds::ANY)
    }

    fn of(&self, name: &str) -> Bounds {
        let found = self.bounds.get(name).copied();
        found.unwrap_or_else(|| self.limit(name))
    }

    /// What holds whichever of two holds.
    fn either(self, other: &Self) -> Self {
        let both = |one: BTreeSet<String>, two: &BTreeSet<String>| &one & two;
        Self {
            bounds: self
                .bounds
                .iter()
                .map(|(name, bounds)| (name.clone(), bounds.hull(other.of(name))))
                .collect(),
            texts: self
                .texts
                .into_iter()
                .filter(|(name, text)| other.texts.get(name) == Some(text))
                .collect(),
            null: both(self.null, &other.null),
            not_null: both(self.not_null, &other.not_null),
            limits: self.limits,
        }
    }
}

/// What is known once an expression is true, or false; the error is the first place where that cannot be.
fn assume<'a>(expr: &Expr, wanted: bool, known: &Known<'a>) -> Result<Known<'a>, Mistake> {
    match &expr.kind {
        Kind::Boolean(value) if *value == wanted => Ok(known.clone()),
        Kind::Boolean(value) => Err(impossible(&expr.span, format!("it is always {value}"))),
        Kind::Null => Err(impossible(&expr.span, "it is always NULL".to_owned())),
        Kind::Not(inner) => assume(inner, !wanted, known),
        Kind::IsNull(inner) => assume_null(inner, &expr.span, wanted, known),
        Kind::Binary(Operator::And, left, right) if wanted => {
            assume(right, true, &assume(left, true, known)?)
        }
        Kind::Binary(Operator::Or, left, right) if !wanted => {
            assume(right, false, &assume(left, false, known)?)
        }
        Kind::Binary(Operator::And | Operator::Or, left, right) => {
            match (assume(left, wanted, known), assume(right, wanted, known)) {
                (Ok(left), Ok(right)) => Ok(left.either(&right)),
                (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
                (Err(first), Err(_)) => Err(first),
            }
        }
        Kind::Binary(operator, left, right) if operator.is_comparison() => {
            let operator = if wanted {
                *operator
            } else {
                opposite(*operator)
            };
            compare(&expr.span, left, operator, right, known)
        }
        _ => Ok(known.clone()),
    }
}

fn impossible(span: &Range<usize>, why: String) -> Mistake {
    Mistake::new(span.clone(), why)
}

fn assume_null<'a>(
    inner: &Expr,
    span: &Range<usize>,
    wanted: bool,
    known: &Known<'a>,
) -> Result<Known<'a>, Mistake> {
    let mut known = known.clone();
    let Kind::Name(name) = &inner.kind else {
        return Ok(known);
    };
    let (to, other) = if wanted {
        (&mut known.null, &known.not_null)
    } else {
        (&mut known.not_null, &known.null)
    };
    if other.contains(name) {
        let is = if wanted { "not NULL" } else { "NULL" };
        return Err(impossible(
            span,
            format!("`{name}` is {is} by what else is asked"),
        ));
    }
    to.insert(name.clone());
    Ok(known)
}

fn opposite(operator: Operator) -> Operator {
    match operator {
        Operator::Equal => Operator::Different,
        Operator::Different => Operator::Equal,
        Operator::Less => Operator::GreaterOrEqual,
        Operator::LessOrEqual => Operator::Greater,
        Operator::Greater => Operator::LessOrEqual,
        _ => Operator::Less,
    }
}

fn mirrored(operator: Operator) -> Operator {
    match operator {
        Operator::Less => Operator::Greater,
        Operator::LessOrEqual => Operator::GreaterOrEqual,
        Operator::Greater => Operator::Less,
        Operator::GreaterOrEqual => Operator::LessOrEqual,
        other => other,
    }
}

fn compare<'a>(
    span: &Range<usize>,
    left: &Expr,
    operator: Operator,
    right: &Expr,
    known: &Known<'a>,
) -> Result<Known<'a>, Mistake> {
    let mut known = known.clone();
    for name in left.names().into_iter().chain(right.names()) {
        if known.null.contains(name) {
            let why = format!("`{name}` is NULL by what else is asked, and so is this");
            return Err(impossible(span, why));
        }
        known.not_null.insert(name.to_owned());
    }
    if let (Kind::Name(name), Kind::Text(text)) | (Kind::Text(text), Kind::Name(name)) =
        (&left.kind, &right.kind)
    {
        return compare_text(span, name, operator, text, known);
    }
    let (one, two) = (value(left, &known), value(right, &known));
    for (side, of, operator, other) in [
        (left, one, operator, two),
        (right, two, mirrored(operator), one),
    ] {
        let narrower = of.meet(Bounds::compared(operator, other));
        let narrower = narrower.filter(|bounds| {
            operator != Operator::Different || !bounds.is_one() || Some(*bounds) != Some(other)
        });
        let Some(narrower) = narrower else {
            let why = match &side.kind {
                Kind::Name(name) => format!("`{name}` is {of} here, so this is never true"),
                _ => format!("this side is {of}, the other {other}: it is never true"),
            };
            return Err(impossible(span, why));
        };
        if let Kind::Name(name) = &side.kind {
            known.bounds.insert(name.clone(), narrower);
        }
    }
    Ok(known)
}

fn compare_text<'a>(
    span: &Range<usize>,
    name: &str,
    operator: Operator,
    text: &str,
    mut known: Known<'a>,
) -> Result<Known<'a>, Mistake> {
    let same = known.texts.get(name).map(|is| is == text);
    match (operator, same) {
        (Operator::Equal, Some(false)) | (Operator::Different, Some(true)) => {
            let is = known.texts.get(name).map_or("", String::as_str);
            let why = format!("`{name}` is '{is}' by what else is asked, so this is never true");
            return Err(impossible(span, why));
        }
        (Operator::Equal, None) => {
            known.texts.insert(name.to_owned(), text.to_owned());
        }
        _ => {}
    }
    Ok(known)
}

/// Whether an expression is never NULL by what is known.
fn is_known(expr: &Expr, known: &Known<'_>) -> bool {
    match &expr.kind {
        Kind::Number(_) | Kind::Text(_) | Kind::Boolean(_) | Kind::IsNull(_) => true,
        Kind::Name(name) => known.not_null.contains(name),
        Kind::Not(inner) | Kind::Negative(inner) => is_known(inner, known),
        // A division by zero is NULL, and so is a past without data.
        Kind::Binary(Operator::Divide | Operator::Modulo, ..) | Kind::Past(..) | Kind::Null => {
            false
        }
        Kind::Binary(_, left, right) => is_known(left, known) && is_known(right, known),
        Kind::Call(Function::Abs, arguments) => {
            arguments.iter().all(|argument| is_known(argument, known))
        }
        Kind::Call(Function::Coalesce, arguments) => {
            arguments.iter().any(|argument| is_known(argument, known))
        }
    }
}

/// Between which numbers an expression is, where it is not NULL.
fn value(expr: &Expr, known: &Known<'_>) -> Bounds {
    match &expr.kind {
        Kind::Number(number) => Bounds::exactly(*number),
        Kind::Name(name) => known.of(name),
        Kind::Past(_, _, measure) => match &measure.kind {
            Kind::Name(name) => known.limit(name),
            _ => Bounds::ANY,
        },
        Kind::Negative(inner) => Bounds::exactly(0.0).minus(value(inner, known)),
        Kind::Binary(operator, left, right) => {
            let (left, right) = (value(left, known), value(right, known));
            match operator {
                Operator::Plus => left.plus(right),
                Operator::Minus => left.minus(right),
                Operator::Times => left.times(right),
                _ => Bounds::ANY,
            }
        }
        Kind::Call(Function::Abs, _) => Bounds::from(0.0),
        Kind::Call(Function::Coalesce, arguments) => arguments
            .iter()
            .map(|argument| value(argument, known))
            .reduce(Bounds::hull)
            .unwrap_or(Bounds::ANY),
        _ => Bounds::ANY,
    }
}

impl Expr {
    /// The columns without which the expression is NULL.
    fn names(&self) -> Vec<&str> {
        match &self.kind {
            Kind::Name(name) => vec![name],
            Kind::Not(inner) | Kind::Negative(inner) => inner.names(),
            Kind::Call(Function::Abs, arguments) => {
                arguments.iter().flat_map(Self::names).collect()
            }
            Kind::Binary(_, left, right) => {
                let mut names = left.names();
                names.extend(right.names());
                names
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
