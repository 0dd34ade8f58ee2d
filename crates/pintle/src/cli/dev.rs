//! `pintle dev`: puts a complete local instance together, says how to use it, and takes it away
//! again.

mod guide;

use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use pintle_store::Folder;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::config::{Config, Sources};
use crate::dev::generator::{Example, Generator, Law};
use crate::dev::{self, Credentials, ca};
use crate::http::tls::Certificate;
use crate::http::{Listener, Policy, compress, routes, serve};
use crate::instance::Instance;
use crate::metrics::Metrics;
use crate::{private_file, socket};
use guide::Guide;

/// Run a complete local instance with invented data, to write integrations against
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The demo is a company of 25 machines over the last 30 days. Everything is on this \
computer and, unless --data names a folder, gone afterwards. Quotas are off. The https side answers under all \
names that clients have built in, with a certificate by a throwaway CA: what is printed says how to make a client \
go there.

With --fixed, in every run and for ever:
  tenant id  d0c0ffee-0000-4000-8000-000000000001
  client id  d0c0ffee-0000-4000-8000-000000000002
  secret     pintle-dev-known-to-everybody
and the same machines, files and alerts, with times that end now.

Examples:
  pintle dev
  pintle dev --fixed --json --http 127.0.0.1:0 --https 127.0.0.1:0"
)]
pub struct Args {
    /// Use the well-known tenant, client id and secret, for scripts and CI
    #[arg(long)]
    fixed: bool,
    /// Have the quotas of the real thing: 100 calls a minute and 1,500 an hour
    #[arg(long)]
    mde_limits: bool,
    /// Where to serve http; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4280", value_parser = loopback)]
    http: SocketAddr,
    /// Where to serve https; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4443", value_parser = loopback)]
    https: SocketAddr,
    /// Keep the data in this folder instead of one that is removed at the end
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// How many machines the company has
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    machines: u64,
    /// How many days it looks back
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=365))]
    days: i64,
    /// How many events there are
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(..=100_000_000))]
    events: u64,
    /// How many alerts there are
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u64).range(..=100_000))]
    alerts: u64,
    /// Print one line of JSON when it is ready, instead of the guide
    #[arg(long)]
    json: bool,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "an address and a port, such as 127.0.0.1:4280".to_owned())?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err("only loopback addresses: the demo's secret may be known to everybody".to_owned()),
    }
}

/// Where the data is: in a folder that was named, or in one that goes away with this value.
enum Place {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Place {
    fn of(named: Option<PathBuf>) -> io::Result<Place> {
        match named {
            Some(folder) => Ok(Place::Kept(folder)),
            None => {
                let private = std::fs::Permissions::from_mode(0o700);
                tempfile::Builder::new()
                    .prefix("pintle-dev-")
                    .permissions(private)
                    .tempdir()
                    .map(Place::Temporary)
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Place::Kept(folder) => folder,
            Place::Temporary(folder) => folder.path(),
        }
    }
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let mut stop = Stop::new()?;
    let http = bind(args.http, "--http").await?;
    let https = bind(args.https, "--https").await?;
    let place = Place::of(args.data.clone()).map_err(|error| failed("the data folder", error))?;
    let folder = Folder::lock(place.path()).map_err(|error| Failure::Failed(error.to_string()))?;
    let (http_address, https_address) = (bound(&http)?, bound(&https)?);

    let identity = ca::make(jiff::Timestamp::now()).map_err(|error| failed("the certificates", error))?;
    let authority = place.path().join("ca.pem");
    private_file::replace(&authority, identity.authority.as_bytes())
        .map_err(|error| failed("the CA", error))?;
    let certificate = Certificate::from_pem(identity.certificate.as_bytes(), identity.key.as_bytes());
    let certificate = certificate.map_err(|error| failed("the certificate", error))?;

    let config = config(http_address, https_address, args.mde_limits)?;
    let enough = CancellationToken::new();
    let mut opening = pin!(open(folder, config.clone(), &args, enough.clone()));
    let (instance, credentials, example) = tokio::select! {
        opened = &mut opening => opened?,
        () = stop.asked() => {
            // The folder can only go once nobody writes to it.
            enough.cancel();
            opening.await?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let listening =
        socket::listen(Arc::clone(&instance)).map_err(|error| Failure::Failed(error.to_string()))?;
    let keeping = tokio::spawn(Arc::clone(&instance).keep_quotas());
    let auditing = tokio::spawn(Arc::clone(&instance).keep_audit());

    let shutdown = CancellationToken::new();
    let router = compress::wrap(routes::router(Arc::clone(&instance)));
    let listeners = vec![http, https.with_tls(Arc::new(certificate))];
    let serving =
        tokio::spawn(serve(router, listeners, Policy::new(&config, Metrics::new()), shutdown.clone()));
    let guide = Guide {
        http: http_address,
        https: https_address,
        folder: place.path(),
        authority: &authority,
        credentials: &credentials,
        example: example.as_ref(),
    };
    super::print(&if args.json { super::json(&guide.json())? } else { guide.text() })?;

    stop.asked().await;
    shutdown.cancel();
    // A second signal does not wait for running requests, and an input may have no end.
    let beside = tokio::time::timeout(config.server.limits.drain_timeout, listening.close());
    tokio::select! {
        _ = async { tokio::join!(serving, beside) } => {}
        () = stop.asked() => {}
    }
    keeping.abort();
    auditing.abort();
    if let Place::Kept(_) = &place {
        instance.quotas.save(instance.now())?;
        tokio::task::block_in_place(|| instance.close_audit());
        tokio::task::block_in_place(|| instance.store.close())
            .map_err(|error| failed("cannot close the data folder", error))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn failed(what: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("{what}: {error}"))
}

async fn bind(address: SocketAddr, flag: &str) -> Result<Listener, Failure> {
    Listener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Failure::Failed(format!(
            "{address} is taken by another process: name another with {flag}, such as {flag} {}:0",
            address.ip()
        )),
        _ => Failure::Failed(format!("cannot listen on {address}: {error}")),
    })
}

fn bound(listener: &Listener) -> Result<SocketAddr, Failure> {
    listener.address().ok_or_else(|| Failure::Failed("a listener has no address".to_owned()))
}

/// The settings of the demo: nothing of the user's own is read.
fn config(http: SocketAddr, https: SocketAddr, limits: bool) -> Result<Config, Failure> {
    let mut config = crate::config::Loaded::from_sources(&Sources::default())?.config;
    let public_url = format!("https://localhost:{}", https.port());
    config.server.public_url = Some(public_url.parse().map_err(|error| failed("the public URL", error))?);
    config.quota.enabled = limits;
    // Many clients ask for a token for the base URL that they were given.
    for (scheme, address) in [("http", http), ("https", https)] {
        for host in [format!("localhost:{}", address.port()), address.to_string()] {
            let audience =
                format!("{scheme}://{host}").parse().map_err(|error| failed("an audience", error))?;
            config.issuer.accepted_audiences.push(audience);
        }
    }
    Ok(config)
}

/// Opens the instance, registers the application and puts the telemetry in, unless the folder has
/// some from an earlier run.
async fn open(
    folder: Folder,
    config: Config,
    args: &Args,
    enough: CancellationToken,
) -> Result<(Arc<Instance>, Credentials, Option<Example>), Failure> {
    let (fixed, alerts) = (args.fixed, args.alerts);
    let clock = pintle_store::Options::default().clock;
    let law = Law {
        machines: usize::try_from(args.machines).unwrap_or(usize::MAX),
        days: args.days,
        events: usize::try_from(args.events).unwrap_or(usize::MAX),
        alerts: usize::try_from(args.alerts).unwrap_or(usize::MAX),
        ..Law::demo(clock())
    };
    let opening = tokio::task::spawn_blocking(move || {
        let said = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
        dev::prepare(&folder, fixed).map_err(|error| said(&error))?;
        let instance = Instance::open_in(folder, config, clock, &mut |_| {});
        let instance = instance.map_err(|error| said(&error))?.for_dev();
        let credentials =
            dev::register(&instance.control, fixed, instance.now()).map_err(|error| said(&error))?;
        let telemetry = Generator::new(law);
        let example = telemetry.example();
        let scope = pintle_store::Scope::whole(credentials.tenant);
        // A folder that was used before has all this already, unless that run was cut short.
        let held = instance.store.totals(&scope).map_err(|error| said(&error))?;
        if held.machines == 0 || held.alerts < alerts {
            let bar = progress_bar();
            let mut progress = |done: i64, all: i64| {
                bar.set_length(all.unsigned_abs());
                bar.set_position(done.unsigned_abs());
                if enough.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let populated = dev::populate(&instance.store, credentials.tenant, telemetry, &mut progress);
            bar.finish_and_clear();
            populated.map_err(|error| said(&error))?;
        }
        Ok((Arc::new(instance), credentials, example))
    });
    match opening.await {
        Ok(opened) => opened,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("inventing a company  {bar:30}  {pos} of {len} days");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The signals that end it. The temporary folder goes away on all of them.
struct Stop(Vec<tokio::signal::unix::Signal>);

impl Stop {
    fn new() -> io::Result<Stop> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        kinds.into_iter().map(signal).collect::<io::Result<_>>().map(Stop)
    }

    async fn asked(&mut self) {
        let signals = self.0.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures_util::future::select_all(signals).await;
    }
}
