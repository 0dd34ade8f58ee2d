//! Tokens of an outside issuer that the test runs itself: what they are worth, how keys come and go,
//! what nobody is let in with, and what an issuer that is broken or hostile costs.

mod bad_tokens;
mod end_to_end;
mod hostile;
mod key_exchange;
mod site;

use std::path::Path;
use std::time::Duration;

use pintle::auth::control::Control;
use pintle::auth::outside::{OutsideIssuers, OutsideSubject, OutsideVerified};
use pintle::auth::token::Refusal;
use pintle::config::{Config, Loaded, Sources};
use pintle_model::Time;
use serde_json::{Value, json};

use self::site::{ELLIPTIC, FIRST, SECOND, Site, jwks};

/// What the issuer calls this server.
const AUDIENCE: &str = "api://pintle";

/// When tests begin.
fn start() -> Time {
    Time::parse("2026-01-20T00:00:00Z").unwrap()
}

/// Who verifies tokens of one issuer.
struct House {
    _folder: tempfile::TempDir,
    control: Control,
    issuers: OutsideIssuers,
}

impl House {
    /// Accepts tokens of the site, with these keys in its section and these below it.
    fn new(site: &Site, more: &str, tables: &str) -> House {
        House::trusting(&site.issuer(), &site.ca_file, more, tables)
    }

    fn trusting(issuer: &str, ca_file: &Path, more: &str, tables: &str) -> House {
        House::of(&config(issuer, ca_file, more, tables)).unwrap()
    }

    fn of(config: &Config) -> Result<House, pintle::auth::Error> {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(folder.path()).unwrap();
        let issuers = OutsideIssuers::new(config, &control)?;
        Ok(House { _folder: folder, control, issuers })
    }

    async fn verify(&self, token: &str, now: Time) -> Result<OutsideVerified, Refusal> {
        // Nothing takes longer than a fetch may.
        let judged =
            tokio::time::timeout(Duration::from_secs(30), self.issuers.verify(token, &self.control, now));
        judged.await.expect("no answer in time").expect("the token is not the outside issuer's")
    }
}

fn config(issuer: &str, ca_file: &Path, more: &str, tables: &str) -> Config {
    let text = format!(
        "[outside_issuers.soc]\nissuer = {issuer:?}\ntenant = \"default\"\naudiences = [{AUDIENCE:?}]\n\
         ca_file = {ca_file:?}\n{more}\ntrust_permission_names = true\n{tables}"
    );
    let file = Some(("pintle.toml".into(), text));
    Loaded::from_sources(&Sources { file, ..Sources::default() }).unwrap().config
}

/// What an application's token from Entra ID says.
fn claims(site: &Site) -> Value {
    let now = start().unix_seconds();
    json!({
        "iss": site.issuer(), "aud": AUDIENCE, "sub": "1b2c", "iat": now, "nbf": now, "exp": now + 3_600,
        "appid": "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "roles": ["Machine.Read.All"], "ver": "1.0",
    })
}

fn names(verified: &OutsideVerified) -> Vec<&'static str> {
    let permissions = match &verified.subject {
        OutsideSubject::Application { permissions, .. } => permissions,
        OutsideSubject::User { scopes, .. } => scopes,
    };
    permissions.iter().map(|permission| permission.value()).collect()
}

#[tokio::test]
async fn every_kind_of_key_signs_tokens_that_count_until_they_expire() {
    let site = Site::start().await;
    site.answer(site::KEYS, jwks(&[&FIRST, &SECOND, &ELLIPTIC]));
    let house = House::new(&site, "", "");
    for signer in [&*FIRST, &*SECOND, &*ELLIPTIC] {
        let token = signer.sign(&claims(&site));
        for _ in 0..2 {
            let verified = house.verify(&token, start()).await.unwrap();
            assert_eq!(verified.issuer, "soc");
            assert_eq!(verified.tenant, house.control.tenant("default").unwrap().id);
            assert_eq!(names(&verified), ["Machine.Read.All"], "{}", signer.kid);
        }
        let at = |seconds: u64| start() + Duration::from_secs(seconds);
        assert!(house.verify(&token, at(3_600 + 299)).await.is_ok(), "clocks differ");
        assert_eq!(house.verify(&token, at(3_600 + 300)).await, Err(Refusal::Expired), "though remembered");
    }
}

#[tokio::test]
async fn the_built_in_issuers_tokens_and_words_are_not_judged_here() {
    let site = Site::start().await;
    let house = House::new(&site, "", "");
    let mut foreign = claims(&site);
    foreign["iss"] = json!("https://login.example.org/realm");
    for token in [FIRST.sign(&foreign), "token".to_owned(), String::new(), "..".to_owned()] {
        assert!(house.issuers.verify(&token, &house.control, start()).await.is_none(), "{token}");
    }
    let nobody = OutsideIssuers::new(&Config::default(), &house.control).unwrap();
    assert!(nobody.verify(&FIRST.sign(&claims(&site)), &house.control, start()).await.is_none());
    assert_eq!(site.asked(site::DISCOVERY), 0);
}

const MAPPED: &str = r#"
[outside_issuers.soc.roles]
soar = ["Machine.Read.All", "File.Read.All"]
"more soar" = ["Alert.Read.All"]
[outside_issuers.soc.scopes]
"pintle.read" = ["Machine.Read", "File.Read.All"]
[outside_issuers.soc.groups]
"8f0c" = ["Tier 1 analysts"]
"/soc/leads" = ["Leads", "Tier 1 analysts"]
"#;

#[tokio::test]
async fn tokens_of_entra_are_worth_what_they_are_mapped_to() {
    let site = Site::start().await;
    let house = House::new(&site, "", MAPPED);
    let mut app = claims(&site);
    app["roles"] = json!(["soar", "more soar", "Ti.Read.All", "unknown"]);
    let verified = house.verify(&FIRST.sign(&app), start()).await.unwrap();
    assert_eq!(names(&verified), ["Alert.Read.All", "Machine.Read.All", "File.Read.All", "Ti.Read.All"]);
    let OutsideSubject::Application { id, .. } = &verified.subject else { panic!("an application") };
    assert_eq!(id, "6f9619ff-8b86-d011-b42d-00cf4fc964ff");

    let mut user = app.clone();
    user["scp"] = json!("pintle.read AdvancedQuery.Read openid Ti.Read.All");
    user["oid"] = json!("0d4a");
    user["groups"] = json!(["8f0c", "/soc/leads", "unknown"]);
    user["preferred_username"] = json!("ada@example.org");
    let by_user = house.verify(&FIRST.sign(&user), start()).await.unwrap();
    assert_eq!(names(&by_user), ["Machine.Read.All", "File.Read.All", "AdvancedQuery.Read.All"]);
    let OutsideSubject::User { id, name, user_groups, .. } = &by_user.subject else { panic!("a user") };
    assert_eq!((id.as_str(), name.as_str()), ("0d4a", "ada@example.org"));
    assert_eq!(user_groups, &["Leads", "Tier 1 analysts"]);
    assert_eq!(by_user.quota_id(), verified.quota_id(), "calls of one client");
    assert_eq!(verified.quota_id().get_version_num(), 8);

    // Entra says so where it is asked to.
    for (kind, is_application) in [("app", true), ("user", false)] {
        let mut claims = user.clone();
        claims["idtyp"] = json!(kind);
        let subject = house.verify(&FIRST.sign(&claims), start()).await.unwrap().subject;
        assert_eq!(matches!(subject, OutsideSubject::Application { .. }), is_application, "{kind}");
        claims.as_object_mut().unwrap().remove("scp");
        let subject = house.verify(&FIRST.sign(&claims), start()).await.unwrap().subject;
        assert_eq!(matches!(subject, OutsideSubject::Application { .. }), is_application, "{kind}");
    }
    // The second version of its tokens names the client otherwise, and others name none.
    let mut second = app.clone();
    second["azp"] = second.as_object_mut().unwrap().remove("appid").unwrap();
    second["aud"] = json!(["another", AUDIENCE]);
    assert_eq!(house.verify(&FIRST.sign(&second), start()).await.unwrap().quota_id(), verified.quota_id());
    second.as_object_mut().unwrap().remove("azp");
    let other = house.verify(&FIRST.sign(&second), start()).await.unwrap();
    assert!(matches!(&other.subject, OutsideSubject::Application { id, .. } if id == "1b2c"));
    assert_ne!(other.quota_id(), verified.quota_id());
}

#[tokio::test]
async fn tokens_of_keycloak_are_worth_what_they_are_mapped_to() {
    let site = Site::start().await;
    let keycloak = "roles_claim = \"realm_access.roles\"\nscopes_claim = \"scope\"\nuser_claim = \"sub\"\n\
                    application_claim = \"client_id\"\n";
    let house = House::new(&site, keycloak, MAPPED);
    let now = start().unix_seconds();
    let user = json!({
        "exp": now + 300, "iat": now, "jti": "onrtac:1", "iss": site.issuer(), "aud": [AUDIENCE, "account"],
        "sub": "7c1f", "typ": "Bearer", "azp": "console", "sid": "2", "acr": "1",
        "realm_access": {"roles": ["soar", "offline_access"]}, "scope": "openid profile pintle.read",
        "groups": ["/soc/leads"], "preferred_username": "ada",
    });
    let verified = house.verify(&FIRST.sign(&user), start()).await.unwrap();
    assert_eq!(names(&verified), ["Machine.Read.All", "File.Read.All"]);
    let OutsideSubject::User { id, name, user_groups, .. } = &verified.subject else { panic!("a user") };
    assert_eq!((id.as_str(), name.as_str()), ("7c1f", "ada"));
    assert_eq!(user_groups, &["Leads", "Tier 1 analysts"]);

    let mut account = user.clone();
    account["client_id"] = json!("soar-runner");
    account["azp"] = json!("soar-runner");
    account["scope"] = json!("profile email");
    account["preferred_username"] = json!("service-account-soar-runner");
    let verified = house.verify(&FIRST.sign(&account), start()).await.unwrap();
    let OutsideSubject::Application { id, .. } = &verified.subject else { panic!("an application") };
    assert_eq!((id.as_str(), names(&verified)), ("soar-runner", vec!["Machine.Read.All", "File.Read.All"]));

    // A user who asks for no scope of this server has none, whatever roles the user has.
    let mut without = user;
    without["scope"] = json!("openid");
    let verified = house.verify(&FIRST.sign(&without), start()).await.unwrap();
    assert!(matches!(verified.subject, OutsideSubject::User { .. }) && names(&verified).is_empty());
}

#[tokio::test]
async fn the_apis_own_names_count_only_where_that_is_configured() {
    let site = Site::start().await;
    let mut config = config(&site.issuer(), &site.ca_file, "", MAPPED);
    config.outside_issuers.get_mut("soc").unwrap().trust_permission_names = false;
    let house = House::of(&config).unwrap();
    let verified = house.verify(&FIRST.sign(&claims(&site)), start()).await.unwrap();
    assert!(names(&verified).is_empty());
}

#[tokio::test]
async fn an_issuer_whose_tenant_is_not_there_opens_nothing_until_it_is() {
    let site = Site::start().await;
    let mut config = config(&site.issuer(), &site.ca_file, "", "");
    config.outside_issuers.get_mut("soc").unwrap().tenant = "acme".to_owned();
    let house = House::of(&config).unwrap();
    let token = FIRST.sign(&claims(&site));
    assert!(matches!(house.verify(&token, start()).await, Err(Refusal::Outside(_))));
    let tenant = house.control.create_tenant(None, "acme").unwrap();
    assert_eq!(house.verify(&token, start()).await.unwrap().tenant, tenant.id);
}

#[tokio::test]
async fn a_file_of_authorities_that_cannot_be_used_is_named() {
    let site = Site::start().await;
    let empty = site.ca_file.with_file_name("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (file, expected) in
        [(empty, "it holds no certificate"), (site.ca_file.with_file_name("none.pem"), "cannot read")]
    {
        let error = House::of(&config(&site.issuer(), &file, "", "")).err().unwrap().to_string();
        assert!(error.contains(expected) && error.contains(file.to_str().unwrap()), "{error}");
    }
}
