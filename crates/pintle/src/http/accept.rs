//! The accept loop: takes connections while there is room for them, shakes hands, and hands each
//! to [`connection`]. Ends politely: running requests finish, new connections are refused.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{self, Ends};
use super::tls::Certificate;
use super::{Peer, Scheme};
use crate::config::{Config, Limits, Network};
use crate::metrics::{Metrics, Refusal};

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

impl Listener {
    /// Listens on an address, in the clear.
    pub async fn bind(address: SocketAddr) -> io::Result<Listener> {
        Ok(Listener { socket: Socket::Tcp(TcpListener::bind(address).await?), certificate: None })
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
    let gate = Arc::new(Gate {
        places: Arc::new(Semaphore::new(policy.limits.max_connections.get().min(Semaphore::MAX_PERMITS))),
        per_address: Mutex::default(),
        policy,
        drain: shutdown.clone(),
    });
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

/// What all listeners of one server share.
struct Gate {
    places: Arc<Semaphore>,
    per_address: Mutex<HashMap<IpAddr, usize>>,
    policy: Policy,
    drain: CancellationToken,
}

async fn take(
    listener: Listener,
    router: axum::Router,
    gate: Arc<Gate>,
    connections: TaskTracker,
    cut: CancellationToken,
) {
    loop {
        // Before accepting, so that a full server leaves newcomers in the system's queue.
        let Ok(place) = Arc::clone(&gate.places).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                wait_out(&error).await;
                continue;
            }
        };
        let Some(guest) = Guest::admit(&gate, &stream, place) else {
            continue;
        };
        let certificate = listener.certificate.clone();
        let (router, cut) = (router.clone(), cut.clone());
        connections.spawn(async move {
            let serving = greet(stream, certificate, router, &guest.gate);
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
async fn greet(stream: Stream, certificate: Option<Arc<Certificate>>, router: axum::Router, gate: &Gate) {
    match stream {
        Stream::Tcp(stream, peer) => {
            // Answers are written whole; waiting to fill a packet only delays them.
            _ = stream.set_nodelay(true);
            secure(stream, Some(Peer(peer)), certificate, router, gate).await;
        }
        Stream::Unix(stream) => secure(stream, None, certificate, router, gate).await,
    }
}

async fn secure(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: Option<Peer>,
    certificate: Option<Arc<Certificate>>,
    router: axum::Router,
    gate: &Gate,
) {
    let limits = &gate.policy.limits;
    let Some(certificate) = certificate else {
        let ends = Ends { peer, scheme: Scheme::Http };
        return connection::serve(stream, ends, router, limits, &gate.drain).await;
    };
    let handshake = certificate.acceptor().accept(stream);
    let handshake = tokio::time::timeout(limits.handshake_timeout, handshake);
    match gate.drain.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => {
            let ends = Ends { peer, scheme: Scheme::Https };
            connection::serve(stream, ends, router, limits, &gate.drain).await;
        }
        Some(Ok(Err(error))) => {
            tracing::debug!(%error, peer = ?peer.map(|peer| peer.0), "TLS handshake failed");
        }
        Some(Err(_)) => tracing::debug!(peer = ?peer.map(|peer| peer.0), "TLS handshake too slow"),
        None => {}
    }
}

/// A connection that was let in. Its places are free again when it is dropped.
struct Guest {
    gate: Arc<Gate>,
    counted_as: Option<IpAddr>,
    _place: OwnedSemaphorePermit,
}

impl Guest {
    /// Lets a connection in unless its address has too many already.
    fn admit(gate: &Arc<Gate>, stream: &Stream, place: OwnedSemaphorePermit) -> Option<Guest> {
        let counted_as = match stream {
            Stream::Tcp(_, peer) => Some(peer.ip().to_canonical())
                .filter(|ip| !gate.policy.trusted_proxies.iter().any(|n| n.contains(*ip)))
                .map(subscriber),
            Stream::Unix(_) => None,
        };
        if let Some(address) = counted_as {
            let mut per_address = gate.per_address.lock().unwrap_or_else(PoisonError::into_inner);
            let count = per_address.entry(address).or_default();
            if *count >= gate.policy.limits.max_connections_per_address.get() {
                gate.policy.metrics.connection_refused(Refusal::Address);
                return None;
            }
            *count += 1;
        }
        gate.policy.metrics.connection_opened();
        Some(Guest { gate: Arc::clone(gate), counted_as, _place: place })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.gate.policy.metrics.connection_closed();
        let Some(address) = self.counted_as else {
            return;
        };
        let mut per_address = self.gate.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = per_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                per_address.remove(&address);
            }
        }
    }
}

/// What counts as one address: of IPv6 the /64, since that is what one subscriber has at least.
fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}
