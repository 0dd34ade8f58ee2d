//! A certificate for the server, and clients who trust it.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::report::{Outcome, While};

/// The files a server is given.
pub const FILES: [&str; 2] = ["certificate.pem", "key.pem"];

/// Puts a certificate of this host's name and its key into a folder, and gives what trusts it.
pub fn certify(folder: &Path) -> Outcome<Arc<ClientConfig>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).during("making a certificate")?;
    let [certificate, key] = FILES;
    std::fs::write(folder.join(certificate), made.cert.pem()).during("writing the certificate")?;
    std::fs::write(folder.join(key), made.signing_key.serialize_pem()).during("writing its key")?;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).during("trusting the certificate")?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.during("setting up TLS")?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}
