//! What is shown, as text. Unknown is a dash.

use crate::output;

/// Services that are shown.
const SERVICES_MAX: usize = 12;

/// Alerts that are named; the others are counted.
const FIRING_MAX: usize = 8;

/// How things are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flow {
    /// Events read in a second, over the last interval.
    pub events_per_second: Option<f64>,
    /// How long ago the slowest partition's watermark is, in seconds: no window that ended before it gets anything but
    /// late events.
    pub watermark_age_seconds: Option<f64>,
    /// The minute that the measures are of, in RFC 3339; the last one that is closed.
    pub minute: Option<String>,
    /// The measures of each service in that minute.
    pub services: Vec<Service>,
    /// What fires, by rule and segment.
    pub firing: Vec<String>,
}

/// The measures of a service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Calls in the minute.
    pub requests: Option<f64>,
    /// The part of them that failed.
    pub error_rate: Option<f64>,
    /// The 95th percentile of their latency.
    pub latency_p95_ms: Option<f64>,
    /// Tokens written per second of generation.
    pub tokens_per_second: Option<f64>,
}

/// A message about an alert.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// The end of the window that decided, in RFC 3339.
    pub at: String,
    /// The rule.
    pub rule: String,
    /// What it is about.
    pub segment: String,
    /// The state before.
    pub previous: String,
    /// The state now.
    pub state: String,
    /// Whether late data took an earlier message back.
    pub withdrawn: bool,
    /// The measure, its value and what it was compared with.
    pub compared: Option<(String, Option<f64>, Option<f64>)>,
}

/// The block at the terminal's bottom.
pub fn block(flow: &Flow) -> String {
    let minute = flow.minute.as_deref().unwrap_or("-");
    let header = [minute, "calls", "errors %", "p95 ms", "tokens/s"];
    let rows: Vec<_> = flow
        .services
        .iter()
        .take(SERVICES_MAX)
        .map(|service| {
            vec![
                service.name.clone(),
                number(service.requests, 0),
                number(service.error_rate.map(|rate| rate * 100.0), 1),
                number(service.latency_p95_ms, 0),
                number(service.tokens_per_second, 0),
            ]
        })
        .collect();
    let services = if rows.is_empty() {
        "no minute is measured yet\n".to_owned()
    } else {
        output::table(&header, &rows)
    };
    let beyond = flow.services.len().saturating_sub(SERVICES_MAX);
    let more = if beyond > 0 {
        format!("and {beyond} more\n")
    } else {
        String::new()
    };
    format!("\n{}\n{services}{more}{}", summary(flow), firing(flow))
}

/// The same on one line, for a log.
pub fn line(flow: &Flow) -> String {
    format!("{}; {}", summary(flow), firing(flow))
}

/// A message about an alert, on one line.
pub fn told(told: &Told) -> String {
    let compared = match &told.compared {
        Some((measure, value, threshold)) => {
            let (value, threshold) = (number(*value, 3), number(*threshold, 3));
            format!("; {measure} {value}, threshold {threshold}")
        }
        None => String::new(),
    };
    let withdrawn = if told.withdrawn { ", withdrawn" } else { "" };
    format!(
        "{}  {} {}: {} > {}{withdrawn}{compared}",
        told.at, told.rule, told.segment, told.previous, told.state
    )
}

fn summary(flow: &Flow) -> String {
    format!(
        "{} events/s, watermark {} s ago",
        number(flow.events_per_second, 0),
        number(flow.watermark_age_seconds, 1)
    )
}

fn firing(flow: &Flow) -> String {
    if flow.firing.is_empty() {
        return "no alert".to_owned();
    }
    let named = flow.firing.iter().take(FIRING_MAX);
    let text = named.cloned().collect::<Vec<_>>().join(", ");
    let beyond = flow.firing.len().saturating_sub(FIRING_MAX);
    if beyond > 0 {
        return format!("firing: {text} and {beyond} more");
    }
    format!("firing: {text}")
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        Flow {
            events_per_second: Some(21.4),
            watermark_age_seconds: Some(11.26),
            minute: Some("12:03".to_owned()),
            services: vec![
                Service {
                    name: "doc-search".to_owned(),
                    requests: Some(122.0),
                    error_rate: Some(0.0164),
                    latency_p95_ms: Some(812.4),
                    tokens_per_second: None,
                },
                Service {
                    name: "code-helper".to_owned(),
                    requests: Some(61.0),
                    error_rate: Some(0.5),
                    latency_p95_ms: Some(9_001.0),
                    tokens_per_second: Some(52.3),
                },
            ],
            firing: vec!["error-rate-high code-helper".to_owned()],
        }
    }

    #[test]
    fn a_block_holds_the_flow_the_measures_and_what_fires() {
        assert_eq!(
            block(&flow()),
            "\n21 events/s, watermark 11.3 s ago\n\
             12:03        calls  errors %  p95 ms  tokens/s\n\
             doc-search     122       1.6     812         -\n\
             code-helper     61      50.0    9001        52\n\
             firing: error-rate-high code-helper"
        );
    }

    #[test]
    fn what_is_not_known_is_not_zero_and_lists_end() {
        assert_eq!(
            block(&Flow::default()),
            "\n- events/s, watermark - s ago\nno minute is measured yet\nno alert"
        );
        let many = Flow {
            firing: (0..10).map(|n| format!("r{n}")).collect(),
            services: vec![Service::default(); 14],
            ..flow()
        };
        let text = block(&many);
        assert!(text.contains("and 2 more\nfiring: r0"), "{text}");
        assert!(text.ends_with("r7 and 2 more"), "{text}");
        assert_eq!(
            line(&flow()),
            "21 events/s, watermark 11.3 s ago; firing: error-rate-high code-helper"
        );
    }

    #[test]
    fn an_alert_is_told_with_what_was_compared() {
        let mut alert = Told {
            at: "2026-01-01T12:05:00Z".to_owned(),
            rule: "error-rate-high".to_owned(),
            segment: "code-helper".to_owned(),
            previous: "ok".to_owned(),
            state: "warning".to_owned(),
            withdrawn: false,
            compared: Some(("error_rate".to_owned(), Some(0.361), Some(0.2))),
        };
        assert_eq!(
            told(&alert),
            "2026-01-01T12:05:00Z  error-rate-high code-helper: ok > warning; error_rate 0.361, threshold 0.200"
        );
        alert.withdrawn = true;
        alert.compared = None;
        assert_eq!(
            told(&alert),
            "2026-01-01T12:05:00Z  error-rate-high code-helper: ok > warning, withdrawn"
        );
    }
}
