//! From tokens to an expression, by recursive descent.
//!
//! ```text
//! or       := and (OR and)*
//! and      := not (AND not)*
//! not      := NOT not | compare
//! compare  := sum [ (= | <> | < | <= | > | >=) sum | IS [NOT] NULL | [NOT] BETWEEN sum AND sum | [NOT] IN (sum, …) ]
//! sum      := product ((+ | -) product)*
//! product  := unary ((* | / | %) unary)*
//! unary    := - unary | number | 'text' | TRUE | FALSE | NULL | name | function(…) | (or)
//! ```

use std::ops::Range;

use super::lex::{Token, lex};
use super::{Expr, Function, Kind, Mistake, Operator, PastKind};

/// How deep parentheses and functions may nest.
const DEPTH_MAX: u32 = 64;

/// Words that are no names.
const KEYWORDS: [&str; 9] = [
    "AND", "OR", "NOT", "IS", "NULL", "BETWEEN", "IN", "TRUE", "FALSE",
];

/// Reads a condition.
pub(super) fn parse(text: &str) -> Result<Expr, Mistake> {
    let mut parser = Parser {
        tokens: lex(text)?,
        at: 0,
        end: text.len(),
        depth: 0,
    };
    if parser.tokens.is_empty() {
        return Err(Mistake::new(0..text.len(), "the condition is empty")
            .with_help("write such as: error_rate > 0.2 AND requests >= 20"));
    }
    let expr = parser.or()?;
    match parser.tokens.get(parser.at) {
        None => Ok(expr),
        Some((token, span)) => Err(unexpected(token, span.clone(), "AND, OR or the end")),
    }
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    at: usize,
    end: usize,
    depth: u32,
}

fn unexpected(token: &Token, span: Range<usize>, wanted: &str) -> Mistake {
    let shown = match token {
        Token::Word(word) | Token::Quoted(word) => word.clone(),
        Token::Number(number) => number.to_string(),
        Token::Text(text) => format!("'{text}'"),
        Token::Sign(sign) => (*sign).to_owned(),
    };
    Mistake::new(span, format!("{wanted} should be here, not `{shown}`"))
}

impl Parser {
    fn or(&mut self) -> Result<Expr, Mistake> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("the condition nests deeper than {DEPTH_MAX} levels");
            return Err(Mistake::new(self.place(), message));
        }
        let mut left = self.and()?;
        while self.keyword("OR") {
            left = binary(Operator::Or, left, self.and()?);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, Mistake> {
        let mut left = self.not()?;
        while self.keyword("AND") {
            left = binary(Operator::And, left, self.not()?);
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, Mistake> {
        let start = self.place().start;
        let mut count = 0_u32;
        while self.keyword("NOT") {
            count += 1;
        }
        let inner = self.compare()?;
        Ok(if count % 2 == 1 {
            negate(inner, start)
        } else {
            inner
        })
    }

    fn compare(&mut self) -> Result<Expr, Mistake> {
        let left = self.sum()?;
        let start = left.span.start;
        if self.keyword("IS") {
            let not = self.keyword("NOT");
            self.expect_keyword("NULL")?;
            let span = start..self.before();
            let inner = Expr {
                kind: Kind::IsNull(Box::new(left)),
                span,
            };
            return Ok(if not { negate(inner, start) } else { inner });
        }
        let not = self.keyword("NOT");
        if self.keyword("BETWEEN") {
            let low = self.sum()?;
            self.expect_keyword("AND")?;
            let high = self.sum()?;
            let above = binary(Operator::GreaterOrEqual, left.clone(), low);
            let within = binary(
                Operator::And,
                above,
                binary(Operator::LessOrEqual, left, high),
            );
            return Ok(if not { negate(within, start) } else { within });
        }
        if self.keyword("IN") {
            let within = self.any_of(&left)?;
            return Ok(if not { negate(within, start) } else { within });
        }
        if not {
            return Err(self.wrong("BETWEEN or IN"));
        }
        let operator = match self.sign(&["=", "==", "<>", "!=", "<", "<=", ">", ">="]) {
            None => return Ok(left),
            Some("=" | "==") => Operator::Equal,
            Some("<>" | "!=") => Operator::Different,
            Some("<") => Operator::Less,
            Some("<=") => Operator::LessOrEqual,
            Some(">") => Operator::Greater,
            Some(_) => Operator::GreaterOrEqual,
        };
        let right = self.sum()?;
        Ok(binary(operator, left, right))
    }

    /// The list of an `IN`, as a chain of equalities.
    fn any_of(&mut self, left: &Expr) -> Result<Expr, Mistake> {
        self.expect_sign("(")?;
        let mut chain: Option<Expr> = None;
        loop {
            let equal = binary(Operator::Equal, left.clone(), self.sum()?);
            chain = Some(match chain {
                None => equal,
                Some(chain) => binary(Operator::Or, chain, equal),
            });
            if self.sign(&[","]).is_none() {
                break;
            }
        }
        self.expect_sign(")")?;
        chain.ok_or_else(|| self.wrong("a value"))
    }

    fn sum(&mut self) -> Result<Expr, Mistake> {
        let mut left = self.product()?;
        while let Some(sign) = self.sign(&["+", "-"]) {
            let operator = if sign == "+" {
                Operator::Plus
            } else {
                Operator::Minus
            };
            left = binary(operator, left, self.product()?);
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expr, Mistake> {
        let mut left = self.unary()?;
        while let Some(sign) = self.sign(&["*", "/", "%"]) {
            let operator = match sign {
                "*" => Operator::Times,
                "/" => Operator::Divide,
                _ => Operator::Modulo,
            };
            left = binary(operator, left, self.unary()?);
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Mistake> {
        let start = self.place().start;
        let mut count = 0_u32;
        while self.sign(&["-"]).is_some() {
            count += 1;
        }
        let inner = self.primary()?;
        if u32::is_multiple_of(count, 2) {
            return Ok(inner);
        }
        let span = start..inner.span.end;
        Ok(Expr {
            kind: Kind::Negative(Box::new(inner)),
            span,
        })
    }

    fn primary(&mut self) -> Result<Expr, Mistake> {
        let Some((token, span)) = self.tokens.get(self.at).cloned() else {
            return Err(self.wrong("a measure, a number or a function"));
        };
        self.at += 1;
        let kind = match token {
            Token::Number(number) => Kind::Number(number),
            Token::Text(text) => Kind::Text(text),
            Token::Quoted(name) => Kind::Name(name),
            Token::Sign("(") => {
                let inner = self.or()?;
                self.expect_sign(")")?;
                return Ok(inner);
            }
            Token::Word(word) => match word.to_ascii_uppercase().as_str() {
                "NULL" => Kind::Null,
                "TRUE" => Kind::Boolean(true),
                "FALSE" => Kind::Boolean(false),
                upper if KEYWORDS.contains(&upper) => {
                    self.at -= 1;
                    return Err(self.wrong("a measure, a number or a function"));
                }
                _ if self.sign(&["("]).is_some() => return self.call(&word, span),
                _ => Kind::Name(word),
            },
            Token::Sign(_) => {
                self.at -= 1;
                return Err(self.wrong("a measure, a number or a function"));
            }
        };
        Ok(Expr { kind, span })
    }

    /// A function's arguments; its name and the parenthesis are read.
    fn call(&mut self, name: &str, at: Range<usize>) -> Result<Expr, Mistake> {
        let mut arguments = Vec::new();
        if self.sign(&[")"]).is_none() {
            loop {
                arguments.push(self.or()?);
                if self.sign(&[","]).is_none() {
                    break;
                }
            }
            self.expect_sign(")")?;
        }
        let span = at.start..self.before();
        let count = arguments.len();
        let wants = |usage: &str| {
            Err(
                Mistake::new(span.clone(), format!("`{name}` takes other arguments"))
                    .with_help(format!("write {usage}")),
            )
        };
        let lower = name.to_ascii_lowercase();
        let kind = match (lower.as_str(), count) {
            ("abs", 1) => Kind::Call(Function::Abs, arguments),
            ("abs", _) => return wants("abs(x)"),
            ("coalesce", 1..) => Kind::Call(Function::Coalesce, arguments),
            ("coalesce", _) => return wants("coalesce(x, otherwise)"),
            ("previous" | "baseline", 2) => {
                let kind = if lower == "previous" {
                    PastKind::Previous
                } else {
                    PastKind::Baseline
                };
                let mut arguments = arguments.into_iter();
                match (arguments.next(), arguments.next()) {
                    (Some(span), Some(measure)) => {
                        Kind::Past(kind, Box::new(span), Box::new(measure))
                    }
                    _ => return wants("previous('1 hour', error_rate)"),
                }
            }
            ("previous", _) => return wants("previous('1 hour', error_rate)"),
            ("baseline", _) => return wants("baseline('7 days', error_rate)"),
            _ => {
                return Err(Mistake::new(at, format!("there is no function `{name}`"))
                    .with_help("there are previous, baseline, abs, coalesce"));
            }
        };
        Ok(Expr { kind, span })
    }

    fn place(&self) -> Range<usize> {
        self.tokens
            .get(self.at)
            .map_or(self.end..self.end, |(_, span)| span.clone())
    }

    /// The end of the last token that was read.
    fn before(&self) -> usize {
        self.tokens
            .get(self.at.wrapping_sub(1))
            .map_or(self.end, |(_, span)| span.end)
    }

    fn keyword(&mut self, wanted: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some((Token::Word(word), _)) if word.eq_ignore_ascii_case(wanted));
        self.at += usize::from(found);
        found
    }

    fn sign(&mut self, wanted: &[&'static str]) -> Option<&'static str> {
        match self.tokens.get(self.at) {
            Some((Token::Sign(sign), _)) if wanted.contains(sign) => {
                self.at += 1;
                Some(sign)
            }
            _ => None,
        }
    }

    fn expect_keyword(&mut self, wanted: &str) -> Result<(), Mistake> {
        if self.keyword(wanted) {
            Ok(())
        } else {
            Err(self.wrong(wanted))
        }
    }

    fn expect_sign(&mut self, wanted: &'static str) -> Result<(), Mistake> {
        match self.sign(&[wanted]) {
            Some(_) => Ok(()),
            None => Err(self.wrong(&format!("`{wanted}`"))),
        }
    }

    fn wrong(&self, wanted: &str) -> Mistake {
        match self.tokens.get(self.at) {
            Some((token, span)) => unexpected(token, span.clone(), wanted),
            None => Mistake::new(
                self.end..self.end,
                format!("the condition ends where {wanted} should be"),
            ),
        }
    }
}

fn binary(operator: Operator, left: Expr, right: Expr) -> Expr {
    let span = left.span.start..right.span.end;
    Expr {
        kind: Kind::Binary(operator, Box::new(left), Box::new(right)),
        span,
    }
}

fn negate(inner: Expr, start: usize) -> Expr {
    let span = start..inner.span.end;
    Expr {
        kind: Kind::Not(Box::new(inner)),
        span,
    }
}
