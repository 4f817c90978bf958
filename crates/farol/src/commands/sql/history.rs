//! What was asked before, kept from one prompt to the next.

use std::path::PathBuf;

use rustyline::history::FileHistory;
use rustyline::{Editor, Helper};

/// The file of the history. Each entry is written when it is made, so that a prompt that is killed forgets nothing.
pub(super) struct History {
    file: Option<PathBuf>,
}

impl History {
    /// Reads what is there into the editor.
    pub(super) fn open<H: Helper>(editor: &mut Editor<H, FileHistory>) -> Self {
        let file = place();
        if let Some(file) = &file {
            // No history yet is no error.
            let _ = editor.load_history(file);
        }
        Self { file }
    }

    /// Adds an entry.
    pub(super) fn add<H: Helper>(
        &mut self,
        editor: &mut Editor<H, FileHistory>,
        entry: &str,
    ) -> anyhow::Result<()> {
        let is_new = editor.add_history_entry(entry)?;
        if let Some(file) = self.file.as_ref().filter(|_| is_new)
            && let Err(error) = editor.append_history(file)
        {
            tracing::warn!("cannot keep the history in {}: {error}", file.display());
            // Once is enough.
            self.file = None;
        }
        Ok(())
    }
}

/// Where it is kept: the user's state directory, if it can be made.
fn place() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    let directory = state.join("farol");
    std::fs::create_dir_all(&directory).ok()?;
    Some(directory.join("sql_history"))
}

#[cfg(test)]
mod tests {
    use rustyline::history::History as _;

    use super::*;

    #[test]
    fn each_entry_is_on_disk_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("history");
        let mut history = History {
            file: Some(file.clone()),
        };
        let mut editor: Editor<(), FileHistory> = Editor::new().unwrap();
        history.add(&mut editor, "SELECT 1;").unwrap();
        history.add(&mut editor, "SELECT 2\nFROM traces;").unwrap();
        let mut next: Editor<(), FileHistory> = Editor::new().unwrap();
        next.load_history(&file).unwrap();
        assert_eq!(next.history().len(), 2);
    }
}
