//! Ten mistakes of a tired editor, in a copy of the demo: each is one cause, told once, with the way out. First in files, as
//! `ashlar check` sees them; then in drafts, from `entry put` through the candidate to the refused promotion.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{path::Path, process::Output, sync::OnceLock};

use common::{Rig, copied, http, start};
use serde_json::{Value, json};

fn text(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

/// Output without times.
fn plain(said: &str) -> String {
    said.lines()
        .map(|line| match line.rsplit_once(", ") {
            Some((rest, end)) if end.ends_with(" ms") => format!("{rest}, … ms"),
            _ => line.trim_end().to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Causes of level error in an answer with gates, each with a way out.
fn causes(answer: &Value) -> usize {
    let groups =
        answer["gates"].as_array().unwrap().iter().flat_map(|g| g["groups"].as_array().into_iter().flatten());
    let errors: Vec<&Value> = groups.filter(|g| g["level"] == "error").collect();
    for error in &errors {
        assert!(error["help"].as_str().is_some_and(|h| !h.is_empty()), "no way out: {error}");
        assert!(error["where"].as_array().is_some_and(|w| !w.is_empty()), "no place: {error}");
    }
    errors.len()
}

/// A mistake in files: what `check` says about it, against the project without it.
fn check(exit: i32, make: impl FnOnce(&Rig)) -> String {
    let rig = Rig::demo();
    copied(&rig.path().join("site"), &rig.path().join("before"));
    make(&rig);
    let report = rig.json(exit, &["check", "site", "--against", "before", "--format", "json"]);
    assert_eq!(causes(&report), 1, "{report:#}");
    let out = rig.run(&["check", "site", "--against", "before"]);
    assert_eq!(out.status.code(), Some(exit));
    plain(&text(&out))
}

#[test]
fn in_files_a_misspelled_field() {
    let said = check(1, |rig| {
        rig.edit("site/content/doc-article/first-day.en.md", "summary:", "sumary:");
    });
    insta::assert_snapshot!(said);
}

#[test]
fn in_files_a_link_to_nothing() {
    let said = check(1, |rig| {
        for page in ["draw-your-harbour", "first-day", "export"] {
            let path = format!("site/content/doc-article/{page}.en.md");
            let text = rig.read(&path)
                + "\nSee [the tide](/en/docs/tide-window) and [again](/en/docs/tide-window).\n";
            rig.write(&path, &text);
        }
    });
    insta::assert_snapshot!(said);
}

#[test]
fn in_files_a_reference_to_nothing() {
    let said = check(1, |rig| {
        for locale in ["en", "de", "fr"] {
            rig.edit(
                &format!("site/content/feature/berth-map.{locale}.json"),
                r#""planning""#,
                r#""planing""#,
            );
        }
    });
    insta::assert_snapshot!(said);
}

#[test]
fn in_files_a_value_that_is_not_allowed() {
    let said = check(1, |rig| {
        for locale in ["en", "de", "fr"] {
            rig.edit(&format!("site/content/feature/berth-map.{locale}.json"), r#""berth""#, r#""berht""#);
        }
    });
    insta::assert_snapshot!(said);
}

#[test]
fn in_files_a_missing_comma() {
    let said = check(1, |rig| {
        rig.edit("site/content/pricing-plan/jetty.en.json", r#""EUR","#, r#""EUR""#);
        rig.edit("site/content/pricing-plan/jetty.de.json", r#""EUR","#, r#""EUR","#);
    });
    insta::assert_snapshot!(said);
}

#[test]
fn in_files_a_table_that_is_not_known() {
    let said = check(2, |rig| rig.edit("site/ashlar.toml", "[locales]", "[locale]"));
    insta::assert_snapshot!(said);
}

#[test]
fn in_files_a_folder_that_is_not_a_type() {
    let said = check(1, |rig| {
        let content = rig.path().join("site/content");
        std::fs::rename(content.join("faq-item"), content.join("faq-items")).unwrap();
    });
    insta::assert_snapshot!(said);
}

#[test]
fn in_files_an_address_that_vanishes() {
    let said = check(1, |rig| {
        rig.edit("site/content/doc-article/export.en.md", r#"slug: "export""#, r#"slug: "exports""#);
    });
    insta::assert_snapshot!(said);
}

#[test]
fn in_files_an_address_twice() {
    let said = check(1, |rig| {
        let text = rig.read("site/content/doc-article/export.en.md");
        rig.write("site/content/doc-article/export-2.en.md", &text);
    });
    insta::assert_snapshot!(said);
}

#[test]
fn in_files_a_filter_that_a_layout_misspells() {
    let said = check(1, |rig| rig.edit("site/site/layouts/article.html", "|markdown", "|markdwn"));
    insta::assert_snapshot!(said);
}

/// A contract that is no JSON is one cause, whatever depends on it.
#[test]
fn in_files_a_contract_that_cannot_be_read() {
    let said = check(1, |rig| {
        rig.edit("site/contracts/feature.v1.json", r#""type": "object","#, r#""type": "object""#)
    });
    insta::assert_snapshot!(said);
}

/// What looks like content or definitions and is not read is named.
#[test]
fn in_files_what_is_not_read() {
    let rig = Rig::demo();
    rig.place("site/content/page/team.en.yaml", "title: Team\n");
    rig.place("site/view/team.v1.toml", "source = 'page'\n");
    rig.place("site/queries/team.gql", "query Team { page(slug: \"team\") { title } }\n");
    rig.place("site/redirect.toml", "");
    let out = rig.run(&["check", "site"]);
    assert_eq!(out.status.code(), Some(0));
    insta::assert_snapshot!(plain(&text(&out)));
}

/// The demo with its first release, made once.
fn released() -> &'static Path {
    static MADE: OnceLock<Rig> = OnceLock::new();
    MADE.get_or_init(|| {
        let rig = Rig::demo();
        let done = |args: &[&str]| assert!(rig.run(args).status.success(), "{args:?}");
        done(&["push", "site", "--content", "--as", "mara"]);
        done(&["candidate", "create", "--as", "mara"]);
        for (right, who) in [("pricing", "ines"), ("claim", "teodor"), ("legal", "omar")] {
            done(&["candidate", "approve", "c1", "--right", right, "--as", who]);
        }
        done(&["release", "promote", "c1"]);
        rig
    })
    .path()
}

/// A mistake in a draft: what every step says about it. Each step is named by its arguments.
struct Story {
    rig: Rig,
    said: String,
}

impl Story {
    fn new() -> Self {
        let rig = Rig { dir: tempfile::tempdir().unwrap(), data: String::new() };
        copied(&released().join("demo"), &rig.path().join("data"));
        Self { rig, said: String::new() }
    }

    /// Runs a step, always with `--data`, so that what it tells to type next names it.
    fn step(&mut self, exit: i32, args: &[&str]) {
        let mut all = args.to_vec();
        all.extend(["--data", "data", "--as", "mara"]);
        let out = self.rig.run(&all);
        let said = text(&out);
        assert_eq!(out.status.code(), Some(exit), "{args:?}: {said}");
        self.said.push_str(&format!("$ ashlar {}\n{}\n", args.join(" "), plain(&said)));
    }

    fn fields(&self, type_name: &str, id: &str, locale: &str) -> Value {
        self.rig.json(0, &["entry", "get", type_name, id, "--locale", locale, "--data", "data"])
    }

    fn put(&mut self, type_name: &str, id: &str, locale: &str, fields: &Value) {
        self.rig.write("put.json", &format!("{fields:#}"));
        self.step(0, &["entry", "put", type_name, id, "--locale", locale, "--file", "put.json"]);
    }

    /// The candidate fails for one cause, and promoting it is refused.
    fn refused(mut self) -> String {
        self.step(0, &["candidate", "create"]);
        self.step(1, &["release", "promote", "c2"]);
        let shown = self.rig.json(0, &["candidate", "show", "c2", "--data", "data", "--format", "json"]);
        assert_eq!(causes(&shown), 1, "{shown:#}");
        self.said.lines().map(scrubbed).collect::<Vec<_>>().join("\n")
    }
}

/// Digests differ with the time of a release.
fn scrubbed(line: &str) -> String {
    match line.split_once("snapshot ") {
        Some((rest, _)) => format!("{rest}snapshot …"),
        None => line.to_owned(),
    }
}

#[test]
fn in_drafts_a_misspelled_field() {
    let mut story = Story::new();
    let mut fields = story.fields("doc-article", "first-day", "en");
    let summary = fields.as_object_mut().unwrap().remove("summary").unwrap();
    fields["sumary"] = summary;
    story.put("doc-article", "first-day", "en", &fields);
    insta::assert_snapshot!(story.refused());
}

#[test]
fn in_drafts_a_link_to_nothing() {
    let mut story = Story::new();
    for id in ["first-day", "export", "draw-your-harbour"] {
        let mut fields = story.fields("doc-article", id, "en");
        let body = format!("{}\nSee [the tide](/en/docs/tide-window).\n", fields["body"].as_str().unwrap());
        fields["body"] = body.into();
        story.put("doc-article", id, "en", &fields);
    }
    insta::assert_snapshot!(story.refused());
}

#[test]
fn in_drafts_a_reference_to_nothing() {
    let mut story = Story::new();
    let mut fields = story.fields("feature", "berth-map", "en");
    fields["category"] = "planing".into();
    story.put("feature", "berth-map", "en", &fields);
    insta::assert_snapshot!(story.refused());
}

#[test]
fn in_drafts_a_value_that_is_not_allowed() {
    let mut story = Story::new();
    let mut fields = story.fields("feature", "berth-map", "en");
    fields["icon"] = "berht".into();
    story.put("feature", "berth-map", "en", &fields);
    insta::assert_snapshot!(story.refused());
}

#[test]
fn in_drafts_a_required_field_that_a_route_needs() {
    let mut story = Story::new();
    let mut fields = story.fields("doc-article", "export", "en");
    fields.as_object_mut().unwrap().remove("slug");
    story.put("doc-article", "export", "en", &fields);
    insta::assert_snapshot!(story.refused());
}

#[test]
fn in_drafts_an_address_that_vanishes() {
    let mut story = Story::new();
    let mut fields = story.fields("doc-article", "export", "en");
    fields["slug"] = "exports".into();
    story.put("doc-article", "export", "en", &fields);
    insta::assert_snapshot!(story.refused());
}

#[test]
fn in_drafts_an_address_twice() {
    let mut story = Story::new();
    let fields = story.fields("doc-article", "export", "en");
    story.put("doc-article", "export-2", "en", &fields);
    insta::assert_snapshot!(story.refused());
}

#[test]
fn in_drafts_a_price_that_nobody_approved() {
    let mut story = Story::new();
    let mut fields = story.fields("pricing-plan", "basin", "en");
    fields["price_minor"] = 15_900.into();
    story.put("pricing-plan", "basin", "en", &fields);
    insta::assert_snapshot!(story.refused());
}

/// What cannot be written at all is reported at once.
#[test]
fn in_drafts_what_is_not_written() {
    let mut story = Story::new();
    let fields = story.fields("faq-item", "languages", "en");
    story.rig.write("put.json", &fields.to_string());
    story.step(2, &["entry", "put", "faq-items", "languages", "--locale", "en", "--file", "put.json"]);
    story.step(2, &["entry", "put", "faq-item", "languages", "--locale", "eng", "--file", "put.json"]);
    story.rig.write("put.json", "{\n  \"question\": \"Which?\"\n  \"answer\": \"All.\"\n}\n");
    story.step(2, &["entry", "put", "faq-item", "languages", "--locale", "en", "--file", "put.json"]);
    story.rig.write("put.json", "{\"qestion\": \"Which?\"}");
    story.step(
        1,
        &["entry", "put", "faq-item", "languages", "--locale", "en", "--file", "put.json", "--strict"],
    );
    insta::assert_snapshot!(story.said);
}

#[test]
fn in_drafts_nothing_to_release() {
    let mut story = Story::new();
    story.step(0, &["candidate", "create"]);
    insta::assert_snapshot!(story.said.lines().map(scrubbed).collect::<Vec<_>>().join("\n"));
}

/// Language tags are compared without case.
#[test]
fn a_locale_is_found_whatever_its_case() {
    let mut story = Story::new();
    let fields = story.fields("feature", "berth-map", "DE");
    assert_eq!(fields, story.fields("feature", "berth-map", "de"));
    story.put("feature", "berth-map", "DE", &fields);
    assert!(story.said.contains("\"locale\":\"de\""), "{}", story.said);
    let rig = Rig::demo();
    let content = rig.path().join("site/content/feature");
    std::fs::rename(content.join("berth-map.de.json"), content.join("berth-map.DE.json")).unwrap();
    let report = rig.json(0, &["check", "site", "--format", "json"]);
    assert_eq!(report["status"], "pass");
}

/// A tree with a locale that the project does not have names the files, and writes nothing or says what it wrote.
#[test]
fn an_import_names_the_files_it_cannot_take() {
    let mut story = Story::new();
    for (locale, id) in [("en", "one"), ("xx", "two"), ("xx", "three"), ("DE", "four")] {
        let line = format!("---\nslug: {id}\ntitle: T\nsummary: S\ncategory: money\norder: 1\n---\nText.\n");
        story.rig.place(&format!("tree/{locale}/{id}.md"), &line);
    }
    story.rig.write("map.toml", "type = 'doc-article'\nlocale_segment = 0\n");
    story.step(2, &["import", "markdown", "tree", "--mapping", "map.toml"]);
    story.step(2, &["entry", "get", "doc-article", "one", "--locale", "en"]);
    story.step(0, &["import", "markdown", "tree", "--mapping", "map.toml", "--keep-going"]);
    insta::assert_snapshot!(story.said);
}

/// `/` is a prefix of every path.
#[test]
fn links_below_the_root_can_be_ignored() {
    let rig = Rig::demo();
    let path = "site/content/doc-article/export.en.md";
    rig.write(path, &(rig.read(path) + "\nSee [the old site](/old/pages/7).\n"));
    assert_eq!(rig.json(1, &["check", "site", "--format", "json"])["status"], "fail");
    rig.edit("site/ashlar.toml", "[channels]", "[gates]\nlinks_ignored = [\"/\"]\n\n[channels]");
    assert_eq!(rig.json(0, &["check", "site", "--format", "json"])["status"], "pass");
}

/// A preview link is a whole address.
#[test]
fn a_preview_link_is_a_whole_address() {
    let story = Story::new();
    let out = story.rig.run(&["preview", "draft", "--data", "data"]);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(said.starts_with("http://127.0.0.1:") && said.contains("/preview/"), "{said}");
}

/// The same groups and the same suggestions over HTTP.
#[test]
fn over_http_causes_are_grouped_and_names_suggested() {
    let story = Story::new();
    let data = story.rig.path().join("data");
    let (_served, ready) = start(&story.rig, &["serve", "--data", data.to_str().unwrap()]);
    assert!(ready.get("studio_url").is_none(), "{ready}");
    let url = ready["url"].as_str().unwrap().to_owned();
    let key = ready["keys"]["admin"].as_str().unwrap().to_owned();
    let ask = |method: &str, path: &str, body: &Value| -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, _, answer) = http(&url, method, path, &key, &body);
        (status, serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{path}: {e}: {answer}")))
    };
    let path = "/api/v1/entries/feature/berth-map?locale=EN";
    let (_, draft) = ask("GET", path, &Value::Null);
    let mut fields = draft["fields"].clone();
    fields["icon"] = "berht".into();
    let (status, answer) = ask("PUT", path, &json!({"fields": fields, "strict": true}));
    assert_eq!(
        (status, answer["type"].as_str()),
        (409, Some("urn:ashlar:problem:contract-refuses")),
        "{answer}"
    );
    assert_eq!(answer["groups"][0]["where"], json!(["feature/berth-map (en) /icon"]));
    let (_, unchanged) = ask("GET", path, &Value::Null);
    assert_eq!(unchanged["version"], draft["version"]);
    fields["icon"] = "berth".into();
    fields["category"] = "planing".into();
    assert_eq!(ask("PUT", path, &json!({"fields": fields})).0, 200);
    let (_, candidate) = ask("POST", "/api/v1/candidates", &json!({}));
    assert_eq!(causes(&candidate), 1);
    let gate = candidate["gates"].as_array().unwrap().iter().find(|g| g["gate"] == "references").unwrap();
    assert_eq!(
        (&gate["groups"][0]["count"], &gate["groups"][0]["target"]),
        (&json!(3), &json!("category/planing"))
    );
    let (status, refused) = ask("POST", "/api/v1/candidates/c2/promote", &json!({"note": ""}));
    assert_eq!((status, &refused["groups"]), (422, &gate["groups"]), "{refused}");
    for (path, near) in [
        ("/v1/plnas/basin", "did you mean `plans`?"),
        ("/v1/entries/pricing-plans", "did you mean `pricing-plan`?"),
        ("/v1/entries/pricing-plan?price_mior=1", "did you mean `price_minor`?"),
        ("/v1/entries/pricing-plan?locale=eng", "did you mean `en`?"),
    ] {
        let (_, problem) = ask("GET", path, &Value::Null);
        assert!(problem["help"].as_str().is_some_and(|h| h.starts_with(near)), "{path}: {problem}");
    }
    let out = story.rig.run(&["preview", "draft", "--data", data.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&out.stdout).starts_with(&format!("{url}/preview/")), "{}", text(&out));
}

/// A dry run needs no installation, but one that is named and cannot be used is not passed over.
#[test]
fn a_dry_run_says_what_is_wrong_with_its_target() {
    let rig = Rig::new();
    assert!(rig.run(&["push", "site"]).status.success());
    let entry =
        json!({"type": "plan", "id": "a", "locale": "en", "fields": {"slug": "a", "name": "A", "price": 1}});
    rig.write("plans.jsonl", &entry.to_string());
    let dry = |more: &[&str]| rig.run(&[&["import", "json", "plans.jsonl", "--dry-run"], more].concat());
    assert!(dry(&[]).status.success());
    assert!(dry(&["--data", "elsewhere"]).status.success());
    let refused = dry(&["--tenant", "nope"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("there is no tenant `nope`"), "{said}");
}
