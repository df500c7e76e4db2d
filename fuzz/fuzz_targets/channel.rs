//! A worker's bytes and its primary's steps, as the fuzzer makes them up.

#![no_main]

#[path = "../../crates/relevo-node/tests/replay/mod.rs"]
mod replay;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    replay::replay(text);
});
