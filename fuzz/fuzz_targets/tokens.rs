//! Any text as a bearer token, of this server's and of an outside issuer's, and as a client's assertion; any
//! bytes as the claims of one that is signed, and as a certificate. The first byte says as what.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use pintle::auth::assertion::Assertion;
use pintle::auth::certificate::Certificate;
use pintle::auth::control::{Control, NewApplication};
use pintle::auth::issuer::{Claims, Issuer};
use pintle::auth::permission::Permissions;
use pintle::auth::token::{Audiences, Verifier};
use pintle::fuzzing;
use pintle_model::{TenantId, Time};
use uuid::Uuid;

const NOW: Time = Time::from_ticks(17_684_352_000_000_000);
const CERTIFICATE: &[u8] = include_bytes!("../seeds/tokens/certificate");

struct House {
    control: Control,
    tenant: TenantId,
    application: Uuid,
    issuer: Issuer,
    verifier: Verifier,
    decoy: jsonwebtoken::DecodingKey,
}

static HOUSE: LazyLock<House> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(std::process::id().to_string());
    std::fs::create_dir_all(&folder).expect("a folder in memory");
    let control = Control::open(&folder).expect("control");
    let tenant = control.tenant("default").expect("a tenant").id;
    let new = NewApplication::new(tenant, "fuzzed", Permissions::default());
    let application = control.create_application_with(new, NOW).expect("an application").0.id;
    let certificate = Certificate::read(&CERTIFICATE[1..]).expect("a certificate");
    control.add_certificate(application, &certificate, NOW).expect("it is added");
    let url = Some("https://pintle.example.org/");
    let issuer = Issuer::open(&folder, url, Duration::from_secs(3_600), NOW).expect("an issuer");
    let verifier = Verifier::new(Audiences::new(["https://pintle.example.org"]));
    let decoy = jsonwebtoken::DecodingKey::from_rsa_raw_components(&[0xc5; 256], &[1, 0, 1]);
    House { control, tenant, application, issuer, verifier, decoy }
});

/// A token of these parts, whose key is the one that signs here.
fn token(head: &str, claims: &[u8]) -> String {
    let kid = HOUSE.issuer.keys().first().map(|key| key.kid.clone()).unwrap_or_default();
    let head = head.replace("KID", &kid);
    format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((what, rest)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    match what % 8 {
        0 => assert!(HOUSE.verifier.verify(&text, &HOUSE.issuer, NOW).is_err(), "a token of nobody"),
        1 => {
            // What stands before the first line end is the head.
            let (head, claims) = text.split_once('\n').unwrap_or((&text, "{}"));
            let token = token(head, claims.as_bytes());
            assert!(HOUSE.verifier.verify(&token, &HOUSE.issuer, NOW).is_err(), "a token without signature");
            fuzzing::outside_token(&token, NOW);
        }
        2 => _ = serde_json::from_slice::<Claims>(rest),
        3 => fuzzing::outside_token(&text, NOW),
        4 => {
            let head = r#"{"alg":"RS256","kid":"a"}"#;
            fuzzing::outside_token(&token(head, rest), NOW);
        }
        5 => {
            let (head, claims) = text.split_once('\n').unwrap_or((&text, "{}"));
            let text = if what & 0x80 == 0 { text.to_string() } else { token(head, claims.as_bytes()) };
            let audiences = ["https://pintle.example.org/common/oauth2/token".to_owned()];
            let Some(assertion) = Assertion::read(&text, &audiences, &HOUSE.decoy) else { return };
            let House { control, tenant, application, .. } = &*HOUSE;
            assert!(control.authenticate_by_certificate(*tenant, *application, &assertion, NOW).is_none());
        }
        _ => {
            let Ok(certificate) = Certificate::read(rest) else { return };
            certificate.counts(NOW);
            assert_eq!(certificate.thumbprint().len(), 40);
            let again = Certificate::from_der(certificate.der()).expect("what was read reads");
            assert_eq!(again.not_after(), certificate.not_after());
        }
    }
});
