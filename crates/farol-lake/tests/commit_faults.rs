//! The commit over a store that fails, loses answers or answers late, and beside writers that know less.
//!
//! Every test ends by counting: rows as another handle reads them, and marks.

#[path = "support/faulty_store.rs"]
mod faulty_store;
#[path = "support/rows.rs"]
#[allow(dead_code)]
mod rows;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use farol_events::Kind;
use farol_lake::sql::Session;
use farol_lake::{Commit, Lake, LakeError, Outcome, Step, Table, TableSpec};
use faulty_store::{Fault, FaultyStore};
use futures::TryStreamExt as _;
use url::Url;

const NEXT: &str = "farol/cluster/llm.traces@topic/0#next";
const OTHER: &str = "farol/cluster/llm.traces@topic/1#next";
const ROWS: usize = 10;

/// A store and a way to open its lake as often as there are processes.
struct Place(FaultyStore);

impl Place {
    fn new() -> Self {
        Self(FaultyStore::default())
    }

    fn lake(&self) -> Lake {
        Lake::with_store(
            Arc::new(self.0.clone()),
            Url::parse("memory:///lake").unwrap(),
        )
    }

    /// A handle as another process would have it.
    async fn traces(&self) -> Table {
        let spec = TableSpec::raw(Kind::Trace);
        self.lake().table("traces", &spec).await.unwrap()
    }

    async fn count(&self) -> i64 {
        let session = Session::open(&self.lake()).await.unwrap();
        let (_, stream) = session.query("SELECT count(*) FROM traces").await.unwrap();
        let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
        batches[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    async fn mark(&self, id: &str) -> Option<i64> {
        self.traces()
            .await
            .marks(id)
            .await
            .unwrap()
            .get(id)
            .copied()
    }
}

fn step(guard: &str, from: Option<i64>, to: i64) -> Step {
    Step {
        guard: guard.to_owned(),
        from,
        marks: vec![(guard.to_owned(), to)],
    }
}

async fn rows_and_step(table: &Table, step: Step) -> Commit {
    let batch = rows::Traces::new(7).batch(ROWS);
    let upload = table.upload(Some(20_454), vec![batch]).await.unwrap();
    Commit::append(vec![step], vec![upload])
}

fn landed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Committed { .. })
}

#[tokio::test]
async fn a_lost_answer_is_found_in_the_log() {
    let place = Place::new();
    let table = place.traces().await;
    let commit = rows_and_step(&table, step(NEXT, None, 10)).await;
    place.0.next_puts(&[Fault::AnswerLost]);
    assert!(landed(&table.commit(&commit).await.unwrap()));
    assert!(place.0.is_through());
    assert_eq!(
        (place.count().await, place.mark(NEXT).await),
        (10, Some(10))
    );
    // Asking again changes nothing.
    assert!(landed(&table.commit(&commit).await.unwrap()));
    assert_eq!(place.count().await, 10);
}

#[tokio::test]
async fn refusals_are_tried_again_and_then_told() {
    let place = Place::new();
    let table = place.traces().await;
    let commit = rows_and_step(&table, step(NEXT, None, 10)).await;
    place.0.next_puts(&[Fault::Refused, Fault::Refused]);
    assert!(landed(&table.commit(&commit).await.unwrap()));
    let next = rows_and_step(&table, step(NEXT, Some(10), 20)).await;
    place.0.next_puts(&[Fault::Refused; 5]);
    let error = table.commit(&next).await.unwrap_err();
    assert!(matches!(error, LakeError::Undecided { .. }), "{error}");
    assert_eq!(
        (place.count().await, place.mark(NEXT).await),
        (10, Some(10))
    );
    // The same commit, when the store is well again.
    assert!(landed(&table.commit(&next).await.unwrap()));
    assert_eq!(
        (place.count().await, place.mark(NEXT).await),
        (20, Some(20))
    );
}

#[tokio::test]
async fn an_answer_lost_on_the_last_try_is_found_by_the_next_call() {
    let place = Place::new();
    let table = place.traces().await;
    let commit = rows_and_step(&table, step(NEXT, None, 10)).await;
    place.0.next_puts(&[
        Fault::Refused,
        Fault::Refused,
        Fault::Refused,
        Fault::Refused,
        Fault::AnswerLost,
    ]);
    let error = table.commit(&commit).await.unwrap_err();
    assert!(matches!(error, LakeError::Undecided { .. }), "{error}");
    // Meanwhile this handle reads on for somebody else, past the entry that is ours.
    table.refresh().await.unwrap();
    assert!(landed(&table.commit(&commit).await.unwrap()));
    assert_eq!(
        (place.count().await, place.mark(NEXT).await),
        (10, Some(10))
    );
}

#[tokio::test]
async fn a_put_that_arrives_late_lands_once_or_never() {
    let place = Place::new();
    let table = place.traces().await;
    let commit = rows_and_step(&table, step(NEXT, None, 10)).await;
    place.0.next_puts(&[Fault::Late]);
    assert!(landed(&table.commit(&commit).await.unwrap()));
    assert_eq!(
        (place.count().await, place.mark(NEXT).await),
        (10, Some(10))
    );
    // And where another writer takes the version before it arrives.
    let slow = rows_and_step(&table, step(NEXT, Some(10), 20)).await;
    place.0.next_puts(&[
        Fault::Late,
        Fault::Refused,
        Fault::Refused,
        Fault::Refused,
        Fault::Refused,
    ]);
    assert!(table.commit(&slow).await.is_err());
    let other = place.traces().await;
    let faster = rows_and_step(&other, step(NEXT, Some(10), 15)).await;
    assert!(landed(&other.commit(&faster).await.unwrap()));
    let outcome = table.commit(&slow).await.unwrap();
    assert_eq!(
        outcome,
        Outcome::Overtaken {
            steps: vec![(0, Some(15))]
        }
    );
    assert_eq!(
        (place.count().await, place.mark(NEXT).await),
        (20, Some(15))
    );
}

#[tokio::test]
async fn a_log_that_cannot_be_read_for_a_while_is_waited_for() {
    let place = Place::new();
    let table = place.traces().await;
    let commit = rows_and_step(&table, step(NEXT, None, 10)).await;
    place.0.next_reads_fail(3);
    assert!(landed(&table.commit(&commit).await.unwrap()));
    assert!(place.0.is_through());
    assert_eq!(
        (place.count().await, place.mark(NEXT).await),
        (10, Some(10))
    );
}

#[tokio::test]
async fn a_zombie_is_refused_whether_its_view_is_stale_or_fresh() {
    let place = Place::new();
    let (zombie, owner) = (place.traces().await, place.traces().await);
    zombie.refresh().await.unwrap();
    let stale = rows_and_step(&zombie, step(NEXT, None, 10)).await;
    let commit = rows_and_step(&owner, step(NEXT, None, 12)).await;
    assert!(landed(&owner.commit(&commit).await.unwrap()));
    let refused = Outcome::Overtaken {
        steps: vec![(0, Some(12))],
    };
    assert_eq!(zombie.commit(&stale).await.unwrap(), refused);
    zombie.refresh().await.unwrap();
    let fresh = rows_and_step(&zombie, step(NEXT, None, 10)).await;
    assert_eq!(zombie.commit(&fresh).await.unwrap(), refused);
    assert_eq!(
        (place.count().await, place.mark(NEXT).await),
        (10, Some(12))
    );
}

#[tokio::test]
async fn writers_of_other_partitions_do_not_stand_in_each_others_way() {
    let place = Place::new();
    let (one, two) = (place.traces().await, place.traces().await);
    let first = rows_and_step(&one, step(NEXT, None, 10)).await;
    let second = rows_and_step(&two, step(OTHER, None, 7)).await;
    let (first, second) = tokio::join!(one.commit(&first), two.commit(&second));
    assert!(landed(&first.unwrap()) && landed(&second.unwrap()));
    assert_eq!(place.count().await, 20);
    assert_eq!(
        (place.mark(NEXT).await, place.mark(OTHER).await),
        (Some(10), Some(7))
    );
}

#[tokio::test]
async fn of_many_writers_of_one_step_one_lands() {
    let place = Place::new();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let table = place.traces().await;
        let commit = rows_and_step(&table, step(NEXT, None, 10)).await;
        writers.spawn(async move { table.commit(&commit).await.unwrap() });
    }
    let outcomes = writers.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| landed(outcome)).count(), 1);
    assert_eq!(
        (place.count().await, place.mark(NEXT).await),
        (10, Some(10))
    );
}

#[tokio::test]
async fn of_many_creators_one_writes_the_table() {
    let place = Place::new();
    let mut creators = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let lake = place.lake();
        creators.spawn(async move {
            let spec = TableSpec::raw(Kind::Trace);
            lake.table("traces", &spec)
                .await
                .unwrap()
                .refresh()
                .await
                .unwrap()
        });
    }
    assert_eq!(creators.join_all().await, [0; 8], "the log has one entry");
}

#[tokio::test]
async fn an_upload_of_yesterday_is_not_committed() {
    let place = Place::new();
    let table = place.traces().await;
    let mut commit = rows_and_step(&table, step(NEXT, None, 10)).await;
    commit.uploads[0].uploaded_at = SystemTime::now() - Duration::from_hours(24);
    let error = table.commit(&commit).await.unwrap_err();
    assert!(matches!(error, LakeError::StaleUpload { .. }), "{error}");
    assert_eq!((place.count().await, place.mark(NEXT).await), (0, None));
}

#[tokio::test]
async fn marks_outlive_checkpoints_and_never_go_back() {
    let place = Place::new();
    let table = place.traces().await;
    for next in 0..230_i64 {
        let from = (next > 0).then_some(next - 1);
        let commit = Commit::append(vec![step(NEXT, from, next)], Vec::new());
        assert!(landed(&table.commit(&commit).await.unwrap()), "{next}");
    }
    assert_eq!(
        place.mark(NEXT).await,
        Some(229),
        "as a new process reads it from a checkpoint"
    );
    let mut back = step(NEXT, Some(229), 230);
    back.marks.push((OTHER.to_owned(), 5));
    assert!(landed(
        &table
            .commit(&Commit::append(vec![back], Vec::new()))
            .await
            .unwrap()
    ));
    let mut back = step(NEXT, Some(230), 231);
    back.marks.push((OTHER.to_owned(), 4));
    let error = table
        .commit(&Commit::append(vec![back.clone()], Vec::new()))
        .await
        .unwrap_err();
    assert!(matches!(error, LakeError::MarkDecreases { .. }), "{error}");
    assert!(
        landed(&table.commit(&Commit::reset(vec![back])).await.unwrap()),
        "by an operator's word"
    );
    assert_eq!(
        (place.mark(NEXT).await, place.mark(OTHER).await),
        (Some(231), Some(4))
    );
}
