//! Cuts a text into statements at its semicolons, but not at those inside quotes or comments.

/// What the reader is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    Quote(char),
    LineComment,
    BlockComment,
}

/// The statements of a text, without their semicolons; empty ones are left out.
pub(super) fn statements(text: &str) -> Vec<String> {
    let (mut statements, rest) = cut(text);
    if has_code(&rest) {
        statements.push(rest.trim().to_owned());
    }
    statements
}

/// Whether a text ends with a statement that is complete, for a prompt to know when to run it.
pub(super) fn is_complete(text: &str) -> bool {
    !has_code(&cut(text).1)
}

/// The complete statements, and what follows the last semicolon.
fn cut(text: &str) -> (Vec<String>, String) {
    let mut statements = Vec::new();
    let mut current = String::new();
    let mut inside = Inside::Code;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        if inside == Inside::Code && letter == ';' {
            if has_code(&current) {
                statements.push(current.trim().to_owned());
            }
            current.clear();
            continue;
        }
        current.push(letter);
        inside = match (inside, letter, next) {
            (Inside::Code, '\'' | '"', _) => Inside::Quote(letter),
            (Inside::Code, '-', Some('-')) => Inside::LineComment,
            (Inside::Code, '/', Some('*')) => {
                current.extend(letters.next());
                Inside::BlockComment
            }
            // A doubled quote closes and opens again, which comes to the same.
            (Inside::Quote(quote), _, _) if letter == quote => Inside::Code,
            (Inside::LineComment, '\n', _) => Inside::Code,
            (Inside::BlockComment, '*', Some('/')) => {
                current.extend(letters.next());
                Inside::Code
            }
            _ => inside,
        };
    }
    (statements, current)
}

/// Whether there is anything but space and comments.
fn has_code(text: &str) -> bool {
    let mut rest = text.trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment
                .split_once('\n')
                .map_or("", |(_, after)| after)
                .trim_start();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment
                .split_once("*/")
                .map_or("", |(_, after)| after)
                .trim_start();
        } else {
            return !rest.is_empty();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_part_statements() {
        assert_eq!(
            statements("SELECT 1; SELECT 2 ;\n;"),
            ["SELECT 1", "SELECT 2"]
        );
        assert_eq!(
            statements("SELECT ';' AS \"a;b\"; SELECT 'it''s;'"),
            ["SELECT ';' AS \"a;b\"", "SELECT 'it''s;'"]
        );
        assert_eq!(
            statements("SELECT 1 -- one; two\n+ 1"),
            ["SELECT 1 -- one; two\n+ 1"]
        );
        assert_eq!(statements("/* a; b */ SELECT 1"), ["/* a; b */ SELECT 1"]);
        assert_eq!(
            statements(" -- nothing\n; /* here */ ; "),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_prompt_waits_for_the_semicolon() {
        assert!(!is_complete("SELECT 1"));
        assert!(is_complete("SELECT 1;"));
        assert!(is_complete("SELECT 1; -- done"));
        assert!(!is_complete("SELECT ';"));
        assert!(is_complete("  "));
    }
}
