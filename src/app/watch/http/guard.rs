//! Whom the endpoints answer: on loopback, those who call them by a name of this machine; with a token, those
//! who bear it. Probes, which cannot read a token from a file, are answered without: whether, and not why.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::header::{self, HeaderName};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, Version};
use axum::response::Response;

use super::Access;
use super::answer::error;
use super::lists::Trust;
use super::token::CHALLENGE;
use crate::core::fleet::PublicUrl;

/// What probes ask for.
const PROBED: [&str; 2] = ["/livez", "/readyz"];

/// Why a request is turned away, and in which words.
type Refusal = (StatusCode, &'static str);

/// What a proxy adds to a request that it passes on.
const FORWARDED: [&str; 3] = ["forwarded", "via", "x-real-ip"];
const FORWARDED_PREFIX: &str = "x-forwarded-";

/// Whether a request that came to `listening` may be answered, and how much it may do.
///
/// # Errors
/// The answer that turns it away.
pub(super) async fn admit(
    access: &Access,
    listening: IpAddr,
    request: &Parts,
) -> Result<Trust, Response> {
    let headers = &request.headers;
    let public = access.public_url.as_ref().map(PublicUrl::authority);
    let of_name = check_name(listening, public, request.version, &request.uri, headers);
    let of_name = of_name.map_err(|(status, why)| error(status, why))?;
    match (&access.token, of_name) {
        (Some(_), _) if is_bare_probe(request) => Ok(Trust::StatusOnly),
        (Some(token), _) if token.admits(headers).await => Ok(Trust::Full),
        (Some(_), _) => {
            let why =
                "the token of --http-token-file is needed, as a bearer token or as a password";
            let mut refused = error(StatusCode::UNAUTHORIZED, why);
            let challenge = HeaderValue::from_static(CHALLENGE);
            let headers = refused.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, challenge);
            Err(refused)
        }
        (None, of_name) => Ok(of_name),
    }
}

/// One who may do more than read what is known: fully trusted, and from the page itself or no browser.
pub(super) struct MayAct;

impl<S: Sync> FromRequestParts<S> for MayAct {
    type Rejection = Response;

    async fn from_request_parts(request: &mut Parts, _: &S) -> Result<Self, Response> {
        let why = match request.extensions.get() {
            Some(Trust::Full) if is_of_the_page(&request.headers) => return Ok(Self),
            Some(Trust::Full) => "only the page itself may ask for this",
            Some(Trust::ReadOnly | Trust::StatusOnly) | None => {
                "this is off beyond this machine; --http-token-file guards all endpoints, and turns it on"
            }
        };
        Err(error(StatusCode::FORBIDDEN, why))
    }
}

/// Whether a request comes from the page itself, or from no browser. Every browser says where it comes from;
/// older ones, and those over plain http, by the origin only.
fn is_of_the_page(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| {
        let value = headers.get(name)?;
        Some(value.to_str().unwrap_or_default())
    };
    let site = text(HeaderName::from_static("sec-fetch-site"));
    let origin = text(header::ORIGIN);
    let is_own = |origin: &str| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_some() && host == text(header::HOST)
    };
    site.is_none_or(|site| site == "same-origin") && origin.is_none_or(is_own)
}

/// Whether this is a probe without a token; a token that is wrong is refused there as well.
fn is_bare_probe(request: &Parts) -> bool {
    PROBED.contains(&request.uri.path()) && !request.headers.contains_key(header::AUTHORIZATION)
}

/// How much a request may do by the name that it came by: this machine's, on its loopback and from nobody
/// whom a proxy speaks for, or the public one, or any where it listens beyond loopback.
fn check_name(
    listening: IpAddr,
    public: Option<&str>,
    version: Version,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Trust, Refusal> {
    if has_body(headers) {
        let why = "no endpoint takes a body";
        return Err((StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    if !listening.to_canonical().is_loopback() {
        return Ok(Trust::ReadOnly);
    }
    let mut given = headers.get_all(header::HOST).iter();
    let host = match (given.next(), given.next()) {
        (None, _) if version < Version::HTTP_11 => None,
        (Some(host), None) => Some(host.as_bytes()),
        _ => return Err((StatusCode::BAD_REQUEST, "one Host header is needed")),
    };
    let of = |name: &Authority| {
        if is_ours(name.host(), listening) {
            Some(Trust::Full)
        } else {
            let is_public = public.is_some_and(|public| name.as_str().eq_ignore_ascii_case(public));
            is_public.then_some(Trust::ReadOnly)
        }
    };
    let host = match host {
        Some(host) => Authority::try_from(host).ok().and_then(|name| of(&name)),
        None => Some(Trust::Full),
    };
    let target = uri.authority().map_or(host, of);
    if let (Some(host), Some(target)) = (host, target)
        && host == target
    {
        return Ok(if is_forwarded(headers) {
            Trust::ReadOnly
        } else {
            host
        });
    }
    let why = "the Host header names another machine than this one; --public-url names it as well";
    Err((StatusCode::MISDIRECTED_REQUEST, why))
}

/// Whether a proxy passes it on: it may have made the name a local one.
fn is_forwarded(headers: &HeaderMap) -> bool {
    let mut names = headers.keys().map(HeaderName::as_str);
    names.any(|name| FORWARDED.contains(&name) || name.starts_with(FORWARDED_PREFIX))
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
        let (listening, public) = (listening.parse().unwrap(), Some("rollouts.example.com"));
        let admitted = check_name(listening, public, version, &uri, &headers);
        admitted.map_or_else(
            |(status, _)| status.as_u16(),
            |name| if name == Trust::Full { 200 } else { 203 },
        )
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
            ("Rollouts.example.com", 203),
            ("rollouts.example.com:1", 421),
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
    fn who_comes_through_a_proxy_is_not_local() {
        for name in [
            "Forwarded",
            "X-Forwarded-For",
            "x-forwarded-proto",
            "Via",
            "X-Real-IP",
        ] {
            let name = header::HeaderName::from_bytes(name.as_bytes()).unwrap();
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:9464".parse().unwrap());
            headers.insert(&name, "203.0.113.7".parse().unwrap());
            let (listening, uri) = ("127.0.0.1".parse().unwrap(), "/".parse().unwrap());
            let admitted = check_name(listening, None, Version::HTTP_11, &uri, &headers);
            assert_eq!(admitted, Ok(Trust::ReadOnly), "{name}");
        }
    }

    #[test]
    fn beyond_loopback_any_name_will_do() {
        for listening in ["0.0.0.0", "::", "192.168.0.7"] {
            let status = admitted(listening, &["pod.example"], Version::HTTP_11, "/");
            assert_eq!(status, 203, "{listening}");
        }
    }

    #[test]
    fn only_the_page_itself_does_more_than_read() {
        for (site, origin, may) in [
            (Some("same-origin"), Some("http://localhost:9464"), true),
            (None, Some("http://localhost:9464"), true),
            (None, None, true),
            (Some("cross-site"), None, false),
            (Some("same-site"), Some("http://localhost:9464"), false),
            (Some("none"), None, false),
            (Some("same-origin"), Some("http://evil.example"), false),
            (None, Some("http://localhost:9465"), false),
            (None, Some("null"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "localhost:9464".parse().unwrap());
            for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            assert_eq!(is_of_the_page(&headers), may, "{site:?} {origin:?}");
        }
    }
}
