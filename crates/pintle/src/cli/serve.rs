//! `pintle serve`: the server's life from its settings to its last answer. What it serves is made
//! by a function given to [`run`], so that this module knows nothing of stores and handlers.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Exit;
use super::settings::Settings;
use crate::config::Config;
use crate::http::health::{self, Phase, Ready};
use crate::http::tls::Certificate;
use crate::http::{Listener, Policy, compress, observe, serve};
use crate::logging;
use crate::metrics::Metrics;

/// Serve the API until told to stop.
///
/// SIGTERM and SIGINT let running requests finish; a second one does not. SIGHUP reads the
/// certificate again.
#[derive(clap::Args)]
pub struct Serve {
    #[command(flatten)]
    settings: Settings,
}

/// What is given to the function that opens what is served.
pub struct Opening {
    /// The data folder.
    pub folder: PathBuf,
    /// The settings.
    pub config: Config,
    /// Where to count; `/metrics` shows it.
    pub metrics: Metrics,
    /// Cancelled when the server begins to stop.
    pub shutdown: CancellationToken,
}

/// What is served.
pub struct Opened {
    /// The API.
    pub router: Router,
    /// Called after the last request, to put down what must survive.
    pub finish: Box<dyn FnOnce() + Send>,
}

/// Why the thing to serve could not be opened.
pub type OpenError = Box<dyn Error + Send + Sync>;

impl Serve {
    /// Runs it.
    pub fn run(
        self,
        open: impl FnOnce(Opening) -> Result<Opened, OpenError> + Send + 'static,
    ) -> Exit {
        let loaded = match self.settings.load() {
            Ok(loaded) => loaded,
            Err(exit) => return exit,
        };
        let problems = loaded.config.problems_for_serving();
        for problem in &problems {
            eprintln!("error: {problem}");
        }
        if !problems.is_empty() {
            return Exit::Usage;
        }
        logging::set_up(&loaded.config.log);
        let runtime = match tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "cannot start threads");
                return Exit::Failed;
            }
        };
        match runtime.block_on(run(loaded.config, open)) {
            Ok(()) => Exit::Done,
            Err(error) => {
                tracing::error!("{error}");
                Exit::Failed
            }
        }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Bind(std::net::SocketAddr, #[source] io::Error),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(#[source] io::Error),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] crate::http::tls::TlsError),
    /// There is no place for the data.
    #[error("data.folder is not set and there is no home folder to put one in: set data.folder")]
    NoFolder,
    /// What is to be served cannot be opened.
    #[error("{0}")]
    Open(OpenError),
}

/// Serves with these settings until a signal, and returns when the last request is answered.
pub async fn run(
    config: Config,
    open: impl FnOnce(Opening) -> Result<Opened, OpenError> + Send + 'static,
) -> Result<(), StartError> {
    let folder = config.data_folder().ok_or(StartError::NoFolder)?;
    let metrics = Metrics::new();
    let ready = Ready::default();
    let shutdown = CancellationToken::new();
    let mut stop = Stop::new().map_err(StartError::Signals)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(StartError::Signals)?;

    let certificate = config
        .server
        .tls()
        .map(Certificate::from_files)
        .transpose()?
        .map(Arc::new);
    let server = &config.server;
    // Before opening, so that a taken port shows at once and early clients wait in the queue.
    let listener = Listener::bind(server.listen)
        .await
        .map_err(|error| StartError::Bind(server.listen, error))?;
    let health_listener = Listener::bind(server.health_listen)
        .await
        .map_err(|error| StartError::Bind(server.health_listen, error))?;
    let (address, health_address) = (listener.address(), health_listener.address());
    let scheme = if certificate.is_some() {
        "https"
    } else {
        "http"
    };
    let listener = match &certificate {
        Some(certificate) => listener.with_tls(Arc::clone(certificate)),
        None => listener,
    };

    // Its connections are counted apart, so that a crowd at the API does not keep probes out.
    let health_policy = Policy::new(&config, Metrics::new());
    let health_router = health::router(ready.clone(), metrics.clone());
    let health_stop = CancellationToken::new();
    let health = tokio::spawn(serve(
        health_router,
        vec![health_listener],
        health_policy,
        health_stop.clone(),
    ));

    ready.set(Phase::Starting("opening the data folder"));
    let policy = Policy::new(&config, metrics.clone());
    let access = config.log.access;
    let opening = Opening {
        folder,
        config,
        metrics: metrics.clone(),
        shutdown: shutdown.clone(),
    };
    let opening = tokio::task::spawn_blocking(move || open(opening));
    let opened = tokio::select! {
        opened = opening => opened.unwrap_or_else(|panic| Err(panic.into())).map_err(StartError::Open)?,
        // Opening cannot be interrupted, but nothing was promised to anyone yet.
        () = stop.asked() => return Ok(()),
    };

    let router = observe::wrap(compress::wrap(opened.router), metrics, access);
    let mut serving = tokio::spawn(serve(router, vec![listener], policy, shutdown.clone()));
    ready.set(Phase::Ready);
    tell_supervisor("READY=1");
    tracing::info!(
        api = address.map(|a| format!("{scheme}://{a}")),
        health = health_address.map(|a| format!("http://{a}")),
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );

    loop {
        tokio::select! {
            () = stop.asked() => break,
            _ = hangup.recv() => reload(certificate.as_deref()),
        }
    }
    ready.set(Phase::Draining);
    tell_supervisor("STOPPING=1");
    tracing::info!("stopping: finishing running requests");
    shutdown.cancel();
    tokio::select! {
        finished = &mut serving => {
            if !matches!(finished, Ok(true)) {
                tracing::warn!("some requests did not finish in server.drain_timeout");
            }
        }
        () = stop.asked() => tracing::warn!("told to stop again: not waiting for running requests"),
    }
    let finish = tokio::task::spawn_blocking(opened.finish);
    if finish.await.is_err() {
        tracing::error!("the data folder was not closed cleanly");
    }
    health_stop.cancel();
    _ = health.await;
    tracing::info!("stopped");
    Ok(())
}

fn reload(certificate: Option<&Certificate>) {
    let Some(certificate) = certificate else {
        return;
    };
    match certificate.reload() {
        Ok(()) => tracing::info!("certificate read again"),
        Err(error) => tracing::error!(%error, "certificate not replaced, the old one stays in use"),
    }
}

/// The signals that ask a process to stop.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> io::Result<Stop> {
        Ok(Stop {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Tells a supervisor such as systemd, if there is one, how far the server is (sd_notify(3)).
fn tell_supervisor(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
        return;
    };
    if let Err(error) = notify(&path, state) {
        tracing::warn!(%error, "cannot tell the supervisor {state}");
    }
}

fn notify(path: &std::ffi::OsStr, state: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    // An @ stands for the zero byte of an abstract address.
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}
