//! How a path is read: `/api` and `/api/v1.0` are one tree, into which one path of an old preview leads;
//! segments compare without case, a slash at the end does no harm. Shipped clients disagree on all three.
//! What stands for a `{key}` keeps its case. A template's segment `name()` is a function: a path has its
//! arguments between the brackets, and they are taken out of it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::Uri;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;

use crate::http::arguments::Arguments;
use crate::http::error::Failure;
use crate::instance::Instance;

/// The URI with its path in the form in which one of the templates has it, and the arguments of a
/// function in it; unchanged if none matches.
pub(crate) fn canonical(uri: Uri, templates: &[&str]) -> (Uri, Option<Arguments>) {
    let path = match uri.path().strip_suffix('/') {
        Some(path) if !path.is_empty() => path,
        _ => uri.path(),
    };
    let Some(Fitted { path: canonical, arguments }) = canonical_path(path, templates) else {
        return (uri, None);
    };
    if canonical == uri.path() {
        return (uri, arguments);
    }
    let with_query = match uri.query() {
        Some(query) => format!("{canonical}?{query}"),
        None => canonical,
    };
    let mut parts = uri.clone().into_parts();
    let Ok(path_and_query) = PathAndQuery::try_from(with_query) else { return (uri, None) };
    parts.path_and_query = Some(path_and_query);
    (Uri::from_parts(parts).unwrap_or(uri), arguments)
}

/// The template that a path has the shape of, and what stands for its keys, decoded.
pub(crate) fn template_of<'t>(path: &str, templates: &[&'t str]) -> Option<(&'t str, Vec<String>)> {
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    let canonical = canonical_path(path, templates)?.path;
    let segments: Vec<&str> = canonical.split('/').collect();
    let template = templates.iter().find(|template| fitted(&segments, template).is_some())?;
    let keys = template.split('/').zip(&segments).filter(|(name, _)| name.starts_with('{'));
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((template, keys.map(|(_, segment)| decoded(segment)).collect()))
}

/// A path in the spelling of a template.
struct Fitted {
    path: String,
    arguments: Option<Arguments>,
}

/// The base of an old preview, and what of it became a part of the API as it was.
const PREVIEW: &str = "testwdatppreview";
const FROM_PREVIEW: &str = "/api/machines/find()";

fn canonical_path(path: &str, templates: &[&str]) -> Option<Fitted> {
    let mut segments: Vec<&str> = path.split('/').collect();
    let is =
        |at: usize, name: &str| segments.get(at).is_some_and(|segment| segment.eq_ignore_ascii_case(name));
    let is_preview = is(1, PREVIEW);
    if is(1, "api") && is(2, "v1.0") {
        segments.remove(2);
    }
    if is_preview {
        segments.splice(1..2, ["api"]);
    }
    let mut templates = templates.iter().filter(|template| !is_preview || **template == FROM_PREVIEW);
    templates.find_map(|template| fitted(&segments, template))
}

/// The path in the template's spelling, if it has the template's shape.
fn fitted(segments: &[&str], template: &str) -> Option<Fitted> {
    if template.split('/').count() != segments.len() {
        return None;
    }
    let mut fitted = Fitted { path: String::with_capacity(128), arguments: None };
    for (name, segment) in template.split('/').zip(segments).skip(1) {
        let is_key = name.starts_with('{') && !segment.is_empty();
        if let Some(function) = name.strip_suffix("()") {
            fitted.arguments = Some(called(segment, function)?);
        } else if !is_key && !is_written(name, segment) {
            return None;
        }
        fitted.path.push('/');
        fitted.path.push_str(if is_key { segment } else { name });
    }
    Some(fitted)
}

/// The arguments with which a segment calls a function, decoded; `None` if it does not.
fn called(segment: &str, function: &str) -> Option<Arguments> {
    // Most paths are told apart by the beginning.
    let begins = segment.get(..function.len())?;
    if !begins.eq_ignore_ascii_case(function) {
        return None;
    }
    let decoded = percent_encoding::percent_decode_str(segment).decode_utf8().ok()?;
    let arguments = decoded.get(function.len()..)?.trim().strip_prefix('(')?.strip_suffix(')')?;
    Some(Arguments(arguments.to_owned()))
}

/// Whether a segment stands for this name, in any case. `$` may be encoded: some clients do, and to others it
/// is no character of a path.
fn is_written(name: &str, segment: &str) -> bool {
    let after_dollar = name.strip_prefix('$').zip(segment.strip_prefix("%24"));
    let (name, segment) = after_dollar.unwrap_or((name, segment));
    name.eq_ignore_ascii_case(segment)
}

/// The one key in a path, decoded.
#[derive(Clone, Debug)]
pub struct Key(pub String);

impl FromRequestParts<Arc<Instance>> for Key {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, instance: &Arc<Instance>) -> Result<Key, Failure> {
        match Path::<String>::from_request_parts(parts, instance).await {
            Ok(Path(key)) => Ok(Key(key)),
            Err(_) => Err(not_utf8()),
        }
    }
}

/// The two keys in a path, decoded.
#[derive(Clone, Debug)]
pub struct Keys(pub String, pub String);

impl FromRequestParts<Arc<Instance>> for Keys {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, instance: &Arc<Instance>) -> Result<Keys, Failure> {
        match Path::<(String, String)>::from_request_parts(parts, instance).await {
            Ok(Path((first, second))) => Ok(Keys(first, second)),
            Err(_) => Err(not_utf8()),
        }
    }
}

fn not_utf8() -> Failure {
    Failure::input("The path is not UTF-8 once percent-decoded")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATES: &[&str] = &[
        "/api/machines/{id}/alerts/$count",
        "/api/machines",
        "/api/machines/find()",
        "/api/machines/findbyip()",
        "/api/machines/{id}",
        "/api/files/{id}/machines",
        "/{tenant}/oauth2/v2.0/token",
        "/api/$metadata",
    ];

    #[test]
    fn case_base_and_a_slash_at_the_end_do_not_matter_but_the_key_keeps_its_case() {
        for (path, expected) in [
            ("/API/Machines", "/api/machines"),
            ("/api/v1.0/machines/", "/api/machines"),
            ("/Api/V1.0/FILES/38733789AB/Machines/", "/api/files/38733789AB/machines"),
            ("/api/machines/WS-17.Example.org?$top=1", "/api/machines/WS-17.Example.org?$top=1"),
            ("/api/machines/m1/alerts/%24Count", "/api/machines/m1/alerts/$count"),
            ("/api/v1.0/%24Metadata", "/api/$metadata"),
            ("/api/v1.0/machines/v1.0", "/api/machines/v1.0"),
            ("/Contoso.example/OAuth2/V2.0/Token", "/Contoso.example/oauth2/v2.0/token"),
        ] {
            assert_eq!(canonical(path.parse().unwrap(), TEMPLATES).0.to_string(), expected, "{path}");
        }
    }

    #[test]
    fn other_paths_stay_as_they_are() {
        for path in [
            "/",
            "/api",
            "/api/v1.0",
            "/api/Machine",
            "/api/machines/a/b/c",
            "/api//machines",
            "/api/files//machines",
            "/api/v2.0/machines",
            "/testwdatppreview/machines",
            "/testwdatppreview/machines/findbyip(a=1)",
        ] {
            assert_eq!(canonical(path.parse().unwrap(), TEMPLATES).0.to_string(), path, "{path}");
        }
    }

    #[test]
    fn the_arguments_of_a_function_are_taken_out_of_the_path() {
        for (path, arguments) in [
            ("/api/machines/findbyip(ip='10.0.0.1',timestamp=T)", "ip='10.0.0.1',timestamp=T"),
            ("/API/v1.0/Machines/FindByIp(ip=%2710.0.0.1%27,%20timestamp=T)/", "ip='10.0.0.1', timestamp=T"),
            ("/api/machines/findbyip%28ip='::1'%29", "ip='::1'"),
            ("/api/machines/findbyip%20(a=(b))", "a=(b)"),
            ("/api/machines/findbyip()", ""),
        ] {
            let (uri, found) = canonical(format!("{path}?$top=1").parse().unwrap(), TEMPLATES);
            assert_eq!(uri.to_string(), "/api/machines/findbyip()?$top=1", "{path}");
            assert_eq!(found, Some(Arguments(arguments.to_owned())), "{path}");
        }
        let (uri, found) =
            canonical("/TestWdatpPreview/machines/find(key='::1')".parse().unwrap(), TEMPLATES);
        assert_eq!(uri.path(), "/api/machines/find()", "as the old preview had it");
        assert_eq!(found, Some(Arguments("key='::1'".to_owned())));
        for path in ["findbyip", "findbyip(", "findbyip(a)b", "xfindbyip(a)", "findbyip%ff(a)", "findby%FF"] {
            let path = format!("/api/machines/{path}");
            let (uri, found) = canonical(path.parse().unwrap(), TEMPLATES);
            assert_eq!((uri.to_string(), found), (path, None), "a machine of this name");
        }
        assert_eq!(
            template_of("/api/Machines/FINDBYIP(a=1)", TEMPLATES),
            Some(("/api/machines/findbyip()", vec![]))
        );
    }
}
