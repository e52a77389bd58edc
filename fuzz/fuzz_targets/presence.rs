//! Fuzzes the decoder `presence` of `tests::decoders`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::decoders::check("presence", bytes));
