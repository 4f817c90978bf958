//! Which alerts a route takes, and which group one belongs to.

use std::collections::BTreeMap;

use crate::alert::Alert;
use crate::settings::Filter;

/// Whether the filter takes the alert.
pub fn takes(filter: &Filter, alert: &Alert) -> bool {
    let named = |wanted: &String| match wanted.strip_suffix('*') {
        Some(begin) => alert.rule.starts_with(begin),
        None => alert.rule == *wanted,
    };
    let has = |(name, values): (&String, &Vec<String>)| {
        alert
            .segment
            .get(name)
            .is_some_and(|value| values.contains(value))
    };
    (filter.rules.is_empty() || filter.rules.iter().any(named))
        && alert.severity >= filter.severity
        && filter.segment.iter().all(has)
        && (filter.kinds.is_empty() || filter.kinds.contains(&alert.kind))
}

/// What the alert's group has in common. A segment that the alert does not have is left out.
pub fn labels(group_by: &[String], alert: &Alert) -> BTreeMap<String, String> {
    let value = |name: &String| {
        let value = match name.as_str() {
            "rule" => Some(alert.rule.clone()),
            "severity" => Some(alert.severity.as_str().to_owned()),
            "kind" => Some(alert.kind.clone()),
            "alert_id" => Some(alert.alert_id.clone()),
            segment => alert.segment.get(segment).cloned(),
        };
        Some((name.clone(), value?))
    };
    group_by.iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Severity;
    use crate::alert::tests::record;

    #[test]
    fn every_line_of_a_filter_must_hold() {
        let alert = record("provider-outage", "shop", "alert", "warning").alert;
        let with = |change: fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            takes(&filter, &alert)
        };
        assert!(with(|_| {}));
        assert!(with(
            |filter| filter.rules = vec!["x".into(), "provider-*".into()]
        ));
        assert!(!with(|filter| filter.rules = vec!["provider".into()]));
        assert!(with(|filter| filter.severity = Severity::Warning));
        assert!(!with(|filter| filter.severity = Severity::Critical));
        assert!(with(
            |filter| filter.segment = [("service".into(), vec!["shop".into()])].into()
        ));
        assert!(!with(
            |filter| filter.segment = [("service".into(), vec!["x".into()])].into()
        ));
        assert!(!with(
            |filter| filter.segment = [("model".into(), vec!["m".into()])].into()
        ));
        assert!(!with(|filter| filter.kinds = vec!["budget".into()]));
    }

    #[test]
    fn groups_are_told_by_what_they_have_in_common() {
        let alert = record("errors", "shop", "alert", "critical").alert;
        let group_by = ["rule", "service", "model"].map(str::to_owned);
        let labels = labels(&group_by, &alert);
        assert_eq!(
            labels.into_iter().collect::<Vec<_>>(),
            [
                ("rule".into(), "errors".into()),
                ("service".into(), "shop".into())
            ]
        );
    }
}
