//! The organizations of an account, as `GET /organizations` answers. Not in the contract; the vendor's
//! CLI reads them.

use serde_json::Error;

use super::json::{self, Object};

/// The name of the first organization, which is the vendor's default; none where there is none.
///
/// # Errors
/// When the body is not JSON, or has no list of organizations.
pub(crate) fn first_organization(body: &[u8]) -> Result<Option<String>, Error> {
    json::parse(body, |answer| {
        match answer.items("organizations")?.first() {
            Some(first) => Ok(Object::of(first)?.and_then(|first| first.text("name"))),
            None => Ok(None),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::first_organization;

    #[test]
    fn the_first_organization_is_the_default() {
        for (body, name) in [
            (
                r#"{"organizations": [{"name": "a", "verboseName": "A"}, {"name": "b"}]}"#,
                Some("a"),
            ),
            (r#"{"organizations": []}"#, None),
            (r#"{"organizations": [{"name": ""}, {"name": "b"}]}"#, None),
        ] {
            let first = first_organization(body.as_bytes()).unwrap();
            assert_eq!(first.as_deref(), name, "{body}");
        }
        for odd in ["", "[]", "{}", r#"{"organizations": {}}"#] {
            assert!(first_organization(odd.as_bytes()).is_err(), "{odd}");
        }
    }
}
