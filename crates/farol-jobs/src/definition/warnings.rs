//! What can be run as it is, and is likely not what was meant.

use std::collections::BTreeSet;
use std::path::Path;

use super::load::own_files;
use super::{Files, Job, Jobs, Sources};
use crate::error::JobError;

/// What is to be said of a user's own jobs that is no mistake, a sentence each.
///
/// # Errors
/// Where the directory of jobs cannot be read.
pub fn warnings(sources: &Sources, jobs: &Jobs) -> Result<Vec<String>, JobError> {
    let mut warnings = Vec::new();
    for job in jobs.iter() {
        if let Files::Own(yaml, _) = job.files() {
            warnings.extend(unused(job).into_iter().map(|partial| {
                format!(
                    "{}: no measure uses partial `{partial}`: it can be asked for by its name, and takes space",
                    yaml.display()
                )
            }));
        }
    }
    let sql = own_files(sources, &["sql"])?;
    let yaml: BTreeSet<_> = own_files(sources, &["yaml", "yml"])?
        .iter()
        .map(|path| path.with_extension(""))
        .collect();
    let strays = sql
        .iter()
        .filter(|path| !yaml.contains(&path.with_extension("")));
    warnings.extend(strays.map(|path| stray(path)));
    Ok(warnings)
}

fn stray(path: &Path) -> String {
    format!(
        "{}: there is no {} beside it, so it is no job",
        path.display(),
        path.with_extension("yaml").display()
    )
}

/// The partials that no measure names.
fn unused(job: &Job) -> Vec<&str> {
    let measures = job.measures().iter();
    let used: BTreeSet<&str> = measures
        .flat_map(|measure| measure.expr.column_refs())
        .map(|column| column.name.as_str())
        .collect();
    let names = job.partials().iter().map(|partial| partial.name.as_str());
    names.filter(|name| !used.contains(name)).collect()
}
