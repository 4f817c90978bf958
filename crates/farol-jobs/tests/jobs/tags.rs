//! Tags as segments: what the configuration lists is kept apart, and nothing else changes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{MapArray, RecordBatch, StringArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use farol_jobs::step::Runner;
use farol_jobs::{Jobs, Sources, Tags, load};

use crate::place::{Call, DAY_US, Place, START_US, batch, calls, commit, level, sources};

/// The tags of a call: none, one, or both.
fn tags_of(index: usize) -> Vec<(&'static str, &'static str)> {
    let team = [("team", "red"), ("team", "blue")][index % 2];
    let feature = ("feature", ["search", "chat", "summary"][index % 3]);
    match index % 5 {
        0 => vec![],
        1 | 2 => vec![team],
        3 => vec![feature, ("other", "x"), team],
        _ => vec![feature],
    }
}

/// Rows of calls with their tags.
fn tagged(calls: &[Call]) -> RecordBatch {
    let plain = batch(calls);
    let place = plain.schema().index_of("tags").unwrap();
    let DataType::Map(entries, sorted) = plain.schema().field(place).data_type().clone() else {
        panic!("`tags` is a map");
    };
    let DataType::Struct(fields) = entries.data_type().clone() else {
        panic!("a map has entries");
    };
    let all: Vec<_> = (0..calls.len()).map(tags_of).collect();
    let keys: StringArray = all.iter().flatten().map(|(key, _)| Some(*key)).collect();
    let values: StringArray = all
        .iter()
        .flatten()
        .map(|(_, value)| Some(*value))
        .collect();
    let pairs = StructArray::new(fields, vec![Arc::new(keys), Arc::new(values)], None);
    let offsets = OffsetBuffer::from_lengths(all.iter().map(Vec::len));
    let mut columns = plain.columns().to_vec();
    columns[place] = Arc::new(MapArray::new(entries, offsets, pairs, None, sorted));
    RecordBatch::try_new(plain.schema(), columns).unwrap()
}

/// Calls of one day with their tags, as one version of the traces.
async fn add_tagged(place: &Place, count: usize) {
    let table = place.traces().await;
    let mut calls = calls(count);
    for (index, call) in calls.iter_mut().enumerate() {
        call.time_us = START_US + index as i64 * 1_000_000;
    }
    let day = START_US.div_euclid(DAY_US) as i32;
    let upload = table.upload(Some(day), vec![tagged(&calls)]).await.unwrap();
    commit(&table, vec![upload]).await;
}

async fn jobs(dir: &Path, tags: &[&str]) -> Result<Jobs, String> {
    let names = tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    let sources = Sources {
        tags: Tags::try_from(names)?,
        ..sources(dir, true)
    };
    load(&sources).await.map_err(|error| error.to_string())
}

/// How many calls have each value of a tag, and none.
fn counts(count: usize, tag: &str) -> Vec<Vec<String>> {
    let mut counts = BTreeMap::<String, usize>::new();
    for index in 0..count {
        let tags = tags_of(index);
        let value = tags.iter().find(|(key, _)| *key == tag);
        *counts
            .entry(value.map_or("", |(_, value)| value).to_owned())
            .or_default() += 1;
    }
    let told = |(value, count): (String, usize)| vec![value, count.to_string()];
    counts.into_iter().map(told).collect()
}

#[tokio::test]
async fn configured_tags_are_segments_of_the_shipped_jobs() {
    let place = Place::new();
    add_tagged(&place, 3_000).await;
    let jobs = jobs(Path::new("/nowhere"), &["team", "feature"])
        .await
        .unwrap();
    let performance = jobs.get("performance").unwrap().clone();
    assert!(performance.segments().ends_with(&[
        "task".to_owned(),
        "team".to_owned(),
        "feature".to_owned()
    ]));
    let spend = jobs.get("spend").unwrap().segments();
    assert!(spend.ends_with(&[
        "team".to_owned(),
        "feature".to_owned(),
        "currency".to_owned()
    ]));
    let lake = place.lake().await;
    let mut runner = Runner::open(&lake, performance).await.unwrap();
    level(&mut runner).await;
    for tag in ["team", "feature"] {
        let sql = format!(
            "SELECT coalesce({tag}, ''), CAST(sum(requests) AS BIGINT) FROM measures('performance', '1 hour', '{tag}') GROUP BY 1 ORDER BY 1"
        );
        assert_eq!(place.ask_of(&jobs, &sql).await, counts(3_000, tag), "{tag}");
    }
    let both = "SELECT count(*) FROM performance WHERE team = 'red' AND feature = 'chat'";
    assert_ne!(place.ask_of(&jobs, both).await, [["0"]]);
    let long = "SELECT CAST(sum(value) AS BIGINT) FROM series WHERE measure = 'requests' AND segment['team'] = 'red'";
    let red = &counts(3_000, "team")[2];
    assert_eq!(place.ask_of(&jobs, long).await, [[red[1].clone()]]);
}

#[tokio::test]
async fn without_configured_tags_the_word_vanishes() {
    let place = Place::new();
    add_tagged(&place, 500).await;
    level(&mut place.runner("performance").await).await;
    let columns = place.ask("SELECT * FROM performance LIMIT 0").await;
    assert!(columns.is_empty());
    let jobs = jobs(Path::new("/nowhere"), &[]).await.unwrap();
    let segments = jobs.get("performance").unwrap().segments();
    assert_eq!(segments.last().map(String::as_str), Some("task"));
    let total = place
        .ask("SELECT CAST(sum(requests) AS BIGINT) FROM performance")
        .await;
    assert_eq!(total, [["500"]]);
}

#[tokio::test]
async fn windows_computed_whole_are_kept_apart_by_tags_too() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs")).unwrap();
    let yaml = "name: mine\nreads: traces\nwindow: 5m\nmode: recompute\nsegments: [tags, service]\npartials: {calls: sum}\n";
    let sql = "SELECT event_time, service, tags, 1 AS calls, row_number() OVER (PARTITION BY service ORDER BY event_time) AS place FROM traces";
    std::fs::write(dir.path().join("jobs/mine.yaml"), yaml).unwrap();
    std::fs::write(dir.path().join("jobs/mine.sql"), sql).unwrap();
    let place = Place::new();
    add_tagged(&place, 1_000).await;
    let jobs = jobs(dir.path(), &["feature"]).await.unwrap();
    let mine = jobs.get("mine").unwrap().clone();
    assert_eq!(mine.segments(), ["feature", "service"]);
    let mut runner = Runner::open(&place.lake().await, mine).await.unwrap();
    level(&mut runner).await;
    let sql =
        "SELECT coalesce(feature, ''), CAST(sum(calls) AS BIGINT) FROM mine GROUP BY 1 ORDER BY 1";
    assert_eq!(place.ask_of(&jobs, sql).await, counts(1_000, "feature"));
}

#[tokio::test]
async fn tags_that_cannot_be_columns_are_told_with_their_place() {
    let nowhere = Path::new("/nowhere");
    let error = jobs(nowhere, &["team", "model"]).await.unwrap_err();
    assert!(
        error.contains("performance.yaml (part of farol):5:84: `tags` stands for the tag `model` too, and `model` is a segment of this job already; take `model` out of `jobs.tags`"),
        "{error}"
    );
    let error = jobs(nowhere, &["error_rate"]).await.unwrap_err();
    assert!(
        error.contains("`error_rate` is a measure of this job already"),
        "{error}"
    );
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs")).unwrap();
    let yaml = "name: mine\nreads: traces\nwindow: 5m\nsegments: [service, tags]\npartials: {calls: sum}\n";
    std::fs::write(dir.path().join("jobs/mine.yaml"), yaml).unwrap();
    for (sql, told) in [
        (
            "SELECT event_time, service, 1 AS calls FROM traces",
            "mine.yaml:4:21: segment `tags` is not a column of",
        ),
        (
            "SELECT event_time, service, user_id AS tags, 1 AS calls FROM traces",
            "is Utf8, no map of texts; select the input's column `tags` as it is",
        ),
    ] {
        std::fs::write(dir.path().join("jobs/mine.sql"), sql).unwrap();
        let error = jobs(dir.path(), &[]).await.unwrap_err();
        assert!(error.contains(told), "expected `{told}`, got: {error}");
    }
}
