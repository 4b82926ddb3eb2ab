//! A shared cache in front of both tenants, as RFC 9111 lets one be: what it would store for a host name must be that
//! tenant's, and the same whoever asked.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::{http::Answer, rig};

/// What is stored under host, path and the headers that the answer varies by.
type Stored = HashMap<(String, String, Vec<(String, String)>), (blake3::Hash, String)>;

/// The cache.
#[derive(Default)]
pub struct Cache {
    stored: Mutex<Stored>,
}

/// What caches make no copies of, or what differs by nature.
const OWN: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/v1/changes"];

/// Whether a shared cache may store the answer. One without `Cache-Control` is: caches guess a lifetime.
fn storable(answer: &Answer, keyed: bool) -> bool {
    let control = answer.header("cache-control").unwrap_or_default();
    let has = |word: &str| control.split(',').any(|d| d.trim().starts_with(word));
    let may = answer.status == 200 && !has("no-store") && !has("private");
    may && (!keyed || has("public") || has("s-maxage") || has("must-revalidate"))
}

impl Cache {
    /// Shows an answer to the cache; says what is wrong with storing it.
    pub fn see(
        &self,
        host: &str,
        path: &str,
        headers: &[(String, String)],
        keyed: Option<&str>,
        answer: &Answer,
    ) -> Option<String> {
        if !storable(answer, keyed.is_some()) || OWN.iter().any(|p| path.starts_with(p)) {
            return None;
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        for tenant in [rig::HOSTILE, rig::QUIET] {
            if host != format!("{tenant}.example") && answer.contains(&rig::marker(tenant)) {
                return Some(format!(
                    "a shared cache would serve content of {tenant} to readers of {host}{path}"
                ));
            }
        }
        let vary = answer.header("vary").unwrap_or_default();
        if vary.contains('*') {
            return None;
        }
        let sent = |name: &str| match name {
            "authorization" => keyed.unwrap_or_default().to_owned(),
            _ => headers
                .iter()
                .filter(|(n, _)| n == name)
                .map(|(_, v)| v.as_str())
                .collect::<Vec<_>>()
                .join(","),
        };
        let by: Vec<(String, String)> = vary
            .split(',')
            .map(str::trim)
            .filter(|n| !n.is_empty())
            .map(|n| (n.to_owned(), sent(n)))
            .collect();
        let who = if keyed.is_some() { "with a key" } else { "without a key" };
        let sum = blake3::hash(&answer.body);
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (host.clone(), path.to_owned(), by);
        let before = stored.entry(place).or_insert_with(|| (sum, who.to_owned()));
        (before.0 != sum).then(|| {
            format!(
                "a shared cache holds {host}{path} as it was answered {}; {who} it is another body",
                before.1
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(head: &str, body: &str) -> Answer {
        Answer { status: 200, head: format!("http/1.1 200 ok\r\n{head}"), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn only_what_a_shared_cache_stores_is_compared() {
        let cache = Cache::default();
        let see = |host: &str, key: Option<&str>, answer: &Answer| {
            cache.see(host, "/a", &[], key, answer).is_some()
        };
        let public = answer("cache-control: public, max-age=60", "one");
        assert!(!see("beta.example", None, &public));
        assert!(!see("beta.example", Some("k"), &public));
        // Another body under the same address, stored although a key was sent.
        let other = answer("cache-control: public, max-age=60", "two");
        assert!(see("beta.example", Some("k"), &other));
        // Private, not stored, or kept apart by the key.
        assert!(!see("beta.example", Some("k"), &answer("cache-control: private, no-cache", "two")));
        assert!(!see("beta.example", Some("k"), &answer("content-type: a/b", "two")));
        assert!(!see(
            "beta.example",
            Some("k"),
            &answer("cache-control: public\r\nvary: authorization", "two")
        ));
        // No lifetime and no key: caches guess one.
        assert!(see("beta.example", None, &answer("content-type: a/b", "two")));
    }

    #[test]
    fn content_of_one_tenant_belongs_under_its_name_alone() {
        let cache = Cache::default();
        let body = rig::marker(rig::HOSTILE);
        let answer = answer("cache-control: public", &body);
        assert!(cache.see("ALPHA.example.", "/a", &[], None, &answer).is_none());
        assert!(cache.see("beta.example", "/a", &[], None, &answer).is_some());
    }
}
