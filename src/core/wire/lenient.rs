//! Deserializers that let a field of the wrong type pass as absent.
//!
//! They look at the kind of a value and go on in it or over it: nothing is read twice, and what is
//! passed over takes no memory.

use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The most items that are kept of a list; those beyond are passed over.
const MOST_ITEMS: usize = 1000;

/// What a type makes of each kind of JSON value; where it does not say, nothing.
pub(super) trait Lenient: Sized {
    fn of_flag(_: bool) -> Option<Self> {
        None
    }

    fn of_integer(_: i128) -> Option<Self> {
        None
    }

    fn of_text(_: &str) -> Option<Self> {
        None
    }

    fn of_list<'de, A: SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        pass_over_items(list)?;
        Ok(None)
    }

    fn of_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// A type that is made of an object, as serde reads it, and of nothing else.
pub(super) trait Object: DeserializeOwned {}

impl<T: Object> Lenient for T {
    fn of_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(Some)
    }
}

impl Lenient for bool {
    fn of_flag(flag: bool) -> Option<Self> {
        Some(flag)
    }
}

impl Lenient for u64 {
    fn of_integer(integer: i128) -> Option<Self> {
        integer.try_into().ok()
    }
}

impl Lenient for i64 {
    fn of_integer(integer: i128) -> Option<Self> {
        integer.try_into().ok()
    }
}

impl Lenient for String {
    fn of_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Lenient for Timestamp {
    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Reads a `T` out of an object, unless that has no fields at all.
pub(super) fn unless_empty<'de, A, T>(object: A) -> Result<Option<T>, A::Error>
where
    A: MapAccess<'de>,
    T: DeserializeOwned,
{
    let mut fields = 0;
    let counted = Counted {
        object,
        fields: &mut fields,
    };
    let read = T::deserialize(MapAccessDeserializer::new(counted))?;
    Ok((fields > 0).then_some(read))
}

/// An object whose fields are counted as they are read.
struct Counted<'a, A> {
    object: A,
    fields: &'a mut usize,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Counted<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        let key = self.object.next_key_seed(seed)?;
        *self.fields += usize::from(key.is_some());
        Ok(key)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Self::Error> {
        self.object.next_value_seed(seed)
    }
}

/// Reads a `T`; null and anything that is no `T` are `None`.
pub(super) fn option<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Lenient,
{
    deserializer.deserialize_any(OneValue(PhantomData))
}

/// A body; one that is no `T` is `None`.
#[derive(Deserialize)]
#[serde(transparent, bound = "T: Lenient")]
pub(super) struct Maybe<T>(#[serde(deserialize_with = "option")] pub(super) Option<T>);

/// Reads a boolean of which only a true `true` counts.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(option(deserializer)?.unwrap_or(false))
}

/// Reads an identifier; the empty string identifies nothing.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(option(deserializer)?.filter(|id: &String| !id.is_empty()))
}

/// Reads a list, leaving out the items that are no `T`.
///
/// One object that stands for the list is a list of one, unless it says nothing.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Lenient + Default + PartialEq,
{
    Ok(option(deserializer)?.map_or_else(Vec::new, |items: Items<T>| items.0))
}

/// A value of whichever kind, read as a `T`.
struct OneValue<T>(PhantomData<T>);

impl<'de, T: Lenient> Visitor<'de> for OneValue<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(T::of_flag(flag))
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Self::Value, E> {
        Ok(T::of_integer(integer.into()))
    }

    fn visit_u64<E>(self, integer: u64) -> Result<Self::Value, E> {
        Ok(T::of_integer(integer.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(integer(number).and_then(T::of_integer))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::of_text(text))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::of_list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        T::of_object(object)
    }
}

/// The items of a list, or the one that stands for it.
struct Items<T>(Vec<T>);

impl<T: Lenient + Default + PartialEq> Lenient for Items<T> {
    fn of_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut items = Vec::new();
        while items.len() < MOST_ITEMS {
            match list.next_element::<Maybe<T>>()? {
                Some(Maybe(item)) => items.extend(item),
                None => return Ok(Some(Self(items))),
            }
        }
        pass_over_items(list)?;
        Ok(Some(Self(items)))
    }

    fn of_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        let item = T::of_object(object)?.filter(|item| *item != T::default());
        Ok(item.map(|item| Self(vec![item])))
    }
}

/// The integer that a number is, written with a fraction of zero or an exponent as some writers do.
fn integer(number: f64) -> Option<i128> {
    /// Every integer up to this is a number of its own (2^53).
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is an integer in bounds"
    )]
    let integer = number as i128;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(integer)
}

fn pass_over_items<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Read {
        #[serde(deserialize_with = "option")]
        count: Option<u64>,
        #[serde(deserialize_with = "option")]
        code: Option<i64>,
        #[serde(deserialize_with = "list")]
        list: Vec<Read>,
    }

    impl Object for Read {}

    fn read(json: &str) -> Read {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_number_counts_if_it_is_an_integer_in_bounds() {
        for (json, count, code) in [
            ("3", Some(3), Some(3)),
            ("3.0", Some(3), Some(3)),
            ("3e2", Some(300), Some(300)),
            ("-0.0", Some(0), Some(0)),
            ("-3.0", None, Some(-3)),
            ("3.5", None, None),
            ("18446744073709551615", Some(u64::MAX), None),
            ("18446744073709551616", None, None),
            ("\"3\"", None, None),
            ("true", None, None),
            ("[3]", None, None),
            ("{\"count\": 3}", None, None),
            ("null", None, None),
        ] {
            let read = read(&format!("{{\"count\": {json}, \"code\": {json}}}"));
            assert_eq!((read.count, read.code), (count, code), "{json}");
        }
    }

    #[test]
    fn a_list_keeps_what_it_can_and_no_more_than_its_bound() {
        for (json, counts) in [
            ("[{\"count\": 1}, 7, [], {\"count\": 2}]", &[1, 2][..]),
            ("{\"count\": 1}", &[1]),
            ("{}", &[]),
            ("\"none\"", &[]),
            ("7", &[]),
            ("null", &[]),
        ] {
            let list = read(&format!("{{\"list\": {json}}}")).list;
            let read: Vec<u64> = list.iter().filter_map(|item| item.count).collect();
            assert_eq!(read, counts, "{json}");
            assert_eq!(list.len(), counts.len(), "{json}");
        }
        let endless = vec!["{}"; 3 * MOST_ITEMS].join(",");
        assert_eq!(
            read(&format!("{{\"list\": [{endless}]}}")).list.len(),
            MOST_ITEMS
        );
    }
}
