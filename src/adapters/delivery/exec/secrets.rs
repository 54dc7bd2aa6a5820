//! What of a program's arguments may be a secret, and must not be repeated where it fails.

use crate::adapters::delivery::PlainText;
use crate::adapters::delivery::address::Address;

/// The shortest word that may be a secret.
const SHORTEST: usize = 8;
/// What the name of a secret has in it.
const TELLING: [&str; 7] = [
    "auth",
    "credential",
    "key",
    "passwd",
    "password",
    "secret",
    "token",
];

/// The words that look like secrets: letters mixed with digits, and what follows a name that says so;
/// and all but the host of URLs. The path of a file is none.
pub(super) fn of_arguments(arguments: &[String]) -> Vec<String> {
    let blank = |char: char| char.is_whitespace() || matches!(char, '"' | '\'' | ';' | '`');
    let mut secrets = Vec::new();
    let mut name = "";
    for word in arguments.iter().flat_map(|argument| argument.split(blank)) {
        // The first `=` of a URL is within it.
        let value = match word.split_once('=') {
            Some((assigned, value)) if !assigned.contains("://") => {
                name = assigned;
                value
            }
            _ => word,
        };
        if let Ok(address) = Address::parse(value, PlainText::Anywhere) {
            secrets.extend(address.parts());
        } else if value.len() >= SHORTEST && (is_mixed(value) || tells_of_secret(name)) {
            secrets.push(value.to_owned());
        }
        name = match word {
            // It stands between `Authorization:` and what is one.
            "Bearer" | "Basic" => "auth",
            _ if word.ends_with(':') || word.starts_with('-') => word,
            _ => "",
        };
    }
    secrets
}

fn is_mixed(word: &str) -> bool {
    let is_path = word.starts_with(['/', '.']);
    let has = |kind: fn(&char) -> bool| word.chars().any(|char| kind(&char));
    !is_path && has(char::is_ascii_digit) && has(char::is_ascii_alphabetic)
}

fn tells_of_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_one() {
        for (arguments, secrets) in [
            (&["s3cr3t_t0ken"][..], &["s3cr3t_t0ken"][..]),
            (&["--token=correcthorse"], &["correcthorse"]),
            (&["--token", "correcthorse"], &["correcthorse"]),
            (&["-c", "API_KEY=correcthorse notify"], &["correcthorse"]),
            (
                &["-H", "Authorization: Bearer correcthorse"],
                &["correcthorse"],
            ),
            (&["-ps3cr3tpass"], &["-ps3cr3tpass"]),
            (&["https://example.com/T0Ken_1"], &["T0Ken_1", "/T0Ken_1"]),
            (
                &["--to=https://example.com/?k=T0Ken_1"],
                &["T0Ken_1", "k=T0Ken_1"],
            ),
            (&["--type=application/json"], &[]),
            (&["--env", "production", "--verbosely"], &[]),
            (&["/etc/notify2.conf", "./notify2", "notifier.main"], &[]),
            (&["--token", "short", "production"], &[]),
        ] {
            let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
            let mut found = of_arguments(&arguments);
            found.sort_unstable();
            found.dedup();
            let mut expected = secrets.to_vec();
            expected.sort_unstable();
            assert_eq!(found, expected, "{arguments:?}");
        }
    }
}
