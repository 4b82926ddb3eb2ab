//! Outputs, written piece by piece.

/// About how many bytes of an output are kept before they are passed on: few enough for the caches of a processor.
const PIECE_BYTES: usize = 128 << 10;

/// Takes the outputs piece by piece: the name of a file, and what comes next in it. Files come one after the other, and
/// each begins with an empty piece.
pub type Sink<'s> = &'s mut dyn FnMut(&'static str, &str);

/// The file that is being written, as a text of which all but the last piece was passed on already.
pub(super) struct Out<'s> {
    text: String,
    path: &'static str,
    sink: Sink<'s>,
}

impl<'s> Out<'s> {
    pub(super) fn new(sink: Sink<'s>) -> Self {
        Self { text: String::with_capacity(2 * PIECE_BYTES), path: "", sink }
    }

    /// Begins a file.
    pub(super) fn file(&mut self, path: &'static str) -> &mut Self {
        self.pass();
        self.path = path;
        (self.sink)(path, "");
        self
    }

    pub(super) fn pass(&mut self) {
        if !self.text.is_empty() {
            (self.sink)(self.path, &self.text);
            self.text.clear();
        }
    }

    /// Passes on what was written when it is enough; called between tokens.
    pub(super) fn step(&mut self) {
        if self.text.len() >= PIECE_BYTES {
            self.pass();
        }
    }

    /// Writes a text that may be long without a copy of it.
    pub(super) fn long(&mut self, text: &str) {
        if text.len() < PIECE_BYTES {
            self.text.push_str(text);
        } else {
            self.pass();
            (self.sink)(self.path, text);
        }
    }
}

impl std::ops::Deref for Out<'_> {
    type Target = String;

    fn deref(&self) -> &String {
        &self.text
    }
}

impl std::ops::DerefMut for Out<'_> {
    fn deref_mut(&mut self) -> &mut String {
        &mut self.text
    }
}

/// Writes several pieces.
pub(super) fn push(out: &mut String, pieces: &[&str]) {
    for piece in pieces {
        out.push_str(piece);
    }
}

/// Text that cannot end a comment.
pub(super) fn comment(text: &str) -> String {
    text.replace("*/", "* /").replace(['\n', '\r'], " ")
}
