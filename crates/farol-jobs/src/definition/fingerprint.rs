//! What of a job's definition its results depend on, so that partials of two definitions are never mixed.
//!
//! A table of partials notes the fingerprint that it was made with. Measures, descriptions and the limit of series are
//! no part of it: they change what is asked of partials, or how many there are, not what is in them.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::{Job, Width};

/// Everything of a job that changes its partials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The tables that it reads.
    reads: Vec<String>,
    window_seconds: i64,
    mode: String,
    /// Before a window and after it.
    reach_us: (i64, i64),
    segments: BTreeSet<String>,
    /// Those of the segments that are values of the column `tags`.
    tags: BTreeSet<String>,
    /// The kind of each partial.
    partials: BTreeMap<String, String>,
    /// A hash of the SQL's words; comments and white space are none.
    sql: String,
}

impl Fingerprint {
    /// A job's fingerprint.
    pub fn of(job: &Job) -> Self {
        let kind = |partial: &super::Partial| {
            let kind = partial.kind.as_str().to_owned();
            (partial.name.clone(), kind)
        };
        Self {
            reads: job.inputs().map(str::to_owned).collect(),
            window_seconds: job.window().seconds(),
            mode: job.mode().as_str().to_owned(),
            reach_us: job.mode().reach_us(),
            segments: job.segments().iter().cloned().collect(),
            tags: job.tags().iter().cloned().collect(),
            partials: job.partials().iter().map(kind).collect(),
            sql: hash_of_sql(job.sql()),
        }
    }

    /// A short name for it.
    pub fn digest(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        format!("{:016x}", xxh3_128(text.as_bytes()) as u64)
    }

    /// How `now` differs from this one, in words.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        if self.reads != now.reads {
            differences.push(format!(
                "it reads {}, and read {}",
                now.reads.join(", "),
                self.reads.join(", ")
            ));
        }
        if self.window_seconds != now.window_seconds {
            let width = |seconds: i64| Width::parse(&format!("{seconds}s"));
            let told =
                |seconds: i64| width(seconds).map_or_else(|told| told, |width| width.to_string());
            differences.push(format!(
                "windows are {} wide, and were {}",
                told(now.window_seconds),
                told(self.window_seconds)
            ));
        }
        if self.mode != now.mode {
            differences.push(format!("mode is {}, and was {}", now.mode, self.mode));
        } else if self.reach_us != now.reach_us {
            let told = |(before_us, after_us)| {
                format!(
                    "{} s before and {} s after",
                    before_us / 1_000_000,
                    after_us / 1_000_000
                )
            };
            differences.push(format!(
                "reach is {}, and was {}",
                told(now.reach_us),
                told(self.reach_us)
            ));
        }
        added_and_removed("segment", &self.segments, &now.segments, &mut differences);
        for name in self.segments.intersection(&now.segments) {
            match (self.tags.contains(name), now.tags.contains(name)) {
                (false, true) => {
                    differences.push(format!("segment `{name}` is a tag, and was a column"));
                }
                (true, false) => {
                    differences.push(format!("segment `{name}` is a column, and was a tag"));
                }
                _ => {}
            }
        }
        let names = |of: &Self| of.partials.keys().cloned().collect::<BTreeSet<_>>();
        added_and_removed("partial", &names(self), &names(now), &mut differences);
        for (name, was) in &self.partials {
            if let Some(is) = now.partials.get(name).filter(|is| *is != was) {
                differences.push(format!("partial `{name}` is {is}, and was {was}"));
            }
        }
        if self.sql != now.sql {
            differences.push("the SQL was changed".to_owned());
        }
        differences
    }
}

fn added_and_removed(
    what: &str,
    was: &BTreeSet<String>,
    is: &BTreeSet<String>,
    differences: &mut Vec<String>,
) {
    differences.extend(
        is.difference(was)
            .map(|name| format!("{what} `{name}` was added")),
    );
    differences.extend(
        was.difference(is)
            .map(|name| format!("{what} `{name}` was removed")),
    );
}

/// A hash of what SQL says, however it is laid out.
fn hash_of_sql(sql: &str) -> String {
    let words = match Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize() {
        Ok(tokens) => tokens
            .into_iter()
            .filter(|token| !matches!(token, Token::Whitespace(_) | Token::SemiColon))
            .map(|token| token.to_string())
            .collect::<Vec<_>>()
            .join("\u{1f}"),
        // What cannot be taken apart is compared as it is written.
        Err(_) => sql.to_owned(),
    };
    format!("{:032x}", xxh3_128(words.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Fingerprint {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Fingerprint {
            reads: vec!["traces".to_owned()],
            window_seconds: 60,
            mode: "incremental".to_owned(),
            reach_us: (0, 0),
            segments: set(&["service", "model"]),
            tags: set(&[]),
            partials: [("requests".to_owned(), "sum".to_owned())].into(),
            sql: hash_of_sql("SELECT 1"),
        }
    }

    #[test]
    fn layout_and_comments_of_sql_do_not_count_and_words_do() {
        let sql = "SELECT a, 'it''s  -- two' AS b\nFROM traces";
        let same = [
            "SELECT a,'it''s  -- two' AS b FROM traces;",
            "-- Why.\n  SELECT a, /* which */ 'it''s  -- two' AS b\n\n\tFROM traces -- all\n",
        ];
        for same in same {
            assert_eq!(hash_of_sql(same), hash_of_sql(sql), "{same}");
        }
        let others = [
            "SELECT a, 'it''s -- two' AS b FROM traces",
            "SELECT a, 'it''s  -- two' AS c FROM traces",
            "SELECT a, 'it''s  -- two' AS b FROM costs",
            "SELECT a, 'it''s  ' AS b FROM traces",
        ];
        for other in others {
            assert_ne!(hash_of_sql(other), hash_of_sql(sql), "{other}");
        }
    }

    #[test]
    fn every_difference_is_told() {
        assert_eq!(made().differences(&made()), Vec::<String>::new());
        let mut now = made();
        now.window_seconds = 300;
        now.mode = "recompute".to_owned();
        now.segments.remove("model");
        now.segments.insert("team".to_owned());
        now.tags.insert("service".to_owned());
        now.partials.insert("requests".to_owned(), "max".to_owned());
        now.partials
            .insert("users".to_owned(), "distinct".to_owned());
        now.sql = hash_of_sql("SELECT 2");
        now.reads = vec!["costs".to_owned()];
        assert_eq!(
            made().differences(&now),
            [
                "it reads costs, and read traces",
                "windows are 5 minutes wide, and were 1 minute",
                "mode is recompute, and was incremental",
                "segment `team` was added",
                "segment `model` was removed",
                "segment `service` is a tag, and was a column",
                "partial `users` was added",
                "partial `requests` is max, and was sum",
                "the SQL was changed",
            ]
        );
        assert_ne!(now.digest(), made().digest());
        let mut reaching = now.clone();
        reaching.reach_us = (900_000_000, 0);
        assert_eq!(
            now.differences(&reaching),
            ["reach is 900 s before and 0 s after, and was 0 s before and 0 s after"]
        );
    }

    #[test]
    fn it_is_read_back_as_it_was_written() {
        let text = serde_json::to_string(&made()).unwrap();
        assert_eq!(serde_json::from_str::<Fingerprint>(&text).unwrap(), made());
    }
}
