//! However rows come, and whoever joins them, what is joined is the same.

use super::*;

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
