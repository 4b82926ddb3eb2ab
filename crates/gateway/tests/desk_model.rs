//! Random stories of calls of several tenants, audiences, releases and prompt versions, compared with a model. The model says which version
//! a call gets, whether its answer comes from the cache, and what it is charged.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;
mod standin;
mod world;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ashlar_contracts::ContractSet;
use ashlar_gateway::{
    call::{Body, Caller, Desk, Scene},
    policy::Policy,
    prompts::{Prompts, promote, roll_back},
    upstream::Kind,
    wire::{Call, Fault, openai},
};
use ashlar_model::{Files, TenantId};
use futures::StreamExt as _;
use proptest::prelude::*;
use rig::{Closed, Contracts, Rows, caller, provider, read, rig};
use serde_json::{Value, json};
use standin::Standin;
use world::{Control, Says, Seen, TOKENS_IN, TOKENS_MAX, TOKENS_OUT, VERSIONS, answers, system, version_of};

const TOML: &str = "[routes.fast]\ntargets = [{ provider = \"a\", model = \"m\" }]\nretries = 0\n\
    [[prices]]\nmodel = \"a/m\"\nfrom = \"2020-01-01\"\ncurrency = \"USD\"\ninput = \"1.00\"\noutput = \"10.00\"\n\
    [budget]\nday = \"0.004\"\n[features.default]\ncache = { exact_seconds = 600 }\n[features.plain]\n";
/// Picounits of the budget above, of a token of input, and of one of output.
const LIMIT: u64 = 4_000_000_000;
const INPUT: u64 = 1_000_000;
const OUTPUT: u64 = 10_000_000;
const TENANTS: [&str; 2] = ["main", "second"];
/// `ask` answers in prose, `shape` with JSON that is judged.
const NAMES: [&str; 2] = ["ask", "shape"];
const REPLY: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"a","kind":"output"},
    "properties":{"n":{"type":"integer"},"v":{"type":"integer"}},"required":["n","v"],"additionalProperties":false}"#;

#[derive(Debug, Clone)]
struct Ask {
    tenant: usize,
    audience: u8,
    feature: &'static str,
    name: usize,
    pinned: Option<u32>,
    key: u8,
    session: u8,
    text: u8,
    stream: bool,
    says: Says,
}

#[derive(Debug, Clone)]
enum Op {
    Ask(Ask),
    /// A promotion during a call that is asked twice, with another call behind the promotion.
    During(Ask, u32),
    Promote {
        tenant: usize,
        name: usize,
        version: u32,
        percent: Option<u32>,
    },
    RollBack {
        tenant: usize,
        name: usize,
    },
    /// The release before is live again.
    Back {
        tenant: usize,
    },
}

prop_compose! {
    fn ask()(
        tenant in 0..2_usize, audience in 0..2_u8, name in 0..2_usize, pinned in prop::option::weighted(0.1, 1..=VERSIONS),
        feature in prop_oneof![4 => Just("default"), 1 => Just("plain")], key in 0..2_u8, session in 0..3_u8, text in 0..2_u8,
        stream in any::<bool>(), says in prop_oneof![
            8 => Just(Says::Answer), 1 => Just(Says::Refuse), 1 => Just(Says::Fail), 1 => Just(Says::Cut), 1 => Just(Says::Gone),
            1 => Just(Says::Repair),
        ],
    ) -> Ask {
        Ask { tenant, audience, feature, name, pinned, key, session, text, stream, says }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let percent = prop::option::of(1..=100_u32);
    prop_oneof![
        14 => ask().prop_map(Op::Ask),
        1 => (ask(), 1..=VERSIONS).prop_map(|(ask, version)| Op::During(ask, version)),
        3 => (0..2_usize, 0..2_usize, 1..=VERSIONS, percent)
            .prop_map(|(tenant, name, version, percent)| Op::Promote { tenant, name, version, percent }),
        1 => (0..2_usize, 0..2_usize).prop_map(|(tenant, name)| Op::RollBack { tenant, name }),
        1 => (0..2_usize).prop_map(|tenant| Op::Back { tenant }),
    ]
}

/// Which version of a prompt answers: the active one, flags for one key each, and a rollout with its percentage.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    active: u32,
    keys: Vec<(u32, u8)>,
    rollout: Option<(u32, u32)>,
}

/// What is live, and what answers of it are kept.
struct Tenant {
    files: Files,
    earlier: Vec<Files>,
    scenes: Vec<Scene>,
    /// The states of each prompt in each release.
    states: Vec<[State; 2]>,
    /// Every state that was served of each prompt, the newest last.
    history: [Vec<State>; 2],
    live: usize,
    spent: u64,
    rows: Arc<Rows>,
    closed: Arc<Closed>,
}

/// For a session and a version: below the first percentage it is never in, from the second on it always is.
type Shares = HashMap<(usize, u32, u8), (u32, u32)>;

/// What an answer is kept under.
type Key = (usize, u8, usize, usize, u32, u8);

struct World {
    desk: Arc<Desk>,
    control: Arc<Control>,
    standin: Standin,
    tenants: Vec<Tenant>,
    kept: HashMap<Key, String>,
    shares: Shares,
    failures: u32,
    count: u32,
}

fn begun() -> Files {
    let mut files = Files::new();
    for (name, output) in [("ask", "none"), ("shape", "reply.v1")] {
        for version in 1..=VERSIONS {
            let text = format!(
                "---\nowner: a\nchangelog: b\noutput: {output}\n---\n## system\n{}\n",
                system(version)
            );
            files.insert(&format!("prompts/{name}/v{version}.md"), text.into_bytes()).unwrap();
        }
    }
    let flags = NAMES.map(|name| {
        format!("[prompts.{name}]\nactive = 1\n[[prompts.{name}.flags]]\nversion = 2\nkeys = [\"k1\"]\ntenants = [\"main\"]\n")
    });
    files.insert("prompts.toml", flags.concat().into_bytes()).unwrap();
    files.insert("contracts/reply.v1.json", REPLY.as_bytes().to_vec()).unwrap();
    files
}

impl Tenant {
    fn release(&mut self, template: &Scene, files: Files, states: [State; 2]) {
        let (prompts, findings) = Prompts::parse(&files);
        assert!(findings.is_empty(), "{findings:?}");
        let mut scene = template.clone();
        scene.prompts = Arc::new(prompts);
        scene.contracts = Arc::new(Contracts(ContractSet::load(&files).0));
        scene.release = format!("r{}", self.scenes.len() + 1);
        scene.closing = Some(self.closed.clone());
        for (history, state) in self.history.iter_mut().zip(&states) {
            if history.last() != Some(state) {
                history.push(state.clone());
            }
        }
        self.earlier.insert(0, std::mem::replace(&mut self.files, files));
        self.scenes.push(scene);
        self.states.push(states);
        self.live = self.scenes.len() - 1;
    }

    /// Promotes or rolls back on what is served, and compares with the model.
    fn moved(&mut self, name: usize, version: Option<(u32, Option<u32>)>) {
        let now = self.states[self.live][name].clone();
        let (moved, expected) = match version {
            Some((version, percent)) => {
                let mut next = State { rollout: None, ..now.clone() };
                match percent.filter(|percent| *percent < 100) {
                    Some(percent) => next.rollout = (version != now.active).then_some((version, percent)),
                    None => {
                        next.active = version;
                        next.keys.retain(|(of, _)| *of != version);
                    }
                }
                let refused =
                    next == now || (percent.is_some_and(|percent| percent < 100) && version == now.active);
                let moved = promote(&self.files, &self.files, NAMES[name], version, percent.map(f64::from));
                (moved, (!refused).then_some(next))
            }
            None => {
                let earlier = self.history[name].iter().rev().find(|state| **state != now).cloned();
                (roll_back(&self.files, &self.earlier, &self.files, NAMES[name]), earlier)
            }
        };
        assert_eq!(moved.is_ok(), expected.is_some(), "{version:?} on {now:?}: {moved:?}");
        let (Ok(moved), Some(next)) = (moved, expected) else { return };
        let mut files = self.files.clone();
        for (path, bytes) in moved.served {
            files.insert(&path, bytes).unwrap();
        }
        let mut states = self.states[self.live].clone();
        states[name] = next;
        let template = self.scenes[0].clone();
        self.release(&template, files, states);
    }
}

impl World {
    fn new() -> Self {
        let control = Arc::new(Control {
            says: Mutex::new(Says::Answer),
            waits: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
        });
        let standin = answers(control.clone());
        let made = rig(TOML, &[("a", Kind::OpenAi, &standin)]);
        let mut both = Arc::into_inner(provider("a", Kind::OpenAi, &standin.url)).unwrap();
        both.tenants = TENANTS.map(|name| TenantId::new(name).unwrap()).to_vec();
        let mut desk = made.desk;
        desk.providers.0 = Arc::new(BTreeMap::from([("a".to_owned(), Arc::new(both))]));
        let tenants = (0..TENANTS.len()).map(|tenant| {
            let rows = Arc::<Rows>::default();
            let mut template = made.scene.clone();
            template.policy = Some(Policy::new(rows.clone()));
            let keys = if TENANTS[tenant] == "main" { vec![(2, 1)] } else { vec![] };
            let state = State { active: 1, keys, rollout: None };
            let mut made = Tenant {
                files: begun(),
                earlier: vec![],
                scenes: vec![],
                states: vec![],
                history: [vec![], vec![]],
                live: 0,
                spent: 0,
                rows,
                closed: Arc::default(),
            };
            made.release(&template, begun(), [state.clone(), state]);
            made.earlier.clear();
            made
        });
        let tenants = tenants.collect();
        Self {
            desk: Arc::new(desk),
            control,
            standin,
            tenants,
            kept: HashMap::new(),
            shares: HashMap::new(),
            failures: 0,
            count: 0,
        }
    }

    /// The versions that a call may get: one, or two when nothing is known of the share of its session.
    fn versions(&self, ask: &Ask, state: &State) -> Vec<u32> {
        if let Some(pinned) = ask.pinned {
            return vec![pinned];
        }
        if let Some((version, _)) = state.keys.iter().find(|(_, key)| *key == ask.key) {
            return vec![*version];
        }
        let Some((version, percent)) = state.rollout else { return vec![state.active] };
        let (out, within) = self.shares.get(&(ask.name, version, ask.session)).copied().unwrap_or((0, 100));
        if percent >= within {
            vec![version]
        } else if percent <= out {
            vec![state.active]
        } else {
            vec![version, state.active]
        }
    }

    /// Remembers what a call said of the share of its session.
    fn learn(&mut self, ask: &Ask, state: &State, got: u32) {
        let flagged = ask.pinned.is_some() || state.keys.iter().any(|(_, key)| *key == ask.key);
        let Some((version, percent)) = state.rollout.filter(|_| !flagged) else { return };
        let (out, within) = self.shares.entry((ask.name, version, ask.session)).or_insert((0, 100));
        match got == version {
            true => *within = percent.min(*within),
            false => *out = percent.max(*out),
        }
    }

    fn call(&self, ask: &Ask, text: &str) -> (Scene, Caller, Call) {
        let tenant = &self.tenants[ask.tenant];
        let mut who = caller();
        who.tenant = TenantId::new(TENANTS[ask.tenant]).unwrap();
        (who.key, who.feature) = (format!("k{}", ask.key), ask.feature.to_owned());
        let mut body = json!({"model": "fast", "stream": ask.stream, "max_tokens": TOKENS_MAX, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": text}],
            "ashlar": {"prompt": NAMES[ask.name], "version": ask.pinned, "session": format!("s{}", ask.session)}});
        if !ask.stream {
            body.as_object_mut().unwrap().remove("stream_options");
        }
        (tenant.scenes[tenant.live].clone(), who, openai::read(body.to_string().into()).unwrap())
    }

    /// Makes a call, and compares what became of it with the model.
    async fn told(&mut self, mut ask: Ask) {
        if matches!(ask.says, Says::Fail | Says::Cut) {
            // A provider that fails five times in a row is left alone for a moment.
            self.failures += 1;
            if self.failures >= 5 {
                ask.says = Says::Answer;
            }
        }
        if (ask.says == Says::Repair && ask.name == 0)
            || (ask.says == Says::Gone && (ask.name == 1 || !ask.stream))
        {
            ask.says = Says::Answer;
        }
        *self.control.says.lock().unwrap() = ask.says;
        let text = format!("text {}", ask.text);
        let (scene, who, call) = self.call(&ask, &text);
        let before = self.standin.requests().len();
        let reply = self.desk.chat(&scene, &who, call, &Seen(ask.audience)).await;
        let said = match reply {
            Ok(reply) if ask.says == Says::Gone && reply.facts.cache != "hit" => {
                let Body::Stream(mut stream) = reply.body else { panic!("a stream") };
                assert!(stream.next().await.is_some());
                Ok(String::new())
            }
            Ok(reply) => Ok(read(reply.body).await),
            Err(fault) => Err(fault),
        };
        self.judge(&ask, &text, said, before);
    }

    /// Compares what became of a call with the model. `before`: requests that the provider had got before it.
    fn judge(&mut self, ask: &Ask, text: &str, said: Result<String, Fault>, before: usize) {
        let sent: Vec<Value> = self.standin.requests()[before..].iter().map(standin::Asked::json).collect();
        let tenant = &self.tenants[ask.tenant];
        let (live, spent) = (tenant.live, tenant.spent);
        let state = tenant.states[live][ask.name].clone();
        let facts = tenant.closed.0.lock().unwrap().pop().unwrap();
        let label = facts.prompt.strip_prefix(&format!("{}@v", NAMES[ask.name])).unwrap();
        let version: u32 = label.parse().unwrap();
        assert!(self.versions(ask, &state).contains(&version), "{ask:?} got {version} of {state:?}");
        self.learn(ask, &state, version);
        for request in &sent {
            assert_eq!(version_of(request), version, "versions of one call are mixed");
        }
        let key: Key = (ask.tenant, ask.audience, live, ask.name, version, ask.text);
        let caches = ask.feature == "default";
        let tokens_in = (32 + system(version).len() as u64 + text.len() as u64).div_ceil(4);
        let most = tokens_in * INPUT + TOKENS_MAX * OUTPUT;
        let one = TOKENS_IN * INPUT + TOKENS_OUT * OUTPUT;
        if let Some(kept) = self.kept.get(&key).filter(|_| caches) {
            assert_eq!((facts.cache, sent.len(), facts.cost.pico()), ("hit", 0, 0), "{ask:?}");
            assert_eq!(&shown(&said.unwrap()), kept, "{ask:?}");
            return;
        }
        assert_ne!(facts.cache, "hit", "{ask:?}");
        let fits = spent + most <= LIMIT;
        if matches!(&said, Err(fault) if fault.code == "budget_exceeded") {
            assert!(
                !fits && sent.is_empty() && facts.cost.pico() == 0,
                "{} of {LIMIT} were spent, {most} needed",
                spent
            );
            return;
        }
        assert!(fits, "{} of {LIMIT} were spent, and {most} were reserved", spent);
        let (cost, code) = match ask.says {
            Says::Answer => (one, ""),
            Says::Repair => (2 * one, ""),
            Says::Refuse => (0, "upstream_refused"),
            Says::Fail => (0, "upstream_error"),
            Says::Cut => (tokens_in * INPUT, "upstream_closed"),
            Says::Gone => (tokens_in * INPUT + 2 * OUTPUT, "client_gone"),
        };
        assert_eq!(facts.cost.pico(), cost, "{ask:?} {said:?} {facts:?}");
        assert_eq!(sent.len(), if ask.says == Says::Repair { 2 } else { 1 });
        if matches!(ask.says, Says::Answer | Says::Repair) {
            let shown = shown(&said.unwrap());
            let value: Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(
                (value["v"].as_u64(), facts.outcome.as_str()),
                (Some(version.into()), "ok"),
                "{ask:?}"
            );
            if caches {
                self.kept.insert(key, shown);
            }
        } else {
            assert_ne!(facts.outcome, "ok", "{ask:?} {code}");
        }
        if !matches!(ask.says, Says::Fail | Says::Cut) {
            self.failures = 0;
        }
        self.tenants[ask.tenant].spent += cost;
    }

    /// A promotion happens while a call waits for its provider. Calls behind it get what it says; the call itself goes on as it began.
    async fn during(&mut self, mut ask: Ask, version: u32) {
        (ask.name, ask.says, ask.feature) = (1, Says::Repair, "plain");
        self.count += 1;
        let text = format!("during {}", self.count);
        let (scene, who, call) = self.call(&ask, &text);
        self.control.waits.store(true, Ordering::SeqCst);
        self.control.waiting.store(false, Ordering::SeqCst);
        let before = self.standin.requests().len();
        let desk = self.desk.clone();
        let first = tokio::spawn(async move {
            let reply = desk.chat(&scene, &who, call, &Seen(0)).await?;
            Ok::<_, Fault>(read(reply.body).await)
        });
        while !self.control.waiting.load(Ordering::SeqCst) && !first.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let live = self.tenants[ask.tenant].live;
        let latest = self.tenants[ask.tenant].scenes.len() - 1;
        if live == latest {
            self.tenants[ask.tenant].moved(1, Some((version, None)));
        }
        self.control.waits.store(false, Ordering::SeqCst);
        let said = first.await.unwrap();
        // The call is judged by the release that it began with.
        let now = std::mem::replace(&mut self.tenants[ask.tenant].live, live);
        self.judge(&ask, &text, said, before);
        self.tenants[ask.tenant].live = now;
        self.told(Ask { says: Says::Answer, ..ask }).await;
    }

    async fn happens(&mut self, op: Op) {
        match op {
            Op::Ask(ask) => self.told(ask).await,
            Op::During(ask, version) => self.during(ask, version).await,
            Op::Promote { tenant, name, version, percent } => {
                self.tenants[tenant].on_latest(name, Some((version, percent)))
            }
            Op::RollBack { tenant, name } => self.tenants[tenant].on_latest(name, None),
            Op::Back { tenant } => {
                let tenant = &mut self.tenants[tenant];
                tenant.live = tenant.live.saturating_sub(1);
            }
        }
    }
}

impl Tenant {
    /// Moves a prompt after whatever was live: the newest release is live again first.
    fn on_latest(&mut self, name: usize, version: Option<(u32, Option<u32>)>) {
        self.live = self.scenes.len() - 1;
        self.moved(name, version);
    }
}

/// The text of an answer, in pieces or not.
fn shown(answer: &str) -> String {
    if let Ok(whole) = serde_json::from_str::<Value>(answer) {
        return whole["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
    }
    let data =
        answer.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    data.filter_map(|piece| piece["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn calls_do_what_the_model_says(ops in prop::collection::vec(op(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for op in ops {
                world.happens(op).await;
            }
            // When a node stops, the shared rows have what was charged, and nothing that was only reserved.
            for tenant in &world.tenants {
                tenant.scenes[0].policy.as_ref().unwrap().close().await;
                assert_eq!(tenant.rows.total(), tenant.spent);
            }
        });
    }
}
