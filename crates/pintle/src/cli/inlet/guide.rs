//! What to write into a shipper's settings, ready to be copied.

use crate::admin::wire;

/// Where the server is, as far as nobody has said.
const EXAMPLE: &str = "https://pintle.example.org";

/// The lines for an inlet whose key was just made.
pub(super) fn lines(inlet: &wire::Inlet, key: &str, public_url: Option<&str>) -> String {
    let (id, url) = (&inlet.id, public_url.unwrap_or(EXAMPLE));
    let host = with_port(url);
    let whose = if public_url.is_some() { "" } else { " (server.public_url is not set: put yours in)" };
    format!(
        "Send to it{whose}:

  curl -sS -u {id}:{key} --data-binary @events.jsonl {url}/api/ingest

Shippers of Elasticsearch's (the README has more of them):

  output.elasticsearch:
    hosts: [\"{host}\"]
    path: /elastic
    api_key: \"{id}:{key}\"
    allow_older_versions: true
  setup.template.enabled: false
  setup.ilm.enabled: false
"
    )
}

/// The server's address with its port: shippers of Elasticsearch's take 9200 where there is none.
fn with_port(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let Some((scheme, host)) = url.split_once("://") else { return url.to_owned() };
    let has_port = host.rsplit_once(']').map_or(host, |(_, port)| port).contains(':');
    match scheme {
        _ if has_port => url.to_owned(),
        "http" => format!("{url}:80"),
        _ => format!("{url}:443"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_named_whichever_it_is() {
        for (url, expected) in [
            ("https://pintle.example.org", "https://pintle.example.org:443"),
            ("https://pintle.example.org/", "https://pintle.example.org:443"),
            ("http://[2001:db8::1]", "http://[2001:db8::1]:80"),
            ("http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080"),
            ("http://localhost:8080", "http://localhost:8080"),
        ] {
            assert_eq!(with_port(url), expected);
        }
    }
}
