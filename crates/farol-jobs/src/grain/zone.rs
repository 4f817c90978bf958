//! Time zones of the IANA database, and what their clocks read.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Offset as _, TimeZone as _};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};
use serde::{Deserialize, Deserializer};

/// Clocks are sampled from 1973, when the last zone had left its local mean time, to 2100.
const SAMPLED: (i64, i64) = (94_694_400, 4_102_444_800);

/// Half the shortest time for which a zone has changed its clock since 1973.
const SAMPLE_SECONDS: i64 = 10 * 86_400;

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeZone(Tz);

impl TimeZone {
    /// Universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// Whether it is universal time.
    pub fn is_utc(self) -> bool {
        self == Self::UTC
    }

    /// How many seconds its clock is ahead of UTC at an instant.
    pub fn offset_at(self, second: i64) -> Option<i64> {
        let instant = DateTime::from_timestamp(second, 0)?.naive_utc();
        let offset = self.0.offset_from_utc_datetime(&instant).fix();
        Some(i64::from(offset.local_minus_utc()))
    }

    /// The first instant at which its clock reads a time or later.
    pub(super) fn first_reading(self, local: i64) -> Option<i64> {
        let read = DateTime::from_timestamp(local, 0)?.naive_utc();
        let first = match self.0.from_local_datetime(&read).earliest() {
            Some(instant) => instant,
            // The clock was put forward over it.
            None => GapInfo::new(&read, &self.0)?.end?,
        };
        Some(first.timestamp())
    }

    /// Where windows of so many seconds begin by its clock, as seconds after their multiples since the epoch; `None`
    /// where changes of the clock move that.
    pub(super) fn phase(self, seconds: i64) -> Option<i64> {
        let (from, to) = SAMPLED;
        let phase_at = |second| Some((-self.offset_at(second)?).rem_euclid(seconds));
        let phase = phase_at(from)?;
        let mut sampled = (from..to).step_by(SAMPLE_SECONDS as usize);
        sampled
            .all(|second| phase_at(second) == Some(phase))
            .then_some(phase)
    }
}

impl Default for TimeZone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl FromStr for TimeZone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            let near = |name: &str| {
                strsim::levenshtein(&text.to_ascii_lowercase(), &name.to_ascii_lowercase())
            };
            let nearest = TZ_VARIANTS.iter().min_by_key(|zone| near(zone.name()));
            let nearest = nearest.filter(|zone| near(zone.name()) <= 1 + text.len() / 4);
            let help = match nearest {
                Some(zone) => format!("did you mean `{}`?", zone.name()),
                None => "write a name of the IANA database, such as `Europe/London`".to_owned(),
            };
            format!("`{text}` is not a time zone; {help}")
        })
    }
}

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
