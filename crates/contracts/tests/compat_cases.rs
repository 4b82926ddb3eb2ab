//! What a careful person says about a change, case by case, from the JSON Schema 2020-12 specification.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;

use ashlar_contracts::{Answer, compare_documents};
use serde_json::Value;

const NAME: &str = "thing.v1.json";

/// Old, new, and `verdict backward forward`, with `semantic` or `lenient` behind them where they apply.
type Case = (&'static str, &'static str, &'static str);

const TYPES: &[Case] = &[
    (r#"{}"#, r#"{}"#, "none yes yes"),
    (r#"true"#, r#"{}"#, "patch yes yes"),
    (r#"{}"#, r#"false"#, "major no yes"),
    (r#"false"#, r#"{}"#, "minor yes no"),
    (r#"{"type":"string"}"#, r#"{"type":["string"]}"#, "patch yes yes"),
    (r#"{"type":"string"}"#, r#"{"type":["string","null"]}"#, "minor yes no"),
    (r#"{"type":["string","null"]}"#, r#"{"type":"string"}"#, "major no yes"),
    (r#"{"type":["null","string"]}"#, r#"{"type":["string","null"]}"#, "patch yes yes"),
    (r#"{"type":"integer"}"#, r#"{"type":"number"}"#, "minor yes no"),
    (r#"{"type":"number"}"#, r#"{"type":"integer"}"#, "major no yes"),
    (r#"{"type":"number","multipleOf":1}"#, r#"{"type":"integer"}"#, "patch yes yes"),
    (r#"{"type":["integer","number"]}"#, r#"{"type":"number"}"#, "patch yes yes"),
    (r#"{"type":"string"}"#, r#"{"type":"integer"}"#, "major no no"),
    (r#"{}"#, r#"{"type":"string"}"#, "major no yes"),
    (r#"{"type":"boolean"}"#, r#"{"enum":[true,false]}"#, "patch yes yes"),
    (r#"{"type":["boolean","null"]}"#, r#"{"enum":[null,true,false]}"#, "patch yes yes"),
];

const VALUES: &[Case] = &[
    (r#"{"enum":["a","b"]}"#, r#"{"enum":["b","a"]}"#, "patch yes yes"),
    (r#"{"enum":["a"]}"#, r#"{"enum":["a","b"]}"#, "minor yes no"),
    (r#"{"enum":["a","b"]}"#, r#"{"enum":["a"]}"#, "major no yes"),
    (r#"{"enum":["a","b"]}"#, r#"{"enum":["a","c"]}"#, "major no no"),
    (r#"{"const":"a"}"#, r#"{"enum":["a"]}"#, "patch yes yes"),
    (r#"{"const":1}"#, r#"{"const":1.0}"#, "patch yes yes"),
    (r#"{"const":"a"}"#, r#"{"const":"b"}"#, "major no no"),
    (r#"{"enum":["a","b"]}"#, r#"{"type":"string"}"#, "minor yes no"),
    (r#"{"type":"string"}"#, r#"{"enum":["a","b"]}"#, "major no yes"),
    (r#"{"enum":["a",1],"type":"string"}"#, r#"{"const":"a"}"#, "patch yes yes"),
    (r#"{"const":9007199254740993}"#, r#"{"const":9007199254740992}"#, "major no no"),
];

const NUMBERS: &[Case] = &[
    (r#"{"type":"integer","minimum":1}"#, r#"{"type":"integer","minimum":0}"#, "minor yes no"),
    (r#"{"type":"integer","minimum":0}"#, r#"{"type":"integer","minimum":1}"#, "major no yes"),
    (r#"{"type":"integer","minimum":1}"#, r#"{"type":"integer","exclusiveMinimum":0}"#, "patch yes yes"),
    (r#"{"type":"number","minimum":1}"#, r#"{"type":"number","exclusiveMinimum":0}"#, "minor yes no"),
    (r#"{"type":"integer","maximum":9}"#, r#"{"type":"integer","exclusiveMaximum":10}"#, "patch yes yes"),
    (r#"{"type":"number","maximum":10}"#, r#"{"type":"number","exclusiveMaximum":10}"#, "major no yes"),
    (r#"{"type":"number","maximum":1.0}"#, r#"{"type":"number","maximum":1}"#, "patch yes yes"),
    (r#"{"type":"number","minimum":0}"#, r#"{"type":"number"}"#, "minor yes no"),
    (r#"{"type":"string","minimum":5}"#, r#"{"type":"string","minimum":9}"#, "patch yes yes"),
    (r#"{"type":"number","multipleOf":4}"#, r#"{"type":"number","multipleOf":2}"#, "minor yes no"),
    (r#"{"type":"number","multipleOf":2}"#, r#"{"type":"number","multipleOf":4}"#, "major no yes"),
    (r#"{"type":"number","multipleOf":0.1}"#, r#"{"type":"number","multipleOf":0.01}"#, "minor yes no"),
    (r#"{"type":"number","multipleOf":0.5}"#, r#"{"type":"number","multipleOf":0.25}"#, "minor yes no"),
    (r#"{"type":"number","multipleOf":2}"#, r#"{"type":"number","multipleOf":3}"#, "major no no"),
    (r#"{"type":"number","multipleOf":3}"#, r#"{"type":"integer"}"#, "minor yes no"),
    (r#"{"enum":[1,2,3]}"#, r#"{"type":"integer","minimum":1,"maximum":3}"#, "patch yes yes"),
];

const TEXTS: &[Case] = &[
    (r#"{"type":"string","maxLength":10}"#, r#"{"type":"string","maxLength":20}"#, "minor yes no"),
    (r#"{"type":"string","maxLength":20}"#, r#"{"type":"string","maxLength":10}"#, "major no yes"),
    (r#"{"type":"string","minLength":0}"#, r#"{"type":"string"}"#, "patch yes yes"),
    (r#"{"type":"string"}"#, r#"{"type":"string","minLength":1}"#, "major no yes"),
    (r#"{"type":"string","pattern":"^a"}"#, r#"{"type":"string"}"#, "minor yes no"),
    (r#"{"type":"string"}"#, r#"{"type":"string","pattern":"^a"}"#, "major no yes"),
    (r#"{"type":"string","pattern":"^a"}"#, r#"{"type":"string","pattern":"^b"}"#, "major no no"),
    (r#"{"type":"string"}"#, r#"{"type":"string","format":"date"}"#, "major no yes"),
    (r#"{"type":"string","format":"date"}"#, r#"{"type":"string"}"#, "minor yes no"),
    (r#"{"type":"string","format":"date"}"#, r#"{"type":"string","format":"email"}"#, "major no no"),
    (r#"{"type":"string"}"#, r#"{"type":"string","contentMediaType":"text/markdown"}"#, "patch yes yes"),
];

const OBJECTS: &[Case] = &[
    (
        r#"{"type":"object","additionalProperties":false,"properties":{"a":{}}}"#,
        r#"{"type":"object","additionalProperties":false,"properties":{"a":{},"b":{}}}"#,
        "minor yes no",
    ),
    (
        r#"{"type":"object","additionalProperties":false,"properties":{"a":{},"b":{}}}"#,
        r#"{"type":"object","additionalProperties":false,"properties":{"a":{}}}"#,
        "major no yes",
    ),
    (
        r#"{"type":"object","properties":{}}"#,
        r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
        "major no yes",
    ),
    (
        r#"{"type":"object","properties":{}}"#,
        r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
        "minor yes yes lenient",
    ),
    (
        r#"{"type":"object","properties":{}}"#,
        r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#,
        "major no yes lenient",
    ),
    (
        r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
        r#"{"type":"object","properties":{}}"#,
        "minor yes no",
    ),
    (r#"{"type":"object","properties":{}}"#, r#"{"type":"object","properties":{"a":{}}}"#, "minor yes yes"),
    (
        r#"{"type":"object","properties":{"a":{}},"required":["a"]}"#,
        r#"{"type":"object","properties":{"a":{}}}"#,
        "minor yes no",
    ),
    (
        r#"{"type":"object","properties":{"a":{}}}"#,
        r#"{"type":"object","properties":{"a":{}},"required":["a"]}"#,
        "major no yes",
    ),
    (
        r#"{"type":"object","required":["a","b"]}"#,
        r#"{"type":"object","required":["b","a"]}"#,
        "patch yes yes",
    ),
    (
        r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
        r#"{"type":"object","properties":{"b":{"type":"string"}}}"#,
        "major no no",
    ),
    (r#"{"type":"object"}"#, r#"{"type":"object","additionalProperties":false}"#, "major no yes"),
    (r#"{"type":"object","additionalProperties":false}"#, r#"{"type":"object"}"#, "minor yes no"),
    (
        r#"{"type":"object","additionalProperties":{"type":"integer"}}"#,
        r#"{"type":"object","additionalProperties":{"type":"number"}}"#,
        "minor yes no",
    ),
    (
        r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
        r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":{"type":"string"}}"#,
        "minor yes yes",
    ),
    (
        r#"{"type":"object","additionalProperties":false,"properties":{"ab":{"type":"integer"}},"patternProperties":{"^a":{}}}"#,
        r#"{"type":"object","additionalProperties":false,"properties":{"ab":{}},"patternProperties":{"^a":{},"^ab$":{"type":"integer"}}}"#,
        "patch yes yes",
    ),
    (
        r#"{"type":"object","properties":{"ab":{"type":"integer"}},"patternProperties":{"^a":{"type":"number"}}}"#,
        r#"{"type":"object","properties":{"ab":{"type":"integer"}},"patternProperties":{"^a":{"type":"number"},"^ab":{"type":"number"}}}"#,
        "patch yes yes",
    ),
    (
        r#"{"type":"object","additionalProperties":false,"properties":{"ab":{"type":"integer"}},"patternProperties":{"^(ab|ac)$":{"type":"number"}}}"#,
        r#"{"type":"object","additionalProperties":false,"properties":{"ab":{"type":"integer"},"ac":{"type":"number"}}}"#,
        "minor yes yes",
    ),
    (
        r#"{"type":"object","additionalProperties":false,"patternProperties":{"^a":{"type":"integer"},"^b":{"type":"string"}}}"#,
        r#"{"type":"object","additionalProperties":false,"patternProperties":{"^a":{"type":"number"},"^b":{"type":"string"}}}"#,
        "minor yes no",
    ),
    (
        r#"{"type":"object","additionalProperties":false,"properties":{"ab":{"type":"integer"}},"patternProperties":{"^a":{"type":["integer","string"]}}}"#,
        r#"{"type":"object","additionalProperties":false,"patternProperties":{"^a":{"type":["integer","string"]}}}"#,
        "minor yes no",
    ),
    (
        r#"{"type":"object","patternProperties":{"^x":{"type":"integer"}}}"#,
        r#"{"type":"object","patternProperties":{"^x":{"type":"number"}}}"#,
        "minor yes no",
    ),
    (
        r#"{"type":"object","patternProperties":{"^x":{"type":"number"}}}"#,
        r#"{"type":"object","patternProperties":{"^x":{"type":"integer"}}}"#,
        "major no yes",
    ),
    (
        r#"{"type":"object"}"#,
        r#"{"type":"object","patternProperties":{"^x":{"type":"integer"}}}"#,
        "major no yes",
    ),
    (
        r#"{"type":"object","additionalProperties":false,"patternProperties":{"^x":{}}}"#,
        r#"{"type":"object","additionalProperties":false,"patternProperties":{"^x":{},"^y":{}}}"#,
        "minor yes no",
    ),
    (
        r#"{"type":"object","propertyNames":{"maxLength":3}}"#,
        r#"{"type":"object","propertyNames":{"maxLength":5}}"#,
        "minor yes no",
    ),
    (
        r#"{"type":"object","propertyNames":{"maxLength":5}}"#,
        r#"{"type":"object","propertyNames":{"maxLength":3}}"#,
        "major no yes",
    ),
    (
        r#"{"type":"object","additionalProperties":false,"properties":{"ab":{}}}"#,
        r#"{"type":"object","additionalProperties":false,"properties":{"ab":{}},"propertyNames":{"minLength":2}}"#,
        "patch yes yes",
    ),
    (r#"{"type":"object","minProperties":2}"#, r#"{"type":"object","minProperties":1}"#, "minor yes no"),
    (
        r#"{"type":"object","required":["a","b"]}"#,
        r#"{"type":"object","required":["a","b"],"minProperties":2}"#,
        "patch yes yes",
    ),
    (r#"{"type":"object","maxProperties":2}"#, r#"{"type":"object","maxProperties":1}"#, "major no yes"),
    (r#"{"type":"object","dependentRequired":{"a":["b"]}}"#, r#"{"type":"object"}"#, "minor yes no"),
    (r#"{"type":"object"}"#, r#"{"type":"object","dependentRequired":{"a":["b"]}}"#, "major no yes"),
    (
        r#"{"type":"object","required":["b"]}"#,
        r#"{"type":"object","required":["b"],"dependentRequired":{"a":["b"]}}"#,
        "patch yes yes",
    ),
    (
        r#"{"type":"object","dependentSchemas":{"a":{"required":["b"]}}}"#,
        r#"{"type":"object","dependentSchemas":{"a":{"required":["b","c"]}}}"#,
        "major no yes",
    ),
    (
        r#"{"type":"object","dependentSchemas":{"a":{"required":["b","c"]}}}"#,
        r#"{"type":"object","dependentSchemas":{"a":{"required":["b"]}}}"#,
        "minor yes no",
    ),
    (
        r#"{"type":"object","properties":{"a":{"type":"string"}},"unevaluatedProperties":false}"#,
        r#"{"type":"object","properties":{"a":{"type":"string"},"b":{}},"unevaluatedProperties":false}"#,
        "minor yes no",
    ),
    (
        r#"{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"integer"}},"additionalProperties":false}},"additionalProperties":false}"#,
        r#"{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"number"}},"additionalProperties":false}},"additionalProperties":false}"#,
        "minor yes no",
    ),
];

const ARRAYS: &[Case] = &[
    (
        r#"{"type":"array","items":{"type":"integer"}}"#,
        r#"{"type":"array","items":{"type":"number"}}"#,
        "minor yes no",
    ),
    (
        r#"{"type":"array","items":{"type":"number"}}"#,
        r#"{"type":"array","items":{"type":"integer"}}"#,
        "major no yes",
    ),
    (r#"{"type":"array"}"#, r#"{"type":"array","items":{"type":"integer"}}"#, "major no yes"),
    (r#"{"type":"array","maxItems":3}"#, r#"{"type":"array","maxItems":2}"#, "major no yes"),
    (r#"{"type":"array","minItems":1}"#, r#"{"type":"array"}"#, "minor yes no"),
    (r#"{"type":"array","uniqueItems":true}"#, r#"{"type":"array"}"#, "minor yes no"),
    (r#"{"type":"array"}"#, r#"{"type":"array","uniqueItems":true}"#, "major no yes"),
    (
        r#"{"type":"array","maxItems":1}"#,
        r#"{"type":"array","maxItems":1,"uniqueItems":true}"#,
        "patch yes yes",
    ),
    (r#"{"type":"array","uniqueItems":false}"#, r#"{"type":"array"}"#, "patch yes yes"),
    (
        r#"{"type":"array","prefixItems":[{"type":"integer"}]}"#,
        r#"{"type":"array","prefixItems":[{"type":"number"}]}"#,
        "minor yes no",
    ),
    (
        r#"{"type":"array","prefixItems":[{"type":"string"}]}"#,
        r#"{"type":"array","prefixItems":[{"type":"string"},{"type":"string"}]}"#,
        "major no yes",
    ),
    (
        r#"{"type":"array","items":{"type":"string"}}"#,
        r#"{"type":"array","prefixItems":[{"type":"string"}],"items":{"type":"string"}}"#,
        "patch yes yes",
    ),
    (r#"{"type":"array"}"#, r#"{"type":"array","contains":{"type":"string"}}"#, "major no yes"),
    (r#"{"type":"array","contains":{"type":"string"}}"#, r#"{"type":"array"}"#, "minor yes no"),
    (
        r#"{"type":"array","contains":{"type":"string"},"minContains":2}"#,
        r#"{"type":"array","contains":{"type":"string"},"minContains":1}"#,
        "minor yes no",
    ),
    (
        r#"{"type":"array","contains":{"type":"string"},"maxContains":2}"#,
        r#"{"type":"array","contains":{"type":"string"},"maxContains":1}"#,
        "major no yes",
    ),
    (
        r#"{"type":"array","items":{"type":"string"},"unevaluatedItems":false}"#,
        r#"{"type":"array","items":{"type":"string"}}"#,
        "patch yes yes",
    ),
];

const COMBINED: &[Case] = &[
    (
        r#"{"allOf":[{"type":"string"},{"minLength":1}]}"#,
        r#"{"type":"string","minLength":1}"#,
        "patch yes yes",
    ),
    (
        r#"{"allOf":[{"type":"string"},{"minLength":1}]}"#,
        r#"{"allOf":[{"minLength":1},{"type":"string"}]}"#,
        "patch yes yes",
    ),
    (r#"{"allOf":[{"type":"string"}]}"#, r#"{"allOf":[{"type":"string"},{"maxLength":3}]}"#, "major no yes"),
    (r#"{"allOf":[{"type":"string"},{"maxLength":3}]}"#, r#"{"allOf":[{"type":"string"}]}"#, "minor yes no"),
    (r#"{"anyOf":[{"type":"string"}]}"#, r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#, "minor yes no"),
    (r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#, r#"{"anyOf":[{"type":"string"}]}"#, "major no yes"),
    (r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#, r#"{"type":["string","null"]}"#, "patch yes yes"),
    (r#"{"type":["string","null"]}"#, r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#, "patch yes yes"),
    (r#"{"oneOf":[{"type":"string"},{"type":"null"}]}"#, r#"{"type":["string","null"]}"#, "patch yes yes"),
    (
        r#"{"oneOf":[{"type":"string"}]}"#,
        r#"{"oneOf":[{"type":"string"},{"type":"integer"}]}"#,
        "minor yes no",
    ),
    (
        r#"{"oneOf":[{"type":"integer"}]}"#,
        r#"{"oneOf":[{"type":"integer"},{"type":"number"}]}"#,
        "major no no",
    ),
    (r#"{"not":{"type":"string"}}"#, r#"{}"#, "minor yes no"),
    (r#"{}"#, r#"{"not":{"type":"string"}}"#, "major no yes"),
    (r#"{"not":{"type":["string","null"]}}"#, r#"{"not":{"type":"string"}}"#, "minor yes no"),
    (r#"{"type":"integer"}"#, r#"{"type":"integer","not":{"type":"string"}}"#, "patch yes yes"),
    (
        r#"{"type":"object","properties":{"k":{"const":"a"}},"required":["k"],"if":{"properties":{"k":{"const":"b"}}},"then":{"required":["x"]}}"#,
        r#"{"type":"object","properties":{"k":{"const":"a"}},"required":["k"]}"#,
        "patch yes yes",
    ),
    (
        r#"{"type":"object"}"#,
        r#"{"type":"object","if":{"required":["a"]},"then":{"required":["b"]}}"#,
        "major no yes",
    ),
    (
        r#"{"type":"object","if":{"required":["a"]},"then":{"required":["b"]}}"#,
        r#"{"type":"object"}"#,
        "minor yes no",
    ),
    (
        r#"{"oneOf":[{"type":"object","properties":{"kind":{"const":"a"}},"required":["kind"]},{"type":"object","properties":{"kind":{"const":"b"}},"required":["kind"]}]}"#,
        r#"{"oneOf":[{"type":"object","properties":{"kind":{"const":"a"}},"required":["kind"]},{"type":"object","properties":{"kind":{"const":"b"}},"required":["kind"]},{"type":"object","properties":{"kind":{"const":"c"}},"required":["kind"]}]}"#,
        "minor yes no",
    ),
];

const REFERENCES: &[Case] = &[
    (r##"{"$ref":"#/$defs/d","$defs":{"d":{"type":"string"}}}"##, r#"{"type":"string"}"#, "patch yes yes"),
    (
        r##"{"$ref":"#/$defs/d","$defs":{"d":{"type":"string"}}}"##,
        r##"{"$ref":"#/$defs/e","$defs":{"e":{"type":"string"}}}"##,
        "patch yes yes",
    ),
    (
        r##"{"$ref":"#/$defs/d","$defs":{"d":{"type":"string"}}}"##,
        r##"{"$ref":"#/$defs/d","$defs":{"d":{"type":["string","null"]}}}"##,
        "minor yes no",
    ),
    (
        r##"{"$ref":"#/$defs/d","$defs":{"d":{"type":"string"}}}"##,
        r##"{"$ref":"#/$defs/d","$defs":{"d":{"type":"string","minLength":1}}}"##,
        "major no yes",
    ),
    (
        r##"{"type":"string","$defs":{"unused":{"type":"string"}}}"##,
        r##"{"type":"string","$defs":{"unused":{"type":"integer"}}}"##,
        "patch yes yes",
    ),
    (
        r##"{"type":"object","properties":{"next":{"$ref":"#"},"n":{"type":"integer"}},"additionalProperties":false}"##,
        r##"{"type":"object","properties":{"next":{"$ref":"#"},"n":{"type":"number"}},"additionalProperties":false}"##,
        "minor yes no",
    ),
    (
        r##"{"type":"object","properties":{"next":{"$ref":"#"},"n":{"type":"number"}},"additionalProperties":false}"##,
        r##"{"type":"object","properties":{"next":{"$ref":"#"},"n":{"type":"integer"}},"additionalProperties":false}"##,
        "major no yes",
    ),
];

const WORDS: &[Case] = &[
    (r#"{"title":"A"}"#, r#"{"title":"B"}"#, "patch yes yes"),
    (r#"{"default":1}"#, r#"{"default":2}"#, "patch yes yes"),
    (
        r#"{"properties":{"p":{"type":"integer","x-ashlar":{"semantics":"cents"}}}}"#,
        r#"{"properties":{"p":{"type":"integer","x-ashlar":{"semantics":"euros"}}}}"#,
        "minor yes yes semantic",
    ),
    (
        r#"{"properties":{"p":{"type":"integer","x-ashlar":{"unit":"s"}}}}"#,
        r#"{"properties":{"p":{"type":"integer","x-ashlar":{"unit":"ms"}}}}"#,
        "minor yes yes semantic",
    ),
    (
        r#"{"properties":{"p":{"type":"string"}}}"#,
        r#"{"properties":{"p":{"type":"string","x-ashlar":{"sensitivity":"legal"}}}}"#,
        "minor yes yes semantic",
    ),
    (
        r#"{"properties":{"p":{"type":"string","x-ashlar":{"ref":["a"]}}}}"#,
        r#"{"properties":{"p":{"type":"string","x-ashlar":{"ref":["a","b"]}}}}"#,
        "minor yes no",
    ),
    (
        r#"{"properties":{"p":{"type":"string","x-ashlar":{"ref":["a","b"]}}}}"#,
        r#"{"properties":{"p":{"type":"string","x-ashlar":{"ref":["a"]}}}}"#,
        "major no yes",
    ),
    (
        r#"{"properties":{"p":{"type":"string"}}}"#,
        r#"{"properties":{"p":{"type":"string","x-ashlar":{"ref":["a"]}}}}"#,
        "major no yes",
    ),
    (r#"{"x-ashlar":{"owner":"a"}}"#, r#"{"x-ashlar":{"owner":"b"}}"#, "patch yes yes"),
    (r#"{"x-ashlar":{"status":"active"}}"#, r#"{"x-ashlar":{"status":"deprecated"}}"#, "patch yes yes"),
];

fn reported(old: &str, new: &str, lenient: bool) -> String {
    let one = |text: &str| BTreeMap::from([(NAME.to_owned(), serde_json::from_str::<Value>(text).unwrap())]);
    let c = compare_documents((&one(old), NAME), (&one(new), NAME), lenient);
    let word = |a: Answer| match a {
        Answer::Yes => "yes",
        Answer::Unknown => "unknown",
        Answer::No => "no",
    };
    let extra =
        format!("{}{}", if c.semantic { " semantic" } else { "" }, if lenient { " lenient" } else { "" });
    format!("{} {} {}{extra}", c.verdict, word(c.backward), word(c.forward))
}

#[test]
fn every_case_is_judged_as_a_careful_person_would() {
    let all = [TYPES, VALUES, NUMBERS, TEXTS, OBJECTS, ARRAYS, COMBINED, REFERENCES, WORDS];
    let mut wrong = Vec::new();
    let mut n = 0;
    for (old, new, expected) in all.into_iter().flatten() {
        n += 1;
        let got = reported(old, new, expected.ends_with("lenient"));
        if got != *expected {
            wrong.push(format!("{old}\n  {new}\n    expected {expected}\n    told     {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {n}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(n >= 120, "{n}");
}
