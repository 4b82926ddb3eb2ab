//! One suite for every place objects can be in: a directory, a directory behind a node's cache, S3 behind a node's cache.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeSet, io::Cursor, path::Path, sync::Arc, time::Duration};

use ashlar_model::{Digest, TenantId};
use ashlar_store::{
    Collected, Objects, PointerRead, Remote, ScrubPlace, StoreError, StoreLimits, TenantObjects, Tree, Walk,
    bundle,
};
use bytes::Bytes;

/// Nothing is kept for a grace period.
fn open(dir: &Path, remote: Option<&Remote>) -> TenantObjects {
    let limits = StoreLimits { grace: Duration::ZERO, ..StoreLimits::default() };
    Objects::open_with(dir, remote.cloned(), limits).unwrap().tenant(&TenantId::main())
}

/// One collection, in round `round` when there is a remote. All earlier rounds are known to writers.
async fn collect(objects: &TenantObjects, live: &[Digest], round: u64) -> Result<Collected, StoreError> {
    let collection = Arc::new(objects.begin_collection().await?);
    for digest in live {
        collection.keep(digest)?;
    }
    let known: BTreeSet<u64> = (0..round).collect();
    let here = collection.sweep_here();
    if round == 0 {
        let doomed = here.await?;
        let _guard = collection.exclude()?;
        return collection.delete(doomed).await;
    }
    let mut done = collection.delete(collection.sweep_condemned(&known)?).await?;
    let doomed = collection.sweep_remote(&known).await?;
    collection.condemn(&doomed, round).await?;
    done.packs_condemned = doomed.count();
    Ok(done)
}

async fn put(objects: &TenantObjects, texts: &[&str]) -> Vec<Digest> {
    let mut batch = objects.batch();
    let digests = texts.iter().map(|t| batch.put(t.as_bytes().to_vec())).collect();
    objects.commit(batch).await.unwrap();
    digests
}

/// What must hold everywhere. `fresh` gives a directory for another node.
async fn suite(remote: Option<&Remote>) {
    let dirs: Vec<tempfile::TempDir> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let here = open(dirs[0].path(), remote);
    let digests = put(&here, &["one", "two", "three"]).await;
    assert_eq!(here.get(&digests[1]).unwrap(), Bytes::from("two"));
    let missing = Digest::of(b"nowhere");
    assert!(matches!(here.get(&missing), Err(StoreError::Missing { digest }) if digest == missing));

    // Writing the same again stores nothing, and an empty batch is no pack.
    let packs = here.counts().0;
    put(&here, &["one", "two"]).await;
    here.commit(here.batch()).await.unwrap();
    assert_eq!(here.counts().0, packs);

    // Another process on the same directory sees it without being told, and after a restart it is there.
    let later = put(&here, &["four"]).await;
    let other = open(dirs[0].path(), remote);
    assert_eq!(other.get(&later[0]).unwrap(), Bytes::from("four"));
    let even_later = put(&here, &["five"]).await;
    assert_eq!(other.get(&even_later[0]).unwrap(), Bytes::from("five"));

    // Another node brings what it lacks.
    if remote.is_some() {
        let node = open(dirs[1].path(), remote);
        // Without being told: what is not here is looked for there.
        assert_eq!(node.get(&digests[0]).unwrap(), Bytes::from("one"));
        node.refresh().await.unwrap();
        assert_eq!(node.get(&even_later[0]).unwrap(), Bytes::from("five"));
        assert_eq!(node.refresh().await.unwrap(), 0);
        let all = Objects::open(dirs[2].path(), remote.cloned()).unwrap().tenants().await.unwrap();
        assert!(all.contains(&TenantId::main()));
    }

    // Pointers are replaced as a whole, and read only when they changed.
    let name = "channels/production.json";
    assert_eq!(here.get_pointer(name, None).await.unwrap(), PointerRead::Absent);
    here.put_pointer(name, Bytes::from("r1")).await.unwrap();
    let PointerRead::Changed { body, version } = here.get_pointer(name, None).await.unwrap() else {
        panic!("changed")
    };
    assert_eq!(body, Bytes::from("r1"));
    assert_eq!(here.get_pointer(name, Some(&version)).await.unwrap(), PointerRead::Unchanged);
    here.put_pointer(name, Bytes::from("r2")).await.unwrap();
    assert!(
        matches!(here.get_pointer(name, Some(&version)).await.unwrap(), PointerRead::Changed { body, .. } if body == "r2")
    );
    assert!(here.put_pointer("../outside", Bytes::new()).await.is_err());

    // A pointer with an order does not go back, whoever writes it and however late.
    let other = open(dirs[1].path().join("second").as_path(), remote);
    let other = if remote.is_some() { other } else { here.clone() };
    let number = |b: &[u8]| std::str::from_utf8(b).ok().and_then(|t| t.parse::<u64>().ok());
    let advance = async |node: &TenantObjects, n: u64| {
        let newer = move |now: &[u8]| number(now).is_none_or(|now| now < n);
        node.advance_pointer("ordered.json", Bytes::from(n.to_string()), newer).await.unwrap()
    };
    let now = async |node: &TenantObjects| {
        number(node.get_pointer("ordered.json", None).await.unwrap().body().unwrap()).unwrap()
    };
    assert!(advance(&here, 3).await);
    assert!(!advance(&other, 2).await);
    assert!(!advance(&other, 3).await);
    assert_eq!(now(&here).await, 3);
    assert!(advance(&other, 7).await);
    assert!(!advance(&here, 5).await);
    assert_eq!((now(&here).await, now(&other).await), (7, 7));

    // Tenants do not see one another's objects.
    let stranger =
        Objects::open(dirs[0].path(), remote.cloned()).unwrap().tenant(&TenantId::new("other").unwrap());
    assert!(stranger.get(&digests[0]).is_err());

    // Many small packs become few, and nothing is lost, also for a reader that had them open.
    for i in 0..60 {
        put(&here, &[&format!("small {i}")]).await;
    }
    let reader = open(dirs[0].path(), remote);
    assert!(here.repack().await.unwrap());
    assert!(here.counts().0 < 20, "{:?}", here.counts());
    for i in 0..60 {
        let digest = Digest::of(format!("small {i}").as_bytes());
        assert!(here.get(&digest).is_ok() && reader.get(&digest).is_ok());
    }

    match remote {
        None => collected_here(&here, &digests).await,
        Some(_) => collected_in_two_steps(&here, dirs[2].path(), remote, &digests).await,
    }
    for digest in &digests {
        assert!(open(dirs[0].path(), remote).get(digest).is_ok());
    }
    assert!(open(dirs[0].path(), None).get(&later[0]).is_err());

    damaged_objects_are_refused_and_become_whole(dirs[0].path(), remote).await;
}

/// A collection deletes what nothing needs and keeps the rest; while somebody writes it does not run.
async fn collected_here(here: &TenantObjects, live: &[Digest]) {
    let writing = here.batch();
    assert!(matches!(collect(here, live, 0).await, Err(StoreError::Busy)));
    drop(writing);
    let done = collect(here, live, 0).await.unwrap();
    assert!(done.objects_removed >= 60, "{done:?}");
}

/// Packs are condemned, and go with the next collection unless something in them is named meanwhile.
async fn collected_in_two_steps(here: &TenantObjects, dir: &Path, remote: Option<&Remote>, live: &[Digest]) {
    let other = open(dir, remote);
    other.reconcile(0).await.unwrap();
    let done = collect(here, live, 1).await.unwrap();
    assert!(done.objects_removed == 0 && done.packs_condemned > 0, "{done:?}");
    // A node that knows of it writes such an object again; one that does not relies on it.
    let (again, relied) = (Digest::of(b"small 7"), Digest::of(b"small 8"));
    other.reconcile(1).await.unwrap();
    let packs = other.counts().0;
    put(&other, &["small 7"]).await;
    assert_eq!(other.counts().0, packs + 1);
    assert_eq!(other.get(&relied).unwrap(), Bytes::from("small 8"));
    // Something that is condemned is named after all, so its pack stays.
    let named: Vec<Digest> = live.iter().copied().chain([again, relied]).collect();
    let done = collect(here, &named, 2).await.unwrap();
    for _ in 3..5 {
        collect(here, &named, 3).await.unwrap();
    }
    assert!(here.get(&relied).is_ok() && here.get(&again).is_ok(), "{done:?}");
    let (mut removed, mut round) = (0, 5);
    while removed < 60 && round < 10 {
        removed += collect(here, live, round).await.unwrap().objects_removed;
        round += 1;
    }
    assert!(removed >= 60, "{removed}");
    // A freeze on the other node never takes for stored what is gone.
    other.reconcile(round).await.unwrap();
    put(&other, &["small 8"]).await;
    let fresh = tempfile::tempdir().unwrap();
    assert_eq!(open(fresh.path(), remote).get(&relied).unwrap(), Bytes::from("small 8"));
}

fn packs(dir: &Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(dir.join("t/main/packs")).unwrap().map(|f| f.unwrap().path());
    files.filter(|f| f.extension().is_some_and(|e| e == "pack")).collect()
}

/// Changes one byte of a text in the pack that has it. The file is replaced, as a restored or rotten one would be.
fn rot(dir: &Path, text: &str) {
    for path in packs(dir) {
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(text.len()).position(|w| w == text.as_bytes()) {
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("no pack has {text}");
}

async fn damaged_objects_are_refused_and_become_whole(dir: &Path, remote: Option<&Remote>) {
    let here = open(dir, remote);
    let digests = put(&here, &["a sound object", "another sound object"]).await;
    rot(dir, "a sound object");
    // A process that has not read it yet refuses it, and goes on with the rest of the pack.
    let node = open(dir, remote);
    let error = node.get(&digests[0]).unwrap_err().to_string();
    assert!(error.contains("object") && error.contains("is damaged"), "{error}");
    assert_eq!(node.get(&digests[1]).unwrap(), Bytes::from("another sound object"));
    assert_eq!(node.damaged(), vec![digests[0]]);
    assert!(!node.contains(&digests[0]) && node.get(&digests[0]).is_err());
    // The next start knows it without reading, a scrub finds it, and merging packs goes on without it.
    assert_eq!(open(dir, remote).damaged(), vec![digests[0]]);
    here.learn_damage();
    assert_eq!(here.damaged(), vec![digests[0]]);
    assert_eq!(here.scrub(&mut ScrubPlace::default(), u64::MAX).unwrap().damaged, 1);
    match remote {
        Some(_) => assert_eq!(node.heal().await.unwrap(), 1),
        None => {
            assert_eq!(node.heal().await.unwrap(), 0);
            // Writing it again is what makes it whole.
            put(&node, &["a sound object"]).await;
        }
    }
    assert_eq!(node.get(&digests[0]).unwrap(), Bytes::from("a sound object"));
    assert!(node.damaged().is_empty() && node.healed() == 1);
    for _ in 0..2 {
        let again = open(dir, remote);
        assert_eq!(again.get(&digests[0]).unwrap(), Bytes::from("a sound object"));
        assert!(again.damaged().is_empty());
    }
    // Whatever is merged or cleaned up, the whole copy stays.
    for i in 0..60 {
        put(&node, &[&format!("more {i}")]).await;
    }
    node.repack().await.unwrap();
    match remote {
        None => drop(collect(&node, &digests, 0).await.unwrap()),
        Some(_) => {
            for round in 20..23 {
                collect(&node, &digests, round).await.unwrap();
            }
        }
    }
    let after = open(dir, remote);
    assert_eq!(after.get(&digests[0]).unwrap(), Bytes::from("a sound object"));
    assert_eq!(after.get(&digests[1]).unwrap(), Bytes::from("another sound object"));
}

#[tokio::test]
async fn a_bundle_makes_damaged_objects_whole() {
    let dir = tempfile::tempdir().unwrap();
    let objects = open(dir.path(), None);
    let digests = put(&objects, &["manifest", "body of an entry", "b"]).await;
    let mut file = Vec::new();
    bundle::write(&objects, &digests[0], digests[1..].iter().copied(), &mut file).unwrap();
    // Read and found good once; the damage comes later.
    objects.get(&digests[1]).unwrap();
    rot(dir.path(), "body of an entry");
    let staged = bundle::stage(&objects, &file[..]).unwrap();
    assert_eq!(staged.fresh(), 1);
    staged.keep().await.unwrap();
    assert_eq!(objects.get(&digests[1]).unwrap(), Bytes::from("body of an entry"));
    assert_eq!(open(dir.path(), None).get(&digests[1]).unwrap(), Bytes::from("body of an entry"));
    assert_eq!(bundle::stage(&objects, &file[..]).unwrap().fresh(), 0);

    // A pack that cannot be opened at all: its objects are missing, and come back.
    for pack in packs(dir.path()) {
        std::fs::write(&pack, b"nothing").unwrap();
    }
    let later = open(dir.path(), None);
    assert!(later.get(&digests[2]).is_err());
    bundle::read(&later, Cursor::new(file)).await.unwrap();
    assert_eq!(later.get(&digests[2]).unwrap(), Bytes::from("b"));
}

#[tokio::test]
async fn a_bundle_that_is_refused_leaves_nothing_behind() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let objects = open(from.path(), None);
    let large = "x".repeat(5 << 20);
    let digests = put(&objects, &["manifest", &large, "b"]).await;
    let mut file = Vec::new();
    bundle::write(&objects, &digests[0], digests[1..].iter().copied(), &mut file).unwrap();
    let target = open(to.path(), None);
    let left = || {
        let count =
            |name: &str| std::fs::read_dir(to.path().join("t/main").join(name)).map_or(0, Iterator::count);
        (count("incoming"), count("packs"))
    };
    for len in [file.len() - 1, file.len() / 2, 41] {
        let error = bundle::stage(&target, &file[..len]).err().unwrap();
        assert!(matches!(error, StoreError::Bundle(_)), "{error}");
        assert_eq!(left(), (0, 0));
    }
    // What an import that was killed left behind goes at the next start, unless somebody still writes it.
    let staged = bundle::stage(&target, &file[..]).unwrap();
    assert_eq!(left(), (1, 0));
    let orphan = to.path().join("t/main/incoming/.import-killed.tmp");
    std::fs::write(&orphan, "half a pack").unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    for file in std::fs::read_dir(to.path().join("t/main/incoming")).unwrap() {
        std::fs::File::options().write(true).open(file.unwrap().path()).unwrap().set_modified(old).unwrap();
    }
    let restarted = open(to.path(), None);
    assert_eq!(left(), (1, 0), "the orphan is gone, and what is being written is not");
    assert!(!restarted.contains(&digests[1]));
    staged.keep().await.unwrap();
    assert_eq!(left(), (0, 1));
    assert_eq!(target.len_of(&digests[1]).unwrap() as usize, large.len());
}

#[tokio::test]
async fn a_damaged_copy_is_fetched_again_when_the_first_pack_is_gone() {
    let (author, edge) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let here = open(author.path(), None);
    let digest = put(&here, &["stored twice"]).await[0];
    let remote = Remote::parse(&format!("file://{}", author.path().display())).unwrap();
    let node = open(edge.path(), Some(&remote));
    node.refresh().await.unwrap();
    // The author merges its packs, and the edge has both for a while.
    for i in 0..60 {
        put(&here, &[&format!("more {i}")]).await;
    }
    assert!(here.repack().await.unwrap());
    node.refresh().await.unwrap();
    for path in packs(edge.path()) {
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(12).position(|w| w == b"stored twice") {
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let node = open(edge.path(), Some(&remote));
    assert!(node.get(&digest).is_err());
    node.heal().await.unwrap();
    assert_eq!(node.get(&digest).unwrap(), Bytes::from("stored twice"));
    assert_eq!(node.damaged(), vec![]);
}

#[tokio::test]
async fn a_restored_pack_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let digests = put(&open(dir.path(), None), &["kept in a backup"]).await;
    let pack = packs(dir.path()).pop().unwrap();
    let backup = std::fs::read(&pack).unwrap();
    rot(dir.path(), "kept in a backup");
    let objects = open(dir.path(), None);
    assert!(objects.get(&digests[0]).is_err());
    std::fs::write(&pack, &backup).unwrap();
    objects.heal().await.unwrap();
    assert_eq!(objects.get(&digests[0]).unwrap(), Bytes::from("kept in a backup"));
    assert_eq!(open(dir.path(), None).damaged(), vec![]);
}

#[tokio::test]
async fn what_was_deleted_between_actions_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let (here, other) = (open(dir.path(), None), open(dir.path(), None));
    put(&here, &["one"]).await;
    let hold = here.hold().unwrap();
    // Nobody deletes while an action holds; what is stored is not written again.
    assert!(matches!(collect(&other, &[], 0).await, Err(StoreError::Busy)));
    let mut batch = here.batch();
    batch.put("one");
    assert!(batch.is_empty());
    drop((hold, batch));

    collect(&other, &[], 0).await.unwrap();
    let _hold = here.hold().unwrap();
    for _ in 0..2 {
        let mut batch = here.batch();
        batch.put("one");
        assert_eq!(batch.len(), 1);
    }
}

#[tokio::test]
async fn few_packs_are_open_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let writer = open(dir.path(), None);
    let mut digests = Vec::new();
    for i in 0..40 {
        digests.extend(put(&writer, &[&format!("object {i}")]).await);
    }
    let all = {
        let limits = StoreLimits { packs_open_max: 5, ..StoreLimits::default() };
        Objects::open_with(dir.path(), None, limits).unwrap()
    };
    let objects = all.tenant(&TenantId::main());
    assert_eq!(objects.counts().0, 40);
    assert_eq!(all.packs_open(), 0);
    std::thread::scope(|threads| {
        for start in 0..4_usize {
            let (objects, digests, all) = (&objects, &digests, &all);
            threads.spawn(move || {
                for n in 0..400 {
                    // One pack is read all the time, the others in turn.
                    for at in [7, (start * 11 + n) % digests.len()] {
                        assert_eq!(objects.get(&digests[at]).unwrap(), format!("object {at}"));
                    }
                    assert!(all.packs_open() <= 5);
                }
            });
        }
    });
}

#[tokio::test]
async fn a_directory() {
    suite(None).await;
}

#[tokio::test]
async fn a_directory_behind_a_cache() {
    let dir = tempfile::tempdir().unwrap();
    suite(Some(&Remote::parse(dir.path().to_str().unwrap()).unwrap())).await;
}

/// `http://KEY:SECRET@HOST:PORT/BUCKET` as a remote with a prefix of its own.
fn s3(address: &str) -> Remote {
    let url = url::Url::parse(address).unwrap();
    let store = object_store::aws::AmazonS3Builder::new()
        .with_endpoint(format!("http://{}:{}", url.host_str().unwrap(), url.port().unwrap()))
        .with_access_key_id(url.username())
        .with_secret_access_key(url.password().unwrap())
        .with_bucket_name(url.path().trim_matches('/'))
        .with_region("us-east-1")
        .with_allow_http(true)
        .build()
        .unwrap();
    let prefix =
        format!("run-{}", Digest::of(format!("{:?}", std::time::SystemTime::now()).as_bytes()).short());
    Remote::new(Arc::new(store), &prefix)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s3_server() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    match std::env::var("ASHLAR_TEST_S3") {
        Ok(address) => suite(Some(&s3(&address))).await,
        Err(_) => {
            assert!(
                std::env::var("ASHLAR_REQUIRE_ALL").is_err(),
                "ASHLAR_TEST_S3 is not set, and everything is required"
            );
            println!("S3 conformance not run: ASHLAR_TEST_S3 is not set");
        }
    }
}

fn only_pack(dir: &Path) -> std::path::PathBuf {
    std::fs::read_dir(dir.join("t/main/packs")).unwrap().next().unwrap().unwrap().path()
}

#[tokio::test]
async fn damage_is_reported_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let objects = open(dir.path(), None);
    let mut batch = objects.batch();
    let tree = Tree::empty().apply(&[(b"key".to_vec(), Some(b"value".to_vec()))], &mut batch).unwrap();
    objects.commit(batch).await.unwrap();
    let pack = only_pack(dir.path());
    let whole = std::fs::read(&pack).unwrap();

    let mut flipped = whole.clone();
    flipped[20] ^= 1;
    std::fs::write(&pack, &flipped).unwrap();
    let error = Tree::open(&open(dir.path(), None), &tree.root()).unwrap_err().to_string();
    assert!(error.contains("tree node") && error.contains("damaged"), "{error}");

    std::fs::write(&pack, &whole[..whole.len() - 9]).unwrap();
    let cut = open(dir.path(), None);
    assert!(cut.damaged_packs()[0].1.contains("cut short"));
    assert!(matches!(cut.get(&tree.root()), Err(StoreError::Missing { .. } | StoreError::Corrupt { .. })));

    std::fs::write(&pack, &whole).unwrap();
    assert_eq!(Tree::open(&open(dir.path(), None), &tree.root()).unwrap().len(), 1);
}

#[tokio::test]
async fn bundles_read_back_and_show_tampering() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let objects = open(from.path(), None);
    let digests = put(&objects, &["manifest", "a", "b"]).await;
    let mut file = Vec::new();
    let count = bundle::write(&objects, &digests[0], digests[1..].iter().copied(), &mut file).unwrap();
    assert_eq!(count, 3);
    let target = open(to.path(), None);
    assert_eq!(bundle::read(&target, Cursor::new(file.clone())).await.unwrap(), digests[0]);
    assert_eq!(target.get(&digests[2]).unwrap(), Bytes::from("b"));
    for at in 0..file.len() {
        let mut tampered = file.clone();
        tampered[at] ^= 0x40;
        let dir = tempfile::tempdir().unwrap();
        assert!(bundle::read(&open(dir.path(), None), Cursor::new(tampered)).await.is_err(), "byte {at}");
    }
    for len in [0, 7, 40, file.len() - 1] {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            bundle::read(&open(dir.path(), None), Cursor::new(file[..len].to_vec())).await.is_err(),
            "{len} bytes"
        );
    }
}

/// Golden files: stored forms of format 1, and what they must read as.
#[tokio::test]
async fn stored_forms_stay_readable() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("test-data");
    let dir = tempfile::tempdir().unwrap();
    let objects = open(dir.path(), None);
    let edits: Vec<_> =
        (0..300_u32).map(|i| (format!("key {i:04}").into_bytes(), Some(i.to_le_bytes().to_vec()))).collect();
    let mut batch = objects.batch();
    let tree = Tree::empty().apply(&edits, &mut batch).unwrap();
    objects.commit(batch).await.unwrap();
    let pack = only_pack(dir.path());
    let mut file = Vec::new();
    let mut nodes = Vec::new();
    tree.reachable(&mut |d| {
        nodes.push(d);
        true
    })
    .unwrap();
    bundle::write(&objects, &tree.root(), nodes[1..].iter().copied(), &mut file).unwrap();
    if std::env::var_os("ASHLAR_WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(&golden).unwrap();
        std::fs::write(golden.join("v1.pack"), std::fs::read(&pack).unwrap()).unwrap();
        std::fs::write(golden.join("v1.bundle"), &file).unwrap();
        std::fs::write(golden.join("v1.root"), format!("{}\n", tree.root())).unwrap();
    }
    let root: Digest = std::fs::read_to_string(golden.join("v1.root")).unwrap().trim().parse().unwrap();
    assert_eq!(tree.root(), root, "the stored form of a tree node has changed");
    assert_eq!(std::fs::read(golden.join("v1.pack")).unwrap(), std::fs::read(&pack).unwrap());
    assert_eq!(std::fs::read(golden.join("v1.bundle")).unwrap(), file);
    let other = tempfile::tempdir().unwrap();
    let read = open(other.path(), None);
    assert_eq!(
        bundle::read(&read, Cursor::new(std::fs::read(golden.join("v1.bundle")).unwrap())).await.unwrap(),
        root
    );
    let tree = Tree::open(&read, &root).unwrap();
    assert_eq!(tree.get(b"key 0042").unwrap().unwrap(), Bytes::from(42_u32.to_le_bytes().to_vec()));
    assert_eq!(tree.verify(&mut |_, _| Ok(())).unwrap().entries, 300);
}

#[tokio::test]
async fn packs_that_were_merged_are_not_fetched_and_go() {
    let (at, first, second) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let remote = Remote::parse(at.path().to_str().unwrap()).unwrap();
    let here = open(first.path(), Some(&remote));
    for i in 0..60 {
        put(&here, &[&format!("small {i}")]).await;
    }
    here.reconcile(0).await.unwrap();
    assert!(here.repack().await.unwrap());
    // The remote has all of them still, for nodes that are slower.
    assert!(packs(at.path()).len() > 60);
    let node = open(second.path(), Some(&remote));
    assert!(node.refresh().await.unwrap() < 20);
    assert_eq!(node.get(&Digest::of(b"small 3")).unwrap(), Bytes::from("small 3"));
    assert_eq!(node.refresh().await.unwrap(), 0);
    assert!(!here.reap().await.unwrap(), "nothing was condemned");
    assert!(packs(at.path()).len() < 20);
    assert_eq!(here.refresh().await.unwrap(), 0);
    for i in 0..60 {
        let digest = Digest::of(format!("small {i}").as_bytes());
        assert!(here.get(&digest).is_ok() && node.get(&digest).is_ok());
    }
}

#[tokio::test]
async fn a_pointer_that_is_too_large_is_not_read() {
    let (at, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let remote = Remote::parse(at.path().to_str().unwrap()).unwrap();
    for (root, remote) in [(at.path(), Some(&remote)), (dir.path(), None)] {
        let cache = tempfile::tempdir().unwrap();
        let node = open(if remote.is_some() { cache.path() } else { dir.path() }, remote);
        let file = root.join("t/main/channels/production.json");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::File::create(&file).unwrap().set_len((16 << 20) + 1).unwrap();
        let read = node.get_pointer("channels/production.json", None).await;
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
        let written = node.advance_pointer("channels/production.json", Bytes::from("x"), |_| true).await;
        assert!(matches!(written, Err(StoreError::Corrupt { .. })), "{written:?}");
    }
}

#[tokio::test]
async fn a_damaged_pack_of_the_remote_keeps_no_other_away() {
    let (at, first) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let remote = Remote::parse(at.path().to_str().unwrap()).unwrap();
    let here = open(first.path(), Some(&remote));
    put(&here, &["rotten"]).await;
    let good = put(&here, &["good"]).await;
    rot(at.path(), "rotten");
    for _ in 0..5 {
        let second = tempfile::tempdir().unwrap();
        let node = open(second.path(), Some(&remote));
        assert_eq!(node.get(&good[0]).unwrap(), Bytes::from("good"));
    }
}

#[tokio::test]
async fn a_cache_stays_within_its_limit_and_keeps_what_is_read() {
    let (at, first, second) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let remote = Remote::parse(at.path().to_str().unwrap()).unwrap();
    let here = open(first.path(), Some(&remote));
    let text = |i: usize| format!("{i} {}", "x".repeat(100_000));
    let mut digests = Vec::new();
    for i in 0..10 {
        digests.extend(put(&here, &[&text(i)]).await);
    }
    let limits = StoreLimits { cache_bytes_max: 350_000, ..StoreLimits::default() };
    let open_small = || {
        Objects::open_with(second.path(), Some(remote.clone()), limits.clone())
            .unwrap()
            .tenant(&TenantId::main())
    };
    let node = open_small();
    let bytes = || packs(second.path()).iter().map(|p| p.metadata().unwrap().len()).sum::<u64>();
    node.refresh().await.unwrap();
    assert!(bytes() <= 350_000, "{}", bytes());
    // Everything can be read, and what was read last is here without the remote.
    for (i, digest) in digests.iter().enumerate() {
        assert_eq!(node.get(digest).unwrap(), text(i));
        assert!(bytes() <= 450_000, "{}", bytes());
    }
    // Evicted packs are not fetched again because a channel moves, and a start knows them.
    assert_eq!(node.refresh().await.unwrap(), 0);
    let again = open_small();
    assert_eq!(again.counts().0, 10);
    std::fs::rename(at.path().join("t"), at.path().join("gone")).unwrap();
    assert_eq!(again.get(&digests[9]).unwrap(), text(9));
    assert!(matches!(again.get(&digests[0]), Err(StoreError::Missing { .. })));
}

fn value_of(_: &[u8], value: &[u8]) -> Result<Option<Digest>, &'static str> {
    let bytes = <[u8; 32]>::try_from(value).map_err(|_| "not a digest")?;
    Ok(Some(Digest::from_bytes(bytes)))
}

#[tokio::test]
async fn a_tree_that_cannot_be_walked_ends_a_collection() {
    const NAMING: Walk = Walk::naming(1, value_of);
    let dir = tempfile::tempdir().unwrap();
    let objects = open(dir.path(), None);
    let mut batch = objects.batch();
    let named = batch.put("named by a tree");
    let edits: Vec<_> = (0..2_000_u32)
        .map(|i| (format!("key {i:04}").into_bytes(), Some(named.as_bytes().to_vec())))
        .collect();
    let tree = Tree::empty().apply(&edits, &mut batch).unwrap();
    objects.commit(batch).await.unwrap();
    put(&objects, &["not needed"]).await;
    // Walked once plainly and once with its values: neither hides what the other finds.
    let collection = Arc::new(objects.begin_collection().await.unwrap());
    assert!(matches!(objects.begin_collection().await, Err(StoreError::Busy)));
    collection.keep_tree(&tree.root(), Walk::PLAIN).unwrap();
    assert!(!collection.has_tree(&tree.root(), NAMING));
    collection.keep_tree(&tree.root(), NAMING).unwrap();
    let reads = objects.reads();
    collection.keep_tree(&tree.root(), NAMING).unwrap();
    assert_eq!(objects.reads(), reads, "a tree that was walked is not read again");
    let doomed = collection.sweep_here().await.unwrap();
    collection.delete(doomed).await.unwrap();
    drop(collection);
    assert!(objects.get(&named).is_ok());
    assert!(objects.get(&Digest::of(b"not needed")).is_err());
    // A value that cannot be read is no reason to take what it may name for dead.
    let collection = Arc::new(objects.begin_collection().await.unwrap());
    let nothing = Walk::naming(2, |_, _| Err("not read"));
    assert!(matches!(collection.keep_tree(&tree.root(), nothing), Err(StoreError::Corrupt { .. })));
    assert!(!collection.has_tree(&tree.root(), nothing));
}
