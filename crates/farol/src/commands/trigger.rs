//! `farol trigger`: what rules there are, and when one would have fired.

mod score;
mod simulated;

use farol_triggers::attention::replay::attended;
use farol_triggers::condition::Condition;
use farol_triggers::replay::{Replay, replay};
use farol_triggers::rule::Severity;
use farol_triggers::{TriggerError, on_events, status};
use serde_json::{Value, json};

use crate::cli::{TriggerCommand, TriggerTestArgs};
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::output;

/// Runs `farol trigger …`.
pub async fn run(context: &Context, command: TriggerCommand) -> anyhow::Result<Exit> {
    match command {
        TriggerCommand::List => list(context).await,
        TriggerCommand::Test(arguments) => test(context, &arguments).await,
        TriggerCommand::Runbook { rule } => runbook(&rule),
    }
}

async fn list(context: &Context) -> anyhow::Result<Exit> {
    let (_, rules) = context.pipelines().await?;
    let (status, _) = status::status(&context.lake().await?, &rules).await?;
    if context.json {
        for (rule, status) in rules.iter().zip(&status) {
            output::json(&json!({
                    "name": rule.name, "description": rule.description, "on": rule.job,
                    "window_seconds": rule.window_us / 1_000_000, "by": rule.by, "when": rule.when.text(),
                    "recover_when": rule.recover_when.as_ref().map(Condition::text),
                    "for_windows": rule.hold_windows, "severity": severities(&rule.severities), "runbook": rule.runbook,
            "muted_by": rule.attention.muted_by, "escalate": rule.attention.escalate_json(),
                    "version": status.version, "evaluated_to": status.evaluated_to,
                }))?;
        }
        for rule in rules.on_findings() {
            output::json(&json!({
                    "name": rule.name, "description": rule.description, "on": "findings", "by": rule.by,
                    "when": rule.when.text(), "severity": severities(&rule.severities), "runbook": rule.runbook,
            "muted_by": rule.attention.muted_by, "escalate": rule.attention.escalate_json(),
                }))?;
        }
        for rule in rules.on_events() {
            output::json(&json!({
                    "name": rule.rule.name, "description": rule.rule.description, "on": rule.table, "by": rule.rule.by,
                    "when": rule.when, "fires": rule.rule.when.text(), "within_seconds": rule.within_us / 1_000_000,
                    "max_alerts": rule.max_alerts, "severity": severities(&rule.rule.severities), "runbook": rule.rule.runbook,
            "muted_by": rule.rule.attention.muted_by, "escalate": rule.rule.attention.escalate_json(),
                }))?;
        }
        return Ok(Exit::Done);
    }
    let mut rows: Vec<_> = rules
        .iter()
        .zip(status)
        .map(|(rule, status)| {
            vec![
                rule.name.clone(),
                rule.job.clone(),
                rule.by.join(", "),
                status.evaluated_to.unwrap_or_else(|| "-".to_owned()),
                in_one_line(rule.when.text()),
            ]
        })
        .collect();
    rows.extend(rules.on_findings().map(|rule| {
        vec![
            rule.name.clone(),
            "findings".to_owned(),
            rule.by.join(", "),
            "-".to_owned(),
            rule.when.text().to_owned(),
        ]
    }));
    rows.extend(rules.on_events().map(|rule| {
        vec![
            rule.rule.name.clone(),
            rule.table.clone(),
            rule.rule.by.join(", "),
            "-".to_owned(),
            in_one_line(&rule.when),
        ]
    }));
    let header = ["rule", "on", "by", "evaluated to", "when"];
    output::line(output::table(&header, &rows).trim_end())?;
    Ok(Exit::Done)
}

/// Severities with their conditions.
fn severities(of: &[(Option<Condition>, Severity)]) -> Vec<Value> {
    let told = of.iter().map(|(when, severity)| {
        json!({"when": when.as_ref().map(Condition::text), "severity": severity.as_str()})
    });
    told.collect()
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn test(context: &Context, arguments: &TriggerTestArgs) -> anyhow::Result<Exit> {
    let (jobs, rules) = context.pipelines().await?;
    if rules.on_findings().any(|rule| rule.name == arguments.rule) {
        return Err(usage(format!(
            "rule `{}` is on findings: `farol detect run --from … --to …` shows on history what would have been found",
            arguments.rule
        )));
    }
    let range = match (arguments.from, arguments.to) {
        (Some(from_us), Some(to_us)) if from_us < to_us => Some((from_us, to_us)),
        (Some(_), Some(_)) => return Err(usage("--from must be before --to")),
        _ => None,
    };
    let mut on_events = rules.on_events();
    if let Some(rule) = on_events.find(|rule| rule.rule.name == arguments.rule) {
        let Some((from_us, to_us)) = range else {
            return Err(usage(
                "give --from and --to: rules on single events have no incidents to be simulated",
            ));
        };
        let lake = context.lake().await?;
        let replay = on_events::replay(&lake, rule, from_us, to_us).await?;
        let replay = attended(&lake, &jobs, &rules, &arguments.rule, replay).await?;
        return show(context, &replay);
    }
    let rule = rules
        .get(&arguments.rule)
        .ok_or_else(|| TriggerError::Unknown {
            name: arguments.rule.clone(),
            known: rules.names(),
        })?;
    if let Some(kind) = arguments.simulate {
        return simulated::run(context, arguments, kind, &jobs, rule).await;
    }
    let Some((from_us, to_us)) = range else {
        return Err(usage("give --from and --to, or --simulate KIND"));
    };
    let lake = context.lake().await?;
    let replay = replay(&lake, &jobs, rule, from_us, to_us).await?;
    let replay = attended(&lake, &jobs, &rules, &arguments.rule, replay).await?;
    show(context, &replay)
}

/// Prints what would have been published: whole, or as a table.
fn show(context: &Context, replay: &Replay) -> anyhow::Result<Exit> {
    if context.json {
        for action in &replay.actions {
            output::line(&action.body)?;
        }
        return Ok(Exit::Done);
    }
    let mut rows = Vec::new();
    for action in &replay.actions {
        let body: Value = serde_json::from_str(&action.body)?;
        let shown = |value: &Value| match value.as_f64() {
            Some(number) => format!("{number:.4}"),
            None => "-".to_owned(),
        };
        let evidence = &body["evidence"];
        rows.push(vec![
            body["window_start"].as_str().unwrap_or("-").to_owned(),
            action.segment.clone(),
            action.transition.cause.as_str().to_owned(),
            action.transition.previous.as_str().to_owned(),
            action.transition.state.as_str().to_owned(),
            body["severity"].as_str().unwrap_or("-").to_owned(),
            body["payload"]["muted"]["by"]
                .as_str()
                .unwrap_or("-")
                .to_owned(),
            evidence["measure"].as_str().unwrap_or("-").to_owned(),
            shown(&evidence["value"]),
            shown(&evidence["threshold"]),
        ]);
    }
    let header = [
        "window",
        "segment",
        "cause",
        "from",
        "to",
        "severity",
        "muted by",
        "measure",
        "value",
        "threshold",
    ];
    if !rows.is_empty() {
        output::line(output::table(&header, &rows).trim_end())?;
    }
    output::line(&summary(replay))?;
    Ok(Exit::Done)
}

/// Prints the runbook of a rule that is part of Farol.
fn runbook(rule: &str) -> anyhow::Result<Exit> {
    let Some(text) = farol_triggers::rule::runbook(rule) else {
        let known: Vec<_> = farol_triggers::rule::runbooks().collect();
        return Err(usage(format!(
            "there is no runbook of a rule `{rule}`; there are those of {}",
            known.join(", ")
        )));
    };
    output::line(text.trim_end())?;
    Ok(Exit::Done)
}

/// What was looked at, and how often it would have fired.
fn summary(replay: &Replay) -> String {
    let fired = replay
        .actions
        .iter()
        .filter(|action| action.transition.state.tells() && !action.transition.previous.tells())
        .count();
    let time = |time_us: i64| {
        chrono::DateTime::<chrono::Utc>::from_timestamp_micros(time_us).map_or_else(
            || "-".to_owned(),
            |time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        )
    };
    if replay.from_us >= replay.to_us {
        return format!(
            "no window is closed between {} and the end of the range; the watermark has not passed it",
            time(replay.from_us)
        );
    }
    format!(
        "{} to {}: {} segments with data, fired {fired} times",
        time(replay.from_us),
        time(replay.to_us),
        replay.segments
    )
}
