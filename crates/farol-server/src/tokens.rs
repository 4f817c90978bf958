//! Who may ask: a file of names and secrets.
//!
//! ```text
//! # who reads the lake
//! grafana:correct-horse-battery-staple
//! analysts:…
//! ```
//!
//! The name is PostgreSQL's user and the secret its password (SCRAM-SHA-256); HTTP and Flight SQL take the secret as a
//! bearer token, Flight SQL also name and secret as a basic login.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::{Choice, ConstantTimeEq};

/// The shortest secret that is taken, in bytes: shorter ones are guessed.
const SECRET_BYTES_MIN: usize = 12;

/// Names and secrets of those who may ask. Clones share them.
#[derive(Clone)]
pub struct Tokens(Arc<BTreeMap<String, String>>);

// Secrets are not to be printed.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tokens").field(&self.0.keys()).finish()
    }
}

impl Tokens {
    /// Reads a file of tokens.
    ///
    /// # Errors
    /// Where it cannot be read, has a line that is not `name:secret`, or no token at all; in words for a person.
    pub fn read(path: &Path) -> Result<Self, String> {
        let wrong = |reason: String| format!("{}: {reason}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Self::parse(&text).map_err(wrong)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The line may be a secret: it is not repeated.
            let Some((name, secret)) = line.split_once(':') else {
                return Err(format!("line {number} is not name:secret"));
            };
            let (name, secret) = (name.trim(), secret.trim());
            if name.is_empty() {
                return Err(format!("line {number} has no name before the colon"));
            }
            if secret.len() < SECRET_BYTES_MIN {
                return Err(format!(
                    "line {number}: a secret has at least {SECRET_BYTES_MIN} characters"
                ));
            }
            if tokens.insert(name.to_owned(), secret.to_owned()).is_some() {
                return Err(format!("line {number}: `{name}` is there twice"));
            }
        }
        if tokens.is_empty() {
            return Err("there is no token; write lines of name:secret".to_owned());
        }
        Ok(Self(Arc::new(tokens)))
    }

    /// The secret of a name.
    pub(crate) fn secret(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whose secret this is. It takes the same time whatever the secret: all are compared, in full.
    pub(crate) fn owner(&self, secret: &str) -> Option<&str> {
        let mut owner = None;
        for (name, known) in self.0.iter() {
            let same: Choice = known.as_bytes().ct_eq(secret.as_bytes());
            if bool::from(same) {
                owner = Some(name.as_str());
            }
        }
        owner
    }

    /// Who an `Authorization` header is of: `Bearer secret`, or `Basic` with name and secret.
    pub(crate) fn authorized(&self, header: &str) -> Option<&str> {
        let (scheme, credentials) = header.split_once(' ')?;
        let credentials = credentials.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.owner(credentials);
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let (name, secret) = basic(credentials)?;
        self.owner(&secret).filter(|owner| *owner == name)
    }
}

/// Name and password of a basic login.
pub(crate) fn basic(credentials: &str) -> Option<(String, String)> {
    // Flight's own clients leave the padding out.
    let credentials = STANDARD_NO_PAD.decode(credentials.trim_end_matches('='));
    let text = String::from_utf8(credentials.ok()?).ok()?;
    let (name, secret) = text.split_once(':')?;
    Some((name.to_owned(), secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_file_of_tokens_is_read_and_mistakes_have_their_line() {
        let tokens =
            Tokens::parse("# all\n\ngrafana: a:secret-with-colons \nana:0123456789ab\n").unwrap();
        assert_eq!(tokens.secret("grafana"), Some("a:secret-with-colons"));
        for (text, beginning) in [
            ("", "there is no token"),
            ("# none\n", "there is no token"),
            ("a:0123456789ab\nnonsense\n", "line 2 is not"),
            (":0123456789ab", "line 1 has no name"),
            ("a:short", "line 1: a secret has"),
            (
                "a:0123456789ab\na:0123456789ac",
                "line 2: `a` is there twice",
            ),
        ] {
            let error = Tokens::parse(text).unwrap_err();
            assert!(error.starts_with(beginning), "{text:?}: {error}");
        }
        assert!(
            Tokens::read(Path::new("/nowhere/tokens"))
                .unwrap_err()
                .starts_with("/nowhere/tokens: ")
        );
    }

    #[test]
    fn headers_name_their_owner() {
        let tokens = Tokens::parse("ana:0123456789ab\nbea:ba9876543210").unwrap();
        assert_eq!(tokens.authorized("Bearer ba9876543210"), Some("bea"));
        assert_eq!(tokens.authorized("bearer 0123456789ab"), Some("ana"));
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(tokens.authorized(&basic("ana:0123456789ab")), Some("ana"));
        for header in [
            "Bearer 0123456789a".to_owned(),
            "Bearer 0123456789abc".to_owned(),
            "Bearer ".to_owned(),
            "Bearer".to_owned(),
            "Digest 0123456789ab".to_owned(),
            "Basic ???".to_owned(),
            basic("ana:ba9876543210"),
        ] {
            assert_eq!(tokens.authorized(&header), None, "{header}");
        }
        assert!(!format!("{tokens:?}").contains("0123456789ab"));
    }
}
