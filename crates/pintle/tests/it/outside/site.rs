//! An outside issuer for one test: TLS on a loopback port, answers as the test wants them, and a count
//! of what it was asked.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::stream;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use pintle::dev::ca::{self, Identity};
use pintle::http::tls::Certificate;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A key that signs tokens.
pub struct Signer {
    pub kid: &'static str,
    pub key: EncodingKey,
    pub alg: Algorithm,
    pub jwk: Value,
}

impl Signer {
    fn new(kid: &'static str, key: EncodingKey, alg: Algorithm) -> Signer {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, alg).unwrap()).unwrap();
        jwk["kid"] = json!(kid);
        jwk["use"] = json!("sig");
        Signer { kid, key, alg, jwk }
    }

    fn rsa(kid: &'static str, alg: Algorithm) -> Signer {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        Signer::new(kid, EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap(), alg)
    }

    /// A token of these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": self.alg, "typ": "JWT", "kid": self.kid});
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// Any header and claims, signed.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = crypto::sign(message.as_bytes(), &self.key, self.alg).unwrap();
        format!("{message}.{signature}")
    }
}

/// The issuer's first key.
pub static FIRST: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("first", Algorithm::RS256));

/// The issuer's next key.
pub static SECOND: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("second", Algorithm::PS256));

/// One that is no RSA key.
pub static ELLIPTIC: LazyLock<Signer> = LazyLock::new(|| {
    let pair = KeyPair::generate().unwrap();
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    Signer::new("elliptic", key, Algorithm::ES256)
});

/// A JWK set of these keys.
pub fn jwks(signers: &[&Signer]) -> Answer {
    let keys: Vec<&Value> = signers.iter().map(|signer| &signer.jwk).collect();
    Answer::Json(json!({ "keys": keys }).to_string())
}

/// What a path is answered with.
#[derive(Clone)]
pub enum Answer {
    Json(String),
    Status(u16),
    /// 302 to there.
    Redirect(String),
    /// Nothing, ever.
    Never,
    /// A byte now and then.
    Drip,
    /// A gigabyte.
    Endless,
    /// Headers of a megabyte.
    Headers,
}

/// Where an issuer answers, and what.
pub struct Site {
    pub port: u16,
    pub ca_file: PathBuf,
    folder: tempfile::TempDir,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    answers: HashMap<String, Answer>,
    asked: HashMap<String, usize>,
    /// Bytes of endless answers.
    sent: usize,
}

pub const DISCOVERY: &str = "/realm/.well-known/openid-configuration";
pub const KEYS: &str = "/realm/keys";

impl Site {
    /// An issuer that publishes the first key.
    pub async fn start() -> Site {
        let identity = ca::make(jiff::Timestamp::now()).unwrap();
        let site = Site::with_certificate(&identity).await;
        let discovery = json!({"issuer": site.issuer(), "jwks_uri": site.url(KEYS)});
        site.answer(DISCOVERY, Answer::Json(discovery.to_string()));
        site.answer(KEYS, jwks(&[&FIRST]));
        site
    }

    async fn with_certificate(identity: &Identity) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("authority.pem");
        std::fs::write(&ca_file, &identity.authority).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let tls = Certificate::from_pem(identity.certificate.as_bytes(), identity.key.as_bytes()).unwrap();
        let acceptor = tls.acceptor();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| respond(Arc::clone(&shared), request));
                    _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Site { port, ca_file, folder, state }
    }

    /// The issuer of its tokens.
    pub fn issuer(&self) -> String {
        self.url("/realm")
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    pub fn answer(&self, path: &str, answer: Answer) {
        self.state.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.state.lock().unwrap().asked.get(path).copied().unwrap_or_default()
    }

    /// How many bytes of an endless answer were taken.
    pub fn sent(&self) -> usize {
        self.state.lock().unwrap().sent
    }

    /// A file that vouches for another host than this.
    pub fn another_authority(&self) -> PathBuf {
        let file = self.folder.path().join("another.pem");
        std::fs::write(&file, ca::make(jiff::Timestamp::now()).unwrap().authority).unwrap();
        file
    }
}

async fn respond(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let answer = {
        let mut state = state.lock().unwrap();
        *state.asked.entry(path.clone()).or_default() += 1;
        state.answers.get(&path).cloned().unwrap_or(Answer::Status(404))
    };
    let forever = || stream::pending::<Result<Bytes, Infallible>>();
    let pieces = |bytes: &'static [u8], pause: Duration, number: usize| {
        Body::from_stream(stream::unfold(0, move |nth| {
            let state = Arc::clone(&state);
            async move {
                tokio::time::sleep(pause).await;
                state.lock().unwrap().sent += bytes.len();
                (nth < number).then(|| (Ok::<_, Infallible>(Bytes::from_static(bytes)), nth + 1))
            }
        }))
    };
    Ok(match answer {
        Answer::Json(text) => Response::new(Body::from(text)),
        Answer::Status(status) => Response::builder().status(status).body(Body::from("{}")).unwrap(),
        Answer::Redirect(to) => {
            Response::builder().status(302).header("location", to).body(Body::empty()).unwrap()
        }
        Answer::Never => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            Response::new(Body::from_stream(forever()))
        }
        Answer::Drip => Response::new(pieces(b" ", Duration::from_millis(200), usize::MAX)),
        Answer::Endless => Response::new(pieces(&[b' '; 1 << 16], Duration::ZERO, 1 << 14)),
        Answer::Headers => {
            let large = "x".repeat(1 << 20);
            Response::builder().header("x-large", large).body(Body::from("{}")).unwrap()
        }
    })
}
