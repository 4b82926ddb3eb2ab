//! `gateway.toml`.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use ashlar_gateway::{
    config::{Allowed, Gateway, Kind},
    price::Tokens,
    review::LowConfidence,
};
use ashlar_model::Files;

const FULL: &str = r#"
[routes.fast]
targets = [{ provider = "openai", model = "gpt-4o-mini", weight = 90 }, { provider = "local", model = "qwen/7b", weight = 10 }]
fallbacks = ["careful", "extractive"]
retries = 2
context = 128000
timeout = { connect = 2, first_token = 20.5, total = 120.0 }
hedge = 0.8

[routes.careful]
targets = [{ provider = "anthropic", model = "claude" }]

[[prices]]
model = "openai/gpt-4o-mini"
from = "2026-01-01"
currency = "USD"
input = "0.15"
cached_input = "0.075"
output = "0.60"

[[prices]]
model = "local/qwen/7b"
from = 2026-01-01
currency = "USD"
input = "0"
output = "0"

[features.support]
routes = ["fast", "extractive"]
prompts = ["support-answer"]
indexes = ["product"]
tools = []
requests_per_minute = 60
tokens_per_minute = 100000
budget = { day = "5.00", month = "100.00", tokens_day = 2000000, soft = 0.7 }
per_key = { tokens_per_minute = 5000 }
per_user = { requests_per_minute = 10, budget = { day = "0.50" } }
redact = { sending = ["email", "card"], logging = "all" }
text = { keep_days = 7 }
cache = { exact_seconds = 300 }

[features.support.review]
share = 0.05
low_confidence = { below = 0.7 }
high_risk = { prompts = ["support-answer"], indexes = ["product"], share = 0.5 }
reviewers = 2
keep_days = 60

[features.open]

[budget]
month = "500.00"

[records]
keep_days = 30
"#;

fn read(text: &str) -> Gateway {
    Gateway::read(text.as_bytes()).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

#[test]
fn a_full_file_is_read() {
    let gateway = read(FULL);
    let names: Vec<&str> = gateway.routes.keys().map(String::as_str).collect();
    assert_eq!(names, ["careful", "extractive", "fast"]);
    let fast = &gateway.routes["fast"];
    assert_eq!((fast.retries, fast.context, fast.line), (2, Some(128_000), 2));
    assert_eq!(fast.timeout.first_token, Duration::from_millis(20_500));
    assert_eq!((fast.hedge, gateway.routes["careful"].hedge), (Some(Duration::from_millis(800)), None));
    assert_eq!(
        fast.targets.iter().map(|t| (t.model.as_str(), t.weight)).collect::<Vec<_>>(),
        [("gpt-4o-mini", 90), ("qwen/7b", 10)]
    );
    assert_eq!(gateway.routes["careful"].retries, 1);

    let support = &gateway.features["support"];
    assert_eq!(support.limits.budget.day, Some("5".parse().unwrap()));
    assert_eq!(support.limits.budget.tokens_day, Some(2_000_000));
    assert!((support.limits.budget.soft - 0.7).abs() < 1e-9 && !support.per_key.budget.limits());
    assert_eq!(support.per_key.tokens_per_minute, Some(5_000));
    assert_eq!(support.redact.sending, [Kind::Email, Kind::Card].into());
    assert_eq!(support.redact.logging.len(), Kind::ALL.len());
    assert_eq!((support.text_days, gateway.record_days), (7, 30));
    assert_eq!(
        (support.cache.exact, gateway.features["open"].cache.exact),
        (Some(Duration::from_secs(300)), None)
    );
    let review = support.review.as_ref().unwrap();
    assert_eq!((review.share, review.reviewers, review.keep_days), (0.05, 2, 60));
    assert_eq!(review.low_confidence, Some(LowConfidence { below: 0.7, share: 1.0 }));
    let risk = review.high_risk.as_ref().unwrap();
    assert!(risk.prompts.contains("support-answer") && risk.indexes.contains("product") && risk.share == 0.5);
    assert_eq!(gateway.features["open"].review, None);
    assert!(support.routes.allows("fast") && !support.routes.allows("careful"));
    assert_eq!(
        gateway.routes_of(support).iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["fast", "extractive"]
    );
    let open = &gateway.features["open"];
    assert_eq!((&open.routes, &open.tools), (&Allowed::All, &Allowed::Only(Vec::new())));
    assert_eq!((open.text_days, open.redact.sending.len(), open.redact.logging.len()), (0, 0, 8));
    // The budget of the tenant limits money for every feature.
    assert!(gateway.limits_money(open));

    let price = gateway.prices.on("openai", "gpt-4o-mini", "2026-05-01".parse().unwrap()).unwrap();
    let tokens = Tokens { input: 1_000_000, cached_input: 400_000, output: 100_000, ..Tokens::default() };
    assert_eq!(price.cost(tokens).to_string(), "0.18");
    assert_eq!(gateway.prices.currency(), "USD");
    assert!(gateway.prices.on("local", "qwen/7b", "2026-05-01".parse().unwrap()).is_some());
}

#[test]
fn a_project_without_the_file_has_the_built_in_model() {
    let gateway = Gateway::parse(&Files::new()).unwrap();
    assert_eq!(gateway, Gateway::default());
    let default = &gateway.features["default"];
    assert_eq!(gateway.routes_of(default).iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["extractive"]);
    assert!(gateway.routes["extractive"].targets[0].is_built_in() && !gateway.limits_money(default));
    // A file that declares routes and no feature has one that may use them all.
    let routes = read("[routes.a]\ntargets = [{ provider = \"p\", model = \"m\" }]\n");
    assert!(routes.features["default"].routes.allows("a"));
}

#[test]
fn every_mistake_is_one_finding_with_its_line() {
    for (text, line, message, help) in [
        ("[routes.a]\ntargets = []", 1, "no targets", "targets ="),
        ("[routes.extractive]\ntargets = [{ provider = 'p', model = 'm' }]", 1, "built in", "another name"),
        ("[routes.A]\ntargets = [{ provider = 'p', model = 'm' }]", 1, "`A` cannot be", "lower-case"),
        (
            "[routes.a]\ntargets = [{ provider = 'p', model = 'm', weight = -1 }]",
            2,
            "`weight = -1`",
            "from 0",
        ),
        ("[routes.a]\ntargets = [{ provider = 'p', model = 'm', weight = 0 }]", 1, "weight 0", "above 0"),
        ("[routes.a]\ntargets = [{ provider = 'p', modell = 'm' }]", 2, "modell", "did you mean `model`?"),
        ("[routes.a]\ntargets = [{ provider = 'ashlar', model = 'm' }]", 2, "no model `m`", "extractive"),
        (
            "[routes.fast]\ntargets = [{ provider = 'p', model = 'm' }]\n[routes.b]\ntargets = [{ provider = 'p', model = 'm' }]\nfallbacks = ['fats']",
            5,
            "`fats` is not declared",
            "did you mean `fast`?",
        ),
        (
            "[routes.a]\ntargets = [{ provider = 'p', model = 'm' }]\nfallbacks = ['a']",
            3,
            "its own fallback",
            "retries",
        ),
        (
            "[routes.a]\ntargets = [{ provider = 'p', model = 'm' }]\nretries = 9",
            3,
            "`retries = 9`",
            "from 0 to 5",
        ),
        (
            "[routes.a]\ntargets = [{ provider = 'p', model = 'm' }]\ntimeout = { total = nan }",
            3,
            "not a time limit",
            "seconds",
        ),
        (
            "[routes.a]\ntargets = [{ provider = 'p', model = 'm' }]\ntimeout = { total = 1, connect = 2 }",
            1,
            "contradict",
            "total",
        ),
        (
            "[routes.a]\ntargets = [{ provider = 'p', model = 'm' }]\nhedge = 0.5",
            3,
            "no second target",
            "another target",
        ),
        (
            "[routes.a]\ntargets = [{ provider = 'p', model = 'm' }, { provider = 'q', model = 'm' }]\nhedge = 0",
            3,
            "`hedge = 0` is not a time limit",
            "from 0.001",
        ),
        (
            "[routes.a]\ntargets = [{ provider = 'p', model = 'm' }, { provider = 'q', model = 'm' }]\nhedge = 60",
            3,
            "as long as `first_token`",
            "less time",
        ),
        (
            "[[prices]]\nmodel = 'gpt'\nfrom = 2026-01-01\ncurrency = 'USD'\ninput = '1'\noutput = '1'",
            2,
            "names no provider",
            "openai/",
        ),
        (
            "[[prices]]\nmodel = 'ashlar/extractive'\nfrom = 2026-01-01\ncurrency = 'USD'\ninput = '1'\noutput = '1'",
            2,
            "cost nothing",
            "remove",
        ),
        (
            "[[prices]]\nmodel = 'a/b'\nfrom = 2026-13-01\ncurrency = 'USD'\ninput = '1'\noutput = '1'",
            3,
            "",
            "",
        ),
        (
            "[[prices]]\nmodel = 'a/b'\nfrom = 'January'\ncurrency = 'USD'\ninput = '1'\noutput = '1'",
            3,
            "not a day",
            "2026-01-01",
        ),
        (
            "[[prices]]\nmodel = 'a/b'\nfrom = 2026-01-01\ncurrency = 'usd'\ninput = '1'\noutput = '1'",
            4,
            "code of a currency",
            "USD",
        ),
        (
            "[[prices]]\nmodel = 'a/b'\nfrom = 2026-01-01\ncurrency = 'USD'\ninput = '0.15$'\noutput = '1'",
            5,
            "0.15$",
            "decimal",
        ),
        (
            "[[prices]]\nmodel = 'a/b'\nfrom = 2026-01-01\ncurrency = 'USD'\ninput = '0.1234567'\noutput = '1'",
            5,
            "more than 6 digits",
            "decimal",
        ),
        (
            "[[prices]]\nmodel = 'a/b'\nfrom = 2026-01-01\ncurrency = 'USD'\ninput = 0.15\noutput = '1'",
            5,
            "",
            "",
        ),
        ("[features.a]\nroutes = ['fsat']", 2, "`fsat` is not declared", "[routes.fsat]"),
        ("[features.a]\nroutes = []", 1, "empty list of routes", "extractive"),
        ("[features.a]\nprompts = ['x', 'x']", 2, "listed twice", "remove"),
        ("[features.a]\nrequests_per_minute = 0", 2, "`requests_per_minute = 0`", "from 1"),
        ("[features.a]\nbudget = { day = '-5' }", 2, "`day = \"-5\"`", "decimal"),
        ("[features.a]\nbudget = { day = '5', soft = 80 }", 2, "`soft = 80`", "from 0 to 1"),
        ("[features.a]\nbudget = { soft = 0.5 }", 2, "`soft` and no limit", "add day"),
        ("[features.a]\nbudget = { dayy = '5' }", 2, "dayy", "did you mean `day`?"),
        ("[features.a]\nredact = { sending = ['emial'] }", 2, "`emial`", "did you mean `email`?"),
        ("[features.a]\nredact = { sending = 'email' }", 2, "not a list", "[\"email\"]"),
        ("[features.a]\nredact = { logging = 'al' }", 2, "`al`", "did you mean `all`?"),
        ("[features.a]\ntext = { keep_days = 4000 }", 2, "`keep_days = 4000`", "from 0 to 400"),
        ("[features.a]\nreview = { share = 0.1 }", 2, "does not store the text", "keep_days"),
        (
            "[features.a]\ntext = { keep_days = 1 }\nreview = { reviewers = 2 }",
            3,
            "chooses no calls",
            "add share",
        ),
        ("[features.a]\ntext = { keep_days = 1 }\nreview = { share = 5 }", 3, "`share = 5`", "from 0 to 1"),
        (
            "[features.a]\ntext = { keep_days = 1 }\nreview = { share = 1, reviewers = 3 }",
            3,
            "`reviewers = 3`",
            "from 1 to 2",
        ),
        (
            "[features.a]\ntext = { keep_days = 1 }\nreview = { high_risk = {} }",
            3,
            "names nothing",
            "effects",
        ),
        ("[budget]\nmonth = '99999999'", 2, "too large", "decimal"),
        ("[features.a]\ncache = { exact_seconds = 0 }", 2, "`exact_seconds = 0`", "from 1 to 604800"),
        ("[records]\nkeep_days = 0", 2, "`keep_days = 0`", "from 1"),
        ("[feature.a]", 1, "feature", "did you mean `features`?"),
    ] {
        let findings = Gateway::read(text.as_bytes()).unwrap_err();
        assert_eq!(findings.len(), 1, "{text}\n{findings:#?}");
        let found = &findings[0];
        let at = format!("gateway.toml:{line}");
        assert!(found.place == at || found.place.starts_with(&format!("{at}:")), "{text}\n{found:#?}");
        assert!(found.message.contains(message) && found.help.contains(help), "{text}\n{found:#?}");
    }
    let two = "[[prices]]\nmodel = 'a/b'\nfrom = 2026-01-01\ncurrency = 'USD'\ninput = '1'\noutput = '1'\n";
    let findings = Gateway::read(format!("{two}{two}").as_bytes()).unwrap_err();
    assert!(findings[0].message.contains("two prices") && findings[0].place.ends_with(":9"), "{findings:#?}");
    let euro = two.replace("USD", "EUR").replace("a/b", "a/c");
    let findings = Gateway::read(format!("{two}{euro}").as_bytes()).unwrap_err();
    assert!(findings[0].message.contains("in `USD` and in `EUR`"), "{findings:#?}");
}

#[test]
fn files_are_bounded() {
    let many = (0..300).fold(String::new(), |text, n| format!("{text}[features.f{n}]\n"));
    let findings = Gateway::read(many.as_bytes()).unwrap_err();
    assert!(findings[0].message.contains("300 features"), "{findings:#?}");
    let wrong = (0..150).fold(String::new(), |text, n| format!("{text}[features.F{n}]\n"));
    assert_eq!(Gateway::read(wrong.as_bytes()).unwrap_err().len(), 100);
    let large = Gateway::read(&vec![b'#'; (1 << 20) + 1]).unwrap_err();
    assert!(large[0].message.contains("bytes"), "{large:#?}");
    let encoding = Gateway::read(b"\xff").unwrap_err();
    assert_eq!(encoding[0].code, "encoding");
}
