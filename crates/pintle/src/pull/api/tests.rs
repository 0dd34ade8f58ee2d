use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::response::Response;
use pintle_store::{Options, Scope};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::*;
use crate::config::Config;

/// An API that is not Pintle, since it does what it is told to.
#[derive(Default)]
struct Fake {
    /// By id: what it lists.
    alerts: Mutex<BTreeMap<String, Value>>,
    machines: Mutex<BTreeMap<String, Value>>,
    /// What it answers next instead: a status, and for how long it wants to be left alone.
    refusals: Mutex<VecDeque<(u16, Option<u32>)>>,
    /// The list that it gives to nobody.
    forbidden: Mutex<Option<&'static str>>,
    /// What it was asked for.
    asked: Mutex<Vec<String>>,
    /// Tokens that it gave.
    tokens: Mutex<u32>,
    /// Whether it gives the first page whatever it is asked for.
    is_stubborn: Mutex<bool>,
    /// Happens after it was asked for alerts so many times.
    then: Mutex<Option<(usize, Change)>>,
}

type Change = Box<dyn FnOnce(&Fake) + Send>;

fn answer(status: u16, wait: Option<u32>, body: String) -> Response {
    let mut answer = Response::builder().status(status);
    if let Some(wait) = wait {
        answer = answer.header(RETRY_AFTER, wait);
    }
    answer.body(Body::from(body)).unwrap()
}

async fn serve(State(fake): State<Arc<Fake>>, request: Request) -> Response {
    let uri = request.uri().to_string();
    fake.asked.lock().unwrap().push(uri.clone());
    if uri == "/token" {
        let mut tokens = fake.tokens.lock().unwrap();
        *tokens += 1;
        return answer(200, None, format!(r#"{{"access_token":"token{tokens}","expires_in":3600}}"#));
    }
    let shown = request.headers().get(AUTHORIZATION).unwrap().to_str().unwrap().to_owned();
    assert_eq!(shown, format!("Bearer token{}", fake.tokens.lock().unwrap()));
    if let Some((status, wait)) = fake.refusals.lock().unwrap().pop_front() {
        let said = r#"{"error":{"code":"SomeCode","message":"Some\nwords","target":"x"}}"#;
        return answer(status, wait, said.to_owned());
    }
    let (path, query) = uri.split_once('?').unwrap();
    if fake.forbidden.lock().unwrap().is_some_and(|list| path == list) {
        return answer(403, None, String::new());
    }
    let options: BTreeMap<&str, &str> =
        query.split('&').map(|option| option.split_once('=').unwrap()).collect();
    let number = |name: &str| options[name].parse::<usize>().unwrap();
    let since = options.get("$filter").map(|filter| filter.strip_prefix("lastUpdateTime%20ge%20").unwrap());
    let skip = if *fake.is_stubborn.lock().unwrap() { 0 } else { number("$skip") };
    let list = if path == "/api/alerts" {
        assert_eq!(options["$expand"], "evidence");
        &fake.alerts
    } else {
        assert_eq!((path, since), ("/api/machines", None));
        &fake.machines
    };
    let is_wanted = |row: &&Value| since.is_none_or(|since| row["lastUpdateTime"].as_str().unwrap() >= since);
    let page: Vec<Value> =
        list.lock().unwrap().values().filter(is_wanted).skip(skip).take(number("$top")).cloned().collect();
    let asked = fake.asked.lock().unwrap().iter().filter(|uri| uri.starts_with("/api/alerts")).count();
    let then = fake.then.lock().unwrap().take_if(|(times, _)| *times == asked);
    if let Some((_, then)) = then {
        then(&fake);
    }
    // Where it leads is nobody's business.
    let next = "https://elsewhere.example.org/api/alerts?$skip=10";
    answer(200, None, json!({"@odata.context": "x", "value": page, "@odata.nextLink": next}).to_string())
}

impl Fake {
    /// An alert of a file on a machine.
    fn alert(&self, id: &str, updated: &str, status: &str) {
        let evidence =
            json!({"entityType": "File", "sha1": format!("{:0>40}", hex(id)), "fileName": "a.exe"});
        let alert = json!({
            "id": id, "machineId": "m1", "severity": "High", "status": status, "title": "T",
            "alertCreationTime": updated, "lastEventTime": updated, "lastUpdateTime": updated, "evidence": [evidence],
        });
        self.alerts.lock().unwrap().insert(id.to_owned(), alert);
    }

    fn machine(&self, id: &str, risk: &str) {
        let machine = json!({
            "id": id, "computerDnsName": format!("{id}.example.org"), "firstSeen": "2026-01-01T00:00:00Z",
            "lastSeen": "2026-01-02T00:00:00Z", "osPlatform": "Windows11", "healthStatus": "Active", "riskScore": risk,
            "machineTags": [],
        });
        self.machines.lock().unwrap().insert(id.to_owned(), machine);
    }

    fn refuse(&self, refusals: &[(u16, Option<u32>)]) {
        self.refusals.lock().unwrap().extend(refusals);
    }

    /// What it was asked for since this was asked last.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// An API, and who fetches from it.
struct Site {
    fake: Arc<Fake>,
    data: tempfile::TempDir,
    runtime: Runtime,
    config: Config,
    /// How far the clock here is ahead.
    ahead: Arc<AtomicU64>,
    instance: Option<Instance>,
}

impl Site {
    fn new(more: &str) -> Site {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let fake = Arc::new(Fake::default());
        let app = Router::new().fallback(serve).with_state(Arc::clone(&fake));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async { axum::serve(listener, app).await });
        let data = tempfile::tempdir().unwrap();
        let credentials = data.path().join("credentials");
        std::fs::write(&credentials, "CLIENT_ID=app\nCLIENT_SECRET=hush\n").unwrap();
        let text = format!(
            "[pull.upstream]\napi = \"{url}\"\ntoken_url = \"{url}/token\"\ncredentials_file = \"{}\"\n{more}",
            credentials.display()
        );
        let sources =
            crate::config::Sources { file: Some((PathBuf::from("a.toml"), text)), ..Default::default() };
        let config = crate::config::Loaded::from_sources(&sources).unwrap().config;
        let mut site = Site { fake, data, runtime, config, ahead: Arc::default(), instance: None };
        site.restart();
        site
    }

    fn restart(&mut self) {
        self.instance = None;
        let (clock, ahead) = (Options::default().clock, Arc::clone(&self.ahead));
        let clock = Arc::new(move || clock() + Duration::from_secs(ahead.load(Ordering::SeqCst)));
        self.instance =
            Some(Instance::open(&self.data.path().join("data"), self.config.clone(), clock).unwrap());
    }

    /// Time goes by.
    fn forward(&self, by: Duration) {
        self.ahead.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    fn asked(&self, asked: Asked) -> Result<Came, PullError> {
        let instance = self.instance.as_ref().unwrap();
        instance.pulls.round(instance, "upstream", self.runtime.handle(), asked, &mut |_| {})
    }

    fn round(&self) -> Result<Came, PullError> {
        self.asked(Asked::ByTheClock)
    }

    /// How many elements a round takes.
    fn taken(&self) -> u64 {
        self.round().unwrap().taken
    }

    /// Files that the store knows: each alert has one of its own.
    fn files(&self) -> u64 {
        let instance = self.instance.as_ref().unwrap();
        let tenant = instance.control.tenant("default").unwrap().id;
        instance.store.totals(&Scope::whole(tenant)).unwrap().files
    }
}

/// A time so many seconds behind what was an hour ago.
fn at(seconds: u64) -> String {
    let now = (Options::default().clock)();
    (now - Duration::from_secs(3600) + Duration::from_secs(seconds)).to_string()
}

#[test]
fn what_is_new_or_says_something_new_is_taken_once() {
    let mut site = Site::new("");
    let times: Vec<String> = [1, 2].map(at).to_vec();
    site.fake.alert("a1", &times[0], "New");
    site.fake.alert("a2", &times[1], "New");
    site.fake.machine("m1", "Low");
    site.fake.machine("m2", "Low");
    let came = site.round().unwrap();
    assert_eq!((came.listed, came.taken, came.records, came.failed), (4, 4, 4, 0));
    assert_eq!((site.files(), site.taken()), (2, 0));
    // One that was changed, and its time with it.
    site.fake.asked();
    site.fake.alert("a1", &at(3), "Resolved");
    assert_eq!(site.taken(), 1);
    // It was asked for what was updated since, and a little before.
    let since = (Time::parse(&times[1]).unwrap() - OVERLAP).to_string();
    let asked = site.fake.asked();
    assert!(
        asked[0].starts_with(&format!("/api/alerts?$filter=lastUpdateTime%20ge%20{since}&")),
        "{asked:?}"
    );
    // Nothing tells when a machine changed, so all are looked at: when it is time for it, or at once.
    site.fake.machine("m2", "High");
    assert_eq!(site.taken(), 0);
    assert_eq!(site.asked(Asked::ByPeople).unwrap().taken, 1);
    site.restart();
    assert_eq!((site.taken(), site.files()), (0, 2));
}

#[test]
fn of_many_pages_nothing_is_missed_that_comes_meanwhile() {
    let site = Site::new("calls_per_minute = 1000");
    for n in 0..2_500 {
        site.fake.alert(&format!("b{n:04}"), &at(1), "New");
    }
    // What one says that comes later of when that was is not to be believed.
    site.fake.alert("c", &at(24 * 3600), "New");
    // Its place is on a page that was read already.
    let then = |fake: &Fake| (0..10).for_each(|n| fake.alert(&format!("a{n}"), &at(3_600), "New"));
    *site.fake.then.lock().unwrap() = Some((2, Box::new(then)));
    assert_eq!((site.taken(), site.files()), (2_501, 2_501));
    assert_eq!((site.taken(), site.files()), (10, 2_511));
    assert!(site.fake.asked().iter().all(|uri| !uri.contains("elsewhere")));
}

#[test]
fn what_came_while_nobody_asked_is_taken_however_long_that_was() {
    let site = Site::new("look_back = \"2h\"");
    site.fake.alert("a1", &at(1), "New");
    assert_eq!(site.taken(), 1);
    site.fake.alert("a2", &at(3_600), "New");
    site.forward(Duration::from_secs(3 * 24 * 3600));
    site.fake.asked();
    assert_eq!(site.taken(), 1);
    // What is new does not wait for a look at all.
    let asked = site.fake.asked();
    let since = asked.first().unwrap().split("%20ge%20").nth(1).unwrap().split('&').next().unwrap();
    assert!(since <= at(1).as_str(), "{asked:?}");
}

#[test]
fn a_list_that_is_not_given_keeps_nothing_from_the_other() {
    let site = Site::new("");
    site.fake.alert("a1", &at(1), "New");
    site.fake.machine("m1", "Low");
    for list in ["/api/machines", "/api/alerts"] {
        *site.fake.forbidden.lock().unwrap() = Some(list);
        let PullError::Failed(reason) = site.asked(Asked::ByPeople).err().unwrap() else { panic!("stopped") };
        assert!(reason.contains(list) && reason.contains("403"), "{reason}");
        assert_eq!(site.files(), 1);
    }
    let machines = || site.fake.asked().iter().filter(|uri| uri.starts_with("/api/machines")).count();
    assert!(machines() > 0);
    *site.fake.forbidden.lock().unwrap() = None;
    assert_eq!(site.taken(), 0);
}

#[test]
fn what_an_api_may_have_a_passing_trouble_with_is_asked_for_again() {
    let site = Site::new("");
    site.fake.alert("a1", &at(1), "New");
    let begun = Instant::now();
    site.fake.refuse(&[(401, None), (429, Some(2)), (500, None), (503, Some(1))]);
    assert_eq!((site.taken(), *site.fake.tokens.lock().unwrap()), (1, 2));
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn what_will_not_pass_is_said() {
    let site = Site::new("calls_per_minute = 1000");
    let failed = |refusals: &[(u16, Option<u32>)]| {
        site.fake.refuse(refusals);
        let PullError::Failed(reason) = site.round().err().unwrap() else { panic!("stopped") };
        assert!(!reason.contains("hush"), "{reason}");
        reason
    };
    let reason = failed(&[(403, None)]);
    assert!(reason.ends_with(": 403 Forbidden: SomeCode Some words"), "{reason}");
    assert!(reason.contains("/api/alerts?$filter="), "{reason}");
    let reason = failed(&[(401, None), (401, None)]);
    assert!(reason.contains("401 Unauthorized"), "{reason}");
    let reason = failed(&[(502, None); 4]);
    assert!(reason.contains("502 Bad Gateway"), "{reason}");
    let reason = failed(&[(429, Some(0)); 10]);
    assert!(reason.contains("429 Too Many Requests"), "{reason}");
    assert_eq!(site.taken(), 0);
    // One that does not heed $skip.
    *site.fake.is_stubborn.lock().unwrap() = true;
    for n in 0..200 {
        site.fake.machine(&format!("m{n:03}"), "Low");
    }
    let PullError::Failed(reason) = site.asked(Asked::ByPeople).err().unwrap() else { panic!("stopped") };
    assert!(reason.contains("the same again and again"), "{reason}");
}

#[test]
fn one_that_is_longer_than_what_is_read_does_not_keep_others_from_being_taken() {
    let site = Site::new("calls_per_minute = 1000");
    for n in 0..3 {
        site.fake.alert(&format!("a{n}"), &at(1), "New");
    }
    site.fake.alerts.lock().unwrap().get_mut("a1").unwrap()["description"] = "x".repeat(33 << 20).into();
    let came = site.round().unwrap();
    assert_eq!((came.taken, came.failed, site.files()), (2, 1, 2));
    assert!(came.troubles[0].contains("longer than what is read"), "{:?}", came.troubles);
}
