//! Changed definitions: old and new partials are never mixed, and all of them are computed anew on request.

use std::path::Path;

use farol_jobs::compact::compact;
use farol_jobs::renewal::{Renewal, Switched};
use farol_jobs::step::{Runner, Stepped};
use farol_jobs::{Job, JobError, Jobs, Sources, Tags, load, progress};
use farol_lake::Lake;
use farol_lake::maintenance::{CompactOptions, Replacement};
use std::sync::Arc;

use crate::place::{Call, DAY_US, HOUR_US, Place, START_US, add, calls, level};

const YAML: &str = "name: mine\nreads: traces\nwindow: 5m\nsegments: [service]\npartials: {requests: sum, latency: quantiles}\nmeasures:\n  p95: {expr: 'quantile(latency, 0.95)'}\n";
const SQL: &str = "SELECT event_time, service, 1 AS requests, latency_ms AS latency\nFROM traces\n";

/// The same with a segment and a partial more.
const NEW_YAML: &str = "name: mine\nreads: traces\nwindow: 5m\nsegments: [service, status]\npartials: {requests: sum, latency: quantiles, errors: sum}\nmeasures:\n  error_rate: {expr: errors / requests}\n";
const NEW_SQL: &str = "SELECT event_time, service, status, 1 AS requests, latency_ms AS latency, CASE WHEN status = 'error' THEN 1 ELSE 0 END AS errors FROM traces";

const ALL: &str = "SELECT * FROM mine ORDER BY window_start, service, status";

async fn defined(yaml: &str, sql: &str) -> Jobs {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs")).unwrap();
    std::fs::write(dir.path().join("jobs/mine.yaml"), yaml).unwrap();
    std::fs::write(dir.path().join("jobs/mine.sql"), sql).unwrap();
    from(dir.path(), false, &[]).await
}

async fn from(dir: &Path, builtin: bool, tags: &[&str]) -> Jobs {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    let sources = Sources {
        dir: dir.to_owned(),
        builtin,
        max_series: 100_000,
        tags: Tags::try_from(tags).unwrap(),
    };
    load(&sources).await.unwrap()
}

fn mine(jobs: &Jobs) -> Arc<Job> {
    jobs.get("mine").unwrap().clone()
}

async fn runner(lake: &Lake, jobs: &Jobs) -> Result<Runner, JobError> {
    Runner::open(lake, mine(jobs)).await
}

/// What keeps a job from being opened.
async fn differences(lake: &Lake, job: Arc<Job>) -> Vec<String> {
    match Runner::open(lake, job).await {
        Err(JobError::Changed { differences, .. }) => differences,
        Err(other) => panic!("{other}"),
        Ok(_) => Vec::new(),
    }
}

/// A lake with these calls, measured by these jobs.
async fn measured(calls: &[Call], jobs: &Jobs) -> Place {
    let place = Place::new();
    add(&place.traces().await, calls).await;
    level(&mut runner(&place.lake().await, jobs).await.unwrap()).await;
    place
}

async fn renewed(lake: &Lake, jobs: &Jobs) -> Switched {
    let renewal = Renewal::begin(lake, &mine(jobs)).await.unwrap();
    renewal.expect("it was changed").switch().await.unwrap()
}

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
async fn all_partials_are_computed_anew_in_one_switch() {
    let calls = calls(4_000);
    let (old, new) = (defined(YAML, SQL).await, defined(NEW_YAML, NEW_SQL).await);
    let place = measured(&calls[..3_000], &old).await;
    let lake = place.lake().await;
    assert_eq!(
        differences(&lake, mine(&new)).await,
        [
            "segment `status` was added",
            "partial `errors` was added",
            "the SQL was changed"
        ]
    );
    let status = progress::status(&lake, &new).await.unwrap();
    let changed = status[0].changed.as_ref().unwrap();
    let oldest = calls[..3_000]
        .iter()
        .map(|call| call.time_us)
        .min()
        .unwrap();
    let windows = changed.recomputed.expect("there are rows");
    assert_eq!(windows.from_us, oldest - oldest.rem_euclid(300_000_000));
    assert!(
        windows.to_us > START_US + HOUR_US && changed.lost.is_none(),
        "{changed:?}"
    );

    // Until then what is there is said to be of another definition, and others are not in its way.
    let session = farol_lake::sql::Session::open(&lake).await.unwrap();
    farol_jobs::views::register(&session, &new).await.unwrap();
    let refused = session
        .query(ALL)
        .await
        .err()
        .expect("there is no column `status`");
    assert!(
        refused.to_string().contains("`farol job recompute mine`"),
        "{refused}"
    );
    assert!(session.query("SELECT count(*) FROM traces").await.is_ok());

    let was = progress::progress(runner(&lake, &old).await.unwrap().output(), &mine(&old))
        .await
        .unwrap();
    assert!(matches!(renewed(&lake, &new).await, Switched::Done { partials } if partials > 0));
    let fresh = measured(&calls[..3_000], &new).await;
    assert_eq!(place.ask_of(&new, ALL).await, fresh.ask_of(&new, ALL).await);
    let mut now = runner(&lake, &new).await.unwrap();
    assert_eq!(
        progress::progress(now.output(), &mine(&new)).await.unwrap(),
        was
    );
    // A session that was open before sees the new ones from its next look on.
    session.refresh().await.unwrap();
    farol_jobs::views::register(&session, &new).await.unwrap();
    assert!(session.query(ALL).await.is_ok());
    // And the job goes on from there.
    for place in [&place, &fresh] {
        add(&place.traces().await, &calls[3_000..]).await;
    }
    level(&mut now).await;
    level(&mut runner(&fresh.lake().await, &new).await.unwrap()).await;
    assert_eq!(place.ask_of(&new, ALL).await, fresh.ask_of(&new, ALL).await);
    assert_eq!(
        differences(&lake, mine(&old)).await.len(),
        3,
        "nor does the old one go on"
    );
    let names = lake.names().await.unwrap();
    assert_eq!(names, ["partials/mine", "traces"], "nothing is left of it");
    assert!(Renewal::begin(&lake, &mine(&new)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_run_that_was_stopped_is_gone_on_with() {
    let calls = calls(2_000);
    let (old, new) = (defined(YAML, SQL).await, defined(NEW_YAML, NEW_SQL).await);
    let place = measured(&calls, &old).await;
    let before = place
        .ask_of(&old, "SELECT * FROM mine ORDER BY window_start, service")
        .await;
    let lake = place.lake().await;
    let mut pieces = 0;
    for done in 0..3 {
        let mut renewal = Renewal::begin(&lake, &mine(&new)).await.unwrap().unwrap();
        pieces = renewal.pieces().0;
        assert_eq!(renewal.pieces().1, done);
        renewal.next_piece().await.unwrap();
        // The process ends here: what it holds is gone, and the lake is all there is.
    }
    assert!(pieces >= 4, "{pieces}");
    let now = place
        .ask_of(&old, "SELECT * FROM mine ORDER BY window_start, service")
        .await;
    assert_eq!(now, before, "readers see the old ones until the switch");
    // Rows that come meanwhile are not of it: they are the runner's, afterwards.
    add(&place.traces().await, &calls[..100]).await;
    renewed(&lake, &new).await;
    level(&mut runner(&lake, &new).await.unwrap()).await;
    let fresh = measured(&calls, &new).await;
    add(&fresh.traces().await, &calls[..100]).await;
    level(&mut runner(&fresh.lake().await, &new).await.unwrap()).await;
    assert_eq!(place.ask_of(&new, ALL).await, fresh.ask_of(&new, ALL).await);
}

#[tokio::test]
async fn a_runner_of_the_old_definition_is_fenced() {
    let calls = calls(3_000);
    let (old, new) = (defined(YAML, SQL).await, defined(NEW_YAML, NEW_SQL).await);
    let place = measured(&calls[..1_000], &old).await;
    let (lake, table) = (place.lake().await, place.traces().await);
    let mut zombie = runner(&lake, &old).await.unwrap();
    let mut compacting = runner(&lake, &old).await.unwrap();
    let mut renewal = Renewal::begin(&lake, &mine(&new)).await.unwrap().unwrap();
    renewal.next_piece().await.unwrap();
    // It goes on while the new partials are computed, past the version that they are of.
    add(&table, &calls[1_000..2_000]).await;
    level(&mut zombie).await;
    assert!(matches!(
        renewal.switch().await.unwrap(),
        Switched::Done { .. }
    ));
    let fresh = measured(&calls[..1_000], &new).await;
    add(&fresh.traces().await, &calls[1_000..2_000]).await;
    level(&mut runner(&fresh.lake().await, &new).await.unwrap()).await;
    assert_eq!(
        place.ask_of(&new, ALL).await,
        fresh.ask_of(&new, ALL).await,
        "nothing is missing"
    );

    add(&table, &calls[2_000..]).await;
    assert_eq!(zombie.step().await.unwrap(), Stepped::Overtaken);
    assert!(matches!(zombie.step().await, Err(JobError::Changed { .. })));
    let merged = compact(&mut compacting, &CompactOptions::at_once())
        .await
        .unwrap();
    assert_eq!(merged.files_removed, 0);
    assert_eq!(
        place.ask_of(&new, ALL).await,
        fresh.ask_of(&new, ALL).await,
        "and nothing is mixed"
    );
    let mut now = runner(&lake, &new).await.unwrap();
    level(&mut now).await;
    let merged = compact(&mut now, &CompactOptions::at_once()).await.unwrap();
    assert!(merged.files_removed > 0);
    add(&fresh.traces().await, &calls[2_000..]).await;
    level(&mut runner(&fresh.lake().await, &new).await.unwrap()).await;
    assert_eq!(place.ask_of(&new, ALL).await, fresh.ask_of(&new, ALL).await);
}

#[tokio::test]
async fn of_two_runs_at_once_one_does_each_piece_and_one_switches() {
    let calls = calls(2_000);
    let (old, new) = (defined(YAML, SQL).await, defined(NEW_YAML, NEW_SQL).await);
    let place = measured(&calls, &old).await;
    let lake = place.lake().await;
    let begin = async || Renewal::begin(&lake, &mine(&new)).await.unwrap().unwrap();
    let (mut one, mut two) = (begin().await, begin().await);
    let mut rounds = 0;
    while one.pieces().1 < one.pieces().0 || two.pieces().1 < two.pieces().0 {
        let (first, second) = tokio::join!(one.next_piece(), two.next_piece());
        first.unwrap();
        second.unwrap();
        rounds += 1;
        assert!(rounds < 100, "they hold each other up");
    }
    let (one, two) = tokio::join!(one.switch(), two.switch());
    let done = [one.unwrap(), two.unwrap()].map(|switched| switched != Switched::ByAnother);
    assert_eq!(done.iter().filter(|done| **done).count(), 1, "{done:?}");
    let fresh = measured(&calls, &new).await;
    assert_eq!(place.ask_of(&new, ALL).await, fresh.ask_of(&new, ALL).await);
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
async fn windows_computed_whole_are_computed_anew_too() {
    let yaml = "name: mine\nreads: traces\nwindow: 5m\nmode: recompute\nreach: 5m\nsegments: [service]\npartials: {users: sum}\n";
    let sql = "SELECT max(event_time) AS event_time, service, count(DISTINCT user_id) AS users FROM traces GROUP BY service";
    let new_sql = sql.replace("count(DISTINCT user_id)", "count(DISTINCT status)");
    let (old, new) = (defined(yaml, sql).await, defined(yaml, &new_sql).await);
    let calls = calls(400);
    let place = measured(&calls[..300], &old).await;
    let lake = place.lake().await;
    assert_eq!(
        differences(&lake, mine(&new)).await,
        ["the SQL was changed"]
    );
    renewed(&lake, &new).await;
    add(&place.traces().await, &calls[300..]).await;
    level(&mut runner(&lake, &new).await.unwrap()).await;
    let fresh = measured(&calls, &new).await;
    let all = "SELECT window_start, service, users FROM mine ORDER BY 1, 2";
    assert_eq!(place.ask_of(&new, all).await, fresh.ask_of(&new, all).await);
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
