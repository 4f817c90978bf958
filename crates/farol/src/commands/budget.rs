//! `farol budget`: what is spent of what may be, who spends it, and when it will be spent.

use farol_jobs::Segment;
use farol_jobs::segment::{quoted_name, quoted_text};
use farol_jobs::time::rfc3339;
use farol_triggers::budget::definition::{Enforcement, Spend};
use farol_triggers::budget::forecast::{COVERAGE, DAYS_MIN};
use farol_triggers::budget::message::{amount_of, sql};
use farol_triggers::budget::report::{Foreseen, Shown, foresee, status};
use farol_triggers::budget::{Budget, Budgets};
use farol_triggers::{Rules, TriggerError};
use serde_json::{Value, json};

use crate::cli::{BudgetCommand, BudgetForecastArgs, BudgetShowArgs, SqlFormat};
use crate::commands::sql::to_stdout;
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::output;

const HOUR_US: i64 = 3_600_000_000;

/// Runs `farol budget …`.
pub async fn run(context: &Context, command: BudgetCommand) -> anyhow::Result<Exit> {
    let (jobs, Rules { budgets, .. }) = context.pipelines().await?;
    let lake = context.lake().await?;
    match command {
        BudgetCommand::List => list(context, &budgets, &status(&lake, &jobs, &budgets).await?),
        BudgetCommand::Show(arguments) => {
            let shown = status(&lake, &jobs, &only(&budgets, &arguments.name)?).await?;
            show(context, &budgets, &arguments, &shown).await
        }
        BudgetCommand::Forecast(BudgetForecastArgs { name }) => {
            forecast(context, &foresee(&lake, &jobs, &budgets, &name).await?)
        }
    }
}

/// One budget alone.
fn only(budgets: &Budgets, name: &str) -> anyhow::Result<Budgets> {
    budgets.only(name).ok_or_else(|| {
        let unknown = TriggerError::UnknownBudget {
            name: name.to_owned(),
            known: budgets.names(),
        };
        usage(unknown.to_string())
    })
}

fn list(context: &Context, budgets: &Budgets, shown: &[Shown]) -> anyhow::Result<Exit> {
    if context.json {
        for one in shown {
            output::json(&told(one))?;
        }
        return Ok(Exit::Done);
    }
    let mut rows: Vec<_> = shown.iter().map(row).collect();
    for budget in budgets.iter() {
        if !shown.iter().any(|one| one.budget.name == budget.name) {
            let mut row = vec![
                budget.name.clone(),
                scope(budget, None),
                budget.period_name.to_owned(),
            ];
            row.resize(HEADER.len(), "-".to_owned());
            rows.push(row);
        }
    }
    output::line(output::table(&HEADER, &rows).trim_end())?;
    Ok(Exit::Done)
}

const HEADER: [&str; 9] = [
    "budget", "scope", "period", "until", "used", "limit", "currency", "percent", "enforce",
];

fn row(one: &Shown) -> Vec<String> {
    vec![
        one.budget.name.clone(),
        scope(&one.budget, Some(&one.segment)),
        one.budget.period_name.to_owned(),
        rfc3339(one.span.end_us),
        one.standing.used.to_string(),
        one.standing.limit.to_string(),
        one.budget.currency.clone(),
        percent(one).to_string(),
        one.standing
            .enforcement()
            .map_or("none", Enforcement::as_str)
            .to_owned(),
    ]
}

/// What a budget is about, on one line; a column that it is kept by has its value or a star.
fn scope(budget: &Budget, segment: Option<&Segment>) -> String {
    let own = budget
        .scope
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let by = budget.by.iter().map(|by| {
        let value = segment.map_or("*", |segment| segment.0[0].as_deref().unwrap_or("-"));
        format!("{by}={value}")
    });
    let all: Vec<_> = own.chain(by).collect();
    if all.is_empty() {
        "everything".to_owned()
    } else {
        all.join(" ")
    }
}

fn percent(one: &Shown) -> f64 {
    one.standing.basis_points() as f64 / 100.0
}

fn told(one: &Shown) -> Value {
    let thresholds = one.standing.thresholds.iter().map(|(threshold, crossed)| {
        json!({
            "percent": threshold.percent, "action": threshold.action.as_str(), "crossed": crossed,
            "amount": amount_of(*threshold, one.standing.limit).to_string(),
        })
    });
    let budget = &one.budget;
    json!({
        "budget": budget.name, "description": budget.description, "scope": budget.scope_json(&one.segment),
        "source": budget.source.as_str(), "period": budget.period_name, "time_zone": budget.time_zone.to_string(),
        "period_start": rfc3339(one.span.start_us), "period_end": rfc3339(one.span.end_us),
        "limit": one.standing.limit.to_string(), "used": one.standing.used.to_string(), "currency": budget.currency,
        "used_percent": percent(one), "status": one.standing.status().as_str(),
        "thresholds": thresholds.collect::<Vec<_>>(),
        "enforce": one.standing.enforcement().map_or("none", Enforcement::as_str),
        "as_of": rfc3339(one.as_of_us), "sql": sql(budget, &one.segment, one.span),
    })
}

async fn show(
    context: &Context,
    budgets: &Budgets,
    arguments: &BudgetShowArgs,
    shown: &[Shown],
) -> anyhow::Result<Exit> {
    if let Some(by) = &arguments.by {
        return allocate(context, by, shown).await;
    }
    if shown.is_empty() && !context.json {
        let only = only(budgets, &arguments.name)?;
        for budget in only.iter() {
            output::line(&format!("{}: no spend is known yet", budget.name))?;
        }
    }
    for one in shown {
        if context.json {
            output::json(&told(one))?;
            continue;
        }
        let budget = &one.budget;
        let mut lines = vec![
            format!("{}  {}", budget.name, scope(budget, Some(&one.segment))),
            format!(
                "  {} of {} {} ({} %), {}, {} to {} ({}), as of {}",
                one.standing.used,
                one.standing.limit,
                budget.currency,
                percent(one),
                one.standing.status().as_str(),
                rfc3339(one.span.start_us),
                rfc3339(one.span.end_us),
                budget.time_zone,
                rfc3339(one.as_of_us),
            ),
        ];
        for (threshold, crossed) in &one.standing.thresholds {
            lines.push(format!(
                "  {} {} % ({}): {}",
                if *crossed { "crossed" } else { "ahead  " },
                threshold.percent,
                amount_of(*threshold, one.standing.limit),
                threshold.action.as_str(),
            ));
        }
        lines.push(format!("  {}", sql(budget, &one.segment, one.span)));
        output::line(&lines.join("\n"))?;
    }
    Ok(Exit::Done)
}

/// Who spends the open period of a budget: by a column or any tag, what has none on a line of its own.
async fn allocate(context: &Context, by: &str, shown: &[Shown]) -> anyhow::Result<Exit> {
    let Some(one) = shown.first() else {
        output::line("no spend is known yet")?;
        return Ok(Exit::Done);
    };
    let lake = context.lake().await?;
    let session = farol_lake::sql::Session::open(&lake).await?;
    let format = if context.json {
        SqlFormat::Ndjson
    } else {
        SqlFormat::Table
    };
    let query = allocation(&one.budget, by, (one.span.start_us, one.span.end_us));
    to_stdout(&session, &query, format).await?;
    Ok(Exit::Done)
}

/// The query that divides a budget's spend of a time.
fn allocation(budget: &Budget, by: &str, (from_us, to_us): (i64, i64)) -> String {
    let column = |name: &str, is_tag: bool| {
        if is_tag {
            format!("tags[{}]", quoted_text(name))
        } else {
            quoted_name(name)
        }
    };
    let value = match by.strip_prefix("tag.") {
        Some(tag) => column(tag, true),
        None => column(by, false),
    };
    let mut conditions = format!(
        "event_time >= TIMESTAMP '{}' AND event_time < TIMESTAMP '{}' AND currency = {}",
        rfc3339(from_us),
        rfc3339(to_us),
        quoted_text(&budget.currency),
    );
    for (name, value) in &budget.scope {
        let name = column(name, budget.tags.contains(name));
        conditions.extend([" AND ", &name, " = ", &quoted_text(value)]);
    }
    let calls = format!(
        "SELECT {value} AS value, cost AS amount FROM traces WHERE calls_model(operation) AND {conditions}"
    );
    let lines = |sources: &str| {
        format!(
            "SELECT {value} AS value, amount FROM costs WHERE source IN ({sources}) AND {conditions}"
        )
    };
    let rows = match budget.source {
        Spend::Calls => calls,
        Spend::Billing => lines("'usage', 'adjustment'"),
        Spend::CallsAndAdjustments => format!("{calls} UNION ALL {}", lines("'adjustment'")),
    };
    format!(
        "SELECT value AS {}, sum(amount) AS cost, round(100 * CAST(sum(amount) AS DOUBLE) / \
         nullif(sum(CAST(sum(amount) AS DOUBLE)) OVER (), 0), 2) AS percent \
         FROM ({rows}) WHERE amount IS NOT NULL GROUP BY value ORDER BY cost DESC, value",
        quoted_name(by.strip_prefix("tag.").unwrap_or(by)),
    )
}

fn forecast(context: &Context, foreseen: &[Foreseen]) -> anyhow::Result<Exit> {
    let coverage = (COVERAGE * 100.0).round();
    let mut rows = Vec::new();
    for one in foreseen {
        let time = |hours: Option<usize>| {
            let hours = i64::try_from(hours?).ok()?;
            Some(rfc3339(
                one.from_us.saturating_add(hours.saturating_mul(HOUR_US)),
            ))
        };
        let shown = &one.shown;
        let found = one.forecast.as_ref();
        if context.json {
            let mut line = told(shown);
            line["forecast"] = found.map_or(Value::Null, |found| {
                json!({
                    "exhausted_at": time(found.median), "earliest": time(found.early), "latest": time(found.late),
                    "interval_percent": coverage, "probability_in_period": found.probability,
                    "method": found.method.as_str(), "days_of_history": found.days,
                })
            });
            output::json(&line)?;
            continue;
        }
        let mut row = vec![
            shown.budget.name.clone(),
            scope(&shown.budget, Some(&shown.segment)),
        ];
        row.push(percent(shown).to_string());
        match found {
            None => row.extend(["-", "-", "-", "-"].map(str::to_owned)),
            Some(found) => {
                let later = || "after the period".to_owned();
                for hours in [found.median, found.early, found.late] {
                    row.push(time(hours).unwrap_or_else(later));
                }
                row.push(format!("{:.1}", found.probability * 100.0));
            }
        }
        row.push(found.map_or_else(
            || format!("fewer than {DAYS_MIN} days of spend"),
            |found| format!("{} of {} days", found.method.as_str(), found.days),
        ));
        rows.push(row);
    }
    if !context.json {
        let header = [
            "budget",
            "scope",
            "percent",
            "exhausted",
            "earliest",
            "latest",
            "chance",
            "from",
        ];
        output::line(output::table(&header, &rows).trim_end())?;
        output::line(&format!(
            "exhausted: in the middle of the drawn paths; earliest and latest: an interval that holds the truth in {coverage} of 100 \
             cases while spend goes on as it was; chance: per cent, within the period"
        ))?;
    }
    Ok(Exit::Done)
}
