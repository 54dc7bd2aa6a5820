//! Hosts of URLs, and which of them is this machine by its very name, without asking a resolver.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::Url;

/// The name that is this machine.
pub(crate) const LOCALHOST: &str = "localhost";
/// Where [`LOCALHOST`] is, whatever a resolver says (RFC 6761, section 6.3). A port of 0 is any.
pub(crate) const ADDRESSES: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
];

/// Whether plain http may leave this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlainHttp {
    /// Only to loopback.
    LoopbackOnly,
    /// To anywhere, for all on the way to read.
    Anywhere,
}

impl PlainHttp {
    /// As the switch `--allow-insecure-http` says.
    pub(crate) fn new(is_allowed: bool) -> Self {
        if is_allowed {
            Self::Anywhere
        } else {
            Self::LoopbackOnly
        }
    }
}

/// Host and port of a URL, which may be shown.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Whether the host of a URL is this machine.
#[must_use]
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == LOCALHOST || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
