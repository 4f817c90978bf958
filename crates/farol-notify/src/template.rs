//! Titles and texts, from templates. A template is tried at the start, so that its mistakes are told then.

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use crate::alert::cut;
use crate::notification::Notification;
use crate::sample;

const TITLE: &str = include_str!("templates/title.txt");
const TEXT: &str = include_str!("templates/text.txt");

/// Steps that rendering may take: a loop that would not end does.
const FUEL: u64 = 2_000_000;

/// Bytes of a title and of a text.
const TITLE_BYTES_MAX: usize = 250;
const TEXT_BYTES_MAX: usize = 20_000;

/// How values are written into a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    /// As they are.
    Plain,
    /// For Slack: `&`, `<` and `>` would be mentions and links.
    Slack,
}

/// What a receiver is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// One line.
    pub title: String,
    /// The text.
    pub text: String,
}

/// A receiver's two templates.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    /// Compiles and tries the templates; the defaults where none are given.
    ///
    /// # Errors
    /// Which template is wrong, where, and how.
    pub fn new(
        title: Option<&str>,
        text: Option<&str>,
        markup: Markup,
    ) -> Result<Self, (&'static str, String)> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        if markup == Markup::Slack {
            environment.set_auto_escape_callback(|_| AutoEscape::Custom("slack"));
            environment.set_formatter(|out, state, value| {
                let text = value.to_string();
                if value.is_safe() || matches!(state.auto_escape(), AutoEscape::None) {
                    return out.write_str(&text).map_err(minijinja::Error::from);
                }
                out.write_str(&escape_slack(&text))
                    .map_err(minijinja::Error::from)
            });
        }
        for (name, given, default) in [("title", title, TITLE), ("text", text, TEXT)] {
            let source = given.unwrap_or(default).to_owned();
            let added = environment.add_template_owned(name, source);
            added.map_err(|error| (name, described(&error)))?;
        }
        let templates = Self { environment };
        for notification in sample::notifications() {
            for name in ["title", "text"] {
                let tried = templates.render(name, &notification);
                tried.map_err(|reason| (name, reason))?;
            }
        }
        Ok(templates)
    }

    /// What is said of a notification.
    ///
    /// # Errors
    /// Why a template fails on it.
    pub fn words(&self, notification: &Notification) -> Result<Words, String> {
        let title = self.render("title", notification)?;
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = self.render("text", notification)?;
        Ok(Words {
            title: cut(&title, TITLE_BYTES_MAX),
            text: cut(text.trim_end(), TEXT_BYTES_MAX),
        })
    }

    fn render(&self, name: &str, notification: &Notification) -> Result<String, String> {
        let template = self.environment.get_template(name);
        let template = template.map_err(|error| described(&error))?;
        let values = Value::from_serialize(notification);
        template.render(values).map_err(|error| described(&error))
    }
}

/// The error with its place.
fn described(error: &minijinja::Error) -> String {
    match (error.line(), error.detail()) {
        (Some(line), Some(detail)) => format!("line {line}: {}: {detail}", error.kind()),
        (Some(line), None) => format!("line {line}: {}", error.kind()),
        _ => error.to_string(),
    }
}

fn escape_slack(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Consequence;

    fn words(notification: &Notification, markup: Markup) -> Words {
        Templates::new(None, None, markup)
            .unwrap()
            .words(notification)
            .unwrap()
    }

    #[test]
    fn the_defaults_say_what_a_person_needs() {
        let firing = &sample::notifications()[0];
        let Words { title, text } = words(firing, Markup::Plain);
        assert_eq!(title, "[CRITICAL] error-rate-high: service checkout");
        for said in [
            "error-rate-high (service=checkout): critical since 2026-01-01T10:00:00Z",
            "error_rate is 0.4, threshold 0.2, usually 0.01 (window",
            "Consequences, not told of by themselves (1):\n  - latency-high (service=checkout)\n",
            "Runbook: https://runbooks.example/error-rate-high\n",
            "Traces: 4bf92f3577b34da6a3ce929d0e0e4736\n",
            "SQL: SELECT error_rate FROM performance",
        ] {
            assert!(text.contains(said), "{said:?} is not in {text}");
        }
    }

    #[test]
    fn a_recovery_and_a_flood_are_told_in_short() {
        let [_, resolved, flood] = sample::notifications();
        let Words { title, text } = words(&resolved, Markup::Plain);
        assert_eq!(title, "[RESOLVED] error-rate-high: service checkout");
        assert!(text.contains("recovered since"), "{text}");
        let Words { title, text } = words(&flood, Markup::Plain);
        assert_eq!(title, "[CRITICAL] 10000 alerts: error-rate-high");
        assert!(
            text.starts_with("10000 new, 0 changed, 0 recovered; 10000 open."),
            "{text}"
        );
        assert!(
            text.ends_with("and 9999 more, which are not named here."),
            "{text}"
        );
    }

    #[test]
    fn slack_gets_no_mentions_from_values() {
        let mut notification = sample::notifications()[0].clone();
        notification.alerts[0].rule = "<!channel> & co".to_owned();
        notification.alerts[0].consequences = vec![Consequence {
            rule: "<@U1>".to_owned(),
            segment: [("a".to_owned(), "<b>".to_owned())].into(),
            alert_id: "x".to_owned(),
        }];
        let Words { title, text } = words(&notification, Markup::Slack);
        assert!(title.contains("&lt;!channel&gt; &amp; co"), "{title}");
        assert!(!text.contains('<') && !text.contains("&amp;lt;"), "{text}");
        let own = Templates::new(
            Some("<https://x.example|{{ alerts[0].rule }}>"),
            None,
            Markup::Slack,
        );
        let title = own.unwrap().words(&notification).unwrap().title;
        assert_eq!(title, "<https://x.example|&lt;!channel&gt; &amp; co>");
    }

    #[test]
    fn mistakes_are_told_at_the_start() {
        let error = |title| Templates::new(Some(title), None, Markup::Plain).unwrap_err();
        assert_eq!(error("{% if %}").0, "title");
        let (_, unknown) = error("a\n{{ severty }}");
        assert!(unknown.contains("line 2"), "{unknown}");
        let (_, endless) =
            error("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}");
        assert!(endless.contains("fuel"), "{endless}");
    }
}
