//! What changes through the API leave in the audit log.

use std::convert::Infallible;
use std::iter;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::stream;
use pintle::config::{Config, Quota, Size};
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn every_change_and_every_refused_one_is_written_down_with_who_made_it() {
    let world = World::new(Config::default());
    world.ingest_given("fleet.jsonl").await;
    let scopes = ["Alert.ReadWrite", "Machine.ReadWrite"].map(str::to_owned);
    let roles = ["alerts-investigation", "manage-security-settings"].map(str::to_owned);
    let token = world.user_token("alice", &scopes, &roles);
    let alert = "da639000000000000001_-17";
    let machine = "1".repeat(40);
    let unknown = "9".repeat(40);
    for (method, path, body, status, action, told) in [
        (
            "PATCH",
            format!("/api/alerts/{alert}"),
            r#"{"status": "New", "comment": "a secret thought"}"#.to_owned(),
            200,
            "alert.updated",
            r#""status":"New""#,
        ),
        (
            "PATCH",
            "/api/alerts/none".to_owned(),
            r#"{"status": "New"}"#.to_owned(),
            404,
            "alert.updated",
            r#""outcome":"refused""#,
        ),
        (
            "POST",
            "/api/alerts/batchUpdate".to_owned(),
            format!(r#"{{"alertIds": ["{alert}"], "assignedTo": "kim"}}"#),
            200,
            "alert.updated",
            r#""assignedTo":"kim""#,
        ),
        (
            "PATCH",
            format!("/api/machines/{machine}"),
            r#"{"deviceValue": "Low"}"#.to_owned(),
            200,
            "machine.updated",
            r#""deviceValue":"Low""#,
        ),
        (
            "POST",
            format!("/api/machines/{machine}/tags"),
            r#"{"Value": "x", "Action": "Add"}"#.to_owned(),
            200,
            "machine.updated",
            r#""tagAdded":"x""#,
        ),
        (
            "POST",
            format!("/api/machines/{unknown}/tags"),
            r#"{"Value": "x", "Action": "Add"}"#.to_owned(),
            404,
            "machine.updated",
            r#""code":"404""#,
        ),
        (
            "POST",
            format!("/api/machines/{machine}/setDeviceValue"),
            r#"{"DeviceValue": "High"}"#.to_owned(),
            200,
            "machine.updated",
            r#""deviceValue":"High""#,
        ),
        (
            "POST",
            "/api/machines/AddOrRemoveTagForMultipleMachines".to_owned(),
            format!(r#"{{"MachineIds": ["{machine}"], "Value": "x", "Action": "Remove"}}"#),
            200,
            "machine.updated",
            r#""tagRemoved":"x""#,
        ),
    ] {
        let before = lines(&world);
        let request =
            Request::builder().method(method).uri(&path).header("Authorization", format!("Bearer {token}"));
        let answer = world.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let after = lines(&world);
        let [line] = after.get(before.len()..).unwrap() else { panic!("{path}: {after:?}") };
        let said: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (said["action"].as_str(), said["actor"]["name"].as_str()),
            (Some(action), Some("alice")),
            "{line}"
        );
        assert!(line.contains(told) && !line.contains("secret"), "{line}");
    }
}

#[tokio::test]
async fn a_change_that_is_refused_before_it_is_looked_at_is_written_down_too() {
    let world = World::new(Config::default());
    world.ingest_given("fleet.jsonl").await;
    let machine = "1".repeat(40);
    let writes = world.token(&["Alert.ReadWrite.All", "Machine.ReadWrite.All"].map(str::to_owned));
    let reads = world.token(&["Alert.Read.All", "Machine.Read.All"].map(str::to_owned));
    let tags = format!("/api/machines/{machine}/tags");
    let alert = "/api/alerts/da639000000000000001_-17";
    for (method, path, token, body, status) in [
        ("POST", &*tags, &writes, "{}", 400),
        ("POST", &tags, &writes, "no JSON", 400),
        ("POST", &format!("{tags}?$top=1"), &writes, "{}", 400),
        ("POST", &tags, &reads, "{}", 403),
        ("POST", &tags, &"nonsense".to_owned(), "{}", 401),
        ("PATCH", alert, &writes, r#"{"status": "Gone"}"#, 400),
        ("PATCH", alert, &reads, "{}", 403),
        ("POST", "/api/alerts/batchUpdate", &writes, r#"{"alertIds": []}"#, 400),
        ("POST", "/api/alerts/CreateAlertByReference", &reads, "{}", 403),
        ("POST", "/api/machines/AddOrRemoveTagForMultipleMachines", &writes, "{}", 400),
        ("PATCH", &format!("/api/machines/{machine}"), &writes, r#"{"rbacGroupId": 7}"#, 400),
        ("POST", &format!("/api/machines/{machine}/setDeviceValue"), &reads, "{}", 403),
    ] {
        let before = lines(&world).len();
        assert_eq!(send(&world, method, path, token, body.to_owned()).await, status, "{path}");
        let [line] = &lines(&world).split_off(before)[..] else { panic!("{path} {status}") };
        let said: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&said["action"], &said["outcome"]), (&"change.refused".into(), &"refused".into()));
        assert_eq!(said["detail"]["code"], status.to_string(), "{line}");
        assert_eq!(said["target"], path.split('?').next().unwrap(), "{line}");
        let kind = if status == 401 { "anonymous" } else { "application" };
        assert_eq!(
            (&said["actor"]["kind"], said["tenant"].is_null()),
            (&kind.into(), status == 401),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_breaks_off_or_is_packed_is_refused_as_that() {
    let world = World::new(Config::default());
    let permissions = ["Alert.ReadWrite.All", "Machine.ReadWrite.All", "Administration.ReadWrite.All"];
    let token = world.token(&permissions.map(str::to_owned));
    let broken = || {
        let pieces = [Ok("{"), Err(std::io::Error::other("a chunk that is none"))];
        Body::from_stream(stream::iter(pieces))
    };
    for (method, path, most) in [
        ("PATCH", "/api/alerts/none", 1 << 20),
        ("POST", "/api/machines/none/tags", 1 << 20),
        ("POST", "/api/admin/users", 256 << 10),
    ] {
        let long = format!("Request body is larger than {most} bytes: send it in parts");
        for (body, encoding, status, code, message) in [
            (Body::from(" ".repeat(most + 1)), None, 413, "RequestBodyTooLarge", &*long),
            (Body::from(" ".repeat(most)), Some("identity"), 400, "", ""),
            (
                broken(),
                None,
                408,
                "BadRequest",
                "Request body broke off before its end, or came too slowly: send it again",
            ),
            (
                Body::from("{}"),
                Some("gzip"),
                415,
                "InvalidInput",
                "Content-Encoding 'gzip' is not supported here: send the body unpacked",
            ),
        ] {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("Authorization", format!("Bearer {token}"));
            let request = encoding
                .into_iter()
                .fold(request, |request, coding| request.header("Content-Encoding", coding));
            let answer = world.send(request.body(body).unwrap()).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
            let said: Value = serde_json::from_str(&answer.body).unwrap();
            if !code.is_empty() {
                assert_eq!(
                    (&said["error"]["code"], &said["error"]["message"]),
                    (&code.into(), &message.into())
                );
            }
        }
    }
}

#[tokio::test]
async fn a_flood_of_refused_changes_writes_little() {
    let quota = Quota { enabled: false, ..Config::default().quota };
    let world = World::new(Config { quota, ..Config::default() });
    let token = world.token(&["Alert.ReadWrite.All".to_owned()]);
    for (body, status, action) in
        [(r#"{"status": "New"}"#, 404, "alert.updated"), ("{}{}", 400, "change.refused")]
    {
        for _ in 0..120 {
            assert_eq!(send(&world, "PATCH", "/api/alerts/none", &token, body.to_owned()).await, status);
        }
        let lines = lines(&world);
        let refused = lines.iter().filter(|line| line.contains(action) && line.contains("refused"));
        assert_eq!(refused.count(), 100, "{action}");
    }
}

#[tokio::test]
async fn a_change_of_many_is_written_down_whole() {
    let world = World::new(Config::default());
    let told = |category: &str, properties: Value| {
        let tenant = "00000000-0000-4000-8000-00000000feed";
        let row = json!({"time": "2026-01-15T09:40:00Z", "tenantId": tenant, "operationName": "Publish",
            "category": format!("AdvancedHunting-{category}"), "properties": properties});
        format!("{row}\n")
    };
    let at = "2026-01-15T09:00:00Z";
    let alerts: Vec<String> = (0..1_000).map(|nth| format!("da{nth:018}_-{nth}")).collect();
    let machines: Vec<String> = (0..500).map(|nth| format!("a{nth:039x}")).collect();
    // The page of 2021 lets tags only be added: the one that is there stands first.
    let long = (1..1_000).map(|nth| format!("{nth:03}{}", "\u{1f4a9}".repeat(197)));
    let tags: Vec<String> = iter::once("x".to_owned()).chain(long).collect();
    let alert = |id| {
        json!({"Timestamp": at, "AlertId": id, "Title": "x", "Severity": "Low",
        "ServiceSource": "Microsoft Defender for Endpoint"})
    };
    let machine = |id| json!({"Timestamp": at, "DeviceId": id, "DeviceName": "ws", "ReportId": 1});
    let records: String = alerts.iter().map(|id| told("AlertInfo", alert(id))).collect();
    let devices = machines.iter().map(|id| told("DeviceInfo", machine(id)));
    let writer = world.token(&["Event.Write".to_owned()]);
    let taken =
        send(&world, "POST", "/api/ingest", &writer, devices.fold(records, |all, one| all + &one)).await;
    assert_eq!(taken, 200);

    let token = world.token(&["Alert.ReadWrite.All", "Machine.ReadWrite.All"].map(str::to_owned));
    let one_machine = format!("/api/machines/{}", machines[7]);
    let tag_many = "/api/machines/AddOrRemoveTagForMultipleMachines";
    for (method, path, body, list, expected, member, value) in [
        (
            "POST",
            "/api/alerts/batchUpdate",
            json!({"alertIds": alerts, "status": "Resolved"}),
            "alerts",
            &alerts,
            "status",
            json!("Resolved"),
        ),
        (
            "POST",
            tag_many,
            json!({"MachineIds": machines, "Value": "x", "Action": "Add"}),
            "machines",
            &machines,
            "tagAdded",
            json!("x"),
        ),
        (
            "PATCH",
            &one_machine,
            json!({"machineTags": tags, "deviceValue": "High"}),
            "tags",
            &tags,
            "deviceValue",
            json!("High"),
        ),
    ] {
        let before = lines(&world).len();
        assert_eq!(send(&world, method, path, &token, body.to_string()).await, 200, "{path}");
        let new = lines(&world).split_off(before);
        let new: Vec<Value> = new.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(new.len() > 1, "{path}");
        assert!(new.iter().all(|line| line["detail"][member] == value), "{path}");
        let texts = new.iter().flat_map(|line| line["detail"][list].as_array().unwrap());
        assert!(texts.map(|text| text.as_str().unwrap()).eq(expected.iter().map(String::as_str)), "{path}");
        let parts = new.iter().map(|line| line["detail"]["part"].as_u64().unwrap());
        assert!(parts.eq(1..=new.len() as u64), "{path}");
    }
}

async fn send(world: &World, method: &str, path: &str, token: &str, body: String) -> u16 {
    let request =
        Request::builder().method(method).uri(path).header("Authorization", format!("Bearer {token}"));
    world.send(request.body(Body::from(body)).unwrap()).await.status.as_u16()
}

/// The lines of the log about changes.
fn lines(world: &World) -> Vec<String> {
    let folder = world.instance().store.folder().join("audit");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let log = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    let log: String = log.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    log.lines()
        .filter(|line| line.contains(".updated") || line.contains("change.refused"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn only_so_many_events_are_looked_for_at_once_and_who_waits_too_long_is_told_to_come_back() {
    let mut config = Config::default();
    config.server.limits.body_timeout = Duration::from_millis(50);
    let world = World::new(config);
    world.ingest_given("fleet.jsonl").await;
    let token = world.token(&["Alert.ReadWrite.All".to_owned()]);
    let machine = "2".repeat(40);
    let body = format!(
        r#"{{"machineId": "{machine}", "severity": "Low", "title": "A tool", "description": "It is here",
        "recommendedAction": "Take it away", "eventTime": "2026-01-15T09:10:00.1234567Z", "reportId": 9,
        "category": "Malware"}}"#
    );
    let raise = async || {
        let request = Request::post("/api/alerts/CreateAlertByReference")
            .header("Authorization", format!("Bearer {token}"))
            .header("Content-Type", "application/json");
        world.send(request.body(Body::from(body.clone())).unwrap()).await
    };
    let patience = Duration::from_secs(9);
    let held = world.instance().event_slots.wait(world.tenant(), patience).await.unwrap();
    let answer = raise().await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains("ServiceUnavailable") && answer.headers.contains_key("Retry-After"));
    drop(held);
    for _ in 0..3 {
        let answer = raise().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_body_that_only_never_stalls_is_not_waited_for() {
    let mut config = Config::default();
    config.server.limits.body_timeout = Duration::from_millis(100);
    config.ingest.min_body_rate = Size::mebibytes(1024);
    let world = World::new(config);
    let token = world.token(&["Machine.ReadWrite.All".to_owned(), "File.Read.All".to_owned()]);
    for (method, path) in
        [("PATCH", format!("/api/machines/{}", "1".repeat(40))), ("POST", "/api/files/lookup".to_owned())]
    {
        let trickle = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Ok::<_, Infallible>(" "), ()))
        });
        let request = Request::builder()
            .method(method)
            .uri(&path)
            .header("Authorization", format!("Bearer {token}"))
            .header("Content-Type", "application/json")
            .body(Body::from_stream(trickle))
            .unwrap();
        let answer = world.send(request).await;
        assert_eq!(answer.status, 408, "{path}: {}", answer.body);
    }
}
