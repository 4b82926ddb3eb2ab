//! Statements that a paragraph supports: its sentences with an answer, and questions turned into statements by their answers.

use std::{collections::HashSet, error::Error};

use ashlar_retrieval::answer::sentence_ranges;
use serde_json::Value;

/// The longest answer that a question is turned into a statement with, in words.
const ANSWER_WORDS_MAX: usize = 10;

/// A statement that its paragraph supports.
pub struct Statement {
    /// The title of the article.
    pub article: String,
    /// The paragraph.
    pub paragraph: String,
    /// All paragraphs of the article.
    pub others: Vec<String>,
    /// The sentence of the paragraph that has the answer.
    pub sentence: String,
    /// The statement.
    pub text: String,
    /// The answer that it contains.
    pub answer: String,
    /// Whether it is a sentence of the paragraph as it is.
    pub quoted: bool,
}

/// The statements of every other article: those for fitting, or the rest.
pub fn read(text: &str, fitting: bool) -> Result<Vec<Statement>, Box<dyn Error>> {
    let set: Value = serde_json::from_str(text)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text_of = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    let mut out: Vec<Statement> = Vec::new();
    let mut known = HashSet::new();
    for (number, article) in list(&set["data"]).iter().enumerate() {
        if (number % 2 == 0) != fitting {
            continue;
        }
        let title = text_of(&article["title"]).replace('_', " ");
        let paragraphs = list(&article["paragraphs"]);
        let others: Vec<String> = paragraphs.iter().map(|p| text_of(&p["context"])).collect();
        for paragraph in &paragraphs {
            // Not trimmed: places of answers are counted from its beginning.
            let context = paragraph["context"].as_str().unwrap_or_default();
            let asked = list(&paragraph["qas"]);
            for asked in asked.iter().filter(|asked| asked["is_impossible"] == false) {
                let answer = &asked["answers"][0];
                let chars = usize::try_from(answer["answer_start"].as_u64().unwrap_or(0))?;
                let start = context.char_indices().nth(chars).map_or(0, |(at, _)| at);
                let answer = text_of(&answer["text"]);
                let Some(range) = sentence_ranges(context).into_iter().find(|range| range.contains(&start))
                else {
                    continue;
                };
                let sentence = context[range].trim().to_owned();
                let turned = turned(&text_of(&asked["question"]), &answer);
                for (text, quoted) in [(Some(sentence.clone()), true), (turned, false)] {
                    let Some(text) = text.filter(|text| known.insert((context.to_owned(), text.clone())))
                    else {
                        continue;
                    };
                    out.push(Statement {
                        article: title.clone(),
                        paragraph: context.to_owned(),
                        others: others.clone(),
                        sentence: sentence.clone(),
                        text,
                        answer: answer.clone(),
                        quoted,
                    });
                }
            }
        }
    }
    Ok(out)
}

/// A question as a statement, for the forms of questions in which that needs no grammar.
fn turned(question: &str, answer: &str) -> Option<String> {
    let words: Vec<&str> = question.trim_end_matches(['?', ' ']).split_whitespace().collect();
    if answer.split_whitespace().count() > ANSWER_WORDS_MAX || words.len() < 4 {
        return None;
    }
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let is = |at: usize, list: &[&str]| lower.get(at).is_some_and(|word| list.contains(&word.as_str()));
    // "Whom did X defeat" would need another form of the verb.
    if lower.iter().any(|word| matches!(word.as_str(), "did" | "does" | "do")) {
        return None;
    }
    let made = if is(0, &["who"]) {
        Some(format!("{answer} {}", words[1..].join(" ")))
    } else if is(0, &["what", "which"]) && is(1, &["is", "was", "are", "were"]) && is(2, &["the", "a", "an"])
    {
        Some(format!("{} {} {answer}", words[2..].join(" "), words[1]))
    } else if is(0, &["how"])
        && is(1, &["many"])
        && !lower.iter().any(|word| matches!(word.as_str(), "are" | "were" | "is" | "was" | "have" | "has"))
    {
        Some(format!("{answer} {}", words[2..].join(" ")))
    } else if is(0, &["when", "where"])
        && is(1, &["is", "was", "are", "were"])
        && lower.last()?.ends_with("ed")
    {
        let last = words.len() - 1;
        Some(format!("{} {} {} in {answer}", words[2..last].join(" "), words[1], words[last]))
    } else {
        None
    }?;
    let mut chars = made.chars();
    let first = chars.next()?;
    Some(format!("{}{}.", first.to_uppercase(), chars.as_str().trim_end_matches('.')))
}
