//! TLS by rustls: a certificate that can be replaced while connections go on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;

/// A server's certificate and key.
pub struct Certificate {
    current: Arc<Current>,
    files: Option<(PathBuf, PathBuf)>,
    config: Arc<ServerConfig>,
}

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(String, #[source] io::Error),
    /// The file is not what it should be.
    #[error("{0} holds no {1}: expected a PEM file that begins with -----BEGIN")]
    Missing(String, &'static str),
    /// The file is PEM of a wrong kind, or broken.
    #[error("{0} is not a usable PEM file: {1}")]
    Malformed(String, String),
    /// Certificate and key are of different pairs.
    #[error("{key} is not the key of the certificate in {certificate}: use the pair issued together")]
    Mismatch {
        /// Name of the certificate's source.
        certificate: String,
        /// Name of the key's source.
        key: String,
    },
    /// The key is of a kind that TLS does not use.
    #[error("{0} cannot be used with TLS: {1}")]
    Unusable(String, rustls::Error),
}

impl Certificate {
    /// Reads certificate and key from files.
    pub fn from_files(files: Tls<'_>) -> Result<Certificate, TlsError> {
        let pair = read_pair(files.certificate, files.key)?;
        let files = (files.certificate.to_owned(), files.key.to_owned());
        Certificate::new(pair, Some(files))
    }

    /// Takes certificate chain and key as PEM text.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Certificate, TlsError> {
        let pair = parse_pair((certificate, "the certificate"), (key, "the key"))?;
        Certificate::new(pair, None)
    }

    fn new(pair: CertifiedKey, files: Option<(PathBuf, PathBuf)>) -> Result<Certificate, TlsError> {
        let current = Arc::new(Current(RwLock::new(Arc::new(pair))));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Unusable("this build".to_owned(), error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Certificate { current, files, config: Arc::new(config) })
    }

    /// Reads the files again; connections that exist stay as they are. On an error the old
    /// certificate stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let Some((certificate, key)) = &self.files else {
            return Ok(());
        };
        let pair = Arc::new(read_pair(certificate, key)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
        Ok(())
    }

    /// What shakes hands with this certificate.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

fn read_pair(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|error| TlsError::Read(path.display().to_string(), error));
    parse_pair(
        (&read(certificate)?, &certificate.display().to_string()),
        (&read(key)?, &key.display().to_string()),
    )
}

/// Parses PEM texts, each given with its name for messages.
fn parse_pair(
    (certificate, certificate_name): (&[u8], &str),
    (key, key_name): (&[u8], &str),
) -> Result<CertifiedKey, TlsError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Malformed(certificate_name.to_owned(), error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::Missing(certificate_name.to_owned(), "certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
        PemError::NoItemsFound => TlsError::Missing(key_name.to_owned(), "private key"),
        other => TlsError::Malformed(key_name.to_owned(), other.to_string()),
    })?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::Mismatch { certificate: certificate_name.to_owned(), key: key_name.to_owned() }
        }
        other => TlsError::Unusable(key_name.to_owned(), other),
    })
}

/// The certificate in use, behind a lock that is held for a pointer's copy.
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current(…)")
    }
}
