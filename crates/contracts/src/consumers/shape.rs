//! Whether the bodies of an endpoint keep what a client relies on: by their schema, and one by one.

use std::sync::{Arc, atomic::AtomicU64};

use serde_json::{Value, json};

use super::{expectation::Expectation, path::FieldPath};
use crate::{
    Answer, ContractSet, compat,
    refs::{Documents, referenced},
};

/// The most steps for all expectations of a project. Beyond them it is unknown whether response shapes keep the others.
pub const EXPECTATION_STEPS_MAX: u64 = 500_000_000;
/// The name of the response shape among the documents.
const SHAPE: &str = "response-shape.json";

/// Steps that may still be taken to compare expectations with shapes; shapes share them.
#[derive(Debug, Clone)]
pub struct Steps(Arc<AtomicU64>);

impl Steps {
    /// So many steps.
    pub fn new(steps: u64) -> Self {
        Self(Arc::new(AtomicU64::new(steps)))
    }
}

/// A response shape with the schemas it refers to, ready to be compared with what is expected of it.
pub struct Shape {
    documents: Arc<Documents>,
    steps: Steps,
}

impl Shape {
    /// `schema` may refer to the contracts by file name.
    pub fn new(contracts: &ContractSet, schema: Value, steps: &Steps) -> Self {
        let mut waiting = Vec::from_iter(referenced(&schema, SHAPE));
        let mut documents = Documents::from([(SHAPE.to_owned(), schema)]);
        let all = contracts.iter().next().map(|any| &any.documents);
        while let Some(file) = waiting.pop() {
            if let Some(found) = all.and_then(|all| all.get(&file)).filter(|_| !documents.contains_key(&file))
            {
                waiting.extend(referenced(found, &file));
                documents.insert(file, found.clone());
            }
        }
        Self { documents: Arc::new(documents), steps: steps.clone() }
    }

    /// Whether every body of this shape fits `wanted`, and why not.
    fn implies(&self, wanted: &Value) -> (Answer, Vec<String>) {
        let other = Arc::new(Documents::from([(SHAPE.to_owned(), wanted.clone())]));
        compat::every((&self.documents, SHAPE), (&other, SHAPE), &self.steps.0)
    }
}

/// What is wrong with an expectation in a shape or in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The field.
    pub path: FieldPath,
    /// Whether it is certain; otherwise the shape does not say.
    pub certain: bool,
    /// What a body may lack or have instead, as a sentence.
    pub why: String,
}

impl Expectation {
    /// Compares it with the shape of the endpoint's bodies.
    pub fn against_shape(&self, shape: &Shape) -> Vec<Broken> {
        let mut out = Vec::new();
        let mut judge = |path: &FieldPath, wanted: Value, what: String| {
            let (answer, reasons) = shape.implies(&wanted);
            if answer != Answer::Yes {
                let example = reasons.into_iter().next().unwrap_or_default();
                let why = match answer {
                    Answer::No => format!(
                        "{what}: {}",
                        example.replace("is valid under one and not under the other", "is a possible body")
                    ),
                    _ => format!("the shape does not say whether {what}"),
                };
                out.push(Broken { path: path.clone(), certain: answer == Answer::No, why });
            }
        };
        for path in &self.must_include {
            judge(path, path.schema(&json!(true), true), format!("`{}` may be absent", path.text));
        }
        for (path, kind) in &self.types {
            let what = format!("`{}` may be something else than {}", path.text, kind.name());
            judge(path, path.schema(&kind.schema(), false), what);
        }
        out
    }

    /// Compares it with a body.
    pub fn against_body(&self, body: &Value) -> Vec<Broken> {
        let mut out: Vec<Broken> = Vec::new();
        let mut miss = |path: &FieldPath, why: String| {
            if !out.iter().any(|b| b.path == *path && b.why == why) {
                out.push(Broken { path: path.clone(), certain: true, why });
            }
        };
        for path in &self.must_include {
            path.visit(body, &mut |found| {
                if found.is_none() {
                    miss(path, format!("`{}` is absent", path.text));
                }
            });
        }
        for (path, kind) in &self.types {
            path.visit(body, &mut |found| {
                if let Some(value) = found
                    && !kind.fits(value)
                {
                    let shown: String = value.to_string().chars().take(80).collect();
                    miss(path, format!("`{}` is {shown}, which is no {}", path.text, kind.name()));
                }
            });
        }
        out
    }
}
