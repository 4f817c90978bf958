//! From settings to routes that can run. Everything that is wrong is told here, before anything is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{NaiveTime, Weekday};
use chrono_tz::Tz;

use super::{QuietHoursSettings, RouteSettings, Settings};
use crate::engine::{QuietHours, RateLimit, Terms};
use crate::error::NotifyError;
use crate::receivers::Receiver;
use crate::retry::Retry;

/// Routes at the most: each is a consumer of the topic.
const ROUTES_MAX: usize = 64;

/// Bounds of a route's numbers.
const GROUPS_MAX: usize = 1_000;
const NAMED_MAX: usize = 100;

/// A receiver by its name.
#[derive(Debug, Clone)]
pub struct PlannedReceiver {
    /// Its name.
    pub name: String,
    /// What tells it.
    pub receiver: Arc<Receiver>,
}

/// A route that can run.
#[derive(Debug, Clone)]
pub struct PlannedRoute {
    /// What it goes by.
    pub terms: Terms,
    /// Where it leads.
    pub receiver: PlannedReceiver,
}

/// What the settings ask for, checked.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Receivers by name.
    pub receivers: BTreeMap<String, PlannedReceiver>,
    /// Routes, in their order.
    pub routes: Vec<PlannedRoute>,
}

impl Settings {
    /// Checks the settings and compiles the templates. Reads the files of certificates; connects to nobody.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn plan(&self) -> Result<Plan, NotifyError> {
        let mut receivers = BTreeMap::new();
        for (name, settings) in &self.receivers {
            let place = format!("receivers.{name}");
            let receiver = Receiver::new(settings, self.allow_private_targets);
            let receiver = receiver.map_err(|(key, reason)| {
                let place = if key.is_empty() {
                    place
                } else {
                    format!("{place}.{key}")
                };
                NotifyError::settings(place, reason)
            })?;
            let planned = PlannedReceiver {
                name: name.clone(),
                receiver: Arc::new(receiver),
            };
            receivers.insert(name.clone(), planned);
        }
        if self.routes.len() > ROUTES_MAX {
            return Err(NotifyError::settings(
                "routes",
                format!("there are more than {ROUTES_MAX}"),
            ));
        }
        let mut names = BTreeSet::new();
        let mut routes = Vec::new();
        for (index, route) in self.routes.iter().enumerate() {
            let wrong = |key: &str, reason: String| {
                Err(NotifyError::settings(
                    format!("routes[{index}].{key}"),
                    reason,
                ))
            };
            if !is_name(&route.name) {
                return wrong(
                    "name",
                    format!("`{}` is not of letters, digits, - and _", route.name),
                );
            }
            if !names.insert(&route.name) {
                return wrong("name", format!("`{}` is there twice", route.name));
            }
            let Some(receiver) = receivers.get(&route.receiver) else {
                return wrong(
                    "receiver",
                    format!("there is no receiver `{}`", route.receiver),
                );
            };
            match terms(route) {
                Ok(terms) => routes.push(PlannedRoute {
                    terms,
                    receiver: receiver.clone(),
                }),
                Err((key, reason)) => return wrong(key, reason),
            }
        }
        Ok(Plan { receivers, routes })
    }
}

/// Names become parts of Kafka groups and keys.
fn is_name(name: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    (1..=100).contains(&name.len()) && name.chars().all(is_part)
}

fn terms(route: &RouteSettings) -> Result<Terms, (&'static str, String)> {
    let within = |key, number: usize, most| {
        if (1..=most).contains(&number) {
            return Ok(number);
        }
        Err((key, format!("it must be between 1 and {most}")))
    };
    if route.rate_limit.count == 0 || route.rate_limit.per.is_zero() {
        return Err((
            "rate_limit",
            "a route that may say nothing is none; leave it out".to_owned(),
        ));
    }
    let retry = route.retry;
    if retry.attempts == 0 || retry.first.is_zero() || retry.age.is_zero() {
        return Err((
            "retry",
            "attempts, first and age must be more than nothing".to_owned(),
        ));
    }
    let quiet_hours = match &route.quiet_hours {
        Some(settings) => Some(quiet_hours(settings)?),
        None => None,
    };
    Ok(Terms {
        route: route.name.clone(),
        filter: route.filter.clone(),
        group_by: route.group_by.clone(),
        group_wait: route.group_wait,
        group_interval: route.group_interval,
        max_groups: within("max_groups", route.max_groups, GROUPS_MAX)?,
        max_named: within("max_named", route.max_named, NAMED_MAX)?,
        quiet_hours,
        rate_limit: RateLimit {
            count: route.rate_limit.count,
            per: route.rate_limit.per,
        },
        retry: Retry {
            first: retry.first,
            longest: retry.longest.max(retry.first),
            attempts: retry.attempts,
            age: retry.age,
        },
    })
}

fn quiet_hours(settings: &QuietHoursSettings) -> Result<QuietHours, (&'static str, String)> {
    let time = |key, text: &str| {
        let parsed = NaiveTime::parse_from_str(text, "%H:%M");
        parsed.map_err(|_| (key, format!("`{text}` is not a time of day: write HH:MM")))
    };
    let day = |text: &String| {
        text.parse::<Weekday>().map_err(|_| {
            (
                "quiet_hours.days",
                format!("`{text}` is not a day: write mon to sun"),
            )
        })
    };
    Ok(QuietHours {
        from: time("quiet_hours.from", &settings.from)?,
        to: time("quiet_hours.to", &settings.to)?,
        days: settings.days.iter().map(day).collect::<Result<_, _>>()?,
        time_zone: settings.time_zone.parse::<Tz>().map_err(|_| {
            let reason = format!("`{}` is no name of the IANA database", settings.time_zone);
            ("quiet_hours.time_zone", reason)
        })?,
        except: settings.except,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(routes: &serde_json::Value, receiver: &serde_json::Value) -> Result<Plan, String> {
        let settings: Settings = serde_json::from_value(json!({
            "receivers": {"ops": receiver},
            "routes": routes,
        }))
        .map_err(|error| error.to_string())?;
        settings.plan().map_err(|error| error.to_string())
    }

    fn webhook() -> serde_json::Value {
        json!({"webhook": {"url": "https://hooks.example/SECRET"}})
    }

    #[test]
    fn a_route_has_defaults() {
        let plan = plan(&json!([{"name": "all", "receiver": "ops"}]), &webhook()).unwrap();
        let terms = &plan.routes[0].terms;
        assert_eq!(terms.group_by, ["rule"]);
        assert_eq!(
            (terms.group_wait.as_secs(), terms.group_interval.as_secs()),
            (30, 300)
        );
        assert_eq!(
            (terms.rate_limit.count, terms.rate_limit.per.as_secs()),
            (30, 3_600)
        );
        assert_eq!(plan.routes[0].receiver.receiver.kind(), "webhook");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_without_secrets() {
        let route = |key: &str, value: serde_json::Value| {
            let mut route = json!({"name": "all", "receiver": "ops"});
            route[key] = value;
            plan(&json!([route]), &webhook()).unwrap_err()
        };
        assert_eq!(
            route("receiver", json!("nobody")),
            "notify.routes[0].receiver: there is no receiver `nobody`"
        );
        assert!(route("name", json!("a b")).contains("routes[0].name"));
        assert!(route("group_wait", json!("soon")).contains("not a duration"));
        assert!(route("max_named", json!(0)).contains("between 1 and 100"));
        let quiet = json!({"from": "22:00", "to": "25:00"});
        assert!(route("quiet_hours", quiet).contains("HH:MM"));
        assert!(route("groups", json!([])).contains("unknown field"));
        let receiver = |receiver| plan(&json!([]), &receiver).unwrap_err();
        assert!(receiver(json!({})).contains("exactly one of"));
        let private = receiver(json!({"webhook": {"url": "https://10.0.0.1/SECRET"}}));
        assert!(
            private.starts_with("notify.receivers.ops.webhook.url: 10.0.0.1"),
            "{private}"
        );
        assert!(!private.contains("SECRET"));
        let mut bad = webhook();
        bad["title"] = json!("{{ nothing }}");
        assert!(receiver(bad).contains("receivers.ops.title: line 1"));
    }

    #[test]
    fn settings_do_not_show_secrets() {
        let settings: Settings = serde_json::from_value(json!({"receivers": {
            "a": {"webhook": {"url": "https://x/HIDDEN", "secret": "HIDDEN"}},
            "b": {"slack": {"token": "HIDDEN", "channel": "c"}},
            "c": {"pagerduty": {"routing_key": "HIDDEN"}},
            "d": {"teams": {"webhook_url": "HIDDEN"}},
            "e": {"email": {"host": "h", "from": "f", "to": [], "password": "HIDDEN"}},
        }}))
        .unwrap();
        let shown = format!("{settings:?}");
        assert!(!shown.contains("HIDDEN"), "{shown}");
    }
}
