//! How fast a shelf of many chunks is built and searched, how much memory it takes, and how many of the nearest chunks its quantised
//! vectors find. Paragraphs and documentation are repeated under new ids with a part of the words replaced, so that they differ.
//! With peers, Qdrant's engine and bm25s search the same chunks afterwards, with the same queries and vectors.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use ashlar_retrieval::{
    Mode,
    access::{Allowed, Attributes, Filter, Readers},
    basis::{Basis, SegmentVectors},
    chunk::{Chunk, ChunkId, ChunkRules, Text, TextForm, blank, chunks},
    search::{Ask, Part, Shelf},
    segment::{Passage, Segment, SegmentWriter},
    text::{Analyzer, term_hash},
};
use serde_json::{Value, json};

use super::{search, site::Result};
use crate::{random::Random, run::root};

/// Chunks of one segment. They are fewer when it is full.
const SEGMENT_CHUNKS: usize = 256;
/// Chunks of one entry.
const ENTRY_CHUNKS: usize = 4;
/// One word of so many is replaced in a repeated chunk.
const REPLACED: u64 = 5;
/// Queries that are timed, and those whose nearest chunks are compared.
const QUERIES: usize = 1_000;
const COMPARED: usize = 200;
/// Regions, and of how many entries one has each. Others are in `rest`.
const REGIONS: [(&str, u64); 3] = [("tenth-of-a-percent", 1_000), ("one-percent", 100), ("ten-percent", 10)];

/// A chunk of the data.
struct Original {
    title: String,
    headings: Vec<String>,
    text: String,
}

/// A query, and the chunk that answers it if that is known.
struct Question {
    text: String,
    answer: Option<usize>,
}

fn originals(data: &Path, analyzer: &Analyzer) -> Result<(Vec<Original>, Vec<Question>)> {
    let (mut out, mut queries): (Vec<Original>, Vec<Question>) = (Vec::new(), Vec::new());
    let path = data.join("questions/squad-dev-v2.0.json");
    let set: Value =
        serde_json::from_str(&fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text_of = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    for article in list(&set["data"]) {
        for paragraph in list(&article["paragraphs"]) {
            queries.extend(list(&paragraph["qas"]).iter().map(|asked| Question {
                text: text_of(&asked["question"]),
                answer: (asked["is_impossible"] == false).then_some(out.len()),
            }));
            out.push(Original {
                title: text_of(&article["title"]).replace('_', " "),
                headings: Vec::new(),
                text: text_of(&paragraph["context"]),
            });
        }
    }
    let mut folders = vec![data.join("docs/en")];
    let mut pages: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { pages.push(path) }
        }
    }
    pages.sort();
    for page in pages {
        let text = fs::read_to_string(&page)?;
        let body = text.splitn(3, "---\n").nth(2).unwrap_or(&text);
        let title = text.lines().find_map(|line| line.strip_prefix("title: ")).unwrap_or_default();
        let blanked = blank(body, TextForm::Markdown);
        let texts = [Text::new("/body", body, TextForm::Markdown)];
        for chunk in
            chunks(page.as_os_str().as_encoded_bytes(), &texts, analyzer, &ChunkRules::default()).chunks
        {
            let text = blanked[chunk.bytes()].to_owned();
            queries.extend(chunk.headings.last().cloned().map(|text| Question { text, answer: None }));
            out.push(Original { title: title.to_owned(), headings: chunk.headings, text });
        }
    }
    queries.sort_by(|a, b| a.text.cmp(&b.text));
    queries.dedup_by(|a, b| a.text == b.text);
    Ok((out, queries))
}

/// A copy of a text in which some words are those of another.
fn varied(text: &str, other: &str, random: &mut Random) -> String {
    let words: Vec<&str> = other.split_whitespace().collect();
    let mut out = String::with_capacity(text.len() + 64);
    for word in text.split_inclusive(char::is_whitespace) {
        if words.is_empty() || random.below(REPLACED) > 0 {
            out.push_str(word);
        } else {
            out.push_str(words[random.index(words.len())]);
            out.extend(word.chars().rev().take_while(|c| c.is_whitespace()));
        }
    }
    out
}

/// A chunk of the corpus that is measured.
struct Made {
    entry: [u8; 8],
    title: usize,
    chunk: Chunk,
    text: String,
    attributes: Attributes,
}

fn make(originals: &[Original], number: usize, region: &str, random: &mut Random) -> Made {
    let original = &originals[number % originals.len()];
    let other = &originals[random.index(originals.len())];
    let text = if number < originals.len() {
        original.text.clone()
    } else {
        varied(&original.text, &other.text, random)
    };
    let id = [random.next().to_be_bytes(), random.next().to_be_bytes()].concat();
    Made {
        entry: ((number / ENTRY_CHUNKS) as u64).to_be_bytes(),
        title: number % originals.len(),
        chunk: Chunk {
            id: ChunkId::from_bytes(id.try_into().unwrap_or_default()),
            field: "/body".to_owned(),
            range: 0..u32::try_from(text.len()).unwrap_or(u32::MAX),
            headings: original.headings.clone(),
            anchor: None,
            boost: 1.0,
        },
        text,
        attributes: Attributes::new([("region".to_owned(), vec![region.to_owned()])], None, None, None),
    }
}

/// What is measured of one shelf.
struct Built {
    originals: Vec<Original>,
    shelf: Shelf,
    basis: Arc<Basis>,
    queries: Vec<Question>,
}

fn ms(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1_000.0
}

/// Milliseconds for which this thread has used a processor. Other work on the machine does not count.
fn cpu_ms() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    std::time::Duration::try_from(time).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
}

fn resident_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap_or(f64::NAN) / 1_024.0
}

/// Writes and opens the segments of a corpus.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn segments(
    analyzer: &Analyzer,
    originals: &[Original],
    count: usize,
    random: &mut Random,
    peers: Option<&Path>,
) -> Result<Vec<Arc<Segment>>> {
    let mut chunks =
        peers.map(|dir| File::create(dir.join("chunks.jsonl")).map(BufWriter::new)).transpose()?;
    let (mut segments, mut writing, mut opening) = (Vec::new(), 0.0, 0.0);
    let (mut bytes, mut number) = (0, 0);
    while number < count {
        let mut made: Vec<Made> = Vec::new();
        for at in number..(number + SEGMENT_CHUNKS).min(count) {
            let region = match made.last() {
                Some(last) if at % ENTRY_CHUNKS != 0 => last.attributes.values_of("region")[0].clone(),
                _ => {
                    let region = REGIONS.iter().find(|(_, of)| random.below(*of) == 0);
                    region.map_or("rest", |(name, _)| *name).to_owned()
                }
            };
            made.push(make(originals, at, &region, random));
        }
        let begun = cpu_ms();
        let mut writer = SegmentWriter::new(analyzer);
        let mut taken = 0;
        for made in &made {
            let passage = Passage {
                entry: &made.entry,
                title: &originals[made.title].title,
                chunk: &made.chunk,
                text: &made.text,
                attributes: &made.attributes,
            };
            if !writer.push(&passage) {
                break;
            }
            taken += 1;
        }
        let written = writer.finish();
        writing += cpu_ms() - begun;
        bytes += written.len();
        let begun = cpu_ms();
        segments.push(Arc::new(Segment::open(&written)?));
        opening += cpu_ms() - begun;
        number += taken;
        for made in made.iter().take(taken).filter(|_| peers.is_some()) {
            let Original { title, headings, .. } = &originals[made.title];
            let text = format!("{title}\n{}\n{}", headings.join("\n"), made.text);
            let line = json!({"text": text, "region": made.attributes.values_of("region")[0]});
            chunks.as_mut().map_or(Ok(()), |file| writeln!(file, "{line}"))?;
        }
    }
    println!("indexing: {:.0} chunks/s, on one core", count as f64 / writing * 1_000.0);
    println!(
        "opening: {} segments of {:.0} KB, {opening:.0} ms",
        segments.len(),
        bytes as f64 / segments.len() as f64 / 1_024.0
    );
    Ok(segments)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn build(data: &Path, count: usize, peers: Option<&Path>) -> Result<Built> {
    let analyzer = Arc::new(Analyzer::for_locale("en"));
    let (originals, mut queries) = originals(data, &analyzer)?;
    println!("{} chunks of the data, {count} with copies", originals.len());
    let mut random = Random(7);
    let resident = resident_mb();
    let segments = segments(&analyzer, &originals, count, &mut random, peers)?;
    let begun = cpu_ms();
    let basis = Arc::new(Basis::learn(&segments, &|_| true));
    println!(
        "learning: {:.0} ms, {} terms, {} dimensions",
        cpu_ms() - begun,
        basis.terms(),
        basis.dimensions()
    );
    let begun = cpu_ms();
    let parts: Vec<Part> = segments
        .into_iter()
        .map(|segment| {
            let vectors = Some(Arc::new(SegmentVectors::of(&segment, &basis)));
            Part { segment, vectors }
        })
        .collect();
    println!("vectors: {:.0} ms", cpu_ms() - begun);
    let floats = (count * basis.dimensions() * 4) as f64 / (1 << 20) as f64;
    let of_segments: usize = parts.iter().map(|part| part.segment.memory()).sum();
    let of_vectors: usize = parts.iter().filter_map(|part| part.vectors.as_ref()).map(|v| v.memory()).sum();
    let shelf = Shelf::new(parts, Some(Arc::clone(&basis)), analyzer);
    let begun = cpu_ms();
    shelf.warm();
    println!("words for corrections: {:.0} ms", cpu_ms() - begun);
    let mb = |bytes: usize| bytes as f64 / (1 << 20) as f64;
    println!(
        "memory: {:.0} MB segments, {:.0} MB vectors, {:.0} MB basis; resident {:.0} MB more than before; vectors as floats are {floats:.0} MB; ratio {:.2}",
        mb(of_segments),
        mb(of_vectors),
        mb(basis.memory()),
        resident_mb() - resident,
        (resident_mb() - resident) / floats
    );
    random.shuffle(&mut queries);
    Ok(Built { originals, shelf, basis, queries })
}

/// How long it takes until one changed entry can be found: its segment is written and opened, gets vectors, and a new shelf is made.
fn update(built: &Built, originals: &[Original]) -> Result<f64> {
    let analyzer = Arc::new(Analyzer::for_locale("en"));
    let mut random = Random(11);
    let made: Vec<Made> =
        (0..SEGMENT_CHUNKS).map(|at| make(originals, at + 100_000, "rest", &mut random)).collect();
    let begun = cpu_ms();
    let mut writer = SegmentWriter::new(&analyzer);
    for made in &made {
        let passage = Passage {
            entry: &made.entry,
            title: &originals[made.title].title,
            chunk: &made.chunk,
            text: &made.text,
            attributes: &made.attributes,
        };
        if !writer.push(&passage) {
            break;
        }
    }
    let segment = Arc::new(Segment::open(&writer.finish())?);
    let vectors = Some(Arc::new(SegmentVectors::of(&segment, &built.basis)));
    let mut parts = built.shelf.parts().to_vec();
    if let Some(last) = parts.last_mut() {
        *last = Part { segment, vectors };
    }
    let shelf = Shelf::new(parts, Some(Arc::clone(&built.basis)), analyzer);
    let found = shelf.search(&Ask::new("harbour", &allowed(None)?));
    let took = cpu_ms() - begun;
    if found.hits.is_empty() { Err("nothing was found".into()) } else { Ok(took) }
}

/// What may be found in one region; everywhere without one.
fn allowed(region: Option<&str>) -> Result<Allowed> {
    let mut filter = Filter::default();
    if let Some(region) = region {
        filter.add("region", region).map_err(|e| e.to_string())?;
    }
    Ok(Allowed::new(filter, Readers::default().public(), 0))
}

fn percentile(times: &mut [f64], percent: usize) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get((times.len() * percent).div_ceil(100).max(1) - 1).copied().unwrap_or(f64::NAN)
}

/// The vector of a query, of length 1.
fn vector_of(built: &Built, query: &str) -> Vec<f32> {
    let terms = built.shelf.analyzer().list(query);
    let mut vector = built.basis.embed(terms.iter().map(|term| (term_hash(term), 1)));
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length.max(f32::MIN_POSITIVE));
    vector
}

/// The share of the ten nearest chunks by exact vectors that a search by meaning finds.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn recall(built: &Built, allowed: &Allowed) -> f64 {
    let Built { shelf, basis, queries, .. } = built;
    let queries: Vec<&String> = queries.iter().take(COMPARED).map(|query| &query.text).collect();
    let vectors: Vec<Vec<f32>> = queries.iter().map(|query| vector_of(built, query)).collect();
    let mut exact: Vec<Vec<(f32, usize, usize)>> = vec![Vec::new(); queries.len()];
    for (number, part) in shelf.parts().iter().enumerate() {
        let seen: Vec<bool> = part.segment.attributes().iter().map(|own| allowed.allows(own)).collect();
        let attributes: Vec<usize> = part.segment.chunks().map(|chunk| chunk.attributes).collect();
        if !attributes.iter().any(|own| seen[*own]) {
            continue;
        }
        for (chunk, row) in SegmentVectors::exact(&part.segment, basis).into_iter().enumerate() {
            if !seen[attributes[chunk]] {
                continue;
            }
            for (query, best) in vectors.iter().zip(&mut exact) {
                let score: f32 = row.iter().zip(query).map(|(a, b)| a * b).sum();
                if best.len() < 10 || score > best[best.len() - 1].0 {
                    best.push((score, number, chunk));
                    best.sort_by(|a, b| b.0.total_cmp(&a.0));
                    best.truncate(10);
                }
            }
        }
    }
    let mut shares = Vec::new();
    for ((query, vector), best) in queries.iter().zip(&vectors).zip(&exact) {
        if vector.iter().all(|x| *x == 0.0) || best.is_empty() {
            continue;
        }
        let ask = Ask { mode: Mode::Vector, ..Ask::new(query, allowed) };
        let found: HashSet<(usize, usize)> =
            shelf.search(&ask).hits.iter().map(|hit| (hit.part, hit.chunk)).collect();
        let right = best.iter().filter(|(_, part, chunk)| found.contains(&(*part, *chunk))).count();
        shares.push(right as f64 / best.len() as f64);
    }
    shares.iter().sum::<f64>() / shares.len().max(1) as f64
}

/// Writes queries and vectors for the peers, and prints what they measure. Their processes inherit core and priority.
fn peers(built: &Built, dir: &Path) -> Result<()> {
    let write = |name: &str, vectors: &mut dyn Iterator<Item = Vec<f32>>| -> Result<()> {
        let mut file = BufWriter::new(File::create(dir.join(name))?);
        for value in vectors.flatten() {
            file.write_all(&value.to_le_bytes())?;
        }
        Ok(file.flush()?)
    };
    let parts = built.shelf.parts().iter();
    write("chunks.f32", &mut parts.flat_map(|part| SegmentVectors::exact(&part.segment, &built.basis)))?;
    let queries = || built.queries.iter().take(QUERIES + 50);
    write("queries.f32", &mut queries().map(|query| vector_of(built, &query.text)))?;
    let mut file = BufWriter::new(File::create(dir.join("queries.jsonl"))?);
    for Question { text, answer } in queries() {
        writeln!(file, "{}", json!({"text": text, "answer": answer}))?;
    }
    file.flush()?;
    let figures = search::figures(
        Command::new(search::python()?)
            .arg(root().join("xtask/src/bench/shelf_peers.py"))
            .arg(dir)
            .arg(built.basis.dimensions().to_string())
            .stdout(Stdio::piped()),
    )?;
    for peer in ["bm25s", "qdrant"] {
        println!("indexing, {peer}: {:.0} chunks/s", figures[peer]["indexing"].as_f64().unwrap_or(f64::NAN));
    }
    println!("\n{TABLE}");
    let cases = [
        ("bm25s", "words", "words"),
        ("qdrant", "hybrid", "hybrid"),
        ("qdrant", "words", "words"),
        ("qdrant", "meaning", "meaning"),
        ("qdrant", "hybrid, 10 % allowed", "ten-percent"),
        ("qdrant", "hybrid, 1 % allowed", "one-percent"),
        ("qdrant", "hybrid, 0.1 % allowed", "tenth-of-a-percent"),
    ];
    for (peer, name, key) in cases {
        let of = |what: &str| figures[peer][key][what].as_f64().unwrap_or(f64::NAN);
        let [a, b, c, d] = ["p50", "p99", "cpu_p50", "cpu_p99"].map(of);
        println!("| {peer}: {name} | {a:.2} ms | {b:.2} ms | {c:.2} ms | {d:.2} ms | {:.3} |", of("ndcg"));
    }
    Ok(())
}

/// The head of a table of searches.
const TABLE: &str =
    "| search | p50 | p99 | CPU, p50 | CPU, p99 | nDCG@10 |\n| --- | --- | --- | --- | --- | --- |";

/// Measures a shelf of so many chunks, and its peers if they are wanted.
///
/// # Errors
/// When there is no data, a segment cannot be read again, or a peer fails.
pub fn run(count: usize, with_peers: bool) -> Result<()> {
    let data = std::env::var_os("ASHLAR_TEST_DATA").map_or_else(|| root().join("../shared/data"), Into::into);
    let temp = tempfile::Builder::new().prefix("ashlar-bench-").tempdir()?;
    let dir = with_peers.then_some(temp.path());
    let built = build(&data, count, dir)?;
    println!("\n{TABLE}");
    let cases = [
        ("hybrid", Mode::Hybrid, false, None),
        ("hybrid, as people type", Mode::Hybrid, true, None),
        ("words", Mode::Bm25, false, None),
        ("meaning", Mode::Vector, false, None),
        ("hybrid, 10 % allowed", Mode::Hybrid, false, Some(REGIONS[2].0)),
        ("hybrid, 1 % allowed", Mode::Hybrid, false, Some(REGIONS[1].0)),
        ("hybrid, 0.1 % allowed", Mode::Hybrid, false, Some(REGIONS[0].0)),
    ];
    let starts: Vec<usize> = built
        .shelf
        .parts()
        .iter()
        .scan(0, |end, part| {
            let start = *end;
            *end += part.segment.len();
            Some(start)
        })
        .collect();
    for (name, mode, people, region) in cases {
        let allowed = allowed(region)?;
        let (mut times, mut cpu_times) = (Vec::new(), Vec::new());
        let (mut gain, mut judged) = (0.0, 0.0_f64);
        for query in built.queries.iter().cycle().take(QUERIES + 50) {
            let (begun, cpu) = (Instant::now(), cpu_ms());
            let found = built.shelf.search(&Ask { mode, people, ..Ask::new(&query.text, &allowed) });
            cpu_times.push(cpu_ms() - cpu);
            times.push(ms(begun));
            if let Some(answer) = query.answer {
                let rank = found.hits.iter().position(|hit| starts[hit.part] + hit.chunk == answer);
                gain += rank.map_or(0.0, |rank| 1.0 / (rank as f64 + 2.0).log2());
                judged += 1.0;
            }
        }
        // The first ones find cold caches.
        let (mut times, mut cpu) = (times.split_off(50), cpu_times.split_off(50));
        let [a, b] = [50, 99].map(|percent| percentile(&mut times, percent));
        let [c, d] = [50, 99].map(|percent| percentile(&mut cpu, percent));
        println!("| {name} | {a:.2} ms | {b:.2} ms | {c:.2} ms | {d:.2} ms | {:.3} |", gain / judged);
    }
    println!("one changed segment until it is searched: {:.1} ms", update(&built, &built.originals)?);
    for (name, region) in [
        ("everything", None),
        ("10 %", Some(REGIONS[2].0)),
        ("1 %", Some(REGIONS[1].0)),
        ("0.1 %", Some(REGIONS[0].0)),
    ] {
        println!(
            "recall@10 of the quantised vectors, {name} allowed: {:.4}",
            recall(&built, &allowed(region)?)
        );
    }
    dir.map_or(Ok(()), |dir| peers(&built, dir))
}
