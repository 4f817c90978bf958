//! All of a job computed anew.

use super::*;

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
