//! Conditions over measures: the language of `when`, `recover_when` and severities.
//!
//! ```text
//! text ──▶ lex ──▶ parse ──▶ check (names and types against the job's columns) ──▶ Condition ──▶ eval per window
//! ```
//!
//! The language is the part of SQL that looks at one row: comparisons, `AND`, `OR`, `NOT`, arithmetic, `IS NULL`,
//! `BETWEEN`, `IN`, `abs`, `coalesce`; and two functions over the same segment's past, `previous` and `baseline`.
//! Logic has three values, as in SQL: what is not known is NULL, and NULL neither fires nor recovers. A division by
//! zero is NULL.

mod bounds;
mod check;
mod eval;
mod lex;
mod parse;
mod reach;

use std::ops::Range;

pub use bounds::Bounds;
pub use check::{Columns, check};
pub use eval::{Compared, Past, Row, Value};
pub use reach::Limits;
pub(crate) use reach::{never, unreached};

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A number; all arithmetic is in double precision.
    Number,
    /// Text: a segment's value.
    Text,
    /// True or false.
    Boolean,
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Number => "a number",
            Self::Text => "text",
            Self::Boolean => "true or false",
        })
    }
}

/// What is wrong with a condition, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Bytes of the condition's text.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Mistake {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// An expression and its place in the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    pub kind: Kind,
    pub span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    Number(f64),
    Text(String),
    Boolean(bool),
    /// A column, by the name that was written.
    Name(String),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    IsNull(Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Call(Function, Vec<Expr>),
    Past(PastKind, Box<Expr>, Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    And,
    Or,
    Equal,
    Different,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Times,
    Divide,
    Modulo,
}

impl Operator {
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::Different
                | Self::Less
                | Self::LessOrEqual
                | Self::Greater
                | Self::GreaterOrEqual
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Abs,
    Coalesce,
}

/// How the segment's past is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PastKind {
    /// The window that began so long before.
    Previous,
    /// The mean of the windows with data that began within so long before.
    Baseline,
}

/// A look at the same segment's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PastTerm {
    /// How.
    pub kind: PastKind,
    /// How far back.
    pub span_us: i64,
    /// The measure, by its place among the condition's columns.
    pub column: usize,
}

/// A condition that was checked: every name is a column, and the types fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    text: String,
    root: Node,
}

/// A checked expression: names are places in a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Constant(Value),
    Column(usize),
    Not(Box<Node>),
    Negative(Box<Node>),
    IsNull(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
    Past(PastTerm),
}

impl Condition {
    /// What the rule says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How far back the condition looks, in microseconds.
    pub fn lookback_us(&self) -> i64 {
        let mut longest = 0;
        self.root.visit(&mut |node| {
            if let Node::Past(term) = node {
                longest = longest.max(term.span_us);
            }
        });
        longest
    }
}

impl Node {
    /// Calls for this expression and all in it, in the order of the text.
    fn visit(&self, see: &mut dyn FnMut(&Node)) {
        see(self);
        match self {
            Self::Constant(_) | Self::Column(_) | Self::Past(_) => {}
            Self::Not(inner) | Self::Negative(inner) | Self::IsNull(inner) => inner.visit(see),
            Self::Binary(_, left, right) => {
                left.visit(see);
                right.visit(see);
            }
            Self::Call(_, arguments) => arguments.iter().for_each(|inner| inner.visit(see)),
        }
    }
}

impl Condition {
    /// The columns that the condition names, by their place.
    pub fn columns(&self) -> std::collections::BTreeSet<usize> {
        let mut used = std::collections::BTreeSet::new();
        self.root.visit(&mut |node| match node {
            Node::Column(column) | Node::Past(PastTerm { column, .. }) => {
                used.insert(*column);
            }
            _ => {}
        });
        used
    }
}

impl Condition {
    /// The condition over rows with other places for the same columns.
    pub(crate) fn renumbered(&self, place: &dyn Fn(usize) -> usize) -> Self {
        Self {
            text: self.text.clone(),
            root: self.root.renumbered(place),
        }
    }
}

impl Node {
    fn renumbered(&self, place: &dyn Fn(usize) -> usize) -> Self {
        let inner = |node: &Self| Box::new(node.renumbered(place));
        match self {
            Self::Constant(value) => Self::Constant(value.clone()),
            Self::Column(column) => Self::Column(place(*column)),
            Self::Not(node) => Self::Not(inner(node)),
            Self::Negative(node) => Self::Negative(inner(node)),
            Self::IsNull(node) => Self::IsNull(inner(node)),
            Self::Binary(operator, left, right) => {
                Self::Binary(*operator, inner(left), inner(right))
            }
            Self::Call(function, nodes) => Self::Call(
                *function,
                nodes.iter().map(|node| node.renumbered(place)).collect(),
            ),
            Self::Past(term) => Self::Past(PastTerm {
                column: place(term.column),
                ..*term
            }),
        }
    }
}

impl Condition {
    /// The measure that evidence is about where there is no row: the first number that is compared.
    pub(crate) fn measure(&self) -> Option<usize> {
        let mut found = None;
        self.root.visit(&mut |node| match node {
            Node::Binary(operator, left, right) if operator.is_comparison() && found.is_none() => {
                found = [left, right].into_iter().find_map(|side| match **side {
                    Node::Column(column) => Some(column),
                    _ => None,
                });
            }
            _ => {}
        });
        found
    }
}
