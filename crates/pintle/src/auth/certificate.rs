//! X.509 certificates with which applications prove who they are. Nobody's signature on one is asked
//! for: the administrator who registers it vouches for it, as elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use pintle_model::Time;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

/// A certificate of an RSA key.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Vec<u8>,
    not_before: Time,
    not_after: Time,
    /// PKCS#1.
    key: Vec<u8>,
}

/// Why something is no certificate that can be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Neither PEM nor DER.
    #[error("it is no X.509 certificate in PEM or DER")]
    Unreadable,
    /// Entra's clients sign with RSA alone.
    #[error("its key is not an RSA key of 2,048 to 8,192 bits")]
    Key,
}

impl Certificate {
    /// Reads the first certificate of a PEM file, or one in DER.
    pub fn read(bytes: &[u8]) -> Result<Certificate, CertificateError> {
        match CertificateDer::from_pem_slice(bytes) {
            Ok(der) => Certificate::from_der(&der),
            Err(_) => Certificate::from_der(bytes),
        }
    }

    /// Reads one in DER.
    pub fn from_der(der: &[u8]) -> Result<Certificate, CertificateError> {
        let (rest, read) = X509Certificate::from_der(der).map_err(|_| CertificateError::Unreadable)?;
        if !rest.is_empty() {
            return Err(CertificateError::Unreadable);
        }
        let key = read.public_key();
        let is_long_enough = match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => (2_048..=8_192).contains(&rsa.key_size()),
            _ => false,
        };
        if !is_long_enough {
            return Err(CertificateError::Key);
        }
        let time = |time: x509_parser::time::ASN1Time| Time::from_unix_seconds(time.timestamp());
        Ok(Certificate {
            not_before: time(read.validity().not_before),
            not_after: time(read.validity().not_after),
            key: key.subject_public_key.data.to_vec(),
            der: der.to_vec(),
        })
    }

    /// The whole of it.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// When it ends.
    pub fn not_after(&self) -> Time {
        self.not_after
    }

    /// Whether it counts at this time.
    pub fn counts(&self, now: Time) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// Its SHA-1 in upper-case hex: the name by which administrators know it.
    pub fn thumbprint(&self) -> String {
        let sha1 = Sha1::digest(&self.der);
        sha1.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// The `x5t` that names it.
    pub(super) fn x5t(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha1::digest(&self.der))
    }

    /// The `x5t#S256` that names it.
    pub(super) fn x5t_s256(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.der))
    }

    /// What verifies its key's signatures.
    pub(super) fn key(&self) -> DecodingKey {
        DecodingKey::from_rsa_der(&self.key)
    }
}
