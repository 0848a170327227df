//! Encrypted connections. They need the feature `tls`.

use redis::{ConnectionAddr, ConnectionInfo};

use crate::job::Error;

/// Certificates in PEM form. By default the certificates of the system are trusted and no client
/// certificate is presented.
#[derive(Clone, Default)]
pub(crate) struct Certificates {
    /// The only trusted certificate.
    #[cfg(feature = "tls")]
    pub(crate) trusted: Option<Vec<u8>>,
    /// The client certificate and its private key.
    #[cfg(feature = "tls")]
    pub(crate) own: Option<(Vec<u8>, Vec<u8>)>,
}

impl Certificates {
    /// Adds the certificates to the connection settings of a URL that asks for encryption.
    pub(crate) fn add_to(&self, info: ConnectionInfo) -> Result<ConnectionInfo, Error> {
        match info.addr() {
            ConnectionAddr::TcpTls { .. } => self.encrypt(info),
            _ => Ok(info),
        }
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "there are no certificates without the feature")]
    fn encrypt(&self, _: ConnectionInfo) -> Result<ConnectionInfo, Error> {
        Err(Error::unsupported("TLS needs the feature `tls` of poolder"))
    }

    #[cfg(feature = "tls")]
    fn encrypt(&self, info: ConnectionInfo) -> Result<ConnectionInfo, Error> {
        // The Redis client panics without a crypto provider. A program that has installed one keeps
        // its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client_tls = self
            .own
            .clone()
            .map(|(client_cert, client_key)| redis::ClientTlsConfig { client_cert, client_key });
        let certificates = redis::TlsCertificates { client_tls, root_cert: self.trusted.clone() };
        redis::Client::build_with_tls(info, certificates)
            .map(|client| client.get_connection_info().clone())
            .map_err(|error| {
                Error::invalid(format!("the TLS certificates cannot be used: {error}"))
            })
    }
}
