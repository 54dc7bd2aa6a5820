//! Texts with places for values: `{{agent}}`, `{{data.reason.summary | default none}}`.
//!
//! What holds places is parsed first and filled afterwards, one value at a time: nothing that a value holds can
//! change the shape of what it is put into.

use std::fmt;

use serde_json::{Map, Value};

use super::diagnostics::nearest;

/// What a place begins and ends with.
const PLACE: [&str; 2] = ["{{", "}}"];

/// A text with places for values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// JSON whose texts are templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A text.
    Text(Template),
    /// A list.
    List(Vec<Shape>),
    /// A table. Its keys have no places.
    Table(Vec<(String, Shape)>),
    /// A number, or whether something is so.
    Other(Value),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Place { name: String, steps: Vec<Step> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Takes the place of a value that is missing.
    Default(String),
    /// At most so many characters.
    Max(usize),
    /// A text for each word; `*` stands for every other, and for a value that is missing.
    Map(Vec<(String, String)>),
    /// A time in seconds, or in parts of them, since 1970.
    Unix { per_second: i64 },
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// When a place has no end, or a step cannot be understood.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((literal, place)) = rest.split_once(PLACE[0]) {
            let (place, after) = place
                .split_once(PLACE[1])
                .ok_or("a place that begins with {{ has to end with }}")?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            let mut parts = place.split('|').map(str::trim);
            let name = parts.next().unwrap_or_default().to_owned();
            let steps = parts.map(Step::parse).collect::<Result<_, _>>()?;
            pieces.push(Piece::Place { name, steps });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Makes sure that every place can be filled, by an example in which no value is missing.
    ///
    /// # Errors
    /// When there is a place for a value that is not in the example.
    pub(crate) fn check(&self, example: &Value) -> Result<(), String> {
        for piece in &self.0 {
            let Piece::Place { name, steps } = piece else {
                continue;
            };
            let Some(value) = lookup(example, name) else {
                let mut names = Vec::new();
                collect_names("", example, &mut names);
                let near = nearest(name, names.iter().map(String::as_str));
                return Err(unknown(name, near));
            };
            if name.split(['.', '/']).next() == Some("secret") && !steps.is_empty() {
                return Err(format!(
                    "{{{{{name}}}}} can only stand alone: what a step makes of a secret could be shown"
                ));
            }
            let wants_time = matches!(steps.first(), Some(Step::Unix { .. }));
            if wants_time && moment(value).is_none() {
                return Err(format!("{{{{{name} | unix}}}}: that is no time"));
            }
        }
        Ok(())
    }

    /// Whether it has any place.
    pub(crate) fn has_places(&self) -> bool {
        self.0
            .iter()
            .any(|piece| matches!(piece, Piece::Place { .. }))
    }

    /// The first name for which nothing is there to fill its place with.
    pub(crate) fn missing(&self, values: &Value) -> Option<&str> {
        self.0.iter().find_map(|piece| match piece {
            Piece::Place { name, steps } if filled(values, name, steps).is_none() => {
                Some(name.as_str())
            }
            _ => None,
        })
    }

    /// What stands before the first place.
    pub(crate) fn start(&self) -> &str {
        match self.0.first() {
            Some(Piece::Literal(text)) => text,
            _ => "",
        }
    }

    /// The text with these values, each as `write` writes it. What is missing leaves nothing.
    pub(crate) fn text(&self, values: &Value, write: impl Fn(&str) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Place { name, steps } => {
                let value = filled(values, name, steps);
                value.map_or_else(String::new, |value| write(&words(&value)))
            }
        };
        self.0.iter().map(piece).collect()
    }

    /// The same as JSON: a text that is nothing but a place becomes the value itself, and nothing where
    /// that is missing.
    fn value(&self, values: &Value) -> Option<Value> {
        match self.0.as_slice() {
            [Piece::Place { name, steps }] => filled(values, name, steps),
            _ => Some(self.text(values, str::to_owned).into()),
        }
    }
}

impl Shape {
    /// Reads JSON.
    ///
    /// # Errors
    /// When one of its texts cannot be understood.
    pub(crate) fn parse(json: Value) -> Result<Self, String> {
        Ok(match json {
            Value::String(text) => Self::Text(Template::parse(&text)?),
            Value::Array(values) => {
                let values = values.into_iter().map(Self::parse);
                Self::List(values.collect::<Result<_, _>>()?)
            }
            Value::Object(values) => {
                let values = values.into_iter();
                let values = values.map(|(key, value)| {
                    if key.contains(PLACE[0]) {
                        return Err(format!("the key {key:?} has a place; only values can"));
                    }
                    Ok((key, Self::parse(value)?))
                });
                Self::Table(values.collect::<Result<_, _>>()?)
            }
            other => Self::Other(other),
        })
    }

    /// Makes sure that every place can be filled, by an example in which no value is missing.
    ///
    /// # Errors
    /// When there is a place for a value that is not in the example.
    pub(crate) fn check(&self, example: &Value) -> Result<(), String> {
        match self {
            Self::Text(template) => template.check(example),
            Self::List(values) => values.iter().try_for_each(|value| value.check(example)),
            Self::Table(values) => values
                .iter()
                .try_for_each(|(_, value)| value.check(example)),
            Self::Other(_) => Ok(()),
        }
    }

    /// The JSON with these values; none where it is nothing but a place for one that is missing, which is
    /// left out of the list or table that holds it.
    pub(crate) fn fill(&self, values: &Value) -> Option<Value> {
        match self {
            Self::Text(template) => template.value(values),
            Self::List(shapes) => {
                let filled = shapes.iter().filter_map(|shape| shape.fill(values));
                Some(filled.collect())
            }
            Self::Table(shapes) => {
                let fill = |(key, shape): &(String, Self)| Some((key.clone(), shape.fill(values)?));
                Some(Value::Object(
                    shapes.iter().filter_map(fill).collect::<Map<_, _>>(),
                ))
            }
            Self::Other(value) => Some(value.clone()),
        }
    }
}

impl Step {
    fn parse(text: &str) -> Result<Self, String> {
        let (word, argument) = text.split_once(' ').unwrap_or((text, ""));
        let argument = argument.trim();
        let bad = || {
            format!(
                "{{{{... | {text}}}}} cannot be understood; there are \"default TEXT\", \"max CHARACTERS\", \
                 \"map WORD=TEXT, *=TEXT\", \"unix\" and \"unix-ms\""
            )
        };
        Ok(match (word, argument) {
            ("default", text) if !text.is_empty() => Self::Default(text.to_owned()),
            ("max", count) => Self::Max(count.parse().ok().filter(|&max| max > 0).ok_or_else(bad)?),
            ("map", cases) => {
                let cases = cases.split(',').map(|case| {
                    let (word, text) = case.split_once('=').ok_or_else(bad)?;
                    Ok((word.trim().to_owned(), text.trim().to_owned()))
                });
                Self::Map(cases.collect::<Result<_, String>>()?)
            }
            ("unix", "") => Self::Unix { per_second: 1 },
            ("unix-ms", "") => Self::Unix { per_second: 1000 },
            _ => return Err(bad()),
        })
    }

    fn apply(&self, value: Option<Value>) -> Option<Value> {
        match self {
            Self::Default(text) => value.or_else(|| Some(plain(text))),
            Self::Max(max) => {
                let text = words(&value?);
                Some(text.chars().take(*max).collect::<String>().into())
            }
            Self::Map(cases) => {
                let word = value.map_or_else(String::new, |value| words(&value));
                let case = cases.iter().find(|(case, _)| *case == word);
                let case = case.or_else(|| cases.iter().find(|(case, _)| case == "*"));
                case.map(|(_, text)| plain(text))
            }
            Self::Unix { per_second } => {
                let at = moment(&value?)?;
                Some(at.as_millisecond().div_euclid(1000 / per_second).into())
            }
        }
    }
}

/// A value of this name, as its steps leave it.
fn filled(values: &Value, name: &str, steps: &[Step]) -> Option<Value> {
    let value = lookup(values, name).cloned();
    steps.iter().fold(value, |value, step| step.apply(value))
}

/// The value of a dotted name; what is in `data` has its short name as well.
fn lookup<'a>(values: &'a Value, name: &str) -> Option<&'a Value> {
    let path = format!("/{}", name.replace('.', "/"));
    let found = values.pointer(&path);
    let found = found.or_else(|| values.get("data")?.pointer(&path));
    found.filter(|value| !value.is_null())
}

/// What was written into a template: a number or a truth where it is one.
fn plain(text: &str) -> Value {
    let parsed = serde_json::from_str(text).ok();
    let is_plain = |value: &Value| value.is_number() || value.is_boolean();
    parsed.filter(is_plain).unwrap_or_else(|| text.into())
}

/// A value within a text.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn moment(value: &Value) -> Option<jiff::Timestamp> {
    value.as_str()?.parse().ok()
}

fn collect_names(start: &str, value: &Value, names: &mut Vec<String>) {
    let mut add = |key: &dyn fmt::Display, value: &Value| {
        let name = format!("{start}{key}");
        collect_names(&format!("{name}."), value, names);
        if let Some(short) = name.strip_prefix("data.") {
            names.push(short.to_owned());
        }
        names.push(name);
    };
    match value {
        Value::Object(values) => values.iter().for_each(|(key, value)| add(key, value)),
        Value::Array(values) => (0..)
            .zip(values)
            .for_each(|(index, value)| add(&index, value)),
        _ => {}
    }
}

fn unknown(name: &str, nearest: Option<&str>) -> String {
    match (nearest, name.strip_prefix("secret.")) {
        (Some(near), _) => {
            format!("{{{{{name}}}}} is no value of an event; did you mean {{{{{near}}}}}?")
        }
        (None, Some(secret)) => {
            format!(
                "{{{{{name}}}}} needs a file: secrets = {{ {secret} = \"/run/secrets/{secret}\" }}"
            )
        }
        (None, None) => format!("{{{{{name}}}}} is no value of an event"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values() -> Value {
        json!({
            "id": "s-1", "severity": "error", "time": "2026-11-23T15:00:00.5Z",
            "data": {
                "agent": "voice", "elapsedMs": 1500, "rolledBack": true, "none": null,
                "reason": { "summary": "it \"crashes\",\n}} {{id}} \\" },
                "warnings": [{ "code": "Degraded" }],
            },
            "secret": { "token": "t0ken" },
        })
    }

    fn text(template: &str) -> String {
        let template = Template::parse(template).unwrap();
        template.text(&values(), str::to_owned)
    }

    #[test]
    fn places_are_filled_with_values_and_their_steps() {
        for (template, filled) in [
            ("", ""),
            ("no place", "no place"),
            ("{{agent}}", "voice"),
            ("a {{ data.agent }} b {{id}}", "a voice b s-1"),
            ("{{warnings.0.code}}{{elapsedMs}}", "Degraded1500"),
            ("{{none}}-{{missing}}-{{none | default 3}}", "--3"),
            ("{{agent | default x | max 2}}", "vo"),
            ("{{severity | map error=P1, warning=P3}}", "P1"),
            ("{{severity | map warning=P3}}|{{none | map *=P5}}", "|P5"),
            (
                "{{time | unix}} {{time | unix-ms}}",
                "1795446000 1795446000500",
            ),
        ] {
            assert_eq!(text(template), filled, "{template}");
        }
    }

    #[test]
    fn nothing_that_a_value_holds_changes_the_shape_that_it_is_put_into() {
        let shape = Shape::parse(json!({
            "text": "{{reason.summary}}", "in": ["why: {{reason.summary}}"], "whole": "{{data}}",
            "number": "{{elapsedMs}}", "colour": "{{severity | map error=15158332}}",
            "flag": "{{rolledBack}}", "left-out": "{{missing}}", "list": ["{{missing}}", 1, true],
        }));
        let values = values();
        let summary = values["data"]["reason"]["summary"].as_str().unwrap();
        let filled = json!({
            "text": summary, "in": [format!("why: {summary}")], "whole": values["data"],
            "number": 1500, "colour": 15_158_332, "flag": true, "list": [1, true],
        });
        assert_eq!(shape.unwrap().fill(&values), Some(filled));
    }

    #[test]
    fn what_cannot_be_meant_is_named_with_what_was_meant() {
        for (template, why) in [
            ("{{agent", "a place that begins with {{ has to end with }}"),
            (
                "{{data.reson.summary}}",
                "{{data.reson.summary}} is no value of an event; did you mean {{data.reason.summary}}?",
            ),
            (
                "{{agnet}}",
                "{{agnet}} is no value of an event; did you mean {{agent}}?",
            ),
            ("{{}}", "{{}} is no value of an event"),
            ("{{agent | unix}}", "{{agent | unix}}: that is no time"),
            (
                "{{secret.token | max 4}}",
                "{{secret.token}} can only stand alone: what a step makes of a secret could be shown",
            ),
            (
                "{{secret/token | default x}}",
                "{{secret/token}} can only stand alone: what a step makes of a secret could be shown",
            ),
        ] {
            let checked = Template::parse(template).and_then(|parsed| parsed.check(&values()));
            assert_eq!(checked.unwrap_err(), why);
        }
        for step in [
            "upper", "max", "max 0", "max x", "default", "map", "map a", "unix 3", "",
        ] {
            let template = format!("{{{{agent | {step}}}}}");
            let why = Template::parse(&template).unwrap_err();
            assert!(why.contains("cannot be understood; there are "), "{why}");
        }
    }
}
