//! Sites as their files say, and what is said about files that cannot be used.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

use std::io::Cursor;

use ashlar_model::Files;
use ashlar_site::{Page, Site};
use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::json;

const PROPS: &str = r#"{"title":"Note","type":"object","x-ashlar":{"version":"1.0.0","owner":"design","kind":"props"},
"properties":{"intent":{"type":"string"},"text":{"type":"string"},"inner":{"type":"object"}},"required":["text"],"additionalProperties":false}"#;

fn photo(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 7 % 256) as u8, (y * 3 % 256) as u8, ((x * y) % 256) as u8])
    });
    let mut out = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture).write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn project(edits: &[(&str, &[u8])]) -> Files {
    let mut files = Files::new();
    for (path, text) in [
        (
            "site/site.toml",
            "title = 'S'\n[[page]]\ntype = 'page'\nview = 'pages.v1'\nlayout = 'page.html'\n[texts.en]\nhello = 'Hello'\n",
        ),
        (
            "site/layouts/page.html",
            "<p>{{ t.hello }} {{ page.title }}</p>{% for s in page.sections %}{{ section(s) }}{% endfor %}",
        ),
        ("components/note.v1/props.json", PROPS),
        (
            "components/note.v1/template.html",
            "<aside>{{ props.text }}{% if props.inner %}{{ section(props.inner) }}{% endif %}</aside>",
        ),
        ("components/note.v1/examples/default.json", r#"{"intent":"note","text":"A note"}"#),
        ("intents.toml", "surfaces = ['web']\n[intent.note]\nweb = 'note.v1'\n"),
    ] {
        files.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    for (path, bytes) in edits {
        files.insert(path, bytes.to_vec()).unwrap();
    }
    files
}

fn page(site: &Site, body: serde_json::Value) -> Result<String, String> {
    site.render(&Page { layout: "page.html", surface: "web", locale: "en", body, ..Page::default() })
        .map_err(|e| e.to_string())
}

fn reported(edits: &[(&str, &[u8])]) -> Vec<String> {
    let loaded = Site::load(&project(edits));
    loaded.findings.iter().map(|f| format!("{} [{}] {}", f.place, f.code, f.message)).collect()
}

#[test]
fn text_is_escaped_and_markup_is_not() {
    let loaded = Site::load(&project(&[]));
    assert_eq!(reported(&[]), Vec::<String>::new());
    let site = loaded.site.unwrap();
    let html =
        page(&site, json!({ "title": "<b> & \"x\"", "sections": [{ "intent": "note", "text": "1 < 2" }] }))
            .unwrap();
    assert_eq!(html, "<p>Hello &lt;b&gt; &amp; &quot;x&quot;</p><aside>1 &lt; 2</aside>");
}

#[test]
fn images_say_their_size_and_offer_smaller_ones() {
    let layout = b"{{ image('assets/quay.jpg', 'The \"quay\"', sizes='50vw') }}";
    let quay = photo(1400, 700, ImageFormat::Jpeg);
    let files = project(&[("site/layouts/page.html", layout), ("assets/quay.jpg", &quay)]);
    let site = Site::load(&files).site.unwrap();
    let html = page(&site, json!({})).unwrap();
    assert!(
        html.contains(" width=\"1400\" height=\"700\" alt=\"The &quot;quay&quot;\" loading=\"lazy\""),
        "{html}"
    );
    assert!(html.contains("sizes=\"50vw\""), "{html}");
    let srcset = html.split("srcset=\"").nth(1).unwrap().split('"').next().unwrap();
    let offered: Vec<(&str, u32)> = srcset
        .split(", ")
        .map(|one| one.rsplit_once(' ').map(|(a, w)| (a, w.trim_end_matches('w').parse().unwrap())).unwrap())
        .collect();
    assert_eq!(offered.iter().map(|o| o.1).collect::<Vec<_>>(), [400, 640, 960, 1280, 1400]);
    for (address, width) in offered {
        let asset = site.asset(address).unwrap();
        assert_eq!(image::load_from_memory(&asset.bytes).unwrap().width(), width, "{address}");
        assert_eq!(asset.media_type, "image/jpeg");
    }
    assert!(site.asset("/assets/none/quay-400.jpg").is_none());
    // Exports get what pages offer.
    assert_eq!(site.assets().iter().filter(|(address, _)| address.contains("quay")).count(), 5);
}

#[test]
fn images_that_lie_are_refused() {
    let lie = photo(20, 20, ImageFormat::Jpeg);
    let script =
        b"<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'><script>alert(1)</script></svg>";
    let half = &photo(600, 600, ImageFormat::Png)[..20];
    let said = reported(&[("assets/a.png", &lie), ("assets/b.svg", script), ("assets/c.png", half)]);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said.iter().all(|s| s.contains("[image]")), "{said:?}");
    assert!(said[0].starts_with("assets/a.png"), "{said:?}");
}

#[test]
fn templates_that_do_not_end_are_refused() {
    let endless = b"{% for i in range(100000) %}{% for j in range(100000) %}{{ i }}{% endfor %}{% endfor %}";
    let itself = b"\n{{ section({'intent': 'note', 'text': 'x'}) }}";
    let includes = b"{% include 'components/note.v1/template.html' %}";
    for (template, word) in
        [(&endless[..], "does not end"), (itself, "is nested deeper"), (includes, "recursion")]
    {
        let said = reported(&[("components/note.v1/template.html", template)]);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("components/note.v1/template.html:"), "{said:?}");
        assert!(said[0].contains(word), "{said:?}");
    }
    let said = reported(&[("components/note.v1/template.html", b"<p>\n{{ props.text }\n</p>")]);
    assert!(said[0].starts_with("components/note.v1/template.html:2 [template]"), "{said:?}");
    assert!(
        reported(&[("site/layouts/page.html", b"{% extends 'none.html' %}")]).is_empty(),
        "seen when a page is rendered"
    );
}

#[test]
fn components_and_intents_that_do_not_fit_are_reported() {
    for (path, text, code) in [
        ("components/note.v1/examples/default.json", r#"{"intent":"note"}"#, "component-example"),
        ("components/note.v1/examples/bad.json", "{", "component-example"),
        ("components/note.v1/component.toml", "states = ['open']", "component-example"),
        ("components/note.v1/component.toml", "stats = []", "component-form"),
        ("components/Note/props.json", "{}", "component-name"),
        ("components/other.v1/template.html", "x", "component-form"),
        ("intents.toml", "surfaces = ['web', 'email']\n[intent.note]\nweb = 'note.v1'\n", "intent-unmapped"),
        ("intents.toml", "[intent.note]\nweb = 'nota.v1'\n", "intent-component"),
        ("intents.toml", "[intent.note]\nweb = 'note.v1'\nwatch = 'note.v1'\n", "intent-surface"),
        (
            "intents.toml",
            "[intent.note]\nweb = 'note.v1'\n[[intent.note.variant]]\nwhen = { field = 'x' }\nweb = 'note.v1'\n",
            "intent-form",
        ),
        ("site/site.toml", "titel = 'S'", "site-form"),
        ("site/site.toml", "title = 'S'\nnot_found = 'gone.html'", "site-layout"),
    ] {
        let said = reported(&[(path, text.as_bytes())]);
        assert!(said.iter().any(|s| s.contains(&format!("[{code}]"))), "{path} {text}: {said:?}");
    }
}

#[test]
fn addresses_are_checked_and_a_live_site_stays_usable() {
    let edits: [(&str, &[u8]); 2] = [
        ("components/note.v1/template.html", b"<a title={{ props.text }} href=\"{{ props.text }}\">x</a>"),
        ("components/note.v1/examples/default.json", br#"{"intent":"note","text":"java\tscript:alert(1)"}"#),
    ];
    assert_eq!(
        reported(&edits),
        [
            "components/note.v1/template.html:1 [template-unquoted] The value of `title` has no quotes, so that a space in it begins another attribute.",
            "components/note.v1/examples/default.json [url-blocked] `href` gets `javascript:alert(1)`, which is not allowed there.",
        ]
    );
    // A release from before these rules goes on being served, without the address.
    let site = Site::load(&project(&edits)).site.unwrap();
    let body = json!({"title": "T", "sections": [{"intent": "note", "text": "javascript:alert(1)"}]});
    let html = page(&site, body).unwrap();
    assert!(html.contains("href=\"about:invalid#blocked\""), "{html}");
    let shown =
        site.render_component(&"note.v1".parse().unwrap(), &json!({"text": "vbscript:x"}), "en", "web");
    assert!(shown.unwrap().contains("href=\"about:invalid#blocked\""));
}
