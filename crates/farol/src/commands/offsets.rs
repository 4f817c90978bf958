//! `farol lake reset-offsets`: moves the marks that say where ingest resumes.
//!
//! The dead letters' mark goes first: were the primary table's lowered alone, what is read again would be
//! taken for dead letters that are there already. Both moves are commits under the marks' own guards, so an
//! ingest that runs beside loses nothing: its next commit finds its mark moved, and it resumes at the new one.

use std::collections::BTreeMap;

use anyhow::Context as _;
use farol_ingest::marks::{Mark, Marks, PartitionKey, by_partition};
use farol_ingest::resume::LogRange;
use farol_ingest::status::BrokerView;
use farol_lake::{Commit, Lake, Outcome, Step, Table, TableSpec};
use serde::Serialize;

use crate::cli::ResetTo;
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::output;

use super::status::ask_broker;

/// One partition's move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Move {
    partition: i32,
    from: Option<i64>,
    to: i64,
    /// Records that are left out by it, added to the mark `lost`.
    left_out: i64,
}

/// Runs `farol lake reset-offsets`.
pub async fn reset(
    context: &Context,
    topic: &str,
    partition: Option<i32>,
    to: ResetTo,
) -> anyhow::Result<Exit> {
    let topics = context.input_topics();
    let Some(input) = topics.iter().find(|input| input.name == topic) else {
        let names: Vec<_> = topics.iter().map(|topic| topic.name.as_str()).collect();
        return Err(usage(format!(
            "`{topic}` is not an input topic; there are {}",
            names.join(", ")
        )));
    };
    let lake = context.lake().await?;
    let kafka = context.kafka()?;
    let broker = ask_broker(&kafka.config, std::slice::from_ref(input))
        .await
        .context("Kafka")?;
    let table = lake
        .table(input.kind.table(), &TableSpec::raw(input.kind))
        .await?;
    let prefix = PartitionKey::topic_prefix(&broker.cluster_id, topic);
    let marks = by_partition(&table.marks(&prefix).await?);
    let moves = plan_all(topic, partition, to, &broker, &marks)?;
    if !moves.is_empty() {
        lower_dead_letters(&lake, &prefix, &moves).await?;
        let steps = moves.iter().map(|(key, planned)| {
            let lost = marks.get(key).map_or(0, |marks| marks.lost) + planned.left_out;
            let mut set = vec![(key.app_id(Mark::Next), planned.to)];
            if planned.left_out > 0 {
                set.push((key.app_id(Mark::Lost), lost));
            }
            Step {
                guard: key.app_id(Mark::Next),
                from: planned.from,
                marks: set,
            }
        });
        commit(&table, steps.collect()).await?;
    }
    kafka.shutdown();
    let moves: Vec<Move> = moves.into_values().collect();
    say(context, topic, &moves)?;
    Ok(Exit::Done)
}

fn say(context: &Context, topic: &str, moves: &[Move]) -> anyhow::Result<()> {
    if context.json {
        return output::json(&serde_json::json!({ "topic": topic, "moved": moves }));
    }
    if moves.is_empty() {
        output::line("nothing to move: ingest resumes there already")?;
    }
    for moved in moves {
        let from = moved
            .from
            .map_or_else(|| "the start".to_owned(), |from| from.to_string());
        let left_out = if moved.left_out > 0 {
            format!(", leaving out {}", moved.left_out)
        } else {
            String::new()
        };
        output::line(&format!(
            "{topic} {}: from {from} to {}{left_out}",
            moved.partition, moved.to
        ))?;
    }
    Ok(())
}

fn plan_all(
    topic: &str,
    partition: Option<i32>,
    to: ResetTo,
    broker: &BrokerView,
    marks: &BTreeMap<PartitionKey, Marks>,
) -> anyhow::Result<BTreeMap<PartitionKey, Move>> {
    let logs = broker.logs.iter().filter(|((name, number), _)| {
        name == topic && partition.is_none_or(|partition| partition == *number)
    });
    let mut moves = BTreeMap::new();
    let mut seen = false;
    for ((_, number), log) in logs {
        seen = true;
        let key = PartitionKey {
            cluster_id: broker.cluster_id.clone(),
            topic: topic.to_owned(),
            topic_id: log.topic_id.clone(),
            partition: *number,
        };
        let next = marks.get(&key).and_then(|marks| marks.next);
        let planned = plan(*number, next, log.range, to).map_err(usage)?;
        moves.extend(planned.map(|planned| (key, planned)));
    }
    if !seen {
        return Err(usage(match partition {
            Some(partition) => format!("Kafka has no partition {partition} of `{topic}`"),
            None => format!("Kafka has no topic `{topic}`"),
        }));
    }
    Ok(moves)
}

/// Where one partition goes; `None` where it is there already.
fn plan(
    partition: i32,
    next: Option<i64>,
    log: LogRange,
    to: ResetTo,
) -> Result<Option<Move>, String> {
    let to = match to {
        ResetTo::Earliest => log.start,
        ResetTo::Latest => log.end,
        ResetTo::Offset(offset) if (log.start..=log.end).contains(&offset) => offset,
        ResetTo::Offset(offset) => {
            return Err(format!(
                "partition {partition} holds offsets {} to {}, not {offset}",
                log.start, log.end
            ));
        }
    };
    // Without a mark, reading begins at the log's start.
    let resumes_at = next.unwrap_or(log.start);
    if to == resumes_at {
        return Ok(None);
    }
    Ok(Some(Move {
        partition,
        from: next,
        to,
        left_out: (to - resumes_at).max(0),
    }))
}

async fn lower_dead_letters(
    lake: &Lake,
    prefix: &str,
    moves: &BTreeMap<PartitionKey, Move>,
) -> anyhow::Result<()> {
    let Some(table) = lake.existing(farol_ingest::DEAD_LETTERS).await? else {
        return Ok(());
    };
    let marks = by_partition(&table.marks(prefix).await?);
    let steps: Vec<Step> = moves
        .iter()
        .filter_map(|(key, planned)| {
            let next = marks.get(key)?.next?;
            let guard = key.app_id(Mark::Next);
            (next > planned.to).then(|| Step {
                guard: guard.clone(),
                from: Some(next),
                marks: vec![(guard, planned.to)],
            })
        })
        .collect();
    if steps.is_empty() {
        Ok(())
    } else {
        commit(&table, steps).await
    }
}

async fn commit(table: &Table, steps: Vec<Step>) -> anyhow::Result<()> {
    match table.commit(&Commit::reset(steps)).await? {
        Outcome::Committed { .. } => Ok(()),
        Outcome::Overtaken { .. } => {
            anyhow::bail!("ingest committed in between; stop it, or try again")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: LogRange = LogRange { start: 10, end: 50 };

    fn planned(next: Option<i64>, to: ResetTo) -> Option<(i64, i64)> {
        plan(0, next, LOG, to)
            .unwrap()
            .map(|planned| (planned.to, planned.left_out))
    }

    #[test]
    fn going_back_leaves_nothing_out() {
        assert_eq!(planned(Some(40), ResetTo::Earliest), Some((10, 0)));
        assert_eq!(planned(Some(40), ResetTo::Offset(20)), Some((20, 0)));
        // A mark beyond the log's end: the case that only a person can decide.
        assert_eq!(planned(Some(90), ResetTo::Latest), Some((50, 0)));
    }

    #[test]
    fn going_forward_counts_what_is_left_out() {
        assert_eq!(planned(Some(40), ResetTo::Latest), Some((50, 10)));
        assert_eq!(planned(None, ResetTo::Latest), Some((50, 40)));
        assert_eq!(planned(Some(4), ResetTo::Earliest), Some((10, 6)));
    }

    #[test]
    fn staying_is_no_move_and_elsewhere_is_refused() {
        assert_eq!(planned(Some(50), ResetTo::Latest), None);
        assert_eq!(planned(None, ResetTo::Earliest), None);
        assert!(
            plan(3, Some(20), LOG, ResetTo::Offset(51))
                .unwrap_err()
                .starts_with("partition 3 holds")
        );
    }
}
