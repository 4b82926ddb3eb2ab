//! What the tests of the engine share: a judge that knows no contracts, and a clock that stands still.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use ashlar_model::{
    Actor, ContractName, Digest, EntryId, EntryKey, EntryRecord, Fields, Files, Finding, GateReport,
    GateStatus, Locale, ProjectConfig, Rules, TenantId, TypeName, TypeRules,
};
use ashlar_release::{
    ChangeRecord, Ctx, Engine, Judge, JudgeInput, Judgement, Location, ReleaseError, RequiredApproval,
};
use ashlar_store::Tree;
use jiff::Timestamp;
use serde_json::Value;

/// When the clock starts.
pub const START: i64 = 1_800_000_000;

/// Judges by fields: an entry with `bad` fails the gate `content`, and a change that brings `legal` needs an approval.
/// Locales share the field `s`.
pub struct FieldJudge;

fn entry(input: &JudgeInput<'_>, record: &[u8]) -> Result<Fields, ReleaseError> {
    let bytes = input.objects.get(&EntryRecord::from_bytes(record)?.digest)?;
    serde_json::from_slice(&bytes)
        .map_err(|e| ReleaseError::Corrupt { what: "an entry".to_owned(), why: e.to_string() })
}

fn waived(report: GateReport, input: &JudgeInput<'_>) -> GateReport {
    match input.waivers.iter().find(|(gate, _)| *gate == report.gate) {
        Some((_, waiver)) if report.status == GateStatus::Fail => {
            GateReport { status: GateStatus::Waived, waiver: Some(waiver.clone()), ..report }
        }
        _ => report,
    }
}

impl Judge for FieldJudge {
    fn rules(&self, definitions: &Files) -> Result<Rules, Vec<Finding>> {
        let wrong = |why: String| vec![Finding::error("config", "ashlar.toml", why)];
        let text = definitions.text("ashlar.toml").map_err(|e| wrong(e.to_string()))?.unwrap_or_default();
        let config: ProjectConfig = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        let name = TypeName::new("page").map_err(|e| wrong(e.to_string()))?;
        let types = [1, 2].map(|major| TypeRules {
            contract: ContractName { name: name.clone(), major },
            active: true,
            shared: ["s".to_owned()].into(),
            taxonomy: false,
            sensitive: BTreeMap::new(),
        });
        Ok(Rules { config, types: [(name, types.to_vec())].into(), approvers: BTreeMap::new() })
    }

    fn validate(
        &self,
        _: &Files,
        contract: &ContractName,
        fields: &Fields,
    ) -> Result<Vec<Finding>, ReleaseError> {
        Ok(match contract.major == 2 && fields.contains_key("bad") {
            true => vec![Finding::error("bad", "/bad", "version 2 has no `bad`")],
            false => Vec::new(),
        })
    }

    fn judge(&self, input: &JudgeInput<'_>) -> Result<Judgement, ReleaseError> {
        let inputs = Digest::of(input.snapshot.root().as_bytes());
        let content = match (input.evidence)("content", &inputs) {
            Some(known) => GateReport { from_evidence: true, ..known },
            None => {
                let mut findings = Vec::new();
                for item in input.snapshot.prefix(b"") {
                    let (key, record) = item?;
                    if entry(input, &record)?.contains_key("bad") {
                        let place = EntryKey::from_bytes(&key)?.to_string();
                        findings.push(Finding::error("bad", place, "it says `bad`"));
                    }
                }
                GateReport::judged("content", inputs, "", findings)
            }
        };
        let missing: Vec<_> = self
            .required_approvals(input)?
            .into_iter()
            .filter(|r| !input.approvals.iter().any(|a| a.right == r.right && a.change == r.change))
            .map(|r| Finding::error("approval-missing", "changes", format!("needs {}", r.right)))
            .collect();
        let given = format!("{inputs} {:?} {:?}", input.approvals, input.base.as_ref().map(|b| b.release));
        let approvals = GateReport::judged("approvals", Digest::of(given.as_bytes()), "", missing);
        // Something derived, so that collections and exports have it to follow.
        let mut objects = input.objects.batch();
        let titles: Result<Vec<_>, ReleaseError> = input
            .snapshot
            .prefix(b"")
            .map(|item| {
                let (key, record) = item?;
                let title = entry(input, &record)?.get("t").map(Value::to_string).unwrap_or_default();
                Ok((key.to_vec(), Some(title.into_bytes())))
            })
            .collect();
        let titles = Tree::empty().apply(&titles?, &mut objects)?.root();
        let gates = [content, approvals].map(|report| waived(report, input)).to_vec();
        Ok(Judgement { gates, derived: [("titles".to_owned(), titles)].into(), objects })
    }

    fn required_approvals(&self, input: &JudgeInput<'_>) -> Result<Vec<RequiredApproval>, ReleaseError> {
        let (mut change, mut authors, mut subjects) = (Vec::new(), BTreeSet::new(), Vec::new());
        for item in input.changes.prefix(b"") {
            let (key, record) = item?;
            let new = input.snapshot.get(&key)?;
            let old = match &input.base {
                Some(base) => base.snapshot.get(&key)?,
                None => None,
            };
            let legal = match &new {
                Some(new) if Some(new) != old.as_ref() => entry(input, new)?.contains_key("legal"),
                _ => false,
            };
            if legal {
                let record: ChangeRecord = serde_json::from_slice(&record)
                    .map_err(|e| ReleaseError::Corrupt { what: "a change".to_owned(), why: e.to_string() })?;
                authors.extend(record.authors);
                subjects.push(EntryKey::from_bytes(&key)?.to_string());
                for part in [Some(key), old, new].into_iter().flatten() {
                    change.extend_from_slice(&part);
                }
            }
        }
        if subjects.is_empty() {
            return Ok(Vec::new());
        }
        let change = Digest::of(&change);
        Ok(vec![RequiredApproval { right: "legal".to_owned(), change, authors, subjects, assisted: false }])
    }
}

/// A clock that tests move.
#[derive(Clone)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(START)))
    }

    pub fn set(&self, at: &str) {
        self.0.store(at.parse::<Timestamp>().unwrap().as_second(), Ordering::SeqCst);
    }

    pub fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn seconds(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Opens an installation with the judge by fields.
pub async fn open(location: &Location, clock: &Clock) -> Engine {
    let clock = clock.clone();
    let now = move || Timestamp::from_second(clock.seconds()).unwrap();
    Engine::open_with_clock(location, Arc::new(FieldJudge), now).await.unwrap()
}

/// A database of its own on the PostgreSQL server of `ASHLAR_TEST_POSTGRES`, with objects in `dir`. `None` without a server.
pub fn postgres(name: &str, dir: &Path) -> Option<Location> {
    let Ok(address) = std::env::var("ASHLAR_TEST_POSTGRES") else {
        assert!(
            std::env::var("ASHLAR_REQUIRE_ALL").is_err(),
            "ASHLAR_TEST_POSTGRES is not set, and everything is required"
        );
        println!("not run on PostgreSQL: ASHLAR_TEST_POSTGRES is not set");
        return None;
    };
    let name = format!("{name}_{}", std::process::id());
    let create = format!("CREATE DATABASE {name}");
    let made = Command::new("psql").args([&address, "-c", &create]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let sql = format!("{}/{name}", address.rsplit_once('/').unwrap().0);
    Some(Location { sql, objects_dir: dir.join("objects"), remote: None })
}

pub async fn open_dir(dir: &Path, clock: &Clock) -> Engine {
    open(&Location::embedded(dir), clock).await
}

pub fn by(name: &str) -> Ctx {
    Ctx::new(TenantId::main(), Actor::local(name)).unwrap()
}

pub fn key(id: &str, locale: &str) -> EntryKey {
    EntryKey {
        type_name: TypeName::new("page").unwrap(),
        id: EntryId::new(id).unwrap(),
        locale: Locale::new(locale).unwrap(),
    }
}

/// Definitions with two locales; `note` makes them differ.
pub fn definitions(note: &str) -> Files {
    let mut files = Files::new();
    let config = "name = 'x'\n[locales]\ndefault = 'en'\nsupported = ['en', 'de']\n";
    files.insert("ashlar.toml", config.as_bytes().to_vec()).unwrap();
    files.insert("redirects.toml", format!("# {note}\n").into_bytes()).unwrap();
    files
}
