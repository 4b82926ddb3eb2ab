//! Questions that a corpus asks itself: a sentence is taken out of a chunk, and the rest of the chunk is what should be found.
//! What is taken out is out of everything that is learned, so words cannot find it by repetition, nor vectors by heart.

use crate::{
    sample::{END, Sample, Text},
    vector::Random,
};

/// Chunks that are asked about.
const ASKED_MAX: usize = 500;
/// Chunks that are looked at: enough to see how the legs compare.
const SAMPLE_MAX: usize = 10_000;
/// The fewest terms of a sentence that is asked.
const TERMS_MIN: usize = 4;
/// The fewest sentences of a chunk that one is taken from.
const SENTENCES_MIN: usize = 3;
/// Every second chunk may be asked about, so that the rest stays as it is.
const SHARE: usize = 2;

/// A question and the text that answers it.
#[derive(Debug)]
pub(super) struct Question {
    pub terms: Vec<u32>,
    pub answer: u32,
}

/// A part of the sample without what is asked about it.
#[derive(Debug, Default)]
pub(super) struct Exam {
    pub texts: Vec<Vec<u32>>,
    pub questions: Vec<Question>,
}

/// Takes sentences, headings and titles out of chunks and asks for the chunks they are from. The same sample gives the same questions.
pub(super) fn ask(sample: &Sample) -> Exam {
    let mut random = Random(sample.texts.len() as u64);
    let count = sample.texts.len().min(SAMPLE_MAX);
    let mut exam = Exam::default();
    let mut asked = 0;
    for (place, text) in sample.texts[..count].iter().enumerate() {
        let answer = u32::try_from(exam.texts.len()).unwrap_or(u32::MAX);
        let taken =
            (place < count / SHARE && asked < ASKED_MAX).then(|| sentence(text, &mut random)).flatten();
        let Some((from, to)) = taken else {
            exam.texts.push(text.tokens.clone());
            continue;
        };
        asked += 1;
        let sentence = &text.tokens[from..to];
        exam.texts.push([&text.tokens[text.lead..from], &text.tokens[to..]].concat());
        exam.questions.push(Question { terms: sentence.to_vec(), answer });
        exam.questions.push(Question { terms: keywords(sample, sentence, &mut random), answer });
        let heading = text.tokens[text.title..text.lead].split(|term| *term == END).rfind(|h| !h.is_empty());
        let title = Some(&text.tokens[..text.title]).filter(|title| !title.is_empty() && !text.shared_title);
        if let Some(terms) = heading.or(title).filter(|terms| *terms != sentence) {
            exam.questions.push(Question { terms: terms.to_vec(), answer });
        }
    }
    exam
}

/// Where a sentence lies that is worth asking.
fn sentence(text: &Text, random: &mut Random) -> Option<(usize, usize)> {
    let mut all: Vec<(usize, usize)> = Vec::new();
    let mut from = text.lead;
    for (at, _) in text.tokens.iter().enumerate().skip(text.lead).filter(|(_, term)| **term == END) {
        all.push((from, at));
        from = at + 1;
    }
    if all.len() < SENTENCES_MIN {
        return None;
    }
    // A few tries find one, or there are few.
    for _ in 0..4 {
        let (from, to) = all[random.below(all.len())];
        let mut terms = text.tokens[from..to].to_vec();
        terms.sort_unstable();
        terms.dedup();
        if terms.len() >= TERMS_MIN {
            return Some((from, to));
        }
    }
    None
}

/// Some words of a sentence, as people type them into a search box.
fn keywords(sample: &Sample, sentence: &[u32], random: &mut Random) -> Vec<u32> {
    let mut terms = sentence.to_vec();
    let wanted = 2 + random.below(5);
    let length = |term: u32| sample.lengths.get(term as usize).copied().unwrap_or(0);
    while terms.len() > wanted {
        // Long words say more: of two, the shorter goes.
        let (a, b) = (random.below(terms.len()), random.below(terms.len()));
        terms.remove(if length(terms[a]) < length(terms[b]) { a } else { b });
    }
    terms
}
