//! Whether the bodies of an endpoint keep what a client relies on: by their schema, and one by one.

use std::sync::{Arc, atomic::AtomicU64};

use serde_json::{Value, json};

use super::{expectation::Expectation, path::FieldPath};
use crate::{Answer, ContractSet, compat, refs::Documents};

/// The most steps for all expectations of one response shape. Beyond it, whether it keeps them is unknown.
pub const SHAPE_STEPS_MAX: u64 = 200_000_000;
/// The name of the response shape among the documents.
const SHAPE: &str = "response-shape.json";

/// A response shape with the schemas it refers to, ready to be compared with what is expected of it.
pub struct Shape {
    documents: Arc<Documents>,
    /// Steps that may still be taken for all questions about it.
    left: AtomicU64,
}

impl Shape {
    /// `schema` may refer to the contracts by file name.
    pub fn new(contracts: &ContractSet, schema: Value) -> Self {
        let mut documents = match contracts.iter().next() {
            Some(any) => Documents::clone(&any.documents),
            None => Documents::new(),
        };
        documents.insert(SHAPE.to_owned(), schema);
        Self { documents: Arc::new(documents), left: AtomicU64::new(SHAPE_STEPS_MAX) }
    }

    /// Whether every body of this shape fits `wanted`, and why not.
    fn implies(&self, wanted: &Value) -> (Answer, Vec<String>) {
        let other = Arc::new(Documents::from([(SHAPE.to_owned(), wanted.clone())]));
        compat::every((&self.documents, SHAPE), (&other, SHAPE), &self.left)
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
        let mut told = |path: &FieldPath, why: String| {
            if !out.iter().any(|b| b.path == *path && b.why == why) {
                out.push(Broken { path: path.clone(), certain: true, why });
            }
        };
        for path in &self.must_include {
            path.visit(body, &mut |found| {
                if found.is_none() {
                    told(path, format!("`{}` is absent", path.text));
                }
            });
        }
        for (path, kind) in &self.types {
            path.visit(body, &mut |found| {
                if let Some(value) = found
                    && !kind.fits(value)
                {
                    let shown: String = value.to_string().chars().take(80).collect();
                    told(path, format!("`{}` is {shown}, which is no {}", path.text, kind.name()));
                }
            });
        }
        out
    }
}
