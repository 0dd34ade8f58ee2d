//! `pintle serve`: the server's life from its settings to its last answer. What it serves is made
//! by a function given to [`run`], so that this module knows nothing of stores and handlers.

use std::error::Error;
use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Exit;
use super::settings::Settings;
use crate::config::Config;
use crate::http::health::{self, Phase, Ready};
use crate::http::tls::Certificate;
use crate::http::{Listener, Policy, compress, observe, serve};
use crate::logging;
use crate::metrics::Metrics;
use crate::open_files;

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
    /// To be told how far a long opening has come.
    pub progress: Progress,
}

/// Tells how far opening has come: `/readyz` always, the log and the supervisor every few seconds.
pub struct Progress {
    ready: Ready,
    said: Instant,
}

impl Progress {
    /// Between two lines of the log.
    const EVERY: Duration = Duration::from_secs(5);
    /// How much longer the supervisor shall wait from each.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn new(ready: Ready) -> Progress {
        Progress { ready, said: Instant::now() }
    }

    /// So many bytes of the archive are applied, of so many that the base lacks.
    pub fn came(&mut self, done: u64, of: u64) {
        self.came_at(Instant::now(), done, of);
    }

    fn came_at(&mut self, now: Instant, done: u64, of: u64) {
        self.ready.set(Phase::CatchingUp { done, of });
        if now.duration_since(self.said) >= Progress::EVERY {
            self.said = now;
            tracing::info!(done, of, "catching up: bytes of the archive are being applied");
            tell_supervisor(&format!("EXTEND_TIMEOUT_USEC={}", Progress::PATIENCE.as_micros()));
        }
    }
}

/// What is served.
pub struct Opened {
    /// The API.
    pub router: Router,
    /// Ends what is served beside the API. Begun with the stop and given up with it.
    pub drain: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Called after the last request, to put down what must survive.
    pub finish: Box<dyn FnOnce() + Send>,
}

/// Why the thing to serve could not be opened.
pub type OpenError = Box<dyn Error + Send + Sync>;

impl Serve {
    /// Runs it.
    pub fn run(self, open: impl FnOnce(Opening) -> Result<Opened, OpenError> + Send + 'static) -> Exit {
        let mut loaded = match self.settings.load() {
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
        let limits = &mut loaded.config.server.limits;
        limits.max_connections = open_files::connections(limits.max_connections);
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "cannot start threads");
                return Exit::Failed;
            }
        };
        let ended = runtime.block_on(async {
            let stop = stop_signals().map_err(StartError::Signals)?;
            let bound = Bound::new(&loaded.config).await?;
            run(loaded.config, bound, stop, open).await
        });
        // Not waiting for a thread that still opens: being interrupted there is like a crash,
        // which the data folder is made for.
        runtime.shutdown_background();
        match ended {
            Ok(()) => Exit::Done,
            Err(error) => {
                tracing::error!("{error}");
                Exit::Failed
            }
        }
    }
}

/// Where a server listens.
pub struct Bound {
    /// For the API.
    pub api: Vec<Listener>,
    /// For health and metrics.
    pub health: Option<Listener>,
    /// Read again on SIGHUP.
    pub certificate: Option<Arc<Certificate>>,
}

impl Bound {
    /// Listens where the settings say. Clients wait in the system's queue until [`run`] takes them.
    pub async fn new(config: &Config) -> Result<Bound, StartError> {
        let server = &config.server;
        let certificate = server.tls().map(Certificate::from_files).transpose()?.map(Arc::new);
        let api = listen(server.listen).await?;
        let api = match &certificate {
            Some(certificate) => api.with_tls(Arc::clone(certificate)),
            None => api,
        };
        let health = Some(listen(server.health_listen).await?);
        Ok(Bound { api: vec![api], health, certificate })
    }
}

async fn listen(address: SocketAddr) -> Result<Listener, StartError> {
    Listener::bind(address).await.map_err(|error| StartError::Bind(address, error))
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, #[source] io::Error),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(#[source] io::Error),
    /// Health cannot be served.
    #[error("cannot serve health: {0}")]
    Health(#[source] io::Error),
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

/// Serves until something comes from `stop`, and returns when the last request is answered, or
/// when something comes from it again.
pub async fn run(
    config: Config,
    bound: Bound,
    mut stop: mpsc::Receiver<()>,
    open: impl FnOnce(Opening) -> Result<Opened, OpenError> + Send + 'static,
) -> Result<(), StartError> {
    let folder = config.data_folder().ok_or(StartError::NoFolder)?;
    let (metrics, ready) = (Metrics::new(), Ready::default());
    let shutdown = CancellationToken::new();
    let mut hangup = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
    let listening: Vec<String> = bound.api.iter().filter_map(Listener::url).collect();
    let health_url = bound.health.as_ref().and_then(Listener::url);

    // Health's connections are counted apart, so that a crowd at the API does not keep probes out.
    let health_stop = CancellationToken::new();
    let _stops_in_any_case = health_stop.clone().drop_guard();
    let health = serve_health(
        bound.health,
        health::router(ready.clone(), metrics.clone()),
        Policy::new(&config, Metrics::new()),
        health_stop.clone(),
    )?;

    ready.set(Phase::Starting("opening the data folder"));
    let policy = Policy::new(&config, metrics.clone());
    let (access, drain_timeout) = (config.log.access, config.server.limits.drain_timeout);
    let progress = Progress::new(ready.clone());
    let opening = Opening { folder, config, metrics: metrics.clone(), shutdown: shutdown.clone(), progress };
    let opening = tokio::task::spawn_blocking(move || open(opening));
    let opened = tokio::select! {
        opened = opening => opened.unwrap_or_else(|panic| Err(panic.into())),
        _ = stop.recv() => return Ok(()),
    };
    let opened = opened.map_err(StartError::Open)?;

    let router = observe::wrap(compress::wrap(opened.router), metrics, access);
    let serving = tokio::spawn(serve(router, bound.api, policy, shutdown.clone()));
    ready.set(Phase::Ready);
    tell_supervisor("READY=1");
    tracing::info!(
        api = listening.join(" "),
        health = health_url,
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );

    loop {
        tokio::select! {
            _ = stop.recv() => break,
            _ = hangup.recv() => reload(bound.certificate.as_deref()),
        }
    }
    ready.set(Phase::Draining);
    tell_supervisor("STOPPING=1");
    tracing::info!("stopping: finishing running requests");
    shutdown.cancel();
    let beside = tokio::time::timeout(drain_timeout, opened.drain);
    tokio::select! {
        (finished, beside) = async { tokio::join!(serving, beside) } => {
            if !matches!((finished, beside), (Ok(true), Ok(()))) {
                tracing::warn!("some requests did not finish within server.drain_timeout");
            }
        }
        _ = stop.recv() => tracing::warn!("told to stop again: not waiting for running requests"),
    }
    if tokio::task::spawn_blocking(opened.finish).await.is_err() {
        tracing::error!("the data folder was not closed cleanly");
    }
    health_stop.cancel();
    _ = health.await;
    tracing::info!("stopped");
    Ok(())
}

/// On a thread of its own: who asks whether the server lives is not to wait until all others have had their turn.
fn serve_health(
    listener: Option<Listener>,
    router: Router,
    policy: Policy,
    stop: CancellationToken,
) -> Result<JoinHandle<bool>, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(StartError::Health)?;
    let listener = listener.map(|listener| listener.moved_to(runtime.handle())).transpose();
    let listeners = listener.map_err(StartError::Health)?.into_iter().collect();
    Ok(tokio::task::spawn_blocking(move || runtime.block_on(serve(router, listeners, policy, stop))))
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

/// Something comes from it for every SIGTERM and SIGINT.
pub fn stop_signals() -> io::Result<mpsc::Receiver<()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(stopped)
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

fn notify(path: &OsStr, state: &str) -> io::Result<()> {
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &supervisor_address(path)?)?;
    Ok(())
}

fn supervisor_address(path: &OsStr) -> io::Result<UnixAddr> {
    // An @ stands for the zero byte of an abstract address, which only Linux has.
    #[cfg(target_os = "linux")]
    if let Some(name) = path.as_bytes().strip_prefix(b"@") {
        return <UnixAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name);
    }
    UnixAddr::from_pathname(path)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use axum::routing::get;
    use rustix::process::{Signal, getpid, kill_process};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_servers_life_from_opening_to_finish() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.folder = Some(folder.path().to_owned());
        config.server.listen.set_port(0);
        config.server.health_listen.set_port(0);
        let bound = Bound::new(&config).await.unwrap();
        let api = bound.api[0].address().unwrap();
        let health = bound.health.as_ref().and_then(Listener::address).unwrap();

        let (go, wait) = channel::<()>();
        let (came, has_come) = channel();
        let (finish, finished) = channel();
        let open = move |mut opening: Opening| {
            assert_eq!(opening.folder, opening.config.data.folder.unwrap());
            wait.recv().unwrap();
            opening.progress.came(30, 120);
            came.send(()).unwrap();
            wait.recv().unwrap();
            let router = Router::new().route("/", get(async || "hello"));
            let finish = Box::new(move || finish.send(()).unwrap());
            Ok(Opened { router, drain: Box::pin(async {}), finish })
        };
        let (stop, stopped) = mpsc::channel(1);
        let server = tokio::spawn(run(config, bound, stopped, open));
        let early = ask(health, "/readyz").await;
        assert!(early.starts_with("HTTP/1.1 503 "), "{early}");
        go.send(()).unwrap();
        has_come.recv().unwrap();
        let catching_up = ask(health, "/readyz").await;
        assert!(catching_up.starts_with("HTTP/1.1 503 "), "{catching_up}");
        assert!(catching_up.contains("catching up: 30 of 120 bytes"), "{catching_up}");
        go.send(()).unwrap();
        assert!(ask(api, "/").await.ends_with("hello"));
        assert!(ask(health, "/readyz").await.starts_with("HTTP/1.1 200 "));
        assert!(ask(health, "/metrics").await.contains("route=\"/\""));

        stop.send(()).await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), server).await.unwrap().unwrap().unwrap();
        finished.try_recv().unwrap();
        assert!(TcpStream::connect(api).await.is_err());
    }

    /// Stops a server beside which something never ends, so many times.
    async fn stopped_beside_an_endless_input(drain_timeout: Duration, stops: usize) {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.folder = Some(folder.path().to_owned());
        config.server.limits.drain_timeout = drain_timeout;
        config.server.listen.set_port(0);
        config.server.health_listen.set_port(0);
        let bound = Bound::new(&config).await.unwrap();
        let api = bound.api[0].address().unwrap();
        let (finish, finished) = channel();
        let open = move |_: Opening| {
            let finish = Box::new(move || finish.send(()).unwrap());
            Ok(Opened { router: Router::new(), drain: Box::pin(std::future::pending()), finish })
        };
        let (stop, stopped) = mpsc::channel(1);
        let server = tokio::spawn(run(config, bound, stopped, open));
        assert!(ask(api, "/").await.starts_with("HTTP/1.1 404 "));
        for _ in 0..stops {
            stop.send(()).await.unwrap();
        }
        tokio::time::timeout(Duration::from_secs(10), server).await.expect("it stops").unwrap().unwrap();
        finished.try_recv().unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_input_without_end_is_given_up_after_the_drain_timeout() {
        stopped_beside_an_endless_input(Duration::from_millis(100), 1).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_input_without_end_is_given_up_when_told_to_stop_again() {
        stopped_beside_an_endless_input(Duration::from_secs(3_600), 2).await;
    }

    #[tokio::test]
    async fn what_cannot_be_opened_ends_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.folder = Some(folder.path().to_owned());
        let bound = Bound { api: Vec::new(), health: None, certificate: None };
        let (_stop, stopped) = mpsc::channel(1);
        let open = |_: Opening| Err("a newer pintle made this folder".into());
        let ended = run(config, bound, stopped, open).await;
        assert_eq!(ended.unwrap_err().to_string(), "a newer pintle made this folder");
    }

    #[tokio::test]
    async fn sigterm_and_sigint_stop() {
        let mut stopped = stop_signals().unwrap();
        for signal in [Signal::TERM, Signal::INT] {
            kill_process(getpid(), signal).unwrap();
            tokio::time::timeout(Duration::from_secs(10), stopped.recv()).await.unwrap().unwrap();
        }
    }

    #[test]
    fn the_log_tells_progress_every_five_seconds() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = Arc::new(file.reopen().unwrap());
        let subscriber = tracing_subscriber::fmt().with_writer(log).with_ansi(false).finish();
        tracing::subscriber::with_default(subscriber, || {
            let mut progress = Progress::new(Ready::default());
            let start = progress.said;
            for second in 0..12 {
                progress.came_at(start + Duration::from_secs(second), second, 100);
            }
        });
        let log = std::fs::read_to_string(file.path()).unwrap();
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 2, "{log}");
        assert!(lines[0].contains("done=5 of=100") && lines[1].contains("done=10 of=100"), "{log}");
    }

    #[test]
    fn a_supervisor_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let supervisor = UnixDatagram::bind(&path).unwrap();
        notify(path.as_os_str(), "READY=1").unwrap();
        let mut message = [0; 16];
        let length = supervisor.recv(&mut message).unwrap();
        assert_eq!(&message[..length], b"READY=1");
    }
}
