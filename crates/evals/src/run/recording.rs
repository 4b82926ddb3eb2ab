//! Replies in files, one on each line: to ask nobody twice after a stop, and to run without a provider.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    error::EvalError,
    reply::{Reply, Subject, Unasked},
    suite::{CASES_MAX, Case, SAMPLES_MAX},
};

/// The longest line, in bytes.
const LINE_BYTES_MAX: u64 = 4 << 20;
/// The most lines.
const LINES_MAX: usize = CASES_MAX * SAMPLES_MAX as usize;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// What was asked, as a digest.
    key: String,
    /// The case, for people.
    case: String,
    #[serde(default)]
    sample: u32,
    reply: Reply,
}

/// What a reply depends on, as a digest: the input of the case with its context and locale, the setting of the subject, the sample, and
/// the rubric if there is one.
#[must_use]
pub fn key(case: &Case, sample: u32, setting: &str) -> String {
    let mut depends = json!([case.input, case.context, case.locale, setting, sample]);
    // A verdict is part of the reply.
    if let (Some(rubric), Some(items)) = (&case.expect.rubric, depends.as_array_mut()) {
        items.push(json!(rubric));
    }
    hex::encode(&blake3::hash(depends.to_string().as_bytes()).as_bytes()[..16])
}

/// Replies by what was asked.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    replies: HashMap<String, Reply>,
}

impl Recording {
    /// Reads a file. A last line without its end is what a stop left, and is skipped.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is no reply.
    pub fn read(path: &Path) -> Result<Self, EvalError> {
        let failed = |error| EvalError::file("read", path, error);
        let mut reader = BufReader::new(File::open(path).map_err(failed)?);
        let mut replies = HashMap::new();
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes).map_err(failed)?;
            if bytes.is_empty() {
                break;
            }
            let place = || format!("{}:{number}", path.display());
            if bytes.last() != Some(&b'\n') {
                if bytes.len() as u64 == LINE_BYTES_MAX {
                    let message = format!("{}: the line has more than {LINE_BYTES_MAX} bytes", place());
                    return Err(EvalError::input(message, "record again"));
                }
                break;
            }
            if number > LINES_MAX {
                let message = format!("{}: the file has more than {LINES_MAX} replies", place());
                return Err(EvalError::input(message, "record each suite in a file of its own"));
            }
            let line: Line = serde_json::from_slice(&bytes).map_err(|e| {
                EvalError::input(format!("{}: this is no reply: {e}", place()), "record again")
            })?;
            replies.insert(line.key, line.reply);
        }
        Ok(Self { replies })
    }

    /// The reply to a case.
    #[must_use]
    pub fn get(&self, case: &Case, sample: u32, setting: &str) -> Option<&Reply> {
        self.replies.get(&key(case, sample, setting))
    }

    /// How many replies it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.replies.len()
    }

    /// Whether it has no replies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }
}

/// Writes replies at the end of a file.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    file: File,
}

impl Recorder {
    /// Begins a file, or goes on with it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(path: &Path, goes_on: bool) -> Result<Self, EvalError> {
        let failed = |error| EvalError::file("write", path, error);
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(goes_on).write(true).truncate(!goes_on);
        let mut file = options.open(path).map_err(failed)?;
        if goes_on {
            // What a stop left of a line must not become the beginning of the next one.
            let whole = whole_lines(&mut file).map_err(failed)?;
            file.set_len(whole).map_err(failed)?;
        }
        Ok(Self { path: path.to_owned(), file })
    }

    /// Adds a reply.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, case: &Case, sample: u32, setting: &str, reply: &Reply) -> Result<(), EvalError> {
        let line =
            Line { key: key(case, sample, setting), case: case.id.clone(), sample, reply: reply.clone() };
        let failed = |error| EvalError::file("write", &self.path, error);
        let mut bytes = serde_json::to_vec(&line).map_err(|e| failed(e.into()))?;
        bytes.push(b'\n');
        self.file.write_all(&bytes).map_err(failed)
    }
}

/// The bytes up to the end of the last whole line.
fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    let (mut whole, mut at) = (0, 0);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(whole);
        }
        if let Some(end) = buffer[..read].iter().rposition(|byte| *byte == b'\n') {
            whole = at + end as u64 + 1;
        }
        at += read as u64;
    }
}

/// Answers from a recording alone.
#[derive(Debug)]
pub struct Replay {
    recording: Recording,
    setting: String,
}

impl Replay {
    /// Answers what was recorded with this setting.
    #[must_use]
    pub fn new(recording: Recording, setting: String) -> Self {
        Self { recording, setting }
    }
}

impl Subject for Replay {
    async fn ask(&self, case: &Case, sample: u32) -> Result<Reply, Unasked> {
        self.recording.get(case, sample, &self.setting).cloned().ok_or_else(|| Unasked {
            code: "not_recorded".to_owned(),
            message: "The recording has no reply to this case with this prompt and route; record it again."
                .to_owned(),
            again: false,
        })
    }

    fn setting(&self) -> &str {
        &self.setting
    }
}
