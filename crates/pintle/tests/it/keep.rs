//! `pintle check`, `backup`, `verify` and `restore`, with a server on the folder and without.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use pintle::config::Config;
use pintle::http::routes::router;
use pintle::instance::Instance;
use pintle_store::Options;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::command::{Ran, on, row, run, run_on, run_with_input, spawn};
use crate::world::{AUDIENCE, HOST};

const KNOWN: &str = "00000000000000000000000000000000000000aa";

fn filled(data: &Path) {
    let ran =
        run_with_input(data, &["ingest", "-"], &(row(1, "ws-01", 1, KNOWN) + &row(2, "ws-02", 2, KNOWN)));
    assert_eq!(ran.code, 0, "{}", ran.err);
}

fn found(data: &Path) -> String {
    run_on(data, &["search", "--json", KNOWN]).out
}

fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_backup_is_made_verified_and_restored_while_the_folder_is_in_use() {
    let top = tempfile::tempdir().unwrap();
    let (data, backup, restored) = (top.path().join("data"), top.path().join("b"), top.path().join("r"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    filled(&data);
    let made = run_on(&data, &["client", "create", "mine", "-p", "File.Read.All", "--json"]).json();

    // An ingest that waits for its input owns the folder as a server does.
    let mut owner = spawn(on(&data, &["ingest", "-"]).stdin(Stdio::piped()));
    let patience = Instant::now() + Duration::from_secs(60);
    while !data.join("pintle.sock").exists() {
        assert!(Instant::now() < patience, "nobody listens");
        std::thread::sleep(Duration::from_millis(20));
    }
    let checked = run_on(&data, &["check"]);
    assert!(checked.code == 0 && checked.out.starts_with("sound: "), "{} {}", checked.out, checked.err);
    // A relative path is that of the command, not of the owner.
    let mut relative = on(&data, &["backup", "b", "--json", "--passphrase-file", "passphrase"]);
    std::fs::write(top.path().join("passphrase"), "correct horse\n").unwrap();
    let ran = Ran::of(relative.current_dir(top.path()).output().unwrap());
    assert_eq!((ran.code, ran.json()["secrets"].as_str()), (0, Some("encrypted")), "{}", ran.err);
    assert!(ran.json()["files"].as_u64().unwrap() >= 6 && ran.json()["bytes"].as_u64().unwrap() > 0);
    let again = run_on(&data, &["backup", &text(&backup)]);
    assert!(again.code == 1 && again.err.contains("not empty"), "{}", again.err);
    let inside = run_on(&data, &["backup", &text(&data.join("inside"))]);
    assert!(inside.code == 1 && inside.err.contains("in the data folder"), "{}", inside.err);
    owner.kill().unwrap();
    owner.wait().unwrap();

    let verified = run(&["verify", &text(&backup)]);
    assert!(verified.code == 0 && verified.out.starts_with("whole: "), "{} {}", verified.out, verified.err);
    let passphrase = text(&top.path().join("passphrase"));
    let ran = run(&["restore", &text(&backup), &text(&restored), "--passphrase-file", &passphrase]);
    assert!(ran.code == 0 && ran.out.contains("everything until 20"), "{} {}", ran.out, ran.err);
    assert_eq!(found(&restored), found(&data));
    let applications = run_on(&restored, &["client", "list"]).out;
    assert!(applications.contains(made["client_id"].as_str().unwrap()), "{applications}");
    for name in ["control.json", "pepper", "issuer-keys.json"] {
        assert_eq!(std::fs::read(restored.join(name)).unwrap(), std::fs::read(data.join(name)).unwrap());
    }

    flip(&backup.join("secrets.encrypted"));
    let verified = run(&["verify", &text(&backup), "--passphrase-file", &passphrase]);
    assert!(
        verified.code == 1 && verified.out.contains("b/secrets.encrypted at byte 0"),
        "{}{}",
        verified.out,
        verified.err
    );
    let refused = run(&["restore", &text(&backup), &text(&top.path().join("other")), "--without-secrets"]);
    assert!(refused.code == 1 && refused.err.contains("b/secrets.encrypted"), "{}", refused.err);
    flip(&backup.join("secrets.encrypted"));
    let arguments = ["restore", &text(&backup), &text(&restored), "--without-secrets"];
    let refused = run(&arguments);
    assert!(refused.code == 1 && refused.err.contains("not empty"), "{}", refused.err);
    assert!(run(&["verify", &text(&data)]).err.contains("BACKUP.json"));
}

#[test]
fn every_damaged_file_is_named_with_what_to_do() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    assert_eq!(run_on(&data, &["check"]).code, 1, "there is nothing to check");
    filled(&data);
    let sound = run_on(&data, &["check", "--json"]);
    assert_eq!((sound.code, sound.json()["batches"].as_u64()), (0, Some(1)));

    flip(&data.join("archive/00000001.seg"));
    flip(&data.join("base/MANIFEST"));
    std::fs::write(data.join("control.json"), "{").unwrap();
    let ran = run_on(&data, &["check"]);
    assert_eq!(ran.code, 1);
    let line = |file: &str| ran.out.lines().find(|line| line.contains(file)).unwrap_or_default();
    assert!(line("data/archive/00000001.seg").contains("pintle restore"), "{}", ran.out);
    assert!(line("data/base/MANIFEST").contains("pintle rebuild"), "{}", ran.out);
    assert!(line("data/control.json").contains("restore it"), "{}", ran.out);
    assert!(ran.err.starts_with("3 damaged"), "{}", ran.err);
    assert_eq!(run_on(&data, &["check", "--json"]).json()["damages"].as_array().unwrap().len(), 3);
}

/// A server on a folder that another may have had just now, whose last work still ends.
fn opened(folder: &Path) -> Instance {
    let mut config = Config::default();
    config.server.public_url = Some(format!("https://{HOST}").parse().unwrap());
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        match Instance::open(folder, config.clone(), Options::default().clock) {
            Err(error) if error.is_in_use() && Instant::now() < patience => {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => return opened.unwrap(),
        }
    }
}

/// What a server on a folder answers, which is stopped then.
async fn answer(folder: &Path, request: Request<Body>) -> (StatusCode, Value) {
    let instance = Arc::new(opened(folder));
    let (parts, body) = router(instance).oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, serde_json::from_slice(&body).unwrap_or_default())
}

async fn token(folder: &Path, client: &Value) -> Option<String> {
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope={AUDIENCE}/.default",
        client["client_id"].as_str().unwrap(),
        client["secret"].as_str().unwrap()
    );
    let asked = Request::post("/default/oauth2/v2.0/token").body(Body::from(form)).unwrap();
    let (status, answer) = answer(folder, asked).await;
    (status == StatusCode::OK).then(|| answer["access_token"].as_str().unwrap().to_owned())
}

async fn call(folder: &Path, token: &str) -> StatusCode {
    let asked = Request::get("/api/machines").header("Authorization", format!("Bearer {token}"));
    answer(folder, asked.body(Body::empty()).unwrap()).await.0
}

/// A folder with an application, a token of it, and what backups are made with.
struct Issued {
    top: tempfile::TempDir,
    client: Value,
    token: String,
}

impl Issued {
    async fn new() -> Issued {
        let top = tempfile::tempdir().unwrap();
        let data = top.path().join("data");
        filled(&data);
        let client = run_on(&data, &["client", "create", "soar", "-p", "Machine.Read.All", "--json"]).json();
        let token = token(&data, &client).await.unwrap();
        assert_eq!(call(&data, &token).await, StatusCode::OK);
        std::fs::write(top.path().join("passphrase"), "correct horse\n").unwrap();
        std::fs::write(top.path().join("another"), "correct house\n").unwrap();
        Issued { top, client, token }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

/// Everything in a folder, one file after the other.
fn all_bytes(folder: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { all_bytes(&path) } else { std::fs::read(&path).unwrap() })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_passphrase_secrets_and_tokens_go_on_to_work() {
    let issued = Issued::new().await;
    let (data, backup, restored) = (issued.path("data"), issued.text("b"), issued.text("r"));
    let ran = run_on(&data, &["backup", &backup, "--passphrase-file", &issued.text("passphrase")]);
    assert!(ran.code == 0 && ran.err.is_empty(), "{}", ran.err);

    let bytes = all_bytes(&issued.path("b"));
    let contains = |part: &[u8]| memchr::memmem::find(&bytes, part).is_some();
    let pepper = std::fs::read(data.join("pepper")).unwrap();
    let keys = std::fs::read_to_string(data.join("issuer-keys.json")).unwrap();
    let pem: Value = serde_json::from_str(&keys).unwrap();
    let pem = pem["keys"][0]["pem"].as_str().unwrap();
    assert!(contains(b"applications") && !contains(&pepper) && !contains(&pepper[..8]));
    for line in pem.lines() {
        assert!(!contains(line.as_bytes()), "{line}");
    }

    let passphrase = ["--passphrase-file", &issued.text("passphrase")];
    let verified = run(&[&["verify", &backup], &passphrase[..]].concat());
    assert!(verified.code == 0 && verified.out.contains("the passphrase opens"), "{}", verified.out);
    let verified = run(&["verify", &backup]);
    assert!(verified.code == 0 && verified.out.contains("are encrypted"), "{}", verified.out);

    // Nothing is written before the passphrase is known to be right.
    for (more, says) in [
        (vec![], "--without-secrets"),
        (vec![], "--passphrase-file"),
        (vec!["--passphrase-file".to_owned(), issued.text("another")], "does not open"),
        (vec!["--passphrase-file".to_owned(), issued.text("nothing")], "reading the passphrase"),
    ] {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let refused = run(&[&["restore", &backup, &restored], &more[..]].concat());
        assert!(refused.code != 0 && refused.err.contains(says), "{more:?}: {}", refused.err);
        assert!(!issued.path("r").exists() && !issued.path("r.restoring").exists(), "{more:?}");
    }
    let wrong = run(&["verify", &backup, "--passphrase-file", &issued.text("another")]);
    assert!(wrong.code == 1 && wrong.out.contains("does not open"), "{}", wrong.out);

    let ran = run(&[&["restore", &backup, &restored], &passphrase[..]].concat());
    assert!(ran.code == 0 && ran.err.is_empty(), "{}", ran.err);
    let restored = issued.path("r");
    assert!(!restored.join("secrets.encrypted").exists());
    assert_eq!(call(&restored, &issued.token).await, StatusCode::OK);
    assert!(token(&restored, &issued.client).await.is_some());
    let checked = run_on(&restored, &["check"]);
    assert_eq!(checked.code, 0, "{}", checked.out);
    // The log came along, and goes on.
    let lines = run_on(&restored, &["audit", "show", "--json", "--last", "1", "--action", "backup.restored"]);
    assert_eq!(lines.json()["detail"]["secrets"], "encrypted");
    assert_eq!(lines.json()["actor"]["uid"], rustix::process::getuid().as_raw());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_secrets_all_else_comes_back_and_secrets_are_made_anew() {
    let issued = Issued::new().await;
    let (data, plain, sealed) = (issued.path("data"), issued.text("plain"), issued.text("sealed"));
    let ran = run_on(&data, &["backup", &plain]);
    assert!(ran.code == 0 && ran.err.contains("pintle client rotate"), "{}", ran.err);
    let ran = run_on(&data, &["backup", &sealed, "--passphrase-file", &issued.text("passphrase")]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let verified = run(&["verify", &plain]);
    assert!(verified.out.contains("pintle client rotate"), "{}", verified.out);
    let none = run(&["restore", &plain, &issued.text("r"), "--passphrase-file", &issued.text("passphrase")]);
    assert!(none.code == 1 && none.err.contains("leave --passphrase-file out"), "{}", none.err);

    for (backup, to, more) in [(&plain, "one", &[][..]), (&sealed, "two", &["--without-secrets"])] {
        let ran = run(&[&["restore", backup, &issued.text(to)], more].concat());
        assert!(ran.code == 0 && ran.err.contains("users keep their passwords"), "{}", ran.err);
        let restored = issued.path(to);
        assert_eq!(call(&restored, &issued.token).await, StatusCode::UNAUTHORIZED);
        assert_eq!(token(&restored, &issued.client).await, None);
        let id = issued.client["client_id"].as_str().unwrap();
        let rotated = run_on(&restored, &["client", "rotate", id, "--json"]);
        assert_eq!(rotated.code, 0, "{}", rotated.err);
        let new = token(&restored, &rotated.json()).await.unwrap();
        assert_eq!(call(&restored, &new).await, StatusCode::OK);
        assert_eq!(found(&restored), found(&data));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_before_with_its_secrets_in_the_clear_is_restored() {
    let issued = Issued::new().await;
    // A backup has the layout of a data folder; that version named these files in it.
    let (data, backup) = (issued.path("data"), issued.path("b"));
    let instance = opened(&data);
    let others = ["control.json", "pepper", "issuer-keys.json", "quota.json"].map(str::to_owned);
    instance.store.backup(&backup, &others, &[], &mut |_| {}).unwrap();
    drop(instance);
    let verified = run(&["verify", &issued.text("b")]);
    assert!(verified.code == 0 && verified.out.contains("an earlier pintle made it"), "{}", verified.out);
    let ran = run(&["restore", &issued.text("b"), &issued.text("r")]);
    assert!(ran.code == 0 && ran.err.is_empty(), "{}", ran.err);
    assert_eq!(call(&issued.path("r"), &issued.token).await, StatusCode::OK);
    assert!(token(&issued.path("r"), &issued.client).await.is_some());
}
