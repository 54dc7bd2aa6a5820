//! The proxy between us and the API, as the environment names it.

use std::{env, fmt};

use anyhow::{Result, ensure};
use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;

/// The variables that may name a proxy for https. Of each pair the HTTP client reads the first that is set,
/// and the second pair where the first says nothing.
const VARIABLES: [[&str; 2]; 2] = [["HTTPS_PROXY", "https_proxy"], ["ALL_PROXY", "all_proxy"]];
/// The variables that name the hosts to which no proxy is taken.
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// A proxy, and the environment variable that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    /// Host and port, without the user name and password that the variable may hold.
    address: String,
    variable: Option<&'static str>,
}

impl Proxy {
    /// The proxy that the HTTP client takes to this address, by the same rules.
    ///
    /// # Errors
    /// When a variable names one that the client cannot use: it would go there without any.
    pub(super) fn from_environment(url: &Url) -> Result<Option<Self>> {
        let Ok(url) = url.as_str().parse() else {
            return Ok(None);
        };
        let named = named_proxy();
        if let Some((variable, value)) = &named {
            // Its value may hold a password.
            ensure!(
                !leads_to("http://proxy", &url) || leads_to(value, &url),
                "{variable} names no proxy that can be used; write it as http://HOST:PORT, or unset it"
            );
        }
        let taken = Matcher::from_system().intercept(&url);
        let address = taken.and_then(|taken| Some(taken.uri().authority()?.to_string()));
        Ok(address.map(|address| Self {
            address,
            variable: named.map(|(variable, _)| variable),
        }))
    }
}

/// What names the proxy for https, and its value.
fn named_proxy() -> Option<(&'static str, String)> {
    let first_set = |names: [&'static str; 2]| {
        let mut set = names
            .into_iter()
            .filter_map(|name| Some((name, env::var_os(name)?.to_string_lossy().into_owned())));
        set.next().filter(|(_, value)| !value.is_empty())
    };
    VARIABLES.into_iter().find_map(first_set)
}

/// Whether the way to this address is through this proxy, were it the one that is named.
fn leads_to(proxy: &str, url: &Uri) -> bool {
    let exceptions = EXCEPTIONS.into_iter().find_map(|name| env::var(name).ok());
    let matcher = Matcher::builder()
        .https(proxy.to_owned())
        .no(exceptions.unwrap_or_default());
    matcher.build().intercept(url).is_some()
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
