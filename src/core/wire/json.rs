//! Reads JSON leniently: a field of the wrong type is as if it were missing.
//!
//! Values stay text until somebody asks for them. So deep nesting, or a number that no type holds,
//! spoils nothing in a field that nobody reads, and none of it takes any stack.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Error, Number, Result};

use super::repair_json::repair_json;

/// At most so many items are kept of a list.
const MAX_ITEMS: usize = 1000;
/// Every integer up to this is exact as a floating-point number (2^53).
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a body; one that is no object is read as an object without fields.
///
/// # Errors
/// When it is not JSON, or an object that is read has a field twice: it contradicts itself.
pub(super) fn parse<T>(body: &[u8], read: impl FnOnce(&Object<'_>) -> Result<T>) -> Result<T> {
    let json = repair_json(body);
    if json.trim_start().starts_with('{') {
        return read(&serde_json::from_str(&json)?);
    }
    let IgnoredAny = serde_json::from_str(&json)?;
    read(&Object::default())
}

/// What is read of an object.
pub(super) trait Record: Sized {
    fn read(object: &Object<'_>) -> Result<Self>;
}

/// The text that a value is, if it says something: an empty one is as if it were missing.
pub(super) fn text(value: &RawValue) -> Option<String> {
    let text: String = serde_json::from_str(value.get()).ok()?;
    Some(text).filter(|text| !text.trim().is_empty())
}

/// The fields of an object.
#[derive(Default)]
pub(super) struct Object<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

/// A text, which is a part of the body where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Object<'a> {
    /// The object that a value is. One without fields is none: some writers leave `{}` for what is
    /// gone.
    pub(super) fn of(value: &'a RawValue) -> Result<Option<Self>> {
        if !is_object(value) {
            return Ok(None);
        }
        let object: Self = serde_json::from_str(value.get())?;
        Ok(Some(object).filter(|object| !object.0.is_empty()))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        text(self.0.get(key)?)
    }

    /// The id of a deployment, in lower case: a UUID means the same in either (RFC 9562).
    pub(super) fn deployment_id(&self, key: &str) -> Option<String> {
        let mut id = self.text(key)?;
        id.make_ascii_lowercase();
        Some(id)
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.value(key)
    }

    /// An integer, also where it is written with a fraction of zero or an exponent: 3.0, 3e2.
    pub(super) fn integer<T: TryFrom<i128>>(&self, key: &str) -> Option<T> {
        let number: Number = self.value(key)?;
        let integer = number.as_i128().or_else(|| integer(number.as_f64()?))?;
        integer.try_into().ok()
    }

    /// What a text says: a time, or a word of the API's.
    pub(super) fn word<T: FromStr>(&self, key: &str) -> Option<T> {
        let Text(word) = self.value(key)?;
        word.parse().ok()
    }

    pub(super) fn time(&self, key: &str) -> Option<Timestamp> {
        self.word(key)
    }

    /// The object of a field; without fields where there is none.
    pub(super) fn object(&self, key: &str) -> Result<Self> {
        Ok(self.nested(key)?.unwrap_or_default())
    }

    /// The record that the object of a field is, if it has fields.
    pub(super) fn record<T: Record>(&self, key: &str) -> Result<Option<T>> {
        self.nested(key)?.as_ref().map(T::read).transpose()
    }

    /// The object of a field, if there is one.
    pub(super) fn nested(&self, key: &str) -> Result<Option<Self>> {
        self.0.get(key).map_or(Ok(None), |value| Self::of(value))
    }

    /// The items of a list that has to be there.
    pub(super) fn items(&self, key: &str) -> Result<Vec<&'a RawValue>> {
        let items = self.value(key);
        items.ok_or_else(|| Error::custom(format!("there is no list of {key}")))
    }

    /// What `read` makes of the items of a list, at most [`MAX_ITEMS`] of them.
    ///
    /// One object where a list is due is a list of one, unless it says nothing.
    pub(super) fn list<T: Default + PartialEq>(
        &self,
        key: &str,
        read: impl Fn(&'a RawValue) -> Result<Option<T>>,
    ) -> Result<Vec<T>> {
        if let Some(items) = self.value::<Vec<_>>(key) {
            let read = items.into_iter().filter_map(|item| read(item).transpose());
            return read.take(MAX_ITEMS).collect();
        }
        let value = self.0.get(key).filter(|value| is_object(value));
        let item = value.map_or(Ok(None), |value| read(value))?;
        Ok(item
            .filter(|item| *item != T::default())
            .into_iter()
            .collect())
    }

    fn value<T: Deserialize<'a>>(&self, key: &str) -> Option<T> {
        serde_json::from_str(self.0.get(key)?.get()).ok()
    }
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

fn integer(number: f64) -> Option<i128> {
    #[expect(clippy::cast_possible_truncation, reason = "it is a small integer")]
    let integer = number as i128;
    (number.fract() == 0.0 && number.abs() <= MAX_EXACT).then_some(integer)
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

/// Reads the fields of an object.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Object<'de>, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((Text(key), value)) = map.next_entry()? {
            if fields.insert(key, value).is_some() {
                return Err(A::Error::custom("a field is there twice"));
            }
        }
        Ok(Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the field `a` of a body.
    fn field<T>(json: &str, read: impl FnOnce(&Object<'_>) -> T) -> T {
        let body = format!("{{\"a\": {json}}}");
        parse(body.as_bytes(), |object| Ok(read(object))).unwrap()
    }

    #[test]
    fn integers_may_have_a_zero_fraction_or_an_exponent() {
        for (json, count, code) in [
            ("3", Some(3), Some(3)),
            ("3.0", Some(3), Some(3)),
            ("3e2", Some(300), Some(300)),
            ("-0.0", Some(0), Some(0)),
            ("-3.0", None, Some(-3)),
            ("3.5", None, None),
            ("18446744073709551615", Some(u64::MAX), None),
            ("18446744073709551616", None, None),
            ("1e999", None, None),
            ("\"3\"", None, None),
            ("true", None, None),
            ("[3]", None, None),
            ("{\"a\": 3}", None, None),
            ("null", None, None),
        ] {
            assert_eq!(field(json, |o| o.integer::<u64>("a")), count, "{json}");
            assert_eq!(field(json, |o| o.integer::<i64>("a")), code, "{json}");
        }
    }

    #[test]
    fn fields_of_the_wrong_type_are_missing() {
        for json in ["7", "{}", "[\"x\"]", "null", "\"x\"", "true"] {
            let text = field(json, |o| o.text("a"));
            assert_eq!(text.is_some(), json == "\"x\"", "{json}");
            let flag = field(json, |o| o.flag("a"));
            assert_eq!(flag.is_some(), json == "true", "{json}");
            assert_eq!(field(json, |o| o.time("a")), None, "{json}");
            assert!(field(json, |o| o.nested("a").unwrap().is_none()), "{json}");
        }
        let time = field("\"2026-11-23T16:00:00+01:00\"", |o| o.time("a")).unwrap();
        assert_eq!(time.to_string(), "2026-11-23T15:00:00Z");
    }

    #[test]
    fn an_empty_text_is_missing_and_ids_of_deployments_are_lower_case() {
        for empty in ["\"\"", "\" \\n\""] {
            assert_eq!(field(empty, |o| o.text("a")), None, "{empty}");
            assert_eq!(field(empty, |o| o.deployment_id("a")), None, "{empty}");
        }
        let text = field("\" 4CAB \"", |o| o.text("a"));
        assert_eq!(text.as_deref(), Some(" 4CAB "));
        let id = field("\"4CAB\"", |o| o.deployment_id("a"));
        assert_eq!(id.as_deref(), Some("4cab"));
    }

    #[test]
    fn lists_skip_what_is_no_item_and_have_a_maximum_length() {
        let list = |json: &str| {
            field(json, |object| {
                let item = |value| Ok(Object::of(value)?.map(|item| item.integer::<u64>("n")));
                object.list("a", item).unwrap()
            })
        };
        for (json, expected) in [
            (
                "[{\"n\": 1}, 7, [], {}, {\"n\": 2}]",
                &[Some(1), Some(2)][..],
            ),
            ("{\"n\": 1}", &[Some(1)]),
            ("{\"other\": 1}", &[]),
            ("{}", &[]),
            ("\"none\"", &[]),
            ("7", &[]),
            ("null", &[]),
        ] {
            assert_eq!(list(json), expected, "{json}");
        }
        let endless = vec!["{\"n\": 1}"; 3 * MAX_ITEMS].join(",");
        assert_eq!(list(&format!("[{endless}]")).len(), MAX_ITEMS);
    }

    #[test]
    fn keys_may_be_escaped_but_not_repeated() {
        let is_ready = |body: &[u8]| parse(body, |object| Ok(object.flag("ready")));
        assert_eq!(is_ready(br#"{"\u0072eady": true}"#).unwrap(), Some(true));
        for body in [
            r#"{"ready": false, "ready": true}"#,
            r#"{"ready": false, "\u0072eady": true}"#,
        ] {
            assert!(is_ready(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn fields_that_nobody_reads_may_hold_any_json() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let long = format!("\"{}\"", "\\ud83d\\ude00 \\ud83d".repeat(1000));
        for odd in [&deep, &long, "1e999", "{\"b\": 1, \"b\": 2}"] {
            let body = format!("{{\"odd\": {odd}, \"a\": true}}");
            let flag = parse(body.as_bytes(), |object| Ok(object.flag("a")));
            assert_eq!(flag.unwrap(), Some(true), "{odd:.20}");
            // Nor does it do harm where something else is expected.
            assert_eq!(field(odd, |object| object.flag("a")), None);
            assert_eq!(field(odd, |object| object.integer::<u64>("a")), None);
            assert_eq!(field(odd, |object| object.time("a")), None);
        }
        assert!(parse("{\"a\":".repeat(100_000).as_bytes(), |_| Ok(())).is_err());
    }
}
