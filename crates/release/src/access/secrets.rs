//! Secrets that must be read again, such as those of webhooks: sealed with a key that is not in the database.

use std::{
    fmt::Write as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use ashlar_model::TenantId;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::ReleaseError;

/// The variable with the key, or with several: the first seals, all open.
pub const SECRETS_KEY: &str = "ASHLAR_SECRETS_KEY";
/// The variable that names a file with the same.
pub const SECRETS_KEY_FILE: &str = "ASHLAR_SECRETS_KEY_FILE";
/// The file of an embedded installation.
const FILE: &str = "secrets.key";
/// What a sealed secret starts with.
pub(super) const SEALED: &str = "sealed:1:";
const KEY_BYTES: usize = 32;

/// Where the keys are.
enum Place {
    /// In the variable.
    Given(String),
    /// In a file; `make` when it may be made.
    File { path: PathBuf, make: bool },
    /// Nowhere: no variable is set, and the database is a server's.
    Nowhere,
}

pub(super) struct Key {
    /// Names it in what it sealed.
    id: String,
    key: LessSafeKey,
}

/// Seals and opens secrets.
pub(crate) struct Secrets {
    place: Place,
    keys: Mutex<Option<Arc<Vec<Key>>>>,
}

fn refused(message: impl Into<String>, help: impl Into<String>) -> ReleaseError {
    ReleaseError::refused("secrets-key", message, help)
}

fn broken() -> ReleaseError {
    ReleaseError::Corrupt {
        what: "a sealed secret".to_owned(),
        why: "it was changed, or belongs to another tenant or webhook".to_owned(),
    }
}

fn parse(text: &str, whence: &str) -> Result<Vec<Key>, ReleaseError> {
    let wrong = || {
        refused(
            format!("{whence} does not contain keys of {KEY_BYTES} bytes in base64"),
            format!(
                "make one with `openssl rand -base64 {KEY_BYTES}`; several are separated by commas or lines"
            ),
        )
    };
    let mut keys = Vec::new();
    for word in text.split([',', '\n', '\r', ' ', '\t']).filter(|w| !w.is_empty()) {
        let bytes = STANDARD.decode(word).ok().filter(|b| b.len() == KEY_BYTES).ok_or_else(wrong)?;
        let mut id = String::new();
        for byte in blake3::derive_key("ashlar 2026 id of a secrets key", &bytes).iter().take(4) {
            let _ = write!(id, "{byte:02x}");
        }
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| wrong())?;
        keys.push(Key { id, key: LessSafeKey::new(key) });
    }
    if keys.is_empty() { Err(wrong()) } else { Ok(keys) }
}

fn bound(tenant: &TenantId, id: &str) -> Aad<Vec<u8>> {
    Aad::from(format!("ashlar webhook secret\0{tenant}\0{id}").into_bytes())
}

/// Whether a stored text is sealed.
pub(crate) fn is_sealed(stored: &str) -> bool {
    stored.starts_with(SEALED)
}

impl Secrets {
    /// Those of an installation whose database is at `sql`. The environment comes before the file beside the database.
    pub(crate) fn of(sql: &str) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
        let place = if let Some(keys) = variable(SECRETS_KEY) {
            Place::Given(keys)
        } else if let Some(path) = variable(SECRETS_KEY_FILE) {
            Place::File { path: path.into(), make: false }
        } else {
            match ashlar_store::sql::directory(sql) {
                Some(dir) => Place::File { path: dir.join(FILE), make: true },
                None => Place::Nowhere,
            }
        };
        Self { place, keys: Mutex::default() }
    }

    /// The keys; `None` when there are none yet and a file of them may be made.
    pub(super) fn load(&self) -> Result<Option<Arc<Vec<Key>>>, ReleaseError> {
        let mut known = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = known.as_ref() {
            return Ok(Some(keys.clone()));
        }
        let keys = match &self.place {
            Place::Given(text) => parse(text, SECRETS_KEY)?,
            Place::File { path, make } => {
                ashlar_store::tighten(path);
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                match std::fs::read_to_string(path) {
                    Ok(text) => parse(&text, &name)?,
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound && *make => return Ok(None),
                    Err(e) => {
                        tracing::error!(path = %path.display(), error = %e, "the key of stored secrets cannot be read");
                        return Err(refused(
                            format!("{name}, the key of stored secrets, cannot be read: {}", e.kind()),
                            format!("correct {SECRETS_KEY_FILE}, or restore the file from its backup"),
                        ));
                    }
                }
            }
            Place::Nowhere => {
                return Err(refused(
                    "no key for stored secrets is set",
                    format!(
                        "set {SECRETS_KEY} on every node to the output of `openssl rand -base64 {KEY_BYTES}`, and keep a copy"
                    ),
                ));
            }
        };
        let keys = Arc::new(keys);
        *known = Some(keys.clone());
        Ok(Some(keys))
    }

    /// Makes a key in the file beside the database.
    pub(super) fn make(&self) -> Result<(), ReleaseError> {
        let Place::File { path, make: true } = &self.place else { return Ok(()) };
        let mut bytes = [0_u8; KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(|e| ReleaseError::Task(format!("no randomness: {e}")))?;
        let failed = |e| ReleaseError::from(ashlar_store::StoreError::io("write", path, e));
        let dir = path.parent().unwrap_or(path);
        let write = || -> std::io::Result<()> {
            // A temporary file is its owner's alone.
            let mut file = tempfile::Builder::new().prefix(".secrets-").tempfile_in(dir)?;
            std::io::Write::write_all(&mut file, format!("{}\n", STANDARD.encode(bytes)).as_bytes())?;
            file.as_file().sync_all()?;
            match file.persist_noclobber(path) {
                Ok(_) => std::fs::File::open(dir)?.sync_all(),
                // Another process was faster: its key counts.
                Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                Err(e) => Err(e.error),
            }
        };
        write().map_err(failed)?;
        tracing::info!(path = %path.display(), "a key for stored secrets was made; back it up apart from the database");
        Ok(())
    }

    pub(super) fn seal_with(
        key: &Key,
        tenant: &TenantId,
        id: &str,
        plain: &str,
    ) -> Result<String, ReleaseError> {
        let mut nonce = [0_u8; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|e| ReleaseError::Task(format!("no randomness: {e}")))?;
        let mut sealed = plain.as_bytes().to_vec();
        key.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound(tenant, id), &mut sealed)
            .map_err(|_| ReleaseError::Task("a secret could not be sealed".to_owned()))?;
        let mut all = nonce.to_vec();
        all.extend(sealed);
        Ok(format!("{SEALED}{}:{}", key.id, STANDARD.encode(all)))
    }

    /// Whether a sealed secret was sealed with another key than the first.
    pub(super) fn is_older(keys: &[Key], stored: &str) -> bool {
        let id = stored.strip_prefix(SEALED).and_then(|s| s.split_once(':')).map(|(id, _)| id);
        keys.first().is_some_and(|first| id != Some(first.id.as_str()))
    }

    /// The secret that was stored. One from before secrets were sealed is there as it is.
    pub(crate) fn open(&self, tenant: &TenantId, id: &str, stored: &str) -> Result<String, ReleaseError> {
        let Some(sealed) = stored.strip_prefix(SEALED) else { return Ok(stored.to_owned()) };
        let (name, text) = sealed.split_once(':').ok_or_else(broken)?;
        let keys = self.load()?.unwrap_or_default();
        let key = keys.iter().find(|k| k.id == name).ok_or_else(|| missing(name))?;
        let mut bytes = STANDARD.decode(text).map_err(|_| broken())?;
        if bytes.len() < NONCE_LEN {
            return Err(broken());
        }
        let mut sealed = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| broken())?;
        let plain = key.key.open_in_place(nonce, bound(tenant, id), &mut sealed).map_err(|_| broken())?;
        String::from_utf8(plain.to_vec()).map_err(|_| broken())
    }
}

pub(super) fn missing(name: &str) -> ReleaseError {
    refused(
        format!("a stored secret was sealed with the key {name}, which is not here"),
        format!(
            "restore {FILE} from its backup (or set {SECRETS_KEY}); when it is lost, delete the webhook and make it again"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Secrets {
        Secrets { place: Place::Given(text.to_owned()), keys: Mutex::default() }
    }

    #[test]
    fn secrets_open_where_they_belong_and_nowhere_else() {
        let (old, new) = (STANDARD.encode([7_u8; 32]), STANDARD.encode([9_u8; 32]));
        let (main, other) = (TenantId::main(), TenantId::new("other").unwrap());
        let one = with(&old);
        let keys = one.load().unwrap().unwrap();
        let sealed = Secrets::seal_with(&keys[0], &main, "wh_1", "whsec_abc").unwrap();
        assert!(is_sealed(&sealed) && !sealed.contains("whsec"));
        assert_eq!(one.open(&main, "wh_1", &sealed).unwrap(), "whsec_abc");
        assert_eq!(one.open(&main, "wh_1", "whsec_plain").unwrap(), "whsec_plain");
        for (tenant, id) in [(&main, "wh_2"), (&other, "wh_1")] {
            assert!(matches!(one.open(tenant, id, &sealed), Err(ReleaseError::Corrupt { .. })));
        }
        let both = with(&format!("{new},{old}"));
        assert_eq!(both.open(&main, "wh_1", &sealed).unwrap(), "whsec_abc");
        assert!(Secrets::is_older(&both.load().unwrap().unwrap(), &sealed));
        let error = with(&new).open(&main, "wh_1", &sealed).unwrap_err();
        assert_eq!(error.code(), "secrets-key");
        for wrong in ["", "abc", "AAAA"] {
            assert!(with(wrong).load().is_err(), "{wrong}");
        }
    }
}
