//! A server for one test: a temporary folder, a clock that only moves when told, callers by name.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::MatchedPath;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use pintle::auth::application::Proof;
use pintle::auth::control::{NewApplication, RoleChange, UserChange};
use pintle::auth::inlet::NewInlet;
use pintle::auth::permission::Permissions;
use pintle::auth::role::RolePermission;
use pintle::auth::secret::Secret;
use pintle::auth::user::NewUser;
use pintle::config::Config;
use pintle::http::routes::router;
use pintle::instance::Instance;
use pintle::worker::Processes;
use pintle_model::{TenantId, Time};
use pintle_store::{Clock, Folder, Options, Store};
use tower::ServiceExt as _;
use uuid::Uuid;

/// The host that requests name.
pub const HOST: &str = "pintle.example.org";

/// The audience that most clients ask for.
pub const AUDIENCE: &str = "https://api.securitycenter.microsoft.com";

/// A server under test.
pub struct World {
    folder: tempfile::TempDir,
    config: Config,
    ticks: Arc<AtomicI64>,
    instance: Option<Arc<Instance>>,
    router: Router,
}

/// An answer.
pub struct Answer {
    /// The path of the table's row that answered.
    pub route: Option<String>,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: String,
}

impl World {
    /// A new server whose clock stands at 2026-01-20T00:00:00Z.
    pub fn new(mut config: Config) -> World {
        config.server.public_url = Some(format!("https://{HOST}").parse().unwrap());
        let start = Time::parse("2026-01-20T00:00:00Z").unwrap();
        let mut world = World {
            folder: tempfile::tempdir().unwrap(),
            config,
            ticks: Arc::new(AtomicI64::new(start.ticks())),
            instance: None,
            router: Router::new(),
        };
        world.open();
        world
    }

    fn open(&mut self) {
        let ticks = Arc::clone(&self.ticks);
        let clock: Clock = Arc::new(move || Time::from_ticks(ticks.load(Ordering::SeqCst)));
        let instance = Instance::open(self.folder.path(), self.config.clone(), clock).unwrap();
        let instance = instance.with_workers(Processes::of(env!("CARGO_BIN_EXE_pintle")));
        self.serve(instance);
    }

    fn serve(&mut self, instance: Instance) {
        let instance = Arc::new(instance);
        self.router = router(Arc::clone(&instance));
        self.instance = Some(instance);
    }

    /// The same server as `pintle dev` has it.
    pub fn for_dev(mut self) -> World {
        self.router = Router::new();
        let instance = Arc::into_inner(self.instance.take().unwrap()).unwrap();
        self.serve(instance.for_dev());
        self
    }

    /// The same server with other workers.
    pub fn with_workers(mut self, workers: Processes) -> World {
        self.router = Router::new();
        let instance = Arc::into_inner(self.instance.take().unwrap()).unwrap();
        self.serve(instance.with_workers(workers));
        self
    }

    /// Stops as a graceful shutdown does, and starts again on the same folder.
    pub fn restart(&mut self) {
        self.instance().quotas.save(self.instance().now()).unwrap();
        self.router = Router::new();
        let instance = self.instance.take().unwrap();
        // What a request began and nobody waits for, such as writing down that a key was used, has it too.
        let patience = Instant::now() + Duration::from_secs(30);
        while Arc::strong_count(&instance) > 1 {
            assert!(Instant::now() < patience, "somebody keeps the server");
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(instance);
        self.open();
    }

    /// Stops, makes the base again from the archive, and starts again on the same folder.
    pub fn rebuild(&mut self) {
        self.router = Router::new();
        self.instance = None;
        drop(
            Store::rebuild(Folder::lock(self.folder.path()).unwrap(), Options::default(), &mut |_| {})
                .unwrap(),
        );
        self.open();
    }

    /// Moves the clock.
    pub fn forward(&self, by: Duration) {
        self.ticks.fetch_add(i64::try_from(by.as_nanos() / 100).unwrap(), Ordering::SeqCst);
    }

    /// What the server owns.
    pub fn instance(&self) -> &Arc<Instance> {
        self.instance.as_ref().unwrap()
    }

    /// A token of a new application of the tenant `default` with these permissions.
    pub fn token(&self, permissions: &[String]) -> String {
        self.token_for(permissions, AUDIENCE)
    }

    /// The same for any audience, also one that the token endpoint would refuse.
    pub fn token_for(&self, permissions: &[String], audience: &str) -> String {
        let instance = self.instance();
        let application = instance.control.application(self.register(permissions, "unused")).unwrap();
        instance.issuer.issue(&application, Proof::Secret, audience, instance.now()).unwrap().unwrap().token
    }

    /// Registers an application of the tenant `default` and gives its client id.
    pub fn register(&self, permissions: &[String], secret: &str) -> Uuid {
        let instance = self.instance();
        let new = NewApplication {
            secret: Some(Secret::from_text(secret)),
            ..NewApplication::new(
                instance.control.tenant("default").unwrap().id,
                "a caller",
                Permissions::named(permissions.iter().map(String::as_str)),
            )
        };
        instance.control.create_application_with(new, instance.now()).unwrap().0.id
    }

    /// Makes an inlet of the tenant `default` and gives its id and its key.
    pub fn inlet(&self, name: &str, format: Option<&str>, namespace: Option<&str>) -> (Uuid, String) {
        let instance = self.instance();
        let new = NewInlet {
            tenant: self.tenant(),
            name: name.to_owned(),
            format: format.map(str::to_owned),
            namespace: namespace.map(|namespace| namespace.parse().unwrap()),
            key_expires: None,
        };
        let (inlet, key) = instance.control.create_inlet(new, instance.now()).unwrap();
        (inlet.id, key.reveal().to_owned())
    }

    /// A token of a user, added if they are not there, with a role of these permissions, for an
    /// application that may do for users what the scopes say.
    pub fn user_token(&self, user: &str, scopes: &[String], role: &[String]) -> String {
        let (control, now) = (&self.instance().control, self.instance().now());
        let tenant = control.tenant("default").unwrap().id;
        let scopes = Permissions::delegated_as(scopes.iter().map(String::as_str));
        let new = NewApplication {
            delegated: scopes,
            is_public: true,
            ..NewApplication::new(tenant, "a console", Permissions::default())
        };
        let application = control.create_application_with(new, now).unwrap().0;
        let group = Uuid::new_v4().simple().to_string();
        control.create_user_group(tenant, &format!("group {group}"), "").unwrap();
        let role = RoleChange {
            name: Some(format!("role {group}")),
            permissions: Some(role.iter().map(|name| RolePermission::named(name).unwrap()).collect()),
            give: vec![format!("group {group}")],
            ..RoleChange::default()
        };
        control.create_role(tenant, role).unwrap();
        if control.user(tenant, user).is_err() {
            let new = NewUser {
                tenant,
                name: user.to_owned(),
                display_name: String::new(),
                user_groups: Vec::new(),
            };
            control.create_user(new, now).unwrap();
        }
        let join = UserChange { join: vec![format!("group {group}")], ..UserChange::default() };
        let user = control.change_user(tenant, user, join).unwrap();
        let issuer = &self.instance().issuer;
        issuer.issue_for(&user, &application, None, scopes, AUDIENCE, now).unwrap().unwrap().token
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The tenant `default`.
    pub fn tenant(&self) -> TenantId {
        self.instance().control.tenant("default").unwrap().id
    }

    /// Takes in a file below `tests/scenarios/given`.
    pub async fn ingest_given(&self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios/given").join(name);
        let lines = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let sender = self.token(&["Event.Write".to_owned()]);
        let request =
            Request::post("/api/ingest?live=false").header("Authorization", format!("Bearer {sender}"));
        let answer = self.send(request.body(Body::from(lines)).unwrap()).await;
        let taken = answer.status == 200 && answer.body.contains(r#""rejected":0"#);
        assert!(taken, "{name} was not taken: {}", answer.body);
    }

    /// Sends a request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let route = parts.extensions.get::<MatchedPath>();
        Answer {
            route: route.map(|route| route.as_str().to_owned()),
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}
