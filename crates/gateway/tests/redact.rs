//! What is redacted, what is not, and that placeholders become values again.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;

use ashlar_gateway::{
    config::Kind,
    redact::{Vault, find, masked},
};
use proptest::prelude::*;

fn all() -> BTreeSet<Kind> {
    Kind::ALL.into()
}

/// The values in a text, each with its kind.
fn found(text: &str) -> Vec<(&'static str, &str)> {
    find(text, &all()).into_iter().map(|one| (one.kind.name(), &text[one.start..one.end])).collect()
}

#[test]
fn values_of_several_countries_are_found() {
    for (kind, values) in [
        (
            "email",
            &["jo@example.com", "jo.o'neil+x@mail.example.co.uk", "jürgen@müller.example", "a_b-c@x-y.dev"][..],
        ),
        (
            "phone",
            &[
                "+49 30 1234567",
                "+1 415 555 2671",
                "+44 20 7946 0018",
                "+33 1 23 45 67 89",
                "+91 98765 43210",
                "+5511987654321",
                "(415) 555-2671",
                "415-555-2671",
                "415.555.2671",
                "1-800-555-0199",
                "030 1234567",
                "0171/1234567",
                "(030) 12345678",
                "020 7946 0018",
                "01 23 45 67 89",
                "0049 30 1234567",
                "+49 (30) 1234567",
                "+81-3-1234-5678",
            ],
        ),
        (
            "card",
            &[
                "4111 1111 1111 1111",
                "4111111111111111",
                "5500-0000-0000-0004",
                "3782 822463 10005",
                "6011000990139424",
                "3530111333300000",
                "30569309025904",
                "2223003122003222",
            ],
        ),
        (
            "iban",
            &[
                "DE89 3704 0044 0532 0130 00",
                "GB29NWBK60161331926819",
                "FR14 2004 1010 0505 0001 3M02 606",
                "NL91ABNA0417164300",
                "CH93 0076 2011 6238 5295 7",
                "ES9121000418450200051332",
                "IT60X0542811101000000123456",
                "NO9386011117947",
            ],
        ),
        (
            "ip",
            &[
                "192.168.0.1",
                "8.8.8.8",
                "2001:db8::8a2e:370:7334",
                "fe80::1",
                "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
            ],
        ),
        (
            "national_id",
            &[
                "536-90-4399",
                "AB123456C",
                "AB 12 34 56 C",
                "1 85 05 78 006 084 91",
                "86095742719",
                "12345678Z",
                "X1234567L",
                "RSSMRA85T10A562S",
                "529.982.247-25",
                "756.9217.0769.85",
                "811218-9876",
                "85.07.30-033.28",
                "2341 2341 2346",
                "44051401359",
            ],
        ),
        (
            "secret",
            &[
                "sk-proj-abc123DEF456ghi789JKL012",
                "AKIAIOSFODNN7EXAMPLE",
                "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
                "xoxb-123456789012-abcdefGHIJKL",
                "AIzaSyA1234567890abcdefghijklmnopqrstuv",
                "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
                "glpat-abcDEF123456ghiJKL78",
                "hf_abcdefghijABCDEFGHIJ0123456789abcd",
                "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
            ],
        ),
    ] {
        for value in values {
            for text in [
                (*value).to_owned(),
                format!("Write to {value}, please."),
                format!("({value})"),
                format!("ä: {value}\nnext"),
            ] {
                assert_eq!(found(&text), [(kind, *value)], "{text}");
            }
        }
    }
}

#[test]
fn secrets_are_found_where_they_are_assigned() {
    for (text, secret) in [
        ("password=hunter2hunter2", "hunter2hunter2"),
        ("DB_PASSWORD: \"s3cr3t-Pass!\"", "s3cr3t-Pass!"),
        ("{\"api_key\": \"a1b2c3d4e5\"}", "a1b2c3d4e5"),
        ("postgres://app:pa55word@db.internal/main", "pa55word"),
        ("Authorization: Bearer abcdefghij0123456789xyz", "abcdefghij0123456789xyz"),
        ("password: 'correct!horse'", "correct!horse"),
        ("curl -H 'X-Api-Key: 0123456789abcdef'", "0123456789abcdef"),
    ] {
        assert_eq!(found(text), [("secret", secret)], "{text}");
    }
    let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----";
    assert_eq!(found(&format!("a\n{key}\nb")), [("secret", key)]);
}

#[test]
fn prose_and_code_stay_as_they_are() {
    for text in [
        "On 22.11.2026 at 10:30:45 we sold 1,234,567 units for 12.50 each, 3.14159 times as many.",
        "Version 1.2.3 replaces 0.9.12; see section 4.1.2.3.4 and issue #12345.",
        "2026-11-22T10:00:00.123456Z 2026-11-22 10:00:00",
        "Order 4111111111111112, article 123456789012, EAN 4006381333931.",
        "between 10 000 and 20 000 people, 100 200 300 in all, 1 000 000 000",
        "let x = std::mem::take(&mut self.held); a::b::c(1); #[derive(Debug)] fn f() -> Vec<u8> { vec![0x12, 255] }",
        "if password == other { return } let token = next_token(); secret: String, password: &str, token = lexer.next()",
        "@media (min-width: 768px) { .a { width: calc(100% - 2rem) } } user@localhost @name foo@",
        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 and 550e8400-e29b-41d4-a716-446655440000",
        "The task-based skill risk-averse asks; ask-me-anything-about-this-long-word, DE89 and GB29 are prefixes.",
        "http://localhost:8080/a/b?c=d#e https://example.com:443/ 127 users, 5 of 10, 3/4, 50-60 km, 9 am-5 pm",
        "In 2024 2025 2026 we grew by 12 34 56 percent. ISBN 978-3-16-148410-0",
        "token: \"deprecated-token\", \"secret\": \"--acme-semantic-color-text\", d=\"M 008236 016630\"",
        "00:1f, ::1, 12:34, a:b:c",
        "The Basin plan costs €29 a month; call us from 9 to 17.",
        "rgb(255, 255, 255) #ffffff 1e-12 0.1 + 0.2 = 0.30000000000000004",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn only_the_kinds_that_are_asked_for_are_masked() {
    let text = "jo@example.com paid with 4111 1111 1111 1111 from 8.8.8.8";
    assert_eq!(masked(text, &all()), "[EMAIL] paid with [CARD] from [IP]");
    assert_eq!(masked(text, &[Kind::Card].into()), "jo@example.com paid with [CARD] from 8.8.8.8");
    assert_eq!(masked(text, &BTreeSet::new()), text);
    // A value that contains another is one.
    assert_eq!(
        masked("postgres://jo:pa55@db.example.com/x", &all()),
        "postgres://jo:[SECRET]@db.example.com/x"
    );
}

#[test]
fn placeholders_become_values_again_also_when_they_are_cut() {
    let mut vault = Vault::default();
    let first = vault.redact("From jo@example.com to ed@example.com.", &all()).into_owned();
    assert_eq!(first, "From [EMAIL_1] to [EMAIL_2].");
    // The same value has the same placeholder; what looks like one comes back as it was.
    assert_eq!(vault.redact("jo@example.com wrote [EMAIL_1]", &all()), "[EMAIL_1] wrote [TEXT_1]");
    assert_eq!(
        vault.restore("Dear [EMAIL_2], [EMAIL_9] and [TEXT_1] [x]"),
        "Dear ed@example.com, [EMAIL_9] and [EMAIL_1] [x]"
    );
    let answer = "Hello [EMAIL_2], see [1] and [EMAIL_1][EMAIL_1] or [EMAIL";
    for cut in 0..answer.len() {
        for second in cut..answer.len() {
            let mut restorer = vault.restorer(false);
            let mut out = restorer.push(&answer[..cut]);
            out.push_str(&restorer.push(&answer[cut..second]));
            out.push_str(&restorer.push(&answer[second..]));
            out.push_str(&restorer.finish());
            assert_eq!(
                out, "Hello ed@example.com, see [1] and jo@example.comjo@example.com or [EMAIL",
                "{cut} {second}"
            );
        }
    }
    let mut vault = Vault::default();
    let key = "-----BEGIN PRIVATE KEY-----\nabc\"d\n-----END PRIVATE KEY-----";
    let json = format!("{{\"key\":\"{}\"}}", vault.redact(key, &all()));
    let restored: serde_json::Value = serde_json::from_str(&vault.restore_json(&json)).unwrap();
    assert_eq!(restored["key"], key);
}

fn pieces() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        "[ -~äß…\n]{0,12}",
        Just("jo@example.com".to_owned()),
        Just("4111 1111 1111 1111".to_owned()),
        Just("+49 30 1234567".to_owned()),
        Just("[EMAIL_1]".to_owned()),
        Just("DE89370400440532013000".to_owned()),
        Just("password=hunter2hunter2".to_owned()),
        Just("-----BEGIN RSA PRIVATE KEY-----".to_owned()),
        "[0-9 .:/()+@=-]{0,20}",
    ];
    proptest::collection::vec(words, 0..12).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// Whatever a text is, nothing panics, values do not overlap, and the text comes back.
    #[test]
    fn a_text_comes_back_as_it_was(texts in proptest::collection::vec(pieces(), 1..4), cut in any::<prop::sample::Index>()) {
        let mut vault = Vault::default();
        for text in &texts {
            let mut end = 0;
            for one in find(text, &all()) {
                prop_assert!(one.start >= end && one.end > one.start && text.get(one.start..one.end).is_some());
                end = one.end;
            }
            let redacted = vault.redact(text, &all()).into_owned();
            prop_assert_eq!(&vault.restore(&redacted), text);
            let at = redacted.floor_char_boundary(cut.index(redacted.len() + 1));
            let mut restorer = vault.restorer(false);
            let streamed = [restorer.push(&redacted[..at]), restorer.push(&redacted[at..]), restorer.finish()].concat();
            prop_assert_eq!(&streamed, text);
        }
    }
}
