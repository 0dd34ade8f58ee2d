//! What `pintle dev` prints: lines that work as they are when copied into a POSIX shell.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::dev::generator::Example;
use crate::dev::{Credentials, hosts};

/// The audience that the token line asks for.
const AUDIENCE: &str = "https://api.securitycenter.microsoft.com";

/// Everything there is to say about a running demo.
pub(super) struct Guide<'a> {
    pub(super) http: SocketAddr,
    pub(super) https: SocketAddr,
    pub(super) folder: &'a Path,
    pub(super) authority: &'a Path,
    pub(super) credentials: &'a Credentials,
    pub(super) example: Option<&'a Example>,
}

impl Guide<'_> {
    fn base(&self) -> String {
        format!("http://{}", self.http)
    }

    fn https_base(&self) -> String {
        format!("https://localhost:{}", self.https.port())
    }

    /// Puts a token into the shell's variable `token`.
    fn token_line(&self) -> String {
        let base = self.base();
        let tenant = self.credentials.tenant;
        let (client, secret) = (self.credentials.client, self.credentials.secret.reveal());
        format!(
            "token=$(curl -sS {base}/{tenant}/oauth2/v2.0/token -d grant_type=client_credentials -d client_id={client} \
             -d client_secret={secret} -d scope={AUDIENCE}/.default | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')"
        )
    }

    fn question_line(&self, path: &str) -> String {
        format!("curl -sS -H \"Authorization: Bearer $token\" {}{path}", self.base())
    }

    fn machines_line(&self, example: &Example) -> String {
        self.question_line(&format!("/api/files/{}/machines", example.file))
    }

    fn files_line(&self, example: &Example) -> String {
        self.question_line(&format!("/api/alerts/{}/files", example.alert))
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let authority = quoted(self.authority);
        let credentials = self.credentials;
        let mut line = |line: &str| {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{line}");
        };
        line(&format!("pintle dev is ready at {} and {}", self.base(), self.https_base()));
        line("");
        line(&format!("tenant id      {}", credentials.tenant));
        line(&format!("client id      {}", credentials.client));
        line(&format!("client secret  {}", credentials.secret.reveal()));
        line("");
        line("Get a token:");
        line(&self.token_line());
        if let Some(example) = self.example {
            line("");
            line("Which machines have seen this file?");
            line(&self.machines_line(example));
            line("");
            line("Which files are in this alert?");
            line(&self.files_line(example));
        }
        line("");
        line("The same from the command line, as long as this runs:");
        line(&format!("pintle alerts --data {}", quoted(self.folder)));
        line("");
        line(
            "For clients whose hosts are built in, send these names here (in /etc/hosts, for as long as you test) and",
        );
        match self.https.port() {
            443 => line("keep port 443, which this has:"),
            port => line(&format!(
                "port 443 to {port} (or start this with `--https 127.0.0.1:443`, which may take root's rights):"
            )),
        }
        for host in hosts::lines() {
            line(&host);
        }
        line("");
        line(
            "and let them trust the throwaway CA. In the shell that has these variables it replaces all other",
        );
        line("roots (Node adds it to them), so use a shell of its own:");
        line(&format!("export REQUESTS_CA_BUNDLE={authority} SSL_CERT_FILE={authority}  # Python"));
        line(&format!("export NODE_EXTRA_CA_CERTS={authority}  # Node"));
        line(&format!("export CURL_CA_BUNDLE={authority}  # curl"));
        line("");
        line("Ctrl-C ends it.");
        text
    }

    /// For scripts.
    pub(super) fn json(&self) -> Value {
        let mut curl = json!({ "token": self.token_line() });
        if let (Some(example), Some(curl)) = (self.example, curl.as_object_mut()) {
            curl.insert("machines".to_owned(), self.machines_line(example).into());
            curl.insert("files".to_owned(), self.files_line(example).into());
        }
        json!({
            "http": self.base(),
            "https": self.https_base(),
            "tenant_id": self.credentials.tenant.to_string(),
            "client_id": self.credentials.client.to_string(),
            "client_secret": self.credentials.secret.reveal(),
            "audience": AUDIENCE,
            "alert_id": self.example.map(|example| example.alert.to_string()),
            "file_sha1": self.example.map(|example| example.file.to_string()),
            "curl": curl,
            "data": self.folder,
            "ca": self.authority,
            "hosts": hosts::SIGN_IN.iter().chain(hosts::API).collect::<Vec<_>>(),
        })
    }
}

/// A path as one word of a POSIX shell.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_says_how_to_have_port_443_and_what_trusting_the_ca_costs() {
        let text = |https: u16| {
            let credentials = Credentials {
                tenant: "d0c0ffee-0000-4000-8000-000000000001".parse().unwrap(),
                client: uuid::Uuid::nil(),
                secret: crate::auth::secret::Secret::from_text("secret"),
            };
            Guide {
                http: "127.0.0.1:4280".parse().unwrap(),
                https: SocketAddr::from(([127, 0, 0, 1], https)),
                folder: Path::new("/tmp/data"),
                authority: Path::new("/tmp/data/ca.pem"),
                credentials: &credentials,
                example: None,
            }
            .text()
        };
        let usual = text(4443);
        assert!(usual.contains("--https 127.0.0.1:443") && usual.contains("replaces all other"), "{usual}");
        assert!(!text(443).contains("--https"));
    }

    #[test]
    fn any_path_is_one_word_of_a_shell() {
        for (path, word) in
            [("/tmp/a-b_c.d", "/tmp/a-b_c.d"), ("/tmp/a b", "'/tmp/a b'"), ("/it's", "'/it'\\''s'")]
        {
            assert_eq!(quoted(Path::new(path)), word);
        }
    }
}
