//! What operators said, as a service holds it: read again where there is something new.

use std::sync::Arc;

use farol_lake::{ACKNOWLEDGEMENTS, Lake, SILENCES, Table};

use super::acknowledgement::{self, Acknowledgements};
use super::silence::{self, Silence};
use crate::error::TriggerError;

/// Silences and acknowledgements.
#[derive(Default)]
pub(crate) struct Notes {
    pub silences: Vec<Silence>,
    pub acknowledgements: Arc<Acknowledgements>,
    silences_read: Read,
    acknowledgements_read: Read,
}

/// A table, and the version of it that was read.
#[derive(Default)]
struct Read {
    table: Option<Table>,
    version: Option<i64>,
}

impl Read {
    /// The table at a version that was not read yet; `None` where there is nothing new.
    async fn news(
        &mut self,
        lake: &Lake,
        name: &str,
    ) -> Result<Option<(Table, i64)>, TriggerError> {
        if self.table.is_none() {
            self.table = lake.existing(name).await?;
        }
        let Some(table) = &self.table else {
            return Ok(None);
        };
        let version = table.refresh().await?;
        Ok((self.version != Some(version)).then(|| (table.clone(), version)))
    }
}

impl Notes {
    /// Silences, and nothing said of alerts.
    pub fn of(silences: Vec<Silence>) -> Self {
        Self {
            silences,
            ..Self::default()
        }
    }

    /// Reads what is new; what was said of alerts, where anything was since.
    pub async fn refresh(
        &mut self,
        lake: &Lake,
    ) -> Result<Option<Arc<Acknowledgements>>, TriggerError> {
        if let Some((table, version)) = self.silences_read.news(lake, SILENCES).await? {
            self.silences = silence::read(&table, version).await?;
            self.silences_read.version = Some(version);
        }
        let news = self.acknowledgements_read.news(lake, ACKNOWLEDGEMENTS);
        let Some((table, version)) = news.await? else {
            return Ok(None);
        };
        self.acknowledgements = Arc::new(acknowledgement::read(&table, version).await?);
        self.acknowledgements_read.version = Some(version);
        Ok(Some(self.acknowledgements.clone()))
    }
}
