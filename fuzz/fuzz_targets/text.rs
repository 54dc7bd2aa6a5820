//! Any text through the cleaners: what they remove is gone, and cleaning once is enough.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use pipecat_rollout::text::{harmless_json, line_start, lines, one_line, short_duration};

fn is_obeyed(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{061c}')
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let line = one_line(&text);
    assert!(!line.chars().any(is_obeyed), "{line:?}");
    assert!(!line.contains("##["), "{line:?}");
    assert_eq!(one_line(&line), line);
    let start = line_start(&text);
    assert!(!start.trim_start().starts_with("::"), "{start:?}");
    assert!(!start.chars().any(is_obeyed) && !start.contains("##["), "{start:?}");
    for line in lines(&text) {
        assert!(!line.chars().any(|char| is_obeyed(char) && char != '\t'), "{line:?}");
        assert!(!line.contains("##["), "{line:?}");
    }
    let json = serde_json::to_string(&text).unwrap();
    let harmless = harmless_json(&json);
    assert!(!harmless.chars().any(is_obeyed), "{harmless:?}");
    let back: String = serde_json::from_str(&harmless).unwrap();
    assert_eq!(back, text, "it means the same");
    if let Some(first) = bytes.first_chunk::<8>() {
        let said = short_duration(Duration::from_millis(u64::from_le_bytes(*first)));
        assert!(!said.is_empty());
    }
});
