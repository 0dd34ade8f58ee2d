//! What a list of hashes costs in one call of `POST /api/files/lookup`, beside a call of
//! `GET /api/files/{id}` for each: through the router, in one thread, with no connection between.

mod measure;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use measure::Failure;
use pintle::auth::application::Proof;
use pintle::auth::control::{ApplicationQuota, NewApplication};
use pintle::auth::permission::Permissions;
use pintle::config::Config;
use pintle::dev::generator::{Generator, Law};
use pintle::dev::populate;
use pintle::http::routes;
use pintle::instance::Instance;
use pintle_model::tables::device_process_events as process;
use pintle_model::{Record, Row, Sha256, TenantId};
use pintle_store::{Batch, Options};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

/// The name under which the token is asked for.
const AUDIENCE: &str = "https://api.securitycenter.microsoft.com";

/// One hash in so many is known, as in lists of indicators.
const KNOWN_IN: usize = 10;

fn main() -> Result<(), Failure> {
    let (machines, events, hashes, rounds) =
        if measure::is_in_earnest() { (10_000, 200_000, 100_000, 7) } else { (30, 1_000, 500, 1) };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut config = Config::default();
    config.server.public_url = Some("https://pintle.example.org".parse()?);
    let instance = Arc::new(Instance::open(folder.path() as &Path, config, Options::default().clock)?);
    let tenant = instance.control.tenant("default").ok_or("no tenant")?.id;
    let asked = fill(&instance, tenant, machines, events, hashes)?;
    let token = token(&instance, tenant)?;
    let router = routes::router(Arc::clone(&instance));
    let runtime = Runtime::new()?;

    let body = Bytes::from(asked.join("\n"));
    let known = hashes.div_ceil(KNOWN_IN);
    let (mut in_one, mut in_many) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let before = measure::processor_time();
        let lines = runtime.block_on(list(&router, &token, body.clone()))?;
        in_one.push((measure::processor_time() - before).as_secs_f64());
        let before = measure::processor_time();
        let found = runtime.block_on(singly(&router, &token, &asked))?;
        in_many.push((measure::processor_time() - before).as_secs_f64());
        if (lines, found) != (known, known) {
            return Err(format!("{lines} and {found} of {known} known hashes were found").into());
        }
    }
    println!(
        "{hashes} hashes, {known} of them known; {machines} machines and {events} events in the store\n"
    );
    println!("| asked | CPU µs a hash (least–most) |\n| --- | ---: |");
    for (name, measured) in [("in one call", in_one), ("one by one", in_many)] {
        let each = measured.iter().map(|seconds| seconds * 1e6 / hashes as f64);
        let (middle, least, most) = measure::middle(each);
        println!("| {name} | {middle:.2} ({least:.2}–{most:.2}) |");
    }
    Ok(())
}

/// Puts an invented company in, and files of which a part will be asked about. Returns the hashes to ask.
fn fill(
    instance: &Instance,
    tenant: TenantId,
    machines: usize,
    events: usize,
    hashes: usize,
) -> Result<Vec<String>, Failure> {
    let law = Law { machines, events, alerts: 0, ..Law::demo(instance.now()) };
    populate(&instance.store, tenant, Generator::new(law), &mut |_, _| ControlFlow::Continue(()))?;
    let mut asked = Vec::with_capacity(hashes);
    let mut records = Vec::new();
    for number in 0..hashes {
        let mut bytes = [0x5a; 32];
        // Spread over all of the keys.
        let spread = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        bytes.iter_mut().zip(spread).for_each(|(byte, of)| *byte = of);
        let hash = Sha256(bytes).to_string();
        if number % KNOWN_IN == 0 {
            let mut row = Row::new(&process::TABLE);
            row.set_time(process::TIMESTAMP, Some(instance.now()));
            row.set_text(process::DEVICE_ID, Some(&format!("{:040x}", number % machines)));
            row.set_text(process::SHA256, Some(&hash));
            records.push(Record::Row(row));
        }
        asked.push(hash);
    }
    for records in records.chunks(Batch::MAX_RECORDS) {
        let (source, records) = ("bench".to_owned(), records.to_vec());
        instance.store.append(Batch { records, ..Batch::recorded(tenant, source) })?;
    }
    Ok(asked)
}

/// Of an application whose calls are not counted: there are more of them than any limit allows.
fn token(instance: &Instance, tenant: TenantId) -> Result<String, Failure> {
    let permissions = Permissions::named(["File.Read.All"]);
    let new =
        NewApplication { quota: ApplicationQuota::Off, ..NewApplication::new(tenant, "bench", permissions) };
    let application = instance.control.create_application_with(new, instance.now())?.0;
    let issued = instance.issuer.issue(&application, Proof::Secret, AUDIENCE, instance.now())?;
    Ok(issued.ok_or("the issuer has no name")?.token)
}

/// Asks in one call. Returns how many are known.
async fn list(router: &Router, token: &str, body: Bytes) -> Result<usize, Failure> {
    let request = Request::post("/api/files/lookup").header(AUTHORIZATION, format!("Bearer {token}"));
    let request = request.header(CONTENT_TYPE, "text/plain").body(Body::from(body))?;
    let answer = router.clone().oneshot(request).await?.into_body().collect().await?.to_bytes();
    Ok(answer.iter().filter(|byte| **byte == b'\n').count())
}

/// Asks one by one. Returns how many are known.
async fn singly(router: &Router, token: &str, asked: &[String]) -> Result<usize, Failure> {
    let mut known = 0;
    for hash in asked {
        let request = Request::get(format!("/api/files/{hash}"));
        let request = request.header(AUTHORIZATION, format!("Bearer {token}")).body(Body::empty())?;
        let response = router.clone().oneshot(request).await?;
        known += usize::from(response.status().is_success());
        response.into_body().collect().await?;
    }
    Ok(known)
}
