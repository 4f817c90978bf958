//! What Tab offers at the prompt, and the grey text behind the cursor: names that fit where the cursor is.
//!
//! ```text
//! after `name.`          columns of that table, view or alias; tables of a schema
//! after FROM or JOIN     tables and views
//! in measures('…', …)    jobs, then the job's segments
//! after \d, \f           tables and views; formats
//! elsewhere              columns of the tables that the statement names, functions, keywords
//! ```
//!
//! The decision ([`complete`]) is a function of the names and the text, so that it is tested without a terminal.

use rustyline::Context;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;

use super::names::Names;

const KEYWORDS: &[&str] = &[
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CROSS",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "EXTRACT",
    "FALSE",
    "FILTER",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INTERSECT",
    "INTERVAL",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "RIGHT",
    "SELECT",
    "SHOW",
    "THEN",
    "TRUE",
    "UNION",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
];

const FORMATS: [&str; 4] = ["table", "csv", "json", "ndjson"];

/// What may stand at a place: where the word begins that is being written, and what it may become.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// The byte of the text where the word begins.
    pub start: usize,
    /// Whole words.
    pub words: Vec<String>,
}

/// What fits at the end of `text`, the statement up to the cursor; `after` is what follows it.
pub(super) fn complete(names: &Names, text: &str, after: &str) -> Offer {
    let start = word_start(text);
    let (before, word) = text.split_at(start);
    let words = match quoted_call(text) {
        Some(inside) => inside_quotes(names, &inside),
        None if in_quotes(text) => Vec::new(),
        None => outside_quotes(
            names,
            &relations_of(&format!("{text} {after}")),
            before,
            word,
        ),
    };
    let fits = |name: &str| {
        name.len() > word.len()
            && name
                .get(..word.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(word))
    };
    let mut words: Vec<_> = words.into_iter().filter(|name| fits(name)).collect();
    let mut seen = std::collections::BTreeSet::new();
    words.retain(|name| seen.insert(name.clone()));
    Offer { start, words }
}

/// A relation that a statement names, and what it calls it.
type Named = (String, Option<String>);

fn outside_quotes(names: &Names, named: &[Named], before: &str, word: &str) -> Vec<String> {
    if let Some(command) = before.strip_prefix('\\') {
        return match command.split_once(' ') {
            Some(("d", _)) => names.relations(),
            Some(("f", _)) => FORMATS.map(str::to_owned).to_vec(),
            _ => Vec::new(),
        };
    }
    if let Some(qualifier) = before.strip_suffix('.') {
        let qualifier = &qualifier[word_start(qualifier)..];
        return names.below(resolve(named, qualifier));
    }
    let previous = before.trim_end();
    let last = &previous[word_start(previous)..];
    if last.eq_ignore_ascii_case("from") || last.eq_ignore_ascii_case("join") {
        return names
            .relations()
            .into_iter()
            .chain(["measures(".to_owned()])
            .collect();
    }
    let mut words: Vec<_> = named
        .iter()
        .flat_map(|(relation, _)| names.below(relation))
        .collect();
    // Nothing was written yet: everything there is would be of no help.
    if !word.is_empty() {
        words.extend(names.functions().iter().map(|name| format!("{name}(")));
        let small = word.starts_with(|c: char| c.is_ascii_lowercase());
        words.extend(KEYWORDS.iter().map(|keyword| {
            if small {
                keyword.to_ascii_lowercase()
            } else {
                (*keyword).to_owned()
            }
        }));
        words.extend(names.relations());
    }
    words
}

/// The texts of a call of `measures` that is being written: those that are complete.
struct QuotedCall {
    complete: Vec<String>,
}

fn inside_quotes(names: &Names, call: &QuotedCall) -> Vec<String> {
    match call.complete.as_slice() {
        [] => names.jobs(),
        [job, _, ..] => names.segments(job),
        [_] => ["1 minute", "15 minutes", "1 hour", "1 day"]
            .map(str::to_owned)
            .to_vec(),
    }
}

/// Whether the text ends within a text of `measures('…`, and what is complete before.
fn quoted_call(text: &str) -> Option<QuotedCall> {
    let at = text.to_ascii_lowercase().rfind("measures(")?;
    let arguments = &text[at + "measures(".len()..];
    if arguments.contains(')') {
        return None;
    }
    let parts: Vec<_> = arguments.split('\'').collect();
    // An even number of parts: the last quote is open.
    parts.len().is_multiple_of(2).then(|| QuotedCall {
        complete: parts[..parts.len() - 1]
            .iter()
            .skip(1)
            .step_by(2)
            .map(|part| (*part).to_owned())
            .collect(),
    })
}

fn in_quotes(text: &str) -> bool {
    text.matches('\'').count() % 2 == 1
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the word at the end of the text begins.
fn word_start(text: &str) -> usize {
    text.char_indices()
        .rev()
        .take_while(|(_, c)| is_word(*c))
        .last()
        .map_or(text.len(), |(at, _)| at)
}

/// The relation that a qualifier stands for: an alias of the statement's, else the name itself.
fn resolve<'a>(named: &'a [Named], qualifier: &'a str) -> &'a str {
    named
        .iter()
        .find(|(_, alias)| alias.as_deref() == Some(qualifier))
        .map_or(qualifier, |(relation, _)| relation)
}

/// The relations that a statement names after FROM and JOIN, with their aliases.
fn relations_of(text: &str) -> Vec<Named> {
    let words: Vec<&str> = text
        .split(|c: char| !(is_word(c) || c == '.'))
        .filter(|word| !word.is_empty())
        .collect();
    let mut found = Vec::new();
    for (place, word) in words.iter().enumerate() {
        if !(word.eq_ignore_ascii_case("from") || word.eq_ignore_ascii_case("join")) {
            continue;
        }
        let Some(relation) = words.get(place + 1) else {
            continue;
        };
        let mut after = words[place + 2..].iter();
        let mut alias = after.next();
        if alias.is_some_and(|word| word.eq_ignore_ascii_case("as")) {
            alias = after.next();
        }
        let alias = alias.filter(|word| {
            !KEYWORDS
                .iter()
                .any(|keyword| word.eq_ignore_ascii_case(keyword))
        });
        // `measures('performance', …)` has the columns of the job.
        let relation = if relation.eq_ignore_ascii_case("measures") {
            alias.unwrap_or(relation)
        } else {
            relation
        };
        found.push((
            (*relation).to_owned(),
            alias.map(|alias| (*alias).to_owned()),
        ));
    }
    found
}

/// Ties the decision to the line editor.
pub(super) struct Assistant {
    /// What there is to offer.
    pub names: Names,
    /// The lines of the statement before the one that is edited.
    pub before: String,
}

impl Assistant {
    fn offer(&self, line: &str, position: usize) -> (usize, Vec<String>) {
        let Some((line, after)) = line.split_at_checked(position) else {
            return (position, Vec::new());
        };
        let offer = complete(&self.names, &format!("{}{line}", self.before), after);
        // A word does not reach over lines.
        match offer.start.checked_sub(self.before.len()) {
            Some(start) => (start, offer.words),
            None => (position, Vec::new()),
        }
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, words) = self.offer(line, position);
        let pair = |word: String| Pair {
            display: word.clone(),
            replacement: word,
        };
        Ok((start, words.into_iter().map(pair).collect()))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    /// The rest of the word, where only one fits.
    fn hint(&self, line: &str, position: usize, _: &Context<'_>) -> Option<String> {
        let (start, words) = self.offer(line, position);
        let written = line.get(start..position)?;
        match words.as_slice() {
            [word] if position == line.len() && written.len() > 1 => {
                word.get(written.len()..).map(str::to_owned)
            }
            _ => None,
        }
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> std::borrow::Cow<'h, str> {
        format!("\x1b[2m{hint}\x1b[0m").into()
    }
}

impl Validator for Assistant {}

impl rustyline::Helper for Assistant {}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::default();
        for column in ["event_time", "service", "status"] {
            names.column("public", "traces", column);
        }
        for column in ["window_start", "service", "requests"] {
            names.column("public", "performance", column);
        }
        names.column("partials", "performance", "latency");
        names.function("quantile");
        names.function("quantiles");
        names.job("performance", ["service".to_owned(), "model".to_owned()]);
        names.job("spend", ["currency".to_owned()]);
        names
    }

    fn offered(text: &str) -> Vec<String> {
        complete(&names(), text, "").words
    }

    #[test]
    fn after_from_there_are_tables_and_views() {
        assert_eq!(
            offered("SELECT * FROM "),
            ["partials.performance", "performance", "traces", "measures("]
        );
        assert_eq!(offered("select 1 from tr"), ["traces"]);
        assert_eq!(offered("SELECT 1 FROM traces JOIN perf"), ["performance"]);
        assert_eq!(offered("SELECT 1 FROM partials.perf"), ["performance"]);
        let offer = complete(&names(), "SELECT 1 FROM tr", "");
        assert_eq!(offer.start, "SELECT 1 FROM ".len());
    }

    #[test]
    fn columns_are_those_of_the_tables_that_the_statement_names() {
        assert_eq!(offered("SELECT * FROM traces WHERE st"), ["status"]);
        assert_eq!(offered("SELECT * FROM performance WHERE req"), ["requests"]);
        let named_later = complete(&names(), "SELECT t.s", " FROM traces t");
        assert_eq!(named_later.words, ["service", "status"]);
        assert_eq!(
            offered("SELECT * FROM traces AS t WHERE t."),
            ["event_time", "service", "status"]
        );
        assert_eq!(
            offered("SELECT * FROM traces t JOIN performance p ON p.win"),
            ["window_start"]
        );
        assert_eq!(
            offered("SELECT * FROM measures('performance', '1 hour', 'service') WHERE req"),
            ["requests"]
        );
    }

    #[test]
    fn functions_and_keywords_take_the_case_that_was_begun() {
        assert_eq!(offered("SELECT quant"), ["quantile(", "quantiles("]);
        assert_eq!(offered("sel"), ["select"]);
        assert_eq!(offered("SELECT 1 FROM traces GRO"), ["GROUP"]);
        assert_eq!(offered("SELECT "), Vec::<String>::new());
    }

    #[test]
    fn texts_are_left_alone_but_those_of_measures() {
        assert_eq!(
            offered("SELECT * FROM traces WHERE service = 'st"),
            Vec::<String>::new()
        );
        assert_eq!(
            offered("SELECT * FROM measures('"),
            ["performance", "spend"]
        );
        assert_eq!(
            offered("SELECT * FROM measures('performance', '1 h"),
            Vec::<String>::new()
        );
        assert_eq!(
            offered("SELECT * FROM measures('performance', '1 hour', 'm"),
            ["model"]
        );
    }

    #[test]
    fn the_prompts_own_commands_take_names_too() {
        assert_eq!(offered("\\d tra"), ["traces"]);
        assert_eq!(offered("\\f nd"), ["ndjson"]);
        assert_eq!(offered("\\q"), Vec::<String>::new());
    }
}
