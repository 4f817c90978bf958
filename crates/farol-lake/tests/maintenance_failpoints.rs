//! What a compactor leaves behind that dies just before or just after its commit.
#![cfg(feature = "failpoints")]

#[path = "support/rows.rs"]
#[allow(dead_code)]
mod rows;
#[path = "support/tables.rs"]
#[allow(dead_code)]
mod tables;

use std::time::Duration;

use farol_lake::maintenance::{CompactOptions, VacuumOptions, compact, vacuum};
use tables::{Place, append, offsets};

#[tokio::test]
async fn a_compactor_that_dies_at_its_commit_loses_and_doubles_nothing() {
    let scenario = fail::FailScenario::setup();
    for point in ["maintenance.before_commit", "maintenance.after_commit"] {
        let place = Place::new();
        let table = place.traces().await;
        let mut traces = rows::Traces::new(11);
        for _ in 0..8 {
            append(&table, traces.batch(100)).await;
        }
        let before = offsets(&table, &place.path()).await;
        fail::cfg(point, "return").unwrap();
        compact(&table, &CompactOptions::default())
            .await
            .unwrap_err();
        fail::remove(point);
        assert_eq!(offsets(&table, &place.path()).await, before, "{point}");
        let again = place.traces().await;
        let merged = compact(&again, &CompactOptions::default())
            .await
            .unwrap()
            .commits;
        assert_eq!(
            merged,
            u64::from(point == "maintenance.before_commit"),
            "{point}"
        );
        let everything = VacuumOptions {
            older_than: Duration::ZERO,
            dry_run: false,
            unsafe_age: true,
        };
        vacuum(&again, everything).await.unwrap();
        assert_eq!(place.data_files().len(), 1, "{point}");
        assert_eq!(offsets(&again, &place.path()).await, before, "{point}");
    }
    scenario.teardown();
}
