//! The pages: plain HTML without a script (but for the one line that posts a form), styled from within,
//! and headers that keep others from framing or reading them.

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::auth::application::Application;
use crate::auth::codes::Asked;
use crate::http::html::{self, escaped};

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:24rem;margin:4rem auto;padding:0 1rem}\
h1{font-size:1.3rem}\
label{display:block;margin:1rem 0 .2rem}\
input{font:inherit;width:100%;padding:.4rem;box-sizing:border-box}\
button{font:inherit;padding:.4rem 1rem;margin:1.2rem .5rem 0 0}\
.problem{border-left:.3rem solid #b3261e;padding-left:.7rem}\
.small{font-size:.85rem;opacity:.8}";

/// Posts the page's form as soon as it is there.
const POST_AT_ONCE: &str = "document.forms[0].submit()";

/// What a page is for, and what stands on it.
pub(super) struct Page<'a> {
    pub(super) status: StatusCode,
    pub(super) title: &'a str,
    /// HTML.
    pub(super) body: String,
    /// Whether its form ends on another server: browsers apply `form-action` to all that they are sent on
    /// to from there, and it cannot name every host.
    pub(super) leaves: bool,
    /// Whether its form is posted without the user.
    pub(super) posts_at_once: bool,
}

impl Page<'_> {
    /// The page with its headers.
    pub(super) fn response(&self) -> Response {
        let script =
            if self.posts_at_once { format!("<script>{POST_AT_ONCE}</script>") } else { String::new() };
        let html = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\
             <body><main><h1>{title}</h1>{body}</main>{script}</body></html>\n",
            title = escaped(self.title),
            body = self.body,
        );
        let mut response = (self.status, html).into_response();
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        html::protect(response.headers_mut(), self.policy());
        response
    }

    fn policy(&self) -> String {
        let mut policy = html::policy(STYLE);
        if self.posts_at_once {
            policy.push_str(&format!("; script-src {}", html::hash(POST_AT_ONCE)));
        }
        if !self.leaves {
            policy.push_str("; form-action 'self'");
        }
        policy
    }
}

/// A page that says why it does not go on.
pub(super) fn problem(status: StatusCode, title: &str, message: &str) -> Response {
    let body = format!("<p class=\"problem\">{}</p>", escaped(message));
    Page { status, title, body, leaves: false, posts_at_once: false }.response()
}

/// A page that says how it ended.
pub(super) fn done(title: &str, message: &str) -> Response {
    let body = format!("<p>{}</p>", escaped(message));
    Page { status: StatusCode::OK, title, body, leaves: false, posts_at_once: false }.response()
}

/// What was wrong with what a user typed.
fn alert(wrong: &str) -> String {
    format!("<p class=\"problem\" role=\"alert\">{}</p>", escaped(wrong))
}

/// What an application asks for, in a user's words, and the fields to sign in with.
pub(super) fn sign_in(
    application: &Application,
    asked: &Asked,
    name: &str,
    wrong: Option<&str>,
    hidden: &[(&str, &str)],
) -> String {
    let mut body = wrong.map_or_else(String::new, alert);
    body.push_str(&format!(
        "<p><strong>{}</strong> asks to do this for you, as far as your roles allow:</p><ul>",
        escaped(&application.name)
    ));
    for permission in asked.scopes.iter() {
        body.push_str(&format!("<li>{}</li>", escaped(permission.display_name())));
    }
    if asked.offline {
        body.push_str("<li>Go on doing it without asking you again</li>");
    }
    body.push_str("</ul><form method=\"post\">");
    hide(&mut body, hidden);
    body.push_str(&format!(
        "<label for=\"username\">User name</label>\
         <input id=\"username\" name=\"username\" value=\"{}\" autocomplete=\"username\" autocapitalize=\"none\" \
         spellcheck=\"false\" required autofocus>\
         <label for=\"password\">Password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\">\
         <button name=\"decision\" value=\"allow\">Sign in and allow</button>\
         <button name=\"decision\" value=\"decline\" formnovalidate>Cancel</button></form>\
         <p class=\"small\">Client id {}. Allow it only if you started it.</p>",
        escaped(name),
        application.id,
    ));
    body
}

/// The same for a device. Its code is shown: who was sent here by a link has to see that it is theirs.
pub(super) fn sign_in_for_device(
    application: &Application,
    asked: &Asked,
    name: &str,
    wrong: Option<&str>,
    user_code: &str,
) -> String {
    format!(
        "<p>Go on only if the device or program in front of you shows the code <strong>{}</strong>.</p>{}",
        escaped(user_code),
        sign_in(application, asked, name, wrong, &[("user_code", user_code)])
    )
}

/// A form that is sent on with these fields.
pub(super) fn post_on(action: &str, fields: &[(&str, &str)]) -> Response {
    let mut body = format!("<form method=\"post\" action=\"{}\">", escaped(action));
    hide(&mut body, fields);
    body.push_str("<button>Go on</button></form>");
    let title = "Back to the application";
    Page { status: StatusCode::OK, title, body, leaves: true, posts_at_once: true }.response()
}

fn hide(body: &mut String, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        let (name, value) = (escaped(name), escaped(value));
        body.push_str(&format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"));
    }
}

/// Where a user types what a device shows.
pub(super) fn user_code(wrong: Option<&str>) -> Response {
    let wrong = wrong.map_or_else(String::new, alert);
    let body = format!(
        "{wrong}<form method=\"get\"><label for=\"user_code\">The code that the device or program shows</label>\
         <input id=\"user_code\" name=\"user_code\" autocomplete=\"off\" spellcheck=\"false\" required autofocus>\
         <button>Go on</button></form>"
    );
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Page { status, title: "Sign in for a device", body, leaves: false, posts_at_once: false }.response()
}
