//! What one server's API says of machines, taken in by another, is what the other one's API says of them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use pintle::config::Config;
use pintle_store::{Purge, Purged};
use serde_json::{Value, json};

use crate::command::run;
use crate::world::{Answer, World};

const LAPTOP: &str = "5555555555555555555555555555555555555555";

struct Site {
    world: World,
    token: String,
}

impl Site {
    fn new() -> Site {
        let mut config = Config::default();
        config.quota.enabled = false;
        let world = World::new(config);
        let token = Site::token(&world);
        Site { world, token }
    }

    fn token(world: &World) -> String {
        world.token(&["Event.Write", "Machine.ReadWrite.All"].map(str::to_owned))
    }

    async fn send(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("Authorization", format!("Bearer {}", self.token));
        self.world.send(request.body(body.into()).unwrap()).await
    }

    async fn ingest(&self, body: String) {
        let answer = self.send("POST", "/api/ingest?live=false", body).await;
        let is_taken = answer.status == 200 && answer.body.contains(r#""rejected":0"#);
        assert!(is_taken, "{}", answer.body);
    }

    /// Rows of Defender's tables, by the category of the streaming export.
    async fn ingest_rows(&self, rows: &[(&str, Value)]) {
        let line = |(table, row): &(&str, Value)| {
            let category = format!("AdvancedHunting-{table}");
            let time = "2026-01-15T10:00:00Z";
            format!("{}\n", json!({ "time": time, "category": category, "properties": row }))
        };
        self.ingest(rows.iter().map(line).collect()).await;
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path, Body::empty()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// All machines, as the API lists them and each by its id.
    async fn machines(&self) -> Vec<Value> {
        let listed = self.get("/api/machines").await["value"].as_array().unwrap().clone();
        for machine in &listed {
            let id = machine["id"].as_str().unwrap();
            let mut one = self.get(&format!("/api/machines/{id}")).await;
            one.as_object_mut().unwrap().remove("@odata.context");
            assert_eq!(one, *machine);
        }
        listed
    }

    async fn found_by_ip(&self, address: &str, time: &str) -> Vec<String> {
        let path = format!("/api/machines/findbyip(ip='{address}',timestamp={time})");
        let found = self.get(&path).await;
        found["value"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }
}

fn adapter(name: &str, mac: &str, status: &str, addresses: &[&str]) -> (&'static str, Value) {
    let listed: Vec<Value> = addresses.iter().map(|address| json!({ "IPAddress": address })).collect();
    let row = json!({
        "Timestamp": "2026-01-15T09:30:00Z", "DeviceId": LAPTOP, "NetworkAdapterName": name,
        "MacAddress": mac, "NetworkAdapterType": "Ethernet", "NetworkAdapterStatus": status,
        "IPAddresses": Value::from(listed).to_string(),
    });
    ("DeviceNetworkInfo", row)
}

fn laptop(time: &str) -> (&'static str, Value) {
    let row = json!({
        "Timestamp": time, "DeviceId": LAPTOP, "DeviceName": "LT-5.corp.example", "ClientVersion": "10.8",
        "PublicIP": "203.0.113.5", "OSArchitecture": "64-bit", "OSPlatform": "Windows11",
        "OSBuild": 26100, "OSVersion": "10.0", "OSVersionInfo": "24H2", "IsAzureADJoined": true,
        "AadDeviceId": "00000000-0000-4000-8000-0000000000d5", "RegistryDeviceTag": "laptops",
        "DeviceManualTags": "[\"b\",\"a\"]", "MachineGroup": "Clients", "SensorHealthState": "NoSensorData",
        "ExposureLevel": "High", "AssetValue": "Low", "IsExcluded": true, "ExclusionReason": "Other",
        "MergedToDeviceId": "6".repeat(40), "OnboardingStatus": "Onboarded",
        "AzureVmId": "vm", "AzureResourceId": "/r", "AzureVmSubscriptionId": "s",
    });
    ("DeviceInfo", row)
}

/// A server that knows machines from telemetry, from alerts and from people.
async fn first() -> Site {
    let site = Site::new();
    for given in ["fleet.jsonl", "network.jsonl", "tagged.jsonl", "several-sources.jsonl"] {
        site.world.ingest_given(given).await;
    }
    let adapters = [
        adapter("Ethernet", "00-15-5D-0A-0B-0C", "Up", &["10.9.0.5", "fe80::5"]),
        adapter("Wi-Fi", "00-15-5D-0A-0B-0D", "Down", &["10.9.0.6"]),
    ];
    let silent = json!({
        "Timestamp": "2026-01-02T00:00:00Z", "DeviceId": "7".repeat(40), "ActionType": "FileCreated",
    });
    site.ingest_rows(&[laptop("2026-01-15T09:30:00Z"), ("DeviceFileEvents", silent)]).await;
    site.ingest_rows(&adapters).await;
    site.ingest(r#"{"id":"a1","severity":"Low","machineId":"8888","computerDnsName":"only-alert","alertCreationTime":"2026-01-16T00:00:00Z","lastEventTime":"2026-01-16T00:00:00Z","evidence":[]}"#.to_owned()).await;
    let tag = |value: &str, action: &str| json!({ "Value": value, "Action": action }).to_string();
    for (value, action) in [("by people", "Add"), ("a", "Remove")] {
        let path = format!("/api/machines/{LAPTOP}/tags");
        assert_eq!(site.send("POST", &path, tag(value, action)).await.status, 200);
    }
    site
}

/// A list of machines as a collector writes it that read it at a moment, a line each.
fn collected(machines: &[Value], at: &str) -> String {
    let line = |machine: &Value| {
        let mut machine = machine.clone();
        machine["@timestamp"] = at.into();
        format!("{machine}\n")
    };
    machines.iter().map(line).collect()
}

fn by_id(machines: &[Value]) -> BTreeMap<String, Value> {
    machines.iter().map(|machine| (machine["id"].as_str().unwrap().to_owned(), machine.clone())).collect()
}

#[tokio::test]
async fn a_second_server_says_of_machines_what_the_first_said() {
    let (first, second) = (first().await, Site::new());
    let answer = first.send("GET", "/api/machines", Body::empty()).await.body;
    second.ingest(answer).await;
    let machines = first.machines().await;
    let laptop = &by_id(&machines)[LAPTOP];
    // So that it is known that the members are there that could get lost.
    assert_eq!(laptop["machineTags"], json!(["b", "by people", "laptops"]));
    assert_eq!((laptop["ipAddresses"].as_array().unwrap().len(), &laptop["rbacGroupId"]), (3, &Value::Null));
    assert_eq!((&laptop["lastIpAddress"], &laptop["vmMetadata"]["vmId"]), (&json!("10.9.0.5"), &json!("vm")));
    assert!(machines.len() > 6, "{machines:#?}");
    let health = |state: &str| machines.iter().any(|machine| machine["healthStatus"] == state);
    assert!(health("Active") && health("Inactive") && health("NoSensorData"));
    assert!(machines.iter().any(|machine| machine["lastIpAddress"].is_null()));
    assert_eq!(second.machines().await, machines);
    for address in ["10.9.0.5", "10.9.0.6", "fe80::5", "10.9.0.7"] {
        for time in ["2026-01-15T09:40:00Z", "2026-01-15T09:50:00Z"] {
            let (one, other) =
                (first.found_by_ip(address, time).await, second.found_by_ip(address, time).await);
            assert_eq!(one, other, "{address} at {time}");
            assert_eq!(one.is_empty(), address == "10.9.0.7" || time.contains(":50:"), "{address} at {time}");
        }
    }
    // Read again, by a third, of the second.
    let third = Site::new();
    third.ingest(collected(&second.machines().await, "2026-01-19T00:00:00Z")).await;
    assert_eq!(third.machines().await, machines);
}

#[tokio::test]
async fn the_newer_of_two_readings_counts_whichever_comes_first() {
    let first = first().await;
    let old = first.machines().await;
    let path = format!("/api/machines/{LAPTOP}/tags");
    for tag in ["b", "by people", "laptops"] {
        let body = json!({ "Value": tag, "Action": "Remove" }).to_string();
        assert_eq!(first.send("POST", &path, body).await.status, 200);
    }
    let down = adapter("Ethernet", "00-15-5D-0A-0B-0C", "Down", &["10.9.0.5"]);
    let mut down_later = down.clone();
    down_later.1["Timestamp"] = "2026-01-16T09:30:00Z".into();
    let mut moved = laptop("2026-01-16T09:30:00Z");
    moved.1["MachineGroup"] = "Travellers".into();
    first.ingest_rows(&[down_later, moved]).await;
    let mut new = first.machines().await;
    // What a source that is not this one takes back.
    new.iter_mut().for_each(|machine| machine["exposureLevel"] = Value::Null);
    let laptop = &by_id(&new)[LAPTOP];
    assert_eq!((&laptop["machineTags"], &laptop["lastIpAddress"]), (&json!([]), &Value::Null));

    let readings = [collected(&old, "2026-01-16T00:00:00.5Z"), collected(&new, "2026-01-17T00:00:00Z")];
    for order in [[0, 1], [1, 0]] {
        let mut second = Site::new();
        for reading in order {
            second.ingest(readings[reading].clone()).await;
        }
        assert_eq!(second.machines().await, new, "{order:?}");
        second.world.restart();
        assert_eq!(second.machines().await, new, "{order:?}, started again");
        second.world.rebuild();
        assert_eq!(second.machines().await, new, "{order:?}, made anew from the archive");
        // It was seen with the address before it had none.
        assert_eq!(second.found_by_ip("10.9.0.6", "2026-01-15T09:30:00Z").await, [LAPTOP]);
        assert!(second.found_by_ip("fe80::5", "2026-01-16T09:30:00Z").await.is_empty());
    }
}

#[tokio::test]
async fn a_mirrored_machine_falls_silent_as_the_first_does_and_can_be_purged() {
    let (mut first, mut second) = (first().await, Site::new());
    second.ingest(collected(&first.machines().await, "2026-01-19T00:00:00Z")).await;
    for site in [&mut first, &mut second] {
        site.world.forward(Duration::from_secs(10 * 24 * 3_600));
        site.token = Site::token(&site.world);
    }
    let machines = first.machines().await;
    assert!(machines.iter().all(|machine| machine["healthStatus"] != "Active"));
    assert_eq!(second.machines().await, machines);
    assert_eq!(second.found_by_ip("10.9.0.5", "2026-01-15T09:30:00Z").await, [LAPTOP]);
    let purge = Purge { tenant: second.world.tenant(), what: Purged::Machine(LAPTOP.parse().unwrap()) };
    second.world.instance().store.purge(&[purge], &mut |_| {}).unwrap();
    let mut left = by_id(&machines);
    left.remove(LAPTOP).unwrap();
    assert_eq!(by_id(&second.machines().await), left);
    assert!(second.found_by_ip("10.9.0.5", "2026-01-15T09:30:00Z").await.is_empty());
}

#[test]
fn what_would_be_made_of_a_machine_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("machines.json");
    let listed = json!({ "value": [{
        "id": "m1", "computerDnsName": "ws-1", "osPlatform": "Linux", "riskScore": null, "other": 1,
    }] });
    std::fs::write(&path, listed.to_string()).unwrap();
    let shown = run(&["decode", path.to_str().unwrap()]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    let machine = json!({ "id": "m1", "computerDnsName": "ws-1", "osPlatform": "Linux", "riskScore": null });
    assert_eq!(shown.json(), json!({ "Machine": machine }));
    assert!(shown.err.contains("format mde-machines: 1 records"), "{}", shown.err);
}
