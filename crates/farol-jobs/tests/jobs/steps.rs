//! The same measures whatever the order, the versions, the writers, and what was replaced.

use std::collections::BTreeMap;

use farol_jobs::compact::compact;
use farol_jobs::step::Stepped;
use farol_jobs::{progress, replace};
use farol_lake::maintenance::CompactOptions;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::place::{DAY_US, HOUR_US, Place, START_US, add, calls, level};

#[tokio::test]
async fn measures_are_exact() {
    let place = Place::new();
    let table = place.traces().await;
    let calls = calls(20_000);
    for part in calls.chunks(2_000) {
        add(&table, part).await;
    }
    let mut runner = place.runner("performance").await;
    level(&mut runner).await;
    let mut expected =
        BTreeMap::<&str, (i64, i64, Vec<f64>, std::collections::BTreeSet<&str>)>::new();
    for call in &calls {
        let of = expected.entry(call.service).or_default();
        of.0 += 1;
        of.1 += i64::from(call.status == "error");
        of.2.push(call.latency_ms);
        of.3.insert(&call.user);
    }
    // Whichever of the wide windows a call is in, together they hold each once.
    let got = place
        .ask("SELECT service, sum(requests), sum(errors) FROM measures('performance', '2 days', 'service') GROUP BY 1 ORDER BY 1")
        .await;
    let counts = expected
        .iter()
        .map(|(service, of)| vec![(*service).to_owned(), of.0.to_string(), of.1.to_string()]);
    assert_eq!(got, counts.collect::<Vec<_>>());
    let got = place
        .ask("SELECT service, sum(requests), sum(errors), quantile(merge_quantiles(latency), 0.95), distinct_count(merge_distinct(users)) FROM performance GROUP BY service ORDER BY 1")
        .await;
    assert_eq!(got.len(), 3);
    for row in got {
        let (requests, errors, latencies, users) = expected.get_mut(row[0].as_str()).unwrap();
        assert_eq!(
            (
                row[1].parse::<i64>().unwrap(),
                row[2].parse::<i64>().unwrap()
            ),
            (*requests, *errors)
        );
        latencies.sort_by(f64::total_cmp);
        let exact = latencies[(0.95 * (latencies.len() - 1) as f64) as usize];
        let p95: f64 = row[3].parse().unwrap();
        assert!(
            (p95 - exact).abs() <= 0.01 * exact,
            "{p95}, exactly {exact}"
        );
        let distinct: f64 = row[4].parse().unwrap();
        assert!(
            (distinct - users.len() as f64).abs() < 0.06 * users.len() as f64,
            "{distinct}"
        );
    }
    let at = progress::progress(runner.output(), runner.job())
        .await
        .unwrap();
    assert_eq!(at.version, Some(table.refresh().await.unwrap()));
    assert_eq!(at.watermark_us, Some(START_US + 20_000));
}

#[tokio::test]
async fn order_versions_and_writers_do_not_show() {
    let calls = calls(6_000);
    let orderly = Place::new();
    add(&orderly.traces().await, &calls).await;
    level(&mut orderly.runner("performance").await).await;
    let expected = orderly.measures().await;
    assert!(expected.len() > 300);

    // Shuffled, in many versions, by two runners that take turns at the same steps.
    let shuffled = Place::new();
    let table = shuffled.traces().await;
    let mut other = calls.clone();
    other.shuffle(&mut ChaCha8Rng::seed_from_u64(3));
    let (mut one, mut two) = (
        shuffled.runner("performance").await,
        shuffled.runner("performance").await,
    );
    let mut overtaken = 0;
    for part in other.chunks(500) {
        add(&table, part).await;
        let (first, second) = tokio::join!(one.step(), two.step());
        for stepped in [first.unwrap(), second.unwrap()] {
            overtaken += u32::from(stepped == Stepped::Overtaken);
        }
    }
    level(&mut one).await;
    assert!(overtaken > 0, "the fence was never needed");
    assert_eq!(shuffled.measures().await, expected);

    // Partials merged: fewer of them, the same measures.
    let count = "SELECT count(*) FROM partials.performance";
    let before: u64 = shuffled.ask(count).await[0][0].parse().unwrap();
    let report = compact(&mut one, &CompactOptions::at_once()).await.unwrap();
    assert!(report.files_removed > 0);
    let after: u64 = shuffled.ask(count).await[0][0].parse().unwrap();
    assert!(
        after < before && after == expected.len() as u64,
        "{before} became {after}"
    );
    assert_eq!(shuffled.measures().await, expected);

    // Windows replaced: the same again, and nobody counts them twice.
    let mut plan = replace::plan(&one, START_US - HOUR_US, START_US + HOUR_US)
        .await
        .unwrap();
    assert_eq!(plan.pieces.len(), 2);
    replace::next_piece(&mut one, &mut plan).await.unwrap();
    let mut resumed = replace::plan(&two, START_US - HOUR_US, START_US + HOUR_US)
        .await
        .unwrap();
    assert_eq!(
        (resumed.done, resumed.pieces.len()),
        (1, 2),
        "it goes on where it was stopped"
    );
    replace::next_piece(&mut two, &mut resumed).await.unwrap();
    assert_eq!(
        replace::plan(&two, START_US - HOUR_US, START_US + HOUR_US)
            .await
            .unwrap()
            .done,
        0
    );
    assert_eq!(shuffled.measures().await, expected);
    assert_eq!(level(&mut two).await, 0);
}

/// A live runner that commits all the while neither stops a backfill nor is counted twice by it.
#[tokio::test]
async fn windows_are_replaced_beside_a_busy_runner() {
    let calls = calls(6_000);
    let expected = Place::new();
    add(&expected.traces().await, &calls).await;
    level(&mut expected.runner("performance").await).await;

    let place = Place::new();
    let table = place.traces().await;
    add(&table, &calls[..1_000]).await;
    let mut live = place.runner("performance").await;
    let mut backfill = place.runner("performance").await;
    level(&mut live).await;
    let busy = async {
        for part in calls[1_000..].chunks(100) {
            add(&table, part).await;
            level(&mut live).await;
        }
    };
    let replacing = async {
        let mut pieces = 0;
        for _ in 0..6 {
            let (from, to) = (START_US - DAY_US, START_US + 2 * HOUR_US);
            let mut plan = replace::plan(&backfill, from, to).await.unwrap();
            while plan.done < plan.pieces.len() {
                replace::next_piece(&mut backfill, &mut plan).await.unwrap();
                pieces += 1;
            }
        }
        pieces
    };
    let ((), pieces) = tokio::join!(busy, replacing);
    assert_eq!(pieces, 30);
    assert_eq!(place.measures().await, expected.measures().await);
}

#[tokio::test]
async fn a_job_that_missed_the_log_rebuilds_from_a_snapshot() {
    let calls = calls(3_000);
    let expected = Place::new();
    add(&expected.traces().await, &calls).await;
    level(&mut expected.runner("performance").await).await;

    let place = Place::new();
    let table = place.traces().await;
    for part in calls.chunks(500) {
        add(&table, part).await;
    }
    // A file of an early version is compacted away and vacuumed before the job reads it.
    farol_lake::maintenance::compact(&table, &CompactOptions::at_once())
        .await
        .unwrap();
    let vacuum = farol_lake::maintenance::VacuumOptions {
        older_than: std::time::Duration::ZERO,
        unsafe_age: true,
        ..farol_lake::maintenance::VacuumOptions::default()
    };
    // Files removed at this very millisecond are still respected.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while farol_lake::maintenance::vacuum(&table, vacuum)
        .await
        .unwrap()
        .files
        .is_empty()
    {
        assert!(std::time::Instant::now() < deadline, "nothing was vacuumed");
        tokio::task::yield_now().await;
    }
    let mut runner = place.runner("performance").await;
    level(&mut runner).await;
    assert_eq!(place.measures().await, expected.measures().await);
    add(&table, &calls[..10]).await;
    assert!(level(&mut runner).await > 0, "it goes on from there");
}
