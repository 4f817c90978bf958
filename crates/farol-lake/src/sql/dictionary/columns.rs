//! What columns mean that no event brings along: those that Farol computes, where a row came from, dead letters and
//! actions. What events bring is told by farol-events' field table.

use farol_events::Kind;
use farol_events::field::{Requirement, fields};

use crate::joined::{CALL_COLUMNS, Joined};

/// What a column of a stored table means. Empty for a column that is not known.
pub fn described(table: &str, column: &str) -> String {
    if let Some(joined) = Joined::ALL.into_iter().find(|known| known.table() == table) {
        return of_joined(joined, column);
    }
    let kind = Kind::ALL.into_iter().find(|kind| kind.table() == table);
    let field = kind.and_then(|kind| fields(kind).iter().find(|field| field.name == column));
    let Some(field) = field else {
        return own(table, column).to_owned();
    };
    let mut text = field.doc.to_owned();
    if !field.known_values.is_empty() {
        text.push_str(" Known values: ");
        text.push_str(&field.known_values.join(", "));
        text.push('.');
    }
    match field.requirement {
        Requirement::Required => text.push_str(" Required."),
        Requirement::Identity => {
            text.push_str(" An event has at least one of ");
            text.push_str(&kind.map(Kind::identity).unwrap_or_default().join(", "));
            text.push('.');
        }
        Requirement::Optional => {}
    }
    text
}

/// What a column of a joined table means: the call's, or what was said about it.
fn of_joined(joined: Joined, column: &str) -> String {
    if column == "event_time" {
        return "When the call ended that it is about: it counts in the window of the answer."
            .to_owned();
    }
    if column == joined.own_time() {
        return "When it was given or happened.".to_owned();
    }
    match CALL_COLUMNS.iter().find(|(name, _)| *name == column) {
        Some((_, of_call)) => format!(
            "Of the call that it is about: {}",
            described("traces", of_call)
        ),
        None => described(joined.kind().table(), column),
    }
}

/// What a column is counted in, by its name: names end with their unit, and money is in the currency beside it.
pub fn unit(column: &str) -> Option<&'static str> {
    match column {
        "cost" | "amount" | "cost_avoided" | "cost_computed" => Some("currency"),
        "cost_usd" => Some("USD"),
        _ if column.ends_with("_ms") => Some("ms"),
        _ if column.ends_with("_tokens") => Some("tokens"),
        _ if column.ends_with("_rate") || column.ends_with("_ratio") => Some("ratio"),
        _ => None,
    }
}

fn own(table: &str, column: &str) -> &'static str {
    match table {
        "actions" => action(column),
        "findings" => finding(column),
        "silences" => silence(column),
        "acknowledgements" => acknowledgement(column),
        "dead_letters" => dead_letter(column),
        super::DATA_DICTIONARY => entry(column),
        _ => computed(column),
    }
}

fn computed(column: &str) -> &'static str {
    match column {
        "model" => {
            "The model that answered (response_model), else the one that was asked for (request_model)."
        }
        "cost_usd" => "The cost in US dollars. NULL until prices are in effect.",
        "cost_computed" => "The cost by the price book. NULL until prices are in effect.",
        "cost_avoided" => {
            "What the call would have cost had a cache not answered it. NULL until prices are in effect."
        }
        "cost_source" => {
            "Where the cost comes from: the application, or the price book. NULL until prices are in effect."
        }
        "price_version" => "The version of the price book. NULL until prices are in effect.",
        "cost_missing_reason" => "Why no cost is known. NULL until prices are in effect.",
        _ => origin(column),
    }
}

fn origin(column: &str) -> &'static str {
    match column {
        "event_date" => {
            "The day of event_time, UTC. Tables are partitioned by it: a filter on it reads those days alone."
        }
        "ingested_at" => "When Farol read it.",
        "kafka_topic" => "The topic it was read from.",
        "kafka_partition" => "The partition.",
        "kafka_offset" => "The record's offset there.",
        "kafka_entry" => "Its place in the record: 0 where a record holds one event.",
        _ => "",
    }
}

fn dead_letter(column: &str) -> &'static str {
    match column {
        "event_date" => "The day it was read, UTC.",
        "kafka_key" => "The record's key.",
        "headers" => {
            "The record's headers: a JSON list of {key, value}, or {key, value_base64} where that is not text."
        }
        "reason_code" => {
            "Why it could not become a row, in a word: invalid_json, invalid_event_time, too_large."
        }
        "reason" => "Why, in words, with the place.",
        "raw" => "The record's bytes; of one that was too large, the first 64 KiB.",
        _ => origin(column),
    }
}

fn finding(column: &str) -> &'static str {
    match column {
        "sequence" => {
            "Its number: rows are counted without a gap, in the order in which they were found."
        }
        "finding_id" => {
            "A hash of detector, job, measure, segment and the window that noticed it: all rows of one incident share it."
        }
        "revision" => "0 when the incident is noticed, 1 when it is over; the highest counts.",
        "state" => {
            "Known values: open, ended, adopted (it lasted so long that it is the new level)."
        }
        "detector" => "The detector that found it.",
        "method" => {
            "How the measure is watched. Known values: rate, series, comparison (of versions), drift."
        }
        "job" => "The job whose measure it is about.",
        "measure" => "The measure that changed.",
        "direction" => "Which change was looked for. Known values: increase, decrease, both.",
        "segment" => "The segment that it is about: a JSON object.",
        "since" => "When the change most likely began.",
        "window_start" => "The window at whose end it was noticed: its start.",
        "window_end" => "The window's end.",
        "noticed_at" => {
            "When it could be noticed, by the watermark: the window's end and the detector's settle."
        }
        "ended_at" => "When it was over. NULL while it goes on.",
        "statistic" => {
            "What was compared with the threshold. Known values: e_value (evidence against no change); of drift, whose p_value is compared, wasserstein_over_sigma and population_stability_index; of versions mean_difference_of_versions, on the scale of the least effect."
        }
        "statistic_value" => "The statistic when it was noticed.",
        "threshold" => {
            "What it was compared with: the average number of observations between two false alarms; of drift, the level of the p_value; of versions, the least difference that is found."
        }
        "p_value" => {
            "The probability of such a statistic without a change. NULL for methods that give evidence instead."
        }
        "observed" => "The measure since the change, in its unit.",
        "reference" => "What it was expected to be, in the measure's unit.",
        "effect" => {
            "By how much it changed: observed less reference; of drift, what of the statistic is above what no change gives."
        }
        "effect_low" => "The lower end of the effect's 95 % interval. NULL where it is not known.",
        "effect_high" => "The upper end of that interval.",
        "reference_start" => "Where the reference begins.",
        "reference_end" => "Where the reference ends.",
        "observations" => {
            "What the observed value is made of: trials of a rate, windows of a series, pairs of windows of versions, rows of a column."
        }
        "root_causes" => {
            "Which further segments explain the change, the best first: a JSON array of objects with segment, share, observed, reference; of versions also what it was compared_with."
        }
        "samples" => "Trace ids that show it: a JSON array.",
        "sql" => "A query that shows the measure around the change.",
        "tables" => "The versions of the tables that were read: a JSON object.",
        _ => "",
    }
}

fn action(column: &str) -> &'static str {
    match column {
        "sequence" => {
            "Its number: actions are counted without a gap, in the order in which they are published."
        }
        "action_id" => {
            "A hash of rule, segment, window, transition and revision: the same action has the same id."
        }
        "kind" => "What is to be done. Known values: alert.",
        "rule" => "The rule that decided it.",
        "segment" => "The segment that it is about: a JSON object.",
        "alert_id" => "A hash of rule and segment: all messages of one alert share it.",
        "window_start" => "The window that decided it: its start.",
        "window_end" => "The window's end.",
        "revision" => {
            "How often what was said of this window was changed by late data; the highest counts."
        }
        "cause" => {
            "Why it was said. Known values: changed, renotified, withdrawn, resolved, muted, unmuted, acknowledged, escalated."
        }
        "state" => {
            "The alert's state from then on. Known values: ok, warning, alert, no_data, recovered."
        }
        "previous_state" => "The state before.",
        "since" => "When the state began.",
        "severity" => {
            "How bad it is by the rule; the message of an alert that was escalated may say more. Known values: info, warning, critical."
        }
        "body" => "The message as it is published: JSON with its evidence.",
        _ => "",
    }
}

fn silence(column: &str) -> &'static str {
    match column {
        "silence_id" => "The silence: all its rows share it.",
        "revision" => "0 when it is written, 1 when it is ended early; the highest counts.",
        "matchers" => {
            "Which alerts it is about, a JSON object: rule (a pattern), severity (a list), segment (patterns by name)."
        }
        "starts_at" => "It mutes windows that end from then on.",
        "ends_at" => "It mutes windows that end before.",
        "comment" => "Why, in the operator's words.",
        "written_by" => "Who wrote this row.",
        "written_at" => "When this row was written.",
        _ => "",
    }
}

fn acknowledgement(column: &str) -> &'static str {
    match column {
        "acknowledgement_id" => "This row.",
        "alert_id" => "The alert that it is about.",
        "kind" => "What was said. Known values: acknowledged, resolved.",
        "window_start" => {
            "The alert's last evaluated window when it was said: from there on it counts."
        }
        "comment" => "What else the operator said.",
        "written_by" => "Who said it.",
        "written_at" => "When it was said.",
        _ => "",
    }
}

fn entry(column: &str) -> &'static str {
    match column {
        "table_name" => "The table or view.",
        "column_name" => "The column. NULL in the row about the table or view itself.",
        "data_type" => "The column's type; of a table or view, which of the two it is.",
        "unit" => "What the column is counted in.",
        "description" => "What it means.",
        _ => "",
    }
}
