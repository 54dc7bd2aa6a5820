//! An https server whose certificate and faults a test chooses.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::http::{Request, read_request};

/// A host name that no resolver knows.
pub(crate) const HOST: &str = "api.example.test";

/// An https server for `localhost` and [`HOST`], under an authority of its own.
pub(crate) struct TlsServer {
    pub(crate) port: u16,
    pub(crate) authority: String,
    issuer: Issuer<'static, KeyPair>,
    config: Arc<Mutex<Arc<ServerConfig>>>,
}

/// What a server does to a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It ends it within the handshake.
    CutHandshake,
    /// It answers the handshake with something else.
    NoTls,
    /// It ends it within the answer, without a word.
    CutAnswer,
}

impl TlsServer {
    /// A server that answers each request so, after it has done this to as many connections.
    pub(crate) fn start(
        faults: &'static [Fault],
        answer: impl Fn(&Request) -> String + Send + 'static,
    ) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        // Two authorities of one name would differ in their signatures only.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = format!("authority of port {port}");
        ca.distinguished_name.push(DnType::CommonName, name);
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = ca.self_signed(&ca_key).unwrap().pem();
        let issuer = Issuer::new(ca, ca_key);
        let config = Arc::new(Mutex::new(config(&issuer, |_| ())));
        let presented = Arc::clone(&config);
        thread::spawn(move || {
            let mut faults = faults.iter();
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&presented.lock().unwrap());
                serve(stream, config, faults.next().copied(), &answer);
            }
        });
        Self {
            port,
            authority,
            issuer,
            config,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/v1", self.port)
    }

    /// From now on it presents a new certificate, with these changes.
    pub(crate) fn present(&self, change: impl FnOnce(&mut CertificateParams)) {
        *self.config.lock().unwrap() = config(&self.issuer, change);
    }
}

/// A certificate that ran out long ago.
pub(crate) fn expired(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 1, 2);
}

fn config(
    issuer: &Issuer<'_, KeyPair>,
    change: impl FnOnce(&mut CertificateParams),
) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), HOST.to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    change(&mut params);
    let certificate = params.signed_by(&key, issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    Arc::new(config)
}

/// One request of a connection, or what is done to it.
fn serve(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    fault: Option<Fault>,
    answer: &impl Fn(&Request) -> String,
) {
    // The beginning of the client's first message, so that it is an end and no refusal.
    let hello = |stream: &mut TcpStream| stream.read_exact(&mut [0; 16]);
    match fault {
        Some(Fault::CutHandshake) => return drop(hello(&mut stream)),
        Some(Fault::NoTls) => {
            let _ = hello(&mut stream);
            return drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        }
        Some(Fault::CutAnswer) | None => {}
    }
    let connection = ServerConnection::new(config).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    let Some(request) = read_request(&mut BufReader::new(&mut stream)) else {
        return;
    };
    let answer = answer(&request);
    if matches!(fault, Some(Fault::CutAnswer)) {
        let _ = stream.write_all(&answer.as_bytes()[..answer.len() - 20]);
        return drop(stream.flush());
    }
    let _ = stream.write_all(answer.as_bytes());
    stream.conn.send_close_notify();
    let _ = stream.flush();
}
