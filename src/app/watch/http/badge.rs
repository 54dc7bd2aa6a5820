//! `/badge/AGENT.svg`: the state of an agent in a picture, for a README or a wiki.

use std::fmt::Write as _;

use crate::core::fleet::Status;

/// How wide a character is about, and the margin on each side of a text.
const CHARACTER: usize = 7;
const MARGIN: usize = 6;
/// The most of a name that is shown.
const MAX_NAME: usize = 64;

/// The picture; without a state there is no such agent.
pub(super) fn badge(name: &str, status: Option<Status>) -> String {
    let name: String = name.chars().take(MAX_NAME).collect();
    let (word, colour) = match status {
        Some(Status::Ready) => ("ready", "#1a7f37"),
        Some(Status::Unready) => ("down", "#b3261e"),
        Some(Status::Degraded) => ("old version serves", "#775100"),
        Some(Status::RollingOut) => ("rolling out", "#3446b8"),
        Some(Status::Unknown) => ("unknown", "#57606a"),
        None => ("not found", "#57606a"),
    };
    let (left, right) = (width(&name), width(word));
    let (all, middle, end) = (left + right, left / 2, left + right / 2);
    let name = escaped(&name);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all}\" height=\"20\" role=\"img\" \
         aria-label=\"{name}: {word}\"><title>{name}: {word}</title>\
         <rect width=\"{all}\" height=\"20\" rx=\"3\" fill=\"#24292f\"/>\
         <path d=\"M{left} 0h{inner}a3 3 0 0 1 3 3v14a3 3 0 0 1 -3 3h-{inner}z\" fill=\"{colour}\"/>\
         <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">\
         <text x=\"{middle}\" y=\"14\" textLength=\"{name_length}\">{name}</text>\
         <text x=\"{end}\" y=\"14\" textLength=\"{word_length}\">{word}</text></g></svg>\n",
        inner = right - 3,
        name_length = left - 2 * MARGIN,
        word_length = right - 2 * MARGIN,
    )
}

fn width(text: &str) -> usize {
    text.chars().count().max(1) * CHARACTER + 2 * MARGIN
}

/// A text that is nothing but text in XML; what XML cannot hold is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_ascii_alphanumeric() || "-._ ".contains(char) {
            escaped.push(char);
        } else if !char.is_control() && !matches!(char, '\u{fffe}' | '\u{ffff}') {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "&#{};", u32::from(char));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_whatever_it_is() {
        let badge = badge("\"/><script>\u{0}&ü", Some(Status::Ready));
        let document = roxmltree::Document::parse(&badge).unwrap();
        let label = document.root_element().attribute("aria-label");
        assert_eq!(label, Some("\"/><script>&ü: ready"));
        let texts = document
            .descendants()
            .filter(|node| node.has_tag_name("text"));
        let texts: Vec<_> = texts.filter_map(|node| node.text()).collect();
        assert_eq!(texts, ["\"/><script>&ü", "ready"]);
    }
}
