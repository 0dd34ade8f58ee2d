//! How stores are asked: hyper over rustls, bounded in time and bytes. Redirects are not followed, since the
//! settings name every host that is asked; proxies are not supported.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Limited;
use hyper::Uri;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HeaderValue, USER_AGENT};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use object_store::client::{
    ClientConfigKey, ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest,
    HttpRequestBody, HttpResponse, HttpResponseBody, HttpService,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, timeout};
use tokio_rustls::TlsConnector;

/// To a connection with TLS.
const CONNECTING: Duration = Duration::from_secs(10);
/// To an answer's headers, and between two pieces of its body.
const ANSWERING: Duration = Duration::from_secs(30);
/// How long a connection is kept that nothing is asked on.
const IDLING: Duration = Duration::from_secs(60);
/// Connections kept to a host.
const MOST_IDLE: usize = 2;
/// All headers of an answer.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// An answer's body: the longest that is asked for is a piece of an object.
const MAX_BODY_BYTES: usize = 64 << 20;

/// Asks stores; whoever fetches from one has one.
#[derive(Clone, Debug)]
pub struct Client {
    over_tls: Pooled<Connector, HttpRequestBody>,
    any: Pooled<Connector, HttpRequestBody>,
}

impl Client {
    /// One that trusts the authorities that the system trusts.
    pub fn new() -> Result<Client, rustls::Error> {
        let mut authorities = RootCertStore::empty();
        // One that cannot be read is another program's affair as long as there are others.
        authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(authorities)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = TlsConnector::from(Arc::new(config));
        let pooled = |is_plain_allowed| {
            Pooled::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLING)
                .pool_max_idle_per_host(MOST_IDLE)
                .http1_max_buf_size(MAX_HEAD_BYTES)
                .build(Connector { tls: tls.clone(), is_plain_allowed })
        };
        Ok(Client { over_tls: pooled(false), any: pooled(true) })
    }
}

impl HttpConnector for Client {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let is_plain_allowed =
            options.get_config_value(&ClientConfigKey::AllowHttp).as_deref() == Some("true");
        let client = if is_plain_allowed { &self.any } else { &self.over_tls };
        Ok(HttpClient::new(Asking(client.clone())))
    }
}

#[derive(Debug)]
struct Asking(Pooled<Connector, HttpRequestBody>);

#[async_trait::async_trait]
impl HttpService for Asking {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let own = HeaderValue::from_static(concat!("pintle/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(USER_AGENT, own);
        let answered = timeout(ANSWERING, self.0.request(request)).await;
        let answered = answered.map_err(|late| HttpError::new(HttpErrorKind::Timeout, late))?;
        let (parts, body) = answered.map_err(|error| HttpError::new(kind(&error), error))?.into_parts();
        let late = Box::pin(tokio::time::sleep(ANSWERING));
        let body = Paced { body: Limited::new(body, MAX_BODY_BYTES), late };
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

/// The kind decides whether object_store asks once more.
fn kind(error: &hyper_util::client::legacy::Error) -> HttpErrorKind {
    if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Request }
}

/// A body that must go on coming, and end.
struct Paced {
    body: Limited<Incoming>,
    late: Pin<Box<Sleep>>,
}

impl Body for Paced {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            let late = io::Error::from(io::ErrorKind::TimedOut);
            let late =
                self.late.as_mut().poll(context).map(|()| HttpError::new(HttpErrorKind::Timeout, late));
            return late.map(|late| Some(Err(late)));
        };
        self.late.as_mut().reset(Instant::now() + ANSWERING);
        let failed = |error| HttpError::new_boxed(HttpErrorKind::Interrupted, error);
        Poll::Ready(frame.map(|frame| frame.map_err(failed)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Connects to the host of a URL.
#[derive(Clone)]
struct Connector {
    tls: TlsConnector,
    is_plain_allowed: bool,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("is_plain_allowed", &self.is_plain_allowed).finish_non_exhaustive()
    }
}

impl Connector {
    async fn connected(self, url: Uri) -> io::Result<Box<dyn Stream>> {
        let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let is_plain = url.scheme_str() == Some("http");
        if is_plain && !self.is_plain_allowed {
            return Err(io::Error::other("it would be asked without TLS"));
        }
        let port = url.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        if is_plain {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Box::new(self.tls.connect(name, stream).await?))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Connecting>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connecting = self.clone().connected(url);
        Box::pin(async { Ok(TokioIo::new(Connecting(timeout(CONNECTING, connecting).await??))) })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, with TLS or without.
struct Connecting(Box<dyn Stream>);

impl Connection for Connecting {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Connecting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connecting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
