//! Client assertions (RFC 7523): a JWT with which an application proves that it has the key of a
//! certificate, as Entra's client libraries make them.

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use pintle_model::Time;
use serde::Deserialize;
use uuid::Uuid;

use super::certificate::Certificate;

/// The only kind of assertion that a client sends.
pub const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Longer ones are refused unread. With a chain of certificates in its header one has 8 KB.
const MAX_BYTES: usize = 32 * 1024;

/// Clocks may differ by this much, in seconds.
const LEEWAY: f64 = 300.0;

/// Nobody is trusted for longer at once, in seconds. Client libraries ask for ten minutes.
const MAX_LIFETIME: f64 = 24.0 * 3600.0;

/// An assertion whose header was read.
pub struct Assertion<'a> {
    text: &'a str,
    header: Header,
    /// The names that this server has as the one to be convinced.
    audiences: &'a [String],
    /// Verified with where no certificate is known, so that this takes as long.
    decoy: &'a DecodingKey,
}

/// Times are seconds since 1970; MSAL for Python sends them with a fraction.
#[derive(Deserialize)]
struct Claims {
    aud: String,
    iss: Uuid,
    sub: Uuid,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    iat: Option<f64>,
}

impl<'a> Assertion<'a> {
    /// Reads its header. `None`: it is no JWT, or is not signed as client libraries do.
    pub fn read(text: &'a str, audiences: &'a [String], decoy: &'a DecodingKey) -> Option<Assertion<'a>> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let header = decode_header(text).ok()?;
        let is_known = matches!(header.alg, Algorithm::RS256 | Algorithm::PS256) && header.crit.is_none();
        is_known.then_some(Assertion { text, header, audiences, decoy })
    }

    /// Whether it says that it is signed with this certificate's key.
    pub(super) fn names(&self, certificate: &Certificate) -> bool {
        match (&self.header.x5t_s256, &self.header.x5t) {
            (Some(name), _) => plain(name) == certificate.x5t_s256(),
            (None, Some(name)) => plain(name) == certificate.x5t(),
            (None, None) => false,
        }
    }

    /// Whether the application of this id made it with this certificate's key, for this server and for
    /// this time.
    pub(super) fn proves(&self, id: Uuid, certificate: Option<&Certificate>, now: Time) -> bool {
        let mut validation = Validation::new(self.header.alg);
        validation.set_required_spec_claims(&["exp", "iss", "sub", "aud"]);
        // Checked below, against our own clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let key = certificate.map(Certificate::key);
        let claims = decode::<Claims>(self.text, key.as_ref().unwrap_or(self.decoy), &validation);
        let (Ok(read), Some(certificate)) = (claims, certificate) else { return false };
        let Claims { aud, iss, sub, exp, nbf, iat } = read.claims;
        let seconds = now.unix_seconds() as f64;
        let from = nbf.into_iter().chain(iat).fold(seconds, f64::max);
        let is_for_us = self
            .audiences
            .iter()
            .any(|ours| ours.trim_end_matches('/').eq_ignore_ascii_case(aud.trim_end_matches('/')));
        iss == id
            && sub == id
            && is_for_us
            && seconds < exp + LEEWAY
            && from - seconds <= LEEWAY
            && exp - seconds <= MAX_LIFETIME
            && certificate.counts(now)
    }
}

/// Some libraries pad the thumbprint.
fn plain(thumbprint: &str) -> &str {
    thumbprint.trim_end_matches('=')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jsonwebtoken::EncodingKey;
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
    use serde_json::{Value, json};

    use super::*;
    use crate::auth::application::Application;
    use crate::auth::certificate::CertificateError;
    use crate::auth::control::Control;
    use crate::auth::permission::Permissions;

    const ENDPOINT: &str = "https://pintle.example.org/default/oauth2/v2.0/token";

    struct Holder {
        certificate: Certificate,
        key: EncodingKey,
    }

    /// A certificate from the first day of 2026 to that of 2027.
    fn holder() -> Holder {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        Holder {
            certificate: Certificate::read(certificate.pem().as_bytes()).unwrap(),
            key: EncodingKey::from_rsa_pem(key.serialize_pem().as_bytes()).unwrap(),
        }
    }

    fn now() -> Time {
        Time::parse("2026-06-01T00:00:00Z").unwrap()
    }

    fn claims(id: Uuid) -> Value {
        let now = now().unix_seconds();
        json!({"aud": ENDPOINT, "iss": id, "sub": id, "jti": "1", "iat": now, "nbf": now, "exp": now + 600})
    }

    fn signed(holder: &Holder, alg: Algorithm, by_sha1: bool, claims: &Value) -> String {
        let mut header = Header::new(alg);
        if by_sha1 {
            header.x5t = Some(holder.certificate.x5t());
        } else {
            header.x5t_s256 = Some(holder.certificate.x5t_s256());
        }
        jsonwebtoken::encode(&header, claims, &holder.key).unwrap()
    }

    struct House {
        _folder: tempfile::TempDir,
        control: Control,
        application: std::sync::Arc<Application>,
        decoy: DecodingKey,
    }

    impl House {
        fn new(holder: &Holder) -> House {
            let folder = tempfile::tempdir().unwrap();
            let control = Control::open(folder.path()).unwrap();
            let tenant = control.tenant("default").unwrap().id;
            let (application, _) =
                control.create_application(tenant, "soar", Permissions::default(), now()).unwrap();
            control.add_certificate(application.id, &holder.certificate, now()).unwrap();
            House { _folder: folder, control, application, decoy: self::holder().certificate.key() }
        }

        fn is_let_in(&self, text: &str, id: Uuid, at: Time) -> bool {
            let ours = [ENDPOINT.to_owned(), "https://pintle.example.org/tid/".to_owned()];
            Assertion::read(text, &ours, &self.decoy).is_some_and(|assertion| {
                let tenant = self.application.tenant;
                self.control.authenticate_by_certificate(tenant, id, &assertion, at).is_some()
            })
        }
    }

    #[test]
    fn who_has_the_key_of_a_registered_certificate_is_let_in_and_nobody_else() {
        let holder = holder();
        let house = House::new(&holder);
        let id = house.application.id;
        let good = claims(id);
        for alg in [Algorithm::RS256, Algorithm::PS256] {
            for by_sha1 in [true, false] {
                assert!(
                    house.is_let_in(&signed(&holder, alg, by_sha1, &good), id, now()),
                    "{alg:?} {by_sha1}"
                );
            }
        }
        let by_issuer =
            json!({"aud": "https://pintle.example.org/tid", "iss": id, "sub": id, "exp": good["exp"]});
        assert!(house.is_let_in(&signed(&holder, Algorithm::RS256, true, &by_issuer), id, now()));

        let seconds = now().unix_seconds();
        for (claim, wrong) in [
            ("aud", json!("https://login.microsoftonline.com/default/oauth2/v2.0/token")),
            ("aud", json!([ENDPOINT])),
            ("iss", json!(Uuid::nil())),
            ("sub", json!(Uuid::nil())),
            ("exp", json!(seconds - 301)),
            ("exp", json!(seconds + 90_000)),
            ("exp", json!(1e300)),
            ("exp", json!("later")),
            ("nbf", json!(seconds + 301)),
            ("iat", json!(seconds + 301)),
        ] {
            let mut claims = good.clone();
            claims[claim] = wrong.clone();
            assert!(
                !house.is_let_in(&signed(&holder, Algorithm::PS256, false, &claims), id, now()),
                "{claim} {wrong}"
            );
        }
        for claim in ["aud", "iss", "sub", "exp"] {
            let mut claims = good.clone();
            claims.as_object_mut().unwrap().remove(claim);
            assert!(
                !house.is_let_in(&signed(&holder, Algorithm::PS256, false, &claims), id, now()),
                "{claim}"
            );
        }
        let text = signed(&holder, Algorithm::RS256, true, &good);
        assert!(!house.is_let_in(&text, Uuid::new_v4(), now()), "another application");
        assert!(!house.is_let_in(&signed(&holder, Algorithm::RS512, true, &good), id, now()));
        assert!(!house.is_let_in(&"x".repeat(MAX_BYTES + 1), id, now()));

        // Another's key that names this certificate, and one that names its own.
        let other = self::holder();
        let forger = Holder { certificate: holder.certificate.clone(), key: other.key.clone() };
        assert!(!house.is_let_in(&signed(&forger, Algorithm::RS256, true, &good), id, now()));
        assert!(!house.is_let_in(&signed(&other, Algorithm::RS256, true, &good), id, now()));
        let unnamed = Header::new(Algorithm::RS256);
        assert!(!house.is_let_in(&jsonwebtoken::encode(&unnamed, &good, &holder.key).unwrap(), id, now()));
    }

    #[test]
    fn a_certificate_ends_and_can_be_taken_back_and_a_disabled_application_gets_nothing() {
        let holder = holder();
        let house = House::new(&holder);
        let id = house.application.id;
        let end = holder.certificate.not_after();
        assert_eq!(end, Time::parse("2027-01-01T00:00:00Z").unwrap());
        let at = |at: Time| {
            let mut claims = claims(id);
            for (claim, more) in [("iat", 0), ("nbf", 0), ("exp", 600)] {
                claims[claim] = json!(at.unix_seconds() + more);
            }
            house.is_let_in(&signed(&holder, Algorithm::PS256, false, &claims), id, at)
        };
        assert!(at(end - Duration::from_secs(1)) && !at(end));
        assert!(!at(Time::parse("2025-12-31T23:59:59Z").unwrap()));

        house.control.change_application(id, |application| application.enabled = false).unwrap();
        assert!(!at(now()));
        house.control.change_application(id, |application| application.enabled = true).unwrap();
        assert!(at(now()));
        let again = house.control.add_certificate(id, &holder.certificate, now()).unwrap();
        let credentials: Vec<_> = house.control.application(id).unwrap().credentials().collect();
        assert_eq!(credentials.len(), 2, "the secret and the certificate, once");
        assert_eq!(credentials[1].thumbprint.as_ref(), Some(&holder.certificate.thumbprint()));
        assert_eq!((credentials[1].id, credentials[1].expires), (again, Some(end)));
        house.control.remove_credential(id, again).unwrap();
        assert!(!at(now()));
        assert!(house.control.remove_credential(id, again).is_err());
    }

    #[test]
    fn only_certificates_of_rsa_keys_are_taken() {
        let key = KeyPair::generate().unwrap();
        let elliptic = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        assert_eq!(Certificate::read(elliptic.der()).err(), Some(CertificateError::Key));
        let holder = holder();
        assert!(Certificate::read(holder.certificate.der()).is_ok());
        for cut in [0, 1, 40, holder.certificate.der().len() - 1] {
            let cut = &holder.certificate.der()[..cut];
            assert_eq!(Certificate::read(cut).err(), Some(CertificateError::Unreadable));
        }
    }

    #[test]
    fn an_application_has_several_secrets_up_to_a_bound() {
        let house = House::new(&holder());
        let (id, tenant) = (house.application.id, house.application.tenant);
        let end = now() + Duration::from_secs(60);
        let (ends, _) = house.control.add_secret(id, Some(end), now()).unwrap();
        let (stays, credential) = house.control.add_secret(id, None, now()).unwrap();
        let knows = |secret, at| house.control.authenticate(tenant, id, secret, at).is_some();
        assert!(knows(&ends, now()) && knows(&stays, now()) && !knows(&ends, end) && knows(&stays, end));
        house.control.remove_credential(id, credential).unwrap();
        assert!(!knows(&stays, now()) && knows(&ends, now()));
        let added = (0..20).filter(|_| house.control.add_secret(id, None, now()).is_ok()).count();
        assert_eq!(added, 7, "beside two secrets and the certificate");
    }
}
