//! Fuzzes the decoder `round_record` of `tests::decoders`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::decoders::check("round_record", bytes));
