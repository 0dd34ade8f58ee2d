//! How fast "which machines have seen this file" is answered over HTTP, beside a static answer of
//! the same bytes behind the same middleware and without it, and beside the same question of users, one
//! of whom sees every machine and one half of them.

mod clients;
mod measure;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use clients::Clients;
use http_body_util::BodyExt as _;
use measure::Failure;
use pintle::auth::application::{Application, Proof};
use pintle::auth::control::{ApplicationQuota, DeviceGroupChange, NewApplication, RoleChange};
use pintle::auth::permission::Permissions;
use pintle::auth::role::{Role, RolePermission};
use pintle::auth::user::{NewUser, User};
use pintle::config::{AccessLog, Config};
use pintle::dev::generator::{Generator, Law};
use pintle::dev::populate;
use pintle::http::{Listener, Policy, compress, observe, routes, serve};
use pintle::instance::Instance;
use pintle::metrics::Metrics;
use pintle::quota::{Limits, MAX_LIMIT};
use pintle_model::tables::device_process_events as process;
use pintle_model::{Record, Row, Sha1, TenantId};
use pintle_store::{Batch, DeviceRule, Operator, Options, Page, Row as RuleRow, Scope};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// The name under which the token is asked for.
const AUDIENCE: &str = "https://api.securitycenter.microsoft.com";

/// The route in question.
const ROUTE: &str = "/api/files/{id}/machines";

/// A file on so many machines.
struct Known {
    file: Sha1,
    machines: usize,
}

/// Something that is asked over and over.
struct Question<'a> {
    name: &'a str,
    server: SocketAddr,
    token: &'a str,
    /// Bytes of the answer.
    length: usize,
    /// For each round: requests a second, microseconds of the server's processors a request.
    measured: Vec<(f64, f64)>,
}

fn main() -> Result<(), Failure> {
    if clients::is_clients() {
        return clients::run();
    }
    let (machines, events, rounds, seconds) =
        if measure::is_in_earnest() { (10_000, 200_000, 7, 0.7) } else { (30, 1_000, 1, 0.05) };
    let mut counts = asked_counts();
    if counts.is_empty() {
        counts = vec![1, 25, machines / 10, machines];
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let instance = instance(folder.path())?;
    let tenant = instance.control.tenant("default").ok_or("no tenant")?.id;
    let (files, half) = fill(&instance, tenant, machines, events, &counts)?;
    let [sees_all, sees_half] = users(&instance, tenant, half)?;

    let runtime = Runtime::new()?;
    let stop = CancellationToken::new();
    let whole = with_handler(&instance, |handler| handler);
    let serve = |router: &Router| start(&runtime, router.clone(), &instance, &stop);
    let whole_at = serve(&whole)?;
    let mut clients = Clients::start()?;
    println!("{} connections, {machines} machines and {events} events in the store", clients::CONNECTIONS);
    println!(
        "\n| machines | bytes | answered by | requests/s (least–most) | server CPU µs a request (least–most) | static's CPU / its own | ns a byte |"
    );
    println!("| ---: | ---: | --- | ---: | ---: | ---: | ---: |");
    for Known { file, machines } in files {
        // An application for each: the largest limit there is lasts a million calls.
        let app = application(&instance, tenant, &format!("bench {machines}"))?;
        let token = token(&instance, &app)?;
        let of = |user: &User| user_token(&instance, user, &app);
        let (of_all, of_half) = (of(&sees_all)?, of(&sees_half)?);
        let path = ROUTE.replace("{id}", &file.to_string());
        let body = runtime.block_on(answer(&whole, &path, &token))?;
        let seen_by_half = runtime.block_on(answer(&whole, &path, &of_half))?.len();
        let length = body.len();
        let alone = serve(&Router::new().route(&path, fixed(body.clone())))?;
        let surrounded = serve(&with_handler(&instance, |_| fixed(body.clone())))?;
        let question =
            |name, server, token, length| Question { name, server, token, length, measured: Vec::new() };
        let mut questions = [
            question("static", surrounded, token.as_str(), length),
            question("static, to a user who sees half", surrounded, of_half.as_str(), length),
            question("static, without middleware", alone, token.as_str(), length),
            question("Pintle", whole_at, token.as_str(), length),
            question("Pintle, to a user who sees all", whole_at, of_all.as_str(), length),
            question("Pintle, to a user who sees half", whole_at, of_half.as_str(), seen_by_half),
        ];
        measure(&mut clients, &mut questions, &path, rounds, seconds)?;
        report(machines, &questions);
    }
    stop.cancel();
    Ok(())
}

/// On how many machines the files are that the command line asks about; none: the usual.
fn asked_counts() -> Vec<usize> {
    std::env::args().filter_map(|argument| argument.parse().ok()).collect()
}

/// All that `pintle serve` has around its handlers, and one of them exchanged.
fn with_handler(
    instance: &Arc<Instance>,
    change: impl Fn(MethodRouter<Arc<Instance>>) -> MethodRouter<Arc<Instance>>,
) -> Router {
    let mut routes = routes::routes();
    for route in routes.iter_mut().filter(|route| route.path == ROUTE) {
        route.handler = change(std::mem::take(&mut route.handler));
    }
    let router = compress::wrap(routes::router_of(routes, Arc::clone(instance)));
    observe::wrap(router, instance.metrics.clone(), AccessLog::Off)
}

/// A server's data, new, as `pintle serve` has it but for the name under which it is reached.
fn instance(folder: &Path) -> Result<Arc<Instance>, Failure> {
    let mut config = Config::default();
    config.server.public_url = Some("https://pintle.example.org".parse()?);
    Ok(Arc::new(Instance::open(folder, config, Options::default().clock)?))
}

/// Puts an invented company in, and files on exactly so many of its machines. Returns also device groups
/// with about half of the machines, the first one's among them.
fn fill(
    instance: &Instance,
    tenant: TenantId,
    machines: usize,
    events: usize,
    counts: &[usize],
) -> Result<(Vec<Known>, Vec<String>), Failure> {
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
    for records in records.chunks(Batch::MAX_RECORDS) {
        let (source, records) = ("bench".to_owned(), records.to_vec());
        instance.store.append(Batch { records, ..Batch::recorded(tenant, source) })?;
    }
    Ok((files, half(instance, tenant, &company)?))
}

/// Makes a device group of each group that telemetry names, seen by the administrators alone. Returns
/// the names of those with half of the machines, that of the first one among them.
fn half(instance: &Instance, tenant: TenantId, company: &[Value]) -> Result<Vec<String>, Failure> {
    let group = |machine: &Value| machine["rbacGroupName"].as_str().map(str::to_owned);
    let mut sizes = HashMap::<String, usize>::new();
    for group in company.iter().filter_map(group) {
        *sizes.entry(group).or_default() += 1;
    }
    instance.control.create_user_group(tenant, ADMINISTRATORS, "")?;
    for name in sizes.keys() {
        let named = RuleRow { operator: Operator::Equals, value: name.clone() };
        let new = DeviceGroupChange {
            name: Some(name.clone()),
            rule: Some(DeviceRule { source_group: vec![named], ..DeviceRule::default() }),
            give: vec![ADMINISTRATORS.to_owned()],
            ..DeviceGroupChange::default()
        };
        instance.control.create_device_group(tenant, new)?;
    }
    instance.regroup(tenant)?;
    let first = company.first().and_then(group).unwrap_or_default();
    let mut left = (company.len() / 2).saturating_sub(sizes.remove(&first).unwrap_or_default());
    let mut sizes: Vec<(String, usize)> = sizes.into_iter().collect();
    sizes.sort_by(|(one, size), (other, other_size)| other_size.cmp(size).then_with(|| one.cmp(other)));
    let mut groups = vec![first];
    for (group, size) in sizes {
        if size <= left {
            left -= size;
            groups.push(group);
        }
    }
    Ok(groups)
}

const ADMINISTRATORS: &str = "administrators";

/// A user who sees every machine, and one who sees those of some device groups.
fn users(instance: &Instance, tenant: TenantId, groups: Vec<String>) -> Result<[Arc<User>; 2], Failure> {
    let control = &instance.control;
    control.create_user_group(tenant, "analysts", "")?;
    for group in &groups {
        let give = DeviceGroupChange { give: vec!["analysts".to_owned()], ..DeviceGroupChange::default() };
        control.change_device_group(tenant, group, give)?;
    }
    let give = RoleChange { give: vec![ADMINISTRATORS.to_owned()], ..RoleChange::default() };
    control.change_role(tenant, Role::ADMINISTRATOR, give)?;
    let view = RoleChange {
        name: Some("investigate".to_owned()),
        permissions: Some([RolePermission::ViewData].into()),
        give: vec!["analysts".to_owned()],
        ..RoleChange::default()
    };
    control.create_role(tenant, view)?;
    let user = |name: &str, group: &str| {
        let (name, user_groups) = (name.to_owned(), vec![group.to_owned()]);
        let new = NewUser { tenant, name, display_name: String::new(), user_groups };
        control.create_user(new, instance.now())
    };
    Ok([user("ada", ADMINISTRATORS)?, user("alice", "analysts")?])
}

/// A new application. Its calls are counted against limits that are never reached.
fn application(instance: &Instance, tenant: TenantId, name: &str) -> Result<Arc<Application>, Failure> {
    let permissions = Permissions::named(["Machine.Read.All"]);
    let new = NewApplication {
        quota: ApplicationQuota::Limits(Limits { per_minute: MAX_LIMIT, per_hour: MAX_LIMIT }),
        delegated: permissions,
        ..NewApplication::new(tenant, name, permissions)
    };
    Ok(instance.control.create_application_with(new, instance.now())?.0)
}

fn token(instance: &Instance, application: &Application) -> Result<String, Failure> {
    let issued = instance.issuer.issue(application, Proof::Secret, AUDIENCE, instance.now())?;
    Ok(issued.ok_or("the issuer has no name")?.token)
}

/// A token of a user who signed in to the application.
fn user_token(instance: &Instance, user: &User, application: &Application) -> Result<String, Failure> {
    let (scopes, now) = (application.delegated, instance.now());
    let issued = instance.issuer.issue_for(user, application, None, scopes, AUDIENCE, now)?;
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

/// What a router answers.
async fn answer(router: &Router, path: &str, token: &str) -> Result<Bytes, Failure> {
    let request = Request::get(path).header(AUTHORIZATION, format!("Bearer {token}")).body(Body::empty())?;
    let response = router.clone().oneshot(request).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}

/// A handler that knows its answer by heart.
fn fixed<S: Clone + Send + Sync + 'static>(body: Bytes) -> MethodRouter<S> {
    get(async move || ([(CONTENT_TYPE, "application/json")], body.clone()))
}

/// Asks all questions in turn, round after round, each for about so many seconds.
fn measure(
    clients: &mut Clients,
    questions: &mut [Question<'_>],
    path: &str,
    rounds: usize,
    seconds: f64,
) -> Result<(), Failure> {
    let mut ask = |question: &Question<'_>, requests: u64| {
        clients.ask(question.server, path, question.token, question.length, requests)
    };
    let mut often = Vec::new();
    for question in &*questions {
        ask(question, 100)?;
        let rate = 200.0 / ask(question, 200)?;
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

fn report(machines: usize, questions: &[Question<'_>]) {
    let rate = |question: &Question<'_>| measure::middle(question.measured.iter().map(|(rate, _)| *rate));
    let cpu = |question: &Question<'_>| measure::middle(question.measured.iter().map(|(_, cpu)| *cpu));
    let base = questions.first().map_or(f64::NAN, |question| cpu(question).0);
    for question in questions {
        let (rate, least_rate, most_rate) = rate(question);
        let (cpu, least_cpu, most_cpu) = cpu(question);
        println!(
            "| {machines} | {} | {} | {rate:.0} ({least_rate:.0}–{most_rate:.0}) | {cpu:.1} ({least_cpu:.1}–{most_cpu:.1}) | {:.2} | {:.3} |",
            question.length,
            question.name,
            base / cpu,
            cpu * 1e3 / question.length as f64,
        );
    }
}
