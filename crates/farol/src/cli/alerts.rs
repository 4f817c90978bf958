//! Arguments of the commands about alerts and silences.

use clap::{ArgGroup, Args, Subcommand};
use farol_triggers::rule::Severity;

use crate::emit::time::parse_rfc3339;

/// `farol alert …`.
#[derive(Debug, Subcommand)]
pub enum AlertCommand {
    /// List the alerts that fire now: since when, how bad, whether anybody is to be disturbed
    List(AlertListArgs),
    /// Show one alert in full: every message, its evidence, what follows from it, the runbook
    Show(AlertShowArgs),
    /// Say that you see to an alert: it is not said again, nor escalated, until it recovers
    Ack(AlertSayArgs),
    /// Close an alert by hand; it fires again only after its condition did not hold
    Resolve(AlertSayArgs),
}

/// Arguments of `farol alert list`.
#[derive(Debug, Args)]
pub struct AlertListArgs {
    /// Also those that do not fire any more
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `farol alert show`.
#[derive(Debug, Args)]
pub struct AlertShowArgs {
    /// The alert's id, or enough of its beginning
    #[arg(value_name = "ALERT_ID")]
    pub alert_id: String,
}

/// Arguments of `farol alert ack` and `farol alert resolve`.
#[derive(Debug, Args)]
#[command(
    after_help = "It is kept in the lake, and told on the alert topic by the role triggers at its next step."
)]
pub struct AlertSayArgs {
    /// The alert's id, or enough of its beginning
    #[arg(value_name = "ALERT_ID")]
    pub alert_id: String,
    /// Who says it
    #[arg(long, value_name = "NAME", env = "USER")]
    pub by: String,
    /// What else there is to say
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub comment: String,
}

/// `farol silence …`.
#[derive(Debug, Subcommand)]
pub enum SilenceCommand {
    /// Mute alerts for a time: they are measured and told as muted, and nobody is notified
    Add(SilenceAddArgs),
    /// List the silences that are in force or to come
    List(SilenceListArgs),
    /// End a silence now; what it muted and still fires is said again
    Expire(SilenceExpireArgs),
}

/// Arguments of `farol silence add`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("end").required(true).args(["to", "for_us"]))]
#[command(after_help = "Examples:\n  \
    farol silence add --rule 'latency-*' --segment service=checkout --for 2h --comment 'load test'\n  \
    farol silence add --rule '*' --from 2026-01-01T22:00:00Z --to 2026-01-02T02:00:00Z --comment maintenance\n\n\
    All matchers that are given must match. A message is muted where its window ends within the silence, by the time of\n\
    events. Patterns: `*` any letters, `?` one; a segment that is NULL matches none.")]
pub struct SilenceAddArgs {
    /// The rule's name, or a pattern of it
    #[arg(long, value_name = "PATTERN")]
    pub rule: Option<String>,
    /// A severity: info, warning or critical; may be repeated
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    pub severity: Vec<Severity>,
    /// A part of the segment and a pattern of its value; may be repeated
    #[arg(long, value_name = "NAME=PATTERN", value_parser = pair)]
    pub segment: Vec<(String, String)>,
    /// When it begins, in RFC 3339 [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_rfc3339)]
    pub from: Option<i64>,
    /// When it ends, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse_rfc3339)]
    pub to: Option<i64>,
    /// How long it lasts: 30m, 2h, '7 days'
    #[arg(long = "for", value_name = "SPAN", value_parser = farol_jobs::duration::parse_us)]
    pub for_us: Option<i64>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub comment: String,
    /// Who says it
    #[arg(long, value_name = "NAME", env = "USER")]
    pub by: String,
}

/// Arguments of `farol silence list`.
#[derive(Debug, Args)]
pub struct SilenceListArgs {
    /// Also those that are over
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `farol silence expire`.
#[derive(Debug, Args)]
pub struct SilenceExpireArgs {
    /// The silence's id, or enough of its beginning
    #[arg(value_name = "SILENCE_ID")]
    pub silence_id: String,
    /// Who says it
    #[arg(long, value_name = "NAME", env = "USER")]
    pub by: String,
}

fn severity(text: &str) -> Result<Severity, String> {
    let known = Severity::ALL.map(Severity::as_str).join(", ");
    Severity::parse(text).ok_or_else(|| format!("there are {known}"))
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, pattern)) if !name.is_empty() => Ok((name.to_owned(), pattern.to_owned())),
        _ => Err("write NAME=PATTERN, such as service=checkout".to_owned()),
    }
}
