//! The built-in model: it quotes released content, or refuses.

use async_trait::async_trait;
use serde_json::Value;

use crate::wire::{Call, Delta, Fault, FaultKind, Finish, Output, Picked, Source, Usage, Whole};

/// What is asked of released content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The question.
    pub text: String,
    /// The language; the release decides when absent.
    pub locale: Option<String>,
    /// The indexes; empty when the release decides.
    pub indexes: Vec<String>,
}

/// A quote of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cited {
    /// The words as they are in the answer.
    pub words: String,
    /// The title of the page.
    pub title: String,
    /// Where the page is.
    pub url: String,
}

/// What released content says.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The answer; absent in a refusal.
    pub text: Option<String>,
    /// What it quotes, in its order.
    pub cited: Vec<Cited>,
    /// Why it was refused: a code and a sentence.
    pub refusal: Option<(String, String)>,
    /// What clients may want to know beside: citations with their places, the trace.
    pub more: Value,
}

/// What is searched for in released content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The words.
    pub query: String,
    /// The indexes; empty when the release decides.
    pub indexes: Vec<String>,
    /// How many chunks.
    pub chunks: usize,
    /// The language; the release decides when absent.
    pub locale: Option<String>,
}

/// Answers questions from a release, and finds what prompts are grounded in.
#[async_trait]
pub trait BuiltIn: Send + Sync {
    /// Answers a question, or refuses.
    ///
    /// # Errors
    /// When the release cannot be asked.
    async fn answer(&self, question: Question) -> Result<Answer, Fault>;

    /// What answers and passages depend on beside the question: the release that the caller reads, and what it may see of it.
    fn audience(&self) -> String;

    /// Finds passages that the caller may read, the best first.
    ///
    /// # Errors
    /// When the release cannot be asked.
    async fn sources(&self, wanted: Wanted) -> Result<Vec<crate::ground::Source>, Fault>;
}

/// The question of a call.
///
/// # Errors
/// When it asks for something that quotes cannot give.
pub(super) fn question(call: &Call, asked: Option<&str>, indexes: &[String]) -> Result<Question, Fault> {
    let cannot = |param: &str, what: &str| {
        let message = format!(
            "the built-in model quotes content; it cannot {what}. Leave `{param}` out, or use another route"
        );
        Fault::new(FaultKind::Invalid, "unsupported_parameter", message).at(param)
    };
    if matches!(call.output, Some(Output::Schema { .. } | Output::Json)) {
        return Err(cannot("response_format", "follow a schema"));
    }
    if call.choices > 1 {
        return Err(cannot("n", "make several answers"));
    }
    let text =
        asked.map(str::to_owned).or_else(|| call.question()).filter(|text| !text.is_empty()).ok_or_else(
            || Fault::invalid("messages", "the last message of the user has no text: ask a question"),
        )?;
    Ok(Question { text, locale: call.ashlar.locale.clone(), indexes: indexes.to_vec() })
}

/// The answer with a mark behind each quote and the list of sources, and where each mark's quote is, in characters.
fn marked(text: &str, cited: &[Cited]) -> (String, Vec<Source>) {
    let mut urls: Vec<(&str, &str)> = Vec::new();
    let (mut out, mut rest, mut sources) = (String::new(), text, Vec::new());
    for quote in cited {
        let page = (quote.title.as_str(), quote.url.as_str());
        let number = urls.iter().position(|known| *known == page).unwrap_or_else(|| {
            urls.push(page);
            urls.len() - 1
        });
        // A quote that reads differently in the answer has its mark at the end.
        let end = rest.find(&quote.words).map_or(rest.len(), |at| at + quote.words.len());
        let begin = out.chars().count() + (rest.len() - rest.trim_start().len());
        out.push_str(&rest[..end]);
        rest = &rest[end..];
        let to = out.chars().count();
        out.push_str(&format!(" [{}]", number + 1));
        let Cited { words, title, url } = quote.clone();
        sources.push(Source { title, url, words, from: begin.min(to), to });
    }
    out.push_str(rest);
    if !urls.is_empty() {
        out.push_str("\n\nSources:");
        for (at, (title, url)) in urls.iter().enumerate() {
            out.push_str(&format!("\n[{}] {title}: {url}", at + 1));
        }
    }
    (out, sources)
}

/// The whole answer in the neutral form.
pub(super) fn whole(call: &Call, id: &str, answer: &Answer) -> Whole {
    let (text, sources) = match &answer.text {
        Some(text) => marked(text, &answer.cited),
        None => (answer.refusal.as_ref().map(|(_, reason)| reason.clone()).unwrap_or_default(), Vec::new()),
    };
    let output = (text.len() as u64).div_ceil(4);
    Whole {
        id: id.to_owned(),
        model: call.model.clone(),
        usage: Usage { input: call.tokens_in(), output, ..Usage::default() },
        picked: vec![Picked {
            text,
            refusal: answer.refusal.as_ref().map(|(_, reason)| reason.clone()),
            calls: Vec::new(),
            sources,
            finish: Finish::Stop,
        }],
    }
}

/// A whole answer in pieces.
pub(super) fn pieces(whole: &Whole) -> Vec<Delta> {
    let mut out = vec![Delta::Begin { id: whole.id.clone(), model: whole.model.clone() }];
    for (at, picked) in whole.picked.iter().enumerate() {
        let at = at as u32;
        let words = picked.text.split_inclusive(' ').map(|word| Delta::Text(at, word.to_owned()));
        out.extend(words);
        for (number, call) in picked.calls.iter().enumerate() {
            out.push(Delta::Tool(at, number as u32, call.id.clone(), call.name.clone()));
            out.push(Delta::Arguments(at, number as u32, call.arguments.clone()));
        }
        if !picked.sources.is_empty() {
            out.push(Delta::Sources(at, picked.sources.clone()));
        }
        out.push(Delta::Finish(at, picked.finish));
    }
    out.push(Delta::Usage(whole.usage));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_marked_where_they_end() {
        let cited = |words: &str, title: &str| Cited {
            words: words.to_owned(),
            title: title.to_owned(),
            url: format!("/{title}"),
        };
        let (text, sources) =
            marked("Ä costs 5. It is blue.", &[cited("Ä costs 5.", "a"), cited("It is blue.", "b")]);
        assert_eq!(text, "Ä costs 5. [1] It is blue. [2]\n\nSources:\n[1] a: /a\n[2] b: /b");
        let chars: Vec<char> = text.chars().collect();
        let words: Vec<String> = sources.iter().map(|s| chars[s.from..s.to].iter().collect()).collect();
        assert_eq!(words, ["Ä costs 5.", "It is blue."]);
        let (text, sources) = marked("x y", &[cited("other", "a"), cited("more", "a")]);
        assert_eq!(text, "x y [1] [1]\n\nSources:\n[1] a: /a");
        assert_eq!(sources.len(), 2);
    }
}
