//! What supports a decision: what the rule compared, and traces that show it.

use std::collections::{BTreeMap, HashMap};

use crate::action::{Evidence, has_samples};
use crate::book::Book;
use crate::condition::Compared;
use crate::error::TriggerError;
use crate::history::Before;
use crate::lifecycle::{Decided, State};
use farol_detectors::samples::{Input, Place, Telling};
use farol_jobs::segment::Segment;

/// What supports each decision, in their order. The rows of a window are looked at once, whatever was decided of it.
pub(crate) async fn evidence(
    book: &Book,
    decided: &[(Segment, Decided)],
    input: Option<&Input>,
    tables: &[(String, i64)],
) -> Result<Vec<Evidence>, TriggerError> {
    let mut evidence: Vec<_> = decided
        .iter()
        .map(|(segment, one)| Evidence {
            tables: tables.to_vec(),
            ..evidence_of(book, segment, one)
        })
        .collect();
    let Some(input) = input else {
        return Ok(evidence);
    };
    let mut wanted: BTreeMap<i64, Vec<(Segment, Telling)>> = BTreeMap::new();
    for ((segment, one), evidence) in decided.iter().zip(&evidence) {
        if evidence.compared.value.is_some() || has_samples(&one.transition) {
            let telling = Telling::of(evidence.measure.as_deref());
            let of_window = wanted.entry(one.window_us).or_default();
            of_window.push((segment.clone(), telling));
        }
    }
    let mut found = HashMap::new();
    for (window_us, wanted) in wanted {
        let place = Place {
            reads: &book.rule.reads,
            by: &book.rule.by,
            from_us: window_us,
            to_us: window_us + book.rule.window_us,
        };
        if let Some(samples) = input.find(place, &wanted).await? {
            found.insert(window_us, samples);
        }
    }
    for ((segment, one), evidence) in decided.iter().zip(&mut evidence) {
        let samples = found
            .get(&one.window_us)
            .and_then(|found| found.get(segment));
        if let Some(samples) = samples {
            let read = (book.rule.reads.clone(), input.version);
            evidence.tables.push(read);
            evidence.samples.clone_from(samples);
        }
    }
    Ok(evidence)
}

/// What the rule compared in the window.
pub(crate) fn evidence_of(book: &Book, segment: &Segment, decided: &Decided) -> Evidence {
    let rule = &book.rule;
    let condition = match decided.transition.state {
        State::Recovered => rule.recover_when.as_ref().unwrap_or(&rule.when),
        _ => &rule.when,
    };
    let window_us = decided.window_us;
    let windows = book.history.windows(segment);
    let absent = rule.absent_row(segment);
    let row = windows.and_then(|windows| {
        let row = windows.get(&window_us).map(AsRef::as_ref);
        Some((windows, row.or(absent.as_deref())?))
    });
    let compared = match row {
        Some((windows, row)) => condition.compared(row, &Before { windows, window_us }),
        None => Compared {
            column: condition.measure(),
            ..Default::default()
        },
    };
    let name = |column: usize| rule.columns.get(column).map(|(name, _)| name.clone());
    Evidence {
        measure: compared.column.and_then(name),
        compared,
        ..Evidence::default()
    }
}
