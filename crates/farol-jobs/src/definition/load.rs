//! Finding jobs: those that are part of Farol, and the user's own over them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::plan::Planner;
use super::{Files, Job, Jobs, Tags, file};
use crate::error::{DefinitionError, JobError};

/// The YAML and the SQL of a job that is part of Farol.
macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        [$((
            $name,
            include_str!(concat!("../../../../pipelines/jobs/", $name, ".yaml")),
            include_str!(concat!("../../../../pipelines/jobs/", $name, ".sql")),
        )),+]
    };
}

/// The jobs that are part of Farol: name, YAML, SQL.
const SHIPPED: [(&str, &str, &str); 12] = shipped![
    "agents",
    "billing",
    "citations",
    "ensembles",
    "performance",
    "quality",
    "reliability",
    "retrieval",
    "safety",
    "spend",
    "steps",
    "tools",
];

/// The YAML and the SQL of a job that is part of Farol; `None` where there is none of that name.
pub fn shipped(name: &str) -> Option<(&'static str, &'static str)> {
    let mut jobs = SHIPPED.iter();
    let found = jobs.find(|(shipped, _, _)| *shipped == name);
    found.map(|(_, yaml, sql)| (*yaml, *sql))
}

/// Files are read up to this size.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where jobs are looked for.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The pipelines' directory: jobs are below `jobs` in it. It need not be there.
    pub dir: PathBuf,
    /// Whether the jobs that are part of Farol are in effect. A file of the same name replaces one in any case.
    pub builtin: bool,
    /// Series of a job at the most, where its file does not say.
    pub max_series: u64,
    /// The tags that stand for the word `tags` among a job's segments.
    pub tags: Tags,
}

/// A job's two files, read but not understood yet.
struct Text {
    yaml_name: String,
    yaml: String,
    sql_name: String,
    sql: String,
    files: Files,
}

/// Reads and checks every job.
///
/// # Errors
/// Everything that is wrong with any of them, each with file, line and column.
pub async fn load(sources: &Sources) -> Result<Jobs, JobError> {
    let mut texts = BTreeMap::new();
    if sources.builtin {
        for (name, yaml, sql) in SHIPPED {
            texts.insert(
                name.to_owned(),
                Text {
                    yaml_name: format!("{name}.yaml (part of farol)"),
                    yaml: yaml.to_owned(),
                    sql_name: format!("{name}.sql (part of farol)"),
                    sql: sql.to_owned(),
                    files: Files::Shipped,
                },
            );
        }
    }
    let mut errors = Vec::new();
    for path in own_files(sources, &["yaml", "yml"])? {
        match read(&path)? {
            Ok((name, text)) => errors.extend(put(&mut texts, name, text)),
            Err(error) => errors.push(error),
        }
    }
    let mut jobs = Vec::new();
    for (name, text) in texts {
        match understand(&name, &text, sources).await {
            Ok(job) => jobs.push(job),
            Err(found) => errors.extend(found),
        }
    }
    if errors.is_empty() {
        Ok(Jobs::new(jobs))
    } else {
        Err(JobError::Definitions(errors))
    }
}

/// Puts a user's own job in the place of a shipped one; of two of their own under one name, one must go.
fn put(texts: &mut BTreeMap<String, Text>, name: String, text: Text) -> Option<DefinitionError> {
    let error = match texts.get(&name) {
        Some(other) if other.files != Files::Shipped => Some(DefinitionError {
            file: text.yaml_name.clone(),
            line: 0,
            column: 0,
            message: format!("job `{name}` is defined by {} too", other.yaml_name),
            help: Some("keep one of the two files".to_owned()),
        }),
        _ => None,
    };
    texts.insert(name, text);
    error
}

async fn understand(
    name: &str,
    text: &Text,
    sources: &Sources,
) -> Result<Job, Vec<DefinitionError>> {
    let file = file::read(&text.yaml_name, &text.yaml).map_err(|error| vec![error])?;
    if file.name.value != name {
        let place = file::Place {
            file: &text.yaml_name,
        };
        return Err(vec![place.error(
            file.name.referenced,
            format!(
                "the job is called `{}`, but its file `{name}.yaml`",
                file.name.value
            ),
            Some(format!("write `name: {name}`, or rename the file")),
        )]);
    }
    let planner = Planner {
        yaml: &text.yaml_name,
        sql: (&text.sql_name, &text.sql),
        files: text.files.clone(),
        max_series: sources.max_series,
        tags: &sources.tags,
    };
    planner.plan(file).await
}

/// The files of a user's own jobs whose names end so.
pub(super) fn own_files(sources: &Sources, endings: &[&str]) -> Result<Vec<PathBuf>, JobError> {
    let dir = &sources.dir.join("jobs");
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(dir, &error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(dir, &error))?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if ending.is_some_and(|ending| endings.contains(&ending)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a job's files; a missing SQL file is a mistake of the job's.
fn read(path: &Path) -> Result<Result<(String, Text), DefinitionError>, JobError> {
    let name = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let sql_path = path.with_extension("sql");
    let yaml = text_of(path)?;
    if !sql_path.exists() {
        return Ok(Err(DefinitionError {
            file: path.display().to_string(),
            line: 0,
            column: 0,
            message: format!("there is no {} beside it", sql_path.display()),
            help: Some("a job is a YAML file and an SQL file of the same name; `farol job new NAME` writes both".to_owned()),
        }));
    }
    let text = Text {
        yaml_name: path.display().to_string(),
        yaml,
        sql_name: sql_path.display().to_string(),
        sql: text_of(&sql_path)?,
        files: Files::Own(path.to_owned(), sql_path),
    };
    Ok(Ok((name, text)))
}

fn text_of(path: &Path) -> Result<String, JobError> {
    let size = std::fs::metadata(path)
        .map_err(|error| unreadable(path, &error))?
        .len();
    if size > FILE_BYTES_MAX {
        return Err(JobError::Directory {
            path: path.display().to_string(),
            reason: format!("it has {size} bytes; a job's file has {FILE_BYTES_MAX} at the most"),
        });
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> JobError {
    JobError::Directory {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}
