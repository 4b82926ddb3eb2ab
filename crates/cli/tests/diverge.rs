//! `tokens diverge`: an app against its design system.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const TOKENS: &str = r##"{
  "base": { "color": { "$type": "color", "ink": { "$value": "#1a2b3c" }, "snow": { "$value": "#ffffff" } },
            "space": { "$type": "dimension", "2": { "$value": "8px" }, "4": { "$value": "16px" } } },
  "semantic": {
    "color": { "$type": "color", "text": { "$value": "{base.color.ink}" }, "surface": { "$value": "{base.color.snow}" },
      "old": { "$value": "{base.color.ink}", "$deprecated": true,
               "$extensions": { "dev.ashlar": { "replaced_by": "semantic.color.text" } } } },
    "space": { "$type": "dimension", "sm": { "$value": "{base.space.2}" }, "md": { "$value": "{base.space.4}" } } }
}"##;

const CSS: &str = ".card {\n  color: #1A2B3C;\n  padding: 16px 9px;\n  margin: var(--acme-semantic-space-sm);\n}\n\n\
                   .card > a {\n  color: var(--acme-semantic-color-old);\n  fill: var(--acme-semantic-color-txt);\n  display: flex;\n}\n\
                   :root { --acme-semantic-color-surface: #eee }\n";
const TSX: &str = "export const Card = ({ on }: { on: boolean }) => (\n  <section className=\"p-[16px] flex\" style={{ marginTop: 8, color: 'white' }}>\n    {on}\n  </section>\n);\n";
const HTML: &str =
    "<!doctype html>\n<style>\n  body { background: #fff }\n</style>\n<p style=\"gap: 8px\">8px</p>\n";

struct App(tempfile::TempDir);

impl App {
    fn new() -> Self {
        let app = Self(tempfile::tempdir().unwrap());
        app.write("design/tokens.toml", "prefix = \"acme\"\n");
        app.write("design/all.tokens.json", TOKENS);
        app.write("web/card.css", CSS);
        app.write("web/src/Card.tsx", TSX);
        app.write("web/index.html", HTML);
        app.write(
            "shop/fine.css",
            "a { color: var(--acme-semantic-color-text); gap: var(--acme-semantic-space-md) }\n",
        );
        app
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.path().join(path)).unwrap()
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ashlar"))
            .args(["tokens", "diverge", "--tokens", "design"])
            .args(args)
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn human(&self, exit: i32, args: &[&str]) -> String {
        let out = self.run(args);
        assert_eq!(out.status.code(), Some(exit), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn json(&self, exit: i32, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--format", "json"]).collect();
        serde_json::from_str(&self.human(exit, &args)).unwrap()
    }
}

#[test]
fn what_is_found_is_reported_with_its_place() {
    let app = App::new();
    insta::assert_snapshot!(app.human(1, &["web", "shop"]), @r#"
    web/card.css:2:10  raw-value  #1A2B3C → --acme-semantic-color-text (fix: var(--acme-semantic-color-text))
    web/card.css:3:12  raw-value  16px → --acme-semantic-space-md (fix: var(--acme-semantic-space-md))
    web/card.css:3:17  raw-value  9px → --acme-semantic-space-sm (12% off)
    web/card.css:8:14  deprecated-token  --acme-semantic-color-old → --acme-semantic-color-text (fix: --acme-semantic-color-text)
    web/card.css:9:13  unknown-token  --acme-semantic-color-txt → --acme-semantic-color-text (has a similar name)
    web/card.css:12:9  override  --acme-semantic-color-surface: #eee
    web/index.html:3:22  raw-value  #fff → --acme-semantic-color-surface (fix: var(--acme-semantic-color-surface))
    web/index.html:5:16  raw-value  8px → --acme-semantic-space-sm (fix: var(--acme-semantic-space-sm))
    web/src/Card.tsx:2:23  raw-value  p-[16px] → --acme-semantic-space-md (fix: p-[var(--acme-semantic-space-md)])
    web/src/Card.tsx:2:58  raw-value  8 → --acme-semantic-space-sm (fix: "var(--acme-semantic-space-sm)")
    web/src/Card.tsx:2:69  raw-value  white → --acme-base-color-snow (the same value)
    FAIL  web: 10 overrides / 11 styled declarations = 90.91% (budget 5%); 3 files
    pass  shop: 0 overrides / 2 styled declarations = 0.00% (budget 5%); 1 file
    "#);
    let report = app.json(1, &["./web/", "shop"]);
    assert_eq!(report["status"], "fail");
    let [web, shop] = report["apps"].as_array().unwrap().as_slice() else { panic!("{report}") };
    let figures = |app: &Value| {
        ["path", "files", "declarations", "tokens", "overrides", "percent", "budget", "findings_total"]
            .map(|member| app[member].clone())
    };
    assert_eq!(
        figures(web),
        [json!("web"), json!(3), json!(11), json!(2), json!(10), json!(90.91), json!(5.0), json!(11)]
    );
    assert_eq!(
        figures(shop),
        [json!("shop"), json!(1), json!(2), json!(2), json!(0), json!(0.0), json!(5.0), json!(0)]
    );
    assert_eq!(
        web["findings"][0],
        json!({
            "file": "web/card.css", "line": 2, "column": 10, "what": "raw-value", "property": "color", "text": "#1A2B3C",
            "nearest": { "token": "--acme-semantic-color-text", "distance": 0.0, "exact": true, "candidates": 1 },
            "fix": "var(--acme-semantic-color-text)",
        })
    );
    assert_eq!(web["findings"][2]["nearest"]["distance"], 0.125);
    assert_eq!(web["skipped"], json!([]));
}

#[test]
fn fixes_leave_files_that_scan_clean() {
    let app = App::new();
    let reported = app.human(1, &["web", "--fix"]);
    assert!(reported.contains("fixed 7 places in 3 files"), "{reported}");
    // What no token is equal to stays, and so does what has no value of its own.
    assert_eq!(
        app.text("web/card.css"),
        CSS.replace("#1A2B3C", "var(--acme-semantic-color-text)")
            .replace("16px", "var(--acme-semantic-space-md)")
            .replace("color-old", "color-text")
    );
    assert!(app.text("web/src/Card.tsx").contains(
        "className=\"p-[var(--acme-semantic-space-md)] flex\" style={{ marginTop: \"var(--acme-semantic-space-sm)\", \
         color: 'white' }}"
    ));
    assert!(app.text("web/index.html").contains("style=\"gap: var(--acme-semantic-space-sm)\">8px"));
    let report = app.json(1, &["web", "--fix"]);
    assert_eq!(report["apps"][0]["fixed"], 0);
    assert_eq!(report["apps"][0]["overrides"], 4);
    let report = app.json(0, &["web/index.html"]);
    assert_eq!(report["status"], "pass");
    for app in report["apps"].as_array().unwrap() {
        assert_eq!((&app["overrides"], &app["findings"]), (&json!(0), &json!([])), "{app}");
    }
}

#[test]
fn the_budget_decides() {
    let app = App::new();
    app.write("web/card.css", "a { color: red; gap: var(--acme-semantic-space-sm) }");
    app.write("web/index.html", "");
    std::fs::remove_dir_all(app.0.path().join("web/src")).unwrap();
    assert_eq!(app.json(1, &["web"])["apps"][0]["percent"], 50.0);
    app.json(0, &["web", "--budget", "50"]);
    app.json(1, &["web", "--budget", "49.9%"]);
    app.write("design/tokens.toml", "prefix = \"acme\"\n[divergence]\nbudget_percent = 60\n");
    assert_eq!(app.json(0, &["web"])["apps"][0]["budget"], 60.0);
    // One app over its budget is enough.
    app.json(1, &["shop", "web", "--budget", "0"]);
    app.json(0, &["shop", "--budget", "0"]);
    app.write("design/tokens.toml", "[divergence]\nbudget_percent = nan\n");
    app.write("empty/readme.md", "");
    for (args, part) in [
        (&["web"][..], "budget_percent"),
        (&["web", "--budget", "101"], "percentage"),
        (&["web", "--budget", "a few"], "percentage"),
        (&["nowhere", "--budget", "1"], "nowhere"),
        (&["empty", "--budget", "1"], "empty"),
        (&["empty/readme.md", "--budget", "1"], "readme.md"),
        (&[], "<PATH>"),
    ] {
        let out = app.run(args);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{args:?} {said}");
        assert!(said.contains(part), "{args:?} {said}");
    }
    let out = Command::new(env!("CARGO_BIN_EXE_ashlar"))
        .args(["tokens", "diverge", "shop"])
        .current_dir(app.0.path().join("shop"))
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn what_cannot_be_read_is_reported_and_no_more() {
    let app = App::new();
    app.write("web/broken.css", "a { color: ; : red; } } } b { gap: 8px");
    app.write("web/src/broken.tsx", "const = = ;;; <p");
    app.write("web/src/half.ts", "const a = (");
    app.write("web/src/deep.jsx", &"(".repeat(300_000));
    app.write("web/bundle.js", &" ".repeat((4 << 20) + 1));
    app.write("web/small.min.css", "a{color:red}");
    std::fs::write(app.0.path().join("web/latin.css"), b"a { content: '\xe9' }").unwrap();
    for dir in ["node_modules/x", "dist", "target", ".cache"] {
        app.write(&format!("web/{dir}/a.css"), "a { color: red }");
    }
    assert!(
        Command::new(env!("CARGO_BIN_EXE_ashlar"))
            .args(["tokens", "build", "design", "--out", "web/styles", "--outputs", "css,scss,tailwind,ts"])
            .current_dir(app.0.path())
            .output()
            .unwrap()
            .status
            .success()
    );
    let report = app.json(1, &["web", "--fix"]);
    let skipped: Vec<(&str, &str)> = report["apps"][0]["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (s["path"].as_str().unwrap(), s["why"].as_str().unwrap()))
        .map(|(path, why)| (path.strip_prefix("web/").unwrap(), why.split(':').next().unwrap()))
        .collect();
    assert_eq!(
        skipped,
        [
            ("bundle.js", "is larger than 4 MiB"),
            ("latin.css", "is not UTF-8 text"),
            ("small.min.css", "is minified"),
            ("src/broken.tsx", "was read in part"),
            ("src/deep.jsx", "was read in part"),
            ("src/half.ts", "was read in part"),
            ("styles/_tokens.scss", "defines 9 of the 9 tokens"),
            ("styles/tailwind.css", "defines 9 of the 9 tokens"),
            ("styles/tokens.css", "defines 9 of the 9 tokens"),
        ]
    );
    assert_eq!(
        app.text("web/broken.css"),
        "a { color: ; : red; } } } b { gap: var(--acme-semantic-space-sm)"
    );
    assert_eq!(app.text("web/src/broken.tsx"), "const = = ;;; <p");
    assert_eq!(app.text("web/dist/a.css"), "a { color: red }");
}

#[test]
fn figures_are_tracked() {
    let app = App::new();
    let first = app.json(1, &["web", "shop", "--track", "figures.ndjson"]);
    assert_eq!(first["apps"][0]["before"], Value::Null);
    // A line that was cut off from its end goes on as a line.
    let text = app.text("figures.ndjson");
    app.write("figures.ndjson", text.trim_end());
    let reported = app.human(1, &["web", "--fix", "--track", "figures.ndjson"]);
    assert!(reported.contains("36.36% (budget 5%), −54.55 points since 20"), "{reported}");
    let lines: Vec<Value> =
        app.text("figures.ndjson").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let figures: Vec<_> = lines
        .iter()
        .map(|l| (l["app"].as_str().unwrap(), l["overrides"].as_u64(), l["percent"].as_f64()))
        .collect();
    assert_eq!(
        figures,
        [("web", Some(10), Some(90.91)), ("shop", Some(0), Some(0.0)), ("web", Some(4), Some(36.36))]
    );
    for line in &lines {
        assert!(line["at"].as_str().unwrap().ends_with('Z') && line["declarations"].is_u64(), "{line}");
    }
    let again = app.json(1, &["./web", "--track", "figures.ndjson"]);
    assert_eq!(again["apps"][0]["before"]["percent"], 36.36);
    // Nothing is appended to what is something else.
    let out = app.run(&["web", "--track", "web/card.css"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(!app.text("web/card.css").contains("\"app\""));
}

#[test]
fn only_so_many_findings_are_listed_and_all_are_counted() {
    let app = App::new();
    for file in 0..12 {
        app.write(&format!("many/{file:02}.css"), &"a { color: red }\n".repeat(1000));
    }
    let report = app.json(1, &["many", "web"]);
    let listed = report["apps"][0]["findings"].as_array().unwrap();
    assert_eq!((listed.len(), &report["apps"][0]["findings_total"]), (10_000, &json!(12_000)));
    let last = (&listed[9_999]["file"], &listed[9_999]["line"]);
    assert_eq!(last, (&json!("many/09.css"), &json!(1000)));
    assert_eq!(
        (&report["apps"][1]["findings"], &report["apps"][1]["findings_total"]),
        (&json!([]), &json!(11))
    );
}

#[test]
fn what_is_left_out_and_what_is_accepted() {
    let app = App::new();
    app.write("web/legacy/old.css", "a { color: #111; gap: 7px }\n");
    app.write("web/ok.css", "a {\n  /* diverge-ok: the colour of a partner's brand */\n  color: #ff0000;\n  gap: 7px; /* diverge-ok: */\n}\n");
    let report = app.json(1, &["web", "--exclude", "legacy/**"]);
    let web = &report["apps"][0];
    assert_eq!((&web["excluded"], &web["suppressed"]), (&json!(1), &json!(1)), "{web}");
    let found = web["findings"].as_array().unwrap();
    let of = |file: &str| {
        found.iter().filter(|f| f["file"] == file).map(|f| f["text"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("web/legacy/old.css"), [] as [Value; 0]);
    assert_eq!(of("web/ok.css"), [json!("7px")]);
    let why = web["skipped"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("line 4: `diverge-ok:` needs a reason"), "{why}");
    app.write(
        "design/tokens.toml",
        "prefix = \"acme\"\n[divergence]\nexclude = [\"*.css\", \"src\", \"index.html\"]\n",
    );
    app.write("web/only.tsx", "export const a = 1;\n");
    assert_eq!(app.json(0, &["web"])["apps"][0]["excluded"], 5);
}

#[test]
fn an_app_that_uses_no_token_fails_within_its_budget() {
    let app = App::new();
    let fine = "a { color: inherit }\n".repeat(40);
    app.write("kit/a.css", &format!("{fine}b {{ color: #1a2b3c }}\n"));
    let reported = app.human(1, &["kit"]);
    assert!(reported.contains("FAIL  kit: 1 override / 41 styled declarations = 2.44%"), "{reported}");
    assert!(reported.contains("no declaration of kit uses a token"), "{reported}");
    app.write("kit/b.css", "c { color: var(--acme-semantic-color-text) }\n");
    app.human(0, &["kit"]);
}
