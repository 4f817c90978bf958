//! Dependencies between rules: causes are evaluated before what follows from them.
//!
//! ```text
//! outage (depth 0) ──▶ errors (1) ──▶ quality (2)
//! evaluated to 12:05   ≤ 12:05        ≤ 12:05
//! ```
//!
//! So what mutes an alert at a window is known when the window is decided, and is a function of windows alone. A rule
//! whose job stands still must not keep others from being heard: they wait for it no longer than [`WAIT_US`].

use std::collections::BTreeMap;

use crate::rule::Attention;

/// How far a rule that mutes others may be behind, beside one window of its own, before they are evaluated without it.
const WAIT_US: i64 = 10 * 60_000_000;

/// How far each rule is from those that no rule mutes. Rules mute each other in no circle: that was checked.
pub(crate) fn depths<'a>(
    rules: impl Iterator<Item = (&'a str, &'a Attention)>,
) -> BTreeMap<String, usize> {
    let rules: BTreeMap<_, _> = rules.collect();
    let mut depths: BTreeMap<String, usize> =
        rules.keys().map(|name| ((*name).to_owned(), 0)).collect();
    // Each round settles one more depth; there are no more of them than rules.
    for _ in 0..rules.len() {
        let mut moved = false;
        for (name, attention) in &rules {
            let above = attention.muted_by.iter().filter_map(|one| depths.get(one));
            let depth = above.max().map_or(0, |above| above + 1);
            if depths.get(*name) != Some(&depth) {
                depths.insert((*name).to_owned(), depth);
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    depths
}

/// How far a rule may be evaluated whose job has come to a watermark: no further than the rules that mute it. `above` are
/// the ends of their windows that were evaluated, and the windows' widths, in microseconds.
pub(crate) fn held_back(watermark_us: i64, above: impl Iterator<Item = (Option<i64>, i64)>) -> i64 {
    let reach = |(closed_us, width_us): (Option<i64>, i64)| {
        let least_us = watermark_us
            .saturating_sub(width_us)
            .saturating_sub(WAIT_US);
        closed_us.unwrap_or(i64::MIN).max(least_us)
    };
    above.map(reach).fold(watermark_us, i64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_come_first() {
        let muted_by = |names: &[&str]| Attention {
            muted_by: names.iter().map(|name| (*name).to_owned()).collect(),
            escalate: Vec::new(),
        };
        let rules = [
            ("a", muted_by(&["b"])),
            ("b", muted_by(&["c", "job-failing"])),
            ("c", muted_by(&[])),
            ("d", muted_by(&["c"])),
        ];
        let depths = depths(rules.iter().map(|(name, attention)| (*name, attention)));
        let told: Vec<_> = depths
            .iter()
            .map(|(name, depth)| (name.as_str(), *depth))
            .collect();
        assert_eq!(told, [("a", 2), ("b", 1), ("c", 0), ("d", 1)]);
    }

    #[test]
    fn a_rule_waits_for_its_causes_but_not_for_ever() {
        const MINUTE: i64 = 60_000_000;
        let reach = |above: &[(Option<i64>, i64)]| held_back(100 * MINUTE, above.iter().copied());
        assert_eq!(reach(&[]), 100 * MINUTE);
        assert_eq!(reach(&[(Some(120 * MINUTE), MINUTE)]), 100 * MINUTE);
        let two = [(Some(98 * MINUTE), MINUTE), (Some(95 * MINUTE), 5 * MINUTE)];
        assert_eq!(reach(&two), 95 * MINUTE);
        assert_eq!(reach(&[(Some(0), 5 * MINUTE)]), 85 * MINUTE);
        assert_eq!(reach(&[(None, MINUTE)]), 89 * MINUTE);
    }
}
