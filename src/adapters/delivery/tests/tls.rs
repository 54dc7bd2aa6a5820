//! Whom a sink trusts: those whom its network says, and those of the file as it is now.

use std::net::TcpListener;
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
async fn the_file_of_authorities_is_read_again_when_it_changes() {
    let (port, certificate) = start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.der");
    std::fs::write(&file, []).unwrap();
    let (of_tls, made) = (file.clone(), Arc::new(AtomicUsize::new(0)));
    let counting = Arc::clone(&made);
    let http_client = move |is_direct| {
        counting.fetch_add(1, Ordering::Relaxed);
        let mut roots = RootCertStore::empty();
        let der = std::fs::read(&of_tls).map_err(|error| error.to_string())?;
        if !der.is_empty() {
            roots
                .add(CertificateDer::from(der))
                .map_err(|error| error.to_string())?;
        }
        Ok(http_client(tls(roots), is_direct))
    };
    let network = Network::new(
        PlainHttp::LoopbackOnly,
        Some(file.clone()),
        Box::new(http_client),
        Box::new(str::to_owned),
    );
    let config = config(
        Kind::Webhook,
        &format!("url = 'https://localhost:{port}/s3cret'"),
    );
    let sink = Sink::new(config, None, &network).unwrap();
    for _ in 0..2 {
        let reason = unavailable(&sink).await;
        let start = format!("cannot connect to localhost:{port}: invalid peer certificate");
        assert!(reason.starts_with(&start), "{reason}");
        assert!(!reason.contains("s3cret"), "{reason}");
    }
    assert_eq!(made.load(Ordering::Relaxed), 1, "one client for both");
    std::fs::write(&file, &certificate).unwrap();
    for _ in 0..2 {
        assert_eq!(deliver(&sink, &event()).await, Ok(()));
    }
    assert_eq!(made.load(Ordering::Relaxed), 2);
    std::fs::remove_file(&file).unwrap();
    let reason = unavailable(&sink).await;
    assert!(reason.contains("ca.der: No such file"), "{reason}");
}
