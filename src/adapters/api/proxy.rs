//! The proxy between us and the API, as the environment names it.

use std::{env, fmt};

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;

/// The variables that may name a proxy for https, in the order in which the HTTP client reads them.
const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// A proxy, and the environment variable that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    /// Host and port, without the user name and password that the variable may hold.
    address: String,
    variable: Option<&'static str>,
}

impl Proxy {
    /// The proxy that the HTTP client takes to this address, by the same rules.
    pub(super) fn from_environment(url: &Url) -> Option<Self> {
        let url: Uri = url.as_str().parse().ok()?;
        let intercept = Matcher::from_system().intercept(&url)?;
        let address = intercept.uri().authority()?.to_string();
        let names_it =
            |variable: &&str| env::var(variable).is_ok_and(|value| value.contains(&address));
        Some(Self {
            variable: VARIABLES.into_iter().find(names_it),
            address,
        })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {}", self.address)?;
        match self.variable {
            Some(variable) => write!(f, " ({variable})"),
            None => Ok(()),
        }
    }
}
