//! Human review over HTTP and on the command line: a call is chosen, two people judge it, a third decides, and it becomes a case that fails.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{Demo, Rig, eventually, http};
use serde_json::{Value, json};

const QUESTION: &str = "How many berths does the Jetty plan include?";
const KNOWN: &str = r#"{"id":"margin","input":"Which margin do most ports take for tide windows?","expect":{"answer":"must","facts":["0.3 m"]}}"#;
const NOT_SAID: &str = "Who won the football world cup in 1990?";

fn key(demo: &Demo, name: &str, scope: &str) -> String {
    let args = ["key", "create", "--name", name, "--scope", scope, "--format", "json"];
    demo.rig.json(0, &args)["key"].as_str().unwrap().to_owned()
}

/// The demo with another `review` of its feature `support`, and a key for calls of that feature.
fn site(review: &str) -> (Demo, String) {
    let demo = Demo::of(Rig::demo(), &["demo", "--data", "demo"]);
    let text = "routes = [\"extractive\"]\nprompts = [\"support-answer\"]";
    let more = format!("text = {{ keep_days = 7 }}\nreview = {review}\n{text}");
    demo.rig.edit("site/gateway.toml", text, &more);
    demo.rig.write(
        "site/evals/talks.toml",
        "owner = 'x'\nfeature = 'support'\nprompt = 'support-answer'\nlocale = 'en'\n[gate]\ndefinitions = 'advice'\n",
    );
    demo.rig.write("site/evals/talks.jsonl", KNOWN);
    demo.rig.push();
    let release = demo.rig.release();
    eventually("the release", || {
        let (_, head, _) = http(&demo.url, "GET", "/v1/pages/home", "", "");
        head.contains(&format!("ashlar-release: {release}")).then_some(())
    });
    let key = key(&demo, "app", "llm:support");
    (demo, key)
}

fn ask(demo: &Demo, key: &str, user: &str, question: &str) {
    let body = json!({"model": "default", "user": user,
        "ashlar": {"prompt": "support-answer", "variables": {"question": question}}});
    let (status, _, said) = http(&demo.url, "POST", "/llm/v1/chat/completions", key, &body.to_string());
    assert_eq!(status, 200, "{said}");
}

fn call(demo: &Demo, key: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, _, said) = http(&demo.url, method, path, key, &body);
    (status, serde_json::from_str(&said).unwrap_or_else(|e| panic!("{path}: {e}: {said}")))
}

/// The reviews that a key sees, once there are so many.
fn reviews(demo: &Demo, key: &str, count: usize) -> Vec<Value> {
    eventually("reviews", || {
        let (status, page) = call(demo, key, "GET", "/api/v1/reviews", &Value::Null);
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().filter(|items| items.len() == count).cloned()
    })
}

fn id<'a>(reviews: &'a [Value], question: &str) -> &'a str {
    let found = reviews.iter().find(|review| review["question"] == question);
    found.and_then(|review| review["call"].as_str()).unwrap_or_else(|| panic!("{reviews:?}"))
}

fn code(answer: &Value) -> &str {
    answer["type"].as_str().unwrap().rsplit(['/', ':']).next().unwrap()
}

/// Long because it tells one story.
#[test]
fn a_wrong_answer_is_found_judged_and_becomes_a_case_that_fails() {
    let (demo, app) = site("{ share = 1.0, low_confidence = {}, reviewers = 2 }");
    let [ana, ben, cid] = ["ana", "ben", "cid"].map(|name| key(&demo, name, "review"));
    ask(&demo, &app, "jo@example.com", QUESTION);
    ask(&demo, &app, "ed", NOT_SAID);
    let all = reviews(&demo, &ana, 2);
    let (wrong, refused) = (id(&all, QUESTION), id(&all, NOT_SAID));
    let of = |call: &str| all.iter().find(|review| review["call"] == call).unwrap();
    assert_eq!(of(wrong)["reasons"], json!(["random"]));
    assert_eq!(of(refused)["reasons"], json!(["random", "low_confidence"]));

    // A reviewer sees the call, and nothing else of this server.
    let path = format!("/api/v1/reviews/{wrong}");
    let (_, shown) = call(&demo, &ana, "GET", &path, &Value::Null);
    assert!(shown["item"]["answer"].as_str().unwrap().contains("40"), "{shown}");
    assert_eq!(shown["item"]["sources"][0]["cited"], true, "{shown}");
    assert!(!shown.to_string().contains("jo@example.com"), "{shown}");
    for (key, path) in [(&app, "/api/v1/reviews"), (&ana, "/api/v1/llm/calls"), (&ana, "/api/v1/entries")] {
        assert_eq!(call(&demo, key, "GET", path, &Value::Null).0, 403, "{path}");
    }

    // Ana took it, so Ben waits; then he judges without knowing what she said.
    let judge = format!("{path}/verdict");
    let says = |verdict: &str| json!({"verdict": verdict, "comment": "looked it up", "expect": {"facts": ["41 berths"]}});
    let (status, taken) = call(&demo, &ana, "POST", "/api/v1/reviews/take", &json!({"call": wrong}));
    assert_eq!((status, &taken["review"]["taken_by"]), (200, &json!("ana")), "{taken}");
    let (status, problem) = call(&demo, &ben, "POST", &judge, &says("wrong"));
    assert_eq!((status, code(&problem)), (409, "review-taken"));
    let (status, given) = call(&demo, &ana, "POST", &judge, &says("wrong"));
    assert_eq!(
        (status, &given["state"], &given["verdicts"][0]["verdict"]),
        (200, &json!("open"), &json!("wrong"))
    );
    let (_, blind) = call(&demo, &ben, "GET", &path, &Value::Null);
    assert_eq!((&blind["verdicts"], &blind["given"], &blind["mine"]), (&json!([]), &json!(1), &json!(false)));
    let (status, problem) = call(&demo, &ana, "POST", &judge, &says("correct"));
    assert_eq!((status, code(&problem)), (409, "reviewed-twice"));
    let (_, events) = call(&demo, &demo.admin, "GET", "/api/v1/events?limit=500", &Value::Null);
    let judged =
        events["items"].as_array().unwrap().iter().find(|event| event["kind"] == "review.judged").unwrap();
    assert!(!judged.to_string().contains("wrong"), "the log does not tell the next reviewer: {judged}");

    // They disagree, and a third person decides.
    let (_, disputed) = call(&demo, &ben, "POST", &judge, &json!({"verdict": "correct"}));
    assert_eq!((&disputed["state"], disputed["verdicts"].as_array().unwrap().len()), (&json!("disputed"), 2));
    let (_, taken) = call(&demo, &cid, "POST", "/api/v1/reviews/take", &json!({}));
    assert_eq!(taken["review"]["call"], wrong, "disputed ones come first: {taken}");
    let (_, done) = call(&demo, &cid, "POST", &judge, &json!({"verdict": "wrong"}));
    assert_eq!((&done["state"], &done["verdict"]), (&json!("done"), &json!("wrong")));
    // Here the people of the command line agree that the refusal was right.
    for who in ["dora", "eve"] {
        let args = ["review", "judge", refused, "--verdict", "correct", "--as", who, "--format", "json"];
        demo.rig.json(0, &args);
    }

    // What is wrong is said.
    let bad = |body: Value| call(&demo, &ana, "POST", &format!("/api/v1/reviews/{refused}/verdict"), &body).0;
    assert_eq!(bad(json!({"verdict": "good"})), 400);
    assert_eq!(bad(json!({"verdict": "wrong", "expect": {"fact": ["x"]}})), 400);
    assert_eq!(call(&demo, &ana, "GET", "/api/v1/reviews/00", &Value::Null).0, 404);
    assert_eq!(call(&demo, &ana, "GET", "/api/v1/reviews?state=new", &Value::Null).0, 400);

    // Figures and labels, over HTTP and here.
    let (_, figures) = call(&demo, &ana, "GET", "/api/v1/reviews/figures", &Value::Null);
    let support = &figures["items"][0];
    assert_eq!((&support["feature"], &support["done"]), (&json!("support"), &json!(2)));
    assert_eq!((&support["wrong"]["count"], &support["wrong"]["of"]), (&json!(1), &json!(2)));
    assert_eq!(support["adjudicated"]["count"], 1);
    assert_eq!((&support["people"]["calls"], &support["people"]["agreed"]), (&json!(2), &json!(0.5)));
    assert_eq!((&support["false_alarms"], &support["missed"]), (&json!(1), &json!(1)));
    assert_eq!(demo.rig.json(0, &["review", "figures", "--format", "json"]), figures);
    let metrics = http(&demo.url, "GET", "/metrics", &demo.admin, "").2;
    assert!(
        metrics.contains(r#"ashlar_llm_reviews_total{feature="support",reason="random",tenant="main"} 2"#),
        "{metrics}"
    );

    // Both become cases of the suite of the project; the wrong answer is a case that fails.
    let grow =
        ["eval", "grow", "--suite", "talks", "--from-reviews", "--project", "site", "--format", "json"];
    let dry = demo.rig.json(0, &[&grow[..], &["--dry-run"]].concat());
    assert_eq!((&dry["cases"], &dry["files"]), (&json!(2), &json!([])), "{dry}");
    let server = ["--server", &demo.url, "--key", &ana];
    let grown = demo.rig.json(0, &[&grow[..], &server].concat());
    assert_eq!((&grown["cases"], &grown["todo"]), (&json!(2), &json!(0)), "{grown}");
    let case = grown["new"].as_array().unwrap().iter().find(|case| case["input"] == QUESTION).unwrap();
    assert_eq!(
        (&case["expect"], &case["source"]),
        (&json!({"facts": ["41 berths"]}), &json!(format!("review:{wrong}")))
    );
    assert_eq!(demo.rig.json(0, &grow)["cases"], 0, "nothing is added twice");
    let run =
        ["eval", "run", "--suite", "talks", "--project", "site", "--tag", "candidate", "--format", "json"];
    let ran: Value = serde_json::from_slice(&demo.rig.run(&run).stdout).unwrap();
    assert_eq!(ran["failed"], json!([format!("review-{wrong}")]), "{ran}");
    assert_eq!((&ran["cases"]["total"], &ran["cases"]["passed"]), (&json!(2), &json!(1)), "{ran}");
    let out = demo.rig.run(&["review", "export", "--suite", "talks", "--project", "site"]);
    let labels: Vec<Value> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let label = labels.iter().find(|label| label["call"] == wrong).unwrap();
    assert_eq!(
        (&label["pass"], &label["adjudicated"], &label["case"]),
        (&json!(false), &json!(true), &case["id"])
    );

    // Erasing a user takes what was said about them.
    let (_, erased) = call(&demo, &demo.admin, "DELETE", "/api/v1/llm/users/jo@example.com", &Value::Null);
    assert_eq!(erased, json!({"calls": 1, "reviews": 1}));
    assert_eq!(call(&demo, &ana, "GET", &path, &Value::Null).0, 404);
    let listed = demo.rig.run(&["review", "list"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains(refused) && !listed.contains(wrong), "{listed}");
}

#[test]
fn only_chosen_calls_are_reviewed_and_others_wait_for_a_person() {
    let (demo, app) = site("{ low_confidence = {} }");
    for question in [QUESTION, NOT_SAID] {
        ask(&demo, &app, "", question);
    }
    let chosen = reviews(&demo, &demo.admin, 1);
    assert_eq!(
        (&chosen[0]["question"], &chosen[0]["reasons"]),
        (&json!(NOT_SAID), &json!(["low_confidence"]))
    );
    // Somebody puts the other one into the queue.
    let calls = demo.rig.json(0, &["llm", "calls", "--feature", "support", "--format", "json"]);
    let other =
        calls["items"].as_array().unwrap().iter().find(|call| call["text"]["question"] == QUESTION).unwrap();
    let other = other["id"].as_str().unwrap();
    let added = demo.rig.json(0, &["review", "add", other, "--format", "json"]);
    assert_eq!(added["reasons"], json!(["disagreement"]));
    let again = demo.rig.json(1, &["review", "add", other, "--format", "json"]);
    assert_eq!(again["error"]["code"], "already-queued");
    // One reviewer is enough here, and a wrong answer without an expectation cannot become a case.
    let args = ["review", "judge", other, "--verdict", "wrong", "--server", &demo.url, "--key", &demo.admin];
    let said = demo.rig.run(&args);
    assert_eq!(String::from_utf8(said.stdout).unwrap(), "The review is done: wrong.\n");
    let grow = |exit: i32, more: &[&str]| {
        let args = [&["eval", "grow", "--suite", "talks", "--project", "site", "--format", "json"][..], more]
            .concat();
        demo.rig.json(exit, &args)
    };
    let grown = grow(0, &["--from-calls", "--since", "1d"]);
    assert_eq!((&grown["cases"], &grown["todo"]), (&json!(0), &json!(2)), "{grown}");
    assert_eq!(grow(0, &["--from-calls"])["todo"], 0, "lines are not added twice");
    // A person completes one line, which becomes a case; the other one waits on.
    assert_eq!(grow(0, &["--from-todo"])["cases"], 0);
    let todo = demo.rig.read("site/talks.todo.jsonl");
    let line = todo.lines().find(|line| line.contains(QUESTION)).unwrap();
    let done = line.replace(r#""expect":{}"#, r#""expect":{"facts":["40"]}"#);
    demo.rig.write("site/talks.todo.jsonl", &todo.replace(line, &done));
    let grown = grow(0, &["--from-todo"]);
    assert_eq!(
        (&grown["cases"], &grown["new"][0]["source"]),
        (&json!(1), &json!(format!("review:{other}"))),
        "{grown}"
    );
    assert_eq!(demo.rig.read("site/talks.todo.jsonl").lines().count(), 1);
    let checked = demo.rig.json(0, &["check", "site", "--format", "json"]);
    assert_eq!(checked["status"], "pass", "a file of lines to complete is no definition");

    // Text that was not stored cannot be used, and that is said.
    let plain = key(&demo, "plain", "llm:default");
    let body = json!({"model": "extractive", "messages": [{"role": "user", "content": QUESTION}]});
    assert_eq!(http(&demo.url, "POST", "/llm/v1/chat/completions", &plain, &body.to_string()).0, 200);
    let said = eventually("the record", || {
        let said = grow(1, &["--from-calls", "--feature", "default"]);
        said["error"]["message"].as_str().filter(|said| said.contains("none of the 1")).map(str::to_owned)
    });
    assert!(said.contains("has its text stored"), "{said}");
    assert_eq!(grow(2, &["--from-calls", "--since", "soon"])["error"]["code"], "invalid-input");
    let error = demo.rig.json(2, &["eval", "grow", "--suite", "../x", "--from-todo", "--format", "json"]);
    assert!(error["error"]["message"].as_str().unwrap().contains("name of a suite"), "{error}");
}

#[test]
fn suites_of_other_tools_are_imported_and_failures_become_cases() {
    let demo = Demo::new();
    demo.rig.place("project/ashlar.toml", "name = 'x'\n[locales]\ndefault = 'en'\nsupported = ['en']\n");
    demo.rig.write(
        "promptfooconfig.yaml",
        "prompts: ['{{question}}']\nproviders: [openai:gpt-4.1-mini]\ntests:\n\
         - vars: {question: 'How many berths does the Jetty plan include?'}\n  assert: [{type: contains, value: '40'}]\n\
         - vars: {question: 'What does the Basin plan cost?'}\n  assert:\n    - {type: contains, value: no such text}\n    - {type: javascript, value: output.length < 10}\n\
         - vars: {question: 'Is it kind?'}\n  assert: [{type: javascript, value: output.length < 10}]\n",
    );
    demo.rig.write(
        "samples.jsonl",
        "{\"input\":\"How many berths does the Jetty plan include?\",\"ideal\":\"40\"}\n{\"input\":\"x\"}\n",
    );
    let import = |exit: i32, file: &str, from: &str, more: &[&str]| {
        let args = [
            "eval",
            "import",
            file,
            "--from",
            from,
            "--out",
            "project",
            "--feature",
            "support",
            "--format",
            "json",
        ];
        demo.rig.json(exit, &[&args[..], more].concat())
    };
    let moved = import(0, "promptfooconfig.yaml", "promptfoo", &["--suite", "moved"]);
    assert_eq!((&moved["cases"], &moved["partial"]), (&json!(2), &json!(true)), "{moved}");
    let places: Vec<&str> =
        moved["findings"].as_array().unwrap().iter().map(|f| f["where"].as_str().unwrap()).collect();
    assert!(places.iter().any(|place| place.contains("/tests/1/assert/1")), "{places:?}");
    assert!(places.iter().any(|place| place.contains("/tests/2")), "{places:?}");
    let error = import(2, "promptfooconfig.yaml", "promptfoo", &["--suite", "moved"]);
    assert!(error["error"]["message"].as_str().unwrap().ends_with("moved.toml exists"), "{error}");
    import(0, "promptfooconfig.yaml", "promptfoo", &["--suite", "moved", "--force"]);
    let samples =
        import(0, "samples.jsonl", "openai-evals", &["--suite", "samples", "--matching", "includes"]);
    assert_eq!(
        (&samples["cases"], samples["findings"].as_array().unwrap().len()),
        (&json!(1), 1),
        "{samples}"
    );
    let none = import(2, "site.none", "promptfoo", &["--suite", "none"]);
    assert_eq!(none["error"]["code"], "file", "{none}");
    demo.rig.write("empty.jsonl", "{}\n");
    let empty = import(2, "empty.jsonl", "openai-evals", &["--suite", "empty"]);
    assert!(!empty["error"]["findings"].as_array().unwrap().is_empty(), "{empty}");

    // Both run at once.
    let run = |exit: i32, suite: &str| {
        demo.rig.json(
            exit,
            &["eval", "run", "--suite", suite, "--project", "project", "--out", "out", "--format", "json"],
        )
    };
    assert_eq!(run(0, "samples")["cases"]["passed"], 1);
    // There, one failed test fails the whole.
    let ran = run(1, "moved");
    assert_eq!((&ran["cases"]["passed"], ran["failed"].as_array().unwrap().len()), (&json!(1), 1), "{ran}");
    // What failed there becomes a case of the other suite, once.
    let grow = [
        "eval",
        "grow",
        "--suite",
        "samples",
        "--from-failures",
        "out/failure_cases.jsonl",
        "--project",
        "project",
        "--format",
        "json",
    ];
    let grown = demo.rig.json(0, &grow);
    assert_eq!(
        (&grown["cases"], &grown["new"][0]["tags"]),
        (&json!(1), &json!(["candidate", "from-failures"])),
        "{grown}"
    );
    let again = demo.rig.json(0, &grow);
    assert_eq!((&again["cases"], again["left_out"].as_array().unwrap().len()), (&json!(0), 1), "{again}");
    assert_eq!(run(0, "samples")["cases"]["total"], 2);
}
