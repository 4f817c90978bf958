//! Any bytes, decoded as every kind of event: the decoder must read what serde_json reads.

#![no_main]

use libfuzzer_sys::fuzz_target;

// The same comparison as the property tests'.
#[path = "../../tests/differential/compare/mod.rs"]
mod compare;

fuzz_target!(|payload: &[u8]| {
    if let Err(difference) = compare::check_every_kind(payload) {
        panic!("{difference}");
    }
});
