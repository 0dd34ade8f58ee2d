//! What it costs to refuse a bad token: processor time and memory, beside what a good one costs.

mod measure;
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "the tests' own table")]
#[path = "../tests/it/refused/tokens.rs"]
mod tokens;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use measure::Failure;
use pintle::auth::application::{Application, Proof};
use pintle::auth::permission::Permissions;
use pintle::config::Config;
use pintle::http::routes;
use pintle::instance::Instance;
use pintle_store::Options;
use tokens::Bad;
use tower::ServiceExt as _;

/// More than this for one refusal would be something to attack with.
const MAX_MICROSECONDS: f64 = 100.0;
const MAX_BYTES: u64 = 256 << 10;

const AUDIENCE: &str = "https://api.securitycenter.microsoft.com";

/// Counts the bytes that are asked for.
struct Counting;

static ASKED: AtomicU64 = AtomicU64::new(0);

#[allow(unsafe_code, reason = "an allocator is")]
// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> Result<(), Failure> {
    let rounds = if measure::is_in_earnest() { 2_000 } else { 3 };
    let folder = tempfile::tempdir()?;
    let mut config = Config::default();
    config.server.public_url = Some("https://pintle.example.org".parse()?);
    config.quota.enabled = false;
    let instance = Arc::new(Instance::open(folder.path(), config, Options::default().clock)?);
    let (_, good) = token(&instance, "good")?;
    let (application, disabled) = token(&instance, "disabled")?;
    instance.control.change_application(application.id, |application| application.enabled = false)?;
    let foreign = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)?;
    let bad = tokens::bad_tokens(
        folder.path(),
        &good,
        &disabled,
        &instance.issuer.jwks(),
        &foreign.serialize_pem(),
    );

    let router = routes::router(Arc::clone(&instance));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("| token | status | CPU µs | bytes asked of the allocator |");
    println!("| --- | ---: | ---: | ---: |");
    let (mut slowest, mut largest) = (0.0f64, 0u64);
    // Its file is unknown.
    let (status, micros, bytes) = runtime.block_on(cost(&router, &good, rounds))?;
    println!("| a good one, verified before | {status} | {micros:.1} | {bytes} |");
    for Bad { name, token, status: expected } in &bad {
        let (status, micros, bytes) = runtime.block_on(cost(&router, token, rounds))?;
        println!("| {} | {status} | {micros:.1} | {bytes} |", name.escape_debug());
        if status != *expected {
            return Err(format!("{name}: {status}, not {expected}").into());
        }
        slowest = slowest.max(micros);
        largest = largest.max(bytes);
    }
    println!("\n{} bad tokens: at most {slowest:.1} µs and {largest} bytes", bad.len());
    if largest > MAX_BYTES {
        return Err(format!("a refusal asks for {largest} bytes, more than {MAX_BYTES}").into());
    }
    if measure::is_in_earnest() && slowest > MAX_MICROSECONDS {
        return Err(format!("a refusal takes {slowest:.1} µs, more than {MAX_MICROSECONDS}").into());
    }
    Ok(())
}

fn token(instance: &Instance, name: &str) -> Result<(Arc<Application>, String), Failure> {
    let tenant = instance.control.tenant("default").ok_or("no tenant")?.id;
    let permissions = Permissions::named(["Machine.Read.All"]);
    let (application, _) = instance.control.create_application(tenant, name, permissions, instance.now())?;
    let issued = instance.issuer.issue(&application, Proof::Secret, AUDIENCE, instance.now())?;
    Ok((application, issued.ok_or("the issuer has no name")?.token))
}

/// Sends it again and again: the status, the median of processor microseconds, and bytes each.
async fn cost(router: &Router, token: &str, rounds: usize) -> Result<(u16, f64, u64), Failure> {
    let mut micros = Vec::with_capacity(rounds);
    let (mut status, mut bytes) = (0, 0);
    for _ in 0..rounds {
        // An unknown file's machines: the least there is to be answered to a good one.
        let request = Request::get("/api/files/00000000000000000000000000000000000000ff/machines");
        let request = request.header(AUTHORIZATION, format!("Bearer {token}")).body(Body::empty())?;
        let (asked, before) = (ASKED.load(Ordering::Relaxed), measure::thread_time());
        let answer = router.clone().oneshot(request).await?;
        micros.push((measure::thread_time() - before).as_secs_f64() * 1e6);
        bytes = ASKED.load(Ordering::Relaxed) - asked;
        status = answer.status().as_u16();
    }
    Ok((status, measure::middle(micros).0, bytes))
}
