//! A document of an issuer, over HTTPS: one request on one connection, bounded in every way.
//! Redirects are not followed, since the configuration names every host that is asked; proxies are not
//! supported.

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::config::HttpsUrl;

/// All headers of an answer.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Why a document could not be had, for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct FetchError(pub String);

/// Asks hosts that certain authorities vouch for.
pub(super) struct Client(TlsConnector);

impl Client {
    /// A client that trusts these authorities.
    pub fn new(authorities: Arc<RootCertStore>) -> Result<Client, rustls::Error> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(authorities)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Client(TlsConnector::from(Arc::new(config))))
    }

    /// The document at a URL, of so many bytes at most. Takes as long as it takes: the caller gives up.
    pub async fn get(&self, url: &HttpsUrl, max_bytes: usize) -> Result<Bytes, FetchError> {
        let failed = |what: &str, why: &dyn Display| FetchError(format!("{url}: {what}: {why}"));
        let name = ServerName::try_from(url.host().to_owned())
            .map_err(|error| failed("the host is no name for TLS", &error))?;
        let stream = TcpStream::connect((url.host(), url.port()))
            .await
            .map_err(|error| failed("cannot connect", &error))?;
        let stream = self.0.connect(name, stream).await.map_err(|error| failed("no TLS", &error))?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed("no HTTP", &error))?;
        // Ends with this call, whatever the other side does.
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let request = Request::get(url.path_and_query())
            .header(HOST, url.authority())
            .header(ACCEPT, "application/json")
            .header(CONNECTION, "close")
            .header(USER_AGENT, concat!("pintle/", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())
            .map_err(|error| failed("it cannot be asked for", &error))?;
        let response = sender.send_request(request).await.map_err(|error| failed("no answer", &error))?;
        match response.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => {
                return Err(failed("redirects are not followed", &status));
            }
            status => return Err(failed("the answer is", &status)),
        }
        let body = Limited::new(response.into_body(), max_bytes)
            .collect()
            .await
            .map_err(|error| failed(&format!("no answer of at most {max_bytes} bytes"), &error))?;
        Ok(body.to_bytes())
    }
}
