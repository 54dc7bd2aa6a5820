//! Values of keys that can be typed and filed: both are read by the same parser.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Arg;
use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use serde::{Deserialize, Deserializer, Serialize, de};
use strum::VariantNames;
use toml::Value;

use crate::adapters::output::Style;
use crate::adapters::simulator::Scenario;
use crate::core::text::parse_duration;

/// A duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Time(pub(crate) Duration);

/// A duration that is longer than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct PositiveTime(pub(crate) Duration);

/// How many requests a second there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct MaxRps(pub(crate) NonZeroU32);

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Listen {
    /// At this address.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

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

/// Reads a path.
pub(crate) fn path<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    if path.as_os_str().is_empty() {
        return Err(de::Error::custom("it is empty; a path is due"));
    }
    Ok(Some(path))
}

/// Reads a duration that is longer than zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("it must be longer than zero".to_owned()),
        duration => Ok(duration),
    }
}

pub(super) fn at_least_one(text: &str) -> Result<NonZeroU32, &'static str> {
    let number = text.parse();
    number.map_err(|_| "it must be a whole number, at least 1")
}

/// Reads how many lines of a log to show.
pub(super) fn log_lines(text: &str) -> Result<usize, &'static str> {
    let lines = text.parse().ok().filter(|lines| *lines <= 1000);
    lines.ok_or("it must be a whole number from 0 to 1000; 0 is none")
}

/// Reads what the variable of a switch says.
pub(super) fn switch(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err("it must be true or false"),
    }
}

/// Reads an address on this machine.
pub(super) fn local_address(text: &str) -> Result<SocketAddr, String> {
    const FORMS: &str = "it is an address of this machine and a port, like 127.0.0.1:8080 or localhost:8080; \
                         port 0 picks a free one";
    address(text, FORMS)
}

/// Reads the word of an enum.
pub(super) fn words<T>() -> impl TypedValueParser<Value = T>
where
    T: FromStr + VariantNames + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(T::VARIANTS).try_map(|word| word.parse().map_err(|_| "it is unknown"))
}

/// The style of the progress; none where it is chosen by the place.
pub(crate) type StyleOrAuto = Option<Style>;

/// Reads a style, or `auto`.
pub(super) fn style_or_auto() -> impl TypedValueParser<Value = StyleOrAuto> {
    let words = ["auto"].into_iter().chain(Style::VARIANTS.iter().copied());
    PossibleValuesParser::new(words).map(|word| word.parse().ok())
}

/// Reads the name of a scenario, or the path of one; a shell completes the names.
#[derive(Clone)]
pub(super) struct AnyScenario;

impl TypedValueParser for AnyScenario {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Scenario::built_in_names().map(PossibleValue::new)))
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_duration(text).map(Self)
    }
}

impl FromStr for PositiveTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        positive_duration(text).map(Self)
    }
}

impl FromStr for MaxRps {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        at_least_one(text).map(Self)
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORMS: &str = "it is an address and a port, like 127.0.0.1:9464, localhost:9464 or :9464 \
                             (on every address of this machine), or off";
        if text == "off" {
            return Ok(Self::Off);
        }
        address(text, FORMS).map(Self::At)
    }
}

/// An address and a port; the address may be left out, or be `localhost`. `forms` says what can be written.
fn address(text: &str, forms: &str) -> Result<SocketAddr, String> {
    let (host, port) = text.rsplit_once(':').ok_or(forms)?;
    if port.is_empty() || !port.chars().all(|char| char.is_ascii_digit()) {
        return Err(forms.to_owned());
    }
    let port: u16 = port.parse().map_err(|_| "65535 is the highest port")?;
    let host: IpAddr = match host {
        "" => Ipv4Addr::UNSPECIFIED.into(),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        // As an address it has brackets where it needs them.
        _ => match format!("{host}:0").parse::<SocketAddr>() {
            Ok(address) => address.ip(),
            Err(_) => return Err(format!("no host but localhost has a name here: {forms}")),
        },
    };
    Ok(SocketAddr::from((host, port)))
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

filed_as_typed!(Time, PositiveTime, MaxRps, Listen);

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
        assert_eq!(at(":70000").unwrap_err(), "65535 is the highest port");
        let named = at("host:1").unwrap_err();
        assert!(
            named.starts_with("no host but localhost has a name here: "),
            "{named}"
        );
    }
}
