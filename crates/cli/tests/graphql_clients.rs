//! Standard GraphQL clients against a server: Apollo Client and urql with persisted queries.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{path::Path, path::PathBuf, process::Command};

use common::{Rig, start};

/// A folder with the clients, kept beside the build; `None` when they cannot be had and need not.
fn clients() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("graphql-clients");
    let there = |name: &str| dir.join("node_modules").join(name).exists();
    let packages =
        ["@apollo/client@3.14.1", "@urql/core@6.0.3", "@urql/exchange-persisted@5.0.1", "graphql@16.15.0"];
    let names = ["@apollo/client", "@urql/core", "@urql/exchange-persisted", "graphql"];
    if !names.iter().all(|n| there(n)) {
        std::fs::create_dir_all(&dir).unwrap();
        let args = ["install", "--silent", "--no-audit", "--no-fund"];
        let _ = Command::new("npm").args(args).args(packages).current_dir(&dir).output();
    }
    if names.iter().all(|n| there(n)) {
        return Some(dir);
    }
    assert!(
        std::env::var_os("ASHLAR_REQUIRE_ALL").is_none(),
        "npm or the GraphQL clients are absent, and everything is required"
    );
    println!("not run: npm or the GraphQL clients are absent");
    None
}

/// Asks with both clients, by `GET` and by `POST`, for a document of the release and for one that is not in it.
const PROGRAM: &str = r#"
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import core from "@apollo/client/core/core.cjs";
import persisted from "@apollo/client/link/persisted-queries/persisted-queries.cjs";
import { Client, cacheExchange, fetchExchange, gql as urqlGql } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";

const { ApolloClient, HttpLink, InMemoryCache, gql } = core;
const url = process.env.CONTENT_URL + "/graphql";
const text = readFileSync(process.env.DOCUMENT, "utf8");
const sha256 = (t) => createHash("sha256").update(t).digest("hex");
const sent = [];
const fetcher = async (input, init) => {
  sent.push(`${init?.method ?? "GET"} ${init?.body?.includes('"query"') || String(input).includes("query=") ? "text" : "hash"}`);
  return fetch(input, init);
};
const told = (name, value) => console.log(`${name}: ${value}`);
const variables = { slug: "home", locale: "de" };

{
  const link = persisted.createPersistedQueryLink({ sha256, useGETForHashedQueries: true })
    .concat(new HttpLink({ uri: url, fetch: fetcher }));
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  const search = gql(readFileSync(process.env.SEARCH, "utf8"));
  const found = await client.query({ query: search, variables: { words: "tides", locale: "en" } });
  const [hit] = found.data.search.hits;
  told("apollo search", `${found.data.search.__typename} ${hit.__typename} ${typeof hit.entry._type} (${sent.join(", ")})`);
}

for (const get of [true, false]) {
  const link = persisted.createPersistedQueryLink({ sha256, useGETForHashedQueries: get })
    .concat(new HttpLink({ uri: url, fetch: fetcher }));
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  sent.length = 0;
  const found = await client.query({ query: gql(text), variables });
  told(`apollo ${get}`, `${found.data.page.title} ${found.data.page.__typename} (${sent.join(", ")})`);
  sent.length = 0;
  const other = await client.query({ query: gql`query Other { person(id: "mara") { name } }`, errorPolicy: "all" }).catch((e) => e);
  const said = JSON.stringify([other.errors, other.message, other.networkError?.result, other.graphQLErrors]);
  told(`apollo ${get} other`, `${said.includes("persisted-only")} (${sent.join(", ")})`);

  const exchanges = [cacheExchange, persistedExchange({ preferGetForPersistedQueries: get ? "force" : false }), fetchExchange];
  const urql = new Client({ url, exchanges, fetch: fetcher, preferGetMethod: false });
  sent.length = 0;
  const answer = await urql.query(urqlGql(text), variables).toPromise();
  told(`urql ${get}`, `${answer.data?.page?.title ?? answer.error} ${answer.data?.page?.__typename} (${sent.join(", ")})`);
  sent.length = 0;
  const none = await urql.query(urqlGql`query Other { person(id: "mara") { name } }`, {}).toPromise();
  told(`urql ${get} other`, `${none.error?.graphQLErrors?.[0]?.extensions?.code} (${sent.join(", ")})`);
}
"#;

#[test]
fn apollo_client_and_urql_send_hashes() {
    let Some(tools) = clients() else { return };
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
    let (server, ready) = start(&rig, &["demo", "--data", "demo"]);
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/demo/queries/offer.graphql");
    let program = tools.join(format!("ask-{}.mjs", std::process::id()));
    std::fs::write(&program, PROGRAM).unwrap();
    let run = Command::new("node")
        .arg(&program)
        .current_dir(&tools)
        .env("CONTENT_URL", ready["url"].as_str().unwrap())
        .env("DOCUMENT", document)
        .env("SEARCH", concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/demo/queries/search.graphql"))
        .env("NODE_ENV", "production")
        .output()
        .unwrap();
    let _ = std::fs::remove_file(&program);
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    let title =
        said.lines().nth(1).unwrap().strip_prefix("apollo true: ").unwrap().split(" PageV1").next().unwrap();
    assert!(!title.is_empty(), "{said}");
    let expect = [
        "apollo search: SearchResults SearchHit string (GET hash)".to_owned(),
        format!("apollo true: {title} PageV1 (GET hash)"),
        "apollo true other: true (GET hash, POST text)".to_owned(),
        format!("urql true: {title} PageV1 (GET hash)"),
        "urql true other: persisted-only (GET hash, GET text)".to_owned(),
        format!("apollo false: {title} PageV1 (POST hash)"),
        "apollo false other: true (POST hash, POST text)".to_owned(),
        format!("urql false: {title} PageV1 (POST hash)"),
        "urql false other: persisted-only (POST hash, POST text)".to_owned(),
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expect, "{said}");
    drop(server);
}
