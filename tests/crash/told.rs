//! What was told is what was decided, each once and in its order.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::farol::Farol;
use crate::harness::kafka::Read;

/// Compares the ids of a topic's messages with those that a query gives.
pub fn told_once(farol: &Farol, told: &[Read], stored: &str) {
    let ids: Vec<_> = told
        .iter()
        .map(|message| message.body["action_id"].clone())
        .collect();
    let rows = farol.sql(stored);
    let stored: Vec<_> = rows
        .into_iter()
        .map(|row| row["action_id"].clone())
        .collect();
    assert_eq!(
        ids, stored,
        "the topic holds what the table holds, in its order"
    );
    let different: BTreeSet<_> = ids.iter().map(Value::to_string).collect();
    assert_eq!(different.len(), ids.len(), "none twice");
}
