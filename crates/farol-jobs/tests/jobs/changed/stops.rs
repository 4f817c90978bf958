//! What counts as a change, and what it means.

use super::*;

#[tokio::test]
async fn what_changes_results_stops_a_job_and_nothing_else_does() {
    let jobs = defined(YAML, SQL).await;
    let place = measured(&calls(300), &jobs).await;
    let lake = place.lake().await;
    let harmless = [
        (
            YAML.replace(
                "name: mine",
                "name: mine\ndescription: Better\nmax_series: 7",
            ),
            SQL.to_owned(),
        ),
        (
            YAML.replace("  p95:", "  p50: {expr: 'quantile(latency, 0.5)'}\n  p95:"),
            SQL.to_owned(),
        ),
        (
            YAML.to_owned(),
            format!("-- Why.\n{}", SQL.replace(", ", ",\n  ")),
        ),
    ];
    for (yaml, sql) in harmless {
        let changed = defined(&yaml, &sql).await;
        assert_eq!(
            differences(&lake, mine(&changed)).await,
            Vec::<String>::new(),
            "{yaml}{sql}"
        );
        assert!(
            progress::status(&lake, &changed).await.unwrap()[0]
                .changed
                .is_none()
        );
    }
    let medians = defined(
        &YAML.replace(
            "p95: {expr: 'quantile(latency, 0.95)'}",
            "p50: {expr: 'quantile(latency, 0.5)'}",
        ),
        SQL,
    )
    .await;
    let known = place
        .ask_of(&medians, "SELECT count(*) FROM mine WHERE p50 IS NOT NULL")
        .await;
    assert_ne!(
        known,
        [["0"]],
        "a measure over partials that are there needs no computation"
    );
    for (yaml, sql, told) in [
        (
            YAML.replace("5m", "10m"),
            SQL.to_owned(),
            "windows are 10 minutes wide, and were 5 minutes",
        ),
        (
            YAML.replace("requests: sum", "requests: max"),
            SQL.to_owned(),
            "partial `requests` is max, and was sum",
        ),
        (
            YAML.replace("[service]", "[]"),
            SQL.to_owned(),
            "segment `service` was removed",
        ),
        (
            YAML.to_owned(),
            SQL.replace("1 AS", "2 AS"),
            "the SQL was changed",
        ),
        (
            YAML.replace("window: 5m", "window: 5m\nmode: recompute"),
            SQL.to_owned(),
            "mode is recompute, and was incremental",
        ),
    ] {
        let changed = defined(&yaml, &sql).await;
        assert_eq!(differences(&lake, mine(&changed)).await, [told]);
        let status = progress::status(&lake, &changed).await.unwrap();
        let changed = status[0].changed.as_ref().expect("the status says it");
        assert_eq!(changed.differences, [told]);
    }
    // Taken back, it goes on.
    assert!(runner(&lake, &jobs).await.is_ok());
}

#[tokio::test]
async fn a_configured_tag_is_a_change_of_the_jobs_that_count_by_tags() {
    let nowhere = Path::new("/nowhere");
    let place = Place::new();
    add(&place.traces().await, &calls(100)).await;
    let lake = place.lake().await;
    for name in ["performance", "spend"] {
        level(&mut place.runner(name).await).await;
    }
    let tagged = from(nowhere, true, &["team"]).await;
    let job = tagged.get("performance").unwrap().clone();
    assert_eq!(
        differences(&lake, job.clone()).await,
        ["segment `team` was added"]
    );
    let renewal = Renewal::begin(&lake, &job).await.unwrap().unwrap();
    assert!(matches!(renewal.switch().await.unwrap(), Switched::Done { partials } if partials > 0));
    assert_eq!(differences(&lake, job).await, Vec::<String>::new());
    let sql = "SELECT CAST(sum(requests) AS BIGINT) FROM measures('performance', '1 day', 'team') WHERE team IS NULL";
    assert_eq!(place.ask_of(&tagged, sql).await, [["100"]]);
}

#[tokio::test]
async fn windows_that_the_input_has_no_rows_of_any_more_are_named() {
    let (old, new) = (defined(YAML, SQL).await, defined(NEW_YAML, NEW_SQL).await);
    let mut calls = calls(1_000);
    for (index, call) in calls.iter_mut().enumerate() {
        // The first half is of two days before.
        call.time_us = START_US + HOUR_US - 2 * DAY_US * i64::from(index < 500);
    }
    let place = measured(&calls, &old).await;
    let lake = place.lake().await;
    let table = place.traces().await;
    let (old_files, _) = Replacement::of_range(&table, "event_time", Some((0, START_US)))
        .await
        .unwrap();
    assert_eq!(old_files.files.len(), 1);
    old_files.commit(&table, vec![], vec![]).await.unwrap();
    let status = progress::status(&lake, &new).await.unwrap();
    let changed = status[0].changed.as_ref().unwrap();
    let lost = changed.lost.expect("the first half");
    assert_eq!(lost.from_us, START_US + HOUR_US - 2 * DAY_US);
    assert_eq!(lost.to_us, START_US + HOUR_US);
    assert!(
        changed.told(&mine(&new))[1].starts_with("LOST: windows 2025-12-31T01:00:00"),
        "{changed:?}"
    );
    renewed(&lake, &new).await;
    let total = place
        .ask_of(&new, "SELECT CAST(sum(requests) AS BIGINT) FROM mine")
        .await;
    assert_eq!(total, [["500"]]);
}

#[tokio::test]
async fn a_table_of_before_counts_as_made_with_the_present_definition() {
    let jobs = defined(YAML, SQL).await;
    let place = Place::new();
    let lake = place.lake().await;
    add(&place.traces().await, &calls(500)).await;
    // As it was made before definitions were noted.
    let job = mine(&jobs);
    let bare = lake
        .table(&job.table_name(), &job.table_spec())
        .await
        .unwrap();
    assert_eq!(bare.note_of("farol.job"), None);
    level(&mut runner(&lake, &jobs).await.unwrap()).await;
    let noted = lake.existing(&job.table_name()).await.unwrap().unwrap();
    assert!(
        noted
            .note_of("farol.job")
            .is_some_and(|note| note.contains("\"generation\":1"))
    );
    let total = place
        .ask_of(&jobs, "SELECT CAST(sum(requests) AS BIGINT) FROM mine")
        .await;
    assert_eq!(total, [["500"]]);
    let changed = defined(YAML, &SQL.replace("1 AS", "2 AS")).await;
    assert_eq!(
        differences(&lake, mine(&changed)).await,
        ["the SQL was changed"]
    );
}

#[tokio::test]
async fn a_job_that_computed_nothing_yet_takes_any_definition() {
    let place = Place::new();
    let lake = place.lake().await;
    let (one, two) = (defined(YAML, SQL).await, defined(NEW_YAML, NEW_SQL).await);
    let mut first = runner(&lake, &one).await.unwrap();
    let mut second = runner(&lake, &two).await.unwrap();
    add(&place.traces().await, &calls(200)).await;
    // Whoever opened it before finds out at its first commit.
    assert_eq!(first.step().await.unwrap(), Stepped::Overtaken);
    level(&mut second).await;
    assert!(matches!(first.step().await, Err(JobError::Changed { .. })));
    let total = place
        .ask_of(&two, "SELECT CAST(sum(requests) AS BIGINT) FROM mine")
        .await;
    assert_eq!(total, [["200"]]);
}

#[tokio::test]
async fn a_job_that_has_seen_no_row_yet_takes_any_definition_as_well() {
    let place = Place::new();
    let (lake, traces) = (place.lake().await, place.traces().await);
    let (one, two) = (defined(YAML, SQL).await, defined(NEW_YAML, NEW_SQL).await);
    let mut first = runner(&lake, &one).await.unwrap();
    level(&mut first).await;
    let partials = lake.existing("partials/mine").await.unwrap().unwrap();
    let seen = progress::progress(&partials, &mine(&one)).await.unwrap();
    assert!(seen.has_begun(), "{seen:?}");
    add(&traces, &calls(200)).await;
    // The rows come after what it has seen.
    let mut second = runner(&lake, &two).await.unwrap();
    assert_eq!(first.step().await.unwrap(), Stepped::Overtaken);
    level(&mut second).await;
    let total = place
        .ask_of(&two, "SELECT CAST(sum(requests) AS BIGINT) FROM mine")
        .await;
    assert_eq!(total, [["200"]]);
    assert!(!differences(&lake, mine(&one)).await.is_empty());
}
