//! A server in memory, and requests to it.

pub mod seeds;

use std::cell::RefCell;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use pintle::auth::application::Proof;
use pintle::auth::control::{ApplicationQuota, NewApplication};
use pintle::auth::inlet::NewInlet;
use pintle::auth::permission::{Permission, Permissions};
use pintle::config::Config;
use pintle::http::{Peer, Scheme, compress, routes};
use pintle::instance::Instance;
use pintle::worker::Processes;
use pintle_model::Time;
use pintle_store::Clock;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use uuid::Uuid;

const AUDIENCE: &str = "https://api.securitycenter.microsoft.com";
const GIVEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/scenarios/given");
/// After so many changes the server is as it was at first: it would grow, and its answers with it.
const CHANGES: u32 = 500;

/// Nobody may do all: who may exchange the keys that sign tokens has only that right, and does not.
const MAKES_KEYS: [&str; 3] = ["publish", "rotate", "revoke"];

/// Who asks, by the first byte of an input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// An application that may do everything in its tenant.
    Application,
    /// A user with one that may read.
    User,
    /// The server's administrator.
    Server,
    /// A shipper, by its inlet's key.
    Inlet,
    /// Whoever the request's own headers say.
    Anybody,
}

/// A request, and who asks.
pub struct Asked {
    who: Who,
    pub request: Request<Body>,
}

impl Asked {
    /// Takes an input apart. `None`: no connection would let it through.
    pub fn read(bytes: &[u8]) -> Option<Asked> {
        let (who, bytes) = bytes.split_first()?;
        let who = match who {
            b'a' => Who::Application,
            b'u' => Who::User,
            b's' => Who::Server,
            b'k' => Who::Inlet,
            b'n' => Who::Anybody,
            _ => return None,
        };
        let (head, body) = match bytes.windows(2).position(|window| window == b"\n\n") {
            Some(end) => (&bytes[..end], &bytes[end + 2..]),
            None => (bytes, &b""[..]),
        };
        let mut lines = head.split(|byte| *byte == b'\n');
        let first = str::from_utf8(lines.next()?).ok()?;
        let (method, target) = first.split_once(' ')?;
        if !target.starts_with('/') {
            return None;
        }
        let lower = target.to_ascii_lowercase();
        if who == Who::Server && MAKES_KEYS.iter().any(|word| lower.contains(word)) {
            return None;
        }
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).ok()?).uri(target);
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            request = request.header(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
        }
        let body = if body.is_empty() { Body::empty() } else { Body::from(body.to_vec()) };
        Some(Asked { who, request: request.body(body).ok()? })
    }
}

/// An answer, all of it.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn says(&self, word: &str) -> bool {
        self.text().contains(word)
    }
}

/// A server, with what its callers prove themselves with.
pub struct Served {
    runtime: Runtime,
    /// How the folder was at first, and as it is now.
    first: PathBuf,
    now: PathBuf,
    renewed: u32,
    router: Router,
    headers: [HeaderValue; 4],
    changes: u32,
}

thread_local! {
    static SERVED: RefCell<Option<Served>> = const { RefCell::new(None) };
}

impl Served {
    /// Does something with the one there is.
    pub fn with<T>(work: impl FnOnce(&mut Served) -> T) -> T {
        SERVED.with_borrow_mut(|served| work(served.get_or_insert_with(Served::new)))
    }

    fn new() -> Served {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = std::env::temp_dir().join(std::process::id().to_string());
        let (first, now) = (folder.join("first"), folder.join("0"));
        let instance = Arc::new(open(&first));
        let headers = callers(&instance);
        let mut served = Served {
            router: routes::router(Arc::clone(&instance)),
            runtime,
            first,
            now,
            renewed: 0,
            headers,
            changes: 0,
        };
        let mut given: Vec<PathBuf> =
            fs::read_dir(GIVEN).expect("scenarios").filter_map(|file| Some(file.ok()?.path())).collect();
        given.sort();
        for given in given {
            let request =
                Request::post("/api/ingest?live=false").body(Body::from(fs::read(given).expect("given")));
            let asked = Asked { who: Who::Application, request: request.expect("a request") };
            let answer = served.send(asked);
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        }
        served.router = Router::new();
        // It is as it will be found once nobody has it any more.
        while Arc::strong_count(&instance) > 1 {
            std::thread::yield_now();
        }
        drop(instance);
        served.renew();
        served
    }

    /// Sends a request, and sees to it that the server stays as it is.
    pub fn ask(&mut self, asked: Asked) -> Answer {
        let is_read = matches!(*asked.request.method(), Method::GET | Method::HEAD);
        let is_of_administration = asked.request.uri().path().to_ascii_lowercase().contains("admin");
        let answer = self.send(asked);
        if !is_read && answer.status.is_success() {
            self.changes += 1;
            // Somebody may have taken the callers' own rights.
            if self.changes >= CHANGES || is_of_administration && !self.knows_callers() {
                self.renew();
            }
        }
        answer
    }

    fn knows_callers(&mut self) -> bool {
        let asks =
            [(Who::Application, "/api/machines/1"), (Who::User, "/api/machines/1"), (Who::Inlet, "/elastic")];
        asks.into_iter().all(|(who, path)| {
            let request = Request::get(path).body(Body::empty()).expect("a request");
            let status = self.send(Asked { who, request }).status;
            !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        })
    }

    fn send(&self, Asked { who, mut request }: Asked) -> Answer {
        let header = match who {
            Who::Application => Some(&self.headers[0]),
            Who::User => Some(&self.headers[1]),
            Who::Server => Some(&self.headers[2]),
            Who::Inlet => Some(&self.headers[3]),
            Who::Anybody => None,
        };
        if let Some(header) = header {
            request.headers_mut().insert(AUTHORIZATION, header.clone());
        }
        request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("pintle.example.org"));
        request.extensions_mut().insert(Peer(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4711)));
        request.extensions_mut().insert(Scheme::Http);
        let router = self.router.clone();
        self.runtime.block_on(async {
            let (parts, body) = router.oneshot(request).await.expect("no error is possible").into_parts();
            let body = body.collect().await.expect("a whole answer").to_bytes().to_vec();
            Answer { status: parts.status, headers: parts.headers, body }
        })
    }

    /// Goes on with a server as it was at first.
    fn renew(&mut self) {
        self.router = Router::new();
        _ = fs::remove_dir_all(&self.now);
        self.renewed += 1;
        self.now.set_file_name(self.renewed.to_string());
        copy(&self.first, &self.now);
        let router = routes::router(Arc::new(open(&self.now)));
        self.router = compress::wrap(router);
        self.changes = 0;
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder in memory");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a file in memory");
        }
    }
}

fn open(folder: &Path) -> Instance {
    fs::create_dir_all(folder).expect("a folder in memory");
    let mut config = Config::default();
    config.server.public_url = Some("https://pintle.example.org".parse().expect("a URL"));
    config.server.trusted_proxies = vec!["127.0.0.1".parse().expect("a network")];
    config.quota.enabled = false;
    let clock: Clock = Arc::new(|| Time::parse("2026-01-20T00:00:00Z").unwrap_or(Time::MIN));
    let instance = Instance::open(folder, config, clock).expect("a data folder");
    instance.with_workers(Processes::of("/nonexistent"))
}

/// Makes those who ask, and gives what each proves themselves with.
fn callers(instance: &Instance) -> [HeaderValue; 4] {
    let (control, now) = (&instance.control, instance.now());
    let tenant = control.tenant("default").expect("a tenant").id;
    let bearer = |token: String| HeaderValue::try_from(format!("Bearer {token}")).expect("a header");
    let application = |name: &str, id: u128, may: &dyn Fn(Permission) -> bool| {
        let permissions = Permission::ALL.iter().copied().filter(|permission| may(*permission)).collect();
        let new = NewApplication {
            id: Some(Uuid::from_u128(id)),
            quota: ApplicationQuota::Off,
            ..NewApplication::new(tenant, name, permissions)
        };
        let application = control.create_application_with(new, now).expect("an application").0;
        let issued = instance.issuer.issue(&application, Proof::Secret, AUDIENCE, now);
        bearer(issued.expect("a token").expect("an issuer").token)
    };
    let all = application("all", 1, &|permission| permission != Permission::ServerAdministration);
    let server = application("server", 2, &|permission| permission == Permission::ServerAdministration);
    let user = user(instance);
    let new =
        NewInlet { tenant, name: "shipper".to_owned(), format: None, namespace: None, key_expires: None };
    let (inlet, key) = control.create_inlet(new, now).expect("an inlet");
    let key = STANDARD.encode(format!("{}:{}", inlet.id, key.reveal()));
    let inlet = HeaderValue::try_from(format!("ApiKey {key}")).expect("a header");
    [all, bearer(user), server, inlet]
}

/// The token of a user who may see the data.
fn user(instance: &Instance) -> String {
    use pintle::auth::control::{RoleChange, UserChange};
    use pintle::auth::role::RolePermission;
    use pintle::auth::user::NewUser;
    let (control, now) = (&instance.control, instance.now());
    let tenant = control.tenant("default").expect("a tenant").id;
    let scopes = Permissions::delegated_as(["Machine.Read", "Alert.Read", "File.Read.All", "User.Read.All"]);
    let new = NewApplication {
        id: Some(Uuid::from_u128(3)),
        delegated: scopes,
        is_public: true,
        quota: ApplicationQuota::Off,
        ..NewApplication::new(tenant, "console", Permissions::default())
    };
    let application = control.create_application_with(new, now).expect("an application").0;
    control.create_user_group(tenant, "analysts", "").expect("a group");
    let role = RoleChange {
        name: Some("reader".to_owned()),
        permissions: Some([RolePermission::ViewData].into_iter().collect()),
        give: vec!["analysts".to_owned()],
        ..RoleChange::default()
    };
    control.create_role(tenant, role).expect("a role");
    let new =
        NewUser { tenant, name: "alex".to_owned(), display_name: String::new(), user_groups: Vec::new() };
    control.create_user(new, now).expect("a user");
    let join = UserChange { join: vec!["analysts".to_owned()], ..UserChange::default() };
    let user = control.change_user(tenant, "alex", join).expect("a user");
    let issued = instance.issuer.issue_for(&user, &application, None, scopes, AUDIENCE, now);
    issued.expect("a token").expect("an issuer").token
}
