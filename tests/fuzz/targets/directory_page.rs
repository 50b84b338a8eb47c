#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| callhook::fuzzing::directory_page(data));
