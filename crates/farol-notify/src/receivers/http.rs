//! One HTTP request: guarded, bounded in time and size, never redirected, and told without secrets.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, RequestBuilder, StatusCode};
use url::{Host, Url};

use crate::alert::cut;
use crate::guard::{self, PrivateTarget};
use crate::retry::Failure;
use crate::secret::Secret;

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// Bytes of an answer that are told.
const REASON_BYTES_MAX: usize = 300;

/// Where requests go. A path may be a key, so only the host is shown.
pub(super) struct Target(Url);

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.0.host_str().unwrap_or("-"))
    }
}

/// A client for one receiver.
#[derive(Debug)]
pub(super) struct Client {
    inner: reqwest::Client,
    allow_private: bool,
}

impl Client {
    pub fn new(
        timeout: Duration,
        authorities: Option<&[u8]>,
        allow_private: bool,
    ) -> Result<Self, (&'static str, String)> {
        let mut builder = reqwest::Client::builder()
            .use_rustls_tls()
            // A redirect leads where nobody has looked; a proxy of the environment would look for us.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(timeout)
            .connect_timeout(timeout)
            .https_only(!allow_private)
            .user_agent(concat!("farol/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Resolver { allow_private }));
        if let Some(pem) = authorities {
            let certificates = Certificate::from_pem_bundle(pem);
            for certificate in certificates.map_err(|error| ("ca_file", error.to_string()))? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let inner = builder.build().map_err(|error| ("", told(&error)))?;
        Ok(Self {
            inner,
            allow_private,
        })
    }

    /// A target, checked as far as it can be before its name is resolved. The text may be a secret, so no error repeats
    /// it.
    pub fn target(&self, url: &str) -> Result<Target, String> {
        let url = Url::parse(url).map_err(|error| format!("it is not a URL: {error}"))?;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_private => {}
            "http" => {
                return Err(
                    "plain http is for private targets only: write https, or allow_private_targets"
                        .to_owned(),
                );
            }
            other => return Err(format!("`{other}` is neither https nor http")),
        }
        let address = match url.host() {
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            None => return Err("it names no host".to_owned()),
        };
        match address {
            Some(address) if !self.allow_private && !guard::is_public(address) => {
                Err(PrivateTarget {
                    host: address.to_string(),
                }
                .to_string())
            }
            _ => Ok(Target(url)),
        }
    }

    pub fn post(&self, target: &Target, body: Vec<u8>) -> RequestBuilder {
        self.inner
            .post(target.0.clone())
            .header("content-type", "application/json")
            .body(body)
    }
}

/// Sends a request; gives what was answered with 2xx. `secrets` are blotted out of what the receiver says.
pub(super) async fn send(request: RequestBuilder, secrets: &[&Secret]) -> Result<Vec<u8>, Failure> {
    let mut response = request.send().await.map_err(|error| failure(&error))?;
    let status = response.status();
    let after = retry_after(response.headers());
    let mut answer = Vec::new();
    while answer.len() < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => answer.extend_from_slice(&chunk),
            Ok(None) => break,
            // It said 2xx, which is all that is asked for.
            Err(_) if status.is_success() => break,
            Err(error) => return Err(failure(&error)),
        }
    }
    if status.is_success() {
        return Ok(answer);
    }
    let said = String::from_utf8_lossy(&answer);
    let said = secrets
        .iter()
        .fold(said.into_owned(), |said, secret| secret.redact(&said));
    Err(refusal(status, &said, after))
}

/// What an answer other than 2xx means.
fn refusal(status: StatusCode, said: &str, after: Option<Duration>) -> Failure {
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = cut(&said, REASON_BYTES_MAX);
    let mut reason = format!("the receiver answered {status}");
    if !said.is_empty() {
        reason = format!("{reason}: {said}");
    }
    let is_temporary = status.is_server_error()
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS;
    if is_temporary {
        Failure::Temporary { reason, after }
    } else if status.is_redirection() {
        let reason = format!("{reason}; redirects are not followed: configure where it leads");
        Failure::Refused { reason }
    } else {
        Failure::Refused { reason }
    }
}

/// `Retry-After`, in seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    (until.to_utc() - chrono::Utc::now()).to_std().ok()
}

/// No answer at all.
fn failure(error: &reqwest::Error) -> Failure {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(private) = cause.downcast_ref::<PrivateTarget>() {
            return Failure::Refused {
                reason: private.to_string(),
            };
        }
        source = cause.source();
    }
    Failure::Temporary {
        reason: told(error),
        after: None,
    }
}

/// The error and its causes, without the URL, which may be a secret.
fn told(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connect() {
        "no connection".to_owned()
    } else {
        "no answer".to_owned()
    };
    // Of the causes only the innermost says more than "client error".
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(|cause| cause.source()) {
        cause = Some(inner);
    }
    if let Some(cause) = cause.filter(|_| !error.is_timeout()) {
        text = format!("{text}: {cause}");
    }
    cut(&text, REASON_BYTES_MAX)
}

/// Resolves names, and leaves out addresses that are not allowed.
struct Resolver {
    allow_private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = guard::allowed(name.as_str(), found, allow_private)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, allow_private: bool) -> Result<Target, String> {
        let client = Client::new(Duration::from_secs(1), None, allow_private).unwrap();
        client.target(url)
    }

    #[test]
    fn targets_are_checked_without_repeating_them() {
        assert!(target("https://hooks.example/T0/SECRET", false).is_ok());
        for (url, said) in [
            ("https://10.0.0.1/SECRET", "10.0.0.1 is a loopback"),
            ("https://[::1]/SECRET", "::1 is a loopback"),
            // What the URL standard reads as 127.0.0.1.
            ("https://0x7f.1/SECRET", "127.0.0.1 is a loopback"),
            ("http://hooks.example/SECRET", "plain http"),
            ("ftp://hooks.example/SECRET", "neither https nor http"),
            ("SECRET", "not a URL"),
        ] {
            let error = target(url, false).unwrap_err();
            assert!(
                error.contains(said) && !error.contains("SECRET"),
                "{url}: {error}"
            );
        }
        assert!(target("http://127.0.0.1:1/", true).is_ok());
    }

    #[test]
    fn answers_are_temporary_or_refusals() {
        let is_temporary = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            matches!(refusal(status, "", None), Failure::Temporary { .. })
        };
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(is_temporary(status), "{status}");
        }
        for status in [301, 307, 400, 401, 403, 404, 410, 413, 422] {
            assert!(!is_temporary(status), "{status}");
        }
    }

    #[test]
    fn the_receivers_word_on_when_to_come_back_is_read() {
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(headers("17"), Some(Duration::from_secs(17)));
        assert_eq!(headers("soon"), None);
        assert_eq!(headers("Wed, 21 Oct 2015 07:28:00 GMT"), None);
        assert!(headers("Fri, 21 Oct 2095 07:28:00 GMT").is_some());
    }
}
