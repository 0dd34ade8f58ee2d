//! Any bytes as what others answer to whom Pintle asks: a page of an API's list, a token or a refusal, headers,
//! an issuer's keys and where they are, the owner of a data folder to a command. The first byte says as what.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pintle::fuzzing;

/// A token whose key is named `a`, by each algorithm.
const TOKENS: [&str; 3] = [
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.e30.AAAA",
    "eyJhbGciOiJQUzI1NiIsImtpZCI6ImEifQ.e30.AAAA",
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.e30.AAAA",
];

fuzz_target!(|bytes: &[u8]| {
    if let Some((what, body)) = bytes.split_first() {
        fuzzing::answer(what % 8, body, TOKENS[usize::from(what >> 4) % 3]);
    }
});
