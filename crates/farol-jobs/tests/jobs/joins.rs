//! Feedback and evaluations join the call that they are about, once, whatever comes first and whoever dies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use farol_events::{Kind, table_schema};
use farol_jobs::join::{self, Joiner, Search};
use farol_jobs::step::Stepped;
use farol_lake::maintenance::{CompactOptions, VacuumOptions, compact, vacuum};
use farol_lake::{Commit, Joined, Lake, Step, Table, TableSpec};
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::place::{DAY_US, HOUR_US, Place, START_US};
use crate::rows;

const SECOND_US: i64 = 1_000_000;

/// Offsets of one partition that all tables share: no two rows of a test have the same.
static NEXT: AtomicI64 = AtomicI64::new(0);

/// A row of any of the tables: what a test sets, the rest is null.
#[derive(Debug, Clone, Default)]
struct Row {
    time_us: i64,
    texts: BTreeMap<&'static str, String>,
    value: Option<f64>,
}

impl Row {
    fn at(time_us: i64) -> Self {
        Self {
            time_us,
            ..Self::default()
        }
    }

    fn with(mut self, column: &'static str, text: impl Into<String>) -> Self {
        self.texts.insert(column, text.into());
        self
    }

    fn value(self, value: f64) -> Self {
        Self {
            value: Some(value),
            ..self
        }
    }
}

/// A call of a trace; a root where it has no parent.
fn call(trace: &str, span: &str, parent: Option<&str>, time_us: i64) -> Row {
    let row = Row::at(time_us)
        .with("event_id", format!("call-{trace}-{span}"))
        .with("trace_id", trace)
        .with("span_id", span)
        .with("response_id", format!("answer-{trace}-{span}"))
        .with("service", format!("service-{}", trace.len() % 3))
        .with("model", "gpt")
        .with("prompt_version", "3");
    match parent {
        Some(parent) => row.with("parent_span_id", parent),
        None => row,
    }
}

/// A thumb for what `about` names.
fn thumb(id: &str, about: &[(&'static str, &str)], time_us: i64) -> Row {
    let row = Row::at(time_us)
        .with("event_id", id)
        .with("kind", "thumbs")
        .value(1.0);
    about
        .iter()
        .fold(row, |row, (column, text)| row.with(column, *text))
}

fn batch(kind: Kind, rows_of: &[Row]) -> RecordBatch {
    let schema = table_schema(kind);
    let mut columns = rows::null_batch(&schema, rows_of.len()).columns().to_vec();
    for (index, field) in schema.fields().iter().enumerate() {
        let name = field.name().as_str();
        let count = rows_of.len() as i64;
        let column: ArrayRef = match name {
            "event_time" => {
                let times: Vec<_> = rows_of.iter().map(|row| row.time_us).collect();
                Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
            }
            "value" | "score" => {
                let values = rows_of.iter().map(|row| row.value);
                Arc::new(values.collect::<Float64Array>())
            }
            "kafka_partition" | "kafka_entry" => Arc::new(Int32Array::from(vec![0; rows_of.len()])),
            "kafka_offset" => {
                let first = NEXT.fetch_add(count, Ordering::Relaxed);
                Arc::new(Int64Array::from_iter_values(first..first + count))
            }
            "kafka_topic" => Arc::new(StringArray::from(vec![kind.table(); rows_of.len()])),
            _ if rows_of.iter().any(|row| row.texts.contains_key(name)) => {
                let texts = rows_of.iter().map(|row| row.texts.get(name));
                Arc::new(texts.collect::<StringArray>())
            }
            _ => continue,
        };
        columns[index] = column;
    }
    RecordBatch::try_new(schema, columns).unwrap()
}

async fn table(lake: &Lake, kind: Kind) -> Table {
    lake.table(kind.table(), &TableSpec::raw(kind))
        .await
        .unwrap()
}

/// Adds rows as one version of their table.
async fn add(lake: &Lake, kind: Kind, rows: &[Row]) {
    let table = table(lake, kind).await;
    let mut days = BTreeMap::<i64, Vec<Row>>::new();
    for row in rows {
        let day = row.time_us.div_euclid(DAY_US);
        days.entry(day).or_default().push(row.clone());
    }
    let mut uploads = Vec::new();
    for (day, rows) in days {
        let upload = table.upload(Some(day as i32), vec![batch(kind, &rows)]);
        uploads.push(upload.await.unwrap());
    }
    let id = format!("farol/c/{}@i/0", kind.table());
    let next = format!("{id}#next");
    let from = table.marks(&next).await.unwrap().get(&next).copied();
    let to = from.unwrap_or(0) + rows.len() as i64;
    let step = Step {
        guard: next.clone(),
        from,
        marks: vec![(next, to), (format!("{id}#watermark_us"), START_US + to)],
    };
    let commit = Commit::append(vec![step], uploads);
    table.commit(&commit).await.unwrap();
}

async fn level(joiner: &mut Joiner) {
    while joiner.step(Search::Now).await.unwrap() != Stepped::Level {}
}

/// A join that knows nothing but the lake, brought level.
async fn level_anew(lake: &Lake, joined: Joined) {
    level(&mut Joiner::new(lake, joined)).await;
}

/// What is joined: event, span of the call, and when the call was.
async fn joined(place: &Place) -> Vec<[String; 3]> {
    let rows = place
        .ask(
            "SELECT event_id, trace_id || '/' || trace_span_id, CAST(event_time AS BIGINT), CAST(trace_time AS BIGINT) \
             FROM feedback_joined ORDER BY 1, 2, 3",
        )
        .await;
    rows.into_iter()
        .map(|row| {
            assert_eq!(row[2], row[3]);
            [row[0].clone(), row[1].clone(), row[2].clone()]
        })
        .collect()
}

/// Read, joined, repeated, unmatched.
async fn counts(lake: &Lake, joined: Joined) -> [i64; 4] {
    let status = join::status(lake).await.unwrap();
    let of = status.iter().find(|of| of.table == joined.table()).unwrap();
    assert_eq!((of.behind, &of.error), (0, &None));
    [of.read, of.joined, of.repeated, of.unmatched]
}

/// One story, told in its order.
#[tokio::test]
#[allow(clippy::too_many_lines)]
async fn feedback_finds_its_call_before_after_a_day_later_and_by_any_name() {
    let place = Place::new();
    let lake = place.lake().await;
    let at = START_US;
    // Before its trace, and for one that never comes.
    let early = [
        thumb("early", &[("trace_id", "b"), ("span_id", "2")], at),
        thumb("never", &[("trace_id", "nowhere")], at),
        thumb("nothing", &[], at),
    ];
    add(&lake, Kind::Feedback, &early).await;
    let mut joiner = Joiner::new(&lake, Joined::Feedback);
    level(&mut joiner).await;
    assert_eq!(joined(&place).await, Vec::<[String; 3]>::new());
    let calls = [
        call("a", "1", None, at + 10 * SECOND_US),
        call("a", "2", Some("1"), at + 5 * SECOND_US),
        call("b", "1", None, at + 12 * SECOND_US),
        call("b", "2", Some("1"), at + 11 * SECOND_US),
    ];
    add(&lake, Kind::Trace, &calls).await;
    let later = [
        thumb(
            "span",
            &[("trace_id", "a"), ("span_id", "2")],
            at + 20 * SECOND_US,
        ),
        thumb("root", &[("trace_id", "a")], at + 20 * SECOND_US),
        thumb(
            "answer",
            &[("response_id", "answer-a-2")],
            at + 20 * SECOND_US,
        ),
        thumb(
            "answer-in-trace",
            &[("trace_id", "b"), ("response_id", "answer-b-1")],
            at + 20 * SECOND_US,
        ),
        thumb(
            "answer-of-another",
            &[("trace_id", "b"), ("response_id", "answer-a-1")],
            at + 20 * SECOND_US,
        ),
        thumb("day", &[("trace_id", "a"), ("span_id", "1")], at + DAY_US),
        thumb("month", &[("trace_id", "b")], at + 30 * DAY_US),
    ];
    add(&lake, Kind::Feedback, &later).await;
    level(&mut joiner).await;
    let expected = |pairs: &[(&str, &str, i64)]| -> Vec<[String; 3]> {
        pairs
            .iter()
            .map(|(event, span, seconds)| {
                let time_us = at + seconds * SECOND_US;
                [(*event).to_owned(), (*span).to_owned(), time_us.to_string()]
            })
            .collect()
    };
    let all = expected(&[
        ("answer", "a/2", 5),
        ("answer-in-trace", "b/1", 12),
        ("day", "a/1", 10),
        ("early", "b/2", 11),
        ("month", "b/1", 12),
        ("root", "a/1", 10),
        ("span", "a/2", 5),
    ]);
    assert_eq!(joined(&place).await, all);
    assert_eq!(counts(&lake, Joined::Feedback).await, [10, 7, 0, 3]);
    let unmatched = place
        .ask("SELECT event_id FROM feedback_unmatched ORDER BY 1")
        .await;
    assert_eq!(
        unmatched.concat(),
        ["answer-of-another", "never", "nothing"]
    );

    // What was said, and the call's segment.
    let row = place
        .ask(
            "SELECT kind, value, service, model, prompt_version, trace_event_id, CAST(feedback_time AS BIGINT), \
             response_id, CAST(event_date AS VARCHAR) FROM feedback_joined WHERE event_id = 'day'",
        )
        .await;
    let time = (at + DAY_US).to_string();
    let told = [
        "thumbs",
        "1.0",
        "service-1",
        "gpt",
        "3",
        "call-a-1",
        &time,
        "",
        "2026-01-02",
    ];
    assert_eq!(row[0], told);

    // Sent once more, later: it counts once, for a process that remembers and for one that does not.
    for again in [&later[0], &later[5], &early[0], &early[1]] {
        add(&lake, Kind::Feedback, std::slice::from_ref(again)).await;
        level(&mut joiner).await;
        add(&lake, Kind::Feedback, std::slice::from_ref(again)).await;
        level_anew(&lake, Joined::Feedback).await;
    }
    assert_eq!(joined(&place).await, all);
    assert_eq!(counts(&lake, Joined::Feedback).await, [18, 7, 6, 5]);
    let unmatched = "SELECT count(*) FROM feedback_unmatched";
    assert_eq!(place.ask(unmatched).await[0][0], "5");
    // The same event about another kind of thing is another.
    let copy = thumb("root", &[("trace_id", "a")], at + HOUR_US).with("kind", "copy");
    add(&lake, Kind::Feedback, &[copy]).await;
    level(&mut joiner).await;
    assert_eq!(counts(&lake, Joined::Feedback).await, [19, 8, 6, 5]);
}

#[tokio::test]
async fn evaluations_join_as_feedback_does_and_the_watermark_is_of_both() {
    let place = Place::new();
    let lake = place.lake().await;
    let score = |id: &str, name: &str| {
        let row = Row::at(START_US + HOUR_US).with("event_id", id).value(0.5);
        row.with("trace_id", "a").with("name", name)
    };
    let rows = [
        score("1", "relevance"),
        score("1", "toxicity"),
        score("1", "toxicity"),
    ];
    add(&lake, Kind::Evaluation, &rows).await;
    level_anew(&lake, Joined::Evaluations).await;
    let watermark = async || join::status(&lake).await.unwrap()[0].watermark_us;
    assert_eq!(watermark().await, None);
    add(&lake, Kind::Trace, &[call("a", "1", None, START_US)]).await;
    level_anew(&lake, Joined::Evaluations).await;
    assert_eq!(counts(&lake, Joined::Evaluations).await, [3, 2, 1, 0]);
    assert_eq!(watermark().await, Some(START_US + 1));
    let names = place
        .ask("SELECT name, score, service FROM evaluations_joined ORDER BY 1")
        .await;
    let told = [
        ["relevance", "0.5", "service-1"],
        ["toxicity", "0.5", "service-1"],
    ];
    assert_eq!(names, told);
}

#[tokio::test]
async fn of_several_candidates_the_nearest_and_then_the_earliest_counts() {
    let place = Place::new();
    let lake = place.lake().await;
    let at = START_US + 10 * DAY_US;
    let root = |span: &str, time_us: i64| call("talk", span, None, time_us);
    let calls = [
        root("far", at - 8 * DAY_US),
        root("farther", at - 9 * DAY_US),
        root("days", at - 2 * DAY_US),
        root("late", at - 5 * SECOND_US),
        root("early", at - 50 * SECOND_US),
    ];
    for (index, call) in calls.iter().enumerate() {
        add(&lake, Kind::Trace, std::slice::from_ref(call)).await;
        let id = format!("t{index}");
        add(
            &lake,
            Kind::Feedback,
            &[thumb(&id, &[("trace_id", "talk")], at)],
        )
        .await;
        level_anew(&lake, Joined::Feedback).await;
    }
    let spans: Vec<_> = joined(&place)
        .await
        .into_iter()
        .map(|row| row[1].clone())
        .collect();
    // A join that was made stands.
    let told = [
        "talk/far",
        "talk/far",
        "talk/days",
        "talk/late",
        "talk/early",
    ];
    assert_eq!(spans, told);
}

/// Traces of a root and two parts within ten days, and what is said of them: events, with what each is about.
fn story(rng: &mut ChaCha8Rng) -> (Vec<Row>, Vec<(Row, Option<String>)>) {
    let (mut calls, mut said) = (Vec::new(), Vec::new());
    for number in 0..40 {
        let trace = format!("trace-{number}");
        let begin = START_US + rng.random_range(0..10 * DAY_US);
        for (span, parent) in [("1", None), ("2", Some("1")), ("3", Some("2"))] {
            let time_us = begin + rng.random_range(0..60 * SECOND_US);
            calls.push(call(&trace, span, parent, time_us));
        }
        for part in 0..rng.random_range(0..6) {
            let reach = [60 * SECOND_US, HOUR_US, 5 * DAY_US][rng.random_range(0..3)];
            let time_us = begin + rng.random_range(0..reach);
            let id = format!("said-{number}-{part}");
            let answer = format!("answer-{trace}-3");
            let (about, span) = match rng.random_range(0..5) {
                0 => (
                    vec![("trace_id", trace.as_str()), ("span_id", "2")],
                    Some("2"),
                ),
                1 => (vec![("trace_id", trace.as_str())], Some("1")),
                2 => (vec![("response_id", answer.as_str())], Some("3")),
                3 => (
                    vec![
                        ("trace_id", trace.as_str()),
                        ("response_id", answer.as_str()),
                    ],
                    Some("3"),
                ),
                _ => (vec![("trace_id", trace.as_str()), ("span_id", "9")], None),
            };
            let row = thumb(&id, &about, time_us);
            said.push((row, span.map(|span| format!("{trace}/{span}"))));
        }
    }
    (calls, said)
}

/// Whatever the order, the versions, the restarts, the room in memory and what is compacted in between.
#[tokio::test]
async fn the_order_of_arrival_does_not_show() {
    for seed in 0..4 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (calls, said) = story(&mut rng);
        let mut arrivals: Vec<_> = calls.iter().map(|row| (Kind::Trace, row.clone())).collect();
        arrivals.extend(said.iter().map(|(row, _)| (Kind::Feedback, row.clone())));
        // Some events are sent twice.
        let twice: Vec<_> = said.iter().step_by(7).collect();
        arrivals.extend(twice.iter().map(|(row, _)| (Kind::Feedback, row.clone())));
        arrivals.shuffle(&mut rng);
        let place = Place::new();
        let lake = place.lake().await;
        table(&lake, Kind::Trace).await;
        table(&lake, Kind::Feedback).await;
        let room = if seed == 3 { 0 } else { usize::MAX };
        let new = || Joiner::new(&lake, Joined::Feedback).with_waiting_bytes(room);
        let mut joiner = new();
        for part in arrivals.chunks(arrivals.len() / 12 + 1) {
            for kind in [Kind::Trace, Kind::Feedback] {
                let rows = part.iter().filter(|(of, _)| *of == kind);
                let rows: Vec<_> = rows.map(|(_, row)| row.clone()).collect();
                if !rows.is_empty() {
                    add(&lake, kind, &rows).await;
                }
                match rng.random_range(0..4) {
                    0 => joiner = new(),
                    1 => {
                        let traces = table(&lake, Kind::Trace).await;
                        compact(&traces, &CompactOptions::at_once()).await.unwrap();
                    }
                    2 => {
                        let table = lake.existing("feedback_joined").await.unwrap();
                        if let Some(table) = table {
                            compact(&table, &CompactOptions::at_once()).await.unwrap();
                        }
                    }
                    _ => {}
                }
                joiner.step(Search::WhenDue).await.unwrap();
            }
        }
        level(&mut joiner).await;
        let expected: BTreeSet<_> = said
            .iter()
            .filter_map(|(row, span)| Some((row.texts["event_id"].clone(), span.clone()?)))
            .collect();
        let got = joined(&place).await;
        let found: BTreeSet<_> = got
            .iter()
            .map(|[event, span, _]| (event.clone(), span.clone()))
            .collect();
        assert_eq!(found, expected, "seed {seed}");
        assert_eq!(got.len(), expected.len(), "seed {seed}: each once");
        let repeated = twice.iter().filter(|(_, span)| span.is_some()).count();
        let read = said.len() + twice.len();
        let unmatched = read - expected.len() - repeated;
        let told = [read, expected.len(), repeated, unmatched].map(|count| count as i64);
        assert_eq!(counts(&lake, Joined::Feedback).await, told, "seed {seed}");
        let rows = place.ask("SELECT count(*) FROM feedback_unmatched").await;
        assert_eq!(rows[0][0], unmatched.to_string());
    }
}

#[tokio::test]
async fn two_at_once_join_each_row_once() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let (calls, said) = story(&mut rng);
    let place = Place::new();
    let lake = place.lake().await;
    let mut one = Joiner::new(&place.lake().await, Joined::Feedback);
    let mut two = Joiner::new(&place.lake().await, Joined::Feedback);
    let mut overtaken = 0;
    let said_rows: Vec<_> = said.iter().map(|(row, _)| row.clone()).collect();
    let parts = calls.chunks(calls.len() / 8 + 1);
    for (calls, said) in parts.zip(said_rows.chunks(said_rows.len() / 8 + 1)) {
        add(&lake, Kind::Feedback, said).await;
        add(&lake, Kind::Trace, calls).await;
        let (first, second) = tokio::join!(one.step(Search::Now), two.step(Search::Now));
        for stepped in [first.unwrap(), second.unwrap()] {
            overtaken += u32::from(stepped == Stepped::Overtaken);
        }
    }
    let ((), ()) = tokio::join!(level(&mut one), level(&mut two));
    assert!(overtaken > 0, "the fence was never needed");
    let expected = said.iter().filter(|(_, span)| span.is_some()).count();
    let got = joined(&place).await;
    let distinct: BTreeSet<_> = got.iter().map(|row| &row[0]).collect();
    assert_eq!((got.len(), distinct.len()), (expected, expected));
    let [read, joined, repeated, unmatched] = counts(&lake, Joined::Feedback).await;
    assert_eq!((read, joined), (said.len() as i64, expected as i64));
    assert_eq!((repeated, unmatched), (0, read - joined));
}

/// A join that was away for longer than files are kept goes on from what the tables hold.
#[tokio::test]
async fn a_join_that_missed_the_log_goes_on_from_what_is_there() {
    let place = Place::new();
    let lake = place.lake().await;
    let traces = table(&lake, Kind::Trace).await;
    let said = |id: &str, trace: &str| thumb(id, &[("trace_id", trace)], START_US + HOUR_US);
    add(
        &lake,
        Kind::Feedback,
        &[said("1", "a"), said("2", "b"), said("3", "c")],
    )
    .await;
    add(&lake, Kind::Trace, &[call("a", "1", None, START_US)]).await;
    level_anew(&lake, Joined::Feedback).await;
    for trace in ["b", "d", "e"] {
        add(&lake, Kind::Trace, &[call(trace, "1", None, START_US)]).await;
        add(
            &lake,
            Kind::Feedback,
            &[said(&format!("of-{trace}"), trace)],
        )
        .await;
    }
    let feedback = table(&lake, Kind::Feedback).await;
    let options = VacuumOptions {
        older_than: std::time::Duration::ZERO,
        unsafe_age: true,
        ..VacuumOptions::default()
    };
    for table in [&traces, &feedback] {
        compact(table, &CompactOptions::at_once()).await.unwrap();
        // Files removed at this very millisecond are still respected.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while vacuum(table, options).await.unwrap().files.is_empty() {
            assert!(std::time::Instant::now() < deadline, "nothing was vacuumed");
            tokio::task::yield_now().await;
        }
    }
    level_anew(&lake, Joined::Feedback).await;
    let events: Vec<_> = joined(&place)
        .await
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    assert_eq!(events, ["1", "2", "of-b", "of-d", "of-e"]);
    assert_eq!(counts(&lake, Joined::Feedback).await, [6, 5, 0, 1]);
    add(&lake, Kind::Trace, &[call("c", "1", None, START_US)]).await;
    level_anew(&lake, Joined::Feedback).await;
    assert_eq!(counts(&lake, Joined::Feedback).await, [6, 6, 0, 0]);
}
