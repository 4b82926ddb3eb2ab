use super::*;

fn sources() -> Vec<Source> {
    let source = |id: &str, title: &str, text: &str| Source {
        id: id.to_owned(),
        title: title.to_owned(),
        text: text.to_owned(),
        ..Source::default()
    };
    vec![
        source(
            "c-basin",
            "Plans · Basin",
            "The Basin plan costs 39 EUR a month. It is for ports with up to 40 berths. It does not include tide windows.",
        ),
        source(
            "c-harbour",
            "Plans · Harbour",
            "The Harbour plan costs 120 EUR a month. It includes tide windows.",
        ),
    ]
}

fn of(rule: Rule, citations: bool, answer: &str) -> Grounded {
    check(answer, &sources(), Demand { rule, citations, locale: "en" })
}

fn code(grounded: &Grounded) -> Option<&str> {
    grounded.refusal.as_ref().map(|refusal| refusal.code)
}

#[test]
fn what_the_sources_say_is_shown() {
    let grounded = of(
        Rule::Refuse,
        true,
        "Sure! The Basin plan costs 39 EUR a month [1]. The Harbour plan includes tide windows. [2] Anything else?",
    );
    assert_eq!(code(&grounded), None);
    assert_eq!(grounded.cited, [1, 2]);
    assert!((grounded.groundedness - 1.0).abs() < 1e-6, "{grounded:?}");
    assert!(grounded.text.starts_with("Sure! The Basin plan costs 39 EUR a month [1]."), "{}", grounded.text);
    let by_id = of(Rule::Refuse, true, "Basin costs 39 EUR a month [c-basin].");
    assert_eq!((code(&by_id), &by_id.cited[..]), (None, &[1][..]));
}

#[test]
fn numbers_denials_and_misattributed_sentences_are_not_supported() {
    for wrong in [
        "The Basin plan costs 120 EUR a month [1].",
        "The Basin plan costs 49 EUR a month.",
        "The Basin plan includes tide windows [1].",
        "The Harbour plan does not include tide windows [2].",
        "The Harbour plan costs 120 EUR a month [1].",
        "Basin offers free whale watching tours for children.",
    ] {
        let grounded = of(Rule::Refuse, false, wrong);
        assert_eq!(code(&grounded), Some("not_grounded"), "{wrong}: {grounded:?}");
        assert_eq!(grounded.text, "");
        assert!(grounded.groundedness < 0.01, "{wrong}");
    }
}

/// How far two sentences of history support a claim.
fn support(claim: &str, locale: &str) -> f32 {
    let text = "In 1066 William the Conqueror defeated Harold Godwinson at Hastings, but he was not king of Scotland. \
                The march of 40 km cost 3 million pounds. Pevensey was fortified by Robert of Mortain.";
    let source = Source { text: text.to_owned(), title: "Normans".to_owned(), ..Source::default() };
    let demand = Demand { rule: Rule::Drop, citations: false, locale };
    check(claim, &[source], demand).sentences[0].support
}

#[test]
fn what_is_said_in_other_words_is_supported() {
    for right in [
        "William the Conqueror defeated Harold Godwinson in 1066.",
        "At Hastings, Harold Godwinson was defeated by William the Conqueror.",
        "He was not king of Scotland.",
        "The march of 40 kilometres cost £3 million.",
        "Robert of Mortain fortified Pevensey.",
        "The Normans: at Hastings William defeated Harold.",
    ] {
        assert!(support(right, "en") >= SUPPORT_MIN, "{right}: {}", support(right, "en"));
    }
}

#[test]
fn names_units_and_denials_are_compared() {
    for wrong in [
        "William the Conqueror defeated Edgar Atheling in 1066.",
        "William the Conqueror did not defeat Harold Godwinson in 1066.",
        "William was king of Scotland.",
        "The march of 40 miles cost 3 million pounds.",
        "The march of 40 km cost 3 billion pounds.",
        "The march of four km cost 3 million pounds.",
    ] {
        assert!(support(wrong, "en") < SUPPORT_MIN, "{wrong}: {}", support(wrong, "en"));
    }
    // A denial of something else in the same sentence denies nothing here.
    assert!(support("In 1066 William defeated Harold at Hastings.", "en") > 0.9);
    // In German, a capital letter marks a noun and not a name.
    assert!(support("William defeated Harold at Hastings, ein Ereignis.", "de") > 0.5);
}

#[test]
fn swapped_names_are_less_supported() {
    let (right, swapped) = (
        support("William the Conqueror defeated Harold Godwinson at Hastings.", "en"),
        support("Harold Godwinson defeated William the Conqueror at Hastings.", "en"),
    );
    assert!(right > 0.99 && swapped < right - 0.1, "{right} {swapped}");
}

#[test]
fn unsupported_sentences_are_dropped() {
    let answer = "The Basin plan costs 39 EUR a month [1]. It comes with a free boat for every captain. It is for ports with up to 40 berths [1].\n\n\
                  - The Harbour plan includes tide windows [2]\n- It was voted best product of 2025";
    let grounded = of(Rule::Drop, true, answer);
    assert_eq!(code(&grounded), None);
    assert_eq!(
        grounded.text,
        "The Basin plan costs 39 EUR a month [1]. It is for ports with up to 40 berths [1].\n\n- The Harbour plan includes tide windows [2]"
    );
    assert!(grounded.groundedness > 0.4 && grounded.groundedness < 0.9, "{}", grounded.groundedness);
    let nothing = of(Rule::Drop, true, "It comes with a free boat for every captain.");
    assert_eq!(code(&nothing), Some("not_grounded"));
}

#[test]
fn citations_must_name_a_source() {
    let grounded = of(
        Rule::Refuse,
        true,
        "The Basin plan costs 39 EUR a month [1, 7]. Is [our page](/plans) enough? [9]",
    );
    assert_eq!(grounded.invalid_citations, 2);
    assert_eq!(grounded.cited, [1]);
    assert_eq!(grounded.text, "The Basin plan costs 39 EUR a month [1]. Is [our page](/plans) enough?");
    assert_eq!(
        code(&of(Rule::Refuse, true, "The Basin plan costs 39 EUR a month [7].")),
        Some("no_citation")
    );
    assert_eq!(code(&of(Rule::Refuse, true, "The Basin plan costs 39 EUR a month.")), Some("no_citation"));
    assert_eq!(code(&of(Rule::Refuse, false, "The Basin plan costs 39 EUR a month.")), None);
}

#[test]
fn hostile_answers_end() {
    let none = check("x", &[], Demand { rule: Rule::Drop, citations: false, locale: "en" });
    assert_eq!(code(&none), Some("no_sources"));
    assert_eq!(code(&of(Rule::Drop, false, &"x ".repeat(ANSWER_BYTES_MAX))), Some("answer_too_long"));
    for text in ["", "[", "[1", "[[1]]", "[1][2][3]", "]", "[,]", ". . .", "[1] [1] [1]", "é[1]ü. [2]"] {
        let _ = of(Rule::Drop, true, text);
    }
    let _ = of(Rule::Drop, true, &"[1]".repeat(20_000));
    // One sentence of names, numbers and denials, beside a source of the same.
    let long = "Basin 39 EUR not Harbour ".repeat(8_000);
    let source = Source { text: long.clone(), ..Source::default() };
    let demand = Demand { rule: Rule::Drop, citations: false, locale: "en" };
    let _ = check(&long, &vec![source; 4], demand);
    // Many sentences beside many: refused before they are compared.
    let many = "The Basin plan costs 39 EUR and not 40 at Harbour. ".repeat(300);
    let source = Source { text: many.clone(), ..Source::default() };
    assert_eq!(code(&check(&many, std::slice::from_ref(&source), demand)), Some("answer_too_long"));
    assert_ne!(code(&check(&many[..2_000], &[source], demand)), Some("answer_too_long"));
}

#[test]
fn the_texts_of_a_json_answer_are_compared() {
    let of = |value: serde_json::Value| {
        check_value(&value, &sources(), Demand { rule: Rule::Drop, citations: true, locale: "en" })
    };
    let good = of(serde_json::json!({
        "answer": "The Basin plan costs 39 EUR a month.", "plan": "basin", "citations": [1], "price": 39
    }));
    assert_eq!((code(&good), &good.cited[..]), (None, &[1][..]));
    assert!(good.text.starts_with('{'));
    let inline = of(serde_json::json!({"answer": "The Basin plan costs 39 EUR a month [1]."}));
    assert_eq!(code(&inline), None);
    let wrong = of(serde_json::json!({
        "answer": "The Basin plan costs 39 EUR a month.", "more": ["It comes with a free boat."], "citations": [1]
    }));
    assert_eq!((code(&wrong), wrong.text.as_str()), (Some("not_grounded"), ""));
    for citations in [serde_json::json!([]), serde_json::json!([3])] {
        let answer =
            serde_json::json!({"answer": "The Basin plan costs 39 EUR a month.", "citations": citations});
        assert_eq!(code(&of(answer)), Some("no_citation"));
    }
}
