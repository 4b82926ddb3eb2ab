//! Requests.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::super::{
    Call, Choice, Fault, Fields, Image, Message, Output, Part, Role, Surface, Tool, ToolCall,
    fields::{cut, read as read_value},
    members::Members,
};

/// The most tokens of an answer when a request of another format does not say.
const TOKENS_MAX: u64 = 4_096;

#[derive(Deserialize)]
struct SourceIn {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    data: String,
    #[serde(default)]
    url: String,
}

/// What a block adds to a message.
enum Block {
    Part(Part),
    Call(ToolCall),
    Answer(Message),
}

fn block(raw: &RawValue) -> Result<Block, Fault> {
    let mut fields = Fields::read(raw.get().as_bytes())?;
    let kind: String = fields.take("type")?.unwrap_or_default();
    Ok(match kind.as_str() {
        "text" => Block::Part(Part::Text(fields.take("text")?.unwrap_or_default())),
        "image" => match fields.take::<SourceIn>("source")? {
            Some(source) if source.kind == "base64" => {
                Block::Part(Part::Image(Image::Data { media: source.media_type, base64: source.data }))
            }
            Some(source) if source.kind == "url" => Block::Part(Part::Image(Image::Url(source.url))),
            _ => Block::Part(Part::Other(raw.to_owned())),
        },
        "tool_use" => Block::Call(ToolCall {
            id: fields.take("id")?.unwrap_or_default(),
            name: fields.take("name")?.unwrap_or_default(),
            arguments: fields.take_raw("input").map_or_else(|| "{}".to_owned(), |raw| raw.get().to_owned()),
        }),
        "tool_result" => {
            let parts = match fields.take_raw("content") {
                Some(content) => blocks(content)?
                    .into_iter()
                    .filter_map(|block| match block {
                        Block::Part(part) => Some(part),
                        _ => None,
                    })
                    .collect(),
                None => Vec::new(),
            };
            Block::Answer(Message {
                role: Role::Tool,
                parts,
                calls: Vec::new(),
                answers: fields.take("tool_use_id")?,
                failed: fields.take("is_error")?.unwrap_or(false),
                rest: Vec::new(),
            })
        }
        _ => Block::Part(Part::Other(raw.to_owned())),
    })
}

fn blocks(raw: &RawValue) -> Result<Vec<Block>, Fault> {
    if raw.get().starts_with('"') {
        return Ok(vec![Block::Part(Part::Text(read_value("content", raw)?))]);
    }
    let each: Vec<&RawValue> = serde_json::from_str(raw.get())
        .map_err(|_| Fault::invalid("content", "`content` is neither text nor a list of blocks"))?;
    each.into_iter().map(block).collect()
}

fn message(at: usize, raw: &RawValue, out: &mut Vec<Message>) -> Result<(), Fault> {
    let place = |fault: Fault| {
        let param = fault.param.as_ref().map(|param| format!(".{param}")).unwrap_or_default();
        fault.at(format!("messages[{at}]{param}"))
    };
    let mut fields = Fields::read(raw.get().as_bytes()).map_err(place)?;
    let named: String = fields.take("role").map_err(place)?.unwrap_or_default();
    let role = match named.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => {
            let message = format!("`{}` is not a role; write user or assistant", cut(other));
            return Err(Fault::invalid(format!("messages[{at}].role"), message));
        }
    };
    let content = match fields.take_raw("content") {
        Some(content) => blocks(content).map_err(place)?,
        None => Vec::new(),
    };
    let mut said = Message { parts: Vec::new(), ..Message::text(role, "") };
    for block in content {
        match block {
            Block::Part(part) => said.parts.push(part),
            Block::Call(call) => said.calls.push(call),
            Block::Answer(answer) => out.push(answer),
        }
    }
    let answers_alone = said.parts.is_empty() && out.last().is_some_and(|m| m.role == Role::Tool);
    if !answers_alone || !said.calls.is_empty() {
        out.push(said);
    }
    Ok(())
}

#[derive(Deserialize)]
struct ToolIn {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
    description: Option<String>,
    input_schema: Option<Box<RawValue>>,
}

#[derive(Deserialize, Default)]
struct Metadata {
    user_id: Option<String>,
}

#[derive(Deserialize)]
struct ChoiceIn {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    disable_parallel_tool_use: Option<bool>,
}

/// Reads a request for a message.
/// Long because it names every field of the format.
///
/// # Errors
/// When it cannot be understood; the fault names the field.
pub fn read(body: Bytes) -> Result<Call, Fault> {
    let mut fields = Fields::read(&body)?;
    let model = fields.model()?;
    let ashlar = fields.ashlar()?;
    let given = fields.messages(ashlar.prompt.is_some())?;
    let mut messages = Vec::with_capacity(given.len() + 1);
    if let Some(system) = fields.take_raw("system") {
        let parts = blocks(system).map_err(|fault| fault.at("system"))?.into_iter().filter_map(|b| match b {
            Block::Part(part) => Some(part),
            _ => None,
        });
        messages.push(Message { parts: parts.collect(), ..Message::text(Role::System, "") });
    }
    for (at, raw) in given.into_iter().enumerate() {
        message(at, raw, &mut messages)?;
    }
    let given = fields.tools()?;
    let (mut tools, mut other_tools) = (Vec::new(), Vec::new());
    for (at, raw) in given.into_iter().enumerate() {
        let tool: ToolIn = read_value(&format!("tools[{at}]"), &raw)?;
        match tool.name.filter(|_| tool.kind.as_deref().is_none_or(|kind| kind == "custom")) {
            Some(name) => tools.push(Tool {
                name,
                description: tool.description,
                parameters: tool.input_schema,
                strict: None,
            }),
            None => other_tools.push(raw),
        }
    }
    let choice: Option<ChoiceIn> = fields.take("tool_choice")?;
    let parallel = choice.as_ref().and_then(|c| c.disable_parallel_tool_use).map(|disabled| !disabled);
    let choice = choice.and_then(|choice| match (choice.kind.as_str(), choice.name) {
        ("auto", _) => Some(Choice::Auto),
        ("none", _) => Some(Choice::None),
        ("any", _) => Some(Choice::Any),
        ("tool", Some(name)) => Some(Choice::Tool(name)),
        _ => None,
    });
    let tokens_max: Option<u64> = fields.take("max_tokens")?;
    if tokens_max.is_none() {
        return Err(Fault::invalid(
            "max_tokens",
            "`max_tokens` is missing: say how many tokens the answer may have",
        ));
    }
    let output = fields.take::<Value>("output_config")?.and_then(|config| {
        let format = &config["format"];
        (format["type"] == "json_schema").then(|| Output::Schema {
            name: "answer".to_owned(),
            schema: format["schema"].clone(),
            strict: true,
        })
    });
    let mut call = Call {
        surface: Surface::Anthropic,
        model,
        messages,
        tools,
        other_tools,
        choice,
        parallel,
        tokens_max,
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        stop: fields.take("stop_sequences")?.unwrap_or_default(),
        output,
        choices: 1,
        stream: fields.take("stream")?.unwrap_or(false),
        stream_usage: true,
        user: fields.take::<Metadata>("metadata")?.unwrap_or_default().user_id,
        ashlar,
        rest: Vec::new(),
        body: Bytes::new(),
        changed: false,
        kept: 0,
    };
    call.rest = fields.0.into_iter().map(|(name, raw)| (name, raw.to_owned())).collect();
    call.body = body;
    Ok(call)
}

/// The body with another model and without the fields that are not the provider's.
fn passed(call: &Call, model: &str) -> Option<Vec<u8>> {
    let fields = Fields::read(&call.body).ok()?;
    let mut out = Vec::with_capacity(call.body.len() + 64);
    out.extend_from_slice(format!("{{\"model\":{}", json!(model)).as_bytes());
    for (name, raw) in &fields.0 {
        if !matches!(name.as_str(), "model" | "ashlar" | "metadata") {
            out.push(b',');
            out.extend_from_slice(json!(name).to_string().as_bytes());
            out.push(b':');
            out.extend_from_slice(raw.get().as_bytes());
        }
    }
    out.push(b'}');
    Some(out)
}

fn raw_json(raw: &RawValue) -> Option<Value> {
    serde_json::from_str(raw.get()).ok()
}

fn part_json(part: &Part, same: bool) -> Option<Value> {
    Some(match part {
        // Empty text is refused.
        Part::Text(text) if text.is_empty() => return None,
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Image(Image::Url(url)) => json!({"type": "image", "source": {"type": "url", "url": url}}),
        Part::Image(Image::Data { media, base64 }) => {
            json!({"type": "image", "source": {"type": "base64", "media_type": media, "data": base64}})
        }
        Part::Other(raw) if same => raw_json(raw)?,
        Part::Other(_) => return None,
    })
}

/// The conversation as turns of a user and an assistant: neighbours with the same role are one turn.
fn turns(call: &Call, same: bool) -> Vec<Value> {
    let mut out: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in &call.messages {
        let (role, mut blocks): (&str, Vec<Value>) = match message.role {
            Role::System | Role::Developer => continue,
            Role::Tool => {
                let content: Vec<Value> = message.parts.iter().filter_map(|p| part_json(p, same)).collect();
                let mut block =
                    json!({"type": "tool_result", "tool_use_id": message.answers, "content": content});
                if message.failed {
                    block["is_error"] = json!(true);
                }
                ("user", vec![block])
            }
            Role::User => ("user", message.parts.iter().filter_map(|p| part_json(p, same)).collect()),
            Role::Assistant => {
                let mut blocks: Vec<Value> =
                    message.parts.iter().filter_map(|p| part_json(p, same)).collect();
                blocks.extend(message.calls.iter().map(|call| {
                    let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
                    json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
                }));
                ("assistant", blocks)
            }
        };
        match out.last_mut() {
            Some((last, known)) if *last == role => known.append(&mut blocks),
            _ => out.push((role, blocks)),
        }
    }
    out.into_iter()
        .filter(|(_, blocks)| !blocks.is_empty())
        .map(|(role, blocks)| json!({"role": role, "content": blocks}))
        .collect()
}

/// Whether the provider is asked to keep the beginning of the call in its cache. A client that says itself what is kept decides.
fn keeps(call: &Call) -> bool {
    call.kept > 0 && !call.rest.iter().any(|(name, _)| name == "cache_control")
}

/// The texts of the application. Those that are to be kept, with the tools before them, end with a mark.
fn system(call: &Call) -> Option<Value> {
    let joined = |messages: &[Message]| {
        let of = messages.iter().filter(|message| matches!(message.role, Role::System | Role::Developer));
        let texts: Vec<String> = of.map(Message::joined).filter(|text| !text.is_empty()).collect();
        texts.join("\n\n")
    };
    let (kept, further) =
        call.messages.split_at(if keeps(call) { call.kept.min(call.messages.len()) } else { 0 });
    let (kept, further) = (joined(kept), joined(further));
    let mut blocks = Vec::new();
    if !kept.is_empty() {
        blocks.push(json!({"type": "text", "text": kept, "cache_control": {"type": "ephemeral"}}));
    }
    match (blocks.is_empty(), further.is_empty()) {
        (true, true) => return None,
        (true, false) => return Some(json!(further)),
        (false, true) => {}
        (false, false) => blocks.push(json!({"type": "text", "text": further})),
    }
    Some(Value::Array(blocks))
}

/// The body of a request to a provider that speaks this format.
/// Long because it names every field of the format.
///
/// # Errors
/// When the format cannot say what the request asks for.
pub fn write(call: &Call, model: &str) -> Result<Vec<u8>, Fault> {
    let same = call.surface == Surface::Anthropic;
    if same
        && !call.changed
        && let Some(passed) = passed(call, model)
    {
        return Ok(passed);
    }
    let unsupported = |param: &str, what: &str| {
        let message = format!("the provider of `{}` cannot {what}; leave `{param}` out", cut(&call.model));
        Fault::new(super::super::FaultKind::Invalid, "unsupported_parameter", message).at(param)
    };
    if call.choices > 1 {
        return Err(unsupported("n", "make several answers at once"));
    }
    let mut out = Members::default();
    let mut member = |name: &str, value: Value| out.set(name, value);
    member("model", json!(model));
    member("max_tokens", json!(call.tokens_max.unwrap_or(TOKENS_MAX)));
    let system = system(call);
    let mut tools: Vec<Value> = call
        .tools
        .iter()
        .map(|tool| {
            let schema = tool.parameters.as_ref().and_then(|raw| raw_json(raw));
            let mut out = json!({"name": tool.name, "input_schema": schema.unwrap_or_else(|| json!({"type": "object"}))});
            if let Some(description) = &tool.description {
                out["description"] = json!(description);
            }
            out
        })
        .collect();
    if same {
        tools.extend(call.other_tools.iter().filter_map(|raw| raw_json(raw)));
    }
    if keeps(call)
        && system.is_none()
        && let Some(last) = tools.last_mut()
    {
        last["cache_control"] = json!({"type": "ephemeral"});
    }
    if !tools.is_empty() {
        member("tools", Value::Array(tools));
        let kind = match &call.choice {
            Some(Choice::None) => json!({"type": "none"}),
            Some(Choice::Any) => json!({"type": "any"}),
            Some(Choice::Tool(name)) => json!({"type": "tool", "name": name}),
            Some(Choice::Auto) | None => json!({"type": "auto"}),
        };
        let mut choice = kind;
        if let Some(parallel) = call.parallel.filter(|_| call.choice != Some(Choice::None)) {
            choice["disable_parallel_tool_use"] = json!(!parallel);
        }
        member("tool_choice", choice);
    }
    if let Some(temperature) = call.temperature {
        // It ends at 1 here, at 2 in the other format.
        member("temperature", json!(temperature.clamp(0.0, 1.0)));
    }
    if let Some(top_p) = call.top_p {
        member("top_p", json!(top_p));
    }
    if !call.stop.is_empty() {
        member("stop_sequences", json!(call.stop));
    }
    match &call.output {
        Some(Output::Json) => return Err(unsupported("response_format", "promise JSON without a schema")),
        Some(Output::Schema { schema, .. }) => {
            member("output_config", json!({"format": {"type": "json_schema", "schema": schema}}));
        }
        None => {}
    }
    if call.stream {
        member("stream", json!(true));
    }
    if same {
        for (name, raw) in &call.rest {
            if let Some(value) = raw_json(raw) {
                member(name, value);
            }
        }
    }
    if let Some(system) = system {
        member("system", system);
    }
    member("messages", Value::Array(turns(call, same)));
    Ok(out.written())
}
