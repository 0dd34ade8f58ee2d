//! How fast "which machines have seen this file" is answered over HTTP, beside a static answer of
//! the same size behind the same accept loop.

mod clients;
mod measure;

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::routing::get;
use bytes::Bytes;
use clients::Clients;
use http_body_util::BodyExt as _;
use measure::Failure;
use pintle::auth::control::{ApplicationQuota, NewApplication};
use pintle::auth::permission::Permissions;
use pintle::config::{AccessLog, Config};
use pintle::dev::generator::{Generator, Law};
use pintle::dev::populate;
use pintle::http::{Listener, Policy, compress, observe, routes, serve};
use pintle::instance::Instance;
use pintle::metrics::Metrics;
use pintle::quota::{Limits, MAX_LIMIT};
use pintle_model::tables::device_process_events as process;
use pintle_model::{Record, Row, Sha1, TenantId};
use pintle_store::{Batch, Options, Page, Scope};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// The name under which the token is asked for.
const AUDIENCE: &str = "https://api.securitycenter.microsoft.com";

/// A file on so many machines.
struct Known {
    file: Sha1,
    machines: usize,
}

/// Something that is asked over and over.
struct Question<'a> {
    name: &'a str,
    server: SocketAddr,
    path: String,
    token: &'a str,
    /// For each round: requests a second, microseconds of the server's processors a request.
    measured: Vec<(f64, f64)>,
}

fn main() -> Result<(), Failure> {
    if clients::is_clients() {
        return clients::run();
    }
    let (machines, events, rounds, seconds) =
        if measure::is_in_earnest() { (1_000, 500_000, 9, 1.0) } else { (30, 1_000, 1, 0.05) };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let instance = instance(folder.path())?;
    let tenant = instance.control.tenant("default").ok_or("no tenant")?.id;
    let files = fill(&instance, tenant, machines, events, &[1, 25, machines])?;
    let free = token(&instance, tenant, ApplicationQuota::Off)?;
    let counted = Limits { per_minute: MAX_LIMIT, per_hour: MAX_LIMIT };
    let counted = token(&instance, tenant, ApplicationQuota::Limits(counted))?;

    let runtime = Runtime::new()?;
    let stop = CancellationToken::new();
    let api = {
        let router = compress::wrap(routes::router(Arc::clone(&instance)));
        let router = observe::wrap(router, instance.metrics.clone(), AccessLog::Off);
        start(&runtime, router, &instance, &stop)?
    };
    let mut clients = Clients::start()?;
    println!("{} connections, {machines} machines and {events} events in the store", clients::CONNECTIONS);
    println!(
        "\n| machines | bytes | answered by | requests/s (least–most) | against static | server CPU µs a request |"
    );
    println!("| ---: | ---: | --- | ---: | ---: | ---: |");
    for Known { file, machines } in files {
        let path = format!("/api/files/{file}/machines");
        let body = runtime.block_on(answer(&instance, &path, &free))?;
        let length = body.len();
        let fixed = start(&runtime, fixed(&path, body), &instance, &stop)?;
        let question =
            |name, server, token| Question { name, server, path: path.clone(), token, measured: Vec::new() };
        let mut questions = [
            question("static", fixed, free.as_str()),
            question("Pintle, quota off", api, &free),
            question("Pintle, quota on", api, &counted),
        ];
        measure(&mut clients, &mut questions, length, rounds, seconds)?;
        report(machines, length, &questions);
    }
    stop.cancel();
    Ok(())
}

/// A server's data, new, as `pintle serve` has it but for the name under which it is reached.
fn instance(folder: &Path) -> Result<Arc<Instance>, Failure> {
    let mut config = Config::default();
    config.server.public_url = Some("https://pintle.example.org".parse()?);
    Ok(Arc::new(Instance::open(folder, config, Options::default().clock)?))
}

/// Puts an invented company in, and files on exactly so many of its machines.
fn fill(
    instance: &Instance,
    tenant: TenantId,
    machines: usize,
    events: usize,
    counts: &[usize],
) -> Result<Vec<Known>, Failure> {
    let law = Law { machines, events, alerts: 0, ..Law::demo(instance.now()) };
    populate(&instance.store, tenant, Generator::new(law), &mut |_, _| ControlFlow::Continue(()))?;
    let mut list = b"[".to_vec();
    instance.store.machines(&Scope::whole(tenant), Page::ALL, &mut list)?;
    list.push(b']');
    let company: Vec<Value> = serde_json::from_slice(&list)?;
    let mut records = Vec::new();
    let mut files = Vec::new();
    for (number, count) in (1..).zip(counts) {
        let file = Sha1([number; 20]);
        for machine in company.get(..*count).ok_or("too few machines")? {
            let mut row = Row::new(&process::TABLE);
            row.set_time(process::TIMESTAMP, Some(instance.now()));
            row.set_text(process::DEVICE_ID, machine["id"].as_str());
            row.set_text(process::SHA1, Some(&file.to_string()));
            records.push(Record::Row(row));
        }
        files.push(Known { file, machines: *count });
    }
    instance.store.append(Batch { tenant, source: "bench".to_owned(), records, rejects: Vec::new() })?;
    Ok(files)
}

/// A token of a new application.
fn token(instance: &Instance, tenant: TenantId, quota: ApplicationQuota) -> Result<String, Failure> {
    let new = NewApplication {
        tenant,
        name: "bench".to_owned(),
        permissions: Permissions::named(["Machine.Read.All"]),
        id: None,
        secret: None,
        secret_expires: None,
        quota,
    };
    let (application, _) = instance.control.create_application_with(new, instance.now())?;
    let issued = instance.issuer.issue(&application, AUDIENCE, instance.now())?;
    Ok(issued.ok_or("the issuer has no name")?.token)
}

/// Serves a router on a port of its own.
fn start(
    runtime: &Runtime,
    router: Router,
    instance: &Instance,
    stop: &CancellationToken,
) -> Result<SocketAddr, Failure> {
    let listener = runtime.block_on(Listener::bind(([127, 0, 0, 1], 0).into()))?;
    let address = listener.address().ok_or("no address")?;
    let policy = Policy::new(&instance.config, Metrics::new());
    runtime.spawn(serve(router, vec![listener], policy, stop.clone()));
    Ok(address)
}

/// What the server answers.
async fn answer(instance: &Arc<Instance>, path: &str, token: &str) -> Result<Bytes, Failure> {
    let request = Request::get(path).header(AUTHORIZATION, format!("Bearer {token}")).body(Body::empty())?;
    let response = routes::router(Arc::clone(instance)).oneshot(request).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}

/// A router that knows one answer by heart.
fn fixed(path: &str, body: Bytes) -> Router {
    Router::new().route(path, get(async move || ([(CONTENT_TYPE, "application/json")], body.clone())))
}

/// Asks all questions in turn, round after round, each for about so many seconds.
fn measure(
    clients: &mut Clients,
    questions: &mut [Question<'_>],
    length: usize,
    rounds: usize,
    seconds: f64,
) -> Result<(), Failure> {
    let mut ask = |question: &Question<'_>, requests: u64| {
        clients.ask(question.server, &question.path, question.token, length, requests)
    };
    let mut often = Vec::new();
    for question in &*questions {
        ask(question, 200)?;
        let rate = 1_000.0 / ask(question, 1_000)?;
        often.push(((rate * seconds) as u64).max(100));
    }
    for _ in 0..rounds {
        for (question, requests) in questions.iter_mut().zip(&often) {
            let before = measure::processor_time();
            let took = ask(question, *requests)?;
            let cpu = (measure::processor_time() - before).as_secs_f64();
            let requests = *requests as f64;
            question.measured.push((requests / took, cpu / requests * 1e6));
        }
    }
    Ok(())
}

fn report(machines: usize, length: usize, questions: &[Question<'_>]) {
    let rate = |question: &Question<'_>| measure::middle(question.measured.iter().map(|(rate, _)| *rate));
    let base = questions.first().map_or(f64::NAN, |question| rate(question).0);
    for question in questions {
        let (middle, least, most) = rate(question);
        let cpu = measure::middle(question.measured.iter().map(|(_, cpu)| *cpu)).0;
        println!(
            "| {machines} | {length} | {} | {middle:.0} ({least:.0}–{most:.0}) | {:.2} | {cpu:.0} |",
            question.name,
            middle / base,
        );
    }
}
