//! Alerts as the lake tells them, for people who ask: those that there are, and the whole story of one.

use farol_lake::{ACTIONS, Lake};

use super::alert::Alert;
use super::attend::Alerts;
use crate::action::{ALERT, Action};
use crate::book::closed_id_of;
use crate::error::TriggerError;
use crate::outbox::{self, MARKS};

/// Every alert that anything was ever published of, by id, as its last message leaves it.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn alerts(lake: &Lake) -> Result<Vec<Alert>, TriggerError> {
    let Some(table) = lake.existing(ACTIONS).await? else {
        return Ok(Vec::new());
    };
    let mut alerts = Alerts::default();
    for action in outbox::read(&table, 0, None).await? {
        alerts.take(&action);
    }
    Ok(alerts.into_all().into_values().collect())
}

/// Every message of an alert, in the order in which they are published.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn messages(lake: &Lake, alert_id: &str) -> Result<Vec<Action>, TriggerError> {
    let Some(table) = lake.existing(ACTIONS).await? else {
        return Ok(Vec::new());
    };
    let mut messages = outbox::read(&table, 0, None).await?;
    messages.retain(|action| action.kind == ALERT && action.alert_id == alert_id);
    Ok(messages)
}

/// The last window of an alert that was evaluated, in microseconds: that of its last message, where its rule has no windows.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn last_window_us(lake: &Lake, alert: &Alert) -> Result<i64, TriggerError> {
    let Some(table) = lake.existing(ACTIONS).await? else {
        return Ok(alert.window_us);
    };
    let marks = table.marks(MARKS).await?;
    let closed_us = marks.get(&closed_id_of(&alert.rule));
    let last_us = closed_us.map(|closed_us| closed_us.saturating_sub(alert.width_us()));
    Ok(last_us.map_or(alert.window_us, |last_us| last_us.max(alert.window_us)))
}
