//! Whom the endpoints answer: on loopback, those who call them by a name of this machine.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, Version, header};

/// Why a request is turned away, and in which words.
pub(super) type Refusal = (StatusCode, &'static str);

/// Whether a request that came to `listening` may be answered.
///
/// # Errors
/// Why not.
pub(super) fn admit(
    listening: IpAddr,
    version: Version,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    if has_body(headers) {
        let told = "no endpoint takes a body";
        return Err((StatusCode::PAYLOAD_TOO_LARGE, told));
    }
    if !listening.to_canonical().is_loopback() {
        return Ok(());
    }
    let mut given = headers.get_all(header::HOST).iter();
    let host = match (given.next(), given.next()) {
        (None, _) if version < Version::HTTP_11 => None,
        (Some(host), None) => Some(host.as_bytes()),
        _ => return Err((StatusCode::BAD_REQUEST, "one Host header is needed")),
    };
    let ours = |name: &Authority| is_ours(name.host(), listening);
    let host_ours = host.is_none_or(|host| Authority::try_from(host).is_ok_and(|name| ours(&name)));
    if host_ours && uri.authority().is_none_or(ours) {
        Ok(())
    } else {
        let told = "the Host header names another machine than this one";
        Err((StatusCode::MISDIRECTED_REQUEST, told))
    }
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    length.is_some_and(|length| length != "0") || headers.contains_key(header::TRANSFER_ENCODING)
}

/// Whether a name, or an address in writing, is this machine's on its loopback.
fn is_ours(host: &str, listening: IpAddr) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match bare.unwrap_or(host).parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback() || address == listening,
        Err(_) => host
            .strip_suffix('.')
            .unwrap_or(host)
            .eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(listening: &str, host: &[&str], version: Version, uri: &str) -> u16 {
        let mut headers = HeaderMap::new();
        for host in host {
            headers.append(header::HOST, host.parse().unwrap());
        }
        let uri = uri.parse().unwrap();
        let admitted = admit(listening.parse().unwrap(), version, &uri, &headers);
        admitted.map_or_else(|(status, _)| status.as_u16(), |()| 200)
    }

    #[test]
    fn on_loopback_the_host_is_this_machine() {
        for (host, expected) in [
            ("localhost", 200),
            ("LocalHost:9464", 200),
            ("localhost.", 200),
            ("127.0.0.1:9464", 200),
            ("127.8.9.1", 200),
            ("[::1]:9464", 200),
            ("[::ffff:127.0.0.1]", 200),
            ("evil.example", 421),
            ("localhost.evil.example", 421),
            ("127.0.0.1.evil.example:9464", 421),
            ("192.168.0.7", 421),
            ("0.0.0.0", 421),
            ("[::]", 421),
            ("", 421),
            ("localhost@evil.example", 421),
            ("a b", 421),
        ] {
            let status = admitted("127.0.0.1", &[host], Version::HTTP_11, "/livez");
            assert_eq!(status, expected, "{host:?}");
        }
        let mapped = admitted("::ffff:127.0.0.1", &["evil.example"], Version::HTTP_11, "/");
        assert_eq!(mapped, 421);
        assert_eq!(admitted("127.0.0.1", &[], Version::HTTP_11, "/"), 400);
        assert_eq!(admitted("127.0.0.1", &[], Version::HTTP_10, "/"), 200);
        assert_eq!(
            admitted("::1", &["localhost", "b"], Version::HTTP_11, "/"),
            400
        );
        let target = "http://evil.example/livez";
        assert_eq!(
            admitted("::1", &["localhost"], Version::HTTP_11, target),
            421
        );
    }

    #[test]
    fn beyond_loopback_any_name_will_do() {
        for listening in ["0.0.0.0", "::", "192.168.0.7"] {
            let status = admitted(listening, &["pod.example"], Version::HTTP_11, "/");
            assert_eq!(status, 200, "{listening}");
        }
    }
}
