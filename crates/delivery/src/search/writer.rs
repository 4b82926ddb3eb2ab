//! Writing the segments of runs.

use std::{collections::BTreeMap, sync::Arc};

use ashlar_model::{EntryKey, EntryRecord, Locale};
use ashlar_retrieval::{
    segment::{Copied, Passage, Segment, SegmentWriter},
    text::Analyzer,
};
use ashlar_store::{Batch, ReadObjects};

use super::{
    key::SegmentValue,
    known::Known,
    rules::{Document, SearchRules, analyzer},
    runs::{Entry, Run},
};
use crate::{error::DeliveryError, lookup::fields};

/// A key of the search tree, and its value if it stays.
pub(super) type Edit = (Vec<u8>, Option<Vec<u8>>);

/// Writes the segments of runs.
pub(super) struct Writer<'r> {
    rules: &'r SearchRules<'r>,
    content: &'r dyn ReadObjects,
    analyzers: BTreeMap<Locale, Arc<Analyzer>>,
}

impl<'r> Writer<'r> {
    pub(super) fn new(rules: &'r SearchRules<'r>, content: &'r dyn ReadObjects) -> Self {
        Self { rules, content, analyzers: BTreeMap::new() }
    }

    fn analyzer(&mut self, locale: &Locale) -> Arc<Analyzer> {
        self.analyzers.entry(locale.clone()).or_insert_with(|| Arc::new(analyzer(locale))).clone()
    }

    /// What is indexed of an entry.
    fn document(
        &self,
        (entry, record): (&EntryKey, &EntryRecord),
        analyzer: &Analyzer,
    ) -> Result<Option<Document>, DeliveryError> {
        let fields = fields(self.content, &record.digest)?;
        Ok(self.rules.document(entry, record, &fields, analyzer))
    }

    /// Adds the segments of a run to `out`, in the order of their keys for one index.
    pub(super) fn write(
        &mut self,
        run: &Run,
        entries: &[Entry],
        known: Option<&Known<'_>>,
        batch: &mut Batch,
        out: &mut Vec<Edit>,
    ) -> Result<(), DeliveryError> {
        let analyzer = &*self.analyzer(&run.locale);
        let mut parts: BTreeMap<&str, Parts<'_>> = BTreeMap::new();
        for (entry, record) in entries {
            let Some(index) = self.rules.index(entry, record) else { continue };
            let key = entry.to_bytes();
            if let Some(known) = known
                && let Some(chunks) = known.chunks(index, &key)
            {
                let parts = parts.entry(index).or_insert_with(|| Parts::new(analyzer, &known.segments));
                for (segment, range) in chunks {
                    range.clone().try_for_each(|chunk| parts.copy(*segment, chunk))?;
                }
                continue;
            }
            let Some(document) = self.document((entry, record), analyzer)? else { continue };
            let from = known.map_or(&[][..], |known| &known.segments);
            let parts = parts.entry(index).or_insert_with(|| Parts::new(analyzer, from));
            parts.left_out += document.left_out;
            for (chunk, text) in &document.chunks {
                parts.push(&Passage {
                    entry: &key,
                    title: &document.title,
                    chunk,
                    text,
                    attributes: &document.attributes,
                });
            }
        }
        for (index, parts) in parts {
            for (part, (bytes, chunks, left_out)) in parts.finish().into_iter().enumerate() {
                let value = SegmentValue { digest: batch.put(bytes), chunks, left_out };
                out.push((run.key(index).part(part), Some(value.to_bytes())));
            }
        }
        Ok(())
    }
}

/// The segments of a run in one index.
struct Parts<'a> {
    analyzer: &'a Analyzer,
    writer: SegmentWriter<'a>,
    from: &'a [Segment],
    /// What was copied from each of those into the segment at hand.
    copied: Vec<Copied<'a>>,
    chunks: u32,
    left_out: u64,
    done: Vec<(Vec<u8>, u32, u64)>,
}

impl<'a> Parts<'a> {
    fn new(analyzer: &'a Analyzer, from: &'a [Segment]) -> Self {
        let (writer, copied) = (SegmentWriter::new(analyzer), from.iter().map(Copied::of).collect());
        Self { analyzer, writer, from, copied, chunks: 0, left_out: 0, done: Vec::new() }
    }

    fn push(&mut self, passage: &Passage<'_>) {
        if !self.writer.push(passage) {
            self.cut();
            // A segment without chunks takes any.
            let _ = self.writer.push(passage);
        }
        self.chunks += 1;
    }

    fn copy(&mut self, segment: usize, chunk: usize) -> Result<(), DeliveryError> {
        let fits = |parts: &mut Self| {
            let copied = parts.copied.get_mut(segment);
            copied.is_some_and(|copied| parts.writer.copy(copied, chunk))
        };
        if !fits(self) {
            self.cut();
            if !fits(self) {
                return Err(DeliveryError::SearchTree("a segment"));
            }
        }
        self.chunks += 1;
        Ok(())
    }

    fn cut(&mut self) {
        let full = std::mem::replace(&mut self.writer, SegmentWriter::new(self.analyzer));
        self.copied = self.from.iter().map(Copied::of).collect();
        let chunks = std::mem::take(&mut self.chunks);
        if chunks > 0 {
            self.done.push((full.finish(), chunks, std::mem::take(&mut self.left_out)));
        }
    }

    fn finish(mut self) -> Vec<(Vec<u8>, u32, u64)> {
        self.cut();
        self.done
    }
}
