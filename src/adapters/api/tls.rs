//! Whom we trust: the system's certificate roots, Mozilla's in their stead, and the user's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::error::ClientError;

/// TLS with the system's roots, or Mozilla's where there are none, and those in `ca_file`.
///
/// # Errors
/// When the certificates cannot be read.
pub(crate) fn config(ca_file: Option<&Path>) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        // A variable that was set on purpose must not be passed over in silence.
        if let Some(file) = env::var_os("SSL_CERT_FILE") {
            return Err(ClientError::NoRoots {
                variable: "SSL_CERT_FILE",
                path: PathBuf::from(file),
            });
        }
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    }
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    build(roots)
}

/// TLS that trusts nobody, for addresses that need none.
pub(super) fn config_without_roots() -> Result<ClientConfig, ClientError> {
    build(RootCertStore::empty())
}

fn build(roots: RootCertStore) -> Result<ClientConfig, ClientError> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(ClientError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), ClientError> {
    let unusable = |why: String| ClientError::CaFile {
        path: path.to_owned(),
        why,
    };
    let text = fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
    }
    if roots.len() == before {
        return Err(unusable(
            "it holds no certificate (-----BEGIN CERTIFICATE-----)".to_owned(),
        ));
    }
    Ok(())
}
