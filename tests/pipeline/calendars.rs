//! Calendar windows as they are configured.

use crate::harness::farol::Farol;
use crate::harness::kafka::RealKafka;

#[test]
fn the_configured_zone_is_that_of_days_and_a_wrong_one_is_refused_with_its_place() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(
        &kafka.brokers(),
        &[("zone.traces", "trace", 1)],
        "jobs: {interval: 100ms, time_zone: Asia/Kolkata}\n",
    );
    let start = |window: &str| {
        farol.number(&format!(
            "SELECT CAST(window_start('2026-01-02T20:00:00Z', '{window}') AS BIGINT) / 60000000 % 1440 AS minute"
        ))
    };
    assert_eq!(start("1 day"), 18 * 60 + 30);
    assert_eq!(start("1 day in UTC"), 0);
    assert_eq!(start("1 hour"), 20 * 60);
    let wrong = farol.call(&["sql", "SELECT 1", "--set", "jobs.time_zone=Asia/Kolkatta"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    for told in ["jobs.time_zone", "did you mean `Asia/Kolkata`?"] {
        assert!(wrong.stderr.contains(told), "{}", wrong.stderr);
    }
}
