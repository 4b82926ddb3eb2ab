//! Every way in which a file can be wrong has a finding with its place and a way out.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;

use ashlar_model::{Files, Finding, Locale, LocaleConfig, TypeName};
use ashlar_project::{ContentOptions, Governance, Mapping, Redirects, content, import};

fn options() -> ContentOptions {
    ContentOptions {
        default_locale: Locale::new("en").unwrap(),
        body_fields: BTreeMap::from([(TypeName::new("doc").unwrap(), "text".to_owned())]),
        locales: LocaleConfig { supported: vec![Locale::new("de").unwrap()], ..LocaleConfig::default() },
    }
}

fn show(findings: &[Finding]) -> String {
    findings.iter().map(|f| format!("{} {}: {} [{}]\n", f.code, f.place, f.message, f.help)).collect()
}

fn parse(path: &str, bytes: &[u8]) -> String {
    match content::parse(path, bytes, &options()) {
        Ok(entries) => entries
            .iter()
            .map(|e| {
                let contract = e.contract.as_ref().map_or(String::new(), |c| format!(" {c}"));
                format!("{}{contract} {} {}\n", e.key, serde_json::Value::Object(e.fields.clone()), e.source)
            })
            .collect(),
        Err(findings) => show(&findings),
    }
}

#[test]
fn content_files() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(70), "]".repeat(70));
    let deeper = "[".repeat(100_000);
    let bomb = format!(
        "---\na: &a [x,x,x,x,x,x,x,x,x,x]\n{}\n---\n",
        ('b'..='j')
            .zip('a'..)
            .map(|(to, from)| format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 10].join(",")))
            .collect::<String>()
    );
    let wide =
        format!("---\na: &a [{}]\nb: [{}]\n---\n", "xxxxxxxxxxxxxxx,".repeat(20_000), "*a,".repeat(20_000));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("content/page/home.en.json", br#"{"title":"Hi","$contract":"page.v2"}"#.to_vec()),
        ("content/page/home.json", b"\xef\xbb\xbf{\"title\":\"BOM\"}".to_vec()),
        ("content/page/v1.2.json", b"{}".to_vec()),
        ("content/page/sub/deep.de-AT.json", b"{}".to_vec()),
        ("content/page/a.en.json", b"{\n  \"title\": \"x\",\n}".to_vec()),
        ("content/page/a.en.json", b"".to_vec()),
        ("content/page/a.en.json", b"[1]".to_vec()),
        ("content/page/a.en.json", b"{} x".to_vec()),
        ("content/page/a.en.json", b"{\"a\":1,\n\"a\":2}".to_vec()),
        ("content/page/a.en.json", b"{\"a\":9007199254740993}".to_vec()),
        ("content/page/a.en.json", b"{\"a\":\"\\ud800\"}".to_vec()),
        ("content/page/a.en.json", b"{\"a\":\n\"\xff\"}".to_vec()),
        ("content/page/a.en.json", b"\xff\xfe{\0}\0".to_vec()),
        ("content/page/a.en.json", b"{\"$contract\":\"post.v1\"}".to_vec()),
        ("content/page/a.en.json", deep.into_bytes()),
        ("content/page/a.en.json", deeper.into_bytes()),
        ("content/Page/a.en.json", b"{}".to_vec()),
        ("content/a.en.json", b"{}".to_vec()),
        ("content/page/a b.en.json", b"{}".to_vec()),
        ("content/doc/a.en.md", b"---\r\ntitle: Hi\r\ndate: 2024-02-03\r\n---\r\n\r\nBody\r\nmore\r\n".to_vec()),
        ("content/doc/a.en.md", b"+++\ntitle = 'Hi'\ndate = 2024-02-03T10:00:00Z\nday = 2024-02-03\n+++\n".to_vec()),
        ("content/doc/a.en.md", b"no front matter".to_vec()),
        ("content/doc/a.en.md", b"---\ntitle: x\n".to_vec()),
        ("content/doc/a.en.md", b"---\ntitle: a: b\n---\n".to_vec()),
        ("content/doc/a.en.md", b"---\ntitle: x\n\tbad: y\n---\n".to_vec()),
        ("content/doc/a.en.md", b"---\n- a\n---\n".to_vec()),
        ("content/doc/a.en.md", b"---\na: 1\na: 2\n---\n".to_vec()),
        ("content/doc/a.en.md", b"---\na: !x 1\n---\n".to_vec()),
        ("content/doc/a.en.md", b"---\na: .nan\n---\n".to_vec()),
        ("content/doc/a.en.md", b"---\na: &a\n  x: 1\nb:\n  <<: *a\n---\n".to_vec()),
        ("content/doc/a.en.md", b"---\ntext: x\n---\nbody".to_vec()),
        ("content/doc/a.en.md", b"+++\na = \n+++\n".to_vec()),
        ("content/doc/a.en.md", bomb.into_bytes()),
        ("content/doc/a.en.md", wide.into_bytes()),
        (
            "content/all.ndjson",
            b"{\"type\":\"page\",\"id\":\"a\",\"fields\":{}}\n\n{\"type\":\"page\",\"id\":\"b\",\"locale\":\"de\",\"contract\":\"page.v1\",\"fields\":{\"x\":1}}\r\n".to_vec(),
        ),
        (
            "content/all.ndjson",
            b"{\"type\":\"page\"}\n{\"type\":\"page\",\"id\":\"/\",\"fields\":{}}\n{]\n{\"type\":\"page\",\"id\":\"a\",\"fields\":1}\n{\"type\":\"page\",\"id\":\"a\",\"fields\":{},\"x\":1}\n\xff\n3\n".to_vec(),
        ),
    ];
    let report: String = cases.iter().map(|(path, bytes)| parse(path, bytes)).collect::<Vec<_>>().concat();
    insta::assert_snapshot!(report, @r#"
page/home (en) page.v2 {"title":"Hi"} content/page/home.en.json:1
page/home (en) {"title":"BOM"} content/page/home.json:1
page/v1.2 (en) {} content/page/v1.2.json:1
page/sub.deep (de-AT) {} content/page/sub/deep.de-AT.json:1
json-malformed content/page/a.en.json:3:1: Trailing comma. [remove the comma]
json-malformed content/page/a.en.json:1:1: EOF while parsing a value. [the file is empty; write an object such as {}]
not-an-object content/page/a.en.json:1:1: An entry is a JSON object of fields. [write {"title": …}]
json-malformed content/page/a.en.json:1:4: Trailing characters. [fix the JSON at this place; comments and trailing commas are not allowed]
duplicate-key content/page/a.en.json:2:3: The key `a` appears twice in the same object. [remove one of the two]
integer-range content/page/a.en.json:1:21: The integer 9007199254740993 is beyond ±(2^53 − 1) and would lose digits. [store it as a string]
json-malformed content/page/a.en.json:1:13: Unexpected end of hex escape. [fix the JSON at this place; comments and trailing commas are not allowed]
encoding content/page/a.en.json:2:2: The file is not UTF-8: byte 0xff is not allowed here. [save the file as UTF-8]
encoding content/page/a.en.json:1:1: The file is UTF-16, not UTF-8. [save the file as UTF-8]
contract-name content/page/a.en.json:1 /$contract: "post.v1" does not name a contract of type `page`. [write a name such as "page.v1", or leave it out]
too-deep content/page/a.en.json:1:69: Nested deeper than 64 levels. [flatten the value, or move parts of it to entries of their own]
too-deep content/page/a.en.json:1:65: Nested deeper than 64 levels. [flatten the value, or move parts of it to entries of their own]
content-path content/Page/a.en.json: The folder: `Page` is not a type name: lower-case letters, digits and hyphens, starting with a letter, at most 64 characters. [name it content/<type>/<id>.<locale>.json (or .md), for example content/page/home.en.json]
content-path content/a.en.json: The file is not in a folder of a content type. [name it content/<type>/<id>.<locale>.json (or .md), for example content/page/home.en.json]
content-path content/page/a b.en.json: The file name: `a b` is not an entry id: letters, digits, `.`, `_` and `-`, starting with a letter or digit, at most 200 characters. [name it content/<type>/<id>.<locale>.json (or .md), for example content/page/home.en.json]
doc/a (en) {"date":"2024-02-03","text":"Body\nmore","title":"Hi"} content/doc/a.en.md:1
doc/a (en) {"date":"2024-02-03T10:00:00Z","day":"2024-02-03","title":"Hi"} content/doc/a.en.md:1
doc/a (en) {"text":"no front matter"} content/doc/a.en.md:1
front-matter content/doc/a.en.md:1:1: The front matter that starts with `---` has no closing `---` line. [close it with a line that contains only `---`]
yaml-malformed content/doc/a.en.md:2:9: Mapping values are not allowed in this context. [quote values that contain `: `, `#`, `@` or start with a bracket]
yaml-malformed content/doc/a.en.md:3:1: Found a tab character that violates indentation. [YAML is indented with spaces, not with tabs]
front-matter content/doc/a.en.md:2:1: The front matter is not a list of names with values. [write lines such as `title: About us`]
duplicate-key content/doc/a.en.md:2:1: The key `a` appears twice in the same object. [remove one of the two]
yaml-malformed content/doc/a.en.md:2:4: Tags (`!name`) are not supported; write the plain value. [quote values that contain `: `, `#`, `@` or start with a bracket]
yaml-malformed content/doc/a.en.md:2:4: NaN is not a number that JSON has. [quote values that contain `: `, `#`, `@` or start with a bracket]
yaml-malformed content/doc/a.en.md:5:3: Merge keys (`<<`) are not supported; write the keys out. [quote values that contain `: `, `#`, `@` or start with a bracket]
duplicate-key content/doc/a.en.md:2 /text: `text` is in the front matter, and the file has a body as well. [keep one of the two]
toml-malformed content/doc/a.en.md:2:5: String values must be quoted, expected literal string. [fix the TOML at this place; text values need quotes]
too-large content/doc/a.en.md:2:1: Repetition limit exceeded. [write the values out instead of repeating them through aliases]
too-large content/doc/a.en.md:2:244712: The value grows too large when it is expanded. [write the values out instead of repeating them through aliases]
page/a (en) {} content/all.ndjson:1
page/b (de) page.v1 {"x":1} content/all.ndjson:3
entry-line content/all.ndjson:1: `id` is missing. [write {"type":"page","id":"home","locale":"en","fields":{…}}]
entry-line content/all.ndjson:2 /id: `id`: `/` is not an entry id: letters, digits, `.`, `_` and `-`, starting with a letter or digit, at most 200 characters. [write {"type":"page","id":"home","locale":"en","fields":{…}}]
json-malformed content/all.ndjson:3:2: Key must be a string. [fix the JSON at this place; comments and trailing commas are not allowed]
entry-line content/all.ndjson:4 /fields: `fields` is not an object. [write {"type":"page","id":"home","locale":"en","fields":{…}}]
entry-line content/all.ndjson:5 /x: `x` is not a key of an entry line. [write {"type":"page","id":"home","locale":"en","fields":{…}}]
encoding content/all.ndjson:6:1: The file is not UTF-8: byte 0xff is not allowed here. [save the file as UTF-8]
entry-line content/all.ndjson:7: An entry is a JSON object. [write {"type":"page","id":"home","locale":"en","fields":{…}}]
"#);
}

#[test]
fn governance_and_redirects() {
    let read = |path: &str, text: &str| {
        let mut files = Files::new();
        files.insert(path, text.as_bytes().to_vec()).unwrap();
        let findings = match path {
            "governance.toml" => Governance::parse(&files).err(),
            _ => Redirects::parse(&files).err(),
        };
        show(&findings.unwrap_or_default())
    };
    let report = [
        read("governance.toml", "[approvals.pricing]\npeople = ['ines']\n[[waiver]]\ngate='links'\nby='a'\nreason='r'\nuntil=2027-01-01\n"),
        read("governance.toml", "[approvals.pricing]\npeeple = ['ines']\n"),
        read("governance.toml", "[[accept]]\nchange = 'abc'\nby = 'a'\nreason = 'r'\n"),
        read("governance.toml", "[[waiver]]\ngate='links'\nby=''\nreason='r'\nuntil=10:00:00\n"),
        read("redirects.toml", "[[redirect]]\nfrom = '/a/'\nto = '/b'\n\n[[redirect]]\nfrom = '/a'\nto = '/c'\n"),
        read("redirects.toml", "[[redirect]]\nfrom = 'a'\nto = '/b'\n[[redirect]]\nfrom = '/x'\nto = '//evil'\n[[redirect]]\nfrom = '/y'\nto = '/z'\nstatus = 200\n"),
        read("redirects.toml", "[[redirect]]\nfrom = "),
    ]
    .concat();
    insta::assert_snapshot!(report, @r#"
toml-malformed governance.toml:2:1: Unknown field `peeple`, expected `people`. [did you mean `people`?]
toml-malformed governance.toml:2:10: `abc` is not a digest: 64 hexadecimal digits are expected. []
governance governance.toml:1: `by` is empty; a person and a reason are required. []
governance governance.toml:1: `until = 10:00:00` is not a day. [write a date such as 2027-01-01]
redirect redirects.toml:5: `/a` is already redirected on line 1. [keep one of the two]
redirect redirects.toml:1: `from` is `a`, which is not a path of the project. [write a path such as /old]
redirect redirects.toml:4: `to` is `//evil`, which is neither a path nor an address. [write a path such as /new]
redirect redirects.toml:7: 200 is not the status of a redirect. [use 301, 302, 307 or 308, or 410 without `to` for a removed page]
toml-malformed redirects.toml:2:8: String values must be quoted, expected literal string. []
"#);
}

#[test]
fn redirect_loops_are_followed_to_their_end() {
    let mut files = Files::new();
    let text = "[[redirect]]\nfrom='/a'\nto='/b'\n[[redirect]]\nfrom='/b'\nto='/c/'\n[[redirect]]\nfrom='/c'\nto='/b'\n[[redirect]]\nfrom='/x'\nto='https://e.com'";
    files.insert("redirects.toml", text.as_bytes().to_vec()).unwrap();
    let redirects = Redirects::parse(&files).unwrap();
    assert_eq!(redirects.follow("/a").unwrap_err(), ["/b", "/c", "/b"]);
    assert_eq!(redirects.follow("/x").unwrap(), "https://e.com");
    assert_eq!(redirects.follow("/none").unwrap(), "/none");
}

#[test]
fn long_chains_and_circles_of_redirects_are_followed_once() {
    const LENGTH: usize = 20_000;
    let text = |last: &str| -> String {
        let line = |n: usize| {
            let to = if n + 1 == LENGTH { last.to_owned() } else { format!("/p{}", n + 1) };
            format!("[[redirect]]\nfrom='/p{n}'\nto='{to}'\n")
        };
        (0..LENGTH).map(line).collect()
    };
    let read = |text: String| {
        let mut files = Files::new();
        files.insert("redirects.toml", text.into_bytes()).unwrap();
        Redirects::parse(&files).unwrap()
    };
    let start = std::time::Instant::now();
    let chain = read(text("/end"));
    assert!(chain.iter().all(|(from, _)| chain.follow(from) == Ok("/end")));
    let circle = read(text("/p0"));
    assert!(circle.iter().all(|(from, _)| circle.circle(from) == Some(0)));
    assert_eq!(circle.follow("/p7").unwrap_err().len(), LENGTH + 1);
    assert!(start.elapsed() < std::time::Duration::from_secs(120), "{:?}", start.elapsed());
}

#[test]
fn mapping_moves_fields() {
    let mapping = Mapping::parse(
        "map.toml",
        r#"
type = "doc"
locale_segment = 0
id_prefix = "docs."
path_field = "slug"
drop = ["head"]
exclude = ["**/_*"]
[fields]
"sidebar.label" = "nav.label"
title = "name"
[defaults]
status = "live"
nav = { order = 9 }
"#,
        &Locale::new("en").unwrap(),
    )
    .unwrap();
    assert!(mapping.reads("en/a/b.mdx") && !mapping.reads("en/_draft.md") && !mapping.reads("en/a.txt"));
    let entry = import::markdown(
        "de/guides/index.md",
        b"---\ntitle: T\nhead: x\nsidebar:\n  label: L\nextra: 1\n---\nBody",
        &mapping,
    )
    .unwrap();
    assert_eq!(entry.key.to_string(), "doc/docs.guides (de)");
    assert_eq!(
        serde_json::Value::Object(entry.fields),
        serde_json::json!({"name": "T", "nav": {"label": "L", "order": 9}, "extra": 1, "status": "live", "body": "Body", "slug": "guides"})
    );
    let errors = [
        import::markdown("a.md", b"", &mapping).unwrap_err(),
        import::markdown("english/a.md", b"", &mapping).unwrap_err(),
        import::markdown("en/a.md", b"---\nname: 1\ntitle: 2\n---\n", &mapping).unwrap_err(),
        Mapping::parse("m.toml", "type='doc'\nlocale='en'\nlocale_segment=1", &Locale::new("en").unwrap())
            .unwrap_err(),
        Mapping::parse("m.toml", "type='doc'\nfeilds={}", &Locale::new("en").unwrap()).unwrap_err(),
    ];
    insta::assert_snapshot!(show(&errors), @r#"
import-path a.md:1: The path has no folder at position 0 that names the locale. [check `locale_segment`, or leave the file out through `exclude`]
import-path english/a.md:1: Segment 0: `english` is not a locale: a language tag such as `en`, `de-AT` or `zh-Hant`. [check `locale_segment`, or exclude the folder]
mapping en/a.md:1: The field `name` gets two values. [drop one of the names, or map it to another field]
mapping m.toml: `locale_segment` cannot be combined with `locale` or `locale_field`. [keep one of them]
toml-malformed m.toml:2:1: Unknown field `feilds`, expected one of `type`, `contract`, `locale`, `locale_segment`, `locale_field`, `id_prefix`, `id_field`, `index`, `path_field`, `body`, `include`, `exclude`, `fields`, `drop`, `unknown`, `defaults`. [did you mean `fields`?]
"#);
}
