//! Sections `[outside_issuers.NAME]`: issuers of others (Entra ID, Keycloak, any OpenID Connect
//! issuer) whose tokens are accepted for a tenant, and what their claims are worth here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use toml::de::DeTable;

use super::section::{self, Name, Section};
use super::value::{Audience, HttpsUrl, PublicUrl, Value, kind_of, quoted};
use crate::auth::permission::{Permission, Permissions};
use crate::auth::token::Audiences;

/// What the sections' names begin with.
pub const SECTION: &str = "outside_issuers";

/// What the sample file says of these sections.
pub(super) const HELP: &str = "Tokens of other issuers, such as Entra ID or Keycloak, are accepted for \
    a tenant if there is a section [outside_issuers.NAME] for the issuer. issuer is the exact iss of \
    its tokens, tenant a name or GUID, and audiences are what it calls this server, which must not be \
    the name of another API. The keys are found by discovery on the issuer's host; if they are on \
    another one, name it with jwks_uri. ca_file has authorities of its own; else the system's count. \
    A claim may be a path such as realm_access.roles. What a token says counts only as mapped below: \
    roles to an application's permissions, scopes to a user's, groups to user groups. With \
    trust_permission_names the API's own names of permissions count too. Not set; for example:";

/// An example of such a section.
pub(super) const EXAMPLE: &str = r#"#[outside_issuers.keycloak]
#issuer = "https://login.example.org/realms/soc"
#tenant = "default"
#audiences = ["api://pintle"]
#jwks_uri = "https://login.example.org/realms/soc/protocol/openid-connect/certs"
#ca_file = "/etc/pintle/login-authority.pem"
#roles_claim = "realm_access.roles"
#groups_claim = "groups"
#scopes_claim = "scope"
#user_claim = "sub"
#name_claim = "preferred_username"
#application_claim = "client_id"
#trust_permission_names = false
#[outside_issuers.keycloak.roles]
#soar = ["Machine.Read.All", "File.Read.All", "Alert.Read.All"]
#[outside_issuers.keycloak.scopes]
#"pintle.read" = ["Machine.Read", "File.Read.All", "Alert.Read"]
#[outside_issuers.keycloak.groups]
#soc-tier-1 = ["Tier 1 analysts"]
"#;

/// An issuer of others whose tokens are accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct OutsideIssuer {
    /// The exact `iss` of its tokens.
    pub issuer: HttpsUrl,
    /// The tenant that its tokens are for, by name or GUID.
    pub tenant: String,
    /// What it calls this server; never the name of another API.
    pub audiences: Vec<Audience>,
    /// Where its keys are; `None`: discovery says it, on the issuer's own host.
    pub jwks_uri: Option<HttpsUrl>,
    /// PEM file of the authorities that vouch for its hosts; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// Which claims say what.
    pub claims: ClaimNames,
    /// Whether the API's own names of permissions count without being mapped.
    pub trust_permission_names: bool,
    /// What an application may do, by its roles.
    pub roles: BTreeMap<String, Permissions>,
    /// What an application may do on a user's behalf, by the token's scopes.
    pub scopes: BTreeMap<String, Permissions>,
    /// The names of user groups, by the user's groups at the issuer.
    pub groups: BTreeMap<String, Vec<String>>,
}

/// Which claims of an issuer's tokens say what.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimNames {
    /// An application's roles.
    pub roles: ClaimPath,
    /// A user's groups.
    pub groups: ClaimPath,
    /// The scopes of a user's token; its presence makes a token a user's.
    pub scopes: ClaimPath,
    /// The user's id, which never changes.
    pub user: ClaimPath,
    /// The user's name.
    pub name: ClaimPath,
    /// What only tokens of applications have, for issuers that give scopes to these too.
    pub application: Option<ClaimPath>,
}

/// A claim, or the way to it through objects: `realm_access.roles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(Box<str>);

impl ClaimPath {
    /// The path, with dots between its parts.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for ClaimPath {
    fn from(path: &'static str) -> ClaimPath {
        ClaimPath(path.into())
    }
}

impl Value for ClaimPath {
    fn from_text(text: &str) -> Result<ClaimPath, String> {
        let is_plain = text.len() <= 256
            && !text.chars().any(char::is_control)
            && text.split('.').all(|part| !part.is_empty());
        is_plain.then(|| ClaimPath(text.into())).ok_or_else(|| {
            format!(
                "expected a claim such as \"roles\", or the way to it as \"realm_access.roles\", found {text:?}"
            )
        })
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(self.as_str()))
    }
}

/// Reads the table of sections. `problem` is told, with its place in the file, whatever is wrong.
pub(super) fn read(
    sections: &DeTable<'_>,
    public_url: Option<&PublicUrl>,
    problem: &mut dyn FnMut(usize, String),
) -> BTreeMap<String, OutsideIssuer> {
    let mut issuers: BTreeMap<String, OutsideIssuer> = BTreeMap::new();
    section::each(SECTION, sections, problem, &mut |name, section| {
        let Some(issuer) = section.issuer(public_url) else { return };
        if let Some((other, _)) = issuers.iter().find(|(_, other)| other.issuer == issuer.issuer) {
            let path = section.path;
            (section.problem)(
                section.at,
                format!("{path}.issuer: {SECTION}.{other} has it already: an issuer is for one tenant"),
            );
        }
        issuers.insert(name.to_owned(), issuer);
    });
    issuers
}

/// The keys of a section.
const KEYS: &[&str] = &[
    "issuer",
    "tenant",
    "audiences",
    "jwks_uri",
    "ca_file",
    "roles_claim",
    "groups_claim",
    "scopes_claim",
    "user_claim",
    "name_claim",
    "application_claim",
    "trust_permission_names",
    "roles",
    "groups",
    "scopes",
];

impl Section<'_, '_> {
    /// The whole section; `None` if a key that it needs is missing or wrong.
    fn issuer(&mut self, public_url: Option<&PublicUrl>) -> Option<OutsideIssuer> {
        self.no_others(KEYS);
        let issuer = self.required::<HttpsUrl>("issuer", "the exact iss of its tokens");
        let tenant = self.required::<Name>("tenant", "the tenant that its tokens are for");
        let audiences = self.required::<Vec<Audience>>("audiences", "what it calls this server");
        let read = OutsideIssuer {
            jwks_uri: self.optional("jwks_uri"),
            ca_file: self.optional("ca_file"),
            claims: ClaimNames {
                roles: self.optional("roles_claim").unwrap_or("roles".into()),
                groups: self.optional("groups_claim").unwrap_or("groups".into()),
                scopes: self.optional("scopes_claim").unwrap_or("scp".into()),
                user: self.optional("user_claim").unwrap_or("oid".into()),
                name: self.optional("name_claim").unwrap_or("preferred_username".into()),
                application: self.optional("application_claim"),
            },
            trust_permission_names: self.optional("trust_permission_names").unwrap_or(false),
            roles: self.permissions("roles", Permission::named, Permission::value),
            scopes: self.permissions("scopes", Permission::delegated_as, Permission::delegated),
            groups: self
                .map::<Vec<Name>>("groups")
                .into_iter()
                .map(|(group, _, names)| (group, names.into_iter().map(|Name(name)| name).collect()))
                .collect(),
            issuer: issuer?,
            tenant: tenant?.0,
            audiences: audiences?,
        };
        self.judge(&read, public_url);
        Some(read)
    }

    /// What each key allows, and all of them together do not.
    fn judge(&mut self, issuer: &OutsideIssuer, public_url: Option<&PublicUrl>) {
        let url = issuer.issuer.as_str();
        if issuer.issuer.has_query() {
            self.wrong("issuer", format!("{url} has a query, which no issuer has"));
        }
        let own = public_url.map(PublicUrl::as_str);
        if own.is_some_and(|own| {
            url.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }) {
            self.wrong("issuer", format!("{url} is this server's own issuer, which needs no section"));
        }
        if issuer.audiences.is_empty() {
            self.wrong("audiences", "expected at least one, such as [\"api://pintle\"]".to_owned());
        }
        let microsofts = Audiences::new([]);
        let ours = Audiences::new(own);
        for audience in issuer.audiences.iter().map(Audience::as_str) {
            if microsofts.contains(audience) {
                let why =
                    "is Microsoft's name of the API, so tokens for Defender itself would open this server";
                self.wrong(
                    "audiences",
                    format!("{audience} {why}: register an API of its own at the issuer"),
                );
            } else if ours.contains(audience) {
                let why = "is server.public_url, the audience of the built-in issuer's tokens";
                self.wrong("audiences", format!("{audience} {why}: use another such as \"api://pintle\""));
            }
        }
        if issuer.roles.is_empty() && issuer.scopes.is_empty() && !issuer.trust_permission_names {
            let path = self.path;
            let message = format!(
                "{path}: its tokens would open nothing: map what they say in [{path}.roles] and \
                 [{path}.scopes], or set trust_permission_names"
            );
            (self.problem)(self.at, message);
        }
    }

    /// A table of claim values, each with where what it means begins in the file.
    fn map<T: Value>(&mut self, name: &str) -> Vec<(String, usize, T)> {
        let Some(value) = self.table.get(name) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            let message =
                format!("expected a section [{}.{name}], found {}", self.path, kind_of(value.get_ref()));
            self.wrong(name, message);
            return Vec::new();
        };
        let mut found = Vec::new();
        for (claim, value) in table {
            let at = value.span().start;
            match T::from_toml(value.get_ref()) {
                Ok(meaning) => found.push((claim.get_ref().to_string(), at, meaning)),
                Err(message) => {
                    (self.problem)(at, format!("{}.{name}.{}: {message}", self.path, claim.get_ref()));
                }
            }
        }
        found
    }

    fn permissions(
        &mut self,
        name: &str,
        find: fn(&str) -> Option<Permission>,
        text: fn(Permission) -> &'static str,
    ) -> BTreeMap<String, Permissions> {
        let mut map = BTreeMap::new();
        for (claim, at, names) in self.map::<Vec<Name>>(name) {
            for Name(wrong) in names.iter().filter(|Name(name)| find(name).is_none()) {
                let known = Permission::ALL.iter().map(|known| text(*known));
                let nearest = known.min_by_key(|known| strsim::damerau_levenshtein(wrong, known));
                let nearest = nearest.unwrap_or_default();
                let message = format!(
                    "{}.{name}.{claim}: {wrong:?} is no permission of the API there, did you mean {nearest:?}",
                    self.path
                );
                (self.problem)(at, message);
            }
            map.insert(claim, names.iter().filter_map(|Name(name)| find(name)).collect());
        }
        map
    }
}

impl OutsideIssuer {
    /// The section as TOML, a line a key.
    pub(super) fn show(&self, name: &str) -> String {
        let path = format!("{SECTION}.{}", quoted(name));
        let claims = &self.claims;
        let mut text = String::new();
        for (key, value) in [
            ("issuer", self.issuer.to_toml()),
            ("tenant", Some(quoted(&self.tenant))),
            ("audiences", self.audiences.to_toml()),
            ("jwks_uri", self.jwks_uri.to_toml()),
            ("ca_file", self.ca_file.to_toml()),
            ("roles_claim", claims.roles.to_toml()),
            ("groups_claim", claims.groups.to_toml()),
            ("scopes_claim", claims.scopes.to_toml()),
            ("user_claim", claims.user.to_toml()),
            ("name_claim", claims.name.to_toml()),
            ("application_claim", claims.application.to_toml()),
            ("trust_permission_names", self.trust_permission_names.to_toml()),
        ] {
            match value {
                Some(value) => _ = writeln!(text, "{path}.{key} = {value}"),
                None => _ = writeln!(text, "#{path}.{key} is not set"),
            }
        }
        let mut map = |section: &str, claim: &str, names: &mut dyn Iterator<Item = &str>| {
            let names: Vec<String> = names.map(quoted).collect();
            _ = writeln!(text, "{path}.{section}.{} = [{}]", quoted(claim), names.join(", "));
        };
        for (role, permissions) in &self.roles {
            map("roles", role, &mut permissions.iter().map(Permission::value));
        }
        for (scope, permissions) in &self.scopes {
            map("scopes", scope, &mut permissions.iter().map(Permission::delegated));
        }
        for (group, names) in &self.groups {
            map("groups", group, &mut names.iter().map(String::as_str));
        }
        text
    }
}
