//! The prompt: a line editor with history and completion, statements that end with a semicolon, a few commands of its
//! own. Ctrl-C stops a query, not the prompt.

use std::time::Instant;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};

use crate::cli::SqlFormat;
use crate::exit::{Exit, told};

use super::completion::Assistant;
use super::history::History;
use super::names::Names;
use super::progress::Watch;
use super::sink::Sink;
use super::{Tables, describe, print, say, split};

const HELP: &str = "\
Statements end with a semicolon. Tab completes names. Ctrl-C stops a query, Ctrl-D leaves.
  \\d            the tables and views
  \\d NAME       the columns of one of them, with their meaning
  \\f FORMAT     how rows are printed: table, csv, json, ndjson
  \\q            leave";

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

/// The line editor.
type LineEditor = Editor<Assistant, FileHistory>;

/// Runs the prompt until its end.
pub(super) async fn run(tables: Tables, format: SqlFormat, quiet: bool) -> anyhow::Result<Exit> {
    let config = Config::builder()
        .history_ignore_space(true)
        .max_history_size(10_000)?
        .completion_type(CompletionType::List)
        .build();
    let mut editor = LineEditor::with_config(config)?;
    editor.set_helper(Some(Assistant {
        names: Names::of(&tables.session, &tables.jobs).await?,
        before: String::new(),
    }));
    let mut history = History::open(&mut editor);
    say("farol sql: \\? for help, \\q to leave")?;
    let mut prompt = Prompt {
        tables,
        format,
        quiet,
        text: String::new(),
    };
    loop {
        let mark = if prompt.text.is_empty() {
            "farol> "
        } else {
            "   ... "
        };
        if let Some(assistant) = editor.helper_mut() {
            assistant.before.clone_from(&prompt.text);
        }
        let line = tokio::task::block_in_place(|| editor.readline(mark));
        match line {
            Ok(line) => {
                let taken = prompt.take(&line);
                if let Some(entry) = &taken.entry {
                    history.add(&mut editor, entry)?;
                }
                if prompt.act(taken.act).await? {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => prompt.text.clear(),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Exit::Done)
}

/// What a line leads to.
struct Taken {
    /// For the history.
    entry: Option<String>,
    act: Act,
}

enum Act {
    /// The statement goes on with the next line.
    Wait,
    Command(String),
    Queries(Vec<String>),
}

struct Prompt {
    tables: Tables,
    format: SqlFormat,
    quiet: bool,
    text: String,
}

impl Prompt {
    /// Takes one line.
    fn take(&mut self, line: &str) -> Taken {
        if self.text.is_empty() && read(line) != Line::Sql {
            return Taken {
                entry: Some(line.to_owned()),
                act: Act::Command(line.to_owned()),
            };
        }
        self.text.push_str(line);
        self.text.push('\n');
        if !split::is_complete(&self.text) {
            return Taken {
                entry: None,
                act: Act::Wait,
            };
        }
        let text = std::mem::take(&mut self.text);
        let entry = text.trim();
        Taken {
            entry: (!entry.is_empty()).then(|| entry.to_owned()),
            act: Act::Queries(split::statements(&text)),
        }
    }

    /// Does what a line asked for; whether it was the last.
    async fn act(&mut self, act: Act) -> anyhow::Result<bool> {
        match act {
            Act::Wait => {}
            Act::Queries(queries) => {
                for query in queries {
                    self.query(&query).await?;
                }
            }
            Act::Command(line) => {
                let session = &self.tables.session;
                let done = match read(&line) {
                    Line::Quit => return Ok(true),
                    Line::Help => say(HELP),
                    Line::Tables => describe::relations(session).await,
                    Line::Columns(name) => describe::columns(session, name).await,
                    Line::Format(name) => self.set_format(name),
                    Line::Unknown(what) => say(&format!("there is no {what}; \\? for help")),
                    Line::Sql => Ok(()),
                };
                if let Err(error) = done {
                    eprintln!("{}", told(&error));
                }
            }
        }
        Ok(false)
    }

    /// Runs a query over the newest versions. What goes wrong with it is told, and ends nothing.
    async fn query(&mut self, query: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        let answer = async {
            self.tables.refresh().await?;
            let sink = Sink::new(self.format, Box::new(std::io::stdout()));
            let watch = Watch::over_screen(self.quiet);
            print(&self.tables.session, query, sink, watch).await
        };
        tokio::select! {
            outcome = answer => match outcome {
                Ok(_) if self.format == SqlFormat::Table => say(&format!("in {:.2?}", began.elapsed()))?,
                Ok(_) => {}
                Err(error) => eprintln!("{}", told(&error)),
            },
            _ = tokio::signal::ctrl_c() => eprintln!("stopped"),
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
