//! Values of keys that can be typed and filed: both are read by the same parser.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use toml::Value;

use super::duration;
use crate::core::fleet::{InvalidPublicUrl, PublicUrl};

/// A duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

/// A duration that is longer than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PositiveTime(pub(crate) Duration);

/// How many requests a second there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MaxRps(pub(crate) NonZeroU32);

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listen {
    /// At this address.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

/// Where people reach the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicAddress(pub(crate) PublicUrl);

/// Reads a list of texts; a text alone is a list of one.
pub(crate) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a list of texts is due, like [\"a\", \"b\"]")]
    enum Form {
        One(String),
        List(Vec<String>),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::One(text) => vec![text],
        Form::List(texts) => texts,
    })
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        duration::parse(text).map(Self)
    }
}

impl FromStr for PositiveTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match duration::parse(text)? {
            Duration::ZERO => Err("it must be longer than zero".to_owned()),
            duration => Ok(Self(duration)),
        }
    }
}

impl FromStr for PublicAddress {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl FromStr for MaxRps {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.parse().map(Self);
        number.map_err(|_| "it is a whole number of requests a second, at least 1")
    }
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORMS: &str = "it is an address and a port, like 127.0.0.1:9464, localhost:9464 or :9464 \
                             (on every address of this machine), or off";
        if text == "off" {
            return Ok(Self::Off);
        }
        let with_port = |host: Ipv4Addr, port: &str| {
            // A sign is none of a port.
            let port = port.parse().ok().filter(|_| !port.starts_with('+'))?;
            Some(SocketAddr::from((host, port)))
        };
        let address = match text.split_once(':') {
            Some(("", port)) => with_port(Ipv4Addr::UNSPECIFIED, port),
            Some(("localhost", port)) => with_port(Ipv4Addr::LOCALHOST, port),
            _ => text.parse().ok(),
        };
        address.map(Self::At).ok_or(FORMS)
    }
}

/// Has the configuration file read values as the switches do.
macro_rules! filed_as_typed {
    ($($value:ty),*) => {$(
        impl<'de> Deserialize<'de> for $value {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

filed_as_typed!(Time, PositiveTime, MaxRps, Listen, PublicAddress);

/// A single value as it would be typed.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(bool) => Ok(bool.to_string()),
        _ => Err(de::Error::custom("a single text or number is due")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_at_may_be_short() {
        let at = |text: &str| text.parse::<Listen>();
        for (text, address) in [
            ("127.0.0.1:9464", "127.0.0.1:9464"),
            ("localhost:9464", "127.0.0.1:9464"),
            (":9464", "0.0.0.0:9464"),
            ("[::1]:0", "[::1]:0"),
        ] {
            assert_eq!(at(text), Ok(Listen::At(address.parse().unwrap())), "{text}");
        }
        assert_eq!(at("off"), Ok(Listen::Off));
        for text in [
            "",
            ":",
            "9464",
            "localhost",
            "localhost:",
            ":x",
            ":70000",
            ":+1",
            "host:1",
        ] {
            assert!(at(text).is_err(), "{text}");
        }
    }
}
