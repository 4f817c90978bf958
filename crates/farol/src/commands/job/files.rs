//! The two files of a job: shown, and written for a new one.

use std::path::Path;

use anyhow::Context as _;
use farol_jobs::{Files, Job, shipped};
use serde_json::json;

use crate::cli::JobNewArgs;
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::output;

/// A job's YAML and SQL.
struct Texts {
    yaml: String,
    sql: String,
}

/// Prints a job's files as they are.
pub(super) async fn show(context: &Context, name: &str) -> anyhow::Result<Exit> {
    let jobs = context.jobs().await?;
    let job = super::named(&jobs, name)?;
    let texts = texts_of(job)?;
    if context.json {
        output::json(&json!({"name": job.name(), "from": super::origin(job),
            "yaml": texts.yaml, "sql": texts.sql}))?;
        return Ok(Exit::Done);
    }
    let (yaml, sql) = match job.files() {
        Files::Shipped => (
            format!("{name}.yaml (part of farol)"),
            format!("{name}.sql (part of farol)"),
        ),
        Files::Own(yaml, sql) => (yaml.display().to_string(), sql.display().to_string()),
    };
    output::line(&format!(
        "# {yaml}\n{}\n-- {sql}\n{}",
        texts.yaml,
        texts.sql.trim_end()
    ))?;
    Ok(Exit::Done)
}

fn texts_of(job: &Job) -> anyhow::Result<Texts> {
    match job.files() {
        Files::Shipped => {
            let (yaml, sql) = shipped(job.name())
                .with_context(|| format!("`{}` is not part of farol", job.name()))?;
            Ok(Texts {
                yaml: yaml.to_owned(),
                sql: sql.to_owned(),
            })
        }
        Files::Own(yaml, sql) => Ok(Texts {
            yaml: read(yaml)?,
            sql: read(sql)?,
        }),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes the files of a job that works, to be changed; those that are there stay as they are.
pub(super) async fn begin(context: &Context, arguments: &JobNewArgs) -> anyhow::Result<Exit> {
    let name = &arguments.name;
    farol_jobs::check_name(name).map_err(usage)?;
    let texts = match &arguments.from {
        Some(from) => {
            let jobs = context.jobs().await?;
            renamed(texts_of(super::named(&jobs, from)?)?, from, name)?
        }
        None => template(name),
    };
    let dir = context.config.pipelines.dir.join("jobs");
    let files = [
        (dir.join(format!("{name}.yaml")), texts.yaml),
        (dir.join(format!("{name}.sql")), texts.sql),
    ];
    let others = [dir.join(format!("{name}.yml"))];
    let mut paths = files.iter().map(|(path, _)| path).chain(&others);
    if let Some(there) = paths.find(|path| path.exists()) {
        return Err(usage(format!(
            "{} is there already; give the job another name, or change that file",
            there.display()
        )));
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for (path, text) in &files {
        write_new(path, text)?;
    }
    let [yaml, sql] = files.map(|(path, _)| path.display().to_string());
    if context.json {
        output::json(&json!({"name": name, "yaml": yaml, "sql": sql}))?;
    } else {
        output::line(&format!("{yaml}\n{sql}"))?;
    }
    Ok(Exit::Done)
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = std::fs::File::create_new(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    std::io::Write::write_all(&mut file, text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A copy of a job's files under another name.
fn renamed(texts: Texts, from: &str, name: &str) -> anyhow::Result<Texts> {
    let mut found = false;
    let lines = texts.yaml.lines().map(|line| {
        let is_name = line.strip_prefix("name:").is_some_and(|rest| {
            rest.trim_start()
                .trim_start_matches(['"', '\''])
                .starts_with(from)
        });
        if is_name && !found {
            found = true;
            format!("name: {name}")
        } else {
            line.to_owned()
        }
    });
    let yaml = lines.collect::<Vec<_>>().join("\n") + "\n";
    if found {
        return Ok(Texts { yaml, ..texts });
    }
    Err(usage(format!(
        "the YAML of `{from}` has no line `name: {from}`, so it cannot be copied under another name"
    )))
}

fn template(name: &str) -> Texts {
    let yaml = format!(
        "name: {name}\n\
         description: What it measures, in a sentence\n\
         reads: traces                  # or feedback_joined, costs, …; or several: [traces, feedback_joined]\n\
         window: 1m                     # any multiple of it can be asked for\n\
         # mode: recompute              # for SQL that joins or groups rows: windows are computed whole\n\
         # reach: 15m                   # and see the rows so far before and (unless `reach_after` says less) after\n\
         # max_series: 10000            # combinations of segments that are kept apart; then `other`\n\
         segments: [service, model, tags]   # columns of the SQL to group by; `tags` stands for those of jobs.tags\n\
         partials:                      # columns of the SQL: sum, min, max, quantiles, distinct\n  \
           requests: sum                # sums are of whole numbers or decimals\n  \
           latency: quantiles\n\
         measures:                      # over merged partials; division by zero is NULL\n  \
           latency_p95_ms: {{expr: 'quantile(latency, 0.95)', unit: ms, better: lower, description: What it says}}\n"
    );
    let sql = "-- One row for each contribution: its time, its segments, and what it adds to each partial. NULL adds nothing.\n\
               SELECT event_time, service, model, tags, 1 AS requests, latency_ms AS latency\n\
               FROM traces\n";
    Texts {
        yaml,
        sql: sql.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_its_own_name_and_nothing_else_changes() {
        let (yaml, sql) = shipped("spend").unwrap();
        let texts = Texts {
            yaml: yaml.to_owned(),
            sql: sql.to_owned(),
        };
        let copy = renamed(texts, "spend", "spend_by_tenant").unwrap();
        assert_eq!(
            copy.yaml,
            yaml.replacen("name: spend", "name: spend_by_tenant", 1)
        );
        assert_eq!(copy.sql, sql);
        let nameless = Texts {
            yaml: "reads: traces\n".to_owned(),
            sql: String::new(),
        };
        assert!(renamed(nameless, "spend", "mine").is_err());
    }
}
