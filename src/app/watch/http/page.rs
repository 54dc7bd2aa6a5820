//! The page: three files that are part of the program, and an icon.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::answer::{answer, unless_known};

/// Nothing but the page's own files and endpoints, no script in its markup, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// A file of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct File {
    pub(super) path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

pub(super) const FILES: [File; 4] = [
    File {
        path: "/",
        content_type: "text/html; charset=utf-8",
        text: include_str!("../page/page.html"),
    },
    File {
        path: "/page.css",
        content_type: "text/css; charset=utf-8",
        text: include_str!("../page/page.css"),
    },
    File {
        path: "/page.js",
        content_type: "text/javascript; charset=utf-8",
        text: include_str!("../page/page.js"),
    },
    File {
        path: "/icon.svg",
        content_type: "image/svg+xml",
        text: "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\"><rect width=\"16\" height=\"16\" \
               rx=\"4\" fill=\"#3446b8\"/><path d=\"M3 5h10M3 8h7M3 11h4\" stroke=\"#fff\" stroke-width=\"2\" \
               stroke-linecap=\"round\"/></svg>",
    },
];

impl File {
    pub(super) fn answer(self, asked: &HeaderMap) -> Response {
        unless_known(asked, self.text, |text| {
            answer(StatusCode::OK, self.content_type, text)
        })
    }
}

/// Adds to every answer what a browser may do with it: nobody keeps it, nor takes it for something else.
pub(super) fn add_browser_headers(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_needs_nothing_from_elsewhere() {
        let size: usize = FILES[..3].iter().map(|file| file.text.len()).sum();
        assert!(size <= 40 * 1024, "{size} bytes");
        for file in FILES {
            let text = file.text.replace("http://www.w3.org/", "");
            for forbidden in [
                "http://",
                "https://",
                "@import",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                " style=\"",
                " onclick=",
                " onload=",
            ] {
                assert!(!text.contains(forbidden), "{}: {forbidden}", file.path);
            }
        }
    }
}
