//! What can never be, what may be, and severities that are never reached.

use super::*;

fn limits() -> Limits {
    [
        ("error_rate".to_owned(), Bounds::RATIO),
        ("latency_ms".to_owned(), Bounds::from(0.0)),
    ]
    .into()
}

fn place(text: &str) -> Option<&str> {
    never(text, &limits()).map(|mistake| &text[mistake.span])
}

#[test]
fn what_can_never_be_is_found_where_it_is() {
    for (text, at) in [
        ("error_rate > 1", "error_rate > 1"),
        ("requests > 20 AND 1.5 < error_rate", "1.5 < error_rate"),
        ("latency_ms < 0", "latency_ms < 0"),
        (
            "error_rate > 0.5 AND requests >= 20 AND error_rate < 0.2",
            "error_rate < 0.2",
        ),
        ("requests > 5 AND requests <= 5", "requests <= 5"),
        ("requests BETWEEN 10 AND 5", "requests BETWEEN 10 AND 5"),
        ("service = 'a' AND service = 'b'", "service = 'b'"),
        ("error_rate > 1 OR error_rate < 0", "error_rate > 1"),
        ("requests IS NULL AND requests > 3", "requests > 3"),
        ("requests > 3 AND requests IS NULL", "requests IS NULL"),
        ("NOT (error_rate <= 1)", "error_rate <= 1"),
        (
            "error_rate > 1 + baseline('7 days', error_rate)",
            "error_rate > 1 + baseline('7 days', error_rate)",
        ),
        ("requests > 1 AND FALSE", "FALSE"),
        ("error_rate = 2", "error_rate = 2"),
    ] {
        let found = place(text);
        assert!(found.is_some(), "{text}");
        // `BETWEEN` is two comparisons over the same words.
        let found = found.unwrap_or_default();
        assert!(
            text.contains(found) && (found == at || at.contains(found)),
            "{text}: {found}"
        );
    }
}

#[test]
fn what_may_be_is_left_alone() {
    for text in [
        "error_rate >= 1",
        "error_rate > 0.5 AND requests >= 20 OR error_rate > 0.9",
        "requests >= 5 AND requests <= 5",
        "error_rate > 2 * baseline('7 days', error_rate)",
        "error_rate > 0.99 + previous('1 hour', error_rate)",
        "latency_ms > 100000 AND latency_ms < 100001",
        "service = 'a' OR service = 'b'",
        "service <> 'a' AND service <> 'b'",
        "coalesce(error_rate, 5) > 2",
        "requests IS NULL OR requests < 3",
        "requests IS NULL AND coalesce(requests, 0) < 3",
        "errors / requests > 7",
        "NOT (error_rate > 1)",
        "requests <> 5 AND requests >= 5",
        "(error_rate - 0.5) * (error_rate - 0.5) > 0.2",
    ] {
        assert_eq!(never(text, &limits()), None, "{text}");
    }
}

#[test]
fn severities_that_are_never_reached_are_found() {
    let reached = |when, before: &[Option<&str>], severity| {
        unreached(when, before, severity, &limits()).is_none()
    };
    let when = "error_rate > 0.2 AND requests >= 20";
    assert!(reached(when, &[], Some("error_rate > 0.5")));
    assert!(reached(when, &[Some("error_rate > 0.5")], None));
    assert!(!reached(when, &[None], None));
    assert!(!reached(when, &[], Some("error_rate < 0.1")));
    assert!(!reached(
        when,
        &[Some("error_rate > 0.3")],
        Some("error_rate > 0.5")
    ));
    assert!(!reached(
        when,
        &[Some("error_rate > 0.1")],
        Some("requests > 100")
    ));
    // Where the first is NULL, the second is asked.
    assert!(reached(
        when,
        &[Some("timeout_rate > 0.1")],
        Some("timeout_rate > 0.2 OR requests > 100")
    ));
    assert!(reached(
        when,
        &[Some("error_rate >= 0 * baseline('7 days', error_rate)")],
        Some("requests > 100")
    ));
}
