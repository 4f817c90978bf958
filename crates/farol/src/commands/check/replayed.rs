//! Rules that would have cried wolf: firing in nearly every hour of the lake's last week.

use std::time::{Duration, Instant};

use farol_jobs::Jobs;
use farol_lake::Lake;
use farol_triggers::Rules;
use farol_triggers::replay::{Firing, replay_newest};

/// How far back rules are run.
const SPAN_US: i64 = 7 * 86_400_000_000;

/// Fewer hours with rows say nothing.
const HOURS_MIN: i64 = 6;

/// The share of hours from which on it is nearly every one, in per cent.
const PER_CENT: i64 = 90;

/// How long all rules may take together: what is checked are files.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs every rule on measures over the lake's last week. What cannot be told is said, too.
pub(super) async fn warnings(lake: &Lake, jobs: &Jobs, rules: &Rules) -> Vec<String> {
    let begun = Instant::now();
    let mut warnings = Vec::new();
    let mut left: Vec<&str> = Vec::new();
    for rule in rules.iter() {
        let rest = TIMEOUT.saturating_sub(begun.elapsed());
        let ran = tokio::time::timeout(rest, replay_newest(lake, jobs, rule, SPAN_US)).await;
        match ran {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(replay))) => {
                let told = cries(replay.firing());
                warnings.extend(told.and_then(|told| rules.remark(&rule.name, told)));
            }
            Ok(Err(error)) => {
                let told = format!("it does not run over the lake's last week: {error}");
                warnings.extend(rules.remark(&rule.name, told));
            }
            Err(_) => left.push(&rule.name),
        }
    }
    let mut warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    if !left.is_empty() {
        warnings.push(format!(
            "how often these would have fired last week is not known, for they took longer than {} s: {}",
            TIMEOUT.as_secs(),
            left.join(", ")
        ));
    }
    warnings
}

/// What is to be said of a rule that fires nearly always.
fn cries(Firing { hours, of_hours }: Firing) -> Option<String> {
    let nearly_always = of_hours >= HOURS_MIN && hours * 100 >= of_hours * PER_CENT;
    nearly_always.then(|| {
        format!("the rule would have been firing in {hours} of the last {of_hours} hours of the lake: nobody will look any more")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fires_nearly_always_is_said() {
        let told = |hours, of_hours| cries(Firing { hours, of_hours }).is_some();
        assert!(told(168, 168) && told(152, 168) && told(6, 6));
        assert!(!told(151, 168) && !told(0, 168));
        assert!(!told(5, 5) && !told(0, 0), "too little to tell");
    }
}
