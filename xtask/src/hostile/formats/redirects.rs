//! Redirects: chains, cycles, many.

use super::text::pieces;
use crate::hostile::corpus::{Generator, Load};

fn redirects(n: usize, from: impl Fn(usize) -> String, to: impl Fn(usize) -> String) -> Load {
    Load::file(
        "redirects.toml",
        pieces(n, "\n", |i| {
            format!("[[redirect]]\nfrom = \"{}\"\nto = \"{}\"\nstatus = 301", from(i), to(i))
        }),
    )
}

const MANY: [usize; 4] = [10, 1_000, 3_000, 100_000];

macro_rules! generator {
    ($name:literal, $sizes:expr, $make:expr) => {
        Generator { format: "redirects", name: $name, sizes: $sizes, make: $make }
    };
}

/// What leads where.
pub const ALL: &[Generator] = &[
    generator!("chain", MANY, |_, n| redirects(n, |i| format!("/en/r{i}"), |i| format!("/en/r{}", i + 1))),
    generator!("chain-backwards", MANY, |_, n| redirects(
        n,
        |i| format!("/en/r{}", i + 1),
        |i| format!("/en/r{i}")
    )),
    generator!("chain-to-page", MANY, |_, n| {
        redirects(
            n,
            |i| format!("/en/r{i}"),
            |i| if i + 1 == n { "/en/home".to_owned() } else { format!("/en/r{}", i + 1) },
        )
    }),
    generator!("cycle", MANY, |_, n| redirects(
        n,
        |i| format!("/en/r{i}"),
        |i| format!("/en/r{}", (i + 1) % n)
    )),
    generator!("cycles", MANY, |_, n| redirects(n, |i| format!("/en/r{i}"), |i| format!("/en/r{}", i ^ 1))),
    generator!("to-itself", MANY, |_, n| redirects(n, |i| format!("/en/r{i}"), |i| format!("/en/r{i}"))),
    generator!("fan", MANY, |_, n| redirects(n, |i| format!("/en/r{i}"), |_| "/en/home".to_owned())),
    generator!("same", MANY, |_, n| redirects(n, |_| "/en/r".to_owned(), |_| "/en/home".to_owned())),
    generator!("to-nothing", MANY, |_, n| redirects(
        n,
        |i| format!("/en/r{i}"),
        |i| format!("/en/nothing{i}")
    )),
    generator!("shadowing", [1, 2, 3, 4], |_, n| redirects(
        n,
        |i| ["/en/home", "/", "/en/all", "/healthz"][i % 4].to_owned(),
        |_| "/en/p1".to_owned()
    )),
    generator!("targets", [1, 2, 3, 4], |_, n| {
        redirects(
            n,
            |i| format!("/en/r{i}"),
            |i| {
                ["javascript:alert(1)", "//evil.example", "/en/\\\\r\\\\nx: y", "/\\\\\\\\evil.example"]
                    [i % 4]
                    .to_owned()
            },
        )
    }),
    generator!("long", [100, 8_000, 100_000, 4_000_000], |_, n| redirects(
        1,
        |_| format!("/{}", "a".repeat(n)),
        |_| format!("/{}", "b".repeat(n))
    )),
    generator!("segments", [100, 4_000, 50_000, 2_000_000], |_, n| redirects(
        1,
        |_| "/a".repeat(n),
        |_| "/en/home".to_owned()
    )),
    generator!("wildcards", [10, 100, 1_000, 20_000], |_, n| redirects(
        n,
        |i| format!("/en/r{i}/*"),
        |i| format!("/en/r{}/:splat", i + 1)
    )),
];
