//! Quoted answers and refusals over questions of which half have no answer, beside a threshold on the score of the search.

use std::{collections::HashMap, fs, ops::Range, path::Path};

use ashlar_retrieval::{
    Document, Index, Mode,
    answer::{Candidate, DOUBTS, Evidence, FIGURES, MODEL, Model, Question, doubts},
    text::Analyzer,
};
use serde_json::Value;

use super::{
    logistic::{fit, weights},
    site::Result,
};
use crate::run::root;

/// Passages that an answer is looked for in.
const PASSAGES: usize = 5;
/// How strongly weights are held back.
const RIDGE: f64 = 3.0;

struct Paragraph {
    title: String,
    text: String,
}

struct Asked {
    text: String,
    paragraph: usize,
    /// Where each right answer begins, and the answer. None when there is no answer.
    gold: Vec<(usize, String)>,
    train: bool,
}

struct Set {
    paragraphs: Vec<Paragraph>,
    asked: Vec<Asked>,
}

/// Every other article is for fitting.
fn read(data: &Path) -> Result<Set> {
    let path = data.join("questions/squad-dev-v2.0.json");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let set: Value = serde_json::from_str(&text)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut out = Set { paragraphs: Vec::new(), asked: Vec::new() };
    for (number, article) in list(&set["data"]).iter().enumerate() {
        for paragraph in list(&article["paragraphs"]) {
            let text = text_of(&paragraph["context"]);
            for asked in list(&paragraph["qas"]) {
                let answerable = asked["is_impossible"] == false;
                let gold = list(&asked["answers"]).into_iter().filter(|_| answerable).map(|answer| {
                    let chars = usize::try_from(answer["answer_start"].as_u64().unwrap_or(0)).unwrap_or(0);
                    let start = text.char_indices().nth(chars).map_or(0, |(at, _)| at);
                    (start, text_of(&answer["text"]))
                });
                out.asked.push(Asked {
                    text: text_of(&asked["question"]).trim().to_owned(),
                    paragraph: out.paragraphs.len(),
                    gold: gold.collect(),
                    train: number % 2 == 0,
                });
            }
            out.paragraphs.push(Paragraph { title: text_of(&article["title"]).replace('_', " "), text });
        }
    }
    Ok(out)
}

/// A question with what was found for it.
struct Found<'a> {
    asked: &'a Asked,
    question: Question,
    passages: Vec<(usize, f32)>,
    /// The score of the best passage by BM25 alone.
    words: f32,
}

impl Found<'_> {
    fn evidence<'a>(&self, set: &'a Set) -> Vec<Evidence<'a>> {
        let passage = |(number, score): &(usize, f32)| Evidence {
            context: &set.paragraphs[*number].title,
            text: &set.paragraphs[*number].text,
            score: *score,
            statement: false,
        };
        self.passages.iter().map(passage).collect()
    }

    /// Whether a sentence contains the answer at the place where people marked it.
    fn is_right(&self, candidate: &Candidate) -> bool {
        self.passages[candidate.passage].0 == self.asked.paragraph
            && self
                .asked
                .gold
                .iter()
                .any(|(at, text)| candidate.range.start <= *at && at + text.len() <= candidate.range.end)
    }

    fn contains(&self, text: &str) -> bool {
        self.asked.gold.iter().any(|(_, gold)| text.contains(gold.as_str()))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of paragraphs")]
fn rarities(analyzer: &Analyzer, set: &Set) -> HashMap<String, f32> {
    let mut found_in: HashMap<String, usize> = HashMap::new();
    for paragraph in &set.paragraphs {
        let mut terms = analyzer.list(&paragraph.text);
        terms.sort_unstable();
        terms.dedup();
        for term in terms {
            *found_in.entry(term).or_default() += 1;
        }
    }
    let all = set.paragraphs.len() as f32;
    let rarity = |n: usize| (1.0 + (all - n as f32 + 0.5) / (n as f32 + 0.5)).ln();
    found_in.into_iter().map(|(term, n)| (term, rarity(n))).collect()
}

fn search<'a>(set: &'a Set, analyzer: &Analyzer) -> Result<Vec<Found<'a>>> {
    let documents: Vec<Document<'_>> =
        set.paragraphs.iter().map(|p| Document { title: "", text: &p.text }).collect();
    let index = Index::build("en", &documents, Mode::Hybrid)?;
    let rarities = rarities(analyzer, set);
    let find = |asked: &'a Asked| {
        let hits = index.search(&asked.text, Mode::Hybrid, PASSAGES);
        Found {
            asked,
            question: Question::read(analyzer, &asked.text, &|term| rarities.get(term).copied()),
            passages: hits.into_iter().map(|hit| (hit.document as usize, hit.score)).collect(),
            words: index.search(&asked.text, Mode::Bm25, 1).first().map_or(0.0, |hit| hit.score),
        }
    };
    Ok(set.asked.iter().map(find).collect())
}

/// What one way of answering did with one question.
#[derive(Clone, Copy)]
struct Outcome {
    /// What the threshold is applied to.
    score: f32,
    /// Whether the quoted sentence contains a right answer.
    right: bool,
    answerable: bool,
    train: bool,
}

/// How good a way of answering is with a threshold.
#[derive(Default)]
struct Figures {
    questions: usize,
    answered: usize,
    right: usize,
    refused: usize,
    refused_rightly: usize,
    unanswerable: usize,
}

impl Figures {
    fn of<'a>(outcomes: impl Iterator<Item = &'a Outcome>, threshold: f32) -> Self {
        let mut out = Self::default();
        for outcome in outcomes {
            out.questions += 1;
            out.unanswerable += usize::from(!outcome.answerable);
            if outcome.score < threshold {
                out.refused += 1;
                out.refused_rightly += usize::from(!outcome.answerable);
            } else {
                out.answered += 1;
                out.right += usize::from(outcome.right);
            }
        }
        out
    }

    fn decided(&self) -> usize {
        self.right + self.refused_rightly
    }

    fn row(&self, name: &str) -> String {
        let (precision, recall) =
            (ratio(self.refused_rightly, self.refused), ratio(self.refused_rightly, self.unanswerable));
        let f1 = 2.0 * precision * recall / (precision + recall).max(1e-9);
        let answerable = self.questions - self.unanswerable;
        format!(
            "| {name} | {:.3} | {:.3} | {:.3} | {precision:.3} | {recall:.3} | {f1:.3} | {:.3} |",
            ratio(self.answered, self.questions),
            ratio(self.right, self.answered),
            ratio(self.right, answerable),
            ratio(self.decided(), self.questions),
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of questions")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The threshold with the most right decisions on the half for fitting.
fn tuned(outcomes: &[Outcome]) -> f32 {
    let train: Vec<Outcome> = outcomes.iter().filter(|outcome| outcome.train).copied().collect();
    let mut scores: Vec<f32> = train.iter().map(|outcome| outcome.score).collect();
    scores.sort_by(f32::total_cmp);
    let step = (scores.len() / 200).max(1);
    let tried = scores.into_iter().step_by(step);
    tried.max_by_key(|threshold| Figures::of(train.iter(), *threshold).decided()).unwrap_or(0.0)
}

/// The share of a sentence's question that it covers: how the baseline picks the sentence of its passage.
fn covered(candidate: &Candidate) -> f32 {
    candidate.figures[1]
}

fn outcomes(
    set: &Set,
    analyzer: &Analyzer,
    found: &[Found<'_>],
    model: &Model,
) -> (Vec<Outcome>, Vec<Outcome>) {
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for found in found {
        let evidence = found.evidence(set);
        let candidates = model.candidates(analyzer, &found.question, &evidence);
        let right = |quoted: Option<(usize, &Range<usize>)>| {
            quoted.is_some_and(|(passage, range)| found.contains(&evidence[passage].text[range.clone()]))
        };
        let outcome = |score: f32, right: bool| Outcome {
            score,
            right,
            answerable: !found.asked.gold.is_empty(),
            train: found.asked.train,
        };
        let answer = model.answer(analyzer, &found.question, &evidence);
        let best = candidates.first().map(|candidate| (candidate.passage, &candidate.range));
        let quoted = answer.quotes.first().map(|quote| (quote.passage, &quote.range));
        ours.push(outcome(answer.confidence, right(quoted.or(best))));
        let first = candidates.iter().filter(|candidate| candidate.passage == 0);
        let plain =
            first.max_by(|a, b| covered(a).total_cmp(&covered(b)).then(b.range.start.cmp(&a.range.start)));
        let plain = plain.map(|candidate| (candidate.passage, &candidate.range));
        baseline.push(outcome(found.words, right(plain)));
    }
    (ours, baseline)
}

/// Fits the weights on the half for fitting: first those that rank sentences, then those that doubt the best one.
fn fitted(set: &Set, analyzer: &Analyzer, found: &[Found<'_>]) -> Model {
    let mut model = MODEL;
    let train = || found.iter().filter(|found| found.asked.train);
    let mut rows: Vec<([f32; FIGURES], bool)> = Vec::new();
    for found in train().filter(|found| !found.asked.gold.is_empty()) {
        let candidates = model.candidates(analyzer, &found.question, &found.evidence(set));
        if candidates.iter().any(|candidate| found.is_right(candidate)) {
            rows.extend(candidates.iter().map(|candidate| (candidate.figures, found.is_right(candidate))));
        }
    }
    model.rank = fit(&rows, RIDGE);
    let rows: Vec<([f32; DOUBTS], bool)> = train()
        .map(|found| {
            let candidates = model.candidates(analyzer, &found.question, &found.evidence(set));
            let right = candidates.first().is_some_and(|best| found.is_right(best));
            (doubts(&found.question, &candidates), right)
        })
        .collect();
    model.confidence = fit(&rows, RIDGE);
    model.threshold = tuned(&outcomes(set, analyzer, found, &model).0);
    model
}

/// The share of confidences that come true, in steps of a fifth.
fn calibration(outcomes: &[Outcome]) -> String {
    let step = |from: f32| {
        let inside = outcomes.iter().filter(|o| !o.train && o.score >= from && o.score < from + 0.2);
        let (right, all) = inside.fold((0, 0), |(right, all), o| (right + usize::from(o.right), all + 1));
        format!("{from:.1}–{:.1}: {:.2} of {all}", from + 0.2, ratio(right, all))
    };
    [0.0, 0.2, 0.4, 0.6, 0.8].map(step).join(", ")
}

/// Measures on the half of the articles that nothing was fitted on. With `refit`, fits the weights first and prints them.
///
/// # Errors
/// When there are no questions in `ASHLAR_TEST_DATA` (or `../shared/data`).
pub fn run(refit: bool) -> Result<()> {
    let data = std::env::var_os("ASHLAR_TEST_DATA").map_or_else(|| root().join("../shared/data"), Into::into);
    let set = read(&data)?;
    let analyzer = Analyzer::for_locale("en");
    let found = search(&set, &analyzer)?;
    let model = if refit { fitted(&set, &analyzer, &found) } else { MODEL };
    if refit {
        println!("rank: {}", weights(&model.rank));
        println!("confidence: {}", weights(&model.confidence));
        println!("threshold: {}", model.threshold);
    }
    let (ours, baseline) = outcomes(&set, &analyzer, &found, &model);
    let test = |outcomes: &[Outcome], threshold: f32| {
        let test: Vec<Outcome> = outcomes.iter().filter(|outcome| !outcome.train).copied().collect();
        Figures::of(test.iter(), threshold)
    };
    let asked = || found.iter().filter(|found| !found.asked.train && !found.asked.gold.is_empty());
    let recalled = asked().filter(|found| {
        found.passages.iter().any(|(number, _)| found.contains(&set.paragraphs[*number].text))
    });
    let own =
        asked().filter(|found| found.passages.iter().any(|(number, _)| *number == found.asked.paragraph));
    let all = asked().count();
    println!(
        "answer recall@{PASSAGES}: {:.3} (its own paragraph: {:.3}) of {all} questions with an answer",
        ratio(recalled.count(), all),
        ratio(own.count(), all),
    );
    println!(
        "| method | answered | citation precision | answerable answered rightly | refusal precision | refusal recall | refusal F1 | right decisions |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    println!("{}", test(&ours, model.threshold).row("quoted answers"));
    println!("{}", test(&baseline, tuned(&baseline)).row("threshold on BM25"));
    println!("{}", test(&baseline, 0.0).row("never refuses"));
    println!("{}", test(&baseline, f32::MAX).row("always refuses"));
    println!("{}", test(&ours, 0.0).row("quoted answers without refusals"));
    let fitted: Vec<Outcome> = ours.iter().filter(|outcome| outcome.train).copied().collect();
    println!("{}", Figures::of(fitted.iter(), model.threshold).row("quoted answers, half for fitting"));
    println!("confidence, and how often it was right: {}", calibration(&ours));
    Ok(())
}
