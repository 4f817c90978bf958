//! Who a client is: anybody where there are no tokens, else a name and its secret, by SCRAM-SHA-256.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion_postgres::pgwire::api::auth::sasl::SASLAuthStartupHandler;
use datafusion_postgres::pgwire::api::auth::sasl::scram::{
    SCRAM_ITERATIONS, ScramAuth, gen_salted_password, random_nonce,
};
use datafusion_postgres::pgwire::api::auth::{
    AuthSource, DefaultServerParameterProvider, LoginInfo, Password, ServerParameterProvider,
    StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use datafusion_postgres::pgwire::api::{
    ClientInfo, ConnectionGuard, ConnectionHandle, ConnectionManager, PidSecretKeyGenerator,
    RandomPidSecretKeyGenerator,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use futures::Sink;

use crate::tokens::Tokens;

/// The version of PostgreSQL whose dialect and tables clients find here.
pub(super) const SERVER_VERSION: &str = "16.6";

/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// What a login is checked against. Clones share it.
#[derive(Clone)]
pub(super) struct Logins {
    passwords: Option<Arc<Passwords>>,
    keys: Arc<RandomPidSecretKeyGenerator>,
}

impl Logins {
    pub fn new(tokens: Option<&Tokens>) -> Self {
        Self {
            passwords: tokens.map(|tokens| Arc::new(Passwords::new(tokens.clone()))),
            keys: Arc::default(),
        }
    }
}

/// Salted passwords. A name that is not known has a salt too, always the same one, so that asking does not tell which
/// names there are.
struct Passwords {
    tokens: Tokens,
    /// Of this process alone, and told to nobody.
    seed: String,
}

impl Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Passwords").field(&self.tokens).finish()
    }
}

impl Passwords {
    fn new(tokens: Tokens) -> Self {
        Self {
            tokens,
            seed: random_nonce(),
        }
    }

    fn of(&self, user: &str) -> Password {
        let mut salt = gen_salted_password(user, self.seed.as_bytes(), 1);
        salt.truncate(SALT_BYTES);
        // A secret that nobody can know: the work is the same, and the answer is no.
        let nobody = random_nonce();
        let secret = self.tokens.secret(user).unwrap_or(&nobody);
        let salted = gen_salted_password(secret, &salt, SCRAM_ITERATIONS);
        Password::new(Some(salt), salted)
    }
}

#[async_trait]
impl AuthSource for Passwords {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        Ok(self.of(login.user().unwrap_or_default()))
    }
}

/// What clients are told of the server.
#[derive(Debug)]
pub(super) struct Parameters(DefaultServerParameterProvider);

impl Default for Parameters {
    fn default() -> Self {
        let mut parameters = DefaultServerParameterProvider::default();
        parameters.server_version =
            format!("{SERVER_VERSION} (Farol {})", env!("CARGO_PKG_VERSION"));
        "UTC".clone_into(&mut parameters.time_zone);
        parameters.is_superuser = false;
        parameters.default_transaction_read_only = true;
        Self(parameters)
    }
}

impl ServerParameterProvider for Parameters {
    fn server_parameters<C: ClientInfo>(&self, client: &C) -> Option<HashMap<String, String>> {
        self.0.server_parameters(client)
    }
}

/// One connection's login.
pub(super) enum Startup {
    Open {
        manager: Arc<ConnectionManager>,
        keys: Arc<RandomPidSecretKeyGenerator>,
    },
    Scram(Box<SASLAuthStartupHandler<Parameters>>),
}

impl Startup {
    pub fn new(logins: &Logins, manager: Arc<ConnectionManager>) -> Self {
        let Some(passwords) = &logins.passwords else {
            return Self::Open {
                manager,
                keys: logins.keys.clone(),
            };
        };
        let handler = SASLAuthStartupHandler::new(Arc::new(Parameters::default()))
            .with_scram(ScramAuth::new(passwords.clone()))
            .with_pid_secret_key_generator(logins.keys.clone())
            .with_connection_manager(manager);
        Self::Scram(Box::new(handler))
    }
}

#[async_trait]
impl StartupHandler for Startup {
    async fn on_startup<C>(
        &self,
        client: &mut C,
        message: PgWireFrontendMessage,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let (manager, keys) = match self {
            Self::Scram(handler) => return handler.on_startup(client, message).await,
            Self::Open { manager, keys } => (manager, keys),
        };
        let PgWireFrontendMessage::Startup(startup) = message else {
            return Err(PgWireError::InvalidStartupMessage);
        };
        protocol_negotiation(client, &startup).await?;
        save_startup_parameters_to_metadata(client, &startup);
        let (pid, key) = keys.generate(client);
        client.set_pid_and_secret_key(pid, key.clone());
        let (handle, guard) = manager.register(pid, key);
        client
            .session_extensions()
            .insert::<Arc<ConnectionHandle>>(handle);
        client.session_extensions().insert::<ConnectionGuard>(guard);
        finish_authentication(client, &Parameters::default()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_known_looks_like_who_is() {
        let passwords = Passwords::new(Tokens::parse("ana:0123456789ab").unwrap());
        let (ana, other) = (passwords.of("ana"), passwords.of("other"));
        assert_eq!(ana.salt().unwrap().len(), SALT_BYTES);
        assert_eq!(other.salt().unwrap().len(), SALT_BYTES);
        assert_eq!(passwords.of("ana").password(), ana.password());
        assert_eq!(passwords.of("other").salt(), other.salt());
        assert_ne!(passwords.of("other").password(), other.password());
        assert_ne!(ana.salt(), other.salt());
        assert_ne!(
            Passwords::new(passwords.tokens.clone()).of("ana").salt(),
            ana.salt()
        );
    }
}
