//! HTTP as we speak it: no redirects, nothing sent twice; and whom it trusts: the system's certificate authorities, or
//! Mozilla's without them, and the user's own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, Error, Result, anyhow, bail};
use reqwest::{Client, ClientBuilder, redirect, retry};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::core::text::loopback::{self, LOCALHOST};

/// How long a connection may take to be made.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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

/// A client in the making. One that is direct takes no proxy, and no resolver decides where this machine is.
pub(crate) fn http_client(tls: ClientConfig, is_direct: bool) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("pipecat-rollout/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        // Every attempt is counted and paced by the caller.
        .retry(retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .tls_backend_preconfigured(tls);
    if is_direct {
        builder
            .no_proxy()
            .resolve_to_addrs(LOCALHOST, &loopback::ADDRESSES)
    } else {
        builder
    }
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
