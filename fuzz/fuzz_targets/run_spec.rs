//! Fuzzes the decoder `run_spec` of `tests::decoders`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::decoders::check("run_spec", bytes));
