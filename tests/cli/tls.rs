//! Whom we trust, and the way through a proxy.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rcgen::{CertificateParams, CertifiedKey, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::harness::{KEY, Test};
use crate::server::{agent, read_head};

/// A host name that no resolver knows.
const HOST: &str = "api.example.test";
const READY: &str = "my-agent: ready after TIME, deployment new\n";
const NEXT: &str =
    "  next        look at the API's state, then ask again: pipecat-rollout status my-agent";

/// An https server for `localhost` and [`HOST`], under an authority of its own.
struct TlsServer {
    port: u16,
    authority: String,
}

impl TlsServer {
    fn start(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        // Two authorities of one name would be told apart by their signatures only.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = format!("authority of port {port}");
        ca.distinguished_name.push(rcgen::DnType::CommonName, name);
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = ca.self_signed(&ca_key).unwrap().pem();
        let issuer = Issuer::new(ca, ca_key);

        let signing_key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), HOST.to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let cert = params.signed_by(&signing_key, &issuer).unwrap();
        let pair = CertifiedKey { cert, signing_key };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![pair.cert.der().clone()],
                PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der()).into(),
            )
            .unwrap();
        let config = Arc::new(config);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream);
                if read_head(&mut stream).is_some() {
                    let _ = stream.write_all(agent(true).as_bytes());
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            }
        });
        Self { port, authority }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/v1", self.port)
    }
}

#[test]
fn an_authority_is_trusted_that_the_user_names() {
    let server = TlsServer::start(|_| ());
    Test::against(
        &server.url(),
        "wait my-agent --progress none --ca-file ca.pem",
    )
    .file("ca.pem", &server.authority)
    .stdout(READY)
    .run();
    Test::against(&server.url(), "wait my-agent --progress none")
        .file("ca.pem", &server.authority)
        .env("SSL_CERT_FILE", "ca.pem")
        .stdout(READY)
        .run();
}

#[test]
fn an_untrusted_certificate_ends_the_watch_at_once() {
    let untrusted = |server: &TlsServer, why: &str| {
        let left = Test::against(&server.url(), "wait my-agent --ca-file ca.pem")
            .file("ca.pem", TlsServer::start(|_| ()).authority)
            .status(5)
            .stdout_starts(&format!(
                "my-agent: unavailable after TIME: the server's certificate is not trusted: {why}"
            ))
            .stderr_lines(NEXT)
            .run();
        assert_eq!(
            left.stderr.matches("poll failed").count(),
            1,
            "{}",
            left.stderr
        );
    };
    untrusted(
        &TlsServer::start(|_| ()),
        "invalid peer certificate: UnknownIssuer",
    );
    let expired = TlsServer::start(|params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 2);
    });
    let left = Test::against(&expired.url(), "wait my-agent --progress none --ca-file ca.pem")
        .file("ca.pem", &expired.authority)
        .status(5)
        .stdout_starts("my-agent: unavailable after TIME: the server's certificate is not trusted: invalid peer certificate: certificate expired")
        .run();
    assert!(left.stdout.ends_with('\n'));
    let for_another = TlsServer::start(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName(
            "elsewhere.test".try_into().unwrap(),
        )];
    });
    Test::against(&for_another.url(), "wait my-agent --progress none --ca-file ca.pem")
        .file("ca.pem", &for_another.authority)
        .status(5)
        .stdout_starts("my-agent: unavailable after TIME: the server's certificate is not trusted: invalid peer certificate: certificate not valid for name \"localhost\"")
        .run();
}

#[test]
fn a_machine_without_ca_files_trusts_mozilla_s_roots() {
    let server = TlsServer::start(|_| ());
    let test = Test::against(&server.url(), "wait my-agent --progress none");
    let folder = test.folder();
    test.env("SSL_CERT_DIR", folder)
        .status(5)
        .stdout_starts("my-agent: unavailable after TIME: the server's certificate is not trusted: invalid peer certificate: UnknownIssuer")
        .run();
}

#[test]
fn unusable_authorities_are_a_usage_error() {
    let bad = |test: Test, line: &str| test.status(2).stderr(&format!("error: {line}\n")).run();
    let test = |arguments| Test::against("https://localhost:9/v1", arguments);
    bad(
        test("wait my-agent --ca-file missing.pem"),
        "cannot use the CA file missing.pem: No such file or directory (os error 2)",
    );
    bad(
        test("wait my-agent --ca-file ca.pem").file("ca.pem", "not a certificate"),
        "cannot use the CA file ca.pem: it holds no certificate (-----BEGIN CERTIFICATE-----)",
    );
    bad(
        test("wait my-agent").env("SSL_CERT_FILE", "/missing.pem"),
        "SSL_CERT_FILE names /missing.pem, which holds no readable certificate",
    );
}

#[test]
fn https_goes_through_the_proxy_and_the_proxy_sees_no_key() {
    let server = TlsServer::start(|_| ());
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap();
    let to = server.port;
    let tunnel = thread::spawn(move || {
        let (client, _) = proxy.accept().unwrap();
        let head = read_head(&client).unwrap();
        let upstream = TcpStream::connect(("127.0.0.1", to)).unwrap();
        (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let (mut from, mut into) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut into));
        let _ = std::io::copy(&mut &upstream, &mut &client);
        head
    });
    Test::against(
        &format!("https://{HOST}/v1"),
        "wait my-agent --progress none --ca-file ca.pem",
    )
    .file("ca.pem", &server.authority)
    .env("HTTPS_PROXY", format!("http://{address}"))
    .stdout(READY)
    .run();
    let head = tunnel.join().unwrap();
    assert!(
        head.starts_with(&format!("CONNECT {HOST}:443 HTTP/1.1\r\n")),
        "{head}"
    );
    assert!(!head.contains(KEY), "{head}");
}

#[test]
fn no_proxy_is_a_way_around_the_proxy() {
    let server = TlsServer::start(|_| ());
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    Test::against(
        &server.url(),
        "wait my-agent --progress none --ca-file ca.pem",
    )
    .file("ca.pem", &server.authority)
    .env(
        "HTTPS_PROXY",
        format!("http://{}", proxy.local_addr().unwrap()),
    )
    .env("NO_PROXY", "localhost")
    .stdout(READY)
    .run();
    proxy.set_nonblocking(true).unwrap();
    assert!(proxy.accept().is_err(), "the proxy was asked");
}
