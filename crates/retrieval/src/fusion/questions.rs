//! Questions that a corpus asks itself: a sentence is taken out of a document, and the rest of the document is what should be found.
//! What is taken out is out of everything that is learned, so words cannot find it by repetition, nor vectors by heart.

use crate::{
    index::Document,
    text::{Analyzer, sentences},
    vector::Random,
};

/// Documents that are asked about.
const ASKED_MAX: usize = 500;
/// Documents of a corpus that are looked at: enough to see how the legs compare.
const SAMPLE_MAX: usize = 10_000;
/// The fewest terms of a sentence that is asked.
const TERMS_MIN: usize = 4;
/// The fewest sentences of a document that one is taken from.
const SENTENCES_MIN: usize = 3;
/// Every second document may be asked about, so that the rest stays as it is.
const SHARE: usize = 2;

/// A question and the document that answers it.
#[derive(Debug)]
pub(super) struct Question {
    pub text: String,
    pub answer: u32,
}

/// A part of the corpus without what is asked about it.
#[derive(Debug, Default)]
pub(super) struct Exam {
    pub texts: Vec<String>,
    pub questions: Vec<Question>,
}

/// Takes sentences and titles out of a corpus and asks for the documents they are from. The same corpus gives the same
/// questions.
pub(super) fn ask(analyzer: &Analyzer, documents: &[Document<'_>]) -> Exam {
    let mut random = Random(documents.len() as u64);
    let mut order: Vec<usize> = (0..documents.len()).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at + 1));
    }
    order.truncate(SAMPLE_MAX);
    let may_be_asked = order.len() / SHARE;
    let mut exam = Exam::default();
    let mut asked = 0;
    for (place, number) in order.into_iter().enumerate() {
        let document = documents[number];
        let answer = u32::try_from(exam.texts.len()).unwrap_or(u32::MAX);
        let taken = (place < may_be_asked && asked < ASKED_MAX)
            .then(|| sentence(analyzer, document.text, &mut random))
            .flatten();
        let Some((from, to)) = taken else {
            exam.texts.push(document.whole());
            continue;
        };
        asked += 1;
        let sentence = &document.text[from..to];
        exam.texts.push(format!("{}\n\n{}", &document.text[..from], &document.text[to..]));
        exam.questions.push(Question { text: sentence.to_owned(), answer });
        exam.questions.push(Question { text: keywords(sentence, &mut random), answer });
        if !document.title.is_empty() && document.title != sentence {
            exam.questions.push(Question { text: document.title.to_owned(), answer });
        }
    }
    exam
}

/// Where a sentence lies that is worth asking.
fn sentence(analyzer: &Analyzer, text: &str, random: &mut Random) -> Option<(usize, usize)> {
    let all: Vec<&str> = sentences(text).collect();
    if all.len() < SENTENCES_MIN {
        return None;
    }
    // A few tries find one, or there are few.
    for _ in 0..4 {
        let one = all[random.below(all.len())];
        let mut terms = analyzer.list(one);
        terms.sort_unstable();
        terms.dedup();
        if terms.len() >= TERMS_MIN {
            let from = one.as_ptr() as usize - text.as_ptr() as usize;
            return Some((from, from + one.len()));
        }
    }
    None
}

/// Some words of a sentence, as people type them into a search box.
fn keywords(sentence: &str, random: &mut Random) -> String {
    let mut words: Vec<&str> = sentence.split_whitespace().collect();
    let wanted = 2 + random.below(5);
    while words.len() > wanted {
        // Long words say more: of two, the shorter goes.
        let (a, b) = (random.below(words.len()), random.below(words.len()));
        words.remove(if words[a].len() < words[b].len() { a } else { b });
    }
    words.join(" ")
}
