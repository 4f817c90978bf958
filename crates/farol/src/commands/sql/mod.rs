//! `farol sql`: one query, the queries of a file, or a prompt. Rows are printed as they come.

mod completion;
mod describe;
mod history;
mod names;
mod progress;
mod prompt;
mod sink;
mod split;
mod table;

use std::fs::Permissions;
use std::io::{IsTerminal, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context as _;
use farol_jobs::Jobs;
use farol_lake::sql::Session;
use futures::StreamExt;

use crate::cli::{SqlArgs, SqlFormat};
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::output;

use progress::Watch;
use sink::Sink;

/// Runs `farol sql`.
pub async fn run(context: &Context, arguments: &SqlArgs) -> anyhow::Result<Exit> {
    let default = if context.json {
        SqlFormat::Ndjson
    } else {
        SqlFormat::Table
    };
    let format = arguments.format.unwrap_or(default);
    if format == SqlFormat::Parquet && arguments.output.is_none() {
        return Err(usage("--format parquet needs -o FILE"));
    }
    let Some(text) = queries(arguments)? else {
        let tables = open(context).await?;
        return prompt::run(tables, format, context.quiet).await;
    };
    let queries = split::statements(&text);
    if queries.is_empty() {
        return Err(usage("there is no query"));
    }
    if queries.len() > 1 && matches!(format, SqlFormat::Json | SqlFormat::Parquet) {
        return Err(usage(
            "several queries cannot be written as one JSON array or one Parquet file",
        ));
    }
    let session = open(context).await?.session;
    if let Some(file) = &arguments.output {
        let watch = Watch::over_file(context.quiet);
        to_file(&session, &queries, format, file, watch).await?;
    } else {
        let watch = Watch::over_screen(context.quiet);
        for query in &queries {
            let sink = Sink::new(format, Box::new(std::io::stdout()));
            print(&session, query, sink, watch).await?;
        }
    }
    Ok(Exit::Done)
}

/// What queries see: the tables, and the views of jobs.
struct Tables {
    session: Session,
    jobs: Jobs,
}

impl Tables {
    /// Moves to the newest version of everything.
    async fn refresh(&self) -> anyhow::Result<()> {
        self.session.refresh().await?;
        Ok(farol_jobs::views::register(&self.session, &self.jobs).await?)
    }
}

async fn open(context: &Context) -> anyhow::Result<Tables> {
    let lake = context.lake().await?;
    let session = Session::open(&lake)
        .await
        .context("cannot open the tables")?;
    // A mistake in a job must not stand between a person and the tables.
    let jobs = context.jobs().await.unwrap_or_else(|error| {
        tracing::warn!("there are no views of jobs, since their files have mistakes:\n{error}");
        Jobs::default()
    });
    farol_jobs::views::register(&session, &jobs)
        .await
        .context("cannot open the jobs' views")?;
    Ok(Tables { session, jobs })
}

/// The text to run; `None` where a person sits at a prompt.
fn queries(arguments: &SqlArgs) -> anyhow::Result<Option<String>> {
    let from_input = || {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        Ok(Some(text))
    };
    match (&arguments.query, &arguments.file) {
        (Some(query), _) => Ok(Some(query.clone())),
        (None, Some(file)) if file == Path::new("-") => from_input(),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            Ok(Some(text))
        }
        (None, None) if std::io::stdin().is_terminal() => Ok(None),
        (None, None) => from_input(),
    }
}

/// Runs one query and prints its rows on standard output; how many there were.
pub async fn to_stdout(session: &Session, query: &str, format: SqlFormat) -> anyhow::Result<u64> {
    let sink = Sink::new(format, Box::new(std::io::stdout()));
    print(session, query, sink, Watch::Nobody).await
}

/// Runs one query and prints its rows; how many there were.
async fn print(
    session: &Session,
    query: &str,
    mut sink: Sink,
    watch: Watch,
) -> anyhow::Result<u64> {
    let mut running = session.start(query).await.map_err(innermost)?;
    let mut progress = watch.start(running.meter());
    sink.begin(&running.schema())?;
    let mut rows = 0;
    while let Some(batch) = running.rows.next().await {
        let batch = batch.map_err(innermost)?;
        if watch == Watch::UntilRows {
            progress = None;
        }
        rows += batch.num_rows() as u64;
        sink.write(&batch)?;
    }
    drop(progress);
    sink.finish()?;
    Ok(rows)
}

/// What is wrong with a query, without the layers that pass the error on and repeat it.
fn innermost(error: impl std::error::Error + Send + Sync + 'static) -> anyhow::Error {
    anyhow::anyhow!("{}", anyhow::Error::from(error).root_cause())
}

/// Writes to a file that takes its name only when everything is in it.
async fn to_file(
    session: &Session,
    queries: &[String],
    format: SqlFormat,
    file: &Path,
    watch: Watch,
) -> anyhow::Result<()> {
    let directory = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let unwritable = || format!("cannot write {}", file.display());
    let partial = tempfile::Builder::new()
        .prefix(".farol-sql-")
        // As any new file: what the umask leaves.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
        .with_context(unwritable)?;
    let mut rows = 0;
    for query in queries {
        let out = partial.as_file().try_clone().with_context(unwritable)?;
        let sink = Sink::new(format, Box::new(out));
        rows += print(session, query, sink, watch).await?;
    }
    partial.persist(file).with_context(unwritable)?;
    tracing::info!("{rows} rows written to {}", file.display());
    Ok(())
}

/// Prints a line of the prompt's own.
fn say(text: &str) -> anyhow::Result<()> {
    output::line(text)?;
    Ok(())
}
