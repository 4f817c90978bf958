//! Text that must never be printed: tokens, keys, passwords, and URLs that are keys by themselves.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// A secret. Neither `Debug` nor `Display` shows it; [`Secret::reveal`] is for the request that needs it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the receiver that it belongs to.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A text with this secret blotted out: what a receiver answers may repeat what it was sent.
    pub fn redact(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        text.replace(&self.0, "(secret)")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "(secret)");
        assert_eq!(
            secret.redact("no such key hunter2."),
            "no such key (secret)."
        );
        assert_eq!(Secret::new("").redact("text"), "text");
    }
}
