//! What an answer may depend on, as a digest.

use super::CacheKey;
use crate::{
    ground::Source,
    wire::{Call, Fields, Image, Message, Output, Part, Surface},
};

/// Who asks for what, and from which release.
pub(crate) struct Partition<'a> {
    pub tenant: &'a str,
    /// What the caller may see.
    pub audience: &'a str,
    pub feature: &'a str,
    pub release: &'a str,
    /// The prompt with its version; empty without one.
    pub prompt: &'a str,
    pub route: &'a str,
}

/// A digest of fields. Each has its length before it, so that no two lists of fields are the same bytes.
struct Mark(blake3::Hasher);

impl Mark {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn count(&mut self, count: usize) {
        self.0.update(&(count as u64).to_le_bytes());
    }

    fn maybe(&mut self, text: Option<&str>) {
        self.count(usize::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    fn number(&mut self, number: Option<f64>) {
        self.maybe(number.map(|number| number.to_bits().to_string()).as_deref());
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Text(text) => {
                self.text("text");
                self.text(text);
            }
            Part::Image(Image::Url(url)) => {
                self.text("url");
                self.text(url);
            }
            Part::Image(Image::Data { media, base64 }) => {
                self.text("data");
                self.text(media);
                self.text(base64);
            }
            Part::Other(raw) => {
                self.text("other");
                self.text(raw.get());
            }
        }
    }

    fn message(&mut self, message: &Message) {
        self.text(&format!("{:?}", message.role));
        self.count(message.parts.len());
        message.parts.iter().for_each(|part| self.part(part));
        self.count(message.calls.len());
        for call in &message.calls {
            self.text(&call.id);
            self.text(&call.name);
            self.text(&call.arguments);
        }
        self.maybe(message.answers.as_deref());
        self.count(usize::from(message.failed));
        self.count(message.rest.len());
        for (name, raw) in &message.rest {
            self.text(name);
            self.text(raw.get());
        }
    }
}

/// Fields of a body that say nothing about the answer, or that are looked at apart.
fn apart(name: &str) -> bool {
    matches!(
        name,
        "model" | "stream" | "stream_options" | "user" | "metadata" | "ashlar" | "messages" | "system"
    )
}

fn partition(mark: &mut Mark, of: &Partition<'_>) {
    for text in [of.tenant, of.audience, of.feature, of.release, of.prompt, of.route] {
        mark.text(text);
    }
}

/// The parameters, from the body and as the prompt set them.
fn parameters(mark: &mut Mark, call: &Call, sources: &[Source]) {
    mark.count(usize::from(call.surface == Surface::OpenAi));
    mark.maybe(call.ashlar.locale.as_deref());
    mark.number(call.temperature);
    mark.number(call.top_p);
    mark.maybe(call.tokens_max.map(|most| most.to_string()).as_deref());
    mark.text(&format!("{:?} {:?} {}", call.choice, call.parallel, call.choices));
    mark.count(call.stop.len());
    call.stop.iter().for_each(|stop| mark.text(stop));
    match &call.output {
        None => mark.text(""),
        Some(Output::Json) => mark.text("json"),
        Some(Output::Schema { name, schema, strict }) => {
            mark.text(name);
            mark.text(&schema.to_string());
            mark.count(usize::from(*strict));
        }
    }
    mark.count(call.tools.len());
    for tool in &call.tools {
        mark.text(&tool.name);
        mark.maybe(tool.description.as_deref());
        mark.maybe(tool.parameters.as_ref().map(|raw| raw.get()));
    }
    mark.count(call.other_tools.len());
    call.other_tools.iter().for_each(|raw| mark.text(raw.get()));
    mark.count(call.rest.len());
    for (name, raw) in &call.rest {
        mark.text(name);
        mark.text(raw.get());
    }
    // What the neutral form leaves out is sent as well, so it counts.
    for (name, raw) in fields(call).iter().filter(|(name, _)| !apart(name)) {
        mark.text(name);
        mark.text(raw);
    }
    mark.count(sources.len());
    for source in sources {
        for text in [&source.id, &source.title, &source.path, &source.text] {
            mark.text(text);
        }
    }
}

/// The members of the body.
fn fields(call: &Call) -> Vec<(String, &str)> {
    let fields = Fields::read(&call.body).map(|fields| fields.0).unwrap_or_default();
    fields.into_iter().map(|(name, raw)| (name, raw.get())).collect()
}

/// The key of a call: calls with the same key are equal in everything that their answer may depend on.
pub(crate) fn exact(of: &Partition<'_>, call: &Call, sources: &[Source]) -> CacheKey {
    let mut mark = Mark(blake3::Hasher::new());
    mark.text("exact");
    partition(&mut mark, of);
    parameters(&mut mark, call, sources);
    mark.count(call.messages.len());
    call.messages.iter().for_each(|message| mark.message(message));
    // Messages that nothing changed are sent as they came, with what the neutral form leaves out.
    if !call.changed {
        for (name, raw) in fields(call).iter().filter(|(name, _)| name == "messages" || name == "system") {
            mark.text(name);
            mark.text(raw);
        }
    }
    *mark.0.finalize().as_bytes()
}
