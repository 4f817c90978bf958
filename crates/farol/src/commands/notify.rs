//! `farol notify`: who is told of alerts, how far that is, and what reached nobody.

use farol_kafka::KafkaConfig;
use farol_notify::dead_letter::{self, DeadLetter};
use farol_notify::service;
use serde_json::json;

use crate::cli::{DeadLettersCommand, NotifyCommand, NotifyReplayArgs};
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::output;

/// Runs `farol notify …`.
pub async fn run(context: &Context, command: NotifyCommand) -> anyhow::Result<Exit> {
    match command {
        NotifyCommand::List => list(context).await,
        NotifyCommand::Test { receiver } => test(context, &receiver).await,
        NotifyCommand::DeadLetters(DeadLettersCommand::List) => dead_letters(context).await,
        NotifyCommand::DeadLetters(DeadLettersCommand::Show { id }) => show(context, &id).await,
        NotifyCommand::Replay(arguments) => replay(context, arguments).await,
    }
}

/// The brokers, which must be there already: a broker that this command started would know nothing.
fn kafka(context: &Context) -> anyhow::Result<KafkaConfig> {
    let running = context.kafka_if_running();
    running.ok_or_else(|| {
        anyhow::anyhow!("no broker: kafka.brokers is not set, and no embedded broker runs in --dir")
    })
}

async fn list(context: &Context) -> anyhow::Result<Exit> {
    let plan = context.notify_plan()?;
    let (kafka, alerts) = (kafka(context)?, context.config.outputs.alerts.clone());
    let read = move || service::status(&kafka, &alerts, &plan);
    let routes = tokio::task::spawn_blocking(read).await??;
    if context.json {
        for route in &routes {
            output::json(route)?;
        }
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = routes
        .iter()
        .map(|route| {
            vec![
                route.route.clone(),
                route.receiver.clone(),
                route.kind.to_owned(),
                output::known(route.partition.map(i64::from)),
                output::known(route.next),
                output::known(route.log_end),
                output::known(route.lag_records),
                route.open_alerts.to_string(),
                route.on_its_way.to_string(),
            ]
        })
        .collect();
    let header = [
        "route",
        "receiver",
        "kind",
        "partition",
        "next",
        "log end",
        "lag",
        "open alerts",
        "on its way",
    ];
    output::line(output::table(&header, &rows).trim_end())?;
    Ok(Exit::Done)
}

async fn test(context: &Context, name: &str) -> anyhow::Result<Exit> {
    let plan = context.notify_plan()?;
    let Some(receiver) = plan.receivers.get(name) else {
        let known: Vec<&str> = plan.receivers.keys().map(String::as_str).collect();
        return Err(usage(format!(
            "there is no receiver `{name}`; configured: {}",
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        )));
    };
    let sent = service::test(receiver).await;
    sent.map_err(|failure| anyhow::anyhow!("{name}: {}", failure.reason()))?;
    if context.json {
        output::json(&json!({"receiver": name, "accepted": true}))?;
    } else {
        output::line(&format!("{name} has accepted it"))?;
    }
    Ok(Exit::Done)
}

async fn letters(context: &Context) -> anyhow::Result<Vec<DeadLetter>> {
    let kafka = kafka(context)?;
    let topic = context.config.outputs.notifications_dead_letters.clone();
    let read = move || dead_letter::list(&kafka, &topic);
    Ok(tokio::task::spawn_blocking(read).await??)
}

async fn dead_letters(context: &Context) -> anyhow::Result<Exit> {
    let letters = letters(context).await?;
    if context.json {
        for letter in &letters {
            output::json(letter)?;
        }
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = letters
        .iter()
        .map(|letter| {
            let notification = &letter.notification;
            let rule = notification.alerts.first().map(|alert| alert.rule.clone());
            vec![
                letter.key().to_owned(),
                letter.route.clone(),
                letter.receiver.clone(),
                notification.status.as_str().to_owned(),
                rule.unwrap_or_else(|| "-".to_owned()),
                letter.reason.clone(),
            ]
        })
        .collect();
    let header = ["id", "route", "receiver", "status", "rule", "reason"];
    output::line(output::table(&header, &rows).trim_end())?;
    Ok(Exit::Done)
}

async fn show(context: &Context, id: &str) -> anyhow::Result<Exit> {
    let letters = letters(context).await?;
    let Some(letter) = letters.iter().find(|letter| letter.key() == id) else {
        anyhow::bail!("there is no dead letter {id}");
    };
    if context.json {
        output::json(letter)?;
    } else {
        output::line(&serde_json::to_string_pretty(letter)?)?;
    }
    Ok(Exit::Done)
}

async fn replay(context: &Context, arguments: NotifyReplayArgs) -> anyhow::Result<Exit> {
    let plan = context.notify_plan()?;
    let topic = &context.config.outputs.notifications_dead_letters;
    let NotifyReplayArgs { route, id } = arguments;
    let wanted = |letter: &DeadLetter| {
        route.as_ref().is_none_or(|route| *route == letter.route)
            && id.as_ref().is_none_or(|id| id == letter.key())
    };
    let replayed = service::replay(&kafka(context)?, topic, &plan, wanted).await?;
    let mut exit = Exit::Done;
    for outcome in &replayed {
        let (id, route) = (outcome.letter.key(), &outcome.letter.route);
        if outcome.failure.is_some() {
            exit = Exit::Degraded;
        }
        if context.json {
            output::json(&json!({"id": id, "route": route, "failure": outcome.failure}))?;
        } else {
            let said = outcome.failure.as_deref().unwrap_or("accepted");
            output::line(&format!("{id}  {route}  {said}"))?;
        }
    }
    if replayed.is_empty() {
        tracing::info!("there are no such dead letters");
    }
    Ok(exit)
}
