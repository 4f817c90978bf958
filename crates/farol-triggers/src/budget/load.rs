//! Budgets from their files: those that are part of Farol, and the user's own over them by name.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use farol_jobs::{DefinitionError, Jobs};

use super::check::understand;
use super::definition::Budget;

/// The budgets that are part of Farol.
const SHIPPED: &str = include_str!("../../../../pipelines/budgets.yaml");

/// How its file is named in messages.
const SHIPPED_FILE: &str = "budgets.yaml (part of farol)";

/// The user's file, below the pipelines' directory.
const FILE: &str = "budgets.yaml";

/// Files are read up to this size.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The most budgets that there may be.
const BUDGETS_MAX: usize = 1_000;

/// Every budget that is in effect, by name.
#[derive(Debug, Clone, Default)]
pub struct Budgets(BTreeMap<String, Arc<Budget>>);

impl Budgets {
    /// The budgets, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Budget>> {
        self.0.values()
    }

    /// The budget of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Budget>> {
        self.0.get(name)
    }

    /// One of them alone; `None` where there is none of that name.
    pub fn only(&self, name: &str) -> Option<Self> {
        self.get(name).cloned().map(Self::of)
    }

    /// One budget.
    pub(super) fn of(budget: Arc<Budget>) -> Self {
        Self([(budget.name.clone(), budget)].into())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Reads and checks every budget.
///
/// # Errors
/// Everything that is wrong with any of them, each with file, line and column.
pub fn load(dir: &Path, builtin: bool, jobs: &Jobs) -> Result<Budgets, Vec<DefinitionError>> {
    let mut budgets = Budgets::default();
    let mut errors = Vec::new();
    let path = dir.join(FILE);
    let shipped = builtin.then(|| (SHIPPED_FILE.to_owned(), SHIPPED.to_owned()));
    let own = match own(&path) {
        Ok(own) => own.map(|text| (path.display().to_string(), text)),
        Err(error) => return Err(vec![error]),
    };
    for (file, text) in shipped.into_iter().chain(own) {
        match understand(&file, &text, jobs) {
            // The user's take the place of those of the same name.
            Ok(found) => budgets.0.extend(found),
            Err(found) => errors.extend(found),
        }
    }
    if budgets.0.len() > BUDGETS_MAX {
        let message = format!(
            "there are {} budgets; {BUDGETS_MAX} are the most",
            budgets.0.len()
        );
        errors.push(whole_file(&path, message));
    }
    if errors.is_empty() {
        Ok(budgets)
    } else {
        Err(errors)
    }
}

/// The user's file; `None` where there is none.
fn own(path: &Path) -> Result<Option<String>, DefinitionError> {
    let unreadable = |error: std::io::Error| whole_file(path, format!("cannot read it: {error}"));
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(error)),
        Ok(found) if found.len() > FILE_BYTES_MAX => {
            let message = format!(
                "it is {} bytes long; {FILE_BYTES_MAX} are the most",
                found.len()
            );
            Err(whole_file(path, message))
        }
        Ok(_) => std::fs::read_to_string(path).map(Some).map_err(unreadable),
    }
}

fn whole_file(path: &Path, message: String) -> DefinitionError {
    DefinitionError {
        file: path.display().to_string(),
        line: 0,
        column: 0,
        message,
        help: None,
    }
}
