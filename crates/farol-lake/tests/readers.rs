//! Tables as another implementation reads them: `tests/readers.py`, before and after compaction and vacuum.
//!
//! Needs `FAROL_PYTHON`, a Python with the packages that the script names; without it the test says so and passes.

#[path = "support/rows.rs"]
#[allow(dead_code)]
mod rows;
#[path = "support/tables.rs"]
#[allow(dead_code)]
mod tables;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use farol_events::{Kind, dead_letter_schema, table_schema};
use farol_lake::maintenance::{CompactOptions, VacuumOptions, compact, vacuum};
use farol_lake::{Commit, TableSpec};
use tables::{DAY, Place};

fn as_others_read(python: &str, lake: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/readers.py");
    let output = Command::new(python)
        .arg(script)
        .arg(lake)
        .output()
        .expect("FAROL_PYTHON runs");
    let (said, failed) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{failed}");
    said.into_owned()
}

#[tokio::test]
async fn other_readers_agree_before_and_after_maintenance() {
    let Ok(python) = std::env::var("FAROL_PYTHON") else {
        println!("skipped: FAROL_PYTHON is not set");
        return;
    };
    let place = Place::new();
    let specs = Kind::ALL.map(|kind| (kind.table(), TableSpec::raw(kind), table_schema(kind)));
    let letters = (
        "dead_letters",
        TableSpec::dead_letters(),
        dead_letter_schema(),
    );
    let mut opened = Vec::new();
    for (name, spec, schema) in specs.into_iter().chain([letters]) {
        let table = place.lake().await.table(name, &spec).await.unwrap();
        for day in 0..2 {
            for seed in 0..8 {
                let rows = rows::readable_batch(&schema, 300, seed);
                let upload = table.upload(Some(DAY + day), vec![rows]).await.unwrap();
                table
                    .commit(&Commit::append(Vec::new(), vec![upload]))
                    .await
                    .unwrap();
            }
        }
        opened.push(table);
    }
    let mut traces = rows::Traces::new(3);
    let upload = opened[0]
        .upload(Some(DAY), vec![traces.batch(3_000)])
        .await
        .unwrap();
    opened[0]
        .commit(&Commit::append(Vec::new(), vec![upload]))
        .await
        .unwrap();

    let before = as_others_read(&python, place.root());
    assert_eq!(before.lines().count(), 5 * 3);
    for table in &opened {
        let compacted = compact(table, &CompactOptions::at_once()).await.unwrap();
        assert_eq!(
            (compacted.commits, compacted.files_added),
            (2, 2),
            "{compacted:?}"
        );
        let everything = VacuumOptions {
            older_than: Duration::ZERO,
            dry_run: false,
            unsafe_age: true,
        };
        let vacuumed = vacuum(table, everything).await.unwrap();
        assert_eq!(
            vacuumed.files.len() as u64,
            compacted.files_removed,
            "{compacted:?}"
        );
    }
    assert_eq!(as_others_read(&python, place.root()), before);
}
