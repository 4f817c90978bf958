//! What commands show of budgets: read from the lake alone, written nowhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use farol_jobs::time::floor;
use farol_jobs::{Jobs, Segment};
use farol_lake::{ACTIONS, Lake, Marks};

use super::books::Books;
use super::definition::{Budget, Period};
use super::facts::Facts;
use super::forecast::{self, DAYS_MAX, Forecast, Input};
use super::load::Budgets;
use super::period::Span;
use super::standing::Standing;
use super::usage::Usage;
use crate::error::TriggerError;
use crate::outbox::{self, MARKS};

const HOUR_US: i64 = 3_600_000_000;

/// What one budget has come to.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The budget.
    pub budget: Arc<Budget>,
    /// The value of the column that it is kept by.
    pub segment: Segment,
    /// The period that is open.
    pub span: Span,
    /// What it has come to.
    pub standing: Standing,
    /// How far event time is.
    pub as_of_us: i64,
}

/// A budget with the forecast of when it is spent.
#[derive(Debug, Clone)]
pub struct Foreseen {
    /// What it has come to.
    pub shown: Shown,
    /// The forecast; `None` where there are too few days.
    pub forecast: Option<Forecast>,
    /// The time that the forecast's hours are counted from.
    pub from_us: i64,
}

/// What budgets have come to, every scope of each. Budgets whose job has no partials yet are not there.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn status(
    lake: &Lake,
    jobs: &Jobs,
    budgets: &Budgets,
) -> Result<Vec<Shown>, TriggerError> {
    let mut books = Books::new(budgets);
    let mut marks = Marks::new();
    if let Some(table) = lake.existing(ACTIONS).await? {
        marks = table.marks(MARKS).await?;
        for action in outbox::read(&table, 0, None).await? {
            books.take(&action)?;
        }
    }
    books.standings(lake, jobs, &marks).await
}

/// What one budget has come to, and when its limit will be spent.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn foresee(
    lake: &Lake,
    jobs: &Jobs,
    budgets: &Budgets,
    name: &str,
) -> Result<Vec<Foreseen>, TriggerError> {
    let Some(budget) = budgets.get(name) else {
        return Err(TriggerError::UnknownBudget {
            name: name.to_owned(),
            known: budgets.names(),
        });
    };
    let one = Budgets::of(budget.clone());
    let shown = status(lake, jobs, &one).await?;
    // The same spend by the hour: a rolling budget's steps.
    let days = i64::try_from(DAYS_MAX).unwrap_or(i64::MAX);
    let length_us = (days * 24 * HOUR_US).max(length_us(budget));
    let by_hour = Arc::new(Budget {
        period: Period::Rolling {
            length_us,
            step_us: HOUR_US,
        },
        ..budget.as_ref().clone()
    });
    let mut books = Books::new(&Budgets::of(by_hour.clone()));
    books.standings(lake, jobs, &Marks::new()).await?;
    let Some(book) = books.all.first() else {
        return Ok(Vec::new());
    };
    let foreseen = shown.into_iter().map(|shown| {
        let from_us = floor(shown.as_of_us, HOUR_US);
        let forecast = foresee_one(&shown, &by_hour, &book.usage, from_us);
        Foreseen {
            shown,
            forecast,
            from_us,
        }
    });
    Ok(foreseen.collect())
}

fn length_us(budget: &Budget) -> i64 {
    match budget.period {
        Period::Rolling { length_us, .. } => length_us,
        Period::Calendar(_) => 0,
    }
}

fn foresee_one(shown: &Shown, by_hour: &Budget, usage: &Usage, from_us: i64) -> Option<Forecast> {
    let of_hour = |start_us: i64| {
        let end_us = start_us + HOUR_US;
        usage.of(by_hour, &shown.segment, Span { start_us, end_us })
    };
    let days = i64::try_from(DAYS_MAX).unwrap_or(i64::MAX);
    let hours = (0..days * 24)
        .rev()
        .map(|back| of_hour(from_us - (back + 1) * HOUR_US).to_f64());
    // Before its first spend it was not there yet.
    let past: Vec<f64> = hours.skip_while(|amount| *amount == 0.0).collect();
    // The hour that is open is simulated whole, so what it has spent is given back.
    let used = shown.standing.used.minus(of_hour(from_us));
    let left = shown.standing.limit.minus(used).to_f64();
    let (hours, leaving) = match shown.budget.period {
        Period::Calendar(_) => ((shown.span.end_us - from_us) / HOUR_US, Vec::new()),
        Period::Rolling { length_us, .. } => {
            let hours = length_us / HOUR_US;
            let leaving =
                (0..hours).map(|hour| of_hour(from_us - length_us + hour * HOUR_US).to_f64());
            (hours, leaving.collect())
        }
    };
    forecast::forecast(&Input {
        past: &past,
        left: if shown.standing.used >= shown.standing.limit {
            0.0
        } else {
            left
        },
        hours: usize::try_from(hours).unwrap_or(0),
        leaving: &leaving,
        seed: from_us.unsigned_abs(),
    })
}

impl Books {
    /// What every budget has come to, by budget and scope.
    async fn standings(
        &mut self,
        lake: &Lake,
        jobs: &Jobs,
        marks: &Marks,
    ) -> Result<Vec<Shown>, TriggerError> {
        let mut partials = crate::look::Partials::default();
        let clocks = self
            .read_for_report(lake, jobs, &mut partials, marks)
            .await?;
        let mut shown = Vec::new();
        let nothing = Facts::default();
        for (book, clock) in self.all.iter().zip(clocks) {
            let Some(clock) = clock else { continue };
            let mut segments: BTreeSet<Segment> = book.usage.segments().cloned().collect();
            if book.budget.by.is_none() {
                segments.insert(Segment(Vec::new()));
            }
            for segment in segments {
                let facts = book.facts.get(&segment).unwrap_or(&nothing);
                let standing =
                    super::ledger::standing(&book.budget, &segment, &book.usage, facts, clock);
                if let Some((span, standing)) = standing {
                    shown.push(Shown {
                        budget: book.budget.clone(),
                        segment,
                        span,
                        standing,
                        as_of_us: clock.as_of_us,
                    });
                }
            }
        }
        Ok(shown)
    }
}
