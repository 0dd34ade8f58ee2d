//! What a request asks a user for, in the words of either version.

use super::form::Form;
use super::problem::Problem;
use crate::auth::application::Application;
use crate::auth::codes::Asked;
use crate::auth::permission::Permission;
use crate::instance::Instance;

/// Which of the two token endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// `/oauth2/…`: `resource`.
    V1,
    /// `/oauth2/v2.0/…`: `scope`.
    V2,
}

/// The API's name if a request names none, as MSAL does with `.default` missing.
const MAIN_AUDIENCE: &str = "https://api.securitycenter.microsoft.com";

/// Words that ask for no permission of the API.
const OPENID_SCOPES: &[&str] = &["openid", "profile", "email", "offline_access"];

/// What an application asks a user for. It must have been given all of it.
pub(crate) fn asked(
    instance: &Instance,
    application: &Application,
    form: &Form,
    version: Version,
) -> Result<Asked, Problem> {
    let known = |resource: &str| {
        let known = instance.tokens.audiences().contains(resource).then(|| resource.to_owned());
        known.ok_or_else(|| Problem::unknown_resource(resource))
    };
    let scope = form.given("scope").unwrap_or_default();
    let words = || scope.split_ascii_whitespace();
    let nonce = form.given("nonce").map(|nonce| nonce.chars().take(500).collect());
    if version == Version::V1 {
        // Everything that the application may do for users: v1 has no finer way to ask.
        let audience = known(form.given("resource").unwrap_or(MAIN_AUDIENCE))?;
        let openid = words().any(|word| word == "openid");
        return has_any(
            application,
            Asked { audience, scopes: application.delegated, openid, offline: true, nonce },
        );
    }
    let (mut audience, mut scopes, mut all) = (None, Vec::new(), false);
    for word in words().filter(|word| !OPENID_SCOPES.contains(word)) {
        // An audience may have slashes of its own; a permission has none.
        let (resource, name) = match word.rsplit_once('/') {
            Some((resource, name)) => (Some(known(resource)?), name),
            None => (None, word),
        };
        audience = audience.or(resource);
        if name == ".default" || name.eq_ignore_ascii_case("user_impersonation") {
            all = true;
            continue;
        }
        let permission = Permission::delegated_as(name).or_else(|| Permission::named(name));
        let permission = permission.ok_or_else(|| Problem::unknown_scope(word))?;
        if !application.delegated.contains(permission) {
            return Err(Problem::not_consented(permission));
        }
        scopes.push(permission);
    }
    let scopes = if all || scopes.is_empty() { application.delegated } else { scopes.into_iter().collect() };
    let audience = audience.unwrap_or_else(|| MAIN_AUDIENCE.to_owned());
    let (openid, offline) =
        (words().any(|word| word == "openid"), words().any(|word| word == "offline_access"));
    has_any(application, Asked { audience, scopes, openid, offline, nonce })
}

/// An application that may do nothing for users cannot sign any in.
fn has_any(application: &Application, asked: Asked) -> Result<Asked, Problem> {
    if application.delegated.is_empty() {
        return Err(Problem::not_consented(Permission::MachineRead));
    }
    Ok(asked)
}

/// What was granted, as the answer names it.
pub(super) fn text(asked: &Asked, version: Version) -> String {
    let Asked { audience, scopes, openid, offline, .. } = asked;
    let scopes = scopes.iter().map(Permission::delegated);
    match version {
        Version::V1 => scopes.collect::<Vec<_>>().join(" "),
        Version::V2 => {
            let mut words: Vec<String> =
                scopes.map(|scope| format!("{}/{scope}", audience.trim_end_matches('/'))).collect();
            words.extend(openid.then(|| "openid profile".to_owned()));
            words.extend(offline.then(|| "offline_access".to_owned()));
            words.join(" ")
        }
    }
}
