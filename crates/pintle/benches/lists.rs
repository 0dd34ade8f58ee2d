//! What lists cost as there is more in them: all machines and all alerts page by page, and those that a
//! filter takes, by time, health, tag and status, in another order and at the end; the worst filter there
//! can be. Through the router, in one thread, with no connection between.

mod measure;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use http_body_util::BodyExt as _;
use measure::Failure;
use pintle::auth::application::Proof;
use pintle::auth::control::{ApplicationQuota, NewApplication};
use pintle::auth::permission::Permissions;
use pintle::config::Config;
use pintle::http::routes;
use pintle::instance::Instance;
use pintle_model::tables::{alert_evidence, alert_info, device_info};
use pintle_model::{Cell, Record, Row, TenantId, Time};
use pintle_store::{Batch, Options};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

const AUDIENCE: &str = "https://api.securitycenter.microsoft.com";
/// One in so many is what a filter looks for.
const ONE_IN: usize = 100;
const RECORDS_AT_ONCE: usize = 20_000;

fn main() -> Result<(), Failure> {
    let (sizes, rounds): (&[usize], usize) =
        if measure::is_in_earnest() { (&[10_000, 100_000, 1_000_000], 3) } else { (&[200], 1) };
    let runtime = Runtime::new()?;
    for &size in sizes {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let mut config = Config::default();
        config.server.public_url = Some("https://pintle.example.org".parse()?);
        let instance = Arc::new(Instance::open(folder.path() as &Path, config, Options::default().clock)?);
        let tenant = instance.control.tenant("default").ok_or("no tenant")?.id;
        fill(&instance, tenant, size)?;
        let asking =
            Asking { token: token(&instance, tenant)?, router: routes::router(Arc::clone(&instance)) };
        println!("\n{size} machines and {size} alerts, one in {ONE_IN} is what filters look for\n");
        println!(
            "| asked | rows | wall ms (least–most) | CPU µs a row of the tenant |\n| --- | ---: | ---: | ---: |"
        );
        for (name, path, expected) in questions(size, instance.now()) {
            // The first one makes what is made when somebody first asks.
            runtime.block_on(asking.walk(&path))?;
            let (mut wall, mut cpu) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                let (began, before) = (Instant::now(), measure::processor_time());
                let rows = runtime.block_on(asking.walk(&path))?;
                wall.push(began.elapsed().as_secs_f64() * 1e3);
                cpu.push((measure::processor_time() - before).as_secs_f64() * 1e6 / size as f64);
                if rows != expected {
                    return Err(format!("{name}: {rows} rows instead of {expected}").into());
                }
            }
            let (middle, least, most) = measure::middle(wall);
            let (each, ..) = measure::middle(cpu);
            println!("| {name} | {expected} | {middle:.1} ({least:.1}–{most:.1}) | {each:.3} |");
        }
    }
    Ok(())
}

/// What is asked, where, and how many rows come back.
fn questions(size: usize, now: Time) -> Vec<(&'static str, String, usize)> {
    let some = size.div_ceil(ONE_IN);
    let since = Time::from_ticks(now.ticks() - 10_000_000 * 3_600);
    let worst = vec!["contains(computerDnsName,'no-such-name')"; 499].join("+or+");
    let worst_of_alerts = vec!["evidence/any(e:contains(e/fileName,'no'))"; 40].join("+or+");
    let list = |of: &str, options: &str| format!("/api/{of}{options}");
    vec![
        ("all machines, 10,000 a page", list("machines", ""), size),
        ("machines by time", list("machines", &format!("?$filter=lastSeen+gt+{since}")), some),
        ("machines by health", list("machines", "?$filter=healthStatus+eq+'ImpairedCommunication'"), some),
        ("machines by a tag", list("machines", "?$filter=machineTags/any(t:t+eq+'rare')"), some),
        (
            "the last 100 machines, by `$skip`",
            list("machines", &format!("?$top=100&$skip={}", size - 100)),
            100,
        ),
        ("machines by the worst filter", list("machines", &format!("?$filter={worst}")), 0),
        ("all alerts, 10,000 a page", list("alerts", ""), size),
        ("alerts by time", list("alerts", &format!("?$filter=lastUpdateTime+gt+{since}")), some),
        ("alerts by severity", list("alerts", "?$filter=severity+eq+'High'"), some),
        ("the newest 100 alerts", list("alerts", "?$orderby=lastUpdateTime+desc&$top=100"), 100),
        ("the last 100 alerts, by `$skip`", list("alerts", &format!("?$top=100&$skip={}", size - 100)), 100),
        ("alerts by the worst filter", list("alerts", &format!("?$filter={worst_of_alerts}")), 0),
    ]
}

/// Machines that report, each with an alert on it.
fn fill(instance: &Instance, tenant: TenantId, size: usize) -> Result<(), Failure> {
    let now = instance.now();
    let long_ago = Time::from_ticks(now.ticks() - 10_000_000 * 86_400 * 3);
    let mut records = Vec::with_capacity(RECORDS_AT_ONCE + 3);
    for number in 0..size {
        let (is_one, machine) = (number.is_multiple_of(ONE_IN), format!("{number:040x}"));
        let at = if is_one { now } else { long_ago };
        let mut device = Row::new(&device_info::TABLE);
        device.set(device_info::TIMESTAMP, Cell::Time(at));
        device.set_text(device_info::DEVICE_ID, Some(&machine));
        device.set_text(device_info::DEVICE_NAME, Some(&format!("ws-{number}.corp.example")));
        device.set_text(device_info::OS_PLATFORM, Some("Windows11"));
        let health = if is_one { "ImpairedCommunication" } else { "Active" };
        device.set_text(device_info::SENSOR_HEALTH_STATE, Some(health));
        let tags = if is_one { r#"["common","rare"]"# } else { r#"["common"]"# };
        device.set_text(device_info::DEVICE_MANUAL_TAGS, Some(tags));
        let mut alert = Row::new(&alert_info::TABLE);
        alert.set(alert_info::TIMESTAMP, Cell::Time(at));
        alert.set_text(alert_info::ALERT_ID, Some(&format!("da{number:018}_1")));
        alert.set_text(alert_info::TITLE, Some("Suspicious tool"));
        alert.set_text(alert_info::CATEGORY, Some("Execution"));
        alert.set_text(alert_info::SEVERITY, Some(if is_one { "High" } else { "Low" }));
        let mut evidence = Row::new(&alert_evidence::TABLE);
        evidence.set(alert_evidence::TIMESTAMP, Cell::Time(at));
        evidence.set_text(alert_evidence::ALERT_ID, Some(&format!("da{number:018}_1")));
        evidence.set_text(alert_evidence::ENTITY_TYPE, Some("File"));
        evidence.set_text(alert_evidence::FILE_NAME, Some("tool.exe"));
        evidence.set_text(alert_evidence::SHA1, Some(&format!("{:040x}", number % 1_000)));
        evidence.set_text(alert_evidence::DEVICE_ID, Some(&machine));
        records.extend([device, alert, evidence].map(Record::Row));
        if records.len() >= RECORDS_AT_ONCE || number + 1 == size {
            let records = std::mem::take(&mut records);
            instance.store.append(Batch { records, ..Batch::recorded(tenant, "bench") })?;
        }
    }
    Ok(())
}

/// Of an application whose calls are not counted.
fn token(instance: &Instance, tenant: TenantId) -> Result<String, Failure> {
    let permissions = Permissions::named(["Machine.Read.All", "Alert.Read.All"]);
    let new =
        NewApplication { quota: ApplicationQuota::Off, ..NewApplication::new(tenant, "bench", permissions) };
    let application = instance.control.create_application_with(new, instance.now())?.0;
    let issued = instance.issuer.issue(&application, Proof::Secret, AUDIENCE, instance.now())?;
    Ok(issued.ok_or("the issuer has no name")?.token)
}

struct Asking {
    token: String,
    router: Router,
}

impl Asking {
    /// Follows the links of a list to its end; returns how many rows it has.
    async fn walk(&self, path: &str) -> Result<usize, Failure> {
        let (mut rows, mut path) = (0, path.to_owned());
        loop {
            let request = Request::get(&path).header(AUTHORIZATION, format!("Bearer {}", self.token));
            let response = self.router.clone().oneshot(request.body(Body::empty())?).await?;
            let (status, body) = (response.status(), response.into_body().collect().await?.to_bytes());
            if !status.is_success() {
                let text = String::from_utf8_lossy(&body);
                return Err(format!("{status}: {}", text.chars().take(300).collect::<String>()).into());
            }
            // Every entity begins with its id, and nothing else does.
            let begins = |window: &[u8]| window == b"{\"id\":\"";
            rows += body.windows(7).filter(|window| begins(window)).count();
            let text = std::str::from_utf8(body.get(body.len().saturating_sub(4_096)..).unwrap_or_default())?;
            match text.split_once("\"@odata.nextLink\":\"") {
                Some((_, link)) => path = link.split('"').next().unwrap_or_default().to_owned(),
                None => return Ok(rows),
            }
        }
    }
}
