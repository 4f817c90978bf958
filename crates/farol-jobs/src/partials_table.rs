//! The table of a job's partials: opened, made, and held to one definition of the job.
//!
//! ```text
//! a table's note: {generation, fingerprint}        the mark farol/job/<name>#definition = generation
//!        │  the same as the job's?                        ▲ demanded by every commit, moved by a redefinition
//!        ├─ yes ──▶ go on                                 │
//!        ├─ no, and no row was seen yet ──▶ note the job's, generation + 1
//!        └─ no ──▶ the job stops: [`crate::renewal`] computes all of it anew
//! ```
//!
//! **Never mixed.** Note and mark are moved by the same commit, and every commit of partials demands the mark where its
//! writer's note says it is. So a process that goes on with the definition of before, or with a handle that was opened
//! before, is overtaken; it opens the table again, and sees why.
//!
//! A table without a note was made before there were any. It counts as made with the present definition, if its columns
//! are those of the job.

use arrow::datatypes::SchemaRef;
use farol_lake::{Commit, Lake, Notes, Outcome, Step, Table, same_type};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::definition::{Fingerprint, Job};
use crate::error::JobError;
use crate::progress::{Progress, progress};

/// The name of the note.
const NOTE: &str = "farol.job";

/// Looks before opening gives up because others keep changing the definition.
const ATTEMPTS_MAX: u32 = 20;

/// The note.
#[derive(Serialize, Deserialize)]
struct Note {
    generation: i64,
    made_with: Fingerprint,
}

/// A table that holds partials of one definition.
pub(crate) struct Held {
    pub table: Table,
    /// How often the definition was changed.
    pub generation: i64,
}

/// What a table's note says beside a job.
pub(crate) struct Standing {
    pub generation: i64,
    /// Whether there is a note.
    noted: bool,
    /// How the job differs from what the partials were made with.
    pub differences: Vec<String>,
}

/// Opens a job's table, and makes it where there is none.
///
/// # Errors
/// [`JobError::Changed`] where it holds partials of another definition; where the lake cannot be read or written.
pub(crate) async fn open(lake: &Lake, job: &Job) -> Result<Held, JobError> {
    let name = job.table_name();
    for _ in 0..ATTEMPTS_MAX {
        let table = match lake.existing(&name).await? {
            Some(table) => table,
            None => make(lake, job, &name).await?,
        };
        let standing = standing(&table, job);
        if standing.differences.is_empty() && standing.noted {
            return Ok(Held {
                table,
                generation: standing.generation,
            });
        }
        let mut steps = vec![next_generation(job, standing.generation)];
        if !standing.differences.is_empty() {
            let progress = progress(&table, job).await?;
            if has_seen_rows(lake, job, &progress).await? {
                return Err(JobError::Changed {
                    job: job.name().to_owned(),
                    differences: standing.differences,
                });
            }
            // Nor may any be seen before the note is there.
            steps.extend(progress.steps_to(job, &progress));
        }
        note_present(&table, job, standing.generation, steps).await?;
    }
    Err(JobError::Overtaken {
        job: job.name().to_owned(),
        attempts: ATTEMPTS_MAX,
    })
}

/// Makes a table for partials of a job's present definition.
pub(crate) async fn make(lake: &Lake, job: &Job, name: &str) -> Result<Table, JobError> {
    let table = lake.create(name, &job.table_spec(), &note(job, 0)).await?;
    Ok(table)
}

/// The note that a table of a job's present definition has.
pub(crate) fn note(job: &Job, generation: i64) -> Notes {
    let note = Note {
        generation,
        made_with: Fingerprint::of(job),
    };
    // Names and numbers: it cannot fail, and an empty note would be told as unreadable.
    let text = serde_json::to_string(&note).unwrap_or_default();
    Notes::from([(NOTE.to_owned(), text)])
}

/// The step that demands that the definition is still this one.
pub(crate) fn unchanged(job: &Job, generation: i64) -> Step {
    Step {
        guard: definition_id(job),
        from: (generation > 0).then_some(generation),
        marks: Vec::new(),
    }
}

/// The step that gives the table its next definition.
pub(crate) fn next_generation(job: &Job, generation: i64) -> Step {
    Step {
        marks: vec![(definition_id(job), generation + 1)],
        ..unchanged(job, generation)
    }
}

/// The generation of the definition at the table's newest version, whatever a handle on it was opened at.
pub(crate) async fn generation_now(table: &Table, job: &Job) -> Result<i64, JobError> {
    let id = definition_id(job);
    let marks = table.marks(&id).await?;
    Ok(marks.get(&id).copied().unwrap_or(0))
}

fn definition_id(job: &Job) -> String {
    format!("{}#definition", job.app_id())
}

/// What a table was made with, beside the job as it is now.
pub(crate) fn standing(table: &Table, job: &Job) -> Standing {
    let Some(text) = table.note_of(NOTE) else {
        return Standing {
            generation: 0,
            noted: false,
            differences: of_columns(table.schema(), &job.partials_schema()),
        };
    };
    // The generation is needed even where a later Farol notes other things of a job.
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let generation = value["generation"].as_i64().unwrap_or(0);
    let differences = match serde_json::from_value::<Note>(value) {
        Ok(note) => {
            let told = note.made_with.differences(&Fingerprint::of(job));
            if told.is_empty() {
                of_columns(table.schema(), &job.partials_schema())
            } else {
                told
            }
        }
        Err(error) => vec![format!(
            "what its partials were made with cannot be read ({error})"
        )],
    };
    Standing {
        generation,
        noted: true,
        differences,
    }
}

/// How a job's columns differ from those of its table.
fn of_columns(present: &SchemaRef, wanted: &SchemaRef) -> Vec<String> {
    let mut differences = unreadable(present, wanted);
    for field in present.fields() {
        if wanted.field_with_name(field.name()).is_err() {
            differences.push(format!("column `{}` was removed", field.name()));
        }
    }
    differences
}

/// The columns that a job asks for and its table does not have as they must be.
pub(crate) fn unreadable(present: &SchemaRef, wanted: &SchemaRef) -> Vec<String> {
    let mut differences = Vec::new();
    for field in wanted.fields() {
        let name = field.name();
        match present.field_with_name(name) {
            Err(_) => differences.push(format!("column `{name}` was added")),
            Ok(found) if !same_type(found.data_type(), field.data_type()) => {
                differences.push(format!(
                    "column `{name}` is {}, and was {}",
                    field.data_type(),
                    found.data_type()
                ));
            }
            Ok(_) => {}
        }
    }
    differences
}

/// Whether a job has seen rows of its inputs: where it has not, a change of its definition changes no partials.
///
/// # Errors
/// Where the lake cannot be read.
pub(crate) async fn has_seen_rows(
    lake: &Lake,
    job: &Job,
    progress: &Progress,
) -> Result<bool, JobError> {
    for (input, version) in job.inputs().zip(progress.versions()) {
        let Some(version) = version else { continue };
        let Some(table) = lake.existing(input).await? else {
            continue;
        };
        let empty = table.is_empty_at(version.unsigned_abs()).await;
        // What the log does not tell any more may have been rows.
        if !empty.unwrap_or_else(|error| {
            tracing::debug!(job = job.name(), input, "its rows of before: {error}");
            false
        }) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Notes the present definition of a table that has no note, or no partials of another.
async fn note_present(
    table: &Table,
    job: &Job,
    generation: i64,
    steps: Vec<Step>,
) -> Result<(), JobError> {
    let (_, redefinition) = table.redefine(&job.table_spec(), &note(job, generation + 1))?;
    let commit = Commit::append(steps, Vec::new()).redefining(redefinition);
    // Whoever was faster is seen when the table is looked at again.
    let (Outcome::Committed { .. } | Outcome::Overtaken { .. }) = table.commit(&commit).await?;
    Ok(())
}
