//! Any text as a scenario file: no panic, and a slip is told in words.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pipecat_rollout::simulator::Scenario;

fuzz_target!(|text: &str| {
    match Scenario::parse(text) {
        Ok(scenario) => {
            let _ = (scenario.summary(), scenario.verdict(), scenario.baseline());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
