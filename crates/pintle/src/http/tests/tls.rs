//! TLS: HTTP/2 by ALPN, certificates replaced while connections go on, errors that help.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, CertifiedKey, KeyPair, SerialNumber};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Running, generous, ms, one_answer, rest, start_with};
use crate::config::{Limits, Tls};
use crate::http::Listener;
use crate::http::tls::Certificate;

const NAME: &str = "pintle.example.org";

fn certificate(serial: u64) -> CertifiedKey<KeyPair> {
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.serial_number = Some(SerialNumber::from(serial));
    let signing_key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&signing_key).unwrap();
    CertifiedKey { cert, signing_key }
}

async fn start(certificate: Arc<Certificate>, limits: Limits) -> Running {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    start_with(listener.with_tls(certificate), limits).await
}

async fn connect(
    address: SocketAddr,
    trusted: &[CertificateDer<'static>],
    alpn: &str,
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().cloned());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn http2_over_tls_works_and_says_so() {
    let pair = certificate(1);
    let pem = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let server = Certificate::from_pem(pem.0.as_bytes(), pem.1.as_bytes()).unwrap();
    let running = start(Arc::new(server), generous()).await;
    let stream = connect(running.address, &[pair.cert.der().clone()], "h2").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = |path: &str| Request::get(format!("https://{NAME}{path}")).body(Body::empty()).unwrap();
    let answer = client.send_request(request("/ends")).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "https 127.0.0.1");

    // A stopping server finishes what runs and then ends the connection.
    let slow = tokio::spawn(client.send_request(request("/slow")));
    tokio::time::sleep(ms(100)).await;
    running.shutdown.cancel();
    assert_eq!(slow.await.unwrap().unwrap().status(), 200);
    assert!(running.server.await.unwrap());
}

#[tokio::test]
async fn an_http2_request_answered_before_its_body_is_read_is_not_reset() {
    let pair = certificate(1);
    let pem = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let server = Certificate::from_pem(pem.0.as_bytes(), pem.1.as_bytes()).unwrap();
    let running = start(Arc::new(server), generous()).await;
    let stream = connect(running.address, &[pair.cert.der().clone()], "h2").await;
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for length in [1, 64 * 1024] {
        // The path is not there, and "/" takes no POST.
        for (path, status) in [("/nowhere", 404), ("/", 405)] {
            let (pieces, body) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
            let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(body));
            let request = Request::post(format!("https://{NAME}{path}")).body(body).unwrap();
            let answer = client.send_request(request).await.unwrap();
            assert_eq!(answer.status(), status);
            answer.into_body().collect().await.unwrap();
            // A reset would have come by now, and the client would have let go of its body.
            tokio::time::sleep(ms(50)).await;
            for piece in vec![b'x'; length].chunks(16 * 1024) {
                pieces.send(Ok(piece.to_vec())).await.expect("the stream is open");
            }
        }
    }
}

#[tokio::test]
async fn a_client_silent_before_the_handshake_is_cut() {
    let pair = certificate(1);
    let pem = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let server = Certificate::from_pem(pem.0.as_bytes(), pem.1.as_bytes()).unwrap();
    let running = start(Arc::new(server), Limits { handshake_timeout: ms(100), ..generous() }).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn a_client_silent_after_the_handshake_is_cut() {
    let pair = certificate(1);
    let pem = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let server = Certificate::from_pem(pem.0.as_bytes(), pem.1.as_bytes()).unwrap();
    let running = start(Arc::new(server), Limits { header_timeout: ms(100), ..generous() }).await;
    let mut stream = connect(running.address, &[pair.cert.der().clone()], "http/1.1").await;
    assert_eq!(rest(&mut stream).await, "");
}

fn write(folder: &Path, pair: &CertifiedKey<KeyPair>) {
    std::fs::write(folder.join("certificate.pem"), pair.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
}

fn read(folder: &Path) -> Result<Certificate, crate::http::tls::TlsError> {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    Certificate::from_files(Tls { certificate: &certificate, key: &key })
}

#[tokio::test]
async fn a_certificate_is_replaced_while_connections_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (certificate(1), certificate(2));
    let trusted = [old.cert.der().clone(), new.cert.der().clone()];
    write(folder.path(), &old);
    let server = Arc::new(read(folder.path()).unwrap());
    let running = start(Arc::clone(&server), generous()).await;
    let shown = |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    let mut before = connect(running.address, &trusted, "http/1.1").await;
    assert_eq!(&shown(&before), old.cert.der());

    write(folder.path(), &new);
    server.reload().unwrap();
    let after = connect(running.address, &trusted, "http/1.1").await;
    assert_eq!(&shown(&after), new.cert.der());
    before.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(one_answer(&mut before).await.ends_with("hello"));

    std::fs::write(folder.path().join("key.pem"), "").unwrap();
    assert!(server.reload().is_err());
    let still = connect(running.address, &trusted, "http/1.1").await;
    assert_eq!(&shown(&still), new.cert.der());
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let said = || read(folder.path()).err().unwrap().to_string();
    let (one, other) = (certificate(1), certificate(2));

    assert!(said().starts_with(&format!("cannot read {}: ", path("certificate.pem"))));
    write(folder.path(), &one);
    assert!(read(folder.path()).is_ok());
    std::fs::write(folder.path().join("key.pem"), other.signing_key.serialize_pem()).unwrap();
    let (key, certificate) = (path("key.pem"), path("certificate.pem"));
    assert!(said().starts_with(&format!("{key} is not the key of the certificate in {certificate}")));
    std::fs::write(folder.path().join("key.pem"), one.cert.pem()).unwrap();
    assert!(said().starts_with(&format!("{key} holds no private key")));
    std::fs::write(folder.path().join("certificate.pem"), "garbage").unwrap();
    assert!(said().starts_with(&format!("{certificate} holds no certificate")));
}
