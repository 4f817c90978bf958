//! A webhook after the Standard Webhooks specification: JSON, an id, a time, and a signature over all three.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::Receipt;
use super::http::{self, Client, Target};
use crate::notification::Notification;
use crate::retry::Failure;
use crate::secret::Secret;
use crate::settings::WebhookSettings;
use crate::template::Words;

/// Before a key in base64.
const PREFIX: &str = "whsec_";

/// Bytes that a key has.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A webhook.
#[derive(Debug)]
pub(super) struct Webhook {
    client: Client,
    url: Target,
    settings: WebhookSettings,
    keys: Vec<Key>,
}

struct Key(Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl Webhook {
    pub fn new(settings: &WebhookSettings, client: Client) -> Result<Self, (&'static str, String)> {
        let url = client.target(settings.url.reveal());
        let url = url.map_err(|reason| ("webhook.url", reason))?;
        let keys = [
            ("webhook.secret", &settings.secret),
            ("webhook.previous_secret", &settings.previous_secret),
        ];
        let keys = keys
            .into_iter()
            .filter_map(|(place, secret)| Some((place, secret.as_ref()?)))
            .map(|(place, secret)| key(secret).map_err(|reason| (place, reason)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            client,
            url,
            settings: settings.clone(),
            keys,
        })
    }

    pub async fn send(
        &self,
        notification: &Notification,
        words: &Words,
        now_ms: i64,
    ) -> Result<Receipt, Failure> {
        // The same bytes whenever it is sent again: the time is that of the notification.
        let body = json!({
            "type": format!("farol.notification.{}", notification.status.as_str()),
            "timestamp": rfc3339(notification.sealed_ms),
            "data": {
                "title": words.title,
                "text": words.text,
                "notification": notification,
            },
        });
        let body = body.to_string().into_bytes();
        let seconds = now_ms.div_euclid(1_000);
        let mut request = self
            .client
            .post(&self.url, body.clone())
            .header("webhook-id", &notification.id)
            .header("webhook-timestamp", seconds);
        if !self.keys.is_empty() {
            let keys = self.keys.iter().map(|key| key.0.as_slice());
            let signature = signature(keys, &notification.id, seconds, &body);
            request = request.header("webhook-signature", signature);
        }
        let settings = &self.settings;
        if let Some(token) = &settings.bearer_token {
            request = request.bearer_auth(token.reveal());
        }
        let secrets = [
            &settings.secret,
            &settings.previous_secret,
            &settings.bearer_token,
        ];
        let mut secrets: Vec<&Secret> = secrets.into_iter().flatten().collect();
        secrets.push(&settings.url);
        http::send(request, &secrets).await?;
        Ok(Receipt::default())
    }
}

/// The value of `webhook-signature`: HMAC-SHA256 over `id.timestamp.body` with each key, separated by spaces.
pub fn signature<'a>(
    keys: impl Iterator<Item = &'a [u8]>,
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> String {
    let signed = keys.filter_map(|key| {
        // A key of any length is one; the error cannot come.
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Some(format!(
            "v1,{}",
            STANDARD.encode(mac.finalize().into_bytes())
        ))
    });
    signed.collect::<Vec<_>>().join(" ")
}

fn key(secret: &Secret) -> Result<Key, String> {
    let text = secret.reveal();
    let bytes = match text.strip_prefix(PREFIX) {
        Some(encoded) => STANDARD
            .decode(encoded)
            .map_err(|_| format!("what follows {PREFIX} is not base64"))?,
        None => text.as_bytes().to_vec(),
    };
    if KEY_BYTES.contains(&bytes.len()) {
        return Ok(Key(bytes));
    }
    let (least, most) = (KEY_BYTES.start(), KEY_BYTES.end());
    Err(format!(
        "a key has {least} to {most} bytes, this one {}",
        bytes.len()
    ))
}

fn rfc3339(ms: i64) -> Option<String> {
    let time = chrono::DateTime::from_timestamp_millis(ms)?;
    Some(time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // Computed with Python's hmac over the same bytes.
        let key = key(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signed = signature(
            std::iter::once(key.0.as_slice()),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn keys_that_are_too_short_are_refused_and_not_repeated() {
        let error = key(&Secret::new("hunter2")).unwrap_err();
        assert_eq!(error, "a key has 24 to 64 bytes, this one 7");
        let error = key(&Secret::new("whsec_%%%")).unwrap_err();
        assert!(!error.contains("%%%"), "{error}");
    }
}
