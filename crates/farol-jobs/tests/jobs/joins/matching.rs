//! What is joined with what.

use super::*;

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
