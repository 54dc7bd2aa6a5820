//! Any bytes as the list of agents: no panic, and no entry that the JSON does not hold.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pipecat_rollout::wire::parse_list;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(services) = parse_list(bytes) else {
        return;
    };
    // What is passed over may hold what a strict reader refuses.
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let most = value["services"].as_array().map_or(0, Vec::len);
    assert!(services.len() <= most);
});
