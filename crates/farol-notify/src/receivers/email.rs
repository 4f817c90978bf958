//! E-mail by SMTP. TLS is required, with STARTTLS or from the first byte; a recovery refers to the mail of its incident.

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use super::Receipt;
use crate::alert::cut;
use crate::guard;
use crate::notification::Notification;
use crate::retry::Failure;
use crate::secret::Secret;
use crate::settings::{EmailSettings, Encryption};
use crate::template::Words;

/// Bytes of a server's words that are told.
const REASON_BYTES_MAX: usize = 300;

/// Recipients of one receiver.
const RECIPIENTS_MAX: usize = 50;

/// People with addresses.
pub(super) struct Email {
    host: String,
    port: u16,
    encryption: Encryption,
    tls: TlsParameters,
    credentials: Option<(String, Secret)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    timeout: Duration,
    allow_private: bool,
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Email({}:{})", self.host, self.port)
    }
}

impl Email {
    pub fn new(
        settings: &EmailSettings,
        timeout: Duration,
        authorities: Option<&[u8]>,
        allow_private: bool,
    ) -> Result<Self, (&'static str, String)> {
        let mailbox = |key, text: &String| {
            let parsed = text.parse::<Mailbox>();
            parsed.map_err(|error| (key, format!("`{text}` is not an address: {error}")))
        };
        let from = mailbox("email.from", &settings.from)?;
        let to = settings.to.iter().map(|text| mailbox("email.to", text));
        let to = to.collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() || to.len() > RECIPIENTS_MAX {
            return Err((
                "email.to",
                format!("it names 1 to {RECIPIENTS_MAX} addresses"),
            ));
        }
        let credentials = match (&settings.username, &settings.password) {
            (Some(username), Some(password)) => Some((username.clone(), password.clone())),
            (None, None) => None,
            _ => {
                let reason = "username and password go together".to_owned();
                return Err(("email.username", reason));
            }
        };
        let mut tls = TlsParameters::builder(settings.host.clone());
        if let Some(pem) = authorities {
            let certificate = Certificate::from_pem(pem);
            let certificate = certificate.map_err(|error| ("ca_file", error.to_string()))?;
            tls = tls.add_root_certificate(certificate);
        }
        let tls = tls
            .build_rustls()
            .map_err(|error| ("email", error.to_string()))?;
        let port = settings.port.unwrap_or(match settings.encryption {
            Encryption::Starttls => 587,
            Encryption::Implicit => 465,
        });
        Ok(Self {
            host: settings.host.clone(),
            port,
            encryption: settings.encryption,
            tls,
            credentials,
            from,
            to,
            timeout,
            allow_private,
        })
    }

    pub async fn send(
        &self,
        notification: &Notification,
        words: &Words,
        thread: Option<&str>,
    ) -> Result<Receipt, Failure> {
        let id = format!("<{}@{}>", notification.id, self.from.email.domain());
        let message = self.message(notification, words, &id, thread)?;
        let attempt = tokio::time::timeout(self.timeout, self.deliver(message)).await;
        attempt.unwrap_or_else(|_| Err(temporary("no answer in time")))?;
        Ok(Receipt { thread: Some(id) })
    }

    fn message(
        &self,
        notification: &Notification,
        words: &Words,
        id: &str,
        thread: Option<&str>,
    ) -> Result<Message, Failure> {
        let sealed = Duration::from_millis(notification.sealed_ms.max(0).unsigned_abs());
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(words.title.clone())
            .date(UNIX_EPOCH + sealed)
            .message_id(Some(id.to_owned()))
            // No answer by a machine is wanted.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        if let Some(first) = thread {
            builder = builder
                .in_reply_to(first.to_owned())
                .references(first.to_owned());
        }
        builder
            .body(words.text.clone())
            .map_err(|error| Failure::Refused {
                reason: format!("the mail cannot be written: {error}"),
            })
    }

    async fn deliver(&self, message: Message) -> Result<(), Failure> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let found = found.map_err(|error| temporary(format!("{}: {error}", self.host)))?;
        let allowed = guard::allowed(&self.host, found, self.allow_private);
        let allowed = allowed.map_err(|private| Failure::Refused {
            reason: private.to_string(),
        })?;
        // Connected by the address that was looked at; the certificate is that of the name.
        let mut failure = temporary(format!("{} has no address", self.host));
        for address in allowed {
            let tls = match self.encryption {
                Encryption::Starttls => Tls::Required(self.tls.clone()),
                Encryption::Implicit => Tls::Wrapper(self.tls.clone()),
            };
            let server = address.ip().to_string();
            let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server)
                .port(self.port)
                .tls(tls)
                .timeout(Some(self.timeout));
            if let Some((username, password)) = &self.credentials {
                let password = password.reveal().to_owned();
                transport = transport.credentials(Credentials::new(username.clone(), password));
            }
            match transport
                .build::<Tokio1Executor>()
                .send(message.clone())
                .await
            {
                Ok(_) => return Ok(()),
                Err(error) => {
                    failure = self.failure(&error);
                    // Another address would hear and say the same.
                    if error.is_permanent() || error.is_transient() {
                        return Err(failure);
                    }
                }
            }
        }
        Err(failure)
    }

    fn failure(&self, error: &SmtpError) -> Failure {
        let mut said = error.to_string();
        if let Some((_, password)) = &self.credentials {
            said = password.redact(&said);
        }
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let reason = cut(&format!("{}: {said}", self.host), REASON_BYTES_MAX);
        if error.is_permanent() {
            Failure::Refused { reason }
        } else {
            Failure::Temporary {
                reason,
                after: None,
            }
        }
    }
}

fn temporary(reason: impl Into<String>) -> Failure {
    Failure::Temporary {
        reason: reason.into(),
        after: None,
    }
}
