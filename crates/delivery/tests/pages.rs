//! Pages follow the release: none is stale, and none is rendered for nothing.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod common;

use std::collections::BTreeSet;

use ashlar_delivery::{Definitions, Purge, ReleaseRoots, ReleaseView, purge_dates};
use ashlar_model::{Digest, Files, modified_value};
use ashlar_store::Tree;
use common::{Fixture, ask, files, key};
use proptest::prelude::*;
use serde_json::json;

fn with_site() -> Files {
    let mut files = files();
    let layout = "<html lang=\"{{ locale }}\"><body>{% if data.top %}<nav>{{ data.top.name }}</nav>{% endif %}<h1>{{ page.title }}</h1>{% if page.hero %}<p>{{ page.hero.name }}</p>{% endif %}{% for p in page.plans or [] %}<b>{{ p.name }} {{ p.price }}</b>{% endfor %}{% for a in alternates %}<i>{{ a.path }}</i>{% endfor %}</body></html>";
    for (path, text) in [
        (
            "site/site.toml",
            "title = 'S'\nhome = '/home'\n[[page]]\ntype = 'page'\nview = 'pages.v1'\nlayout = 'page.html'\n[[list]]\nroute = '/{locale}/plans'\ntype = 'plan'\nview = 'plans.v1'\nsort = 'price'\nlayout = 'list.html'\n[data]\ntop = { view = 'plans.v1', key = 'top' }\n",
        ),
        ("site/layouts/page.html", layout),
        (
            "site/layouts/list.html",
            "<ul>{% for item in items %}<li>{{ item.path }} {{ item.body.name }}</li>{% endfor %}</ul>",
        ),
    ] {
        files.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    files
}

#[derive(Debug, Clone)]
enum Edit {
    Page(u8, Option<(u8, Vec<u8>, Option<u8>)>),
    Plan(u8, Option<u8>),
    Top(Option<u8>),
}

fn edit() -> impl Strategy<Value = Edit> {
    let page = (
        0..4_u8,
        proptest::option::weighted(
            0.85,
            (0..6_u8, proptest::collection::vec(0..4_u8, 0..3), proptest::option::of(0..4_u8)),
        ),
    );
    prop_oneof![
        4 => page.prop_map(|(id, fields)| Edit::Page(id, fields)),
        4 => (0..4_u8, proptest::option::weighted(0.8, 0..6_u8)).prop_map(|(id, name)| Edit::Plan(id, name)),
        1 => proptest::option::of(0..3_u8).prop_map(Edit::Top),
    ]
}

fn apply(fixture: &mut Fixture, edit: &Edit, locale: &str) {
    let (key, fields) = match edit {
        Edit::Page(id, fields) => (
            key("page", &format!("p{id}"), locale),
            fields.as_ref().map(|(title, plans, hero)| {
                let plans: Vec<String> = plans.iter().map(|p| format!("l{p}")).collect();
                let mut page = json!({ "slug": format!("{locale}-p{id}"), "title": format!("T{title}"), "plans": plans });
                if let Some(hero) = hero {
                    page["hero"] = json!(format!("l{hero}"));
                }
                page
            }),
        ),
        Edit::Plan(id, name) => (
            key("plan", &format!("l{id}"), locale),
            name.map(|n| json!({ "slug": format!("{locale}-l{id}"), "name": format!("N{n}"), "price": n })),
        ),
        Edit::Top(name) => (key("plan", "top", locale), name.map(|n| json!({ "slug": format!("{locale}-top"), "name": format!("Top{n}"), "price": 9 }))),
    };
    fixture.put(&[(key, fields)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// What is answered from memory is what would be rendered anew, and every page that changed was among those that a
    /// release renders before it is read.
    #[test]
    fn no_page_is_stale(edits in proptest::collection::vec((edit(), any::<bool>()), 1..14)) {
        let mut fixture = Fixture::of(with_site());
        let mut before = fixture.release("r0");
        for (edit, german) in edits {
            apply(&mut fixture, &edit, if german { "de" } else { "en" });
            let now = fixture.release("r1");
            let touched: BTreeSet<String> = now.pages_touched(&before).unwrap().into_iter().map(|p| p.path).collect();
            // The same release without anything in memory.
            let kept = std::mem::take(&mut fixture.caches);
            let fresh = fixture.release("r1");
            fixture.caches = kept;
            for page in now.pages() {
                let page = page.unwrap();
                let (warm, cold) = (now.page(&page).unwrap(), fresh.page(&page).unwrap());
                prop_assert_eq!(warm.as_ref().map(|p| &p.html), cold.as_ref().map(|p| &p.html), "{}", page.path);
                let earlier = before.page(&page).unwrap_or_default();
                if earlier.map(|p| p.html) != cold.map(|p| p.html) {
                    prop_assert!(touched.contains(&page.path), "{} changed and is not among {:?}", page.path, touched);
                }
            }
            before = now;
        }
    }
}

#[test]
fn one_entry_renders_its_dependants_and_nothing_else() {
    let mut fixture = Fixture::of(with_site());
    apply(&mut fixture, &Edit::Top(Some(0)), "en");
    for id in 0..4 {
        apply(&mut fixture, &Edit::Plan(id, Some(id)), "en");
        apply(&mut fixture, &Edit::Page(id, Some((0, vec![id], None))), "en");
    }
    let before = fixture.release("r1");
    before.pages().for_each(|p| drop(before.page(&p.unwrap()).unwrap()));
    apply(&mut fixture, &Edit::Plan(2, Some(5)), "en");
    let now = fixture.release("r2");
    let mut touched: Vec<String> = now.pages_touched(&before).unwrap().into_iter().map(|p| p.path).collect();
    touched.sort();
    // Plans are also what every page gets, so that a change of one touches all pages.
    assert!(
        touched.contains(&"/en-p2".to_owned()) && touched.contains(&"/en/plans".to_owned()),
        "{touched:?}"
    );
    let misses = fixture.caches.counts().stale;
    now.pages().for_each(|p| drop(now.page(&p.unwrap()).unwrap()));
    // The page with that plan, and the three lists: the other three pages are as they were.
    assert_eq!(fixture.caches.counts().stale - misses, 4);
}

#[test]
fn pages_answer_like_bodies() {
    let mut fixture = Fixture::of(with_site());
    apply(&mut fixture, &Edit::Plan(1, Some(1)), "en");
    apply(&mut fixture, &Edit::Page(1, Some((1, vec![1], Some(1)))), "en");
    let release = fixture.release("r1");
    let answer = ask(&release, "GET /en-p1");
    assert!(answer.starts_with("200\ncontent-security-policy: default-src 'none'"), "{answer}");
    assert!(
        answer.contains("surrogate-key: page:p1:en plan:l1:en") && answer.contains("<h1>T1</h1>"),
        "{answer}"
    );
    let etag = answer.lines().find_map(|l| l.strip_prefix("etag: ")).unwrap().to_owned();
    assert!(ask(&release, &format!("GET /en-p1\nif-none-match: {etag}")).starts_with("304"));
    assert!(ask(&release, "POST /en-p1").starts_with("405"));
    assert_eq!(ask(&release, "GET /nowhere"), "not delivery");
    assert!(ask(&release, "GET /\naccept-language: de").contains("location: /home"));
}

#[test]
fn content_that_was_reverted_has_the_date_of_the_revert() {
    let mut files = with_site();
    files
        .insert("site/layouts/page.html", b"<h1>{{ page.title }}</h1><time>{{ modified }}</time>".to_vec())
        .unwrap();
    let mut fixture = Fixture::of(files);
    apply(&mut fixture, &Edit::Page(1, Some((1, vec![], None))), "en");
    let dated = |fixture: &Fixture, seconds: i64| {
        let mut batch = fixture.objects.batch();
        let edit = (key("page", "p1", "en").to_bytes(), Some(modified_value(seconds)));
        let tree = Tree::empty().apply(&[edit], &mut batch).unwrap();
        fixture.runtime.block_on(fixture.objects.commit(batch)).unwrap();
        tree.root()
    };
    let opened = |fixture: &Fixture, caches: &ashlar_delivery::Caches, modified: Digest| {
        let roots = ReleaseRoots {
            label: "r".to_owned(),
            snapshot: fixture.snapshot.root(),
            definitions: fixture.definitions.digest,
            lookup: fixture.build().tree().root(),
            search: None,
            meaning: None,
            modified: Some(modified),
        };
        ReleaseView::open(&fixture.objects, &roots, Some(&fixture.definitions), caches).unwrap()
    };
    let etag = |view: &ReleaseView| {
        let answer = ask(view, "GET /en-p1");
        answer.lines().find_map(|l| l.strip_prefix("etag: ")).unwrap_or_else(|| panic!("{answer}")).to_owned()
    };
    let (before, after) = (dated(&fixture, 1_800_000_000), dated(&fixture, 1_800_000_600));
    // The same entries again, reverted later: one node has the page in memory, the other starts.
    etag(&opened(&fixture, &fixture.caches, before));
    let warm = etag(&opened(&fixture, &fixture.caches, after));
    assert_eq!(warm, etag(&opened(&fixture, &ashlar_delivery::Caches::default(), after)));
    // And caches in front are reported.
    let purge = |from, to| purge_dates(&fixture.objects, Purge::Nothing, Some(from), Some(to)).unwrap();
    assert_eq!(purge(&before, &after), Purge::Keys(vec!["page".to_owned(), "page:p1:en".to_owned()]));
    assert_eq!(purge(&after, &after), Purge::Nothing);
}

#[test]
fn configuration_that_cannot_be_read_is_no_default() {
    for (path, text, place) in [
        ("ashlar.toml", "name = 'x'\n[locales]\nfrom_a_newer_version = 1\n", "ashlar.toml:3"),
        ("redirects.toml", "[[redirect]]\nfrom = 'x'\nto = '/y'\n", "redirects.toml:1"),
        ("site/site.toml", "title = 'S'\nnew = 1\n", "site/site.toml:2"),
        ("tokens.toml", "new = 1\n", "tokens.toml:1"),
    ] {
        let mut files = with_site();
        files.insert(path, text.as_bytes().to_vec()).unwrap();
        let error =
            Definitions::parse(Digest::of(b"x"), &files).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains(place), "{path}: {error}");
    }
}
