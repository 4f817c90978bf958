//! `farol alert`: what fires, the story of one alert, and what an operator has to say of it.

use farol_jobs::time::{now_us, rfc3339};
use farol_triggers::attention::story::{alerts, last_window_us, messages};
use farol_triggers::attention::{Acknowledgement, Alert, Said};
use serde_json::{Value, json};

use super::silence::{by_prefix, said_by};
use crate::cli::{AlertCommand, AlertSayArgs};
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::output;

/// Runs `farol alert …`.
pub async fn run(context: &Context, command: AlertCommand) -> anyhow::Result<Exit> {
    match command {
        AlertCommand::List(arguments) => list(context, arguments.all).await,
        AlertCommand::Show(arguments) => show(context, &arguments.alert_id).await,
        AlertCommand::Ack(arguments) => say(context, arguments, Said::Acknowledged).await,
        AlertCommand::Resolve(arguments) => say(context, arguments, Said::Resolved).await,
    }
}

async fn list(context: &Context, all: bool) -> anyhow::Result<Exit> {
    let mut alerts = alerts(&context.lake().await?).await?;
    alerts.retain(|alert| all || alert.is_open());
    // The worst first, then what lasts longest.
    let key = |alert: &Alert| {
        let open = alert.is_open();
        (
            !open,
            std::cmp::Reverse(alert.severity),
            alert.since_us,
            alert.alert_id.clone(),
        )
    };
    alerts.sort_by_key(key);
    if context.json {
        for alert in &alerts {
            output::json(&shown(alert))?;
        }
        return Ok(Exit::Done);
    }
    if alerts.is_empty() {
        output::line("no alerts")?;
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = alerts
        .iter()
        .map(|alert| {
            vec![
                alert.alert_id.clone(),
                alert.rule.clone(),
                alert.segment_text.clone(),
                alert.state.as_str().to_owned(),
                alert.severity.as_str().to_owned(),
                rfc3339(alert.since_us),
                muted(alert.muted.as_ref()),
                acknowledged(alert.acknowledged.as_ref()),
            ]
        })
        .collect();
    let header = [
        "alert",
        "rule",
        "segment",
        "state",
        "severity",
        "since",
        "muted by",
        "acknowledged by",
    ];
    output::line(output::table(&header, &rows).trim_end())?;
    Ok(Exit::Done)
}

async fn show(context: &Context, prefix: &str) -> anyhow::Result<Exit> {
    let lake = context.lake().await?;
    let all = alerts(&lake).await?;
    let alert = find(&all, prefix)?;
    let bodies = messages(&lake, &alert.alert_id)
        .await?
        .iter()
        .map(|action| serde_json::from_str(&action.body))
        .collect::<Result<Vec<Value>, _>>()?;
    let id = Some(alert.alert_id.as_str());
    let of = |one: &&Alert| {
        one.muted
            .as_ref()
            .and_then(|muted| muted["alert_id"].as_str())
            == id
    };
    let consequences: Vec<&Alert> = all.iter().filter(|one| one.is_open()).filter(of).collect();
    if context.json {
        let mut told = shown(alert);
        told["messages"] = json!(bodies);
        told["consequences"] = consequences.iter().map(|one| shown(one)).collect();
        output::json(&told)?;
        return Ok(Exit::Done);
    }
    let last = bodies.last().unwrap_or(&Value::Null);
    let mut lines = vec![
        format!("alert         {}", alert.alert_id),
        format!("rule          {}", alert.rule),
        format!("segment       {}", alert.segment_text),
        format!("state         {}", alert.state.as_str()),
        format!("severity      {}", alert.severity.as_str()),
        format!("since         {}", rfc3339(alert.since_us)),
        format!("muted by      {}", muted(alert.muted.as_ref())),
        format!(
            "acknowledged  {}",
            acknowledged(alert.acknowledged.as_ref())
        ),
        format!("escalation    {}", alert.escalation),
        format!("runbook       {}", last["runbook"].as_str().unwrap_or("-")),
    ];
    lines.extend(evidence(&last["evidence"]));
    for one in &consequences {
        lines.push(format!("mutes         {} {}", one.rule, one.segment_text));
    }
    lines.push(String::new());
    output::line(&lines.join("\n"))?;
    let rows: Vec<_> = bodies.iter().map(message).collect();
    let header = [
        "window", "revision", "cause", "from", "to", "severity", "value", "muted by", "said by",
    ];
    output::line(output::table(&header, &rows).trim_end())?;
    Ok(Exit::Done)
}

async fn say(context: &Context, arguments: AlertSayArgs, said: Said) -> anyhow::Result<Exit> {
    said_by(&arguments.by, &arguments.comment)?;
    let lake = context.lake().await?;
    let all = alerts(&lake).await?;
    let alert = find(&all, &arguments.alert_id)?;
    let may = match said {
        Said::Acknowledged => alert.is_open(),
        Said::Resolved => alert.state.fires(),
    };
    if !may {
        return Err(usage(format!(
            "alert {} is {}: it does not fire",
            alert.alert_id,
            alert.state.as_str()
        )));
    }
    if said == Said::Acknowledged && alert.acknowledged.is_some() {
        return Err(usage(format!(
            "alert {} is acknowledged by {} already",
            alert.alert_id,
            acknowledged(alert.acknowledged.as_ref())
        )));
    }
    let window_us = last_window_us(&lake, alert).await?;
    let id = alert.alert_id.clone();
    let AlertSayArgs { by, comment, .. } = arguments;
    let one = Acknowledgement::new(id, said, window_us, comment, by, now_us());
    one.write(&lake).await?;
    if context.json {
        output::json(&json!({
            "acknowledgement_id": one.acknowledgement_id,
            "alert_id": one.alert_id,
            "kind": said.as_str(),
            "window_start": rfc3339(window_us),
            "comment": one.comment,
            "written_by": one.written_by,
            "written_at": rfc3339(one.written_us),
        }))?;
    } else {
        output::line(&format!(
            "{} {} {}; the role triggers tells it at its next step",
            said.as_str(),
            alert.rule,
            alert.segment_text
        ))?;
    }
    Ok(Exit::Done)
}

fn find<'a>(all: &'a [Alert], prefix: &str) -> anyhow::Result<&'a Alert> {
    let id = by_prefix("alert", prefix, all.iter().map(|one| one.alert_id.as_str()))?;
    let found = all.iter().find(|one| one.alert_id == id);
    found.ok_or_else(|| usage(format!("there is no alert `{prefix}`")))
}

fn muted(muted: Option<&Value>) -> String {
    let Some(muted) = muted else {
        return "-".to_owned();
    };
    let text = |name: &str| muted[name].as_str().unwrap_or_default();
    match text("by") {
        "rule" => format!("rule {}", text("rule")),
        "silence" => format!("silence {} ({})", text("silence_id"), text("comment")),
        other => other.to_owned(),
    }
}

fn acknowledged(by: Option<&Value>) -> String {
    let text = |name: &str| Some(by?[name].as_str()?.to_owned());
    let name = text("by").unwrap_or_else(|| "-".to_owned());
    match text("comment").filter(|comment| !comment.is_empty()) {
        Some(comment) => format!("{name} ({comment})"),
        None => name,
    }
}

/// What supports the last message, and how to look.
fn evidence(evidence: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(measure) = evidence["measure"].as_str() {
        lines.push(format!(
            "evidence      {measure} = {}, threshold {}, baseline {}",
            number(&evidence["value"]),
            number(&evidence["threshold"]),
            number(&evidence["baseline"])
        ));
    }
    if let Some(sql) = evidence["sql"].as_str() {
        lines.push(format!("sql           {sql}"));
    }
    let samples = evidence["samples"].as_array().into_iter().flatten();
    let samples: Vec<_> = samples.filter_map(Value::as_str).collect();
    if !samples.is_empty() {
        lines.push(format!("samples       {}", samples.join(", ")));
    }
    lines
}

fn number(value: &Value) -> String {
    match value.as_f64() {
        Some(number) => format!("{number:.4}"),
        None => "-".to_owned(),
    }
}

/// A message as a row.
fn message(body: &Value) -> Vec<String> {
    let payload = &body["payload"];
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let present = |value: &Value| (!value.is_null()).then(|| value.clone());
    let by = present(&payload["resolved"]).or_else(|| present(&payload["acknowledged"]));
    vec![
        text(&body["window_start"]),
        body["revision"].to_string(),
        text(&payload["cause"]),
        text(&payload["previous_state"]),
        text(&payload["state"]),
        text(&body["severity"]),
        number(&body["evidence"]["value"]),
        muted(present(&payload["muted"]).as_ref()),
        acknowledged(by.as_ref()),
    ]
}

/// An alert as one object.
fn shown(alert: &Alert) -> Value {
    json!({
        "alert_id": alert.alert_id,
        "rule": alert.rule,
        "segment": alert.segment,
        "state": alert.state.as_str(),
        "severity": alert.severity.as_str(),
        "since": rfc3339(alert.since_us),
        "window_start": rfc3339(alert.window_us),
        "window_end": rfc3339(alert.end_us),
        "muted": alert.muted,
        "acknowledged": alert.acknowledged,
        "escalation": alert.escalation,
    })
}
