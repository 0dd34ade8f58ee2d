//! `limits`: how lookups, lists, filters and lists of hashes grow with what is in a store.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use pintle::auth::application::Proof;
use pintle::auth::control::{ApplicationQuota, NewApplication};
use pintle::auth::permission::Permissions;
use pintle::config::{Config, Size};
use pintle::http::routes;
use pintle::instance::Instance;
use pintle_model::FileHash;
use pintle_store::{Memory, Options, Page, Scope, Store};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::lookups::{KINDS, never_seen};
use crate::peers::{self, FILTERED};
use crate::scale::{SAMPLE, TENANT};
use crate::{Failure, machine};

/// How `limits` is called.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of stores that `scale` has filled, from the smallest to the largest
    #[arg(required = true)]
    stores: Vec<PathBuf>,
    /// Questions of each kind to each store
    #[arg(long, default_value_t = 2_000)]
    questions: usize,
    /// Hashes in one call
    #[arg(long, default_value_t = 100_000)]
    hashes: usize,
    /// How many bytes of what was read stay in memory: as many as by default, unless said
    #[arg(long, value_name = "BYTES", default_value_t = Memory::default().cache)]
    cache: usize,
}

/// One hash in so many is known, as in lists of indicators.
const KNOWN_IN: usize = 10;
/// Files of a kind to ask for, and of how many it is looked which kind they are.
const FILES: usize = 1_000;
const LOOKED_AT: usize = 20_000;
const ROUNDS: usize = 3;
const AUDIENCE: &str = "https://api.securitycenter.microsoft.com";

/// A row of the table: what was asked, and what it took of each store.
struct Row {
    asked: String,
    took: Vec<String>,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let mut rows: Vec<Row> = Vec::new();
        for (nth, folder) in self.stores.iter().enumerate() {
            let sample = sample(folder)?;
            let mut took = self.lookups(folder, &sample)?;
            took.extend(self.calls(folder, &sample)?);
            for (asked, one) in took {
                match rows.iter_mut().find(|row| row.asked == asked) {
                    Some(row) => row.took.push(one),
                    None => {
                        let before = vec!["–".to_owned(); nth];
                        rows.push(Row { asked, took: [before, vec![one]].concat() });
                    }
                }
            }
            for row in &mut rows {
                row.took.resize(nth + 1, "–".to_owned());
            }
        }
        let names = self.stores.iter().map(|folder| folder.file_name().unwrap_or_default().display());
        println!(
            "| asked |{} |",
            names.map(|name| format!(" {name} |")).collect::<String>().trim_end_matches('|')
        );
        println!("| --- |{}", " ---: |".repeat(self.stores.len()));
        for Row { asked, took } in rows {
            println!("| {asked} | {} |", took.join(" | "));
        }
        println!("\n{}", machine::describe()?);
        Ok(())
    }

    /// What lookups take in process: of all machines, and of those of one device group.
    fn lookups(&self, folder: &Path, sample: &[FileHash]) -> Result<Vec<(String, String)>, Failure> {
        let memory = Memory { cache: self.cache, ..Memory::default() };
        let store = Store::open(&folder.join("store"), Options { memory, ..peers::options() })?;
        let whole = Scope::whole(TENANT);
        let mut rows = Vec::new();
        for (kind, files) in KINDS.iter().zip(by_kind(&store, &whole, sample)?) {
            let (name, range) = kind;
            // One that takes a millisecond need not be asked as often.
            let questions = if *range.start() > 1_000 { self.questions / 10 } else { self.questions };
            if files.is_empty() {
                continue;
            }
            let mut took = ask(&store, &whole, &files, questions)?;
            rows.push((format!("lookup, file {name}"), took.text()));
            if *range.start() > 1 {
                let group = Scope::device_groups(TENANT, [FILTERED]);
                took = ask(&store, &group, &files, questions)?;
                rows.push((format!("the same in one device group, file {name}"), took.text()));
            }
        }
        store.close()?;
        Ok(rows)
    }

    /// What calls take, through the router, without a connection.
    fn calls(&self, folder: &Path, sample: &[FileHash]) -> Result<Vec<(String, String)>, Failure> {
        let asking = Asking::open(&folder.join("store"), self.cache)?;
        let hashes = self.hashes(sample);
        let runtime = Runtime::new()?;
        let list = hashes.join("\n");
        let mut rows = Vec::new();
        for (name, path) in [
            ("all machines, 10,000 a page", "/api/machines".to_owned()),
            (
                "machines by `$filter` of a name",
                "/api/machines?$filter=contains(computerDnsName,'99')".to_owned(),
            ),
            ("all alerts", "/api/alerts".to_owned()),
        ] {
            let (mut wall, mut count) = (Vec::new(), 0);
            // The first one makes what is made when somebody first asks.
            for _ in 0..=ROUNDS {
                let (found, took) = runtime.block_on(asking.walk(&path))?;
                count = found;
                wall.push(took);
            }
            rows.push((name.to_owned(), format!("{} of {count}", milliseconds(middle(wall.split_off(1))))));
        }
        let (mut in_one, mut in_one_wall, mut singly) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (began, cpu) = (Instant::now(), machine::process_time());
            let known = runtime.block_on(asking.list(&list))?;
            in_one.push(machine::process_time() - cpu);
            in_one_wall.push(began.elapsed());
            let cpu = machine::process_time();
            let found = runtime.block_on(asking.singly(&hashes))?;
            singly.push(machine::process_time() - cpu);
            if known != found {
                return Err(format!("{known} are known in one call, {found} one by one").into());
            }
        }
        let (in_one, singly) = (middle(in_one), middle(singly));
        let count = self.hashes;
        rows.push((format!("{count} hashes in one call, wall"), milliseconds(middle(in_one_wall))));
        rows.push((format!("{count} hashes in one call, processor"), milliseconds(in_one)));
        rows.push((format!("{count} hashes in as many calls, processor"), milliseconds(singly)));
        let share = in_one.as_secs_f64() / singly.as_secs_f64();
        rows.push(("one call against as many".to_owned(), format!("{share:.3}")));
        Ok(rows)
    }

    /// Hashes to ask for at once, spread over all that there is.
    fn hashes(&self, sample: &[FileHash]) -> Vec<String> {
        let step = (sample.len() * KNOWN_IN / self.hashes).max(1);
        let mut known = sample.iter().step_by(step);
        let hash = |number: usize| {
            let known = if number.is_multiple_of(KNOWN_IN) { known.next() } else { None };
            known.copied().unwrap_or_else(|| never_seen(number as u32)).to_string()
        };
        (0..self.hashes).map(hash).collect()
    }
}

/// SHA-1s of files in a store, each once.
fn sample(folder: &Path) -> Result<Vec<FileHash>, Failure> {
    let text = fs::read_to_string(folder.join(SAMPLE))?;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    Ok(lines.into_iter().map(|line| line.parse().map(FileHash::Sha1)).collect::<Result<_, _>>()?)
}

/// Files of each kind, from all over the sample.
fn by_kind(
    store: &Store,
    scope: &Scope,
    sample: &[FileHash],
) -> Result<[Vec<FileHash>; KINDS.len()], Failure> {
    let mut kinds: [Vec<FileHash>; KINDS.len()] = Default::default();
    let lookup = store.look_up_files(scope)?;
    for hash in sample.iter().step_by((sample.len() / LOOKED_AT).max(1)) {
        let machines = lookup.find(hash)?.map_or(0, |found| found.machines);
        let kind = KINDS.iter().zip(&mut kinds).find(|((_, range), _)| range.contains(&machines));
        if let Some((_, files)) = kind.filter(|(_, files)| files.len() < FILES) {
            files.push(*hash);
        }
    }
    let [unknown, ..] = &mut kinds;
    *unknown = (0..FILES as u32).map(never_seen).collect();
    Ok(kinds)
}

/// What questions took, each.
struct Took(Vec<Duration>, Duration);

impl Took {
    fn text(&mut self) -> String {
        let Took(each, cpu) = self;
        each.sort_unstable();
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let p99 = micros(machine::quantile(each, 0.99));
        format!("{:.1} µs, p99 {p99:.0}", micros(*cpu) / each.len().max(1) as f64)
    }
}

/// Asks for the machines of files, in an order that jumps about, after each was asked for once.
fn ask(store: &Store, scope: &Scope, files: &[FileHash], questions: usize) -> Result<Took, Failure> {
    let (mut json, mut took, mut cpu) = (Vec::new(), Vec::new(), Duration::ZERO);
    for nth in 0..questions * 2 {
        let Some(hash) = files.get(nth.wrapping_mul(0x9e37_79b9) % files.len()) else { continue };
        json.clear();
        let (began, before) = (Instant::now(), machine::thread_time());
        store.file_machines(scope, hash, Page::ALL, &mut json)?;
        if nth >= questions {
            cpu += machine::thread_time() - before;
            took.push(began.elapsed());
        }
    }
    Ok(Took(took, cpu))
}

/// An application that asks a server without a connection between.
struct Asking {
    router: Router,
    bearer: String,
}

impl Asking {
    fn open(store: &Path, cache: usize) -> Result<Asking, Failure> {
        let mut config = Config::default();
        config.store.cache = Size::from_bytes(cache as u64);
        config.server.public_url = Some("https://pintle.example.org".parse()?);
        let instance = Arc::new(Instance::open(store, config, Options::default().clock)?);
        if !instance.control.tenants().iter().any(|tenant| tenant.id == TENANT) {
            instance.control.create_tenant(Some(TENANT), "bench")?;
        }
        let permissions = Permissions::named(["File.Read.All", "Machine.Read.All", "Alert.Read.All"]);
        // The name of one that was made before is taken.
        let name = format!("limits-{}", instance.now());
        let new = NewApplication {
            quota: ApplicationQuota::Off,
            ..NewApplication::new(TENANT, &name, permissions)
        };
        let application = instance.control.create_application_with(new, instance.now())?.0;
        let issued = instance.issuer.issue(&application, Proof::Secret, AUDIENCE, instance.now())?;
        let bearer = format!("Bearer {}", issued.ok_or("the issuer has no name")?.token);
        Ok(Asking { router: routes::router(instance), bearer })
    }

    async fn send(
        &self,
        request: axum::http::request::Builder,
        body: Body,
    ) -> Result<(u16, Vec<u8>), Failure> {
        let request: Request = request.header(AUTHORIZATION, &self.bearer).body(body)?;
        let response = self.router.clone().oneshot(request).await?;
        let status = response.status().as_u16();
        Ok((status, response.into_body().collect().await?.to_bytes().to_vec()))
    }

    /// Asks in one call. Returns how many are known.
    async fn list(&self, hashes: &str) -> Result<usize, Failure> {
        let request = Request::post("/api/files/lookup").header(CONTENT_TYPE, "text/plain");
        let (status, answer) = self.send(request, Body::from(hashes.to_owned())).await?;
        if status != 200 {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&answer)).into());
        }
        Ok(answer.iter().filter(|byte| **byte == b'\n').count())
    }

    /// Asks one by one. Returns how many are known.
    async fn singly(&self, hashes: &[String]) -> Result<usize, Failure> {
        let mut known = 0;
        for hash in hashes {
            let (status, _) = self.send(Request::get(format!("/api/files/{hash}")), Body::empty()).await?;
            known += usize::from(status == 200);
        }
        Ok(known)
    }

    /// Fetches all pages of a list. Returns how many entities there were, and how long the answers took.
    async fn walk(&self, path: &str) -> Result<(usize, Duration), Failure> {
        let (mut next, mut count, mut took) = (Some(path.to_owned()), 0, Duration::ZERO);
        while let Some(path) = next {
            let began = Instant::now();
            let (status, answer) = self.send(Request::get(&path), Body::empty()).await?;
            took += began.elapsed();
            if status != 200 {
                return Err(format!("{path}: {status}: {}", String::from_utf8_lossy(&answer)).into());
            }
            let answer: serde_json::Value = serde_json::from_slice(&answer)?;
            count += answer.get("value").and_then(|value| value.as_array()).map_or(0, Vec::len);
            let link = answer.get("@odata.nextLink").and_then(|link| link.as_str());
            next = link.map(|link| link.trim_start_matches("https://pintle.example.org").to_owned());
        }
        Ok((count, took))
    }
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    machine::quantile(&times, 0.5)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}
