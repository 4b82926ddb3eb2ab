//! Tools that the gateway runs over HTTP and MCP, approvals by people, and Ashlar as an MCP server, also with the SDKs of MCP.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;
#[path = "common/installed.rs"]
mod installed;
#[path = "common/standin.rs"]
mod standin;

use common::{Demo, Rig, eventually, found, http, start};
use installed::{installed, run};
use serde_json::{Value, json};
use standin::{Asked, JSON, Standin};
use std::path::Path;

/// A model that asks for the tool which the question names, and then repeats its result.
fn model() -> Standin {
    Standin::new(|asked, _| {
        let messages = asked.body["messages"].as_array().unwrap().clone();
        let last = messages.last().unwrap();
        let text = last["content"].as_str().unwrap_or_default();
        let message = match (last["role"].as_str(), text.split_once(' ')) {
            (Some("user"), Some((tool, arguments))) => {
                json!({"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": tool, "arguments": arguments}}]})
            }
            _ => json!({"role": "assistant", "content": format!("I read: {text}")}),
        };
        let finish = if message["content"].is_null() { "tool_calls" } else { "stop" };
        let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
            {"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}});
        (200, JSON.to_owned(), body.to_string())
    })
}

/// A tool server: HTTP below `/api`, MCP at `/mcp`. Its session of MCP is forgotten once.
fn shop() -> Standin {
    Standin::new(|asked, number| {
        let is_mcp = asked.line.starts_with("POST /mcp ");
        let answer =
            |result: Value| json!({"jsonrpc": "2.0", "id": asked.body["id"], "result": result}).to_string();
        match asked.body["method"].as_str().filter(|_| is_mcp) {
            Some("initialize") => {
                let result = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "n", "version": "1"}});
                (200, format!("{JSON}mcp-session-id: s{number}\r\n"), answer(result))
            }
            Some("tools/call") if asked.head.contains("mcp-session-id: s2\r\n") => {
                (404, String::new(), String::new())
            }
            Some("tools/call") => {
                let text =
                    format!("note on {}", asked.body["params"]["arguments"]["number"].as_str().unwrap());
                let result = answer(json!({"content": [{"type": "text", "text": text}]}));
                let events = format!(
                    "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}}\n\nevent: message\ndata: {result}\n\n"
                );
                (200, "content-type: text/event-stream\r\n".to_owned(), events)
            }
            Some(_) => (202, String::new(), String::new()),
            None if asked.line.starts_with("GET /api/orders/A-1?") => {
                (200, JSON.to_owned(), "{\"state\":\"shipped\"}".to_owned())
            }
            None if asked.line.starts_with("POST /api/refunds ") => {
                (200, JSON.to_owned(), "{\"paid\":true}".to_owned())
            }
            None => (404, JSON.to_owned(), "{\"error\":\"no such order\"}".to_owned()),
        }
    })
}

const GATEWAY: &str = r#"
[routes.fast]
targets = [{ provider = "model", model = "m" }]

[features.default]
routes = ["fast"]
tools = ["order-status", "refund", "notes"]

[tools.order-status]
description = "Looks up the state of an order by its number."
server = "shop"
method = "GET"
path = "/orders/{number}"
headers = { "X-Channel" = "chat" }
input = { type = "object", properties = { number = { type = "string" }, customer = { type = "string" } }, required = ["number"], additionalProperties = false }
bind = { customer = "user" }

[tools.refund]
description = "Pays money back for an order."
server = "shop"
path = "/refunds"
effects = true
input = "refund.v1"

[tools.notes]
description = "Notes of the team about an order."
server = "notes"
kind = "mcp"
tool = "notes.find"
input = { type = "object", properties = { number = { type = "string" } }, required = ["number"] }
"#;

const REFUND: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"commerce","kind":"tool"},
 "properties":{"number":{"type":"string"},"cents":{"type":"integer","minimum":1}},"required":["number","cents"],"additionalProperties":false}"#;

struct Site {
    rig: Rig,
    url: String,
    admin: String,
    key: String,
    _served: common::Served,
}

fn key(rig: &Rig, name: &str, scopes: &[&str]) -> String {
    let mut args = vec!["key", "create", "--name", name, "--format", "json"];
    scopes.iter().for_each(|scope| args.extend(["--scope", scope]));
    rig.json(0, &args)["key"].as_str().unwrap().to_owned()
}

/// A released project with tools, and a server that may reach the stand-ins.
fn site(model: &Standin, shop: &Standin) -> Site {
    let rig = Rig::new();
    rig.write("site/gateway.toml", GATEWAY);
    rig.write("site/contracts/refund.v1.json", REFUND);
    rig.push();
    rig.put("basin", &json!({"slug": "basin", "name": "Basin", "price": 14_900}), "mara");
    rig.json(0, &["candidate", "create", "--format", "json"]);
    rig.json(0, &["candidate", "approve", "c1", "--right", "pricing", "--as", "ines", "--format", "json"]);
    rig.json(0, &["release", "promote", "c1", "--format", "json"]);
    rig.write("data/shop.key", "sesame\n");
    rig.write(
        "data/models.toml",
        &format!(
            "[providers.model]\nkind = \"openai\"\nurl = \"{}\"\nprivate = true\n\
             [tool_servers.shop]\nurl = \"{}/api\"\nprivate = true\nkey_file = \"shop.key\"\n\
             [tool_servers.notes]\nurl = \"{}/mcp\"\nprivate = true\n",
            model.url, shop.url, shop.url
        ),
    );
    let key = key(&rig, "app", &["llm"]);
    let (served, ready) = start(&rig, &["serve", "--data", "data"]);
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    Site { url: text(&ready["url"]), admin: text(&ready["keys"]["admin"]), key, rig, _served: served }
}

impl Site {
    fn chat(&self, body: &Value) -> Value {
        let (status, _, said) =
            http(&self.url, "POST", "/llm/v1/chat/completions", &self.key, &body.to_string());
        let said: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {status} {said}"));
        assert_eq!(status, 200, "{said}");
        said
    }
}

fn asks(text: &str, tools: &[&str]) -> Value {
    json!({"model": "fast", "user": "ines", "messages": [{"role": "user", "content": text}], "ashlar": {"tools": tools}})
}

fn content(answer: &Value) -> &str {
    answer["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn tools_run_over_http_and_mcp() {
    let (model, shop) = (model(), shop());
    let site = site(&model, &shop);
    let answer = site.chat(&asks("order-status {\"number\":\"A-1\"}", &["order-status"]));
    assert!(content(&answer).contains("{\"state\":\"shipped\"}"), "{answer}");
    let sent = shop.asked().remove(0);
    assert_eq!(sent.line, "GET /api/orders/A-1?customer=ines HTTP/1.1");
    assert!(
        sent.head.contains("authorization: bearer sesame") && sent.head.contains("x-channel: chat"),
        "{}",
        sent.head
    );
    assert!(sent.head.contains("ashlar-trace: "), "{}", sent.head);
    let failed = site.chat(&asks("order-status {\"number\":\"B-9\"}", &["order-status"]));
    assert!(content(&failed).contains("the tool answered 404"), "{failed}");

    let noted = site.chat(&asks("notes {\"number\":\"A-1\"}", &["notes"]));
    assert!(content(&noted).contains("note on A-1"), "{noted}");
    let noted = site.chat(&asks("notes {\"number\":\"A-2\"}", &["notes"]));
    assert!(content(&noted).contains("note on A-2"), "{noted}");
    let calls: Vec<Asked> =
        shop.asked().into_iter().filter(|asked| asked.body["method"] == "tools/call").collect();
    assert!(calls.iter().all(|call| call.body["params"]["name"] == "notes.find"), "{calls:?}");
    assert!(calls.iter().all(|call| call.head.contains("mcp-protocol-version: 2025-06-18")), "{calls:?}");

    let records = eventually("the records", || {
        let (_, _, body) = http(&site.url, "GET", "/api/v1/llm/calls", &site.admin, "");
        let page: Value = serde_json::from_str(&body).unwrap();
        page["items"].as_array().filter(|items| items.len() == 4).cloned()
    });
    let first = records.last().unwrap();
    assert_eq!((&first["tools"], &first["attempts"]), (&json!(["order-status"]), &json!(2)), "{first}");
    assert_eq!(
        (&first["input_tokens"], &first["verdicts"]["tools"]),
        (&json!(20), &json!("order-status: ok"))
    );
}

#[test]
fn a_person_approves_exactly_one_call() {
    let (model, shop) = (model(), shop());
    let site = site(&model, &shop);
    let ask = asks("refund {\"number\":\"A-1\",\"cents\":500}", &["refund"]);
    let stopped = site.chat(&ask);
    let request = stopped["ashlar"]["approvals"][0]["request"].as_str().unwrap().to_owned();
    assert!(shop.asked().is_empty());
    let decide = |key: &str, body: Value| {
        let (status, _, said) = http(&site.url, "POST", "/api/v1/llm/approvals", key, &body.to_string());
        (status, serde_json::from_str::<Value>(&said).unwrap_or_default())
    };
    // The right is one of its own: neither administrators nor the application have it.
    let approve = json!({"request": request, "decision": "approve"});
    for key in [&site.admin, &site.key] {
        assert_eq!(decide(key, approve.clone()).0, 403);
    }
    let human = key(&site.rig, "anna", &["approve:tool:refund"]);
    let (status, shown) = decide(&human, json!({"request": request}));
    assert_eq!((status, &shown["status"], &shown["arguments"]["cents"]), (200, &json!("open"), &json!(500)));
    let changed = json!({"request": format!("{request}0"), "decision": "approve"});
    assert_eq!(decide(&human, changed).0, 422);

    let mut again = ask.clone();
    again["messages"].as_array_mut().unwrap().push(stopped["choices"][0]["message"].clone());
    again["ashlar"]["approvals"] = json!([request]);
    assert!(site.chat(&again)["ashlar"]["approvals"][0]["request"] == request.as_str());
    assert_eq!(decide(&human, approve.clone()).1["status"], "approved");
    assert_eq!(decide(&human, approve).0, 409);
    let done = site.chat(&again);
    assert!(content(&done).contains("{\"paid\":true}"), "{done}");
    let sent = shop.asked();
    assert_eq!((sent.len(), &sent[0].body), (1, &json!({"number": "A-1", "cents": 500})));
    assert_eq!(decide(&human, json!({"request": request})).1["status"], "used");
    assert!(site.chat(&again)["ashlar"]["approvals"][0]["request"] != request.as_str());
    assert_eq!(shop.asked().len(), 1, "an approval works once");
    let (_, _, audit) = http(&site.url, "GET", "/api/v1/audit", &site.admin, "");
    assert!(audit.contains("llm.tool_approved") || audit.contains("llm.tool_decide"), "{audit}");
}

#[test]
fn the_gate_names_what_is_wrong_with_tools() {
    let rig = Rig::new();
    // Each definition has the next one twice.
    let names: Vec<String> = (0..24)
        .map(|n| {
            format!(
                "d{n} = {{ allOf = [{{ \"$ref\" = \"#/$defs/d{0}\" }}, {{ \"$ref\" = \"#/$defs/d{0}\" }}] }}",
                n + 1
            )
        })
        .collect();
    let explodes = format!(
        "{{ type = \"object\", properties = {{ a = {{ \"$ref\" = \"#/$defs/d0\" }} }}, \"$defs\" = {{ {}, d24 = {{ type = \"string\" }} }} }}",
        names.join(", ")
    );
    let tool = |more: &str| {
        format!(
            "[tools.t]\ndescription = \"x\"\nserver = \"s\"\n{more}\n[features.default]\nroutes = [\"extractive\"]\n"
        )
    };
    let object = "input = { type = \"object\", properties = { a = { type = \"string\" } } }";
    for (text, says) in [
        (tool(&format!("path = \"/x\"\n{object}\ntimout = 3")), "timout"),
        (tool(&format!("path = \"/x\"\nkind = \"htp\"\n{object}")), "`kind = \"htp\"`"),
        (tool(&format!("path = \"http://e.com/\"\n{object}")), "is not a path"),
        (tool(&format!("path = \"/a/../b\"\n{object}")), "is not a path"),
        (tool(&format!("path = \"/a/{{b}}\"\n{object}")), "`b` is not a property"),
        (tool("path = \"/x\"\ninput = { type = \"string\" }"), "does not describe an object"),
        (tool("path = \"/x\"\ninput = { type = \"object\", properties = { a = { type = \"strng\" } } }"), "cannot be used"),
        (tool(&format!("path = \"/x\"\ninput = {explodes}")), "cannot be used"),
        (tool("path = \"/x\"\ninput = \"nothing.v1\""), "nothing.v1"),
        (tool(&format!("path = \"/x\"\n{object}\nheaders = {{ Authorization = \"x\" }}")), "cannot set the header"),
        (tool(&format!("path = \"/x\"\n{object}\nbind = {{ a = \"usr\" }}")), "cannot be bound to `usr`"),
        (tool(&format!("path = \"/x\"\n{object}\ntimeout = 1000")), "is not a time limit"),
        ("[features.default]\nroutes = [\"extractive\"]\ntools = [\"ordr\"]\n[tools.order]\ndescription = \"x\"\nserver = \"s\"\npath = \"/x\"\ninput = { type = \"object\" }\n".to_owned(), "did you mean `order`?"),
    ] {
        rig.write("site/gateway.toml", &text);
        let report = rig.json(1, &["check", "site", "--format", "json"]);
        let findings = found(&report, "gateway");
        assert!(
            findings.iter().any(|(_, place, message, help)| place.starts_with("gateway.toml:")
                && (message.contains(says) || help.contains(says))),
            "{says}: {findings:?}"
        );
    }
}

/// One message to `/mcp`.
fn rpc(url: &str, key: &str, method: &str, params: &Value) -> (u16, Value) {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let (status, _, said) = http(url, "POST", "/mcp", key, &body.to_string());
    (status, serde_json::from_str(&said).unwrap_or_default())
}

fn tools_of(url: &str, key: &str) -> Vec<String> {
    let (status, listed) = rpc(url, key, "tools/list", &json!({}));
    assert_eq!(status, 200, "{listed}");
    let tools = listed["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// What a tool answers, and whether it failed.
fn run_tool(url: &str, key: &str, name: &str, arguments: &Value) -> (Value, bool) {
    let (status, said) = rpc(url, key, "tools/call", &json!({"name": name, "arguments": arguments}));
    assert_eq!(status, 200, "{said}");
    let text = said["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{said}"));
    let failed = said["result"]["isError"] == true;
    (serde_json::from_str(text).unwrap_or_else(|_| json!(text)), failed)
}

#[test]
fn ashlar_is_an_mcp_server() {
    let demo = Demo::new();
    let reader = demo
        .rig
        .json(0, &["key", "create", "--name", "r", "--scope", "read", "--data", "demo", "--format", "json"]);
    let reader = reader["key"].as_str().unwrap();
    let writer = key(&demo.rig, "w", &["read", "preview", "write"]);
    for (key, status) in [("", 401), ("ash_nothing", 401)] {
        assert_eq!(rpc(&demo.url, key, "tools/list", &json!({})).0, status);
    }
    assert_eq!(tools_of(&demo.url, reader), ["search", "read"]);
    assert_eq!(tools_of(&demo.url, &writer), ["search", "read", "draft", "propose"]);
    let (_, hello) = rpc(&demo.url, reader, "initialize", &json!({"protocolVersion": "2025-06-18"}));
    assert_eq!(hello["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(rpc(&demo.url, reader, "resources/list", &json!({})).1["error"]["code"], -32_601);
    assert_eq!(http(&demo.url, "GET", "/mcp", reader, "").0, 405);
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    assert_eq!(http(&demo.url, "POST", "/mcp", reader, &notification).0, 202);

    let (hits, failed) = run_tool(&demo.url, reader, "search", &json!({"query": "basin price", "limit": 3}));
    assert!(!failed && hits.to_string().contains("asin"), "{hits}");
    let (entry, failed) =
        run_tool(&demo.url, reader, "read", &json!({"type": "pricing-plan", "id": "basin"}));
    assert!(!failed && entry.is_object(), "{entry}");
    let refused = rpc(&demo.url, reader, "tools/call", &json!({"name": "draft", "arguments": {}})).1;
    assert_eq!(refused["error"]["code"], -32_602, "{refused}");
    let (said, failed) =
        run_tool(&demo.url, reader, "read", &json!({"type": "pricing-plan", "id": "basin", "at": "draft"}));
    assert!(failed && said.as_str().unwrap().contains("preview"), "{said}");
    let (said, failed) = run_tool(&demo.url, reader, "search", &json!({"query": "x", "lang": "en"}));
    assert!(failed && said.as_str().unwrap().contains("`lang`"), "{said}");

    let (draft, _) =
        run_tool(&demo.url, &writer, "read", &json!({"type": "pricing-plan", "id": "basin", "at": "draft"}));
    let mut fields = draft.get("fields").cloned().unwrap_or(draft.clone());
    fields["name"] = json!("Basin plus");
    let write = json!({"type": "pricing-plan", "id": "basin", "changeset": "rename", "fields": fields});
    let (written, failed) = run_tool(&demo.url, &writer, "draft", &write);
    assert!(!failed && written["changeset"] == "rename", "{written}");
    let (proposed, failed) =
        run_tool(&demo.url, &writer, "propose", &json!({"changeset": "rename", "note": "shorter"}));
    assert!(!failed && proposed["candidate"].as_str().unwrap().starts_with('c'), "{proposed}");
    assert!(
        proposed["gates"].as_array().unwrap().iter().any(|gate| gate["gate"] == "approvals"),
        "{proposed}"
    );
    let (live, _) = run_tool(&demo.url, reader, "read", &json!({"type": "pricing-plan", "id": "basin"}));
    assert!(!live.to_string().contains("Basin plus"), "nothing is published: {live}");
    for name in ["promote", "approve", "rollback"] {
        let (_, said) = rpc(&demo.url, &demo.admin, "tools/call", &json!({"name": name, "arguments": {}}));
        assert_eq!(said["error"]["code"], -32_602, "{said}");
    }
}

const PYTHON: &str = r#"
import asyncio, json, sys
import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

url, reader, writer = sys.argv[1:]

async def use(key, work):
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http:
        async with Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client:
            await work(client)

async def reads(client):
    names = [tool.name for tool in (await client.list_tools()).tools]
    assert names == ["search", "read"], names
    found = await client.call_tool("search", {"query": "basin price"})
    assert not found.is_error and "asin" in found.content[0].text, found

async def writes(client):
    names = [tool.name for tool in (await client.list_tools()).tools]
    assert names == ["search", "read", "draft", "propose"], names
    entry = json.loads((await client.call_tool("read", {"type": "pricing-plan", "id": "basin", "at": "draft"})).content[0].text)
    fields = {**entry.get("fields", entry), "name": "Basin by Python"}
    written = await client.call_tool("draft", {"type": "pricing-plan", "id": "basin", "changeset": "python", "fields": fields})
    assert not written.is_error, written
    proposed = await client.call_tool("propose", {"changeset": "python"})
    assert not proposed.is_error and json.loads(proposed.content[0].text)["gates"], proposed

asyncio.run(use(reader, reads))
asyncio.run(use(writer, writes))
print("called")
"#;

const NODE: &str = r#"
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, reader, writer] = process.argv.slice(2);
const use = async (key, work) => {
  const requestInit = { headers: { Authorization: `Bearer ${key}` } };
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit }));
  await work(client);
  await client.close();
};
const names = async (client) => (await client.listTools()).tools.map((tool) => tool.name).join();
await use(reader, async (client) => {
  if ((await names(client)) !== "search,read") throw new Error(await names(client));
  const found = await client.callTool({ name: "search", arguments: { query: "basin price" } });
  if (found.isError || !found.content[0].text.includes("asin")) throw new Error(JSON.stringify(found));
});
await use(writer, async (client) => {
  const at = { type: "pricing-plan", id: "port", at: "draft" };
  const entry = JSON.parse((await client.callTool({ name: "read", arguments: at })).content[0].text);
  const fields = { ...(entry.fields ?? entry), name: "Port by Node" };
  const draft = { type: "pricing-plan", id: "port", changeset: "node", fields };
  const written = await client.callTool({ name: "draft", arguments: draft });
  if (written.isError) throw new Error(JSON.stringify(written));
  const proposed = await client.callTool({ name: "propose", arguments: { changeset: "node" } });
  if (proposed.isError || !JSON.parse(proposed.content[0].text).gates.length) throw new Error(JSON.stringify(proposed));
});
console.log("called");
"#;

#[test]
fn the_sdks_of_mcp_work() {
    let Some(tools) = installed("SDKs of MCP") else { return };
    let demo = Demo::new();
    let (reader, writer) =
        (key(&demo.rig, "r", &["read"]), key(&demo.rig, "w", &["read", "preview", "write"]));
    demo.rig.write("call.py", PYTHON);
    let said =
        run(demo.rig.path(), &tools.join("python/bin/python"), &["call.py", &demo.url, &reader, &writer]);
    assert!(said.contains("called"), "{said}");
    std::os::unix::fs::symlink(tools.join("node_modules"), demo.rig.path().join("node_modules")).unwrap();
    demo.rig.write("call.mjs", NODE);
    let said = run(demo.rig.path(), Path::new("node"), &["call.mjs", &demo.url, &reader, &writer]);
    assert!(said.contains("called"), "{said}");
}
