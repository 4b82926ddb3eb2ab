//! Generated types, compiled by the real compilers and run against a real server.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use common::{Rig, http, start};

/// The demo's types as they were last written; `ASHLAR_WRITE_GOLDEN=1` writes them again.
mod demo {
    #![allow(dead_code, clippy::large_enum_variant, reason = "generated: a program uses what it needs")]
    include!("generated/demo.rs.txt");
}

fn project() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/demo")
}

fn generated(rig: &Rig, lang: &str) -> String {
    let out = rig.run(&["contracts", "types", project(), "--lang", lang]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn rust_types_read_what_the_server_sends() {
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/generated/demo.rs.txt");
    let text = generated(&rig, "rust");
    if std::env::var_os("ASHLAR_WRITE_GOLDEN").is_some() {
        std::fs::write(golden, &text).unwrap();
    }
    assert!(text == std::fs::read_to_string(golden).unwrap(), "write it again with ASHLAR_WRITE_GOLDEN=1");
    let (server, ready) = start(&rig, &["demo", "--data", "demo"]);
    let url = ready["url"].as_str().unwrap();
    let get = |path: &str| http(url, "GET", path, "", "").2;
    let page: demo::PagesV1Body = serde_json::from_str(&get("/v1/pages/home?locale=de")).unwrap();
    assert_eq!(page.slug, "home");
    assert!(!page.sections.is_empty());
    let plan: demo::PlansV1Body = serde_json::from_str(&get("/v1/plans/port")).unwrap();
    assert_eq!(plan.price_minor, 39900);
    // What was read is written as it came.
    for path in ["/v1/pages/home", "/v1/pages/pricing", "/v1/pages/about?locale=fr"] {
        let body = get(path);
        let read: demo::PagesV1Body = serde_json::from_str(&body).unwrap();
        let (before, after): (serde_json::Value, _) =
            (serde_json::from_str(&body).unwrap(), serde_json::to_value(&read).unwrap());
        assert_eq!(before, after, "{path}");
    }
    drop(server);
}

/// A folder with the TypeScript compiler, kept beside the build; `None` when it cannot be had and need not.
fn typescript() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("typescript");
    let compiler = dir.join("node_modules/typescript/bin/tsc");
    if !compiler.exists() {
        std::fs::create_dir_all(&dir).unwrap();
        let args = ["install", "--silent", "--no-audit", "--no-fund", "typescript@5.9.3", "@types/node@20"];
        let _ = Command::new("npm").args(args).current_dir(&dir).output();
    }
    if compiler.exists() {
        return Some(dir);
    }
    // A compiler that cannot be had is neither data nor a service; it is said, and the Rust types are still compiled.
    println!("not run: Node.js or TypeScript is absent");
    None
}

const PROGRAM: &str = r#"
import { createClient, GraphqlFailure, Problem, type HeroV1, type PagesV1Body } from "./content.js";

const client = createClient({ baseUrl: process.env["CONTENT_URL"] ?? "" });
const found = await client.pagesV1("home", { locale: "de" });
if (found === null) throw new Error("nothing");
const page: PagesV1Body = found.body;
for (const section of page.sections) {
  // The intent tells the blocks apart: each branch knows its fields.
  switch (section.intent) {
    case "hero": {
      const hero: HeroV1 = section;
      console.log("hero", hero.title.length > 0, hero.cta.href);
      break;
    }
    case "plan-table":
      console.log("plans", section.plans.map((plan) => plan.price_minor));
      break;
    default:
      break;
  }
}
console.log("again", await client.pagesV1("home", { locale: "de", etag: found.etag }));
const plans = await client.entries.pricingPlan.list({ sort: "price_minor" });
console.log("list", plans?.body.items.map((item) => item.fields.name));
const hits = await client.search("tides", { type: "doc-article" }, { locale: "en" });
console.log("search", hits?.body.hits[0]?.type, (hits?.body.total ?? 0) > 0);
const typed = await client.suggest("tid", { limit: "3" }, { locale: "en" });
console.log("suggest", typed?.body.suggestions[0]);
const entries = await client.queries.find({ words: "tides", locale: "en" });
console.log("find", typeof entries?.body.search?.hits[0]?.entry?._type);
const log = await client.queries.log({ first: 2 });
console.log("log", log?.body.postList.items.map((post) => post.author?.name));
const asked = await client.queries.offer({ slug: "home", locale: "de" });
for (const section of asked?.body.page?.sections ?? []) {
  // The type tells what was selected of the blocks apart.
  if (section.__typename === "FeatureGridV1") console.log("features", section.features.map((f) => f._id)[0]);
}
console.log("none", (await client.queries.offer({ slug: "never" }))?.body.page);
try {
  await client.queries.log({ first: 1000 });
} catch (error) {
  if (!(error instanceof GraphqlFailure)) throw error;
  console.log("failure", error.errors[0]?.path);
}
try {
  await client.plansV1("never");
} catch (error) {
  if (!(error instanceof Problem)) throw error;
  console.log("problem", error.status, error.type, error.traceId.length);
}
"#;

#[test]
fn typescript_compiles_strictly_and_runs_against_the_server() {
    let Some(tools) = typescript() else { return };
    let rig = Rig { dir: tempfile::tempdir_in(&tools).unwrap(), data: "demo".to_owned() };
    rig.write("content.ts", &generated(&rig, "ts"));
    rig.write("program.ts", PROGRAM);
    rig.write("package.json", r#"{"type": "module"}"#);
    let tsc = |strict: &[&str]| {
        Command::new("node")
            .arg(tools.join("node_modules/typescript/bin/tsc"))
            .args(["--target", "es2022", "--module", "nodenext", "--outDir", "out"])
            .args(["--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"])
            .args(strict)
            .current_dir(rig.path())
            .output()
            .unwrap()
    };
    let out = tsc(&["--strict", "program.ts"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    // A field that is not there is told by the compiler.
    rig.write(
        "wrong.ts",
        "import type { HeroV1 } from './content.js';\nexport const f = (h: HeroV1): string => h.headline;\n",
    );
    let wrong = tsc(&["--strict", "--noEmit", "wrong.ts"]);
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stdout).contains("headline"));
    let (server, ready) = start(&rig, &["demo", "--data", "demo"]);
    let run = Command::new("node")
        .arg("out/program.js")
        .current_dir(rig.path())
        .env("CONTENT_URL", ready["url"].as_str().unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    for part in [
        "hero true /de/",
        "again null",
        "list [ 'Jetty', 'Basin', 'Port' ]",
        "search doc-article true",
        "suggest tide",
        "find string",
        "log [ 'Jonas Abel', 'Mara Olsen' ]",
        "features berth-map",
        "none null",
        "failure [ 'postList' ]",
        "problem 404 urn:ashlar:problem:entry-not-found 32",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    drop(server);
}

#[test]
fn the_bundle_is_a_schema_that_bodies_fit() {
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
    let bundle: serde_json::Value = serde_json::from_str(&generated(&rig, "json-schema")).unwrap();
    let mut schema = bundle.clone();
    schema["$ref"] = "#/$defs/plans.v1 body".replace(' ', "%20").into();
    rig.write("plan.v1.json", &schema.to_string());
    let (server, ready) = start(&rig, &["demo", "--data", "demo"]);
    let (_, _, body) = http(ready["url"].as_str().unwrap(), "GET", "/v1/plans/port", "", "");
    drop(server);
    rig.write("body.json", &body);
    let valid = rig.json(0, &["contracts", "validate", "plan.v1.json", "body.json", "--format", "json"]);
    assert_eq!(valid["valid"], true);
    rig.write("body.json", &body.replace("39900", "\"a lot\""));
    assert_eq!(rig.run(&["contracts", "validate", "plan.v1.json", "body.json"]).status.code(), Some(1));
}
