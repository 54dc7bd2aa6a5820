//! Whom we trust, and the way through a proxy.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;

use rcgen::CertificateParams;

use crate::harness::{KEY, Test};
use crate::server::{agent, read_head};
use crate::tls_server::{Fault, HOST, TlsServer, expired};

const READY: &str = "my-agent: ready after TIME, deployment new\n";
const NEXT: &str =
    "  next        if a CA of your own signed the certificate, name its file: --ca-file";

/// A server whose certificate has these changes, and which tells of an agent that is ready.
fn presenting(change: impl FnOnce(&mut CertificateParams)) -> TlsServer {
    let server = TlsServer::start(&[], |_| agent(true));
    server.present(change);
    server
}

#[test]
fn an_authority_is_trusted_that_the_user_names() {
    let server = presenting(|_| ());
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
            .file("ca.pem", presenting(|_| ()).authority)
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
        &presenting(|_| ()),
        "invalid peer certificate: UnknownIssuer",
    );
    let expired = presenting(expired);
    let left = Test::against(&expired.url(), "wait my-agent --progress none --ca-file ca.pem")
        .file("ca.pem", &expired.authority)
        .status(5)
        .stdout_starts("my-agent: unavailable after TIME: the server's certificate is not trusted: invalid peer certificate: certificate expired")
        .run();
    assert!(left.stdout.ends_with('\n'));
    let for_another = presenting(|params| {
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
fn what_breaks_within_tls_is_tried_again() {
    let faults = &[Fault::CutHandshake, Fault::NoTls, Fault::CutAnswer];
    let server = TlsServer::start(faults, |_| agent(true));
    let left = Test::against(&server.url(), "wait my-agent --ca-file ca.pem")
        .file("ca.pem", &server.authority)
        .stdout(READY)
        .stderr_any()
        .run();
    let failed: Vec<&str> = left
        .stderr
        .lines()
        .filter(|line| line.contains("poll failed"))
        .collect();
    let [handshake, other, answer] = failed[..] else {
        panic!("{}", left.stderr);
    };
    assert!(
        handshake.contains("cannot connect to localhost"),
        "{handshake}"
    );
    assert!(other.contains("corrupt message"), "{other}");
    assert!(answer.contains("the answer was cut short"), "{answer}");
}

#[test]
fn a_machine_without_ca_files_trusts_mozilla_s_roots() {
    let server = presenting(|_| ());
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
    let server = presenting(|_| ());
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
    let server = presenting(|_| ());
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
