//! Carrying a commit out: read what is new, decide, write the next version, and look again when in doubt.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deltalake::kernel::Remove;
use fail::fail_point;
use object_store::{PutMode, PutOptions, PutPayload};
use serde_json::{Value, json};

use super::decide::{Attempt, Decision, Evidence, Next, after, decide};
use super::log::{LogEntry, entry_path};
use super::{COMMIT_ID, Commit, Operation, Outcome};
use crate::error::LakeError;
use crate::table::{Known, Table};

/// An upload older than this is not committed: vacuum takes files that no commit names after a day.
const STALE_UPLOAD: Duration = Duration::from_hours(12);

/// Failures of the store before a commit's caller hears of them.
const MAX_FAILURES: u32 = 5;

/// Versions lost to other writers before the caller hears of it: somebody is committing without a pause.
const MAX_LOST_RACES: u32 = 1_000;

/// A checkpoint is written every so many versions.
const CHECKPOINT_INTERVAL: i64 = 100;

/// Commits, on behalf of the table's handle.
pub(crate) async fn commit(
    table: &Table,
    known: &mut Option<Known>,
    commit: &Commit,
) -> Result<Outcome, LakeError> {
    refuse_stale(commit)?;
    let (mut failures, mut races) = (0, 0);
    loop {
        let trial = attempt(table, known, commit).await;
        let (attempt, reason) = match trial {
            Ok(Trial::Outcome(outcome)) => return Ok(outcome),
            Ok(Trial::Wrote(Attempt::Taken)) => {
                races += 1;
                (Attempt::Taken, "the version was taken")
            }
            Ok(Trial::Wrote(attempt)) => (attempt, "the store did not say"),
            Err(Trouble::Final(error)) => return Err(error),
            Err(Trouble::Passing(error)) => {
                failures += 1;
                let name = table.name();
                tracing::warn!(
                    table = name,
                    failures,
                    "a commit's outcome is not known, looking again: {error}"
                );
                if after(Attempt::Unknown, failures, MAX_FAILURES) == Next::GiveUp {
                    let table = name.to_owned();
                    return Err(LakeError::Undecided {
                        table,
                        attempts: failures,
                        reason: error.to_string(),
                    });
                }
                tokio::time::sleep(Duration::from_millis(50) * 2_u32.pow(failures.min(6))).await;
                continue;
            }
        };
        if races > MAX_LOST_RACES {
            let table = table.name().to_owned();
            return Err(LakeError::Undecided {
                table,
                attempts: races,
                reason: reason.to_owned(),
            });
        }
        debug_assert_eq!(after(attempt, failures, MAX_FAILURES), Next::LookAgain);
    }
}

enum Trial {
    Outcome(Outcome),
    Wrote(Attempt),
}

enum Trouble {
    /// Trying again cannot help.
    Final(LakeError),
    /// The store failed; the log will tell.
    Passing(LakeError),
}

async fn attempt(
    table: &Table,
    known: &mut Option<Known>,
    commit: &Commit,
) -> Result<Trial, Trouble> {
    table.catch_up(known).await.map_err(passing_or_final)?;
    let Some(state) = known.as_ref() else {
        return Ok(Trial::Wrote(Attempt::Unknown));
    };
    let since = commit.tried_after(state.version);
    let entries = entries_since(table, since, state.version).await?;
    let id = commit.id.to_string();
    let landed_at = entries
        .iter()
        .find(|e| e.commit_id.as_ref() == Some(&id))
        .map(|e| e.version);
    let gone = file_gone(commit, &entries);
    let evidence = Evidence {
        landed_at,
        marks: &state.marks,
        file_gone: gone.as_deref(),
        may_decrease: commit.operation == Operation::Reset,
    };
    let name = || table.name().to_owned();
    match decide(&commit.steps, evidence) {
        Decision::Landed(version) => Ok(Trial::Outcome(Outcome::Committed { version })),
        Decision::Overtaken(steps) => Ok(Trial::Outcome(Outcome::Overtaken { steps })),
        Decision::FileGone(path) => Err(Trouble::Final(LakeError::FileGone {
            table: name(),
            path,
        })),
        Decision::Decreases {
            mark,
            present,
            wanted,
        } => Err(Trouble::Final(LakeError::MarkDecreases {
            table: name(),
            mark,
            present,
            wanted,
        })),
        Decision::Write => write(table, known, commit).await,
    }
}

async fn write(
    table: &Table,
    known: &mut Option<Known>,
    commit: &Commit,
) -> Result<Trial, Trouble> {
    let Some(state) = known else {
        return Ok(Trial::Wrote(Attempt::Unknown));
    };
    let version = state.version + 1;
    let bytes = encode(commit, state.version).map_err(Trouble::Final)?;
    let store = table.store().clone();
    let payload = PutPayload::from(bytes);
    // On a task of its own: the local store panics where the disk is full, and that must be an error here.
    let put = tokio::spawn(async move {
        let options = PutOptions {
            mode: PutMode::Create,
            ..PutOptions::default()
        };
        store.put_opts(&entry_path(version), payload, options).await
    });
    match put.await {
        Ok(Ok(_)) => {}
        Ok(Err(object_store::Error::AlreadyExists { .. })) => {
            return Ok(Trial::Wrote(Attempt::Taken));
        }
        Ok(Err(error)) => return Err(Trouble::Passing(error.into())),
        Err(panic) => {
            let reason = format!("the store's worker panicked ({panic}); is the disk full?");
            return Err(Trouble::Passing(LakeError::Undecided {
                table: table.name().to_owned(),
                attempts: 1,
                reason,
            }));
        }
    }
    let marks = commit
        .steps
        .iter()
        .flat_map(|step| step.marks.iter().cloned())
        .collect();
    state.take(&LogEntry {
        version,
        marks,
        ..LogEntry::default()
    });
    table.note(version);
    if (version + 1) % CHECKPOINT_INTERVAL == 0 {
        // The commit has landed: a checkpoint that fails is written by a later commit.
        if let Err(error) = checkpoint(table, version).await {
            tracing::warn!(
                table = table.name(),
                version,
                "no checkpoint was written: {error}"
            );
        }
    }
    Ok(Trial::Outcome(Outcome::Committed { version }))
}

/// Writes a checkpoint of a version, so that readers need not follow the log from its start.
pub(crate) async fn checkpoint(table: &Table, version: i64) -> Result<(), LakeError> {
    fail_point!("lake.checkpoint", |_| Err(LakeError::Failpoint(
        "lake.checkpoint"
    )));
    let delta = table.load_files(Some(version.unsigned_abs())).await?;
    deltalake::checkpoints::create_checkpoint(&delta, None).await?;
    Ok(())
}

/// The entries between two versions. Only a commit that is tried again has any to read twice.
async fn entries_since(table: &Table, since: i64, newest: i64) -> Result<Vec<LogEntry>, Trouble> {
    let mut entries = Vec::new();
    for version in since + 1..=newest {
        // An entry that was cleaned away is older than any commit still being tried.
        entries.extend(table.entry(version).await.map_err(passing_or_final)?);
    }
    Ok(entries)
}

fn passing_or_final(error: LakeError) -> Trouble {
    match error {
        LakeError::Log { .. } => Trouble::Final(error),
        other => Trouble::Passing(other),
    }
}

fn file_gone(commit: &Commit, entries: &[LogEntry]) -> Option<String> {
    let ours: HashSet<_> = commit
        .removes
        .iter()
        .map(|remove| remove.path.as_str())
        .collect();
    let mut removed = entries.iter().flat_map(|entry| &entry.removes);
    removed
        .find(|remove| ours.contains(remove.path.as_str()))
        .map(|remove| remove.path.clone())
}

fn refuse_stale(commit: &Commit) -> Result<(), LakeError> {
    let now = SystemTime::now();
    for upload in &commit.uploads {
        let age = now.duration_since(upload.uploaded_at).unwrap_or_default();
        if age > STALE_UPLOAD {
            return Err(LakeError::StaleUpload {
                path: upload.add.path.clone(),
                age,
            });
        }
    }
    Ok(())
}

/// A commit as an entry of the log: an action per line, the commit's information first.
fn encode(commit: &Commit, read_version: i64) -> Result<Vec<u8>, LakeError> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64;
    let mut lines = vec![json!({"commitInfo": {
        "timestamp": now,
        "operation": commit.operation.name(),
        "operationParameters": {"mode": "Append"},
        "readVersion": read_version,
        "isBlindAppend": commit.removes.is_empty(),
        "engineInfo": concat!("farol/", env!("CARGO_PKG_VERSION")),
        COMMIT_ID: commit.id.to_string(),
    }})];
    if let Some(redefinition) = &commit.redefinition {
        lines.push(json!({"metaData": redefinition.metadata}));
    }
    for (app_id, version) in commit.steps.iter().flat_map(|step| &step.marks) {
        lines.push(json!({"txn": {"appId": app_id, "version": version, "lastUpdated": now}}));
    }
    for remove in &commit.removes {
        let remove = Remove {
            data_change: commit.data_change,
            ..remove.clone()
        };
        lines.push(json!({"remove": to_value(&remove)?}));
    }
    for upload in &commit.uploads {
        let mut add = upload.add.clone();
        add.data_change = commit.data_change;
        lines.push(json!({"add": to_value(&add)?}));
    }
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    Ok((text.join("\n") + "\n").into_bytes())
}

fn to_value(action: &impl serde::Serialize) -> Result<Value, LakeError> {
    let wrong = |error: serde_json::Error| deltalake::DeltaTableError::generic(error.to_string());
    Ok(serde_json::to_value(action).map_err(wrong)?)
}
