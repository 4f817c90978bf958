//! Acknowledgements: an operator sees to an alert, or says that it is over.

use std::collections::BTreeMap;

use farol_jobs::identity;
use farol_lake::{ACKNOWLEDGEMENTS, Lake, Table, TableSpec};
use serde_json::{Value, json};

use super::table::{self, Cell, append, rows};
use crate::error::TriggerError;
use crate::lifecycle::Interventions;

/// What an operator says of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// They see to it.
    Acknowledged,
    /// It is over.
    Resolved,
}

impl Said {
    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let known = [Self::Acknowledged, Self::Resolved];
        known.into_iter().find(|one| one.as_str() == word)
    }
}

/// What an operator said of one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Its id.
    pub acknowledgement_id: String,
    /// The alert.
    pub alert_id: String,
    /// What was said.
    pub said: Said,
    /// From this window on it counts, in microseconds.
    pub window_us: i64,
    /// What else was said.
    pub comment: String,
    /// By whom.
    pub written_by: String,
    /// When, in microseconds.
    pub written_us: i64,
}

impl Acknowledgement {
    /// Something new. Its id is made of what it says.
    pub fn new(
        alert_id: String,
        said: Said,
        window_us: i64,
        comment: String,
        written_by: String,
        written_us: i64,
    ) -> Self {
        let acknowledgement_id = identity::of_parts(&[
            &alert_id,
            said.as_str(),
            &window_us.to_string(),
            &comment,
            &written_by,
            &written_us.to_string(),
        ]);
        Self {
            acknowledgement_id,
            alert_id,
            said,
            window_us,
            comment,
            written_by,
            written_us,
        }
    }

    /// As messages name it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "by": self.written_by,
            "comment": self.comment,
            "acknowledgement_id": self.acknowledgement_id,
        })
    }

    /// Writes it to the lake.
    ///
    /// # Errors
    /// Where the lake cannot be written.
    pub async fn write(&self, lake: &Lake) -> Result<(), TriggerError> {
        let row = [
            Cell::Text(self.acknowledgement_id.clone()),
            Cell::Text(self.alert_id.clone()),
            Cell::Text(self.said.as_str().to_owned()),
            Cell::Time(self.window_us),
            Cell::Text(self.comment.clone()),
            Cell::Text(self.written_by.clone()),
            Cell::Time(self.written_us),
        ];
        append(lake, ACKNOWLEDGEMENTS, &TableSpec::acknowledgements(), &row).await
    }
}

/// What operators said, by alert, in the order in which they said it.
#[derive(Debug, Clone, Default)]
pub struct Acknowledgements(BTreeMap<String, Vec<Acknowledgement>>);

impl Acknowledgements {
    /// In a fixed order, whatever that of the rows.
    pub fn new(mut all: Vec<Acknowledgement>) -> Self {
        let key = |one: &Acknowledgement| (one.written_us, one.acknowledgement_id.clone());
        all.sort_by_key(key);
        let mut of: BTreeMap<String, Vec<Acknowledgement>> = BTreeMap::new();
        for one in all {
            of.entry(one.alert_id.clone()).or_default().push(one);
        }
        Self(of)
    }

    /// Whether nothing was ever said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was said of an alert.
    pub fn of(&self, alert_id: &str) -> &[Acknowledgement] {
        self.0.get(alert_id).map_or(&[], Vec::as_slice)
    }

    /// What was said of an alert, as its lifecycle takes it.
    pub fn interventions(&self, alert_id: &str) -> Interventions {
        let windows = |said: Said| {
            let of = self.of(alert_id).iter().filter(move |one| one.said == said);
            of.map(|one| one.window_us).collect()
        };
        Interventions {
            acknowledged: windows(Said::Acknowledged),
            resolved: windows(Said::Resolved),
        }
    }
}

/// Everything that operators said of alerts.
///
/// # Errors
/// Where the lake cannot be read, or holds what this version does not understand.
pub async fn acknowledgements(lake: &Lake) -> Result<Acknowledgements, TriggerError> {
    match lake.existing(ACKNOWLEDGEMENTS).await? {
        Some(table) => {
            let version = table.refresh().await?;
            read(&table, version).await
        }
        None => Ok(Acknowledgements::default()),
    }
}

/// Everything that operators said, at a version of the table.
pub(super) async fn read(table: &Table, version: i64) -> Result<Acknowledgements, TriggerError> {
    let mut all = Vec::new();
    for batch in rows(table, version, &TableSpec::acknowledgements()).await? {
        let text = |column, row| table::text(&batch, column, row);
        let time = |column, row| table::time(&batch, column, row);
        for row in 0..batch.num_rows() {
            let word = text(2, row);
            all.push(Acknowledgement {
                acknowledgement_id: text(0, row),
                alert_id: text(1, row),
                said: Said::parse(&word).ok_or_else(|| {
                    TriggerError::Operators(format!(
                        "acknowledgement {} says `{word}`",
                        text(0, row)
                    ))
                })?,
                window_us: time(3, row),
                comment: text(4, row),
                written_by: text(5, row),
                written_us: time(6, row),
            });
        }
    }
    Ok(Acknowledgements::new(all))
}
