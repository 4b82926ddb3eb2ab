//! Pages: what a browser, a crawler, an e-mail and an app get of a release, and what is refused before anybody gets it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{Answer, Rig, Served, eventually, fetch, found, start};
use serde_json::{Value, json};

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// The demo, served, with a copy of its project in `site`.
fn demo() -> (Rig, Served, String) {
    let rig = Rig::demo();
    let (server, ready) = start(&rig, &["demo", "--data", "demo"]);
    let url = ready["url"].as_str().unwrap().to_owned();
    (rig, server, url)
}

fn get(url: &str, path: &str) -> Answer {
    fetch(url, path, &[BROWSER])
}

/// The addresses in attributes that begin so.
fn addresses(html: &str, attribute: &str) -> Vec<String> {
    html.split(&format!("{attribute}=\"")).skip(1).map(|r| r.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn a_page_is_what_readers_and_crawlers_expect() {
    let (_rig, _server, url) = demo();
    for (languages, to) in [
        ("de-AT,de;q=0.9,en;q=0.5", "/de/home"),
        ("fr", "/fr/home"),
        ("en;q=0.1, fr;q=0.8", "/fr/home"),
        ("ja", "/en/home"),
        ("*", "/en/home"),
    ] {
        let answer = fetch(&url, "/", &[BROWSER, ("accept-language", languages)]);
        assert_eq!((answer.status, answer.header("location")), (302, Some(to)), "{languages}");
        // The next reader may have another language.
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"), "{languages}");
    }
    assert_eq!(get(&url, "/").header("location"), Some("/en/home"));

    let page = get(&url, "/de/home");
    let html = page.text();
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(page.header("content-language"), Some("de"));
    assert!(html.starts_with("<!doctype html>\n<html lang=\"de\">"), "{}", &html[..80]);
    assert!(html.contains("<link rel=\"canonical\" href=\"https://mooring.example/de/home\">"));
    for locale in ["en", "de", "fr"] {
        let link = format!("hreflang=\"{locale}\" href=\"https://mooring.example/{locale}/home\"");
        assert!(html.contains(&link), "{link}");
    }
    assert!(html.contains("hreflang=\"x-default\" href=\"https://mooring.example/en/home\""));
    let title = html.split_once("<title>").unwrap().1.split_once("</title>").unwrap().0;
    assert!(title.starts_with("Mooring"), "{title}");
    assert_eq!(html.matches("<h1").count(), 1);
    assert_eq!(html.matches("<main").count(), 1);
    let structured = html.split_once("application/ld+json\">").unwrap().1.split_once("</script>").unwrap().0;
    let structured: Value = serde_json::from_str(structured).unwrap();
    assert_eq!(structured["@type"], "Organization");

    // Nothing from elsewhere, nothing inline.
    let policy = page.header("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'self'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert!(!html.contains(" style=\"") && !html.contains("<style"), "the policy would stop it");

    // It is not sent again to who has it, and a proxy knows what it was made from.
    let etag = page.header("etag").unwrap();
    let known = fetch(&url, "/de/home", &[BROWSER, ("if-none-match", etag)]);
    assert_eq!((known.status, known.body.len()), (304, 0));
    let keys: Vec<&str> = page.header("surrogate-key").unwrap().split(' ').collect();
    for key in ["page:home:de", "navigation:header:de"] {
        assert!(keys.contains(&key), "{keys:?}");
    }

    // All it loads is there, for good.
    let loaded: Vec<String> = ["href", "src"]
        .iter()
        .flat_map(|a| addresses(&html, a))
        .filter(|a| a.starts_with("/assets/"))
        .collect();
    assert!(loaded.len() >= 4, "{loaded:?}");
    for address in &loaded {
        let asset = get(&url, address);
        assert_eq!(asset.status, 200, "{address}");
        assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"));
        let ending = address.rsplit('.').next().unwrap();
        let media = match ending {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            "woff2" => "font/woff2",
            other => panic!("{other}"),
        };
        assert_eq!(asset.header("content-type"), Some(media), "{address}");
    }
    let css = loaded.iter().find(|a| a.ends_with("/site.css")).unwrap();
    let css = get(&url, css).text();
    let fonts: Vec<&str> = css.split("url(\"").skip(1).map(|r| r.split('"').next().unwrap()).collect();
    assert!(!fonts.is_empty());
    for font in fonts {
        assert_eq!(get(&url, font).status, 200, "{font}");
    }
    assert_eq!(get(&url, "/assets/000000000000/site.css").status, 404);
    // Links lead to pages.
    let links: Vec<String> = addresses(&html, "href").into_iter().filter(|a| a.starts_with("/de/")).collect();
    assert!(links.len() > 8, "{links:?}");
    for link in links {
        let answer = get(&url, &link);
        let end = answer.header("location").map_or(answer.status, |to| get(&url, to).status);
        assert_eq!(end, 200, "{link}");
    }
}

#[test]
fn what_is_not_there_is_reported_in_the_readers_language() {
    let (_rig, _server, url) = demo();
    for (path, lang, says) in [
        ("/en/nothing", "en", "Nothing is moored here"),
        ("/de/nothing/at/all", "de", "Hier liegt nichts fest"),
        ("/fr/nothing", "fr", "Rien n’est amarré ici"),
    ] {
        let answer = get(&url, path);
        let html = answer.text();
        assert_eq!((answer.status, answer.header("content-language")), (404, Some(lang)), "{path}");
        assert!(html.contains(&format!("<html lang=\"{lang}\">")) && html.contains(says), "{path}: {html}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("content-security-policy").is_some());
    }
    // Where there are no pages, it is reported as to programs.
    let answer = get(&url, "/nothing");
    assert_eq!((answer.status, answer.header("content-type")), (404, Some("application/problem+json")));
}

#[test]
fn what_is_not_translated_is_read_in_another_language() {
    let (rig, _server, url) = demo();
    let leads = |path: &str| {
        let answer = get(&url, path);
        (answer.status, answer.header("location").unwrap_or_default().to_owned())
    };
    let to = |status: u16, path: &str| (status, path.to_owned());
    assert_eq!(leads("/de/contact"), to(302, "/en/contact"));
    assert_eq!(leads("/en/contact"), to(200, ""));
    // No cache keeps it beyond the translation.
    assert_eq!(get(&url, "/de/contact").header("cache-control"), Some("private, no-cache"));
    let english = rig.json(0, &["entry", "get", "page", "contact", "--locale", "en"]);
    let mut german = english.clone();
    german["title"] = json!("Kontakt");
    rig.write("de.json", &german.to_string());
    rig.json(0, &["entry", "put", "page", "contact", "--locale", "de", "--file", "de.json"]);
    rig.release();
    eventually("the translation", || (leads("/de/contact") == to(200, "")).then_some(()));
    assert!(get(&url, "/en/contact").text().contains("hreflang=\"de\""));
    // Where somebody says that a path leads, it leads, whatever there is in English.
    assert!(rig.run(&["entry", "rm", "page", "contact", "--locale", "de"]).status.success());
    let redirects = rig.read("site/redirects.toml");
    let redirect = "[[redirect]]\nfrom = \"/de/contact\"\nto = \"/de/about\"\nstatus = 301\n";
    rig.write("site/redirects.toml", &format!("{redirects}\n{redirect}"));
    rig.push();
    rig.release();
    eventually("the redirect", || (leads("/de/contact") == to(301, "/de/about")).then_some(()));
    rig.write(
        "site/redirects.toml",
        &format!("{redirects}\n[[redirect]]\nfrom = \"/de/contact\"\nstatus = 410\n"),
    );
    rig.push();
    rig.release();
    eventually("that it is gone", || (leads("/de/contact").0 == 410).then_some(()));
}

#[test]
fn lists_search_and_other_surfaces() {
    let (rig, _server, url) = demo();
    let log = get(&url, "/en/log").text();
    let order: Vec<&str> =
        log.split("<time datetime=\"").skip(1).map(|r| r.split('"').next().unwrap()).collect();
    let mut sorted = order.clone();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    assert!(order.len() == 3 && order == sorted, "{order:?}");
    for link in addresses(&log, "href").iter().filter(|a| a.starts_with("/en/log/")) {
        assert_eq!(get(&url, link).status, 200, "{link}");
    }
    assert!(get(&url, "/de/log").text().contains("<html lang=\"de\">"));

    let empty = get(&url, "/en/search").text();
    assert!(empty.contains("role=\"search\"") && !empty.contains("<ol"));
    let hits = get(&url, "/en/search?q=offline").text();
    assert!(hits.contains("href=\"/en/docs/offline") && hits.contains("value=\"offline\""), "{hits}");
    assert!(hits.to_lowercase().contains("<mark>offline</mark>"), "{hits}");
    // Words are found in their other forms, and misspelt ones corrected.
    let tide = get(&url, "/en/search?q=tide").text();
    assert!(tide.contains("<mark>tides</mark>") || tide.contains("<mark>Tides</mark>"), "{tide}");
    let corrected = get(&url, "/en/search?q=offlnie").text();
    assert!(
        corrected.contains("“<bdi>offline</bdi>”") && corrected.contains("“<bdi>offlnie</bdi>”"),
        "{corrected}"
    );
    assert!(!get(&url, "/fr/search?q=offline").text().contains("/en/docs/offline"));
    let none = get(&url, "/en/search?q=zeppelin").text();
    assert!(none.contains("No results. Try fewer words."), "{none}");
    let odd = get(&url, "/en/search?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E");
    assert_eq!(odd.status, 200);
    assert!(!odd.text().contains("<script>alert"), "{}", odd.text());

    let app = get(&url, "/en/home?surface=app");
    assert_eq!(app.header("content-type"), Some("application/json"));
    let app = app.json();
    let first = &app["sections"][0];
    assert_eq!(
        (&first["component"], &first["version"], &first["intent"]),
        (&json!("hero"), &json!(1), &json!("hero"))
    );
    assert!(first["props"]["title"].is_string() && first["props"].get("intent").is_none(), "{first}");
    let mail = get(&url, "/en/home?surface=email");
    assert_eq!(mail.header("content-type"), Some("text/html; charset=utf-8"));
    let (mail, web) = (mail.text(), get(&url, "/en/home").text());
    let title = first["props"]["title"].as_str().unwrap();
    assert!(mail.contains(title) && web.contains(title));
    assert!(mail.contains("<table") && !web.contains("<table"), "e-mail has templates of its own");

    // A new entry is on the list, once it is released.
    let mut post = rig.json(0, &["entry", "get", "post", "gauge", "--locale", "en"]);
    post["slug"] = json!("gauge-again");
    post["title"] = json!("The gauge again");
    rig.write("post.json", &post.to_string());
    rig.json(0, &["entry", "put", "post", "gauge-again", "--locale", "en", "--file", "post.json"]);
    rig.release();
    eventually("the list", || get(&url, "/en/log").text().contains("The gauge again").then_some(()));
}

#[test]
fn another_component_shows_the_same_content() {
    let (rig, _server, url) = demo();
    let entry = || fetch(&url, "/v1/entries/page/home", &[]).header("etag").unwrap().to_owned();
    let (before, html) = (entry(), get(&url, "/en/home").text());
    assert!(!html.contains("class=\"plain-hero\""));
    for (file, text) in [
        ("template.html", "<section class=\"plain-hero\"><h1>{{ props.title }}</h1></section>\n"),
        ("template.email.html", "<h1>{{ props.title }}</h1>\n"),
        ("component.toml", "title = \"Plain hero\"\nstates = [\"default\"]\n"),
    ] {
        rig.place(&format!("site/components/plain-hero.v1/{file}"), text);
    }
    for file in ["props.json", "examples/default.json"] {
        let text = rig.read(&format!("site/components/hero.v1/{file}"));
        rig.place(&format!("site/components/plain-hero.v1/{file}"), &text);
    }
    // Only where there is a second link; elsewhere the other stays.
    rig.edit(
        "site/intents.toml",
        "[intent.hero]\nweb = \"hero.v1\"\nemail = \"hero.v1\"\napp = \"hero.v1\"\n",
        "[intent.hero]\nweb = \"hero.v1\"\nemail = \"hero.v1\"\napp = \"hero.v1\"\n\n\
         [[intent.hero.variant]]\nwhen = { field = \"second\", exists = true }\nweb = \"plain-hero.v1\"\n",
    );
    rig.push();
    let made = rig.candidate();
    assert_eq!(made["status"], "passed", "{made}");
    let name = made["candidate"].as_str().unwrap();
    let release = rig.json(0, &["release", "promote", name, "--format", "json"])["release"].clone();
    let diff = rig.json(0, &["release", "diff", "r3", release.as_str().unwrap(), "--format", "json"]);
    assert_eq!(diff["entries"], json!([]), "content stays as it is");
    eventually("the other hero", || {
        get(&url, "/en/home").text().contains("class=\"plain-hero\"").then_some(())
    });
    assert_eq!(entry(), before);
    assert_eq!(get(&url, "/en/home?surface=app").json()["sections"][0]["component"], "hero");
    rig.json(0, &["release", "rollback", "r3", "--format", "json"]);
    eventually("the first hero", || (get(&url, "/en/home").text() == html).then_some(()));
}

#[test]
fn a_surface_that_is_given_up_is_none_any_more() {
    let (rig, _server, url) = demo();
    assert_ne!(get(&url, "/en/home?surface=email").text(), get(&url, "/en/home").text());
    let intents = rig.read("site/intents.toml");
    let kept = intents.lines().filter(|l| !l.starts_with("email = ")).collect::<Vec<_>>().join("\n");
    rig.write("site/intents.toml", &kept.replace("\"email\", ", ""));
    rig.push();
    rig.release();
    eventually("one surface less", || {
        let (mail, web) = (get(&url, "/en/home?surface=email"), get(&url, "/en/home"));
        assert_eq!((mail.status, web.status), (200, 200));
        (mail.text() == web.text()).then_some(())
    });
}

/// What stands against a changed copy of the demo: the findings of `components`.
fn refused(rig: &Rig) -> Vec<(String, String, String, String)> {
    let out = rig.run(&["check", "site", "--format", "json"]);
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(1), "{report}");
    found(&report, "components")
}

#[test]
fn templates_that_do_not_end_are_refused() {
    let rig = Rig::demo();
    let hero = rig.read("site/components/hero.v1/template.html");
    for (text, says) in [
        ("<p>\n{% for i in range(1000000000) %}\n{{ i }}\n{% endfor %}\n</p>\n", ""),
        (
            "{% for i in range(9999) %}\n{% for j in range(9999) %}{% for k in range(9999) %}.{% endfor %}{% endfor %}\n{% endfor %}\n",
            "does not end",
        ),
        ("<p>\n{% macro again(n) %}{{ again(n + 1) }}{% endmacro %}\n{{ again(0) }}\n</p>\n", ""),
        ("<p>\n{% include \"components/hero.v1/template.html\" %}\n</p>\n", ""),
        ("<p>\n{{ section(props) }}\n</p>\n", ""),
        ("<p>\n{{ props.title | nonsense }}\n</p>\n", "nonsense"),
        ("<p>\n{% if props.title %}\n</p>\n", ""),
        ("<p>\n{{ asset(\"assets/none.png\") }}</p>\n", "assets/none.png"),
    ] {
        rig.write("site/components/hero.v1/template.html", text);
        let started = std::time::Instant::now();
        let findings = refused(&rig);
        assert!(started.elapsed().as_secs() < 20, "{text}");
        let at =
            findings.iter().find(|f| f.0 == "template").unwrap_or_else(|| panic!("{text}: {findings:?}"));
        let (file, line) = at.1.rsplit_once(':').unwrap();
        assert_eq!(file, "components/hero.v1/template.html", "{text}: {at:?}");
        let line: usize = line.parse().unwrap();
        assert!((1..=text.lines().count()).contains(&line), "{text}: {at:?}");
        assert!(at.2.contains(says) && !at.3.is_empty(), "{text}: {at:?}");
    }
    rig.write("site/components/hero.v1/template.html", &hero);
    assert_eq!(rig.run(&["check", "site"]).status.code(), Some(0));
}

#[test]
fn what_components_cannot_show_is_refused() {
    let rig = Rig::demo();
    let codes = |rig: &Rig, code: &str| -> Vec<(String, String)> {
        let findings = refused(rig);
        let of: Vec<_> =
            findings.iter().filter(|f| f.0 == code).map(|f| (f.1.clone(), f.2.clone())).collect();
        assert!(!of.is_empty(), "{code}: {findings:?}");
        of
    };
    let kept = ["site/intents.toml", "site/contracts/hero.v1.json", "site/components/hero.v1/component.toml"]
        .map(|f| (f, rig.read(f)));
    let restore = || kept.iter().for_each(|(f, text)| rig.write(f, text));
    let line = |needle: &str| {
        let text = rig.read("site/intents.toml");
        format!("intents.toml:{}", 1 + text[..text.find(needle).unwrap()].matches('\n').count())
    };

    // An intent without a component on one surface.
    rig.edit(
        "site/intents.toml",
        "[intent.faq]\nweb = \"faq.v1\"\nemail = \"faq.v1\"\n",
        "[intent.faq]\nweb = \"faq.v1\"\n",
    );
    let reported = codes(&rig, "intent-unmapped");
    assert_eq!(reported[0].0, line("[intent.faq]"));
    assert!(reported[0].1.contains("`faq`") && reported[0].1.contains("`email`"), "{reported:?}");
    restore();
    // One that there is not, and a surface that there is not.
    rig.edit("site/intents.toml", "web = \"stat-row.v1\"", "web = \"stat-rows.v1\"");
    assert!(codes(&rig, "intent-component")[0].1.contains("stat-rows.v1"));
    restore();
    rig.edit("site/intents.toml", "web = \"stat-row.v1\"", "web = \"stat-row.v1\"\nwatch = \"stat-row.v1\"");
    assert!(codes(&rig, "intent-surface")[0].1.contains("watch"));
    restore();
    // A block that nothing shows.
    rig.edit(
        "site/intents.toml",
        "[intent.faq]\nweb = \"faq.v1\"\nemail = \"faq.v1\"\napp = \"faq.v1\"\n",
        "",
    );
    assert_eq!(codes(&rig, "intent-unmapped")[0].0, "contracts/faq.v1.json");
    restore();
    // A template that is missing for a surface.
    let mail = rig.read("site/components/faq.v1/template.email.html");
    std::fs::remove_file(rig.path().join("site/components/faq.v1/template.email.html")).unwrap();
    let reported = codes(&rig, "intent-component");
    assert!(reported[0].1.contains("faq.v1") && reported[0].1.contains("email"), "{reported:?}");
    rig.write("site/components/faq.v1/template.email.html", &mail);
    // A state that nobody can look at, and an example that does not fit.
    rig.edit("site/components/hero.v1/component.toml", "states = [", "states = [\"asleep\", ");
    assert!(codes(&rig, "component-example")[0].1.contains("asleep"));
    restore();
    let example = rig.read("site/components/hero.v1/examples/default.json");
    rig.write("site/components/hero.v1/examples/default.json", "{\"intent\": \"hero\",\n \"title\": }");
    let reported = codes(&rig, "component-example");
    assert!(reported.iter().any(|t| t.0 == "components/hero.v1/examples/default.json:2:11"), "{reported:?}");
    assert!(!reported.iter().any(|t| t.1.contains("has no example")), "it has one: {reported:?}");
    rig.write("site/components/hero.v1/examples/default.json", &example);

    // Content says what it means. How it looks needs a reason.
    let contract = |property: Value| {
        let mut hero: Value = serde_json::from_str(&kept[1].1).unwrap();
        hero["properties"]["background_color"] = property;
        rig.write("site/contracts/hero.v1.json", &hero.to_string());
    };
    contract(json!({"type": "string"}));
    assert_eq!(
        codes(&rig, "content-presentation")[0].0,
        "contracts/hero.v1.json /properties/background_color"
    );
    contract(
        json!({"type": "string", "x-ashlar": {"presentation": true, "reason": "The colour of the boat is a fact."}}),
    );
    let out = rig.run(&["check", "site", "--format", "json"]);
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(!found(&report, "components").iter().any(|f| f.0 == "content-presentation"), "{report}");

    // What a file measures is a fact; what a block measures is not.
    let with = |name: &str, shape: Value| {
        let mut hero: Value = serde_json::from_str(&kept[1].1).unwrap();
        hero["properties"][name] = shape;
        rig.write("site/contracts/hero.v1.json", &hero.to_string());
        let out = rig.run(&["check", "site", "--format", "json"]);
        let report: Value = serde_json::from_slice(&out.stdout).unwrap();
        found(&report, "components").iter().filter(|f| f.0 == "content-presentation").count()
    };
    let number = json!({"type": "integer"});
    let measured =
        json!({"type": "object", "properties": {"width": number, "height": number, "size": number}});
    let mut file = measured.clone();
    file["properties"]["mime_type"] = json!({"type": "string"});
    assert_eq!(with("heroImage", measured.clone()), 0);
    assert_eq!(with("pictures", json!({"type": "array", "items": measured.clone()})), 0);
    assert_eq!(with("extra", file), 0);
    assert_eq!(with("extra", measured), 3);
    assert_eq!(with("width", json!({"type": "integer"})), 1);
    assert_eq!(
        with("image", json!({"type": "object", "properties": {"size": {"enum": ["small", "large"]}}})),
        1
    );
}

#[test]
fn what_cannot_be_shown_never_is() {
    let (rig, _server, url) = demo();
    let (before, html) = (get(&url, "/en/home"), get(&url, "/en/home").text());
    let stays = || {
        let now = get(&url, "/en/home");
        assert_eq!((now.status, now.header("ashlar-release")), (200, before.header("ashlar-release")));
        assert_eq!(now.text(), html);
    };
    let refused = |code: &str| {
        let made = rig.candidate();
        let findings = found(&made, "components");
        let of =
            findings.iter().find(|f| f.0 == code).unwrap_or_else(|| panic!("{code}: {findings:?}")).clone();
        let name = made["candidate"].as_str().unwrap();
        assert_eq!(rig.run(&["release", "promote", name]).status.code(), Some(1));
        stays();
        of
    };
    // A payload that its contract allows, and its component does not.
    let mut props: Value = serde_json::from_str(&rig.read("site/components/hero.v1/props.json")).unwrap();
    let kept = props.to_string();
    props["properties"]["title"]["maxLength"] = json!(10);
    rig.write("site/components/hero.v1/props.json", &props.to_string());
    for example in std::fs::read_dir(rig.path().join("site/components/hero.v1/examples")).unwrap() {
        let path = example.unwrap().path();
        let mut example: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        example["title"] = json!("Short");
        std::fs::write(&path, example.to_string()).unwrap();
    }
    rig.push();
    let (_, place, message, help) = refused("props-misfit");
    assert!(place.starts_with("page/") && place.contains("/sections/0/title"), "{place}");
    assert!(
        message.contains("`hero.v1`") && help.contains("components/hero.v1/props.json"),
        "{message} {help}"
    );
    rig.write("site/components/hero.v1/props.json", &kept);

    // A layout that only real content leads into the trap: an example does not show it.
    let layout = rig.read("site/site/layouts/page.html");
    rig.edit(
        "site/site/layouts/page.html",
        "{% block main %}",
        "{% block main %}\n{% for a in page.sections %}{% for i in range(9999) %}{% for j in range(9999) %}.{% endfor %}{% endfor %}{% endfor %}",
    );
    rig.push();
    let (_, _, message, _) = refused("page-failed");
    assert!(message.contains("site/layouts/page.html:"), "{message}");
    assert!(message.contains("does not end"), "{message}");
    rig.write("site/site/layouts/page.html", &layout);
    rig.push();
    assert_eq!(rig.candidate()["status"], "passed");
}

#[test]
fn a_file_that_pages_show_is_judged_again_when_it_alone_changes() {
    let rig = Rig::demo();
    let check = || {
        let out = rig.run(&["check", "site", "--format", "json"]);
        let report: Value = serde_json::from_slice(&out.stdout).unwrap();
        (out.status.code(), found(&report, "components"))
    };
    assert_eq!(check().0, Some(0));
    // With its entries: layouts show the navigation on every page.
    rig.json(0, &["push", "site", "--content", "--format", "json"]);
    assert!(found(&rig.candidate(), "components").is_empty());
    let lie = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1 1'><script>alert(1)</script></svg>";
    rig.write("site/assets/favicon.svg", lie);
    let (exit, findings) = check();
    assert_eq!(exit, Some(1));
    assert_eq!((findings[0].0.as_str(), findings[0].1.as_str()), ("image", "assets/favicon.svg"));
    rig.push();
    assert_eq!(found(&rig.candidate(), "components")[0].0, "image");
}
