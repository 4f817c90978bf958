//! The tables ingest writes: one primary table per kind of event, and the dead letters beside them.

use std::collections::BTreeMap;

use farol_events::Kind;
use farol_lake::{Lake, LakeError, Table, TableSpec};

use crate::options::InputTopic;

/// The name of the table of records that could not become rows.
pub const DEAD_LETTERS: &str = "dead_letters";

/// The tables of the configured topics, created before the first data commit.
#[derive(Clone)]
pub(crate) struct Tables {
    pub lake: Lake,
    primary: BTreeMap<&'static str, Table>,
    pub dead_letters: Table,
}

impl Tables {
    pub async fn open(lake: &Lake, topics: &[InputTopic]) -> Result<Self, LakeError> {
        let mut primary = BTreeMap::new();
        for topic in topics {
            let name = topic.kind.table();
            if !primary.contains_key(name) {
                primary.insert(name, lake.table(name, &TableSpec::raw(topic.kind)).await?);
            }
        }
        let dead_letters = lake.table(DEAD_LETTERS, &TableSpec::dead_letters()).await?;
        Ok(Self {
            lake: lake.clone(),
            primary,
            dead_letters,
        })
    }

    /// The table whose marks decide where reading of such events resumes; `None` for a kind without a topic.
    pub fn primary(&self, kind: Kind) -> Option<&Table> {
        self.primary.get(kind.table())
    }

    /// Every primary table.
    pub fn all_primary(&self) -> impl Iterator<Item = &Table> + Send {
        self.primary.values()
    }
}
