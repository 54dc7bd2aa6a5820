//! Why a body is not the JSON that was expected, in a few words.

use serde::de::IgnoredAny;

use crate::core::text::{one_line, shown_start};
use crate::core::wire::repair_json;

/// How many characters of a foreign text are quoted.
const MAX_QUOTED: usize = 60;
/// How much of a body is searched for the marks of a web page.
const MAX_PAGE_HEAD: usize = 4096;

/// What is wrong with a body, as the rest of a sentence that begins with "it" or "the body".
pub(super) fn describe(body: &str) -> String {
    let start = body.trim_start_matches('\u{feff}').trim_start();
    if start.is_empty() {
        return "is empty".to_owned();
    }
    if let Some(page) = web_page(start) {
        return page;
    }
    match serde_json::from_str::<IgnoredAny>(&repair_json(body.as_bytes())) {
        Ok(_) => format!("starts with {}", quote(start)),
        Err(error) if error.is_eof() => format!("breaks off after {} bytes", body.len()),
        Err(error) => format!("starts with {} ({error})", quote(start)),
    }
}

/// The beginning of a foreign text, on one line and bounded.
pub(super) fn quote(text: &str) -> String {
    shown_start(&one_line(text), MAX_QUOTED)
}

/// That a body is a web page, and its title.
fn web_page(body: &str) -> Option<String> {
    let head = &body[..body.floor_char_boundary(MAX_PAGE_HEAD)];
    // Of the same length: what is found in it is where it is in the original.
    let lower = head.to_ascii_lowercase();
    if !lower.starts_with('<') || !lower.contains("<html") && !lower.contains("<!doctype html") {
        return None;
    }
    let title = lower.find("<title>").map(|place| place + "<title>".len());
    let title = title.and_then(|from| {
        let length = lower[from..].find('<')?;
        Some(quote(&head[from..from + length])).filter(|title| !title.is_empty())
    });
    Some(match title {
        Some(title) => format!("is a web page, \"{title}\""),
        None => "is a web page".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_what_a_body_is() {
        for (body, expected) in [
            ("", "is empty"),
            ("\u{feff} \r\n", "is empty"),
            ("<html><body>ready: true</body></html>", "is a web page"),
            (
                "<!DOCTYPE html>\n<head><TITLE>502\nBad \u{1b}[31mGateway</TITLE>",
                "is a web page, \"502 Bad Gateway\"",
            ),
            ("<!doctype html><title>never closed", "is a web page"),
            (
                "<?xml version='1.0'?><Error/>",
                "starts with <?xml version='1.0'?><Error/> (expected value at line 1 column 1)",
            ),
            (r#"{"name":"my-agent","rea"#, "breaks off after 23 bytes"),
            (
                "no healthy upstream",
                "starts with no healthy upstream (expected ident at line 1 column 2)",
            ),
            (r#"["my-agent",true]"#, r#"starts with ["my-agent",true]"#),
            (
                "{\"message\":\"\u{9b}2J##[error]x\"}",
                r###"starts with {"message":"## [error]x"}"###,
            ),
        ] {
            assert_eq!(describe(body), expected, "{body}");
        }
    }

    #[test]
    fn bounds_what_it_quotes() {
        let body = format!("[\"{}\"]", "é".repeat(10_000));
        let expected = format!("starts with [\"{}...", "é".repeat(MAX_QUOTED - 2));
        assert_eq!(describe(&body), expected);
        let page = format!("<html><title>{}</title>", "x".repeat(1000));
        let expected = format!("is a web page, \"{}...\"", "x".repeat(MAX_QUOTED));
        assert_eq!(describe(&page), expected);
        // The cut of the searched head falls within a character, and within the title.
        let page = format!("<html>{}<title>é", "é".repeat(MAX_PAGE_HEAD));
        assert_eq!(describe(&page), "is a web page");
    }
}
