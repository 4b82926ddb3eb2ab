//! `retrieval.toml`.

use std::{collections::BTreeSet, time::Duration};

use ashlar_retrieval::{
    access::Attributes,
    config::Config,
    routing::{Because, RouteError, Router},
    text::Analyzer,
};

const FULL: &str = r#"
[indexes.product]
title = "Product"
freshness = "2s"
default = true

[indexes.legal]
alone = true

[indexes.partners]
public = false

[chunks]
target = 80
most = 160

[attributes]
audience = "audience"
region = "/meta/regions"
versions = "applies_to"
from = "valid_from"
until = "valid_until"

[readers.public]
audience = ["guest"]

[readers.partner]
audience = ["guest", "partner"]
indexes = ["product", "legal", "partners"]

[[routes]]
when = "gdpr|privacy"
indexes = { legal = 1.0 }

[[routes]]
words = ["reseller price"]
indexes = { partners = 1.0, product = 0.3 }

[[examples]]
text = "how do I cancel"
index = "product"

[synonyms.en]
berth = ["mooring", "slip"]
"tide table" = ["tidal calendar"]

[[pins]]
query = "berth maps"
entry = "feature/berth-map"
until = 2027-01-01

[embedder]
kind = "lsa"
"#;

fn read(text: &str) -> Config {
    Config::read(text.as_bytes()).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

#[test]
fn a_full_file_is_read() {
    let config = read(FULL);
    let product = config.index("product");
    assert_eq!((product.title.as_str(), product.freshness), ("Product", Duration::from_secs(2)));
    assert!(product.default && product.public && !product.alone && !config.index("legal").default);
    assert_eq!((config.chunks.target, config.chunks.most, config.chunks.overlap), (80, 160, 20));
    assert_eq!(config.attributes.values["region"].steps().collect::<Vec<_>>(), ["meta", "regions"]);
    assert_eq!(config.attributes.versions.as_ref().map(|f| f.as_str()), Some("applies_to"));

    let partner = config.readers.reader(Some("partner"));
    let for_partners = Attributes::new([("audience".into(), vec!["partner".into()])], None, None, None);
    assert!(partner.sees(&for_partners) && !config.readers.public().sees(&for_partners));
    let uses = |reader: Option<&str>| {
        let may = |index: &&str| config.may_use(config.readers.reader(reader), index);
        ["product", "legal", "partners", "other"].into_iter().filter(may).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        (uses(None).as_str(), uses(Some("partner")).as_str()),
        ("product legal other", "product legal partners")
    );

    assert_eq!(config.index_of(Some("legal"), true), Some("legal"));
    assert_eq!(config.index_of(None, true), None);
    assert_eq!(Config::default().index_of(None, true), Some("main"));
    assert_eq!(Config::default().index_of(None, false), None);
}

#[test]
fn what_is_wrong_is_reported_with_its_line() {
    for (text, line, message, help) in [
        ("[indexs.a]", 1, "Unknown field `indexs`", "did you mean `indexes`?"),
        ("\n[indexes.A]", 2, "`A` cannot be the name of an index.", "lower-case"),
        ("[indexes.a]\nfreshnes = \"5s\"", 2, "Unknown field `freshnes`", "did you mean `freshness`?"),
        ("[indexes.a]\nfreshness = \"soon\"", 2, "`freshness = \"soon\"` is not a duration.", "5s"),
        ("[chunks]\ntarget = 100\nmost = 50", 1, "target = 100, most = 50", "target ≤ most"),
        ("[attributes]\nlocale = \"x\"", 2, "`locale` cannot be an attribute", "another name"),
        (
            "[attributes]\naudience = \"x\"\n[readers.a]\naudiense = [\"y\"]",
            4,
            "`audiense` is not an attribute.",
            "did you mean `audience`?",
        ),
        ("[readers.a]\nuntil = [\"y\"]", 2, "cannot list `until`", "remove"),
        (
            "[indexes.product]\n[readers.a]\nindexes = [\"products\"]",
            3,
            "The index `products` is not declared.",
            "did you mean `product`?",
        ),
        ("[indexes.a]\n\n[[routes]]\nindexes = { a = 1 }", 3, "A route says nothing of queries.", "words"),
        (
            "[indexes.a]\n[[routes]]\nwhen = \"(\"\nindexes = { a = 1.0 }",
            3,
            "not a regular expression",
            "price|cost",
        ),
        ("[indexes.a]\n[[routes]]\nwhen = \"x\"\nindexes = { a = 0.0 }", 4, "The weight 0 of `a`", "above 0"),
        (
            "[indexes.a]\n[[examples]]\ntext = \"x\"\nindex = \"b\"",
            4,
            "The index `b` is not declared.",
            "[indexes.b]",
        ),
        ("[synonyms.en]\nberth = []", 2, "`berth` has no synonyms.", "list some"),
        ("[[pins]]\nquery = \"x\"\nentry = \"home\"", 3, "does not name an entry", "page/home"),
        ("[[pins]]\nquery = \" \"\nentry = \"a/b\"", 1, "The query of a pin is empty.", "words"),
        (
            "[[pins]]\nquery = \"x\"\nentry = \"a/b\"\nuntil = \"soon\"",
            4,
            "`until = soon` is not a day.",
            "2027-01-01",
        ),
        ("[embedder]\nkind = \"lsi\"", 2, "There is no embedder `lsi`.", "lsa"),
        ("a = ", 1, "", ""),
    ] {
        let findings = Config::read(text.as_bytes()).expect_err(text);
        assert_eq!(findings.len(), 1, "{text}: {findings:#?}");
        let finding = &findings[0];
        let place: Vec<&str> = finding.place.split(':').collect();
        assert_eq!(
            (place[0], place[1]),
            ("retrieval.toml", line.to_string().as_str()),
            "{text}: {finding:?}"
        );
        assert!(finding.message.contains(message) && finding.help.contains(help), "{text}: {finding:?}");
    }
    let many = (0..33).map(|n| format!("[indexes.a{n}]\n")).collect::<String>();
    assert!(Config::read(many.as_bytes()).unwrap_err()[0].message.contains("at most 32"));
    let many = (0..4_000).map(|n| format!("w{n} = []\n")).collect::<String>();
    assert_eq!(Config::read(format!("[synonyms.en]\n{many}").as_bytes()).unwrap_err().len(), 100);
    assert!(Config::read(" ".repeat(2 << 20).as_bytes()).unwrap_err()[0].message.contains("at most 1048576"));
    for pattern in ["(((a{1000}){1000}){1000})", &"a|".repeat(300)] {
        let route = format!("[indexes.a]\n[[routes]]\nwhen = \"{pattern}\"\nindexes = {{ a = 1.0 }}");
        assert_eq!(Config::read(route.as_bytes()).unwrap_err().len(), 1, "{pattern}");
    }
    assert_eq!(Config::read(b"a = \"\xff\"").unwrap_err()[0].code, "encoding");
    assert!(Config::read(b"\xef\xbb\xbf[indexes.a]").is_ok());
}

#[test]
fn synonyms_stand_for_each_other() {
    let config = read(FULL);
    let analyzer = Analyzer::for_locale("en");
    let synonyms = config.synonyms("en-GB", &analyzer);
    let terms = |text: &str| analyzer.list(text);
    let (length, others) = synonyms.at(&terms("moorings in Hull")).unwrap();
    assert_eq!((length, others), (1, [terms("berth"), terms("slip")].as_slice()));
    let (length, others) = synonyms.at(&terms("tide tables")).unwrap();
    assert_eq!((length, others), (2, [terms("tidal calendar")].as_slice()));
    assert!(synonyms.at(&terms("tide")).is_none() && synonyms.at(&[]).is_none());
    assert!(config.synonyms("de", &Analyzer::for_locale("de")).is_empty());
}

#[test]
fn pins_apply_until_their_day() {
    let config = read(FULL);
    let analyzer = Analyzer::for_locale("en");
    let on = |day: &str, query: &str| -> Vec<String> {
        let found = config.pinned(&analyzer, "en", query, day.parse().unwrap());
        found.iter().map(|pin| format!("{}/{}", pin.type_name, pin.id)).collect()
    };
    assert_eq!(on("2026-12-01", "the Berth map"), ["feature/berth-map"]);
    assert_eq!(on("2027-01-01", "berth map"), ["feature/berth-map"]);
    assert!(on("2027-01-02", "berth map").is_empty());
    assert!(on("2026-12-01", "map berth").is_empty() && on("2026-12-01", "the").is_empty());
}

#[test]
fn rules_and_defaults_choose_indexes() {
    let config = read(FULL);
    let router = Router::new(&config.routes, "en");
    let all = BTreeSet::from(["legal", "partners", "product"]);
    let choose = |reader: Option<&str>, asked: &[&str], query: &str| {
        router.choose(&config, config.readers.reader(reader), &all, asked, query)
    };
    let named = |reader, asked: &[&str], query| {
        let chosen = choose(reader, asked, query).unwrap();
        let indexes: Vec<String> =
            chosen.indexes.iter().map(|(name, weight)| format!("{name} {weight}")).collect();
        (indexes.join(", "), chosen.because)
    };
    assert_eq!(named(None, &[], "tides"), ("product 1".into(), Because::Default));
    assert_eq!(named(None, &[], "GDPR and tides").0, "legal 1");
    assert_eq!(named(Some("partner"), &[], "what is a reseller price?").0, "partners 1, product 0.3");
    assert_eq!(
        named(None, &[], "what is a reseller price?").0,
        "product 0.3",
        "as if there were no such index"
    );
    assert_eq!(named(None, &["legal"], "tides"), ("legal 1".into(), Because::Asked));
    let unknown = |name: &str| Err(RouteError::Unknown(name.to_owned()));
    assert_eq!(choose(None, &["partners"], "x"), unknown("partners"));
    assert_eq!(choose(None, &["nosuch"], "x"), unknown("nosuch"));
    assert_eq!(choose(None, &["legal", "product"], "x"), Err(RouteError::Alone("legal".into())));

    // Without a file all indexes are used.
    let plain = Config::default();
    let chosen =
        Router::new(&plain.routes, "en").choose(&plain, plain.readers.public(), &all, &[], "x").unwrap();
    assert_eq!(chosen.indexes.len(), 3);
}
