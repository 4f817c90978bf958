//! Words, numbers and signs of a condition, with their places.

use std::ops::Range;

use super::Mistake;

/// The longest condition.
const TEXT_BYTES_MAX: usize = 4_096;

/// A piece of the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name or a keyword, as written.
    Word(String),
    /// A name in double quotes, never a keyword.
    Quoted(String),
    Number(f64),
    Text(String),
    Sign(&'static str),
}

/// Longer signs first.
const SIGNS: [&str; 17] = [
    "<=", ">=", "<>", "!=", "==", "<", ">", "=", "+", "-", "*", "/", "%", "(", ")", ",", ";",
];

/// Cuts a text into tokens.
pub(super) fn lex(text: &str) -> Result<Vec<(Token, Range<usize>)>, Mistake> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the condition is longer than {TEXT_BYTES_MAX} bytes");
        return Err(Mistake::new(0..text.len(), message));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        let rest = &text[at..];
        let (token, length) = match letter {
            _ if letter.is_whitespace() => {
                at += letter.len_utf8();
                continue;
            }
            '\'' | '"' => quoted(rest, at, letter)?,
            '0'..='9' | '.' => number(rest, at)?,
            _ if letter.is_alphabetic() || letter == '_' => {
                let end = rest
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                (Token::Word(rest[..end].to_owned()), end)
            }
            _ => {
                let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) else {
                    let span = at..at + letter.len_utf8();
                    return Err(Mistake::new(
                        span,
                        format!("`{letter}` means nothing in a condition"),
                    ));
                };
                (Token::Sign(sign), sign.len())
            }
        };
        tokens.push((token, at..at + length));
        at += length;
    }
    Ok(tokens)
}

/// Text in single quotes or a name in double ones; the quote itself is written twice.
fn quoted(rest: &str, at: usize, quote: char) -> Result<(Token, usize), Mistake> {
    let mut value = String::new();
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((place, letter)) = letters.next() {
        if letter != quote {
            value.push(letter);
        } else if letters.peek().is_some_and(|(_, next)| *next == quote) {
            value.push(quote);
            letters.next();
        } else {
            let token = if quote == '"' {
                Token::Quoted(value)
            } else {
                Token::Text(value)
            };
            return Ok((token, place + 1));
        }
    }
    Err(Mistake::new(
        at..at + rest.len(),
        format!("the closing {quote} is missing"),
    ))
}

fn number(rest: &str, at: usize) -> Result<(Token, usize), Mistake> {
    let mut end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    if rest[end..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
        let digits = rest[end + 1 + sign..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        if digits > 0 {
            end += 1 + sign + digits;
        }
    }
    // `5%` and `2m` would otherwise be read as a number and something else.
    let wrong = |message: String| Mistake::new(at..at + end, message);
    if rest[end..].starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return Err(wrong(format!(
            "a number is followed by a letter after `{}`",
            &rest[..end]
        ))
        .with_help("write spans of time in quotes and first: previous('1 hour', error_rate)"));
    }
    let value: f64 = rest[..end]
        .parse()
        .map_err(|_| wrong(format!("`{}` is not a number", &rest[..end])))?;
    if value.is_finite() {
        Ok((Token::Number(value), end))
    } else {
        Err(wrong(format!("`{}` is too large", &rest[..end])))
    }
}
