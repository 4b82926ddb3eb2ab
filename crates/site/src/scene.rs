//! Where templates run.
//!
//! Templates are programs that a tenant writes: whatever bound their language has, they can ask for more memory, stack or
//! time than a server has. So everything they need is put into a [`Stage`] that is bytes, what they do is a request that
//! is bytes, and a [`Renderer`] runs them somewhere that can be ended: a child process with limits. Without a renderer
//! they run here, which is right for code that tests its own templates.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use ashlar_model::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    pictures::{ImageCall, Pictures},
    render::{Page, RenderError, Shown, Templates},
    stage::{Drawn, Note, Stage},
};

/// How long it may take to read the templates of a project and render its examples.
const CHECK_TIME_MAX: Duration = Duration::from_secs(20);
/// How long one page may take.
const PAGE_TIME_MAX: Duration = Duration::from_secs(5);

/// Runs templates away from this process.
pub trait Renderer: Send + Sync {
    /// Does what `request` says with the stage of this digest, within `limit`. The other side answers with
    /// [`Stagehand::run`], and asks `answer` for images. Blocks.
    ///
    /// # Errors
    /// When it could not be done.
    fn run(
        &self,
        stage: (&Digest, &[u8]),
        request: &[u8],
        limit: Duration,
        answer: &mut dyn FnMut(&[u8]) -> Vec<u8>,
    ) -> Result<Vec<u8>, Refusal>;
}

/// Why a [`Renderer`] has no result.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What was worked on: a template.
    pub file: Option<String>,
    /// Why, as the end of a sentence: `it needs more than 512 MiB of memory`.
    pub message: String,
    /// Whether it can work at another time: the template is not the cause.
    pub passing: bool,
}

static RENDERER: OnceLock<Box<dyn Renderer>> = OnceLock::new();

/// From now on all templates of this process run there. The first call decides.
pub fn render_with(renderer: Box<dyn Renderer>) {
    let _ = RENDERER.set(renderer);
}

static NOTE: OnceLock<Note> = OnceLock::new();

/// From now on `note` hears which template this process works on, where it runs them itself. The first call decides.
pub fn note_with(note: Note) {
    let _ = NOTE.set(note);
}

#[derive(Serialize, Deserialize)]
enum Request<P> {
    /// Every template is read and every example rendered; what fails is listed.
    Check(Vec<Drawn>),
    Page(P),
    Component(Drawn),
}

const DONE: u8 = b'=';
const FAILED: u8 = b'!';

/// The side that runs templates, for a [`Renderer`].
pub struct Stagehand(Result<(Templates, Vec<RenderError>), RenderError>);

/// Answers a question of a template about an image with [`Site`](crate::Site)'s answer.
pub type Ask = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

impl Stagehand {
    /// Reads the bytes of a stage. `ask` gets what [`Renderer::run`] answers; `note` hears which template is worked on.
    pub fn open(stage: &[u8], ask: Ask, note: &Note) -> Self {
        let images = move |call: &ImageCall<'_>| {
            let question = serde_json::to_vec(call).ok()?;
            String::from_utf8(ask(&question)).ok().filter(|element| !element.is_empty())
        };
        let read = serde_json::from_slice::<Stage>(stage).map_err(|e| broken(&e));
        Self(read.map(|stage| Templates::new(stage, Arc::new(images), note.clone())))
    }

    /// Does what a request says.
    pub fn run(&self, request: &[u8]) -> Vec<u8> {
        let (templates, wrong) = match &self.0 {
            Ok(opened) => opened,
            Err(e) => return failed(e),
        };
        let rendered = match serde_json::from_slice::<Request<Shown>>(request) {
            Ok(Request::Check(examples)) => {
                let all = check(templates, wrong, &examples);
                return serde_json::to_vec(&all).unwrap_or_default();
            }
            Ok(Request::Page(page)) => templates.page(page),
            Ok(Request::Component(drawn)) => templates.component(&drawn),
            Err(e) => Err(broken(&e)),
        };
        match rendered {
            Ok(html) => {
                let mut answer = html.into_bytes();
                // The end is where a byte costs nothing.
                answer.push(DONE);
                answer
            }
            Err(e) => failed(&e),
        }
    }
}

fn failed(error: &RenderError) -> Vec<u8> {
    let mut answer = serde_json::to_vec(error).unwrap_or_default();
    answer.push(FAILED);
    answer
}

fn broken(error: &serde_json::Error) -> RenderError {
    RenderError {
        file: "site".to_owned(),
        line: 0,
        message: format!("the request cannot be read: {error}"),
        passing: false,
    }
}

/// What is wrong with templates and examples, each place once.
fn check(templates: &Templates, wrong: &[RenderError], examples: &[Drawn]) -> Vec<RenderError> {
    let mut all = wrong.to_vec();
    for drawn in examples.iter().filter(|d| templates.has(&d.file)) {
        templates.note(&drawn.file);
        if let Err(e) = templates.component(drawn)
            && !all.contains(&e)
        {
            all.push(e);
        }
    }
    all
}

/// Where the templates of one project run.
pub(crate) struct Scene {
    at: Place,
    pictures: Arc<Pictures>,
}

enum Place {
    Here(Box<Templates>, Vec<RenderError>),
    Elsewhere { renderer: &'static dyn Renderer, digest: Digest, bytes: Vec<u8> },
}

impl Scene {
    pub(crate) fn new(stage: Stage, pictures: Arc<Pictures>) -> Self {
        let at = match (RENDERER.get(), serde_json::to_vec(&stage)) {
            (Some(renderer), Ok(bytes)) => {
                Place::Elsewhere { renderer: renderer.as_ref(), digest: Digest::of(&bytes), bytes }
            }
            _ => {
                let images = pictures.clone();
                let noted = NOTE.get().cloned().unwrap_or_else(|| Arc::new(|_| ()));
                let (templates, wrong) =
                    Templates::new(stage, Arc::new(move |call| images.element(call)), noted);
                Place::Here(Box::new(templates), wrong)
            }
        };
        Self { at, pictures }
    }

    /// What is wrong with the templates, alone and with these examples.
    pub(crate) fn check(&self, examples: Vec<Drawn>) -> Vec<RenderError> {
        match &self.at {
            Place::Here(templates, wrong) => check(templates, wrong, &examples),
            Place::Elsewhere { .. } => {
                let request = Request::<()>::Check(examples);
                self.send(&request, CHECK_TIME_MAX, "site")
                    .map_or_else(|e| vec![e], |answer| serde_json::from_slice(&answer).unwrap_or_default())
            }
        }
    }

    pub(crate) fn page(&self, page: &Page<'_>) -> Result<String, RenderError> {
        match &self.at {
            Place::Here(templates, _) => templates.page(page.shown()),
            Place::Elsewhere { .. } => {
                self.html(&Request::Page(page), &format!("site/layouts/{}", page.layout))
            }
        }
    }

    pub(crate) fn component(&self, drawn: Drawn) -> Result<String, RenderError> {
        match &self.at {
            Place::Here(templates, _) => templates.component(&drawn),
            Place::Elsewhere { .. } => {
                let file = drawn.file.clone();
                self.html(&Request::<()>::Component(drawn), &file)
            }
        }
    }

    fn html<P: Serialize>(&self, request: &Request<P>, file: &str) -> Result<String, RenderError> {
        let mut answer = self.send(request, PAGE_TIME_MAX, file)?;
        let strange = || RenderError {
            file: file.to_owned(),
            line: 0,
            message: "the template produces something that is not text".to_owned(),
            passing: false,
        };
        match answer.pop() {
            Some(DONE) => String::from_utf8(answer).map_err(|_| strange()),
            Some(FAILED) => Err(serde_json::from_slice(&answer).unwrap_or_else(|_| strange())),
            _ => Err(strange()),
        }
    }

    fn send<P: Serialize>(
        &self,
        request: &Request<P>,
        limit: Duration,
        file: &str,
    ) -> Result<Vec<u8>, RenderError> {
        let Place::Elsewhere { renderer, digest, bytes } = &self.at else { return Ok(Vec::new()) };
        let request = serde_json::to_vec(request).map_err(|e| broken(&e))?;
        let mut answer = |question: &[u8]| {
            let call = serde_json::from_slice::<ImageCall<'_>>(question).ok();
            call.and_then(|call| self.pictures.element(&call)).unwrap_or_default().into_bytes()
        };
        renderer.run((digest, bytes), &request, limit, &mut answer).map_err(|refusal| RenderError {
            file: refusal.file.unwrap_or_else(|| file.to_owned()),
            line: 0,
            message: refusal.message,
            passing: refusal.passing,
        })
    }
}
