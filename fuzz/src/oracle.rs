//! What promises mean, written apart from the program: characters that nobody may obey, lines that
//! CI runners would, and what an answer of the API says at its top level.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Whether a character steers a terminal or hides, by Unicode's properties rather than by a list of
/// what the program thinks of: controls (Cc), line and paragraph separators (Zl, Zp), annotations, and
/// what is to be ignored in showing (`Default_Ignorable_Code_Point`) but for joiners and variation
/// selectors.
pub(crate) fn is_obeyed(char: char) -> bool {
    if char.is_ascii() {
        return matches!(char, '\0'..='\u{1f}' | '\u{7f}');
    }
    let ignorable = matches!(u32::from(char),
        0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
        | 0x202a..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0
        | 0xfff0..=0xfff8 | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff);
    let needed = matches!(u32::from(char),
        0x180b..=0x180d | 0x180f | 0x200c..=0x200d | 0xfe00..=0xfe0f | 0xe0100..=0xe01ef);
    char.is_control()
        || matches!(char, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}')
        || ignorable && !needed
}

/// Text for people: nothing in it is obeyed, neither by a terminal nor by a log.
pub(crate) fn assert_harmless(shown: &str) {
    if let Some(char) = shown.chars().find(|char| is_obeyed(*char)) {
        panic!("{char:?} is left in {shown:?}");
    }
    assert!(!has_command(shown), "a command is left in {shown:?}");
}

/// A line of a log that the GitHub runner must not take for a command.
pub(crate) fn assert_no_command(line: &str) {
    assert!(
        !line.trim_start().starts_with("::") && !has_command(line),
        "the runner obeys {line:?}"
    );
}

/// Whether a CI runner would obey something anywhere in a line: GitHub's `##[error]`, Azure's
/// `##vso[task]`, `TeamCity`'s `##teamcity[message]`.
pub(crate) fn has_command(line: &str) -> bool {
    line.match_indices('[').any(|(bracket, _)| {
        let before = &line[..bracket];
        let word = before.bytes().rev().take_while(u8::is_ascii_alphanumeric);
        before[..bracket - word.count()].ends_with("##")
    })
}

/// What an answer says at its top level, read without the program's reader.
#[derive(Debug, Default, Clone)]
pub(crate) struct Truth {
    pub(crate) name: Option<String>,
    pub(crate) ready: bool,
    pub(crate) desired: Option<String>,
    pub(crate) reconciled: Option<String>,
}

impl Truth {
    /// None where the body is no JSON object, however repaired. Ids of deployments are in lower case.
    pub(crate) fn of(body: &[u8]) -> Option<Self> {
        let text = without_halves(&String::from_utf8_lossy(body));
        let object: BTreeMap<String, &RawValue> =
            serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
        let text = |key: &str| serde_json::from_str::<String>(object.get(key)?.get()).ok();
        let id = |key: &str| text(key).filter(|id| !id.is_empty());
        let deployment = |key: &str| id(key).map(|id| id.to_ascii_lowercase());
        Some(Self {
            name: id("name"),
            ready: object
                .get("ready")
                .is_some_and(|value| value.get() == "true"),
            desired: deployment("desiredDeploymentId").or_else(|| deployment("activeDeploymentId")),
            reconciled: deployment("reconciledDeploymentId"),
        })
    }
}

/// Every escape of half a character replaced, also where two make a whole one: what was the same
/// before is so after, and that is all that is compared.
pub(crate) fn without_halves(text: &str) -> String {
    let mut replaced = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        replaced.push(char);
        if char != '\\' {
            continue;
        }
        let Some(kind) = chars.next() else { break };
        replaced.push(kind);
        let rest = chars.as_str();
        let half = rest.get(..4).is_some_and(|digits| {
            matches!(
                digits.to_lowercase().as_bytes(),
                [b'd', b'8'..=b'9' | b'a'..=b'f', ..]
            )
        });
        if kind == 'u' && half && rest[2..4].bytes().all(|digit| digit.is_ascii_hexdigit()) {
            replaced.push_str("fffd");
            chars = rest[4..].chars();
        }
    }
    replaced
}
