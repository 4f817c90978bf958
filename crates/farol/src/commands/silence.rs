//! `farol silence`: when nobody is to be notified of which alerts.

use farol_jobs::time::{now_us, rfc3339};
use farol_triggers::attention::silence::{COMMENT_BYTES_MAX, silences};
use farol_triggers::attention::{Matchers, Silence};
use serde_json::{Value, json};

use crate::cli::{SilenceAddArgs, SilenceCommand, SilenceExpireArgs};
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::output;

/// Runs `farol silence …`.
pub async fn run(context: &Context, command: SilenceCommand) -> anyhow::Result<Exit> {
    match command {
        SilenceCommand::Add(arguments) => add(context, arguments).await,
        SilenceCommand::List(arguments) => list(context, arguments.all).await,
        SilenceCommand::Expire(arguments) => expire(context, arguments).await,
    }
}

async fn add(context: &Context, arguments: SilenceAddArgs) -> anyhow::Result<Exit> {
    let matchers = Matchers::parse(
        arguments.rule.as_deref(),
        &arguments.severity,
        &arguments.segment,
    )
    .map_err(usage)?;
    said_by(&arguments.by, &arguments.comment)?;
    let now_us = now_us();
    let starts_us = arguments.from.unwrap_or(now_us);
    let ends_us = match (arguments.to, arguments.for_us) {
        (Some(to_us), _) => to_us,
        (None, for_us) => starts_us.saturating_add(for_us.unwrap_or(0)),
    };
    if ends_us <= starts_us {
        return Err(usage("a silence must end after it begins"));
    }
    let (comment, by) = (arguments.comment, arguments.by);
    let silence = Silence::new(matchers, starts_us, ends_us, comment, by, now_us);
    silence.write(&context.lake().await?).await?;
    if context.json {
        output::json(&shown(&silence))?;
    } else {
        output::line(&format!(
            "silence {} from {} to {}",
            silence.silence_id,
            rfc3339(starts_us),
            rfc3339(ends_us)
        ))?;
    }
    Ok(Exit::Done)
}

async fn list(context: &Context, all: bool) -> anyhow::Result<Exit> {
    let now_us = now_us();
    let mut silences = silences(&context.lake().await?).await?;
    silences.retain(|silence| all || silence.ends_us > now_us);
    silences.sort_by_key(|silence| (silence.starts_us, silence.silence_id.clone()));
    if context.json {
        for silence in &silences {
            output::json(&shown(silence))?;
        }
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = silences
        .iter()
        .map(|silence| {
            vec![
                silence.silence_id.clone(),
                state(silence, now_us).to_owned(),
                rfc3339(silence.starts_us),
                rfc3339(silence.ends_us),
                matchers(silence),
                silence.written_by.clone(),
                silence.comment.clone(),
            ]
        })
        .collect();
    if rows.is_empty() {
        output::line("no silences")?;
        return Ok(Exit::Done);
    }
    let header = [
        "silence", "state", "from", "to", "matchers", "by", "comment",
    ];
    output::line(output::table(&header, &rows).trim_end())?;
    Ok(Exit::Done)
}

async fn expire(context: &Context, arguments: SilenceExpireArgs) -> anyhow::Result<Exit> {
    said_by(&arguments.by, "")?;
    let lake = context.lake().await?;
    let silences = silences(&lake).await?;
    let ids = silences.iter().map(|silence| silence.silence_id.as_str());
    let id = by_prefix("silence", &arguments.silence_id, ids)?;
    let now_us = now_us();
    let silence = silences.iter().find(|silence| silence.silence_id == id);
    let Some(silence) = silence.filter(|silence| silence.ends_us > now_us) else {
        return Err(usage(format!("silence {id} is over already")));
    };
    let expired = silence.expired(now_us, arguments.by);
    expired.write(&lake).await?;
    if context.json {
        output::json(&shown(&expired))?;
    } else {
        output::line(&format!(
            "silence {id} ends at {}",
            rfc3339(expired.ends_us)
        ))?;
    }
    Ok(Exit::Done)
}

/// Checks who says something, and what.
pub(super) fn said_by(by: &str, comment: &str) -> anyhow::Result<()> {
    if by.trim().is_empty() {
        return Err(usage("say who you are: --by NAME"));
    }
    if by.len().max(comment.len()) > COMMENT_BYTES_MAX {
        return Err(usage(format!(
            "a comment or name has {COMMENT_BYTES_MAX} bytes at the most"
        )));
    }
    Ok(())
}

/// The one id that begins so.
pub(super) fn by_prefix<'a>(
    what: &str,
    prefix: &str,
    ids: impl Iterator<Item = &'a str>,
) -> anyhow::Result<String> {
    let found: Vec<_> = ids.filter(|id| id.starts_with(prefix)).collect();
    match found[..] {
        [one] if !prefix.is_empty() => Ok(one.to_owned()),
        [] => Err(usage(format!(
            "there is no {what} `{prefix}`; `farol {what} list --all` shows them"
        ))),
        _ => Err(usage(format!(
            "{} {what}s begin with `{prefix}`; give more of the id",
            found.len()
        ))),
    }
}

fn state(silence: &Silence, now_us: i64) -> &'static str {
    if silence.ends_us <= now_us {
        "expired"
    } else if silence.starts_us > now_us {
        "pending"
    } else {
        "active"
    }
}

/// What a silence is about, in one line.
fn matchers(silence: &Silence) -> String {
    let Matchers {
        rule,
        severity,
        segment,
    } = &silence.matchers;
    let rule = rule.iter().map(|rule| format!("rule={rule}"));
    let severity = severity
        .iter()
        .map(|one| format!("severity={}", one.as_str()));
    let segment = segment
        .iter()
        .map(|(name, pattern)| format!("{name}={pattern}"));
    rule.chain(severity)
        .chain(segment)
        .collect::<Vec<_>>()
        .join(" ")
}

fn shown(silence: &Silence) -> Value {
    json!({
        "silence_id": silence.silence_id,
        "revision": silence.revision,
        "state": state(silence, now_us()),
        "matchers": silence.matchers.to_json(),
        "starts_at": rfc3339(silence.starts_us),
        "ends_at": rfc3339(silence.ends_us),
        "comment": silence.comment,
        "written_by": silence.written_by,
        "written_at": rfc3339(silence.written_us),
    })
}
