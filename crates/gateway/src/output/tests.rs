use ashlar_contracts::ContractSet;
use ashlar_model::Files;
use serde_json::json;

use super::*;

const REPLY: &str = r##"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "x-ashlar": {"version": "1.0.0", "owner": "support", "kind": "output", "status": "active"},
  "description": "A reply.",
  "properties": {
    "answer": {"type": "string", "minLength": 3},
    "mood": {"$ref": "mood.v1.json"}
  },
  "required": ["answer", "mood"],
  "additionalProperties": false
}"##;
const MOOD: &str = r##"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "string",
  "x-ashlar": {"version": "1.0.0", "owner": "support", "kind": "block", "status": "active"},
  "enum": ["calm", "cross"]
}"##;

fn contracts(reply: &str) -> ContractSet {
    let mut files = Files::new();
    for (path, text) in [("contracts/reply.v1.json", reply), ("contracts/mood.v1.json", MOOD)] {
        files.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    let (set, findings) = ContractSet::load(&files);
    assert!(findings.is_empty(), "{findings:?}");
    set
}

fn reply(set: &ContractSet) -> &Contract {
    set.get(&"reply.v1".parse().unwrap()).unwrap()
}

#[test]
fn json_is_found_in_what_models_write() {
    let value = json!({"a": [1]});
    for text in [
        "{\"a\": [1]}",
        "  \n{\"a\": [1]}\n",
        "```json\n{\"a\": [1]}\n```",
        "Here it is:\n```\n{\"a\": [1]}\n```\nAnything else?",
        "Sure {not json} {\"a\": [1]} done.",
    ] {
        assert_eq!(json_of(text).as_ref(), Ok(&value), "{text}");
    }
    for text in ["", "no", "{\"a\": [1]", "[]x", &"[".repeat(100_000), &"{".repeat(100_000)] {
        assert!(json_of(text).is_err(), "{}", &text[..text.len().min(20)]);
    }
}

#[test]
fn an_output_is_repaired_once_and_then_refused() {
    let set = contracts(REPLY);
    let contract = reply(&set);
    let good = json!({"answer": "yes", "mood": "calm"});
    assert_eq!(judge(contract, &good.to_string(), 0), Verdict::Valid(good));
    let Verdict::Repair(asked) = judge(contract, "{\"answer\": \"yes\", \"mood\": \"glad\"}", 0) else {
        panic!()
    };
    assert!(asked.contains("/mood") && asked.contains("JSON"), "{asked}");
    let Verdict::Refuse(refusal) = judge(contract, "{\"answer\": 1}", 1) else { panic!() };
    assert_eq!((refusal.code, refusal.problems.len()), ("output_invalid", 2));
    let Verdict::Refuse(refusal) = judge(contract, "I would rather not", 1) else { panic!() };
    assert_eq!(refusal.code, "output_not_json");
}

#[test]
fn providers_get_a_schema_of_their_kind() {
    let set = contracts(REPLY);
    let format = openai_format(reply(&set), &set);
    assert_eq!(
        format,
        json!({"type": "json_schema", "json_schema": {"name": "reply_v1", "strict": true, "schema": {
            "type": "object", "description": "A reply.",
            "properties": {"answer": {"type": "string"}, "mood": {"$ref": "#/$defs/mood.v1.json"}},
            "required": ["answer", "mood"], "additionalProperties": false,
            "$defs": {"mood.v1.json": {"type": "string", "enum": ["calm", "cross"]}}
        }}})
    );
    let tool = anthropic_tool(reply(&set), &set);
    assert_eq!(tool["input_schema"]["properties"]["answer"]["minLength"], 3);
    let open = contracts(&REPLY.replace(", \"mood\"]", "]"));
    let format = openai_format(reply(&open), &open);
    assert_eq!(format["json_schema"]["strict"], false);
    assert_eq!(format["json_schema"]["schema"]["properties"]["answer"]["minLength"], 3);
}
