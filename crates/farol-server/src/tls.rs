//! TLS: one certificate for all ways in.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate with its key. Clones share them.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

// The key is not to be printed.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads a certificate (with its chain, the server's own first) and its private key, both PEM.
    ///
    /// # Errors
    /// Where one of them cannot be read or they do not belong together, in words for a person.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, String> {
        let at = |path: &Path, error: &dyn fmt::Display| format!("{}: {error}", path.display());
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| at(certificate, &error))?;
        if chain.is_empty() {
            return Err(at(certificate, &"there is no certificate in it"));
        }
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| at(key, &error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(chain, private)
            })
            .map_err(|error| {
                format!("{} with {}: {error}", certificate.display(), key.display())
            })?;
        Ok(Self(Arc::new(config)))
    }

    /// Accepts connections of one protocol, by its name in ALPN.
    pub(crate) fn acceptor(&self, protocol: &str) -> TlsAcceptor {
        let mut config = ServerConfig::clone(&self.0);
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}
