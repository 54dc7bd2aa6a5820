//! The certificate authorities that are trusted: the system's, or Mozilla's without them, and the user's own.

use std::path::Path;
use std::sync::Arc;
use std::{env, fs};

use anyhow::{Context as _, Error, Result, anyhow, bail};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// TLS with the system's roots, or Mozilla's where there are none, and those in `ca_file`.
///
/// # Errors
/// When the certificates cannot be read.
pub(crate) fn config(ca_file: Option<&Path>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        // A variable that was set on purpose must not be passed over in silence.
        if let Some(file) = env::var_os("SSL_CERT_FILE") {
            let file = Path::new(&file).display();
            bail!("SSL_CERT_FILE names {file}, which holds no readable certificate");
        }
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    }
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    build(roots)
}

/// TLS that trusts nobody, for addresses that need none.
pub(super) fn config_without_roots() -> Result<ClientConfig> {
    build(RootCertStore::empty())
}

fn build(roots: RootCertStore) -> Result<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("cannot set up TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<()> {
    let unusable = || format!("cannot use the CA file {}", path.display());
    let text = fs::read(path).with_context(unusable)?;
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let added = certificate
            .map_err(Error::from)
            .and_then(|it| Ok(roots.add(it)?));
        added.with_context(unusable)?;
    }
    let no_certificate = || anyhow!("it holds no certificate (-----BEGIN CERTIFICATE-----)");
    let found = (roots.len() > before).then_some(());
    found.ok_or_else(no_certificate).with_context(unusable)
}
