//! What may go public, and what drafts are compared with afterwards.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ashlar_model::{
    CandidateId, ChannelName, ContractName, Digest, Fields, Files, Finding, GateReport, Rules, TenantId,
};
use ashlar_release::{
    AddToChangeset, CreateCandidate, CreateChangeset, DiscardCandidate, Engine, Judge, JudgeInput, Judgement,
    Location, Promote, Promoted, PushDefinitions, PutEntry, ReleaseError, RequiredApproval, Rollback,
};
use common::{Clock, FieldJudge, by, definitions, key, open_dir};
use jiff::Timestamp;
use serde_json::json;

async fn push(engine: &Engine, note: &str) {
    engine.run(&by("dev"), PushDefinitions { files: definitions(note) }).await.unwrap();
}

async fn put(engine: &Engine, id: &str, major: u32) {
    let fields = json!({"t": id}).as_object().unwrap().clone();
    let put = PutEntry { key: key(id, "en"), fields, expected_version: None, major: Some(major) };
    engine.run(&by("alice"), put).await.unwrap();
}

async fn freeze(engine: &Engine, changeset: Option<&str>) -> CandidateId {
    let create = CreateCandidate { changeset: changeset.map(str::to_owned), note: String::new() };
    engine.run(&by("alice"), create).await.unwrap().candidate
}

async fn promote(engine: &Engine, candidate: CandidateId, channel: &str) -> Result<Promoted, ReleaseError> {
    let channel = Some(ChannelName::new(channel).unwrap());
    engine.run(&by("ops"), Promote { candidate, channel, note: String::new() }).await
}

async fn live(engine: &Engine) -> Option<String> {
    let channels = engine.channels(&by("ops")).await.unwrap();
    channels.iter().find(|c| c.channel.as_str() == "production").map(|c| c.release.to_string())
}

#[tokio::test]
async fn a_candidate_with_older_definitions_does_not_replace_newer_ones() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_dir(dir.path(), &Clock::new()).await;
    push(&engine, "1").await;
    put(&engine, "home", 1).await;
    promote(&engine, freeze(&engine, None).await, "production").await.unwrap();
    // A changeset is frozen with the second definitions; the third go public before it.
    engine
        .run(&by("alice"), CreateChangeset { name: "later".to_owned(), title: String::new() })
        .await
        .unwrap();
    put(&engine, "news", 1).await;
    let add = AddToChangeset { name: "later".to_owned(), keys: vec![key("news", "en")] };
    engine.run(&by("alice"), add).await.unwrap();
    push(&engine, "2").await;
    let later = freeze(&engine, Some("later")).await;
    push(&engine, "3").await;
    promote(&engine, freeze(&engine, None).await, "production").await.unwrap();
    let refused = promote(&engine, later, "production").await.unwrap_err();
    assert_eq!(refused.code(), "superseded", "{refused}");
    assert_eq!(live(&engine).await.as_deref(), Some("r2"));
    // Frozen again, it brings the definitions that are live.
    promote(&engine, freeze(&engine, Some("later")).await, "production").await.unwrap();
}

/// Judges as usual until a day comes on which nothing passes any more.
struct Dated(Arc<AtomicBool>);

impl Judge for Dated {
    fn rules(&self, definitions: &Files) -> Result<Rules, Vec<Finding>> {
        FieldJudge.rules(definitions)
    }

    fn validate(
        &self,
        files: &Files,
        contract: &ContractName,
        fields: &Fields,
    ) -> Result<Vec<Finding>, ReleaseError> {
        FieldJudge.validate(files, contract, fields)
    }

    fn judge(&self, input: &JudgeInput<'_>) -> Result<Judgement, ReleaseError> {
        let mut judged = FieldJudge.judge(input)?;
        let over = self.0.load(Ordering::SeqCst);
        let findings =
            over.then(|| Finding::error("sunset", "contracts/page.v1.json", "its sunset has passed"));
        let inputs = Digest::of(&[u8::from(over)]);
        judged.gates.push(GateReport::judged("sunset", inputs, "", findings.into_iter().collect()));
        Ok(judged)
    }

    fn required_approvals(&self, input: &JudgeInput<'_>) -> Result<Vec<RequiredApproval>, ReleaseError> {
        FieldJudge.required_approvals(input)
    }
}

#[tokio::test]
async fn a_staged_release_is_judged_again_before_it_goes_public() {
    let (dir, over) = (tempfile::tempdir().unwrap(), Arc::new(AtomicBool::new(false)));
    let now = || Timestamp::from_second(common::START).unwrap();
    let judge = Arc::new(Dated(over.clone()));
    let engine = Engine::open_with_clock(&Location::embedded(dir.path()), judge, now).await.unwrap();
    push(&engine, "1").await;
    put(&engine, "home", 1).await;
    let candidate = freeze(&engine, None).await;
    promote(&engine, candidate, "staging").await.unwrap();
    over.store(true, Ordering::SeqCst);
    let refused = promote(&engine, candidate, "production").await.unwrap_err();
    assert!(matches!(&refused, ReleaseError::GatesFailed { gates, .. } if gates == &["sunset"]), "{refused}");
    assert_eq!(live(&engine).await, None);
    over.store(false, Ordering::SeqCst);
    promote(&engine, candidate, "production").await.unwrap();
    assert_eq!(live(&engine).await.as_deref(), Some("r1"));
}

#[tokio::test]
async fn a_draft_of_another_major_version_differs_from_what_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_dir(dir.path(), &Clock::new()).await;
    push(&engine, "1").await;
    for major in [1, 2] {
        put(&engine, "home", major).await;
        promote(&engine, freeze(&engine, None).await, "production").await.unwrap();
        assert!(!engine.draft(&by("alice"), &key("home", "en")).await.unwrap().pending);
    }
    // The same fields are served under version 1 again.
    let release = "r1".parse().unwrap();
    engine.run(&by("ops"), Rollback { release, channel: None, note: String::new() }).await.unwrap();
    let draft = engine.draft(&by("alice"), &key("home", "en")).await.unwrap();
    assert!(draft.pending && draft.contract.major == 2, "{draft:?}");
}

#[tokio::test]
async fn a_discarded_candidate_stays_closed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_dir(dir.path(), &Clock::new()).await;
    push(&engine, "1").await;
    put(&engine, "home", 1).await;
    let candidate = freeze(&engine, None).await;
    engine.run(&by("alice"), DiscardCandidate { candidate }).await.unwrap();
    let refused = promote(&engine, candidate, "production").await.unwrap_err();
    assert_eq!(refused.code(), "candidate-closed", "{refused}");
    assert!(
        engine
            .channel_state(&TenantId::main(), &ChannelName::new("production").unwrap())
            .await
            .unwrap()
            .is_none()
    );
}
