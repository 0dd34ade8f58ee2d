//! The accept loop: takes connections as the gate lets them in, shakes hands, and hands each to
//! [`connection`]. Ends politely: running requests finish, new connections are refused.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{self, Ends};
use super::gate::{Gate, Guest};
use super::tls::Certificate;
use super::{Peer, Scheme};
use crate::config::{Config, Limits, Network};
use crate::metrics::Metrics;

/// Bytes of answers that the system holds for a connection; it makes twice as much of it, for what it needs itself.
/// Left alone it would hold some megabytes for each client that does not take its answer.
const SEND_BUFFER: u32 = 256 * 1024;
/// Connections that wait in the system's queue.
const QUEUE: u32 = 1_024;

/// Where connections come from.
pub struct Listener {
    socket: Socket,
    certificate: Option<Arc<Certificate>>,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Stream {
    fn peer(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(_, peer) => Some(*peer),
            Stream::Unix(_) => None,
        }
    }
}

impl Listener {
    /// Listens on an address, in the clear.
    pub async fn bind(address: SocketAddr) -> io::Result<Listener> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // As tokio and std do: a server that is started again finds its port.
        socket.set_reuseaddr(true)?;
        // Connections have it from their listener.
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(address)?;
        Ok(Listener { socket: Socket::Tcp(socket.listen(QUEUE)?), certificate: None })
    }

    /// The same in another runtime.
    pub fn moved_to(self, runtime: &Handle) -> io::Result<Listener> {
        let _entered = runtime.enter();
        let socket = match self.socket {
            Socket::Tcp(socket) => Socket::Tcp(TcpListener::from_std(socket.into_std()?)?),
            Socket::Unix(socket) => Socket::Unix(UnixListener::from_std(socket.into_std()?)?),
        };
        Ok(Listener { socket, ..self })
    }

    /// Listens on a Unix socket.
    pub fn unix(socket: UnixListener) -> Listener {
        Listener { socket: Socket::Unix(socket), certificate: None }
    }

    /// The same with TLS.
    pub fn with_tls(self, certificate: Arc<Certificate>) -> Listener {
        Listener { certificate: Some(certificate), ..self }
    }

    /// The address it got; none for a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(socket) => socket.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// The URL it answers under by address; none for a Unix socket.
    pub fn url(&self) -> Option<String> {
        let scheme = if self.certificate.is_some() { Scheme::Https } else { Scheme::Http };
        Some(format!("{}://{}", scheme.as_str(), self.address()?))
    }

    async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                Ok(Stream::Tcp(stream, peer))
            }
            Socket::Unix(socket) => Ok(Stream::Unix(socket.accept().await?.0)),
        }
    }
}

/// What connections may take up, and where they are counted.
#[derive(Clone)]
pub struct Policy {
    /// The limits.
    pub limits: Limits,
    /// Proxies, which bring many clients over one address.
    pub trusted_proxies: Vec<Network>,
    /// Where connections are counted.
    pub metrics: Metrics,
}

impl Policy {
    /// The policy of a configuration.
    pub fn new(config: &Config, metrics: Metrics) -> Policy {
        Policy {
            limits: config.server.limits.clone(),
            trusted_proxies: config.server.trusted_proxies.clone(),
            metrics,
        }
    }
}

/// Serves a router on listeners until `shutdown`, then lets running requests finish, for as long
/// as the drain timeout at most. Returns whether all of them did.
pub async fn serve(
    router: axum::Router,
    listeners: Vec<Listener>,
    policy: Policy,
    shutdown: CancellationToken,
) -> bool {
    let drain_timeout = policy.limits.drain_timeout;
    let gate = Arc::new(Gate::new(policy, shutdown.clone()));
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let loops = TaskTracker::new();
    for listener in listeners {
        let taking = take(listener, router.clone(), Arc::clone(&gate), connections.clone(), cut.clone());
        let shutdown = shutdown.clone();
        loops.spawn(async move {
            // The listener lives in the future that ends here, so the port closes at once.
            shutdown.run_until_cancelled(taking).await;
        });
    }
    loops.close();
    loops.wait().await;
    connections.close();
    let finished = tokio::time::timeout(drain_timeout, connections.wait()).await.is_ok();
    cut.cancel();
    connections.wait().await;
    finished
}

async fn take(
    listener: Listener,
    router: axum::Router,
    gate: Arc<Gate>,
    connections: TaskTracker,
    cut: CancellationToken,
) {
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                wait_out(&error).await;
                continue;
            }
        };
        // One at a time, so that a full server leaves the other newcomers in the system's queue.
        let Some(place) = gate.place().await else {
            return;
        };
        let Some(guest) = Guest::admit(&gate, stream.peer(), place) else {
            continue;
        };
        let certificate = listener.certificate.clone();
        let (router, cut) = (router.clone(), cut.clone());
        connections.spawn(async move {
            let serving = guest.leave.run_until_cancelled(greet(stream, certificate, router, &guest));
            cut.run_until_cancelled(serving).await;
            drop(guest);
        });
    }
}

/// A connection the client gave up before it was taken is no reason to wait; having no file
/// descriptors left is, because the next attempt fails the same way at once.
async fn wait_out(error: &io::Error) {
    let of_the_client = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    );
    if !of_the_client {
        tracing::warn!(%error, "cannot accept connections, trying again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Shakes hands if there is a certificate, then serves.
async fn greet(stream: Stream, certificate: Option<Arc<Certificate>>, router: axum::Router, guest: &Guest) {
    match stream {
        Stream::Tcp(stream, peer) => {
            // Answers are written whole; waiting to fill a packet only delays them.
            _ = stream.set_nodelay(true);
            secure(stream, Some(Peer(peer)), certificate, router, guest).await;
        }
        Stream::Unix(stream) => secure(stream, None, certificate, router, guest).await,
    }
}

async fn secure(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: Option<Peer>,
    certificate: Option<Arc<Certificate>>,
    router: axum::Router,
    guest: &Guest,
) {
    let (gate, activity) = (&guest.gate, &guest.activity);
    let limits = &gate.policy.limits;
    let Some(certificate) = certificate else {
        let ends = Ends { peer, scheme: Scheme::Http };
        return connection::serve(stream, ends, router, limits, activity, &gate.drain).await;
    };
    let handshake = certificate.acceptor().accept(stream);
    let handshake = tokio::time::timeout(limits.handshake_timeout, handshake);
    match gate.drain.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => {
            let ends = Ends { peer, scheme: Scheme::Https };
            connection::serve(stream, ends, router, limits, activity, &gate.drain).await;
        }
        Some(Ok(Err(error))) => {
            tracing::debug!(%error, peer = ?peer.map(|peer| peer.0), "TLS handshake failed");
        }
        Some(Err(_)) => tracing::debug!(peer = ?peer.map(|peer| peer.0), "TLS handshake too slow"),
        None => {}
    }
}
