//! A desk with stand-ins for providers behind it.

#![allow(dead_code, reason = "each test uses what it needs")]

#[path = "../rows/mod.rs"]
mod rows;

use std::sync::{Arc, Mutex};

use crate::standin::Standin;
use ashlar_contracts::ContractSet;
use ashlar_gateway::{
    call::{Answer, Body, BuiltIn, Caller, Closing, Desk, Facts, Question, Scene, Wanted},
    config::Gateway,
    ground::Source,
    upstream::{Client, Key, KeySource, Kind, MakeClient, Provider, Providers},
    wire::{Fault, anthropic, openai},
};
use ashlar_model::TenantId;
use async_trait::async_trait;
use futures::StreamExt as _;
use serde_json::{Value, json};

/// A built-in model that has one answer.
pub struct Quoted;

#[async_trait]
impl BuiltIn for Quoted {
    async fn answer(&self, question: Question) -> Result<Answer, Fault> {
        Ok(Answer { text: Some(question.text), cited: Vec::new(), refusal: None, more: json!({}) })
    }

    fn audience(&self) -> String {
        "all".to_owned()
    }

    async fn sources(&self, _: Wanted) -> Result<Vec<Source>, Fault> {
        let text = "The Basin plan costs 149 euros each month.".to_owned();
        let (id, entry) = ("c1".to_owned(), "basin".to_owned());
        let (type_name, title, path) = ("plan".to_owned(), "Basin".to_owned(), "/basin".to_owned());
        Ok(vec![Source { id, type_name, entry, title, path, text }])
    }
}

pub fn provider(name: &str, kind: Kind, url: &str) -> Arc<Provider> {
    // As the binary does when it starts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let make: MakeClient = Arc::new(|connect| Client::new(connect, None));
    let key = Key::new(KeySource::Env("PATH_OF_NO_KEY".to_owned()));
    assert!(key.missing().is_some());
    Arc::new(Provider::new(name, kind, url, Key::new(KeySource::None), make))
}

pub struct Contracts(pub ContractSet);

impl AsRef<ContractSet> for Contracts {
    fn as_ref(&self) -> &ContractSet {
        &self.0
    }
}

/// Rows of budgets.
pub type Rows = rows::InMemory;

/// What became of calls.
#[derive(Default)]
pub struct Closed(pub Mutex<Vec<Facts>>);

impl Closing for Closed {
    fn closed(&self, facts: Facts) {
        self.0.lock().unwrap().push(facts);
    }
}

pub struct Rig {
    pub desk: Desk,
    pub scene: Scene,
}

/// The stand-ins `a` and `b`, of these kinds, behind this `gateway.toml`.
pub fn rig(toml: &str, providers: &[(&str, Kind, &Standin)]) -> Rig {
    let made = providers
        .iter()
        .map(|(name, kind, standin)| ((*name).to_owned(), provider(name, *kind, &standin.url)));
    let desk = Desk::new(Providers(Arc::new(made.collect())));
    let gateway = Gateway::read(toml.as_bytes()).unwrap_or_else(|found| panic!("{found:?}"));
    let scene = Scene {
        gateway: Arc::new(gateway),
        prompts: Arc::default(),
        contracts: Arc::new(Contracts(ContractSet::default())),
        declared: Arc::default(),
        release: "r1".to_owned(),
        policy: None,
        closing: None,
    };
    Rig { desk, scene }
}

pub fn caller() -> Caller {
    Caller {
        tenant: TenantId::main(),
        key: "k".to_owned(),
        feature: "default".to_owned(),
        user: String::new(),
        trace: "0af7651916cd43dd8448eb211c80319c".to_owned(),
        span: "b7ad6b7169203331".to_owned(),
        parent: String::new(),
    }
}

/// One read text, or the fault.
pub async fn read(body: Body) -> String {
    match body {
        Body::Whole(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Body::Stream(mut stream) => {
            let mut out = Vec::new();
            while let Some(bytes) = stream.next().await {
                out.extend_from_slice(&bytes);
            }
            String::from_utf8(out).unwrap()
        }
    }
}

impl Rig {
    pub async fn openai(&self, body: Value) -> Result<String, Fault> {
        let call = openai::read(body.to_string().into()).unwrap();
        let reply = self.desk.chat(&self.scene, &caller(), call, &Quoted).await?;
        Ok(read(reply.body).await)
    }

    pub async fn anthropic(&self, body: Value) -> Result<String, Fault> {
        let call = anthropic::read(body.to_string().into()).unwrap();
        let reply = self.desk.chat(&self.scene, &caller(), call, &Quoted).await?;
        Ok(read(reply.body).await)
    }
}
