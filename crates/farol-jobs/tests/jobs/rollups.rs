//! Rollups show nowhere: measures are, bit for bit, those of the partials, whatever happened to either.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use farol_jobs::compact::{compact, compact_table};
use farol_jobs::rollup::{Level, Rollup, of_table};
use farol_jobs::step::{Runner, Stepped};
use farol_jobs::{Jobs, replace, views};
use farol_lake::maintenance::{CompactOptions, VacuumOptions, vacuum};
use farol_lake::sql::Session;
use futures::TryStreamExt as _;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use tokio::sync::Mutex;

use crate::place::{Call, DAY_US, HOUR_US, Place, START_US, add, calls, level, shipped};

/// Failpoints are the process's own, so rollups are stepped in one test at a time.
static STEPPING: Mutex<()> = Mutex::const_new(());

/// What is asked: every partial, sketches too, and every measure.
const QUESTIONS: [&str; 7] = [
    "SELECT * FROM measures('performance', '1 hour', 'service', 'model')",
    "SELECT * FROM measures('performance', '1 day')",
    "SELECT * FROM measures('performance', '6 hours', 'service') WHERE window_start >= '2026-01-01T06:00:00Z' AND window_end <= '2026-01-02T00:00:00Z'",
    "SELECT * FROM measures('performance', '1 month in America/Sao_Paulo', 'service')",
    "SELECT * FROM measures('performance', '1 day in Asia/Kolkata', 'service') WHERE service = 'search'",
    "SELECT * FROM measures('performance', '1 week', 'service') WHERE window_start < '2026-01-03T00:00:00Z'",
    "SELECT * FROM performance WHERE window_start >= '2026-01-02T00:30:00Z'",
];

async fn rows(place: &Place, jobs: &Jobs, sql: &str) -> Vec<Vec<String>> {
    let session = Session::open(&place.lake().await).await.unwrap();
    views::register(&session, jobs).await.unwrap();
    let (_, stream) = session.query(sql).await.unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    let mut all = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter();
            let cells = cells.map(|column| array_value_to_string(column, row).unwrap());
            all.push(cells.collect());
        }
    }
    all.sort();
    all
}

/// The jobs, with rollups of every table, however small.
async fn rolled_up() -> Jobs {
    shipped().await.rolled_up_from(0)
}

/// Whether a question is answered from rollups.
async fn reads_rollup(place: &Place, sql: &str) -> bool {
    let plan = rows(place, &rolled_up().await, &format!("EXPLAIN {sql}")).await;
    let plan = plan.concat().concat();
    assert!(
        plan.contains("partials/performance") || plan.contains("rollups/"),
        "{plan}"
    );
    plan.contains("rollups/performance-")
}

/// Every question has the same answer with rollups as without.
async fn assert_unseen(place: &Place, when: &str) {
    let (with, without) = (rolled_up().await, shipped().await.rolled_up_from(u64::MAX));
    for question in QUESTIONS {
        let expected = rows(place, &without, question).await;
        assert!(!expected.is_empty(), "{question}");
        assert_eq!(
            rows(place, &with, question).await,
            expected,
            "{when}: {question}"
        );
    }
}

async fn open(place: &Place, runner: &Runner, level: Level) -> Rollup {
    let rollup = Rollup::open(&place.lake().await, runner.job(), runner.output(), level).await;
    rollup.unwrap().unwrap()
}

async fn bring_level(rollup: &mut Rollup) {
    while rollup.step().await.unwrap() != Stepped::Level {}
}

fn shuffled() -> Vec<Call> {
    let mut shuffled = calls(4_000);
    shuffled.shuffle(&mut ChaCha8Rng::seed_from_u64(5));
    shuffled
}

#[tokio::test]
async fn rollups_are_unseen_through_additions_compaction_and_backfill() {
    let _stepping = STEPPING.lock().await;
    let place = Place::new();
    let table = place.traces().await;
    let calls = shuffled();
    let mut runner = place.runner("performance").await;
    for part in calls[..1_000].chunks(250) {
        add(&table, part).await;
        level(&mut runner).await;
    }
    let mut hours = open(&place, &runner, Level::Hour).await;
    let mut days = open(&place, &runner, Level::Day).await;
    bring_level(&mut hours).await;
    bring_level(&mut days).await;
    for (number, question) in QUESTIONS.iter().enumerate() {
        // Days of Asia/Kolkata begin at half an hour of UTC, and the last question asks for minutes.
        let fits = number != 4 && number != 6;
        assert_eq!(reads_rollup(&place, question).await, fits, "{question}");
    }
    assert_unseen(&place, "level").await;

    // Partials that the rollups do not cover yet, of hours that they have and of new ones; then some that they do.
    for part in calls[1_000..3_000].chunks(400) {
        add(&table, part).await;
        level(&mut runner).await;
        assert!(reads_rollup(&place, QUESTIONS[0]).await);
        assert_unseen(&place, "behind").await;
        assert!(matches!(
            hours.step().await.unwrap(),
            Stepped::Advanced { .. }
        ));
    }
    assert_unseen(&place, "one level and one behind").await;
    bring_level(&mut days).await;

    // Merged, both the partials and the rollups; files that a rollup lacks yet may be among them.
    add(&table, &calls[3_000..3_500]).await;
    level(&mut runner).await;
    let options = CompactOptions::at_once();
    assert!(compact(&mut runner, &options).await.unwrap().files_removed > 1);
    assert!(reads_rollup(&place, QUESTIONS[0]).await);
    assert_unseen(&place, "partials merged").await;
    let (lake, jobs) = (place.lake().await, rolled_up().await);
    let mut merged = 0;
    for name in lake.names().await.unwrap() {
        if of_table(&jobs, &name).is_some() {
            let table = lake.existing(&name).await.unwrap().unwrap();
            let report = compact_table(&lake, &jobs, &table, &options).await.unwrap();
            merged += report.unwrap().files_removed;
        }
    }
    assert!(merged > 2, "{merged} files of rollups were merged");
    assert_unseen(&place, "rollups merged").await;

    // A backfill: the partials are read until the rollup has the windows anew, and so are those added beside it.
    let (from, to) = (START_US - 3 * HOUR_US, START_US + HOUR_US);
    let mut plan = replace::plan(&runner, from, to).await.unwrap();
    replace::next_piece(&mut runner, &mut plan).await.unwrap();
    add(&table, &calls[3_500..3_750]).await;
    level(&mut runner).await;
    replace::next_piece(&mut runner, &mut plan).await.unwrap();
    add(&table, &calls[3_750..]).await;
    level(&mut runner).await;
    assert!(!reads_rollup(&place, QUESTIONS[0]).await);
    assert_unseen(&place, "replaced").await;
    bring_level(&mut hours).await;
    bring_level(&mut days).await;
    assert!(reads_rollup(&place, QUESTIONS[0]).await);
    assert_unseen(&place, "replaced, and level again").await;
    let all = "SELECT sum(requests) FROM measures('performance', '1 day')";
    assert_eq!(rows(&place, &jobs, all).await, [["4000"]]);
}

#[tokio::test]
async fn two_keepers_of_a_rollup_count_nothing_twice() {
    let _stepping = STEPPING.lock().await;
    let place = Place::new();
    let table = place.traces().await;
    let mut runner = place.runner("performance").await;
    let mut one = open(&place, &runner, Level::Hour).await;
    let mut two = open(&place, &runner, Level::Hour).await;
    let mut overtaken = 0;
    for part in shuffled().chunks(250) {
        add(&table, part).await;
        level(&mut runner).await;
        let (first, second) = tokio::join!(one.step(), two.step());
        for stepped in [first.unwrap(), second.unwrap()] {
            overtaken += u32::from(stepped == Stepped::Overtaken);
        }
    }
    bring_level(&mut one).await;
    assert!(overtaken > 0, "the fence was never needed");
    assert!(reads_rollup(&place, QUESTIONS[0]).await);
    assert_unseen(&place, "two keepers").await;
}

#[tokio::test]
async fn a_rollup_whose_partials_were_vacuumed_is_made_anew_and_not_read_before() {
    let _stepping = STEPPING.lock().await;
    let place = Place::new();
    let table = place.traces().await;
    let calls = shuffled();
    let mut runner = place.runner("performance").await;
    add(&table, &calls[..500]).await;
    level(&mut runner).await;
    let mut hours = open(&place, &runner, Level::Hour).await;
    bring_level(&mut hours).await;
    for part in calls[500..2_000].chunks(500) {
        add(&table, part).await;
        level(&mut runner).await;
    }
    compact(&mut runner, &CompactOptions::at_once())
        .await
        .unwrap();
    let everything = VacuumOptions {
        older_than: std::time::Duration::ZERO,
        unsafe_age: true,
        ..VacuumOptions::default()
    };
    // Files removed at this very millisecond are still respected.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while vacuum(runner.output(), everything)
        .await
        .unwrap()
        .files
        .is_empty()
    {
        assert!(std::time::Instant::now() < deadline, "nothing was vacuumed");
        tokio::task::yield_now().await;
    }
    assert!(!reads_rollup(&place, QUESTIONS[0]).await);
    assert_unseen(&place, "vacuumed").await;
    bring_level(&mut hours).await;
    assert!(reads_rollup(&place, QUESTIONS[0]).await);
    assert_unseen(&place, "made anew").await;
}

#[tokio::test]
async fn late_rows_of_days_long_past_reach_their_day() {
    let _stepping = STEPPING.lock().await;
    let place = Place::new();
    let table = place.traces().await;
    let mut calls = shuffled();
    let mut runner = place.runner("performance").await;
    let mut days = open(&place, &runner, Level::Day).await;
    add(&table, &calls[..2_000]).await;
    level(&mut runner).await;
    bring_level(&mut days).await;
    for call in &mut calls[2_000..] {
        call.time_us -= 40 * DAY_US;
    }
    add(&table, &calls[2_000..]).await;
    level(&mut runner).await;
    assert_unseen(&place, "late").await;
    bring_level(&mut days).await;
    assert!(reads_rollup(&place, QUESTIONS[1]).await);
    assert_unseen(&place, "late, and level").await;
}

#[cfg(feature = "failpoints")]
#[tokio::test]
async fn a_keeper_that_dies_at_its_commit_loses_and_doubles_nothing() {
    let _stepping = STEPPING.lock().await;
    for point in ["rollups.before_commit", "rollups.after_commit"] {
        let place = Place::new();
        let table = place.traces().await;
        let mut runner = place.runner("performance").await;
        for part in shuffled().chunks(1_000) {
            add(&table, part).await;
            level(&mut runner).await;
            let mut dying = open(&place, &runner, Level::Hour).await;
            fail::cfg(point, "return").unwrap();
            dying.step().await.unwrap_err();
            fail::remove(point);
            assert_unseen(&place, point).await;
            let mut next = open(&place, &runner, Level::Hour).await;
            let stepped = next.step().await.unwrap();
            let was_in = point == "rollups.after_commit";
            assert_eq!(stepped == Stepped::Level, was_in, "{point}");
            assert!(reads_rollup(&place, QUESTIONS[0]).await);
            assert_unseen(&place, point).await;
        }
    }
}

#[tokio::test]
async fn jobs_that_compute_windows_whole_have_no_rollup() {
    let jobs = shipped().await;
    let performance = jobs.get("performance").unwrap();
    assert!(of_table(&jobs, "rollups/performance-hour-0a1b2c3d").is_some());
    assert!(of_table(&jobs, "rollups/performance-minute-0a1b2c3d").is_none());
    assert!(of_table(&jobs, "rollups/nothing-hour-0a1b2c3d").is_none());
    assert!(of_table(&jobs, &performance.table_name()).is_none());
    let place = Place::new();
    place.traces().await;
    let own = crate::recompute::job_of_whole_windows().await;
    let runner = Runner::open(&place.lake().await, Arc::clone(&own))
        .await
        .unwrap();
    let rollup = Rollup::open(&place.lake().await, &own, runner.output(), Level::Hour).await;
    assert!(rollup.unwrap().is_none());
}
