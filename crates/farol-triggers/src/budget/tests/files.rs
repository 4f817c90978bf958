//! What is wrong with a file is told with its place, and what to write.

use super::super::check::understand;
use super::{budget, jobs};

const GOOD: &str = "budgets:\n  - name: b\n    scope: {service: assistant, tags: {team: blue}}\n    by: model\n    \
    limit: 99.50\n    currency: USD\n    period: monthly\n    time_zone: Europe/London\n    thresholds:\n      \
    - {percent: 80, action: notify_team}\n    rollover: unused\n    rollover_cap: 10\n";

#[test]
fn a_mistake_has_its_place() {
    let good = understand("budgets.yaml", GOOD, jobs());
    assert!(good.is_ok(), "{good:?}");
    for (from, to, place, told) in [
        ("99.50", "a lot", "5:12", "not an amount of money"),
        ("99.50", "-1", "5:12", "more than 0"),
        ("99.50", "0.0000000000001", "5:12", "12 digits"),
        ("USD", "dollars", "6:15", "three letters"),
        ("monthly", "monthy", "7:13", "did you mean `monthly`?"),
        ("Europe/London", "Europe/Lndon", "8:16", "Europe/London"),
        (
            "notify_team",
            "notify_tem",
            "10:31",
            "did you mean `notify_team`?",
        ),
        ("percent: 80", "percent: 0", "10:19", "per cent"),
        ("unused", "all", "11:15", "none, unused"),
        ("by: model", "by: modl", "4:9", "did you mean `model`?"),
        ("by: model", "by: team", "4:9", "`tag.team`"),
        ("by: model", "by: tag.feature", "4:9", "jobs.tags"),
        ("by: model", "by: service", "4:9", "scope already"),
        ("by: model", "by: currency", "4:9", "key of its own"),
        ("team: blue", "feature: blue", "3:49", "jobs.tags"),
        ("{service:", "{servce:", "3:13", "servce"),
        ("limit:", "limits:", "5:5", "limits"),
        ("monthly", "rolling", "7:13", "length"),
        ("name: b", "name: B b", "2:11", "not a name"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        let errors = understand("budgets.yaml", &text, jobs()).expect_err(to);
        let all: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let found = all
            .iter()
            .any(|error| error.contains(&format!("budgets.yaml:{place}")) && error.contains(told));
        assert!(found, "{to}: {all:?}");
    }
}

#[test]
fn a_source_must_know_what_the_scope_names() {
    let text = GOOD.replace("by: model", "by: prompt_id\n    source: billing");
    let errors = understand("budgets.yaml", &text, jobs()).expect_err("billing has no prompts");
    assert!(
        errors[0]
            .message
            .contains("`prompt_id` is no segment of the job `billing`"),
        "{errors:?}"
    );
    let twice = format!("{GOOD}{}", GOOD.replace("budgets:\n", ""));
    let errors = understand("budgets.yaml", &twice, jobs()).expect_err("it is there twice");
    assert!(
        errors[0].message.contains("there is a budget `b` above"),
        "{errors:?}"
    );
}

#[test]
fn a_scope_is_told_by_columns_and_tags() {
    let one = budget(
        "scope: {service: assistant, tags: {team: blue}}\nby: model\nlimit: 1\ncurrency: USD\nperiod: daily\n\
         thresholds: [{percent: 1, action: notify_team}]",
    );
    let segment = farol_jobs::Segment(vec![None]);
    let scope = one.scope_json(&segment);
    assert_eq!(
        scope.to_string(),
        r#"{"model":null,"service":"assistant","tags":{"team":"blue"}}"#
    );
    assert_eq!(super::segment_of(&one, &scope.to_string()), Some(segment));
    assert_eq!(super::segment_of(&one, r#"{"service":"assistant"}"#), None);
}
