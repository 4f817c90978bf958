//! The prompt: a line editor with history, statements that end with a semicolon, a few commands of its
//! own. Ctrl-C stops a query, not the prompt.

use std::path::PathBuf;
use std::time::Instant;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use crate::cli::SqlFormat;
use crate::exit::{Exit, told};

use super::sink::Sink;
use super::{Tables, print, say, split};

const HELP: &str = "\
Statements end with a semicolon. Ctrl-C stops a query, Ctrl-D leaves.
  \\d            the tables
  \\d TABLE      a table's columns
  \\f FORMAT     how rows are printed: table, csv, json, ndjson
  \\q            leave";

/// The tables and views of the lake, for `\d`.
const TABLES: [(&str, &str); 9] = [
    ("traces", "one operation of an application a row"),
    ("feedback", "what people say about answers"),
    ("costs", "lines of spend"),
    ("evaluations", "scores of judges, programs and people"),
    (
        "dead_letters",
        "records that could not become rows, and why",
    ),
    ("dead_letters_open", "those that no replay has stored"),
    (
        "performance, spend",
        "measures of these jobs, by window and segment; other jobs' likewise",
    ),
    (
        "measures(…)",
        "the same at any grain: measures('performance', '1 hour', 'service')",
    ),
    ("series", "every measure in long form"),
];

/// What the prompt was told.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Quit,
    Help,
    Tables,
    Columns(&'a str),
    Format(&'a str),
    Unknown(&'a str),
    Sql,
}

/// Runs the prompt until its end.
pub(super) async fn run(tables: Tables, format: SqlFormat) -> anyhow::Result<Exit> {
    let config = Config::builder()
        .history_ignore_space(true)
        .max_history_size(10_000)?
        .build();
    let mut editor: Editor<(), FileHistory> = Editor::with_config(config)?;
    let history = history_file();
    if let Some(file) = &history {
        // No history yet is no error.
        let _ = editor.load_history(file);
    }
    say("farol sql: \\? for help, \\q to leave")?;
    let mut prompt = Prompt {
        tables,
        format,
        text: String::new(),
    };
    loop {
        let mark = if prompt.text.is_empty() {
            "farol> "
        } else {
            "   ... "
        };
        let line = tokio::task::block_in_place(|| editor.readline(mark));
        match line {
            Ok(line) => {
                if prompt.take(&line, &mut editor).await? {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => prompt.text.clear(),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(file) = &history
        && let Err(error) = editor.save_history(file)
    {
        tracing::warn!("cannot keep the history in {}: {error}", file.display());
    }
    Ok(Exit::Done)
}

struct Prompt {
    tables: Tables,
    format: SqlFormat,
    text: String,
}

impl Prompt {
    /// Takes one line; whether it was the last.
    async fn take(
        &mut self,
        line: &str,
        editor: &mut Editor<(), FileHistory>,
    ) -> anyhow::Result<bool> {
        if self.text.is_empty() {
            let read = read(line);
            if read != Line::Sql {
                editor.add_history_entry(line)?;
            }
            match read {
                Line::Quit => return Ok(true),
                Line::Help => say(HELP)?,
                Line::Tables => {
                    for (name, what) in TABLES {
                        say(&format!("{name:<18} {what}"))?;
                    }
                }
                Line::Columns(table) => self.columns(table).await?,
                Line::Format(name) => self.set_format(name)?,
                Line::Unknown(what) => say(&format!("there is no {what}; \\? for help"))?,
                Line::Sql => {}
            }
            if read != Line::Sql {
                return Ok(false);
            }
        }
        self.text.push_str(line);
        self.text.push('\n');
        if split::is_complete(&self.text) {
            let text = std::mem::take(&mut self.text);
            if !text.trim().is_empty() {
                editor.add_history_entry(text.trim())?;
            }
            for query in split::statements(&text) {
                self.query(&query).await?;
            }
        }
        Ok(false)
    }

    async fn query(&mut self, query: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        self.tables.refresh().await?;
        let sink = Sink::new(self.format, Box::new(std::io::stdout()));
        tokio::select! {
            outcome = print(&self.tables.session, query, sink) => match outcome {
                Ok(_) if self.format == SqlFormat::Table => say(&format!("in {:.2?}", began.elapsed()))?,
                Ok(_) => {}
                Err(error) => eprintln!("{}", told(&error)),
            },
            _ = tokio::signal::ctrl_c() => eprintln!("stopped"),
        }
        Ok(())
    }

    async fn columns(&self, table: &str) -> anyhow::Result<()> {
        match self
            .tables
            .session
            .query(&format!("SELECT * FROM {table} LIMIT 0"))
            .await
        {
            Ok((schema, _)) => {
                for field in schema.fields() {
                    say(&format!("{:<24} {}", field.name(), field.data_type()))?;
                }
            }
            Err(error) => eprintln!("{error}"),
        }
        Ok(())
    }

    fn set_format(&mut self, name: &str) -> anyhow::Result<()> {
        self.format = match name {
            "table" => SqlFormat::Table,
            "csv" => SqlFormat::Csv,
            "json" => SqlFormat::Json,
            "ndjson" => SqlFormat::Ndjson,
            _ => return say("the formats are table, csv, json, ndjson"),
        };
        Ok(())
    }
}

fn read(line: &str) -> Line<'_> {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match (word, rest.trim()) {
        ("\\q" | "quit" | "exit", "") => Line::Quit,
        ("\\?" | "help", "") => Line::Help,
        ("\\d", "") => Line::Tables,
        ("\\d", table) => Line::Columns(table),
        ("\\f", format) => Line::Format(format),
        (word, _) if word.starts_with('\\') => Line::Unknown(word),
        _ => Line::Sql,
    }
}

/// Where the history is kept: the user's state directory, if it can be made.
fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    let directory = state.join("farol");
    std::fs::create_dir_all(&directory).ok()?;
    Some(directory.join("sql_history"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompts_own_commands_are_told_from_sql() {
        assert_eq!(read("\\q"), Line::Quit);
        assert_eq!(read("exit;"), Line::Quit);
        assert_eq!(read("\\d traces;"), Line::Columns("traces"));
        assert_eq!(read("\\d"), Line::Tables);
        assert_eq!(read("\\x"), Line::Unknown("\\x"));
        assert_eq!(read("\\f csv"), Line::Format("csv"));
        assert_eq!(read("SELECT 1"), Line::Sql);
    }
}
