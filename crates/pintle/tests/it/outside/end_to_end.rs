//! Requests with tokens of the outside issuer, all the way to an answer.

use axum::body::Body;
use axum::http::Request;
use pintle::auth::control::{DeviceGroupChange, RoleChange};
use pintle::auth::role::RolePermission;
use pintle_store::{DeviceRule, Operator, Row};
use serde_json::{Value, json};

use super::site::{FIRST, SECOND, Site};
use super::{MAPPED, claims, config};
use crate::world::{Answer, World};

async fn get(world: &World, path: &str, claims: &Value) -> Answer {
    let request = Request::get(path).header("Authorization", format!("Bearer {}", FIRST.sign(claims)));
    world.send(request.body(Body::empty()).unwrap()).await
}

async fn world(site: &Site) -> World {
    let world = World::new(config(&site.issuer(), &site.ca_file, "", MAPPED));
    world.ingest_given("fleet.jsonl").await;
    world
}

#[tokio::test]
async fn an_application_does_what_its_roles_are_mapped_to_and_is_counted() {
    let site = Site::start().await;
    let world = world(&site).await;
    let mut soar = claims(&site);
    soar["roles"] = json!(["soar"]);
    let answer = get(&world, "/api/files/a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1/machines", &soar).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(
        answer.body.contains("srv-2.corp.example")
            && answer.headers["ratelimit"].to_str().unwrap().contains("r=99")
    );
    assert_eq!(get(&world, "/api/alerts/da639000000000000001_-17/files", &soar).await.status, 200);
    let refused = get(&world, "/api/alerts", &soar).await;
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("application roles: Machine.Read.All,File.Read.All."), "{}", refused.body);
    // Whatever the issuer says, it does not administer the server.
    soar["roles"] = json!(["ServerAdministration.ReadWrite.All"]);
    assert_eq!(get(&world, "/api/admin/keys", &soar).await.status, 403);
    let mut late = claims(&site);
    late["exp"] = json!(late["iat"].as_i64().unwrap() - 301);
    assert_eq!(get(&world, "/api/machines", &late).await.status, 401);
    let foreign = Request::get("/api/machines")
        .header("Authorization", format!("Bearer {}", SECOND.sign(&claims(&site))));
    assert_eq!(world.send(foreign.body(Body::empty()).unwrap()).await.status, 401);
}

#[tokio::test]
async fn a_user_has_the_roles_and_sees_the_device_groups_of_the_groups_they_are_mapped_to() {
    let site = Site::start().await;
    let world = world(&site).await;
    let (control, tenant) = (&world.instance().control, world.tenant());
    let mut alice = claims(&site);
    alice["scp"] = json!("pintle.read");
    alice["oid"] = json!("alice's id");
    alice["groups"] = json!(["8f0c"]);
    assert_eq!(get(&world, "/api/machines", &alice).await.status, 403, "no such group here, so no role");
    for group in ["Tier 1 analysts", "Leads"] {
        control.create_user_group(tenant, group, "").unwrap();
    }
    let role = RoleChange {
        name: Some("investigate".into()),
        permissions: Some([RolePermission::ViewData].into()),
        give: vec!["Tier 1 analysts".into(), "Leads".into()],
        ..RoleChange::default()
    };
    control.create_role(tenant, role).unwrap();
    let servers = DeviceGroupChange {
        name: Some("servers".into()),
        rule: Some(DeviceRule {
            source_group: vec![Row { operator: Operator::Equals, value: "Servers".into() }],
            ..DeviceRule::default()
        }),
        give: vec!["Leads".into()],
        ..DeviceGroupChange::default()
    };
    control.create_device_group(tenant, servers).unwrap();
    world.instance().regroup(tenant).unwrap();
    let machines = async |claims: &Value| -> usize {
        let answer = get(&world, "/api/machines", claims).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str::<Value>(&answer.body).unwrap()["value"].as_array().unwrap().len()
    };
    assert_eq!(machines(&alice).await, 1);
    alice["groups"] = json!(["/soc/leads"]);
    assert_eq!(machines(&alice).await, 3);
    assert_eq!(get(&world, "/api/alerts", &alice).await.status, 403, "no such scope");
}
