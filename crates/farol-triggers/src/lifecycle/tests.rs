//! Cases of the lifecycle, and what must hold of it whatever the data.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::rule::NoData;

const MINUTE: i64 = 60_000_000;

fn terms() -> Terms {
    Terms {
        window_us: MINUTE,
        hold_windows: 1,
        cooldown_us: 0,
        no_data: NoData::Keep,
        renotify_us: None,
        no_data_severity: Severity::Warning,
    }
}

/// `!` holds, `W` holds as a warning, `.` does not, `?` is not known, `~` neither holds nor recovers, a space has no rows.
fn seen(letter: char) -> Seen {
    let (holds, recovers) = match letter {
        '!' | 'W' => (Some(true), Some(false)),
        '.' => (Some(false), Some(true)),
        '~' => (Some(false), Some(false)),
        '?' => (None, None),
        _ => return Seen::Nothing,
    };
    let severity = if letter == 'W' {
        Severity::Warning
    } else {
        Severity::Critical
    };
    Seen::Data(Judgement {
        holds,
        recovers,
        severity,
    })
}

/// What was published so far, and a decision over more data.
#[derive(Default)]
struct Published {
    facts: BTreeMap<i64, Fact>,
    messages: Vec<Decided>,
    interventions: Interventions,
}

impl Published {
    fn decide(&mut self, terms: &Terms, windows: &str, horizon: i64) -> Vec<Decided> {
        let letters: Vec<char> = windows.chars().collect();
        let range = Range {
            start_us: 0,
            horizon_us: horizon * MINUTE,
            closed_us: letters.len() as i64 * MINUTE,
        };
        let said = &self.interventions;
        let decided = decide(
            terms,
            &Machine::new(),
            &self.facts,
            range,
            said,
            |window_us| seen(letters[(window_us / MINUTE) as usize]),
        );
        for one in &decided {
            let fact = Fact {
                transition: one.transition,
                revision: one.revision,
            };
            let before = self.facts.insert(one.window_us, fact);
            assert!(before.is_none_or(|before| before.revision < one.revision));
        }
        self.messages.extend(&decided);
        decided
    }

    /// The state that a reader of the compacted topic sees.
    fn last_state(&self) -> State {
        self.messages
            .last()
            .map_or(State::Ok, |last| last.transition.state)
    }
}

/// `minute:state` of what is published, with `^revision` where it is not the first.
fn told(decided: &[Decided]) -> String {
    let one = |decided: &Decided| {
        let revision = match decided.revision {
            0 => String::new(),
            revision => format!("^{revision}"),
        };
        let mark = match decided.transition.cause {
            Cause::Changed => "",
            Cause::Renotified => "+",
            Cause::Withdrawn => "-",
            Cause::Resolved => "/",
            other => panic!("the lifecycle does not say {other:?}"),
        };
        let minute = decided.window_us / MINUTE;
        format!(
            "{minute}:{mark}{}{revision}",
            decided.transition.state.as_str()
        )
    };
    decided.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn run(terms: &Terms, windows: &str) -> String {
    told(&Published::default().decide(terms, windows, 0))
}

#[test]
fn it_fires_and_recovers() {
    assert_eq!(run(&terms(), "..!!.."), "2:alert 4:recovered");
    assert_eq!(
        run(&terms(), "..W!W."),
        "2:warning 3:alert 4:warning 5:recovered"
    );
    assert_eq!(run(&terms(), "..!~~."), "2:alert 5:recovered");
}

#[test]
fn it_must_hold_for_as_long_as_the_rule_says() {
    let terms = Terms {
        hold_windows: 3,
        ..terms()
    };
    assert_eq!(run(&terms, "!!.!!!."), "5:alert 6:recovered");
    assert_eq!(
        run(&terms, "!!?!."),
        "3:alert 4:recovered",
        "what is not known does not count, nor begin anew"
    );
    assert_eq!(
        run(&terms, "!????!!."),
        "",
        "what held is forgotten after twice that time"
    );
    let decided = Published::default().decide(&terms, "..!!!", 0);
    assert_eq!(decided[0].transition.since_us, 2 * MINUTE);
}

#[test]
fn what_is_not_known_neither_fires_nor_recovers() {
    assert_eq!(run(&terms(), "???"), "");
    assert_eq!(run(&terms(), "!???."), "0:alert 4:recovered");
}

#[test]
fn windows_without_rows_mean_what_the_rule_says() {
    assert_eq!(run(&terms(), "!  !."), "0:alert 4:recovered");
    let ok = Terms {
        no_data: NoData::Ok,
        ..terms()
    };
    assert_eq!(run(&ok, "!  !."), "0:alert 1:recovered 3:alert 4:recovered");
    let alert = Terms {
        no_data: NoData::Alert,
        hold_windows: 2,
        ..terms()
    };
    assert_eq!(run(&alert, ". .   .."), "4:no_data 6:ok");
    assert_eq!(
        run(&alert, "!!   !!."),
        "1:alert 3:no_data 5:ok 6:alert 7:recovered"
    );
}

#[test]
fn it_cools_down_after_a_recovery_and_says_again_what_lasts() {
    let cool = Terms {
        cooldown_us: 3 * MINUTE,
        ..terms()
    };
    assert_eq!(run(&cool, "!.!!!!"), "0:alert 1:recovered 4:alert");
    let again = Terms {
        renotify_us: Some(2 * MINUTE),
        ..terms()
    };
    assert_eq!(
        run(&again, "!!!!!."),
        "0:alert 2:+alert 4:+alert 5:recovered"
    );
}

#[test]
fn late_data_goes_out_as_a_higher_revision() {
    let mut published = Published::default();
    assert_eq!(
        told(&published.decide(&terms(), "...!.", 0)),
        "3:alert 4:recovered"
    );
    assert_eq!(
        told(&published.decide(&terms(), "...!.", 0)),
        "",
        "nothing new"
    );
    // The incident began earlier: its first message, and everything after it.
    assert_eq!(
        told(&published.decide(&terms(), ".!!!.", 0)),
        "1:alert^1 3:-alert^1 4:recovered^1"
    );
    // It was none.
    assert_eq!(
        told(&published.decide(&terms(), ".....", 0)),
        "1:-ok^2 3:-ok^2 4:-ok^2"
    );
    assert_eq!(published.last_state(), State::Ok);
    // And it was one after all.
    assert_eq!(
        told(&published.decide(&terms(), "...!.", 0)),
        "3:alert^3 4:recovered^3"
    );
}

#[test]
fn history_stays_as_it_was_published() {
    let mut published = Published::default();
    published.decide(&terms(), "..!", 0);
    assert_eq!(told(&published.decide(&terms(), ".....", 3)), "3:recovered");
    let mut late = Published::default();
    assert_eq!(
        told(&late.decide(&terms(), "!!!!", 2)),
        "2:alert",
        "an old incident that lasts is told where it is not history"
    );
}

fn interventions(acknowledged: &[i64], resolved: &[i64]) -> Interventions {
    let windows = |minutes: &[i64]| minutes.iter().map(|minute| minute * MINUTE).collect();
    Interventions {
        acknowledged: windows(acknowledged),
        resolved: windows(resolved),
    }
}

#[test]
fn what_is_acknowledged_is_not_said_again_until_it_recovers() {
    let again = Terms {
        renotify_us: Some(2 * MINUTE),
        ..terms()
    };
    let mut published = Published {
        interventions: interventions(&[2], &[]),
        ..Published::default()
    };
    assert_eq!(
        told(&published.decide(&again, "!!!!!!!.!!!", 0)),
        "0:alert 2:+alert 7:recovered 8:alert 10:+alert",
        "what was said of its window stays"
    );
    assert!(published.decide(&again, "!!!!!!!.!!!", 0).is_empty());
}

#[test]
fn what_is_resolved_fires_again_only_after_its_condition_did_not_hold() {
    let mut published = Published::default();
    published.decide(&terms(), "!!!", 0);
    published.interventions = interventions(&[], &[2]);
    assert_eq!(told(&published.decide(&terms(), "!!!", 0)), "2:/recovered");
    assert_eq!(told(&published.decide(&terms(), "!!!!?!", 0)), "");
    assert_eq!(
        told(&published.decide(&terms(), "!!!!?!.", 0)),
        "6:ok",
        "that it is over is said"
    );
    assert_eq!(told(&published.decide(&terms(), "!!!!?!.!", 0)), "7:alert");
    assert!(published.decide(&terms(), "!!!!?!.!", 0).is_empty());
    // At the window that fired, as a higher revision of it.
    let mut at_once = Published::default();
    at_once.decide(&terms(), ".!", 0);
    at_once.interventions = interventions(&[], &[1]);
    assert_eq!(told(&at_once.decide(&terms(), ".!", 0)), "1:/recovered^1");
    // What does not fire is not resolved.
    let mut fine = Published {
        interventions: interventions(&[], &[1]),
        ..Published::default()
    };
    assert_eq!(told(&fine.decide(&terms(), "...!", 0)), "3:alert");
}

fn any_interventions() -> impl Strategy<Value = Interventions> {
    let windows = || prop::collection::vec(0..30_i64, 0..4);
    (windows(), windows())
        .prop_map(|(acknowledged, resolved)| interventions(&acknowledged, &resolved))
}

fn any_terms() -> impl Strategy<Value = Terms> {
    let no_data = prop_oneof![Just(NoData::Keep), Just(NoData::Ok), Just(NoData::Alert)];
    let renotify = prop_oneof![Just(None), (1..4_i64).prop_map(|n| Some(n * MINUTE))];
    (1..4_u32, 0..4_i64, no_data, renotify).prop_map(
        |(hold_windows, cool, no_data, renotify_us)| Terms {
            hold_windows,
            cooldown_us: cool * MINUTE,
            no_data,
            renotify_us,
            ..terms()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever arrives late, and in whatever order it is looked at: what stands in the end is what would have been
    /// published had all of it been there at first.
    #[test]
    fn late_data_ends_where_punctual_data_does(
        terms in any_terms(),
        said in any_interventions(),
        looks in prop::collection::vec(prop::collection::vec(prop::char::range('0', '5'), 1..12), 1..5),
        last in prop::collection::vec(prop::char::range('0', '5'), 12),
    ) {
        let letters = |digits: &[char]| -> String {
            digits.iter().map(|digit| ['!', 'W', '.', '?', '~', ' '][digit.to_digit(10).unwrap_or(0) as usize]).collect()
        };
        let mut published = Published { interventions: said.clone(), ..Published::default() };
        let mut longest = 0;
        for look in &looks {
            // What is closed stays closed.
            let mut windows = letters(look);
            while windows.chars().count() < longest {
                windows.push('.');
            }
            longest = windows.chars().count();
            published.decide(&terms, &windows, 0);
        }
        let windows = letters(&last);
        published.decide(&terms, &windows, 0);
        prop_assert!(published.decide(&terms, &windows, 0).is_empty());
        let mut punctual = Published { interventions: said, ..Published::default() };
        punctual.decide(&terms, &windows, 0);
        let stands = |published: &Published| -> Vec<(i64, Transition)> {
            let facts = published.facts.iter().map(|(window, fact)| (*window, fact.transition));
            facts.filter(|(_, transition)| transition.cause != Cause::Withdrawn).collect()
        };
        prop_assert_eq!(stands(&published), stands(&punctual));
        prop_assert_eq!(published.last_state().fires(), punctual.last_state().fires());
    }

    /// Looking at every version, or only at the last one of several, when nothing is late: the same.
    #[test]
    fn a_restart_decides_the_same(terms in any_terms(), said in any_interventions(), digits in prop::collection::vec(0..6_usize, 1..15), stops in prop::collection::vec(1..15_usize, 0..4)) {
        let windows: String = digits.iter().map(|digit| ['!', 'W', '.', '?', '~', ' '][*digit]).collect();
        let mut stopped = Published { interventions: said.clone(), ..Published::default() };
        let mut stops: Vec<usize> = stops.into_iter().filter(|stop| *stop < windows.len()).collect();
        stops.sort_unstable();
        for stop in stops {
            stopped.decide(&terms, &windows[..stop], 0);
        }
        stopped.decide(&terms, &windows, 0);
        let mut straight = Published { interventions: said, ..Published::default() };
        straight.decide(&terms, &windows, 0);
        prop_assert_eq!(stopped.messages, straight.messages);
    }

    /// As time goes by, windows become history and the rows that led to them are not read any more. What was published
    /// of the others does not change by that.
    #[test]
    fn nothing_is_said_anew_because_time_went_by(terms in any_terms(), said in any_interventions(), digits in prop::collection::vec(0..7_usize, 1..30), age in 1..9_i64) {
        let letters: Vec<char> = digits.iter().map(|digit| ['!', '!', 'W', '.', '?', '~', ' '][*digit]).collect();
        let windows: String = letters.iter().collect();
        let mut facts: BTreeMap<i64, Fact> = BTreeMap::new();
        let mut messages = Vec::new();
        for closed in 1..=letters.len() as i64 {
            let horizon_us = (closed - age).max(0) * MINUTE;
            let start_us = (horizon_us - terms.memory_us()).max(0);
            let mut before = Machine::new();
            for (window_us, fact) in facts.range(..start_us) {
                before.take(&terms, *window_us, &fact.transition);
            }
            let range = Range { start_us, horizon_us, closed_us: closed * MINUTE };
            let recent = facts.range(start_us..).map(|(window_us, fact)| (*window_us, *fact)).collect();
            for one in decide(&terms, &before, &recent, range, &said, |window_us| seen(letters[(window_us / MINUTE) as usize])) {
                facts.insert(one.window_us, Fact { transition: one.transition, revision: one.revision });
                messages.push(one);
            }
        }
        let mut straight = Published { interventions: said, ..Published::default() };
        straight.decide(&terms, &windows, 0);
        prop_assert_eq!(messages, straight.messages);
    }
}
