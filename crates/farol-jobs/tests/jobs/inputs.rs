//! Jobs that read several tables: each row of each of them counts once, whatever is taken together.

use std::collections::HashMap;

use farol_events::Kind;
use farol_jobs::step::{Runner, Stepped};
use farol_jobs::{Jobs, Sources, load, progress, replace, views};
use farol_lake::sql::Session;
use farol_lake::{Commit, Lake, Step, Table, TableSpec};
use futures::TryStreamExt as _;

use arrow::array::{RecordBatch, TimestampMicrosecondArray};
use arrow::util::display::array_value_to_string;
use std::sync::Arc;

use crate::place::{DAY_US, HOUR_US, START_US, sources};
use crate::rows;

const YAML: &str = "name: activity\nreads: [traces, feedback]\nwindow: 1h\nsegments: []\n\
    partials: {calls: sum, thumbs: sum}\n";
const SQL: &str = "SELECT event_time, 1 AS calls, NULL AS thumbs FROM traces\n\
    UNION ALL SELECT event_time, NULL, 1 FROM feedback\n";
/// Each row counts once in its hour, computed whole.
const WHOLE: &str = "SELECT date_bin(INTERVAL '1 hour', event_time) AS event_time, sum(calls) AS calls, sum(thumbs) AS thumbs \
    FROM (SELECT event_time, 1 AS calls, 0 AS thumbs FROM traces UNION ALL SELECT event_time, 0, 1 FROM feedback) GROUP BY 1\n";

struct Place {
    root: tempfile::TempDir,
    jobs: Jobs,
}

impl Place {
    async fn new(yaml: &str, sql: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("pipelines");
        std::fs::create_dir_all(dir.join("jobs")).unwrap();
        std::fs::write(dir.join("jobs/activity.yaml"), yaml).unwrap();
        std::fs::write(dir.join("jobs/activity.sql"), sql).unwrap();
        let sources = Sources {
            max_series: 100,
            ..sources(dir, false)
        };
        let jobs = load(&sources).await.unwrap();
        Self { root, jobs }
    }

    async fn lake(&self) -> Lake {
        let uri = self.root.path().join("lake");
        Lake::open(uri.to_str().unwrap(), HashMap::new())
            .await
            .unwrap()
    }

    async fn runner(&self) -> Runner {
        let job = self.jobs.get("activity").unwrap().clone();
        Runner::open(&self.lake().await, job).await.unwrap()
    }

    async fn table(&self, kind: Kind) -> Table {
        let spec = TableSpec::raw(kind);
        self.lake().await.table(kind.table(), &spec).await.unwrap()
    }

    /// Adds rows at an hour as one version.
    async fn add(&self, kind: Kind, hour: i64, rows: usize) {
        let table = self.table(kind).await;
        let schema = farol_events::table_schema(kind);
        let nothing = rows::null_batch(&schema, rows);
        let mut columns = nothing.columns().to_vec();
        let times = TimestampMicrosecondArray::from(vec![START_US + hour * HOUR_US; rows]);
        columns[schema.index_of("event_time").unwrap()] = Arc::new(times.with_timezone("UTC"));
        let batch = RecordBatch::try_new(schema, columns).unwrap();
        let upload = table.upload(Some((START_US / DAY_US) as i32), vec![batch]);
        let id = format!("farol/c/{}@i/0", kind.table());
        let next = format!("{id}#next");
        let from = table.marks(&next).await.unwrap().get(&next).copied();
        let to = from.unwrap_or(0) + rows as i64;
        let step = Step {
            guard: next.clone(),
            from,
            marks: vec![(next, to), (format!("{id}#watermark_us"), START_US + to)],
        };
        let commit = Commit::append(vec![step], vec![upload.await.unwrap()]);
        table.commit(&commit).await.unwrap();
    }

    /// Calls and thumbs by hour.
    async fn activity(&self) -> Vec<[String; 2]> {
        let session = Session::open(&self.lake().await).await.unwrap();
        views::register(&session, &self.jobs).await.unwrap();
        let sql =
            "SELECT coalesce(calls, 0), coalesce(thumbs, 0) FROM activity ORDER BY window_start";
        let (_, stream) = session.query(sql).await.unwrap();
        let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
        let row = |batch: &RecordBatch, row: usize| {
            [0, 1].map(|column| array_value_to_string(batch.column(column), row).unwrap())
        };
        batches
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(move |index| row(batch, index)))
            .collect()
    }
}

async fn level(runner: &mut Runner) {
    while runner.step().await.unwrap() != Stepped::Level {}
}

fn told(hours: &[(u32, u32)]) -> Vec<[String; 2]> {
    hours
        .iter()
        .map(|(calls, thumbs)| [calls.to_string(), thumbs.to_string()])
        .collect()
}

#[tokio::test]
async fn rows_of_every_input_count_once_in_either_mode() {
    let whole = YAML.replace("window: 1h", "window: 1h\nmode: recompute");
    for (yaml, sql) in [(YAML, SQL), (whole.as_str(), WHOLE)] {
        let place = Place::new(yaml, sql).await;
        // The second input comes first, and the first is not there yet.
        place.add(Kind::Feedback, 0, 2).await;
        let mut runner = place.runner().await;
        level(&mut runner).await;
        assert_eq!(place.activity().await, told(&[(0, 2)]));
        place.add(Kind::Trace, 0, 5).await;
        place.add(Kind::Feedback, 1, 1).await;
        level(&mut runner).await;
        assert_eq!(place.activity().await, told(&[(5, 2), (0, 1)]));
        // One of them alone; and a process that knows nothing.
        place.add(Kind::Feedback, 0, 3).await;
        level(&mut place.runner().await).await;
        place.add(Kind::Trace, 1, 4).await;
        level(&mut place.runner().await).await;
        let all = told(&[(5, 5), (4, 1)]);
        assert_eq!(place.activity().await, all);
        level(&mut runner).await;
        assert_eq!(place.activity().await, all);

        let at = progress::progress(runner.output(), runner.job())
            .await
            .unwrap();
        let versions = [
            place.table(Kind::Trace).await.refresh().await.unwrap(),
            place.table(Kind::Feedback).await.refresh().await.unwrap(),
        ];
        assert_eq!(at.versions(), versions.map(Some));
        // The first input's.
        assert_eq!(at.watermark_us, Some(START_US + 9));
        let status = progress::status(&place.lake().await, &place.jobs)
            .await
            .unwrap();
        assert_eq!(status[0].behind, Some(0));

        // The past computed again is the same, and what comes after counts once.
        let mut plan = replace::plan(&runner, START_US, START_US + 2 * HOUR_US)
            .await
            .unwrap();
        while plan.done < plan.pieces.len() {
            replace::next_piece(&mut runner, &mut plan).await.unwrap();
        }
        assert_eq!(place.activity().await, all);
        place.add(Kind::Feedback, 1, 1).await;
        let status = progress::status(&place.lake().await, &place.jobs)
            .await
            .unwrap();
        assert_eq!(status[0].behind, Some(1));
        level(&mut runner).await;
        assert_eq!(place.activity().await, told(&[(5, 5), (4, 2)]));
    }
}

#[tokio::test]
async fn a_step_in_which_only_one_input_advanced_is_fenced() {
    let place = Place::new(YAML, SQL).await;
    place.add(Kind::Trace, 0, 1).await;
    place.add(Kind::Feedback, 0, 1).await;
    let (mut one, mut two) = (place.runner().await, place.runner().await);
    level(&mut one).await;
    let mut overtaken = 0;
    for (number, kind) in [Kind::Feedback, Kind::Trace, Kind::Feedback, Kind::Feedback]
        .into_iter()
        .enumerate()
    {
        place.add(kind, number as i64, 1).await;
        let (first, second) = tokio::join!(one.step(), two.step());
        for stepped in [first.unwrap(), second.unwrap()] {
            overtaken += u32::from(stepped == Stepped::Overtaken);
        }
    }
    level(&mut two).await;
    assert!(overtaken > 0, "the fence was never needed");
    assert_eq!(
        place.activity().await,
        told(&[(1, 2), (1, 0), (0, 1), (0, 1)])
    );
}
