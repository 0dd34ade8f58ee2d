//! `pintle audit`, and what administrative calls leave in the log.

use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use pintle::config::Config;
use pintle::http::Peer;
use serde_json::Value;

use crate::command::{row, run_on, run_with_input};
use crate::world::World;

/// The lines of the log.
fn lines(data: &Path, more: &[&str]) -> Vec<Value> {
    let ran = run_on(data, &[&["audit", "show", "--json", "--last", "1000"], more].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_administrative_call_is_written_down_with_who_asked() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    let sha1 = "00000000000000000000000000000000000000aa";
    assert_eq!(run_with_input(&data, &["ingest", "-"], &row(1, "ws-01", 1, sha1)).code, 0);
    let backup = top.path().join("b").to_str().unwrap().to_owned();
    let servers = ["device-group", "create", "servers", "--if-name", "starts-with:srv"];
    let calls: [(&[&str], &str, &str); 31] = [
        (&["tenant", "create", "lab"], "tenant.created", "done"),
        (&["tenant", "create", "lab"], "tenant.created", "refused"),
        (&["client", "create", "soar", "-p", "Machine.Read.All"], "client.created", "done"),
        (&["client", "rotate", &uuid::Uuid::nil().to_string()], "client.rotated", "refused"),
        (&["group", "create", "analysts"], "user_group.created", "done"),
        (&["group", "change", "analysts", "--description", "x"], "user_group.changed", "done"),
        (&["user", "create", "alice", "--group", "analysts"], "user.created", "done"),
        (&["user", "set-password", "alice"], "user.password_set", "done"),
        (&["user", "disable", "alice"], "user.changed", "done"),
        (&["user", "unlock", "alice"], "user.unlocked", "done"),
        (&["user", "recover", "alice"], "user.recovered", "done"),
        (&["role", "create", "look", "-p", "view-data"], "role.created", "done"),
        (&["role", "give", "look", "analysts"], "role.changed", "done"),
        (&["role", "give", "look", "nobody"], "role.changed", "refused"),
        (&servers, "device_group.created", "done"),
        (&["device-group", "change", "servers", "--group", "analysts"], "device_group.changed", "done"),
        (&["device-group", "delete", "servers"], "device_group.deleted", "done"),
        (&["machine-rule", "create", "names", "--by-name"], "machine_rule.created", "done"),
        (&["machine-rule", "create", "names", "--by-name"], "machine_rule.created", "refused"),
        (&["machine-rule", "change", "names", "--by-name", "--short"], "machine_rule.changed", "done"),
        (&["machine-rule", "delete", "names"], "machine_rule.deleted", "done"),
        (&["role", "delete", "look"], "role.deleted", "done"),
        (&["user", "delete", "alice"], "user.deleted", "done"),
        (&["key", "publish"], "key.published", "done"),
        (&["key", "rotate"], "key.rotated", "done"),
        (&["key", "revoke", "nothing"], "key.revoked", "refused"),
        (&["backup", &backup], "backup", "done"),
        (&["backup", &backup], "backup", "failed"),
        (&["retention", "resume"], "retention.resumed", "done"),
        (&["purge", "--machine", "ws-01", "--yes"], "purge", "done"),
        (&["rebuild"], "rebuild", "done"),
    ];
    for (arguments, action, outcome) in calls {
        let before = lines(&data, &[]).len();
        let ran = run_on(&data, arguments);
        assert_eq!(ran.code == 0, outcome == "done", "{arguments:?}: {}", ran.err);
        let new = lines(&data, &[]).split_off(before);
        let told = |line: &Value| (line["action"].clone(), line["outcome"].clone());
        let beside = |action: &Value| action == "audit.file" || action == "purge.asked";
        let told: Vec<_> = new.iter().map(told).filter(|(action, _)| !beside(action)).collect();
        assert_eq!(told, [(action.into(), outcome.into())], "{arguments:?}");
        let actor = &new.last().unwrap()["actor"];
        assert_eq!(
            (&actor["kind"], &actor["uid"]),
            (&"owner".into(), &rustix::process::getuid().as_raw().into())
        );
        assert!(actor["pid"].as_i64().unwrap() > 0);
    }
    let purges = lines(&data, &["--action", "purge"]);
    let purge = &purges[1];
    assert_eq!(purges[0]["action"], "purge.asked");
    assert_eq!(
        (&purges[0]["actor"], &purges[0]["detail"]["what"]),
        (&purge["actor"], &purge["detail"]["what"])
    );
    assert_eq!(purge["detail"]["records"], 1);
    assert!(purge["detail"]["what"].as_str().unwrap().contains(&format!("{:040x}", 1)), "{purge}");
    assert!(purge["tenant"].as_str().unwrap().len() == 36);
    assert_eq!(lines(&data, &["--since", "2100-01-01"]), [Value::Null; 0]);
    let table = run_on(&data, &["audit", "show", "--last", "1"]).out;
    assert!(table.lines().count() == 2 && table.contains("rebuild") && table.contains("owner"), "{table}");
}

#[tokio::test]
async fn every_token_issued_or_refused_is_written_down_and_no_secret_is() {
    let world = World::new(Config::default());
    let id = world.register(&["Machine.Read.All".to_owned()], "the secret itself");
    let ask = async |secret: &str| {
        let scope = "https%3A%2F%2Fapi.securitycenter.microsoft.com%2F.default";
        let form =
            format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&scope={scope}");
        let request =
            Request::post("/default/oauth2/v2.0/token").extension(Peer("192.0.2.7:1".parse().unwrap()));
        world.send(request.body(Body::from(form)).unwrap()).await.status
    };
    assert_eq!(ask("the+secret+itself").await, 200);
    assert_eq!(ask("another").await, 401);
    let admin = world.token(&["Administration.ReadWrite.All".to_owned()]);
    let user = r#"{"name": "alice", "password": "correct horse battery"}"#;
    let request = Request::post("/api/admin/users").header("Authorization", format!("Bearer {admin}"));
    assert_eq!(world.send(request.body(Body::from(user)).unwrap()).await.status, 200);
    world.instance().audit.flush().unwrap();
    let log = std::fs::read_to_string(world.folder().join("audit/00000001.jsonl")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |action: &str| lines.iter().filter(|line| line["action"] == action).collect::<Vec<_>>();
    let (issued, refused, created) = (of("token.issued"), of("token.refused"), of("user.created"));
    assert_eq!((issued.len(), refused.len(), created.len()), (1, 1, 1), "{log}");
    let by = |line: &Value| (line["actor"]["kind"].clone(), line["actor"]["address"].clone());
    assert_eq!(by(issued[0]), ("application".into(), "192.0.2.7".into()));
    assert_eq!(issued[0]["target"], id.to_string());
    assert_eq!(by(refused[0]), ("anonymous".into(), "192.0.2.7".into()));
    assert_eq!(
        (&refused[0]["detail"]["code"], &refused[0]["outcome"]),
        (&"7000215".into(), &"refused".into())
    );
    assert_eq!(created[0]["detail"]["name"], "alice");
    for secret in ["the secret itself", "another", "correct horse battery", "eyJ"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[test]
fn a_line_that_was_altered_or_is_gone_is_named() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    assert_eq!(run_on(&data, &["audit", "verify"]).code, 1, "there is no folder");
    for name in ["one", "two", "three"] {
        assert_eq!(run_with_input(&data, &["ingest", "-"], &row(1, "ws-01", 1, &"1".repeat(40))).code, 0);
        assert_eq!(run_on(&data, &["tenant", "create", name]).code, 0);
    }
    let verified = run_on(&data, &["audit", "verify", "--json"]);
    assert_eq!((verified.code, verified.json()["lines"].as_u64()), (0, Some(4)), "{}", verified.out);
    let head = verified.json()["head"].as_str().unwrap().to_owned();
    assert_eq!(run_on(&data, &["tenant", "create", "four"]).code, 0);
    let later = run_on(&data, &["audit", "verify", "--head", &head]);
    assert!(later.code == 0 && later.out.contains("of that hash is line 4"), "{}", later.out);
    assert!(later.out.contains("whole: 5 lines in 1 files"), "{}", later.out);
    let another = run_on(&data, &["audit", "verify", "--head", &"0".repeat(64)]);
    assert!(another.code == 1 && another.err.contains("no line of this log"), "{}", another.err);
    assert_eq!(run_on(&data, &["audit", "verify", "--head", "0"]).code, 2);

    let file = data.join("audit/00000001.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"two\"", "\"owt\"")).unwrap();
    let altered = run_on(&data, &["audit", "verify"]);
    assert!(
        altered.code == 1 && altered.out.contains("00000001.jsonl, line 3: it was altered"),
        "{}",
        altered.out
    );
    let checked = run_on(&data, &["check"]);
    assert!(checked.code == 1 && checked.out.contains("audit/00000001.jsonl"), "{}", checked.out);
    let short: String = text.split_inclusive('\n').take(4).collect();
    std::fs::write(&file, short).unwrap();
    let missing = run_on(&data, &["audit", "verify"]);
    assert!(missing.code == 1 && missing.out.contains("line 5 is missing at the end"), "{}", missing.out);
}
