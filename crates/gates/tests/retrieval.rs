//! The gate `retrieval`: what retrieval.toml says is checked against contracts and entries.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use ashlar_gates::{CheckOptions, check_project};
use ashlar_model::GateStatus;

const CONFIG: &str = "name = 'x'\n[locales]\ndefault = 'en'\nsupported = ['en', 'de-AT']\n";
const GUIDE: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"docs","kind":"type","index":"product","title_field":"title"},
 "properties":{"title":{"type":"string"},
  "audience":{"type":"array","items":{"type":"string"}},
  "meta":{"type":"object","properties":{"regions":{"type":"array","items":{"enum":["eu","us"]}},"size":{"type":"object"}}},
  "applies_to":{"type":"string"},"valid_from":{"type":"string","format":"date"},"weight":{"type":"number"}},
 "required":["title"],"additionalProperties":false}"#;
const TERMS: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"law","kind":"type","index":"legal","title_field":"title"},
 "properties":{"title":{"type":"string"}},"required":["title"],"additionalProperties":false}"#;
const INDEXES: &str = "[indexes.product]\n[indexes.legal]\nalone = true\n";

/// The status of the gate and what it says, for a project with this retrieval.toml.
fn judged(retrieval: Option<&str>) -> (GateStatus, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let mut files = vec![
        ("ashlar.toml", CONFIG),
        ("contracts/guide.v1.json", GUIDE),
        ("contracts/terms.v1.json", TERMS),
        ("content/guide/berths.en.json", r#"{"title": "Berths", "audience": ["partner"]}"#),
    ];
    files.extend(retrieval.map(|text| ("retrieval.toml", text)));
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let now = "2026-06-01T12:00:00Z".parse().unwrap();
    let report = check_project(dir.path(), &CheckOptions { against: None, cache: false, now }).unwrap();
    let gate = report.gates.into_iter().find(|gate| gate.gate == "retrieval").unwrap();
    let reported =
        gate.findings.iter().map(|f| format!("{} {}: {} ({})", f.code, f.place, f.message, f.help));
    (gate.status, reported.collect())
}

#[test]
fn a_project_without_the_file_and_one_with_a_right_one_pass() {
    assert_eq!(judged(None), (GateStatus::Pass, Vec::new()));
    let full = format!(
        "{INDEXES}[attributes]\naudience = 'audience'\nregion = '/meta/regions'\nversions = 'applies_to'\nfrom = 'valid_from'\n\
         [readers.partner]\naudience = ['partner']\nregion = ['eu']\n[synonyms.de]\nanleger = ['liegeplatz']\n\
         [[pins]]\nquery = 'berth'\nentry = 'guide/berths'\nuntil = 2026-06-01\nlocale = 'de-AT'\n"
    );
    assert_eq!(judged(Some(&full)), (GateStatus::Pass, Vec::new()));
}

#[test]
fn what_does_not_exist_is_reported_with_its_place() {
    for (text, status, expect) in [
        (
            "[indexes.products]\n[indexes.legal]\n",
            GateStatus::Fail,
            &[
                "retrieval-index-unknown contracts/guide.v1.json: The index `product` of `guide.v1` is not declared in retrieval.toml. (did you mean `products`?)",
                "retrieval-index-unused retrieval.toml:1: No contract names the index `products`, so it is empty. (add \"index\": \"products\" to the x-ashlar of a contract, or remove the index)",
            ][..],
        ),
        (
            "[attributes]\naudience = 'audiences'\nregion = '/meta/countries'\n[readers.a]\naudience = ['x']\n",
            GateStatus::Fail,
            &[
                "retrieval-attribute-unknown retrieval.toml:2: The attribute `audience` names the field `audiences`, which no searched contract has. (did you mean `audience`?)",
                "retrieval-attribute-unknown retrieval.toml:3: The attribute `region` names the field `/meta/countries`, which no searched contract has. (add the field to a contract with an index or a route, or remove the attribute)",
            ],
        ),
        (
            "[attributes]\naudience = 'audience'\nregion = '/meta/regions'\n[readers.public]\nregion = ['eu', 'uss']\n",
            GateStatus::Pass,
            &[
                "retrieval-reader-missing retrieval.toml:2: No reader lists a value of `audience`, so entries that have one are found by nobody. (add audience = [\"VALUE\"] to [readers.NAME])",
                "retrieval-reader-value retrieval.toml:3: The reader `public` lists `uss`, which no contract allows for `region`. (did you mean `us`?)",
            ],
        ),
        (
            "[attributes]\naudience = 'meta'\nuntil = 'weight'\n[readers.a]\naudience = ['x']\n",
            GateStatus::Fail,
            &[
                "retrieval-attribute-kind retrieval.toml:2: The field `meta` of the attribute `audience` is of the kind object in `guide.v1`, so it does not restrict anything. (name a field of the kind string, number, integer, boolean)",
                "retrieval-attribute-kind retrieval.toml:3: The field `weight` of the attribute `until` is of the kind number in `guide.v1`, so it does not restrict anything. (name a field of the kind string)",
            ],
        ),
        (
            "[[pins]]\nquery = 'berth'\nentry = 'guide/berth'\n[[pins]]\nquery = 'x'\nentry = 'nothing/at-all'\n",
            GateStatus::Fail,
            &[
                "retrieval-pin-missing retrieval.toml:3: The pin for \"berth\" names guide/berth, which does not exist. (did you mean `guide/berths`?)",
                "retrieval-pin-missing retrieval.toml:6: The pin for \"x\" names nothing/at-all, which does not exist. (correct `entry`, or remove the pin)",
            ],
        ),
        (
            "[[pins]]\nquery = 'berth'\nentry = 'guide/gone'\nuntil = 2026-05-31\n",
            GateStatus::Pass,
            &[
                "retrieval-pin-expired retrieval.toml:3: The pin for \"berth\" expired on 2026-05-31. (remove it, or give it a later `until`)",
            ],
        ),
        (
            "[synonyms.fr]\nquai = ['ponton']\n",
            GateStatus::Pass,
            &[
                "retrieval-locale-unknown retrieval.toml:1: The project has no locale `fr`. (write a locale of ashlar.toml, or its language)",
            ],
        ),
        (
            "[readers.partner]\naudience = ['partner']\n",
            GateStatus::Fail,
            &[
                "retrieval-config retrieval.toml:2: `audience` is not an attribute. (add audience = \"FIELD\" to [attributes])",
            ],
        ),
        ("[[pins]\n", GateStatus::Fail, &["toml-malformed retrieval.toml:1"]),
    ] {
        let (is, reported) = judged(Some(text));
        assert_eq!((is, reported.len()), (status, expect.len()), "{text}: {reported:#?}");
        for (reported, expect) in reported.iter().zip(expect) {
            assert!(reported.starts_with(expect), "{text}: {reported}");
        }
    }
}
