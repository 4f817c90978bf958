//! The kinds of events that applications send: each has a wire form, a table and a list of fields.

use std::fmt;
use std::str::FromStr;

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One operation of an LLM application: a span.
    Trace,
    /// What a person, or how they behaved, says about an answer.
    Feedback,
    /// A line of spend that is not tied to one call, or the provider's own word on it.
    Cost,
    /// A score by a judge, a program or a person.
    Evaluation,
}

impl Kind {
    /// Every kind, in the order in which they are documented.
    pub const ALL: [Self; 4] = [Self::Trace, Self::Feedback, Self::Cost, Self::Evaluation];

    /// The kind's name, as configuration and messages write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Feedback => "feedback",
            Self::Cost => "cost",
            Self::Evaluation => "evaluation",
        }
    }

    /// The lake table that holds events of this kind.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Trace => "traces",
            Self::Feedback => "feedback",
            Self::Cost => "costs",
            Self::Evaluation => "evaluations",
        }
    }

    /// The fields of which an event needs at least one, not null and not empty, to be known by.
    pub const fn identity(self) -> &'static [&'static str] {
        match self {
            Self::Trace | Self::Cost => &["event_id", "trace_id"],
            Self::Feedback | Self::Evaluation => &["event_id", "trace_id", "response_id"],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A text that names no kind of event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of event {0:?}: expected trace, feedback, cost or evaluation")]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
    }

    #[test]
    fn an_unknown_name_says_what_is_known() {
        let error = "traces".parse::<Kind>().unwrap_err();
        assert!(error.to_string().contains("\"traces\""));
        assert!(
            error
                .to_string()
                .contains("trace, feedback, cost or evaluation")
        );
    }
}
