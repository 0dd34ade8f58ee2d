use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Method;
use serde_json::Value;

use super::wire;
use super::*;
use crate::admin::wire as admin;
use crate::config::Config;
use crate::instance::Instance;

const SHA1: &str = "0f2c4a6e8b1d3f5a7c9e0b2d4f6a8c1e3d5b7f90";
const SHA256: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// A hunting row, as an advanced hunting query exports it.
fn row(machine: u32, sha1: &str) -> String {
    format!(
        concat!(
            r#"{{"Timestamp":"2026-01-15T09:{:02}:12.5Z","DeviceId":"{:040x}","DeviceName":"ws-{:02}.corp.example","#,
            r#""ActionType":"FileCreated","FileName":"a.exe","FolderPath":"C:\\a.exe","SHA1":"{}","SHA256":"{}","ReportId":{}}}"#,
            "\n"
        ),
        machine, machine, machine, sha1, SHA256, machine
    )
}

fn ingest(source: &str) -> wire::Ingest {
    wire::Ingest { tenant: "default".into(), source: source.into(), format: None, mapping_bytes: 0 }
}

async fn open(folder: &std::path::Path) -> Session {
    Session::with(folder, &Config::default()).await.unwrap()
}

#[tokio::test]
async fn what_one_command_puts_in_another_finds() {
    let folder = tempfile::tempdir().unwrap();
    let session = open(folder.path()).await;
    let body = format!("{}{}{{not json\n", row(1, SHA1), row(2, SHA1));
    let report = session.client.ingest(&ingest("rows.json"), Body::from(body), &mut |_, _| {}).await.unwrap();
    assert_eq!((report.records, report.with_file_hash, report.error), (3, 2, None));
    assert_eq!(report.kept_aside.values().sum::<u64>(), 1);
    assert_eq!((report.new.machines, report.new.files), (2, 1));

    let refused = session.client.ingest(&ingest("(people)"), Body::from(row(3, SHA1)), &mut |_, _| {}).await;
    assert!(refused.unwrap_err().to_string().contains("stands for what people change here"));

    // A second command, while the first owns the folder.
    let other = open(folder.path()).await;
    let mut answers = Vec::new();
    let asked =
        wire::Search { tenant: "DEFAULT".into(), hashes: vec![SHA256.into(), "00".repeat(15) + "01"] };
    let mut take = |found| {
        answers.push(found);
        Ok(())
    };
    other.client.search(&asked, &mut take).await.unwrap().unwrap();
    let [known, unknown] = &answers[..] else { panic!("{answers:?}") };
    assert!(known.found && !unknown.found);
    let names: Vec<_> = known.machines.iter().map(|machine| machine.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["ws-01.corp.example", "ws-02.corp.example"]);
    let target = known.machines[0].as_target.as_ref().unwrap();
    assert_eq!(
        (target.first_seen.as_str(), target.first_seen.as_str()),
        ("2026-01-15T09:01:12.5Z", "2026-01-15T09:01:12.5Z")
    );

    let tenant = wire::OfTenant { tenant: "default".into() };
    let held: wire::Held = other.client.get("/totals", &tenant).await.unwrap();
    assert_eq!((held.machines, held.files), (2, 1));
    let part = wire::Part { tenant: "default".into(), top: 1, skip: 1 };
    let machines: Value = other.client.get("/machines", &part).await.unwrap();
    assert_eq!(machines.as_array().unwrap().len(), 1);
    assert_eq!(machines[0]["computerDnsName"], "ws-02.corp.example");
    let part = wire::Part { tenant: "default".into(), top: 10, skip: 0 };
    let rejects: Vec<wire::Reject> = other.client.get("/rejects", &part).await.unwrap();
    assert_eq!((rejects[0].source.as_str(), rejects[0].text.trim()), ("rows.json", "{not json"));
    other.end().await;
    session.end().await;

    // Nobody is left, so the next command takes the folder and finds the same.
    assert!(!folder.path().join(FILE).exists());
    let again = open(folder.path()).await;
    let same: wire::Held = again.client.get("/totals", &tenant).await.unwrap();
    assert_eq!((same.machines, same.files), (2, 1));
    again.end().await;
}

#[tokio::test]
async fn the_socket_is_its_owners_alone_and_a_dead_one_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(Client::connect(folder.path()).await, Err(ClientError::Nobody(_))));
    let session = open(folder.path()).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    session.end().await;
}

#[tokio::test]
async fn a_deep_folder_has_a_socket_too() {
    let top = tempfile::tempdir().unwrap();
    let deep: PathBuf =
        [top.path().to_owned()].into_iter().chain((0..12).map(|_| "a-long-folder-name".into())).collect();
    std::fs::create_dir_all(&deep).unwrap();
    let session = open(&deep).await;
    let tenants: Vec<admin::Tenant> = session.client.get("/api/admin/tenants", &Value::Null).await.unwrap();
    assert_eq!(tenants[0].name, "default");
    session.end().await;
}

#[tokio::test]
async fn reading_makes_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = Session::with_existing(&missing, &Config::default()).await.err().unwrap();
    assert!(matches!(error, SessionError::NoData(_)), "{error}");
    assert!(!missing.exists());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let session = open(folder.path()).await;
    let client = &session.client;
    let refused = |answer: Result<Value, ClientError>| match answer {
        Err(ClientError::Refused(message)) => message,
        other => panic!("{other:?}"),
    };
    let nobody = wire::OfTenant { tenant: "nobody".into() };
    assert_eq!(refused(client.get("/totals", &nobody).await), "no tenant `nobody`: there is default");
    let new =
        admin::NewClient { name: "x".into(), permissions: vec!["Fly.All".into()], ..Default::default() };
    assert_eq!(
        refused(client.call(Method::POST, "/api/admin/clients?tenant=default", &new).await),
        "`Fly.All` is no permission of the API"
    );
    let id = "00000000-0000-4000-8000-000000000009";
    let path = format!("/api/admin/clients/{id}");
    let gone = refused(client.call(Method::DELETE, &path, &Value::Null).await);
    assert!(gone.contains(id), "{gone}");
    let odd = wire::Ingest { format: Some("runes".into()), ..ingest("x") };
    let error = client.ingest(&odd, Body::empty(), &mut |_, _| {}).await.unwrap_err().to_string();
    assert!(error.contains("Format 'runes' is not known") && error.contains("mde-"), "{error}");
    session.end().await;
}

#[tokio::test]
async fn an_application_is_made_renewed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let session = open(folder.path()).await;
    let client = &session.client;
    let new = admin::NewClient {
        name: "soar".into(),
        permissions: vec!["machine.read.all".into()],
        ..Default::default()
    };
    let all = "/api/admin/clients?tenant=default";
    let made: admin::Client = client.call(Method::POST, all, &new).await.unwrap();
    assert_eq!(made.permissions[0].display_name, "Read all machine profiles");
    let path = format!("/api/admin/clients/{}", made.client_id);
    let renewed: admin::Client =
        client.call(Method::POST, &format!("{path}/rotate"), &Value::Null).await.unwrap();
    assert!(made.secret.is_some() && renewed.secret.is_some() && made.secret != renewed.secret);
    let listed: Vec<admin::Client> = client.call(Method::GET, all, &Value::Null).await.unwrap();
    assert_eq!((listed.len(), &listed[0].secret), (1, &None));
    let () = client.call(Method::DELETE, &path, &Value::Null).await.unwrap();
    let listed: Vec<admin::Client> = client.call(Method::GET, all, &Value::Null).await.unwrap();
    assert!(listed.is_empty());
    session.end().await;
}

#[tokio::test]
async fn what_was_reported_stays_when_an_input_breaks_off() {
    let folder = tempfile::tempdir().unwrap();
    let instance =
        Instance::open(folder.path(), Config::default(), pintle_store::Options::default().clock).unwrap();
    let listening = listen(Arc::new(instance)).unwrap();
    let client = Client::connect(folder.path()).await.unwrap();

    // One batch and a bit more, then silence: the sender goes away.
    let rows: String = (0..25_000u32).map(|nth| row(nth % 50, &format!("{nth:040x}"))).collect();
    let length = rows.len() as u64 / 25_000;
    let body = Body::from_stream(futures_util::StreamExt::chain(
        tokio_stream::once(Ok::<_, std::io::Error>(rows)),
        tokio_stream::pending(),
    ));
    let (told, mut durable) = tokio::sync::mpsc::unbounded_channel();
    let sending = tokio::spawn({
        let client = client.clone();
        async move {
            let mut tell = |records, bytes| told.send((records, bytes)).unwrap();
            client.ingest(&ingest("endless"), body, &mut tell).await
        }
    });
    let (durable, bytes) = durable.recv().await.unwrap();
    sending.abort();
    assert_eq!(durable, 20_000);
    // Reading is ahead of what is durable by a buffer, and behind what was sent.
    assert!((durable * length..25_000 * length).contains(&bytes), "{bytes}");
    listening.close().await;

    let again = open(folder.path()).await;
    let held: wire::Held =
        again.client.get("/totals", &wire::OfTenant { tenant: "default".into() }).await.unwrap();
    assert!(held.files >= durable, "{held:?}");
    again.end().await;
}

/// More than a socket's buffers hold, so that the command is still sending when it is answered.
fn endless(piece: Vec<u8>) -> Body {
    Body::from_stream(futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone())))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_reads_its_refusal_although_it_is_still_sending() {
    let folder = tempfile::tempdir().unwrap();
    let session = open(folder.path()).await;
    let client = &session.client;
    let text = |line: &str| line.as_bytes().repeat(8 << 10);
    for _ in 0..20 {
        let nobody = wire::Ingest { tenant: "nobody".into(), ..ingest("x") };
        let refused = client.ingest(&nobody, endless(text("{}\n")), &mut |_, _| {}).await.unwrap_err();
        assert_eq!(refused.to_string(), "no tenant `nobody`: there is default");
        let runes = wire::Ingest { format: Some("runes".into()), ..ingest("x") };
        let refused = client.ingest(&runes, endless(text("{}\n")), &mut |_, _| {}).await.unwrap_err();
        assert!(refused.to_string().starts_with("Format 'runes' is not known"), "{refused}");
        let unknown = client.ingest(&ingest("x"), endless(text("{}\n")), &mut |_, _| {}).await.unwrap();
        assert!(unknown.error.is_some(), "{unknown:?}");
    }
    // Nobody sends any more, so the owner can end.
    tokio::time::timeout(std::time::Duration::from_secs(10), session.end()).await.unwrap();
}
