//! A throwaway certificate authority, and the server's certificate by it.
//!
//! The certificate covers names that belong to others ([`super::hosts`]), so the authority must
//! not be able to sign a second one: its key never leaves this module and is gone when the
//! function returns. Both are valid for a week.

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use super::hosts;

const VALID_DAYS: i64 = 7;

/// What a TLS listener needs and what a client must trust, as PEM.
pub struct Identity {
    /// The certificate authority: for the clients.
    pub authority: String,
    /// The server's certificate.
    pub certificate: String,
    /// The server's private key.
    pub key: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// Makes both, valid from a day before `now`, since clocks differ.
pub fn make(now: Timestamp) -> Result<Identity, rcgen::Error> {
    // The marks that strict verifiers want (RFC 5280, and Python's VERIFY_X509_STRICT): a critical
    // key usage on both, the subject's key id on the authority and the authority's on the server.
    let mut authority = params(now, "pintle dev throwaway CA", Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let names = hosts::LOCAL.iter().chain(hosts::SIGN_IN).chain(hosts::API);
    let mut server = params(now, "pintle dev", names.map(ToString::to_string).collect())?;
    server.is_ca = IsCa::ExplicitNoCa;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &authority)?;
    Ok(Identity { authority: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
}

fn params(now: Timestamp, name: &str, names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let day = |days: i64| {
        let date = now.to_zoned(TimeZone::UTC).date().saturating_add(days.days());
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    let mut params = CertificateParams::new(names)?;
    params.not_before = day(-1);
    params.not_after = day(VALID_DAYS);
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

    use super::*;

    /// Shakes hands in memory and says why not, if not.
    fn shake_hands(identity: &Identity, host: &str) -> Result<(), rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(identity.authority.as_bytes()).unwrap())?;
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut server = rustls::ServerConnection::new(Arc::new(server))?;
        let mut client =
            rustls::ClientConnection::new(Arc::new(client), ServerName::try_from(host.to_owned()).unwrap())?;
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut &wire[..]).unwrap();
            server.process_new_packets()?;
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut &wire[..]).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn a_tls_client_that_trusts_the_authority_accepts_every_name() {
        let identity = make(Timestamp::now()).unwrap();
        for host in hosts::LOCAL.iter().chain(hosts::SIGN_IN).chain(hosts::API) {
            shake_hands(&identity, host).unwrap_or_else(|error| panic!("{host}: {error}"));
        }
        assert!(shake_hands(&identity, "www.example.org").is_err());
    }

    #[test]
    fn another_runs_authority_is_not_trusted_and_a_week_is_the_end() {
        let (one, other) = (make(Timestamp::now()).unwrap(), make(Timestamp::now()).unwrap());
        let mixed = Identity { authority: other.authority, ..one };
        assert!(shake_hands(&mixed, "localhost").is_err());
        let old = make(Timestamp::now() - (9 * 24).hours()).unwrap();
        assert!(shake_hands(&old, "localhost").is_err());
    }
}
