//! Untrusted work in child processes of this program: the templates of projects, and definitions nobody has read before.

use std::{
    process::ExitCode,
    sync::{Arc, LazyLock},
    time::Duration,
};

use ashlar_gates::{Trial, TrialFailure, Trials};
use ashlar_isolate::{COMMAND, Call, Failure, Handler, Limits, Line, Sandbox};
use ashlar_model::Digest;
use ashlar_site::{Refusal, Renderer, Stagehand};

/// Jobs on the templates of a site.
const SITE: u8 = 1;
/// Jobs that read definitions.
const TRIAL: u8 = 2;
/// How long reading definitions may take.
const TRIAL_TIME_MAX: Duration = Duration::from_secs(20);

/// What this process does when it was started as a child; `None` when it was not.
pub fn child() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != COMMAND {
        return None;
    }
    let memory_bytes = args.next().and_then(|a| a.to_str()?.parse().ok());
    Some(match memory_bytes {
        Some(memory_bytes) => ashlar_isolate::serve(memory_bytes, open),
        None => ExitCode::from(2),
    })
}

fn open(kind: u8, resource: &[u8], line: &Line) -> Box<dyn Handler> {
    match kind {
        SITE => {
            let (asked, noted) = (line.clone(), line.clone());
            let ask = Arc::new(move |question: &[u8]| asked.ask(question).unwrap_or_default());
            let note: ashlar_site::Note = Arc::new(move |what: &str| noted.note(what));
            Box::new(Site(Stagehand::open(resource, ask, &note)))
        }
        _ => Box::new(Definitions),
    }
}

struct Site(Stagehand);

impl Handler for Site {
    fn run(&mut self, request: &[u8], _: &Line) -> Vec<u8> {
        self.0.run(request)
    }
}

struct Definitions;

impl Handler for Definitions {
    fn run(&mut self, request: &[u8], line: &Line) -> Vec<u8> {
        let line = line.clone();
        let note: ashlar_site::Note = Arc::new(move |what: &str| line.note(what));
        ashlar_gates::attempt(request, &note);
        Vec::new()
    }
}

/// The children of this process. None is started before there is a job.
pub fn children() -> &'static Children {
    static CHILDREN: LazyLock<Children> = LazyLock::new(|| Children(Sandbox::new(Limits::default())));
    &CHILDREN
}

/// Ends the children that have nothing to do.
pub fn end() {
    children().0.rest();
}

/// Templates run in children from now on.
pub fn start() {
    ashlar_site::render_with(Box::new(children().clone()));
}

/// Child processes that do untrusted work. Cheap to clone.
#[derive(Clone)]
pub struct Children(Sandbox);

impl Children {
    /// Tries definitions before this process reads them.
    pub fn trials(&self) -> Trials {
        Trials::new(Box::new(self.clone()))
    }
}

fn message(failure: &Failure) -> String {
    match failure {
        // Whoever reads this wrote a template; what the system said is for the log.
        Failure::Start(_) => "the server cannot start a process for it".to_owned(),
        other => other.to_string(),
    }
}

impl Renderer for Children {
    fn run(
        &self,
        stage: (&Digest, &[u8]),
        request: &[u8],
        limit: Duration,
        answer: &mut dyn FnMut(&[u8]) -> Vec<u8>,
    ) -> Result<Vec<u8>, Refusal> {
        let call = Call { kind: SITE, resource: Some(stage), request, limit, answer };
        self.0.call(call).map_err(|failure| Refusal {
            file: failure.note().map(str::to_owned),
            message: message(&failure),
            passing: !failure.is_of_input(),
        })
    }
}

impl Trial for Children {
    fn run(&self, request: &[u8]) -> Result<(), TrialFailure> {
        let mut answer = |_: &[u8]| Vec::new();
        let call = Call { kind: TRIAL, resource: None, request, limit: TRIAL_TIME_MAX, answer: &mut answer };
        self.0.call(call).map(drop).map_err(|failure| TrialFailure {
            place: failure.note().map(str::to_owned),
            message: message(&failure),
            passing: !failure.is_of_input(),
        })
    }
}
