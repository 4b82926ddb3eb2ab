//! What is said about view files.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use ashlar_contracts::ContractSet;
use ashlar_delivery::views::Views;
use common::files;

fn check(path: &str, text: &str, expect: &[&str]) {
    let mut files = files();
    files.insert(path, text.as_bytes().to_vec()).unwrap();
    let (contracts, _) = ContractSet::load(&files);
    let (_, findings) = Views::parse(&files, &contracts);
    let got: Vec<String> = findings.iter().map(|f| format!("{} {} {}", f.place, f.code, f.message)).collect();
    assert_eq!(got, expect, "{text}");
}

#[test]
fn explains_what_is_wrong() {
    let view = "views/x.v1.toml";
    check(view, "source = 'page'\nlookup = 'slug'", &[]);
    check(view, "source = 'page'\nlookup = 'slug'\npath = '/v1/x/{slug…}'", &[]);
    check("views/x.toml", "", &["views/x.toml view-name `x` is not a view name"]);
    check("views/X.v1.toml", "", &["views/X.v1.toml view-name `X.v1` is not a view name"]);
    check(
        view,
        "source = 'page'\nlookup = 'slug'\nfield = []",
        &[
            "views/x.v1.toml:3 view-syntax unknown field `field`, expected one of `source`, `lookup`, `path`, `fields`, `cache_control`, `version`, `deprecated`, `sunset`, `replaced_by`, `rename`, `include`",
        ],
    );
    check(
        view,
        "source = 'nope'\nlookup = 'slug'",
        &["views/x.v1.toml view-type-unknown there is no content type `nope`"],
    );
    check(
        view,
        "source = 'page'\nlookup = 'name'\nfields = ['title', 'nope']",
        &[
            "views/x.v1.toml view-lookup-unknown lookup names `name`, which `page` does not have",
            "views/x.v1.toml view-field-unknown fields names `nope`, which `page` does not have",
        ],
    );
    check(
        view,
        "source = 'page'\nlookup = 'id'\n[include.title]\n[include.plans]\nfields = ['nope']",
        &[
            "views/x.v1.toml view-field-unknown fields names `nope`, which `plan` does not have",
            "views/x.v1.toml view-include-not-a-ref include.title: `page` has no reference field there",
        ],
    );
    check(
        view,
        "source = 'page'\nlookup = 'id'\nfields = ['title']\n[include.plans]",
        &["views/x.v1.toml view-include-hidden include.plans is about a field that `fields` leaves out"],
    );
    check(
        view,
        "source = 'page'\nlookup = 'id'\n[include.a.include.b.include.c.include.d.include.e]",
        &["views/x.v1.toml view-include-depth includes are nested deeper than 4 levels"],
    );
    check(
        view,
        "source = 'page'\nlookup = 'id'\npath = '/v1/pages/{id}'",
        &["views/x.v1.toml view-path-duplicate `/v1/pages/` is already the path of view `pages.v1`"],
    );
    for path in ["/v1/x", "/x/{id}", "/v1/{id}", "/v1/x/{id}/y", "/v1//{id}", "/v1/x y/{id}"] {
        let message = format!("views/x.v1.toml view-path `{path}` is not a path for a view");
        check(view, &format!("source = 'page'\nlookup = 'id'\npath = '{path}'"), &[&message]);
    }
    check(
        view,
        "source = 'page'\nlookup = 'id'\npath = '/v2/x/{id}'",
        &["views/x.v1.toml view-path `/v2/x/{id}` is a path of version 2; this is version 1 of the view"],
    );
    check(
        view,
        "source = 'page'\nlookup = 'id'\npath = '/v1/entries/{id}'",
        &["views/x.v1.toml view-path `/v1/entries` is not free for views"],
    );
}
