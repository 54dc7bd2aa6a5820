//! The target `event`, for the coverage-guided engine.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pipecat_rollout_fuzz::run("event", data));
