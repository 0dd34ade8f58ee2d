//! What administration must not open: other tenants, the server, machines on their way between groups.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use pintle::auth::control::DeviceGroupChange;
use pintle::auth::inlet::NewInlet;
use pintle::auth::role::Role;
use pintle::auth::user::NewUser;
use pintle::config::Config;
use pintle_store::DeviceRule;
use serde_json::{Value, json};

use crate::command::{run_on, run_with_input};
use crate::world::{Answer, World};

async fn ask(world: &World, method: &str, path: &str, token: &str, body: Value) -> Answer {
    let request =
        Request::builder().method(method).uri(path).header("Authorization", format!("Bearer {token}"));
    world.send(request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn who_administers_a_tenant_cannot_become_who_administers_the_server() {
    let world = World::new(Config::default());
    let ops = world.register(&["ServerAdministration.ReadWrite.All".to_owned()], "a secret");
    let admin = world.token(&["Administration.ReadWrite.All".to_owned()]);
    let path = |what: &str| format!("/api/admin/clients/{ops}{what}");
    for (method, what, body) in [
        ("POST", "/rotate", Value::Null),
        ("POST", "/secrets", json!({})),
        ("POST", "/certificates", json!({"certificate": "bm9uZQ=="})),
        ("PATCH", "", json!({"enabled": false})),
        ("PUT", "/device-groups", json!({"device_groups": []})),
        ("DELETE", "", Value::Null),
    ] {
        let answer = ask(&world, method, &path(what), &admin, body).await;
        assert_eq!(answer.status, 403, "{method} {what}: {}", answer.body);
    }
    let own = world
        .token(&["ServerAdministration.ReadWrite.All".to_owned(), "Administration.ReadWrite.All".to_owned()]);
    let king = json!({"name": "king", "permissions": ["ServerAdministration.ReadWrite.All"]});
    assert_eq!(ask(&world, "POST", "/api/admin/clients", &own, king).await.status, 403);
    for name in ["common", "Organizations", "consumers"] {
        let made = ask(&world, "POST", "/api/admin/tenants", &own, json!({"name": name})).await;
        assert_eq!(made.status, 400, "{name}: {}", made.body);
    }
}

#[tokio::test]
async fn an_administrator_reaches_nothing_of_another_tenant() {
    let world = World::new(Config::default());
    let (control, now) = (&world.instance().control, world.instance().now());
    let other = control.create_tenant(None, "customer-a").unwrap().id;
    let theirs = control.create_application(other, "theirs", Default::default(), now).unwrap().0;
    let bob =
        NewUser { tenant: other, name: "bob".into(), display_name: String::new(), user_groups: Vec::new() };
    let bob = control.create_user(bob, now).unwrap();
    let beats =
        NewInlet { tenant: other, name: "beats".into(), format: None, namespace: None, key_expires: None };
    let beats = control.create_inlet(beats, now).unwrap().0;
    let admin = world.token(&["Administration.ReadWrite.All".to_owned()]);
    for (method, path) in [
        ("GET", format!("/api/admin/inlets/{}", beats.id)),
        ("PATCH", "/api/admin/inlets/beats?tenant=customer-a".to_owned()),
        ("POST", format!("/api/admin/inlets/{}/keys", beats.id)),
        ("DELETE", format!("/api/admin/inlets/{}", beats.id)),
        ("POST", format!("/api/admin/clients/{}/rotate", theirs.id)),
        ("DELETE", format!("/api/admin/clients/{}", theirs.id)),
        ("PATCH", "/api/admin/users/bob".to_owned()),
        ("DELETE", format!("/api/admin/users/{}", bob.id)),
        ("POST", format!("/api/admin/users/{}/password?tenant=customer-a", bob.id)),
    ] {
        let answer = ask(&world, method, &path, &admin, json!({})).await;
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
    }
    for list in ["clients", "users", "inlets"] {
        let answer =
            ask(&world, "GET", &format!("/api/admin/{list}?tenant=customer-a"), &admin, Value::Null).await;
        assert!(!["theirs", "bob", "beats"].iter().any(|name| answer.body.contains(name)), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_password_that_stands_where_it_should_not_is_in_no_log() {
    let world = World::new(Config::default());
    let admin = world.token(&["Administration.ReadWrite.All".to_owned()]);
    let secret = "correct horse battery";
    for (path, body) in [
        ("/api/admin/users", json!({"name": "alice", "Password": secret})),
        ("/api/admin/users", json!({"user": {"name": "alice", "password": secret}})),
        ("/api/admin/users", json!({"name": {"password": secret}})),
        ("/api/admin/users/alice/password", json!({"value": secret})),
        ("/api/admin/users/alice/password", json!(secret)),
        ("/api/admin/users", json!({"name": "alice", "password": secret})),
    ] {
        ask(&world, "POST", path, &admin, body).await;
    }
    assert_eq!(ask(&world, "GET", "/api/admin/users", &admin, Value::Null).await.status, 200);
    assert_eq!(ask(&world, "GET", "/api/admin/users", "nonsense", Value::Null).await.status, 401);
    let reader = world.token(&["Machine.Read.All".to_owned()]);
    assert_eq!(ask(&world, "GET", "/api/admin/users", &reader, Value::Null).await.status, 403);
    world.instance().audit.flush().unwrap();
    let log = std::fs::read_to_string(world.folder().join("audit/00000001.jsonl")).unwrap();
    assert!(!log.contains(secret), "{log}");
    let count = |action: &str| log.lines().filter(|line| line.contains(&format!("\"{action}\""))).count();
    assert_eq!((count("user.created"), count("admin.read"), count("admin.refused")), (4, 1, 2), "{log}");
}

fn by_platform(platform: &str) -> Option<DeviceRule> {
    Some(DeviceRule { os: vec![platform.into()], ..DeviceRule::default() })
}

#[tokio::test]
async fn while_machines_are_on_their_way_nobody_sees_more_than_before_and_after() {
    let world = World::new(Config::default());
    world.ingest_given("fleet.jsonl").await;
    let (control, tenant) = (&world.instance().control, world.tenant());
    for group in ["servers' team", "others"] {
        control.create_user_group(tenant, group, "").unwrap();
    }
    let groups = |name: &str| BTreeSet::from([control.user_group(tenant, name).unwrap().id]);
    let (team, others) = (groups("servers' team"), groups("others"));
    let sees = |groups: &BTreeSet<uuid::Uuid>| control.visible_groups(tenant, groups);
    let new = DeviceGroupChange {
        name: Some("servers".into()),
        rule: by_platform("WindowsServer2022"),
        give: vec!["servers' team".into()],
        ..DeviceGroupChange::default()
    };
    let id = control.create_device_group(tenant, new).unwrap().id;
    // Machines are in no group yet, and were seen by everybody.
    assert_eq!(sees(&others), Some(BTreeSet::from([0, 1])));
    world.instance().regroup(tenant).unwrap();
    assert_eq!((sees(&team), sees(&others)), (None, Some(BTreeSet::from([1]))));

    // The group is to take workstations, and everybody is to see it: while it still has the server, no.
    let change =
        DeviceGroupChange { rule: by_platform("Windows11"), everybody: true, ..DeviceGroupChange::default() };
    control.change_device_group(tenant, "servers", change).unwrap();
    assert_eq!(sees(&others), Some(BTreeSet::from([0, 1])));
    assert_eq!(sees(&team), Some(BTreeSet::from([0, 1, id])));
    world.instance().regroup(tenant).unwrap();
    assert_eq!((sees(&team), sees(&others)), (None, None));

    // And back.
    let change = DeviceGroupChange {
        rule: by_platform("WindowsServer2022"),
        give: vec!["servers' team".into()],
        ..DeviceGroupChange::default()
    };
    control.change_device_group(tenant, "servers", change).unwrap();
    assert!(sees(&others).is_some_and(|seen| !seen.contains(&id)), "it is not theirs any more");
    world.instance().regroup(tenant).unwrap();

    // One that goes: its machines are still in it.
    control.delete_device_group(tenant, "servers").unwrap();
    assert!(sees(&others).is_some_and(|seen| !seen.contains(&id)), "not theirs while the server is in it");
    assert!(sees(&team).is_some_and(|seen| seen.contains(&id)));
    world.instance().regroup(tenant).unwrap();
    assert_eq!((sees(&team), sees(&others)), (None, None));
}

#[tokio::test]
async fn an_unknown_application_is_answered_like_a_wrong_secret_also_where_no_tenant_is_named() {
    let world = World::new(Config::default());
    let known = world.register(&[], "a secret");
    let tenant = known.to_string();
    let mut told = Vec::new();
    for id in [tenant.as_str(), "00000000-0000-4000-8000-000000000009"] {
        for path in ["/common/oauth2/v2.0/token", "/default/oauth2/v2.0/token"] {
            let form = format!(
                "grant_type=client_credentials&client_id={id}&client_secret=wrong&scope=https%3A%2F%2Fapi.securitycenter.microsoft.com%2F.default"
            );
            let answer = world.send(Request::post(path).body(Body::from(form)).unwrap()).await;
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            told.push((answer.status, body["error"].clone(), body["error_codes"].clone()));
        }
    }
    assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
    assert_eq!(told[0].2, json!([7_000_215]));
}

#[test]
fn recovering_a_user_makes_nobody_else_an_administrator() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    let ok = |arguments: &[&str]| {
        let ran = run_on(&data, &[arguments, &["--json"]].concat());
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
        ran.json()
    };
    ok(&["group", "create", "Administrators"]);
    ok(&["user", "create", "helpdesk", "--group", "Administrators"]);
    ok(&["user", "create", "alice"]);
    ok(&["user", "disable", "alice"]);
    let alice = ok(&["user", "recover", "alice"]);
    assert_eq!((&alice["enabled"], &alice["roles"]), (&json!(true), &json!([Role::ADMINISTRATOR])));
    assert!(alice["password"].as_str().unwrap().len() >= 12);
    let users = ok(&["user", "list"]);
    assert_eq!((&users[1]["name"], &users[1]["roles"]), (&json!("helpdesk"), &json!([])));
    // Whoever is not there is added, to the group that has the role.
    let bob = ok(&["user", "recover", "bob"]);
    assert_eq!(bob["groups"], alice["groups"]);
}

#[test]
fn a_command_for_something_that_is_there_makes_no_folder() {
    let top = tempfile::tempdir().unwrap();
    let missing = top.path().join("misspelt");
    for arguments in [
        &["key", "rotate"][..],
        &["user", "recover", "alice"],
        &["user", "unlock", "alice"],
        &["explain", "alice", "GET", "/api/machines"],
        &["device-group", "preview", "--if-os", "Linux"],
    ] {
        let ran = run_on(&missing, arguments);
        assert!(ran.code == 1 && ran.err.contains("there is no data in"), "{arguments:?}: {}", ran.err);
        assert!(!missing.exists());
    }
    assert_eq!(run_with_input(&missing, &["group", "create", "analysts"], "").code, 0);
    assert!(missing.exists());
}
