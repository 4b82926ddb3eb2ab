//! `site export`: the site as files, of which only what changed is written.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::SystemTime,
};

use common::{Rig, fetch, start};
use serde_json::{Value, json};

/// A copy of the demo with its content released; nothing is served.
fn released() -> Rig {
    let rig = Rig::demo();
    assert!(rig.run(&["push", "site", "--content", "--as", "mara"]).status.success());
    publish(&rig);
    rig
}

fn publish(rig: &Rig) {
    let made = rig.candidate();
    let name = made["candidate"].as_str().unwrap();
    for (right, who) in [("pricing", "ines"), ("claim", "teodor"), ("legal", "omar")] {
        rig.run(&["candidate", "approve", name, "--right", right, "--as", who]);
    }
    rig.json(0, &["release", "promote", name, "--format", "json"]);
}

fn export(rig: &Rig, args: &[&str]) -> Value {
    rig.json(0, &[&["site", "export", "public", "--format", "json"], args].concat())
}

/// Every file under a directory, with its time and content.
fn files(dir: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let (mut open, mut all) = (vec![dir.to_owned()], BTreeMap::new());
    while let Some(at) = open.pop() {
        for item in std::fs::read_dir(at).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let time = std::fs::metadata(&path).unwrap().modified().unwrap();
                let name = path.strip_prefix(dir).unwrap().to_owned();
                all.insert(name, (time, std::fs::read(&path).unwrap()));
            }
        }
    }
    // Its own list of what it wrote.
    all.retain(|name, _| name.as_os_str() != ".ashlar-site.json");
    all
}

fn text(files: &BTreeMap<PathBuf, (SystemTime, Vec<u8>)>, name: &str) -> String {
    let (_, bytes) = files.get(Path::new(name)).unwrap_or_else(|| panic!("{name} is not there"));
    String::from_utf8(bytes.clone()).unwrap()
}

/// What differs between two exports: names that are new or have other bytes, and names that are gone.
fn differing(
    before: &BTreeMap<PathBuf, (SystemTime, Vec<u8>)>,
    after: &BTreeMap<PathBuf, (SystemTime, Vec<u8>)>,
) -> (Vec<String>, Vec<String>) {
    let shown = |p: &PathBuf| p.display().to_string();
    let written = after.iter().filter(|(n, (time, _))| before.get(*n).is_none_or(|(t, _)| t != time));
    let gone = before.keys().filter(|n| !after.contains_key(*n)).map(shown).collect();
    (written.map(|(n, _)| shown(n)).collect(), gone)
}

#[test]
fn every_page_is_a_file_and_every_link_leads_to_one() {
    let rig = released();
    let reported = export(&rig, &[]);
    let written = files(&rig.path().join("public"));
    assert_eq!(reported["files"], written.len());
    assert_eq!(
        (&reported["written"], &reported["unchanged"], &reported["removed"]),
        (&json!(written.len()), &json!(0), &json!(0))
    );
    let led_on = |name: &Path| text(&written, &name.display().to_string()).contains("http-equiv=\"refresh\"");
    let pages = written.keys().filter(|n| n.ends_with("index.html") && !led_on(n)).count();
    // The first page stands at `/` too, and the three search pages are no pages of entries or lists.
    assert_eq!(reported["pages"], pages - 4);
    // What a server sends elsewhere, because it is not translated, a file leads there.
    let contact = text(&written, "de/contact/index.html");
    assert!(
        contact.contains("content=\"0;url=/en/contact\"") && contact.contains("<a href=\"/en/contact\">")
    );
    for name in [
        "index.html",
        "404.html",
        "en/home/index.html",
        "de/home/index.html",
        "fr/home/index.html",
        "en/log/index.html",
        "en/docs/first-day/index.html",
        "en/search/index.html",
        "robots.txt",
        "sitemap.xml",
        "sitemap-en-1.xml",
        "feeds/log.en.xml",
        "_redirects",
    ] {
        assert!(!text(&written, name).is_empty(), "{name}");
    }
    assert_eq!(text(&written, "_redirects"), "/en/tour /en/product 301\n");
    assert_eq!(text(&written, "index.html"), text(&written, "en/home/index.html"));

    // A link leads to a file, as a file server looks for it, or to a redirect.
    let there = |path: &str| {
        let path = path.split(['#', '?']).next().unwrap().trim_start_matches('/');
        [path.to_owned(), format!("{path}/index.html")].iter().any(|p| written.contains_key(Path::new(p)))
    };
    let mut missing: Vec<String> = Vec::new();
    let mut count = 0;
    for (name, (_, bytes)) in written.iter().filter(|(n, _)| n.extension().is_some_and(|e| e == "html")) {
        let html = String::from_utf8_lossy(bytes);
        let mut leads = |address: &str| {
            count += 1;
            if !there(address) {
                missing.push(format!("{}: {address}", name.display()));
            }
        };
        for attribute in ["href=\"/", "src=\"/", "action=\"/", "content=\"0;url=/"] {
            html.split(attribute).skip(1).for_each(|r| leads(r.split('"').next().unwrap()));
        }
        // Of what is not there, no address is reported that would have to be.
        for link in html.split("<link ").skip(1).filter(|_| name != Path::new("404.html")) {
            let address = link.split('>').next().unwrap().split("href=\"https://mooring.example").nth(1);
            address.iter().for_each(|r| leads(r.split('"').next().unwrap()));
        }
    }
    assert!(count > 500, "{count}");
    assert_eq!(missing, [""; 0], "links that lead to nothing");

    // Every page has the policy that a server would send, before anything it may load.
    let policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';";
    for (name, (_, bytes)) in written.iter().filter(|(n, _)| n.extension().is_some_and(|e| e == "html")) {
        let html = String::from_utf8_lossy(bytes);
        assert_eq!(html.matches(policy).count(), 1, "{}", name.display());
        let at = html.find(policy).unwrap();
        let first = ["<link", "<script", "<meta charset", "<body"].iter().filter_map(|t| html.find(t)).min();
        assert!(
            first.is_some_and(|first| at < first) && !html.contains("frame-ancestors"),
            "{}",
            name.display()
        );
    }

    // Everything else is what a server sends.
    let (_server, ready) = start(&rig, &["serve", "--data", "demo"]);
    for page in ["en/home", "de/log", "fr/docs/first-day"] {
        let sent = fetch(ready["url"].as_str().unwrap(), &format!("/{page}"), &[]);
        let page = text(&written, &format!("{page}/index.html"));
        let (before, after) = page.split_once(policy).unwrap();
        assert!(sent.text() == format!("{before}{}", after.split_once('>').unwrap().1), "{}", sent.head);
    }
}

#[test]
fn only_what_changed_is_written() {
    let rig = released();
    export(&rig, &[]);
    let public = rig.path().join("public");
    let first = files(&public);
    std::thread::sleep(std::time::Duration::from_millis(20));
    let again = export(&rig, &[]);
    assert_eq!(
        (&again["written"], &again["unchanged"], &again["removed"]),
        (&json!(0), &json!(first.len()), &json!(0))
    );
    assert_eq!(differing(&first, &files(&public)), (Vec::new(), Vec::new()));

    // A post is on its page, on the list, and in what tells of it; no other page is touched.
    rig.set("post", "gauge", "en", &json!({"title": "A gauge of your own, at last"}));
    publish(&rig);
    let reported = export(&rig, &[]);
    let second = files(&public);
    let (written, gone) = differing(&first, &second);
    assert_eq!(reported["written"], written.len());
    let pages: Vec<&String> = written.iter().filter(|n| n.ends_with(".html")).collect();
    assert_eq!(pages, ["en/log/gauge/index.html", "en/log/index.html"]);
    for name in written.iter().filter(|n| !n.ends_with(".html")) {
        assert!(name.starts_with("feeds/log.en") || name.starts_with("sitemap"), "{name}");
    }
    assert!(gone.is_empty(), "{gone:?}");
    assert!(text(&second, "en/log/index.html").contains("A gauge of your own, at last"));

    // A page that is gone takes its file along; what somebody else put there stays.
    rig.place("public/en/log/gauge/notes.txt", "mine");
    rig.place("public/own.html", "mine");
    for locale in ["en", "de"] {
        assert!(rig.run(&["entry", "rm", "post", "public-list", "--locale", locale]).status.success());
    }
    let redirects = rig.read("site/redirects.toml");
    let gone: String = ["en", "de"]
        .iter()
        .map(|l| format!("\n[[redirect]]\nfrom = \"/{l}/log/public-list\"\nstatus = 410\n"))
        .collect();
    rig.write("site/redirects.toml", &format!("{redirects}{gone}"));
    rig.push();
    publish(&rig);
    let reported = export(&rig, &[]);
    let third = files(&public);
    let (written, gone) = differing(&second, &third);
    // The French one led on to the English one.
    let pages = ["de", "en", "fr"].map(|l| format!("{l}/log/public-list/index.html"));
    assert_eq!(gone, pages);
    assert_eq!(reported["removed"], 3);
    for list in ["de/log/index.html", "en/log/index.html"] {
        assert!(
            written.contains(&list.to_owned()) && !text(&third, list).contains("/log/public-list\""),
            "{list}"
        );
    }
    for own in ["en/log/gauge/notes.txt", "own.html"] {
        assert_eq!(text(&third, own), "mine");
    }

    // Taken back, they come again.
    rig.json(0, &["release", "rollback", "r2", "--format", "json"]);
    export(&rig, &[]);
    let back = files(&public);
    for (name, (_, bytes)) in &second {
        assert!(back[name].1 == *bytes, "{}", name.display());
    }
}

#[test]
fn drafts_and_older_releases_can_be_written_too() {
    let rig = released();
    rig.set(
        "page",
        "about",
        "en",
        &json!({"seo": {"title": "Somebody else", "description": "Not released."}}),
    );
    let about = |rig: &Rig| text(&files(&rig.path().join("public")), "en/about/index.html");
    export(&rig, &["--of", "draft"]);
    assert!(about(&rig).contains("<title>Somebody else</title>"));
    export(&rig, &[]);
    assert!(!about(&rig).contains("Somebody else"));
    publish(&rig);
    export(&rig, &["--of", "r1"]);
    assert!(!about(&rig).contains("Somebody else"));
    export(&rig, &["--of", "r2"]);
    assert!(about(&rig).contains("<title>Somebody else</title>"));
    for (args, code, part) in [
        (&["site", "export", "public", "--of", "r9"][..], 2, "r9"),
        (&["site", "export", "public", "--of", "staging"], 2, "staging"),
        (&["site", "export", "public", "--of", "what ever"], 2, "what ever"),
        (&["site", "export", "public", "--server", "http://127.0.0.1:9", "--key", "k"], 2, "--data"),
        (&["site", "export", "site/ashlar.toml"], 3, "ashlar.toml"),
    ] {
        let out = rig.run(args);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(code) && said.contains(part), "{args:?}: {:?} {said}", out.status);
    }
    // A project without pages says how to have some.
    let plain = Rig::new();
    plain.push();
    plain.release();
    let out = plain.run(&["site", "export", "public"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("site/site.toml"));
}
