//! Sections of outside issuers.

use super::*;
use crate::auth::permission::{Permission, Permissions};

const KEYCLOAK: &str = r#"
[outside_issuers.keycloak]
issuer = "https://login.example.org/realms/soc"
tenant = "default"
audiences = ["api://pintle"]
roles_claim = "realm_access.roles"
scopes_claim = "scope"
user_claim = "sub"
application_claim = "client_id"
ca_file = "/etc/pintle/authority.pem"
[outside_issuers.keycloak.roles]
soar = ["Machine.Read.All", "file.read.all"]
"a role with.dots" = ["Alert.Read.All"]
[outside_issuers.keycloak.scopes]
"pintle.read" = ["Machine.Read"]
[outside_issuers.keycloak.groups]
soc = ["Tier 1 analysts", "Tier 2 analysts"]
"#;

#[test]
fn a_section_is_read_whole_and_shown_as_it_was() {
    let config = load(KEYCLOAK);
    let issuer = &config.outside_issuers["keycloak"];
    assert_eq!(issuer.issuer.as_str(), "https://login.example.org/realms/soc");
    assert_eq!((issuer.tenant.as_str(), issuer.audiences[0].as_str()), ("default", "api://pintle"));
    let claims = &issuer.claims;
    assert_eq!(claims.roles.as_str(), "realm_access.roles");
    assert_eq!((claims.groups.as_str(), claims.name.as_str()), ("groups", "preferred_username"));
    assert!(!issuer.trust_permission_names && issuer.jwks_uri.is_none());
    let expected: Permissions = [Permission::MachineRead, Permission::FileRead].into_iter().collect();
    assert_eq!(issuer.roles["soar"], expected);
    assert!(issuer.roles["a role with.dots"].contains(Permission::AlertRead));
    assert!(issuer.scopes["pintle.read"].contains(Permission::MachineRead));
    assert_eq!(issuer.groups["soc"], ["Tier 1 analysts", "Tier 2 analysts"]);

    let loaded = Loaded::from_sources(&sources(KEYCLOAK, &[], &[("data.folder", "/srv/pintle")])).unwrap();
    let shown = sample::show(&loaded);
    assert_eq!(load(&shown), loaded.config, "{shown}");
}

#[test]
fn what_entra_needs_is_little() {
    let config = load(
        "[outside_issuers.entra]\nissuer = \"https://login.microsoftonline.com/5f0d2a6e-0c1b-4a52-9a43-0a6f7f0c9d11/v2.0\"\n\
         tenant = \"default\"\naudiences = [\"6f9619ff-8b86-d011-b42d-00cf4fc964ff\"]\ntrust_permission_names = true\n",
    );
    let claims = &config.outside_issuers["entra"].claims;
    assert_eq!(
        (claims.roles.as_str(), claims.scopes.as_str(), claims.user.as_str()),
        ("roles", "scp", "oid")
    );
    assert_eq!(claims.application, None);
}

#[test]
fn what_is_wrong_with_a_section_is_said_with_its_remedy() {
    let with = |wrong: &str, right: &str| KEYCLOAK.replacen(right, wrong, 1);
    for (file, expected) in [
        (
            with("issuer = \"http://login.example.org\"", "issuer = \"https://login.example.org/realms/soc\""),
            "outside_issuers.keycloak.issuer: expected an https URL",
        ),
        (with("", "issuer = \"https://login.example.org/realms/soc\""), "outside_issuers.keycloak.issuer is not set"),
        (with("", "tenant = \"default\""), "outside_issuers.keycloak.tenant is not set"),
        (with("", "audiences = [\"api://pintle\"]"), "outside_issuers.keycloak.audiences is not set"),
        (with("[]", "[\"api://pintle\"]"), "outside_issuers.keycloak.audiences: expected at least one"),
        (
            with("[\"https://API.securitycenter.microsoft.com/\"]", "[\"api://pintle\"]"),
            "outside_issuers.keycloak.audiences: https://API.securitycenter.microsoft.com/ is Microsoft's name",
        ),
        (
            with("[\"fc780465-2017-40d4-a0c5-307022471b92\"]", "[\"api://pintle\"]"),
            "outside_issuers.keycloak.audiences: fc780465-2017-40d4-a0c5-307022471b92 is Microsoft's name",
        ),
        (
            with("[\"https://pintle.example.org/\"]", "[\"api://pintle\"]"),
            "outside_issuers.keycloak.audiences: https://pintle.example.org/ is server.public_url",
        ),
        (
            with("\"https://pintle.example.org/default/\"", "\"https://login.example.org/realms/soc\""),
            "outside_issuers.keycloak.issuer: https://pintle.example.org/default/ is this server's own",
        ),
        (with("\"https://a.example.org/?p=1\"", "\"https://login.example.org/realms/soc\""), "has a query"),
        (with("audience = [\"x\"]\nca_file", "ca_file"), "unknown key outside_issuers.keycloak.audience, did you mean outside_issuers.keycloak.audiences"),
        (with("Machine.Reed.All", "Machine.Read.All"), "\"Machine.Reed.All\" is no permission of the API there, did you mean \"Machine.Read.All\""),
        (with("[\"Machine.Read.All\"]", "[\"Machine.Read\"]"), "did you mean \"Machine.Read\""),
        (with("realm_access..roles", "realm_access.roles"), "outside_issuers.keycloak.roles_claim: expected a claim"),
        (with("jwks_uri = \"http://login.example.org/keys\"\nca_file", "ca_file"), "outside_issuers.keycloak.jwks_uri: expected an https URL"),
        (with("groups = 7\nca_file", "ca_file").replace("[outside_issuers.keycloak.groups]\nsoc", "x"), "outside_issuers.keycloak.groups: expected a section"),
        ("[outside_issuers]\nentra = 7\n".to_owned(), "outside_issuers.entra is a section"),
        ("outside_issuers = 7\n".to_owned(), "outside_issuers is a section: write [outside_issuers]"),
        (with("[outside_issuer.keycloak]", "[outside_issuers.keycloak]"), "did you mean [outside_issuers.NAME]"),
        (
            format!("{KEYCLOAK}{}", KEYCLOAK.replace("keycloak", "again")),
            ".issuer: outside_issuers.again has it already: an issuer is for one tenant",
        ),
        (
            "[outside_issuers.bare]\nissuer = \"https://a.example.org\"\ntenant = \"default\"\naudiences = [\"x\"]\n".to_owned(),
            "outside_issuers.bare: its tokens would open nothing: map what they say in [outside_issuers.bare.roles]",
        ),
    ] {
        let file = format!("server.public_url = \"https://pintle.example.org\"\n{file}");
        let problems = problems(&file, &[]);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:#?}");
    }
}
