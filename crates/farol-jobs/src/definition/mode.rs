//! How a job's windows come about: added up from what each version brings, or computed whole.

use serde_saphyr::Spanned;

use super::file::{JobFile, suggestion};
use super::plan::Planner;
use super::{CONTRIBUTIONS, Width};
use crate::error::DefinitionError;

/// How a job's windows come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What each version of the input adds becomes partials of its own, which merge. The SQL looks at one row at a time.
    Incremental,
    /// A window near which rows were added is computed whole, from one snapshot, as a higher revision. So the SQL may
    /// join, group and rank. It is run once for each window, over the rows within reach of it.
    Recompute {
        /// How far before a window the SQL sees rows, in microseconds.
        reach_us: i64,
        /// How far after it.
        reach_after_us: i64,
    },
}

/// The names in a job's file.
const NAMES: [&str; 2] = ["incremental", "recompute"];

/// The longest reach: an added row has every window within reach of it computed.
const REACH_SECONDS_MAX: i64 = 86_400;

impl Mode {
    /// The name in a job's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incremental => NAMES[0],
            Self::Recompute { .. } => NAMES[1],
        }
    }

    /// How far before and after a window its SQL sees rows, in microseconds.
    pub fn reach_us(self) -> (i64, i64) {
        match self {
            Self::Incremental => (0, 0),
            Self::Recompute {
                reach_us,
                reach_after_us,
            } => (reach_us, reach_after_us),
        }
    }

    /// Whether windows are computed whole.
    pub fn is_recompute(self) -> bool {
        matches!(self, Self::Recompute { .. })
    }
}

impl Planner<'_> {
    /// The mode that a file asks for. After an error the job is not made, so what is given then does not matter.
    pub(super) fn mode(&self, file: &JobFile, errors: &mut Vec<DefinitionError>) -> Mode {
        let written = file.mode.as_ref();
        match written.map_or(NAMES[0], |mode| mode.value.as_str()) {
            "incremental" => {
                if let Some(reach) = file.reach.as_ref().or(file.reach_after.as_ref()) {
                    errors.push(self.at(
                        reach.referenced,
                        "an incremental job looks at one row at a time, so nothing is within its reach",
                        Some("leave `reach` out, or say `mode: recompute`".to_owned()),
                    ));
                }
                Mode::Incremental
            }
            "recompute" => {
                self.refuse_own_names(file, errors);
                let mut told = |written: &Spanned<String>| {
                    self.reach_us(written).unwrap_or_else(|error| {
                        errors.push(error);
                        0
                    })
                };
                let reach_us = file.reach.as_ref().map_or(0, &mut told);
                Mode::Recompute {
                    reach_us,
                    reach_after_us: file.reach_after.as_ref().map_or(reach_us, told),
                }
            }
            other => {
                if let Some(mode) = written {
                    errors.push(self.at(
                        mode.referenced,
                        format!("there is no mode `{other}`"),
                        Some(suggestion(other, NAMES)),
                    ));
                }
                Mode::Incremental
            }
        }
    }

    fn reach_us(&self, written: &Spanned<String>) -> Result<i64, DefinitionError> {
        let wrong = |message| {
            let help = "write how far from a window its SQL looks, such as `reach: 15m`; a day at the most, 0s for not at all";
            self.at(written.referenced, message, Some(help.to_owned()))
        };
        if written.value == "0s" {
            return Ok(0);
        }
        let reach = Width::parse(&written.value)
            .map_err(|_| wrong(format!("`{}` is not a length of time", written.value)))?;
        if reach.seconds() > REACH_SECONDS_MAX {
            return Err(wrong(format!("a reach of {reach} is too long")));
        }
        Ok(reach.micros())
    }

    fn refuse_own_names(&self, file: &JobFile, errors: &mut Vec<DefinitionError>) {
        let partials = file.partials.0.iter().map(|(name, _)| name);
        let measures = file.measures.0.iter().map(|(name, _)| name);
        let mut names = file.segments.iter().chain(partials).chain(measures);
        if let Some(name) = names.find(|name| name.value == CONTRIBUTIONS) {
            let message = format!("the name `{CONTRIBUTIONS}` has a meaning in `mode: recompute`");
            errors.push(self.at(name.referenced, message, Some("choose another".to_owned())));
        }
    }
}
