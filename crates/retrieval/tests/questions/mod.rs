//! Questions written by hand, and the texts that they are about: the documentation, and the demo in three languages.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::HashMap, fs, path::PathBuf};

use ashlar_retrieval::{
    Document, Index, Mode,
    answer::{Evidence, Model, Outcome, Question},
    chunk::{ChunkRules, Text, TextForm, blank, chunks},
    text::Analyzer,
};

/// Passages that are looked at sentence by sentence.
const PASSAGES: usize = 24;

/// A question of `asked.tsv`.
pub struct Asked {
    pub corpus: &'static str,
    pub locale: &'static str,
    pub question: &'static str,
    /// What an answer contains; empty when nothing answers it.
    pub expects: Vec<&'static str>,
}

pub fn asked() -> Vec<Asked> {
    let lines = include_str!("asked.tsv").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut fields = line.split('\t');
            let mut next = || fields.next().unwrap_or_default();
            let (corpus, locale, question, expects) = (next(), next(), next(), next());
            let expects = expects.split('|').filter(|part| !part.is_empty()).collect();
            Asked { corpus, locale, question, expects }
        })
        .collect()
}

/// Texts that are searched.
pub struct Corpus {
    passages: Vec<(String, String)>,
    index: Index,
    analyzer: Analyzer,
    rarities: HashMap<String, f32>,
}

impl Corpus {
    pub fn read(corpus: &str, locale: &str) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut pages = Vec::new();
        if corpus == "docs" {
            // What is measured or limited changes with every version, and is no place for questions.
            for file in files(&root.join("docs"), ".md") {
                let text = fs::read_to_string(&file).unwrap();
                let (title, body) = text.split_once('\n').unwrap();
                pages.push((title.trim_start_matches("# ").to_owned(), body.to_owned()));
            }
        } else {
            let content = root.join("examples/demo/content");
            for (folder, title, texts) in [
                ("doc-article", "title", &["summary"][..]),
                ("faq-item", "question", &["answer"]),
                ("feature", "name", &["summary"]),
            ] {
                for file in files(&content.join(folder), &format!(".{locale}.json")) {
                    let fields: serde_json::Value =
                        serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
                    for text in texts {
                        pages
                            .push([title, text].map(|name| fields[name].as_str().unwrap().to_owned()).into());
                    }
                }
                for file in files(&content.join(folder), &format!(".{locale}.md")) {
                    let text = fs::read_to_string(file).unwrap();
                    let (head, body) = text.trim_start_matches("---\n").split_once("\n---\n").unwrap();
                    let value = |name: &str| {
                        let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
                        line.unwrap_or_default().trim_matches('"').to_owned()
                    };
                    pages.push((value(title), body.to_owned()));
                    pages.push((value(title), value("summary")));
                }
            }
        }
        Self::of(&pages, locale)
    }

    fn of(pages: &[(String, String)], locale: &str) -> Self {
        let analyzer = Analyzer::for_locale(locale);
        let mut passages = Vec::new();
        for (title, text) in pages {
            let blanked = blank(text, TextForm::Markdown);
            let texts = [Text::new("/body", text, TextForm::Markdown)];
            for chunk in chunks(title.as_bytes(), &texts, &analyzer, &ChunkRules::default()).chunks {
                let context = std::iter::once(title).chain(&chunk.headings).cloned().collect::<Vec<_>>();
                passages.push((context.join(" \u{b7} "), blanked[chunk.bytes()].to_owned()));
            }
        }
        let mut found_in: HashMap<String, usize> = HashMap::new();
        for (context, text) in &passages {
            let mut terms = analyzer.list(&format!("{context} {text}"));
            terms.sort_unstable();
            terms.dedup();
            for term in terms {
                *found_in.entry(term).or_default() += 1;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "there are a few hundred")]
        let rarity = |n: usize| (1.0 + (passages.len() as f32 - n as f32 + 0.5) / (n as f32 + 0.5)).ln();
        let rarities = found_in.into_iter().map(|(term, n)| (term, rarity(n))).collect();
        let documents: Vec<Document<'_>> =
            passages.iter().map(|(title, text)| Document { title, text }).collect();
        let index = Index::build(locale, &documents, Mode::Hybrid).unwrap();
        Self { passages, index, analyzer, rarities }
    }

    /// What the answerer says, and the text that it quotes.
    pub fn ask(&self, model: &Model, question: &str) -> (Outcome, String) {
        let hits = self.index.search(question, Mode::Hybrid, PASSAGES);
        let evidence: Vec<Evidence<'_>> = hits
            .iter()
            .map(|hit| {
                let (context, text) = &self.passages[hit.document as usize];
                Evidence { context, text, score: hit.score, statement: false }
            })
            .collect();
        let read = Question::read(&self.analyzer, question, &|term| self.rarities.get(term).copied());
        let outcome = model.answer(&self.analyzer, &read, &evidence);
        let quoted = |quote: &ashlar_retrieval::answer::Quote| {
            let text = &evidence[quote.passage].text[quote.range.clone()];
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let text = outcome.quotes.iter().map(quoted).collect::<Vec<_>>().join(" ");
        (outcome, text)
    }
}

fn files(folder: &std::path::Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(ending) && name != "benchmarks.md"
        })
        .collect();
    files.sort();
    files
}
