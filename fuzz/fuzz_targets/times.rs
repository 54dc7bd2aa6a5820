//! Any text as a moment or as a Retry-After header: no panic, and never more than the bound.

#![no_main]

use std::time::Duration;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use pipecat_rollout::fleet::parse_moment;
use pipecat_rollout::wire::retry_after;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let _ = parse_moment(&text, now);
    if let Some(wait) = retry_after(&text, now) {
        assert!(wait <= Duration::from_secs(86_400));
    }
});
