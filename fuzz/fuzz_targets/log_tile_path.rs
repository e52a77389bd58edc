//! Fuzzes the decoder `log_tile_path` of `tests::decoders`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::decoders::check("log_tile_path", bytes));
