//! Whom we trust, and the way through a proxy.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use rcgen::CertificateParams;

use crate::harness::Test;
use crate::server::{agent, play};
use crate::support::KEY;
use crate::support::http::{Request, read_request};
use crate::support::tls::{Fault, HOST, TlsServer, expired};

const READY: &str = "my-agent: ready after TIME, deployment new\n";
const NEXT: &str =
    "  next        if a CA of your own signed the certificate, name its file: --ca-file";

/// A server whose certificate has these changes, and which has an agent that is ready.
fn presenting(change: impl FnOnce(&mut CertificateParams)) -> TlsServer {
    let server = TlsServer::start(&[], |_| agent(true));
    server.present(change);
    server
}

/// What is reported of a server whose authority is not trusted.
fn unknown(server: &TlsServer) -> String {
    format!(
        "the certificate of localhost:{} is not trusted: its issuer is unknown; if that is an \
         authority of your own, give its certificate with --ca-file",
        server.port
    )
}

#[test]
fn trusts_an_authority_that_the_user_names() {
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
fn an_untrusted_certificate_ends_the_watch_once_confirmed() {
    let server = presenting(|_| ());
    let left = Test::against(&server.url(), "wait my-agent --ca-file ca.pem")
        .file("ca.pem", presenting(|_| ()).authority)
        .status(5)
        .stdout_starts(&format!(
            "my-agent: unavailable after TIME: {} (",
            unknown(&server)
        ))
        .stderr_lines(NEXT)
        .run();
    assert_eq!(
        left.stderr.matches("poll failed").count(),
        1,
        "{}",
        left.stderr
    );
}

#[test]
fn a_certificate_says_why_it_is_not_trusted() {
    let check = |server: &TlsServer| {
        Test::against(
            &server.url(),
            "status my-agent --progress none --ca-file ca.pem",
        )
        .file("ca.pem", &server.authority)
        .status(5)
    };
    let says = |server: &TlsServer, why: &str| {
        format!(
            "my-agent: unavailable: the certificate of localhost:{} {why}",
            server.port
        )
    };
    let server = presenting(expired);
    check(&server)
        .stdout_starts(&says(&server, "expired on 2020-01-02; it is 2"))
        .run();
    let server = presenting(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName(
            "elsewhere.test".try_into().unwrap(),
        )];
    });
    check(&server)
        .stdout(&says(&server, "is for another host name: elsewhere.test\n"))
        .run();
    let server = presenting(|params| {
        params.not_before = rcgen::date_time_ymd(4000, 1, 1);
        params.not_after = rcgen::date_time_ymd(4000, 1, 2);
    });
    check(&server)
        .stdout(&says(
            &server,
            "is not valid yet; check this machine's clock\n",
        ))
        .run();
}

#[test]
fn retries_after_a_fault_within_tls() {
    let cases: [(&[Fault], [&str; 2]); 3] = [
        (&[Fault::CutHandshake], ["cannot connect to localhost:", ""]),
        (&[Fault::NoTls], ["localhost:", " does not speak TLS"]),
        (&[Fault::CutAnswer], ["the answer was cut short", ""]),
    ];
    for (faults, [reason, details]) in cases {
        let server = TlsServer::start(faults, |_| agent(true));
        let left = Test::against(&server.url(), "wait my-agent --ca-file ca.pem")
            .file("ca.pem", &server.authority)
            .stdout(READY)
            .stderr_any()
            .run();
        let failed = left.stderr.lines().next().unwrap();
        let reason = format!("my-agent: poll failed: {reason}");
        assert!(
            failed.contains(&reason) && failed.contains(details),
            "{failed}"
        );
        assert!(
            left.stderr.contains("after 1 failed poll in"),
            "{}",
            left.stderr
        );
    }
}

#[test]
fn a_machine_without_ca_files_trusts_mozilla_s_roots() {
    let server = presenting(|_| ());
    let test = Test::against(&server.url(), "status my-agent --progress none");
    let folder = test.folder();
    test.env("SSL_CERT_DIR", folder)
        .status(5)
        .stdout(&format!("my-agent: unavailable: {}\n", unknown(&server)))
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

/// A proxy with a tunnel for one connection to this server: its address, and what it was asked.
fn tunnel_to(server: &TlsServer) -> (String, JoinHandle<Request>) {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let to = server.port;
    let tunnel = thread::spawn(move || {
        let (client, _) = proxy.accept().unwrap();
        let request = read_request(&mut BufReader::new(&client)).unwrap();
        let upstream = TcpStream::connect(("127.0.0.1", to)).unwrap();
        (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let (mut from, mut into) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut into));
        let _ = std::io::copy(&mut &upstream, &mut &client);
        request
    });
    (address, tunnel)
}

#[test]
fn https_goes_through_the_proxy_and_the_proxy_sees_no_key() {
    let server = presenting(|_| ());
    let (proxy, tunnel) = tunnel_to(&server);
    Test::against(
        &format!("https://{HOST}/v1"),
        "wait my-agent --progress none --ca-file ca.pem",
    )
    .file("ca.pem", &server.authority)
    .env("HTTPS_PROXY", proxy)
    .stdout(READY)
    .run();
    let request = tunnel.join().unwrap();
    assert_eq!(request.line(), format!("CONNECT {HOST}:443"));
    assert!(!format!("{request:?}").contains(KEY), "{request:?}");
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

/// One check of an API behind a proxy, which this variable names.
fn check_through(variable: &str, value: &str) -> Test {
    Test::against(
        &format!("https://{HOST}/v1"),
        "status my-agent --progress none",
    )
    .env(variable, value)
    .status(5)
}

#[test]
fn a_dead_proxy_is_named_and_the_variable_that_set_it() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        for value in [
            format!("http://{closed}"),
            closed.to_string(),
            format!("http://user:hunter2@{closed}/"),
        ] {
            check_through(variable, &value)
                .stdout(&format!(
                    "my-agent: unavailable: cannot reach the proxy 127.0.0.1:PORT ({variable}): Connection refused (os error 111)\n"
                ))
                .run();
        }
    }
    let value = format!("socks5://{closed}");
    check_through("ALL_PROXY", &value)
        .stdout("my-agent: unavailable: cannot reach the proxy 127.0.0.1:PORT (ALL_PROXY): unsupported scheme socks5\n")
        .run();
    // An address of its own is not blamed on a proxy that is not taken.
    Test::against(
        &format!("https://{closed}/v1"),
        "status my-agent --progress none",
    )
    .env("HTTPS_PROXY", "http://127.0.0.1:9")
    .env("NO_PROXY", "127.0.0.1")
    .status(5)
    .stdout("my-agent: unavailable: cannot connect to 127.0.0.1:PORT: Connection refused (os error 111)\n")
    .run();
}

#[test]
fn a_proxy_that_opens_no_tunnel_is_named() {
    for (answered, words) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "opens no tunnel to api.example.test: proxy authorization required",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\n\r\n",
            "refuses a tunnel to api.example.test",
        ),
        (
            "",
            "opens no tunnel to api.example.test: unexpected end of file",
        ),
    ] {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let value = format!("http://{}", proxy.local_addr().unwrap());
        thread::spawn(move || {
            let (client, _) = proxy.accept().unwrap();
            let _ = read_request(&mut BufReader::new(&client));
            (&client).write_all(answered.as_bytes()).unwrap();
        });
        check_through("HTTPS_PROXY", &value)
            .stdout(&format!(
                "my-agent: unavailable: the proxy 127.0.0.1:PORT (HTTPS_PROXY) {words}\n"
            ))
            .run();
    }
}

#[test]
fn a_certificate_behind_a_proxy_names_the_proxy() {
    // As one that inspects TLS presents it.
    let server = presenting(|_| ());
    let (proxy, _tunnel) = tunnel_to(&server);
    check_through("HTTPS_PROXY", &proxy)
        .stdout("my-agent: unavailable: the certificate of api.example.test through the proxy 127.0.0.1:PORT (HTTPS_PROXY) is not trusted: its issuer is unknown; if that is an authority of your own, give its certificate with --ca-file\n")
        .run();
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_and_not_passed_over() {
    let server = presenting(|_| ());
    for (variable, value) in [
        ("HTTPS_PROXY", "not a proxy"),
        ("https_proxy", "ftp://127.0.0.1:1"),
        ("ALL_PROXY", "http://"),
        ("all_proxy", "http://user:hunter2@"),
    ] {
        let check = || {
            Test::against(
                &server.url(),
                "status my-agent --progress none --ca-file ca.pem",
            )
            .file("ca.pem", &server.authority)
            .env(variable, value)
        };
        check()
            .status(2)
            .stderr(&format!(
                "error: {variable} names no proxy that can be used; write it as http://HOST:PORT, or unset it\n"
            ))
            .run();
        check().env("NO_PROXY", "localhost").stdout_any().run();
    }
    // One that is not read does no harm.
    Test::against(
        &format!("https://{HOST}/v1"),
        "wait my-agent --progress none --ca-file ca.pem",
    )
    .file("ca.pem", &server.authority)
    .env("HTTPS_PROXY", tunnel_to(&server).0)
    .env("ALL_PROXY", "not a proxy")
    .stdout(READY)
    .run();
}

#[test]
fn a_ca_file_is_read_also_where_no_certificate_is_checked() {
    let server = play(vec![agent(true)]);
    Test::against(&server.url(), "status my-agent --ca-file missing.pem")
        .status(2)
        .stderr(
            "error: cannot use the CA file missing.pem: No such file or directory (os error 2)\n",
        )
        .run();
}

#[test]
fn a_port_that_does_not_speak_tls_is_named() {
    let server = TlsServer::start(&[Fault::NoTls; 20], |_| agent(true));
    let left = Test::against(&server.url(), "wait my-agent --outage-timeout 1s")
        .status(5)
        .stdout_any()
        .stderr_lines("  next        check the scheme and the port of --api-url, and the proxy")
        .run();
    let reason = format!(
        "localhost:{} does not speak TLS; is that a port for plain http?",
        server.port
    );
    assert!(left.stderr.contains(&reason), "{}", left.stderr);
}
