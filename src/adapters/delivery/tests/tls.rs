//! Whom a sink trusts: those whom its maker says.

use std::net::TcpListener;
use std::sync::Arc;
use std::{io, thread};

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

/// An https receiver on this port, and its certificate.
fn start() -> (u16, CertificateDer<'static>) {
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = pair.cert.der().clone();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.clone()],
            PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der()).into(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::new(config.clone())).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            let mut first = [0];
            if io::Read::read(&mut stream, &mut first).is_ok_and(|read| read == 1) {
                let answer = receiver::answer("200 OK", "", "");
                let _ = io::Write::write_all(&mut stream, answer.as_bytes());
                // Until the client hangs up: a reset might outrun the answer.
                let _ = io::copy(&mut stream, &mut io::sink());
            }
        }
    });
    (port, certificate)
}

#[tokio::test]
async fn https_needs_a_certificate_that_is_trusted() {
    let (port, certificate) = start();
    let settings = webhook(&format!("https://localhost:{port}/s3cret"));
    let told = why(&sink(settings.clone())).await;
    let start = format!("cannot connect to localhost:{port}: invalid peer certificate");
    assert!(told.starts_with(&start), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let sink = Sink::new(settings, &tls(roots), PlainText::LoopbackOnly).unwrap();
    assert_eq!(deliver(&sink, &notice()).await, Ok(()));
}
