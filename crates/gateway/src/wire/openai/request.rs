//! Requests.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::super::{
    Call, Choice, Fault, Fields, Image, Message, Output, Part, Role, Surface, Tool, ToolCall,
    fields::{cut, read as read_value},
    members::Members,
};

#[derive(Deserialize)]
struct FunctionIn {
    name: String,
    #[serde(default)]
    arguments: String,
}

#[derive(Deserialize)]
struct CallIn {
    #[serde(default)]
    id: String,
    function: FunctionIn,
}

#[derive(Deserialize)]
struct ImageUrlIn {
    url: String,
}

fn role(at: usize, name: &str) -> Result<Role, Fault> {
    Ok(match name {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        other => {
            let help = "write system, developer, user, assistant or tool";
            let message = format!("`{}` is not a role; {help}", cut(other));
            return Err(Fault::invalid(format!("messages[{at}].role"), message));
        }
    })
}

/// A picture in a `data:` address, or one at an address.
pub(crate) fn image(url: String) -> Image {
    let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match data {
        Some((media, base64)) => Image::Data { media: media.to_owned(), base64: base64.to_owned() },
        None => Image::Url(url),
    }
}

fn parts(name: &str, raw: &RawValue) -> Result<Vec<Part>, Fault> {
    let text = raw.get();
    if text.starts_with('"') {
        return Ok(vec![Part::Text(read_value(name, raw)?)]);
    }
    let each: Vec<&RawValue> = serde_json::from_str(text)
        .map_err(|_| Fault::invalid(name, format!("`{name}` is neither text nor a list of parts")))?;
    each.into_iter()
        .map(|raw| {
            let mut fields = Fields::read(raw.get().as_bytes()).map_err(|fault| fault.at(name))?;
            let kind: String = fields.take("type")?.unwrap_or_default();
            Ok(match kind.as_str() {
                "text" if fields.0.len() == 1 => Part::Text(fields.take("text")?.unwrap_or_default()),
                "image_url" if fields.0.len() == 1 => match fields.take::<ImageUrlIn>("image_url")? {
                    Some(found) => Part::Image(image(found.url)),
                    None => Part::Other(raw.to_owned()),
                },
                _ => Part::Other(raw.to_owned()),
            })
        })
        .collect()
}

fn message(at: usize, raw: &RawValue) -> Result<Message, Fault> {
    let place = |fault: Fault| {
        let param = fault.param.as_ref().map(|param| format!(".{param}")).unwrap_or_default();
        fault.at(format!("messages[{at}]{param}"))
    };
    let mut fields = Fields::read(raw.get().as_bytes()).map_err(place)?;
    let named: String = fields.take("role").map_err(place)?.unwrap_or_default();
    let role = role(at, &named)?;
    let parts = match fields.take_raw("content") {
        Some(content) => parts("content", content).map_err(place)?,
        None => Vec::new(),
    };
    let calls: Vec<CallIn> = fields.take("tool_calls").map_err(place)?.unwrap_or_default();
    let calls = calls.into_iter().map(|call| ToolCall {
        id: call.id,
        name: call.function.name,
        arguments: call.function.arguments,
    });
    let answers = fields.take("tool_call_id").map_err(place)?;
    let rest = fields.0.into_iter().map(|(name, raw)| (name, raw.to_owned())).collect();
    Ok(Message { role, parts, calls: calls.collect(), answers, failed: false, rest })
}

#[derive(Deserialize)]
struct ToolFunctionIn {
    name: String,
    description: Option<String>,
    parameters: Option<Box<RawValue>>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct ToolIn {
    #[serde(rename = "type")]
    kind: String,
    function: Option<ToolFunctionIn>,
}

fn choice(raw: &RawValue) -> Option<Choice> {
    let value: Value = serde_json::from_str(raw.get()).ok()?;
    match (value.as_str(), value["function"]["name"].as_str()) {
        (Some("auto"), _) => Some(Choice::Auto),
        (Some("none"), _) => Some(Choice::None),
        (Some("required"), _) => Some(Choice::Any),
        (_, Some(name)) => Some(Choice::Tool(name.to_owned())),
        _ => None,
    }
}

fn output(raw: &RawValue) -> Result<Option<Output>, Fault> {
    let value: Value = read_value("response_format", raw)?;
    match value["type"].as_str() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Output::Json)),
        Some("json_schema") => {
            let of = &value["json_schema"];
            if !of["schema"].is_object() {
                let message = "`response_format.json_schema.schema` is missing: send a JSON Schema";
                return Err(Fault::invalid("response_format.json_schema.schema", message));
            }
            Ok(Some(Output::Schema {
                name: of["name"].as_str().unwrap_or("answer").to_owned(),
                schema: of["schema"].clone(),
                strict: of["strict"].as_bool().unwrap_or(false),
            }))
        }
        other => {
            let message = format!(
                "`{}` is not a response format; write text, json_object or json_schema",
                cut(other.unwrap_or_default())
            );
            Err(Fault::invalid("response_format.type", message))
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stops {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize, Default)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// Reads a request for chat completions.
///
/// # Errors
/// When it cannot be understood; the fault names the field.
pub fn read(body: Bytes) -> Result<Call, Fault> {
    let mut fields = Fields::read(&body)?;
    let model = fields.model()?;
    let ashlar = fields.ashlar()?;
    let messages = fields.messages(ashlar.prompt.is_some())?;
    let messages: Result<Vec<Message>, Fault> =
        messages.into_iter().enumerate().map(|(at, raw)| message(at, raw)).collect();
    let given = fields.tools()?;
    let (mut tools, mut other_tools) = (Vec::new(), Vec::new());
    for (at, raw) in given.into_iter().enumerate() {
        let tool: ToolIn = read_value(&format!("tools[{at}]"), &raw)?;
        match tool.function.filter(|_| tool.kind == "function") {
            Some(function) => tools.push(Tool {
                name: function.name,
                description: function.description,
                parameters: function.parameters,
                strict: function.strict,
            }),
            None => other_tools.push(raw),
        }
    }
    let tokens: Option<u64> = fields.take("max_tokens")?;
    let stop = match fields.take::<Stops>("stop")? {
        Some(Stops::One(one)) => vec![one],
        Some(Stops::Many(many)) => many,
        None => Vec::new(),
    };
    let choices = fields.take::<u64>("n")?.unwrap_or(1);
    if !(1..=128).contains(&choices) {
        return Err(Fault::invalid("n", format!("n = {choices}: ask for 1 to 128 answers")));
    }
    let output = match fields.take_raw("response_format") {
        Some(raw) => output(raw)?,
        None => None,
    };
    let mut call = Call {
        surface: Surface::OpenAi,
        model,
        messages: messages?,
        tools,
        other_tools,
        choice: fields.take_raw("tool_choice").and_then(choice),
        parallel: fields.take("parallel_tool_calls")?,
        tokens_max: fields.take("max_completion_tokens")?.or(tokens),
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        stop,
        output,
        choices,
        stream: fields.take("stream")?.unwrap_or(false),
        stream_usage: fields.take::<StreamOptions>("stream_options")?.unwrap_or_default().include_usage,
        user: fields.take("user")?,
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

/// The body with another model, without the fields that are not the provider's, and with figures of tokens at the end of
/// a stream.
fn passed(call: &Call, model: &str) -> Option<Vec<u8>> {
    let fields = Fields::read(&call.body).ok()?;
    let mut out = Vec::with_capacity(call.body.len() + 64);
    let mut member = |name: &str, value: &str| {
        out.push(if out.is_empty() { b'{' } else { b',' });
        out.extend_from_slice(json!(name).to_string().as_bytes());
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
    };
    member("model", &json!(model).to_string());
    for (name, raw) in &fields.0 {
        if !matches!(name.as_str(), "model" | "ashlar" | "stream_options" | "user") {
            member(name, raw.get());
        }
    }
    if call.stream {
        member("stream_options", r#"{"include_usage":true}"#);
    }
    out.push(b'}');
    Some(out)
}

fn part_json(part: &Part) -> Option<Value> {
    Some(match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Image(Image::Url(url)) => json!({"type": "image_url", "image_url": {"url": url}}),
        Part::Image(Image::Data { media, base64 }) => {
            json!({"type": "image_url", "image_url": {"url": format!("data:{media};base64,{base64}")}})
        }
        Part::Other(raw) => serde_json::from_str(raw.get()).ok()?,
    })
}

fn message_json(message: &Message, same: bool) -> Value {
    let name = match message.role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let content = match message.parts.as_slice() {
        [] => Value::Null,
        [Part::Text(text)] => json!(text),
        parts if message.role == Role::Tool || parts.iter().all(|p| matches!(p, Part::Text(_))) => {
            json!(message.joined())
        }
        parts => parts
            .iter()
            .filter(|part| same || !matches!(part, Part::Other(_)))
            .filter_map(part_json)
            .collect(),
    };
    let mut out = Map::new();
    out.insert("role".to_owned(), json!(name));
    out.insert("content".to_owned(), content);
    if !message.calls.is_empty() {
        let calls = message.calls.iter().map(|call| {
            json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
        });
        out.insert("tool_calls".to_owned(), calls.collect());
    }
    if let Some(answers) = &message.answers {
        out.insert("tool_call_id".to_owned(), json!(answers));
    }
    if same {
        for (name, raw) in &message.rest {
            if let Ok(value) = serde_json::from_str(raw.get()) {
                out.entry(name.clone()).or_insert(value);
            }
        }
    }
    Value::Object(out)
}

/// The body of a request to a provider that speaks this format.
/// Long because it names every field of the format.
#[must_use]
pub fn write(call: &Call, model: &str) -> Vec<u8> {
    let same = call.surface == Surface::OpenAi;
    if same
        && !call.changed
        && let Some(passed) = passed(call, model)
    {
        return passed;
    }
    let mut out = Members::default();
    let mut member = |name: &str, value: Value| out.set(name, value);
    member("model", json!(model));
    let mut tools: Vec<Value> = call
        .tools
        .iter()
        .map(|tool| {
            let mut function = json!({"name": tool.name});
            if let Some(description) = &tool.description {
                function["description"] = json!(description);
            }
            if let Some(schema) =
                tool.parameters.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok())
            {
                function["parameters"] = schema;
            }
            if let Some(strict) = tool.strict {
                function["strict"] = json!(strict);
            }
            json!({"type": "function", "function": function})
        })
        .collect();
    if same {
        tools.extend(call.other_tools.iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()));
    }
    if !tools.is_empty() {
        member("tools", Value::Array(tools));
        match &call.choice {
            Some(Choice::Auto) => member("tool_choice", json!("auto")),
            Some(Choice::None) => member("tool_choice", json!("none")),
            Some(Choice::Any) => member("tool_choice", json!("required")),
            Some(Choice::Tool(name)) => {
                member("tool_choice", json!({"type": "function", "function": {"name": name}}));
            }
            None => {}
        }
        if let Some(parallel) = call.parallel {
            member("parallel_tool_calls", json!(parallel));
        }
    }
    if let Some(most) = call.tokens_max {
        // What newer models refuse is what other providers know.
        let newer = same
            && Fields::read(&call.body).is_ok_and(|f| f.0.iter().any(|(n, _)| n == "max_completion_tokens"));
        member(if newer { "max_completion_tokens" } else { "max_tokens" }, json!(most));
    }
    if let Some(temperature) = call.temperature {
        member("temperature", json!(temperature));
    }
    if let Some(top_p) = call.top_p {
        member("top_p", json!(top_p));
    }
    if !call.stop.is_empty() {
        member("stop", json!(call.stop));
    }
    match &call.output {
        Some(Output::Json) => member("response_format", json!({"type": "json_object"})),
        Some(Output::Schema { name, schema, strict }) => member(
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": strict}}),
        ),
        None => {}
    }
    if call.choices > 1 {
        member("n", json!(call.choices));
    }
    if call.stream {
        member("stream", json!(true));
        member("stream_options", json!({"include_usage": true}));
    }
    if same {
        for (name, raw) in &call.rest {
            if let Ok(value) = serde_json::from_str(raw.get()) {
                member(name, value);
            }
        }
    }
    member("messages", call.messages.iter().map(|m| message_json(m, same)).collect());
    out.written()
}
