//! Users sign in: every flow from its first request to an answer of the API, and what is refused on
//! the way.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pintle::auth::application::NewApplication;
use pintle::auth::control::{RoleChange, UserChange};
use pintle::auth::permission::Permissions;
use pintle::auth::role::RolePermission;
use pintle::auth::user::NewUser;
use pintle::config::Config;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::world::{AUDIENCE, Answer, World};

const PASSWORD: &str = "correct horse battery";
const BACK: &str = "http://localhost:8400";
const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more-0123456789";
const SCOPE: &str = "https://api.securitycenter.microsoft.com/Machine.Read offline_access openid profile";

/// A server with the user alice, who may view data, and the public application `console`.
struct House {
    world: World,
    console: String,
}

fn house(config: Config) -> House {
    let world = World::new(config);
    let (control, now) = (&world.instance().control, world.instance().now());
    let tenant = control.tenant("default").unwrap().id;
    control.create_user_group(tenant, "analysts", "").unwrap();
    let view = RoleChange {
        name: Some("investigate".into()),
        permissions: Some([RolePermission::ViewData].into()),
        give: vec!["analysts".into()],
        ..RoleChange::default()
    };
    control.create_role(tenant, view).unwrap();
    let alice = NewUser {
        tenant,
        name: "alice@example.org".into(),
        display_name: "Alice".into(),
        user_groups: vec!["analysts".into()],
    };
    control.create_user(alice, now).unwrap();
    control.set_password(tenant, "alice@example.org", PASSWORD).unwrap();
    let console = NewApplication {
        delegated: Permissions::named(["Machine.Read.All", "File.Read.All"]),
        is_public: true,
        redirect_uris: vec![
            "http://localhost".parse().unwrap(),
            "https://soar.example.org/back".parse().unwrap(),
        ],
        ..NewApplication::new(tenant, "the console", Permissions::default())
    };
    let console = control.create_application_with(console, now).unwrap().0.id.to_string();
    House { world, console }
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn fields(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))
}

fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
}

fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// A value in the query of where a browser is sent.
fn sent_back(answer: &Answer, name: &str) -> String {
    assert_eq!(answer.status, 303, "{}", answer.body);
    let location = answer.headers["location"].to_str().unwrap();
    let (_, query) = location.split_once(['?', '#']).unwrap();
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    let value = pair.unwrap_or_else(|| panic!("no {name} in {location}"));
    percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned()
}

impl House {
    async fn get(&self, path: &str) -> Answer {
        self.world.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        self.world.send(Request::post(path).body(Body::from(fields(pairs))).unwrap()).await
    }

    async fn token(&self, pairs: &[(&str, &str)]) -> Answer {
        let pairs = [&[("client_id", self.console.as_str())], pairs].concat();
        self.post("/default/oauth2/v2.0/token", &pairs).await
    }

    async fn call(&self, path: &str, token: &Value) -> Answer {
        let bearer = format!("Bearer {}", token.as_str().unwrap());
        self.world.send(Request::get(path).header("Authorization", bearer).body(Body::empty()).unwrap()).await
    }

    /// What the console asks for.
    fn asks(&self) -> Vec<(&'static str, String)> {
        vec![
            ("client_id", self.console.clone()),
            ("response_type", "code".into()),
            ("redirect_uri", BACK.into()),
            ("scope", SCOPE.into()),
            ("state", "a state & more".into()),
            ("nonce", "n1".into()),
            ("code_challenge", challenge()),
            ("code_challenge_method", "S256".into()),
        ]
    }

    async fn authorize(&self, asks: &[(&'static str, String)], more: &[(&str, &str)]) -> Answer {
        let mut pairs: Vec<(&str, &str)> = asks.iter().map(|(name, value)| (*name, value.as_str())).collect();
        pairs.extend(more);
        self.post("/default/oauth2/v2.0/authorize", &pairs).await
    }

    async fn signed_in(&self) -> Answer {
        let credentials = [("username", "ALICE@example.org"), ("password", PASSWORD), ("decision", "allow")];
        self.authorize(&self.asks(), &credentials).await
    }

    async fn exchange(&self, code: &str) -> Answer {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
            ("client_info", "1"),
        ];
        self.token(&pairs).await
    }

    async fn refresh(&self, token: &Value) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token.as_str().unwrap())]).await
    }
}

#[tokio::test]
async fn authorization_code_with_pkce() {
    let house = house(Config::default());
    let asks: Vec<String> =
        house.asks().iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let page = house.get(&format!("/default/oauth2/v2.0/authorize?{}", asks.join("&"))).await;
    assert_eq!(page.status, 200);
    for text in ["the console", "Read all machine profiles", "without asking you again", "a state &amp; more"]
    {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(!page.body.contains("Read all file profiles"), "it did not ask for that");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("form-action"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");

    let back = house.signed_in().await;
    assert_eq!(sent_back(&back, "state"), "a state & more");
    assert!(back.headers["location"].to_str().unwrap().starts_with("http://localhost:8400?code="));
    let code = sent_back(&back, "code");
    let answer = house.exchange(&code).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = json(&answer);
    let token = claims(&body["access_token"]);
    assert_eq!(
        (&token["scp"], &token["aud"], &token["appidacr"], &token["upn"], &token["ver"]),
        (&"Machine.Read".into(), &AUDIENCE.into(), &"0".into(), &"alice@example.org".into(), &"1.0".into())
    );
    assert!(token.get("roles").is_none());
    let id = claims(&body["id_token"]);
    assert_eq!(
        (&id["aud"], &id["nonce"], &id["name"]),
        (&house.console.as_str().into(), &"n1".into(), &"Alice".into())
    );
    assert_eq!(house.call("/api/machines", &body["access_token"]).await.status, 200);
    let missing =
        house.call("/api/files/0f2c4a6e8b1d3f5a7c9e0b2d4f6a8c1e3d5b7f90", &body["access_token"]).await;
    assert_eq!(missing.status, 403);
    assert!(
        missing.body.contains("API required scopes: File.Read.All, user scopes: Machine.Read."),
        "{}",
        missing.body
    );
    assert_eq!(
        house.call("/api/machines", &body["id_token"]).await.status,
        403,
        "an id token is for the client"
    );

    // Whoever uses a code again has copied it: what came of it ends.
    assert_eq!(json(&house.exchange(&code).await)["error_codes"][0], 54_005);
    assert_eq!(house.refresh(&body["refresh_token"]).await.status, 400);
}

#[tokio::test]
async fn refresh_tokens_rotate_and_end_with_what_they_stand_for() {
    let mut house = house(Config::default());
    let code = sent_back(&house.signed_in().await, "code");
    let first = json(&house.exchange(&code).await)["refresh_token"].clone();
    let second = json(&house.refresh(&first).await);
    assert_eq!(claims(&second["access_token"])["scp"], "Machine.Read");
    assert_ne!(second["refresh_token"], first);
    house.world.restart();
    let third = json(&house.refresh(&second["refresh_token"]).await);
    house.world.forward(Duration::from_secs(31));
    let narrowed = [
        ("grant_type", "refresh_token"),
        ("refresh_token", third["refresh_token"].as_str().unwrap()),
        ("scope", "https://api.security.microsoft.com/.default offline_access"),
    ];
    let fourth = json(&house.token(&narrowed).await);
    assert_eq!(claims(&fourth["access_token"])["aud"], "https://api.security.microsoft.com");
    assert_eq!(claims(&fourth["access_token"])["scp"], "Machine.Read", "no more than was granted");
    assert_eq!(json(&house.refresh(&second["refresh_token"]).await)["error"], "invalid_grant");
    assert_eq!(house.refresh(&fourth["refresh_token"]).await.status, 400, "a copy was used, so all is over");

    let tenant = house.world.instance().control.tenant("default").unwrap().id;
    for disabled in [true, false] {
        let code = sent_back(&house.signed_in().await, "code");
        let granted = json(&house.exchange(&code).await);
        let control = &house.world.instance().control;
        if disabled {
            let change = |enabled| UserChange { enabled: Some(enabled), ..UserChange::default() };
            control.change_user(tenant, "alice@example.org", change(false)).unwrap();
            assert_eq!(house.call("/api/machines", &granted["access_token"]).await.status, 401);
            assert_eq!(house.refresh(&granted["refresh_token"]).await.status, 400);
            control.change_user(tenant, "alice@example.org", change(true)).unwrap();
        } else {
            let control = &house.world.instance().control;
            control.set_password(tenant, "alice@example.org", "another password").unwrap();
            assert_eq!(house.call("/api/machines", &granted["access_token"]).await.status, 401);
            assert_eq!(house.refresh(&granted["refresh_token"]).await.status, 400);
        }
    }
}

#[tokio::test]
async fn device_code() {
    let house = house(Config::default());
    let asked = [("client_id", house.console.as_str()), ("scope", SCOPE)];
    let device = json(&house.post("/default/oauth2/v2.0/devicecode", &asked).await);
    assert_eq!((&device["expires_in"], &device["interval"]), (&900.into(), &5.into()));
    let (user_code, device_code) =
        (device["user_code"].as_str().unwrap(), device["device_code"].as_str().unwrap());
    let poll = [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", device_code)];
    assert_eq!(json(&house.token(&poll).await)["error"], "authorization_pending");
    assert_eq!(json(&house.token(&poll).await)["error"], "slow_down");

    let uri = device["verification_uri"].as_str().unwrap();
    let page = uri.strip_prefix("https://pintle.example.org").unwrap();
    assert!(house.get(page).await.body.contains("name=\"user_code\""));
    assert_eq!(house.get(&format!("{page}?user_code=BBBB-BBBB")).await.status, 400);
    let asks = house.get(&format!("{page}?user_code={}", user_code.to_lowercase())).await;
    assert!(
        asks.body.contains("the console") && asks.body.contains("Read all machine profiles"),
        "{}",
        asks.body
    );
    let sign_in = |password| {
        [
            ("user_code", user_code),
            ("username", "alice@example.org"),
            ("password", password),
            ("decision", "allow"),
        ]
    };
    let wrong = house.post(page, &sign_in("wrong")).await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.body.contains("The user name or the password is wrong")),
        (400, true)
    );
    assert!(house.post(page, &sign_in(PASSWORD)).await.body.contains("Signed in"));
    house.world.forward(Duration::from_secs(5));
    let granted = json(&house.token(&poll).await);
    assert_eq!(house.call("/api/machines", &granted["access_token"]).await.status, 200);
    assert_eq!(house.refresh(&granted["refresh_token"]).await.status, 200);
    assert_eq!(json(&house.token(&poll).await)["error"], "invalid_grant");

    let device = json(&house.post("/common/oauth2/v2.0/devicecode", &asked).await);
    let declined = [("user_code", device["user_code"].as_str().unwrap()), ("decision", "decline")];
    assert_eq!(house.post(page, &declined).await.status, 200);
    let poll = [poll[0], ("device_code", device["device_code"].as_str().unwrap())];
    assert_eq!(json(&house.token(&poll).await)["error"], "authorization_declined");
}

#[tokio::test]
async fn password_grant_only_where_it_is_configured() {
    let asked = |console: &str| {
        let pairs = [
            ("grant_type", "password"),
            ("resource", AUDIENCE),
            ("client_id", console),
            ("username", "alice@example.org"),
            ("password", PASSWORD),
        ];
        fields(&pairs)
    };
    let off = house(Config::default());
    let request = |house: &House| {
        Request::post("/default/oauth2/token").body(Body::from(asked(&house.console))).unwrap()
    };
    assert_eq!(json(&off.world.send(request(&off)).await)["error"], "unsupported_grant_type");
    let mut config = Config::default();
    config.issuer.password_grant = true;
    let on = house(config);
    let granted = json(&on.world.send(request(&on)).await);
    assert_eq!(claims(&granted["access_token"])["scp"], "Machine.Read File.Read.All");
    assert_eq!(granted["resource"], AUDIENCE);
    assert!(granted.get("refresh_token").is_none());
    assert_eq!(on.call("/api/machines", &granted["access_token"]).await.status, 200);
}

#[tokio::test]
async fn wrong_passwords_lock_a_name_on_every_way_in_and_an_administrator_unlocks_it() {
    let mut config = Config::default();
    config.issuer.password_grant = true;
    let house = house(config);
    let by_password = |name: &'static str, password: &'static str| {
        [("grant_type", "password"), ("username", name), ("password", password), ("scope", SCOPE)]
    };
    let code = |answer: &Answer| json(answer)["error_codes"][0].clone();
    for (place, name) in ["alice@example.org", "nobody@example.org"].into_iter().enumerate() {
        // Written in another way it is the same name.
        let spelt = [" Alice@example.org\u{a0}", "nobody@EXAMPLE.org "][place];
        assert_eq!(code(&house.token(&by_password(spelt, "wrong")).await), 50_126);
        for _ in 0..3 {
            assert_eq!(code(&house.token(&by_password(name, "wrong")).await), 50_126, "{place}");
        }
        let wrong = [("username", name), ("password", "wrong"), ("decision", "allow")];
        assert!(house.authorize(&house.asks(), &wrong).await.body.contains("is wrong"));
        let locked = house.token(&by_password(name, PASSWORD)).await;
        assert_eq!((code(&locked), locked.headers["retry-after"].to_str().unwrap()), (50_053.into(), "30"));
        let right = [("username", name), ("password", PASSWORD), ("decision", "allow")];
        assert!(house.authorize(&house.asks(), &right).await.body.contains("Too many wrong passwords"));
    }
    house.world.forward(Duration::from_secs(30));
    assert_eq!(code(&house.token(&by_password("alice@example.org", "wrong")).await), 50_126);
    assert_eq!(code(&house.token(&by_password("alice@example.org", PASSWORD)).await), 50_053, "longer now");
    let control = &house.world.instance().control;
    let tenant = control.tenant("default").unwrap().id;
    control.unlock(&control.user(tenant, "alice@example.org").unwrap());
    assert_eq!(house.token(&by_password("alice@example.org", PASSWORD)).await.status, 200);
}

#[tokio::test]
async fn nobody_is_sent_to_a_place_that_is_not_the_applications() {
    let house = house(Config::default());
    let with = |name: &str, value: Option<&str>| -> Vec<(&'static str, String)> {
        let asks = house.asks().into_iter().filter(|(other, _)| *other != name || value.is_some());
        asks.map(|(other, old)| (other, if other == name { value.unwrap().to_owned() } else { old }))
            .collect()
    };
    let credentials = [("username", "alice@example.org"), ("password", PASSWORD), ("decision", "allow")];
    // The page says so itself.
    for (name, value) in [
        ("redirect_uri", Some("https://evil.example/")),
        ("redirect_uri", Some("http://localhost.evil.example/")),
        ("redirect_uri", None),
        ("client_id", Some("00000000-0000-4000-8000-000000000009")),
        ("client_id", None),
    ] {
        let answer = house.authorize(&with(name, value), &credentials).await;
        assert_eq!(answer.status, 400, "{name} {value:?}: {}", answer.body);
        assert!(answer.headers.get("location").is_none());
    }
    // The application is told.
    for (name, value, error) in [
        ("response_type", Some("token"), "unsupported_response_type"),
        ("response_type", None, "invalid_request"),
        ("code_challenge", None, "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("scope", Some("https://graph.microsoft.com/User.Read"), "invalid_resource"),
        ("scope", Some("https://api.securitycenter.microsoft.com/Fly.All"), "invalid_scope"),
        ("scope", Some("https://api.securitycenter.microsoft.com/Alert.Read"), "invalid_grant"),
    ] {
        let answer = house.authorize(&with(name, value), &credentials).await;
        assert_eq!(sent_back(&answer, "error"), error, "{name} {value:?}");
        assert_eq!(sent_back(&answer, "state"), "a state & more");
    }
    let declined = house.authorize(&house.asks(), &[("decision", "decline")]).await;
    assert_eq!(sent_back(&declined, "error"), "access_denied");
    let mut posted = house.asks();
    posted.push(("response_mode", "form_post".into()));
    let posted = house.authorize(&posted, &credentials).await;
    assert_eq!(posted.status, 200);
    assert!(
        posted.body.contains("action=\"http://localhost:8400\"") && posted.body.contains("name=\"code\""),
        "{}",
        posted.body
    );
    assert!(posted.headers["content-security-policy"].to_str().unwrap().contains("script-src 'sha256-"));
}

#[tokio::test]
async fn a_code_is_worth_nothing_without_its_verifier_its_redirect_uri_and_its_client() {
    let house = house(Config::default());
    let good = [("redirect_uri", BACK), ("code_verifier", VERIFIER)];
    for (bad, code) in [
        (("redirect_uri", "http://localhost:1"), 500_112),
        (("code_verifier", "another-verifier-of-forty-three-characters-or-more"), 501_481),
    ] {
        let issued = sent_back(&house.signed_in().await, "code");
        let mut pairs = vec![("grant_type", "authorization_code"), ("code", issued.as_str())];
        pairs.extend(good.iter().map(|pair| if pair.0 == bad.0 { bad } else { *pair }));
        assert_eq!(json(&house.token(&pairs).await)["error_codes"][0], code);
    }
    let issued = sent_back(&house.signed_in().await, "code");
    let other = house.world.register(&["Machine.Read.All".to_owned()], "a secret");
    let other = other.to_string();
    let mut pairs = vec![
        ("client_id", other.as_str()),
        ("client_secret", "a secret"),
        ("grant_type", "authorization_code"),
        ("code", issued.as_str()),
    ];
    pairs.extend(good);
    let answer = house.post("/default/oauth2/v2.0/token", &pairs).await;
    assert_eq!(json(&answer)["error_codes"][0], 70_000);
    // One that is not public has to prove itself.
    pairs.remove(1);
    assert_eq!(json(&house.post("/default/oauth2/v2.0/token", &pairs).await)["error"], "invalid_client");
}

#[tokio::test]
async fn what_is_taken_from_a_user_an_application_or_a_role_counts_at_the_next_request() {
    let house = house(Config::default());
    let code = sent_back(&house.signed_in().await, "code");
    let token = json(&house.exchange(&code).await)["access_token"].clone();
    let control = &house.world.instance().control;
    let tenant = control.tenant("default").unwrap().id;
    let status = async || house.call("/api/machines", &token).await.status.as_u16();
    assert_eq!(status().await, 200);
    let change = |permissions: &[RolePermission]| RoleChange {
        permissions: Some(permissions.iter().copied().collect()),
        ..RoleChange::default()
    };
    control.change_role(tenant, "investigate", change(&[RolePermission::AlertsInvestigation])).unwrap();
    let refused = house.call("/api/machines", &token).await;
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("View data - Security operations"), "{}", refused.body);
    control.change_role(tenant, "investigate", change(&[RolePermission::ViewData])).unwrap();
    assert_eq!(status().await, 200);
    let leave = UserChange { leave: vec!["analysts".into()], ..UserChange::default() };
    control.change_user(tenant, "alice@example.org", leave).unwrap();
    assert_eq!(status().await, 403);
    control.create_user_group(tenant, "admins", "").unwrap();
    let give = RoleChange { give: vec!["admins".into()], ..RoleChange::default() };
    control.change_role(tenant, "administrator", give).unwrap();
    let join = UserChange { join: vec!["admins".into()], ..UserChange::default() };
    control.change_user(tenant, "alice@example.org", join).unwrap();
    assert_eq!(status().await, 200);
    let console = house.console.parse().unwrap();
    control
        .change_application(console, |application| {
            application.delegated = Permissions::named(["File.Read.All"])
        })
        .unwrap();
    assert_eq!(status().await, 403);
    control.delete(console).unwrap();
    assert_eq!(status().await, 401);
}
