use std::fmt::Write as _;

use serde_json::{Value, json};

use super::shapes::{Definition, Operation, Query, Type, body_name, pascal};
use crate::ContractSet;

const CLIENT: &str = r#"
/** Where a client reads, and as whom. */
export interface ClientOptions {
  /** The address of the server: `https://content.example.com`. */
  baseUrl: string;
  /** An API key; without one the public channel is read. */
  key?: string;
  /** Another `fetch`, for tests and older runtimes. */
  fetch?: typeof fetch;
}

/** What one read may say. */
export interface ReadOptions {
  /** The locale; the server's default, or by `headers`, when absent. */
  locale?: Locale;
  /** An entity tag that is known: the answer is then `null` when nothing has changed. */
  etag?: string;
  /** Ends the request. */
  signal?: AbortSignal;
  /** More headers. */
  headers?: Record<string, string>;
}

/** A body with what made it. */
export interface Read<T> {
  body: T;
  /** The release it is from: `r42`. */
  release: string;
  /** Its entity tag. */
  etag: string;
  /** The locale it is in. */
  locale: string;
}

/** An answer that is no content: RFC 9457. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly type: string,
    readonly detail: string,
    readonly help: string,
    readonly traceId: string,
  ) {
    super(`${status}: ${detail}`);
    this.name = "Problem";
  }
}

async function read<T>(client: ClientOptions, path: string, query: Record<string, string>, options: ReadOptions): Promise<Read<T> | null> {
  const url = new URL(path, client.baseUrl);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  if (options.locale !== undefined) url.searchParams.set("locale", options.locale);
  const headers: Record<string, string> = { accept: "application/json", ...options.headers };
  if (client.key !== undefined) headers["authorization"] = `Bearer ${client.key}`;
  if (options.etag !== undefined) headers["if-none-match"] = options.etag;
  const init: RequestInit = { headers };
  if (options.signal !== undefined) init.signal = options.signal;
  const response = await (client.fetch ?? fetch)(url, init);
  if (response.status === 304) return null;
  if (!response.ok) {
    const problem = (await response.json().catch(() => ({}))) as Record<string, unknown>;
    if (Array.isArray(problem["errors"])) throw new GraphqlFailure(problem["errors"] as GraphqlError[]);
    const text = (name: string): string => (typeof problem[name] === "string" ? (problem[name] as string) : "");
    throw new Problem(response.status, text("type"), text("detail") || response.statusText, text("help"), text("trace_id"));
  }
  const header = (name: string): string => response.headers.get(name) ?? "";
  return {
    body: (await response.json()) as T,
    release: header("ashlar-release"),
    etag: header("etag"),
    locale: header("content-language"),
  };
}

/** What a persisted operation had to say against a request. */
export interface GraphqlError {
  message: string;
  path?: Array<string | number>;
  extensions?: Record<string, unknown>;
}

/** Errors of a persisted operation. */
export class GraphqlFailure extends Error {
  constructor(readonly errors: GraphqlError[]) {
    super(errors.map((e) => e.message).join("; "));
    this.name = "GraphqlFailure";
  }
}

async function run<T>(client: ClientOptions, documentId: string, operationName: string, variables: object, options: ReadOptions): Promise<Read<T> | null> {
  const query: Record<string, string> = { documentId };
  if (operationName !== "") query["operationName"] = operationName;
  if (Object.keys(variables).length > 0) query["variables"] = JSON.stringify(variables);
  const headers = { ...options.headers, accept: "application/graphql-response+json, application/json" };
  const found = await read<{ data?: T | null; errors?: GraphqlError[] }>(client, "/graphql", query, { ...options, headers });
  if (found === null) return null;
  const { data, errors } = found.body;
  if (errors !== undefined || data === undefined || data === null) throw new GraphqlFailure(errors ?? []);
  return { ...found, body: data };
}

/** A page of a list. */
export interface Page<T> {
  items: Array<{ id: string; locale: string; fields: T }>;
  next_cursor?: string | null;
}

/** What a list may say: `sort`, `cursor`, `limit`, and indexed fields with a value. */
export type ListQuery = Record<string, string>;

const encode = (value: string): string => value.split("/").map(encodeURIComponent).join("/");
"#;

/// The search of a release, unless a view has its name.
const SEARCH: &str = r#"
/** What a search may say besides its words: `index`, `type`, `mode`, `facets`, `limit`, `offset`, `version`, and attributes. */
export type SearchQuery = Record<string, string>;

/** An entry that was found, with the part of it that answers best. */
export interface SearchHit {
  type: string;
  id: string;
  locale: string;
  title: string;
  title_marks: Array<[number, number]>;
  path: string | null;
  index: string;
  snippet: { text: string; marks: Array<[number, number]> };
  headings: string[];
  anchor: string | null;
  score: number;
  chunk: string;
  field: string;
  from: number;
  to: number;
  pinned?: boolean;
}

/** What a search found. */
export interface SearchResults {
  query: string;
  locale: string;
  indexes: string[];
  mode: string;
  vectors: boolean;
  hits: SearchHit[];
  total: number;
  facets: Record<string, Record<string, number>>;
  did_you_mean: string | null;
  next_offset: number | null;
}

/** How the last word of a query may go on. */
export interface SearchSuggestions {
  query: string;
  locale: string;
  indexes: string[];
  suggestions: string[];
}
"#;

const SEARCH_METHOD: &str = r#"    /**
     * GET /v1/search · What a search finds, the best first.
     */
    search: (q: string, query: SearchQuery = {}, options: ReadOptions = {}): Promise<Read<SearchResults> | null> =>
      read<SearchResults>(client, "/v1/search", { ...query, q }, options),
"#;

const SUGGEST_METHOD: &str = r#"    /**
     * GET /v1/search/suggest · How the last word of a query may go on: whole queries, the most frequent words first.
     */
    suggest: (q: string, query: SearchQuery = {}, options: ReadOptions = {}): Promise<Read<SearchSuggestions> | null> =>
      read<SearchSuggestions>(client, "/v1/search/suggest", { ...query, q }, options),
"#;

/// Types, then a client with a method for each operation.
///
/// Long because it is the file from top to bottom.
pub(super) fn write_typescript(
    contracts: &ContractSet,
    definitions: &[Definition],
    operations: &[Operation],
    queries: &[Query],
    locales: &[String],
) -> String {
    let mut out = String::from(
        "// Written by `ashlar contracts types --lang ts`. Changes belong into the contracts and views.\n\n",
    );
    let locales: Vec<String> = locales.iter().map(|l| json!(l).to_string()).collect();
    let locales = if locales.is_empty() { "string".to_owned() } else { locales.join(" | ") };
    let _ = writeln!(out, "/** The locales of the project. */\nexport type Locale = {locales};\n");
    for definition in definitions {
        if !definition.doc.is_empty() {
            let _ = writeln!(out, "/** {} */", definition.doc);
        }
        match &definition.kind {
            Type::Object(_) => {
                let _ =
                    writeln!(out, "export interface {} {}\n", definition.name, shown(&definition.kind, 0));
            }
            kind => {
                let _ = writeln!(out, "export type {} = {};\n", definition.name, shown(kind, 0));
            }
        }
    }
    out.push_str(CLIENT);
    let is_free = |name: &str| operations.iter().all(|operation| camel(&operation.name) != name);
    let searches = is_free("search");
    if searches {
        out.push_str(SEARCH);
    }
    out.push_str("\n/** Makes a client. Its methods answer `null` only when `etag` was given and nothing has changed. */\n");
    out.push_str("export function createClient(client: ClientOptions) {\n  return {\n");
    for operation in operations {
        let (body, parameter) = (body_name(operation), identifier(&operation.parameter));
        let mark = if operation.deprecated { "\n     * @deprecated" } else { "" };
        let _ = writeln!(
            out,
            "    /**\n     * GET {}{{{}}} · {}{mark}\n     */\n    {}: ({parameter}: string, options: ReadOptions = {{}}): Promise<Read<{body}> | null> =>\n      \
             read<{body}>(client, {} + encode({parameter}), {{}}, options),",
            operation.prefix,
            operation.parameter,
            operation.doc,
            camel(&operation.name),
            json!(operation.prefix),
        );
    }
    if searches {
        out.push_str(SEARCH_METHOD);
        if is_free("suggest") {
            out.push_str(SUGGEST_METHOD);
        }
    }
    out.push_str("    entries: {\n");
    for (name, versions) in contracts.types() {
        let fields: Vec<String> = versions.iter().map(|c| pascal(&c.name.to_string())).collect();
        let fields = fields.join(" | ");
        let _ = writeln!(
            out,
            "      {}: {{\n        get: (id: string, options: ReadOptions = {{}}): Promise<Read<{fields}> | null> =>\n          \
             read<{fields}>(client, {} + encode(id), {{}}, options),\n        \
             list: (query: ListQuery = {{}}, options: ReadOptions = {{}}): Promise<Read<Page<{fields}>> | null> =>\n          \
             read<Page<{fields}>>(client, {}, query, options),\n      }},",
            camel(name.as_str()),
            json!(format!("/v1/entries/{name}/")),
            json!(format!("/v1/entries/{name}")),
        );
    }
    out.push_str("    },\n    queries: {\n");
    for query in queries {
        let name = pascal(&query.name);
        let needed = query.variables.get("required").and_then(Value::as_array).is_some_and(|r| !r.is_empty());
        let default = if needed { "" } else { " = {}" };
        let operation = query.operation_name.as_ref().map_or(json!(""), |n| json!(n));
        let _ = writeln!(
            out,
            "      /** {} */\n      {}: (variables: {name}Variables{default}, options: ReadOptions = {{}}): Promise<Read<{name}Data> | null> =>\n        \
             run<{name}Data>(client, {}, {operation}, variables, options),",
            query.doc,
            camel(&query.name),
            json!(query.document_id),
        );
    }
    out.push_str("    },\n  };\n}\n");
    out
}

fn camel(text: &str) -> String {
    let name = pascal(text);
    let (first, rest) = name.split_at(1);
    format!("{}{rest}", first.to_ascii_lowercase())
}

fn identifier(text: &str) -> String {
    const RESERVED: [&str; 6] = ["default", "class", "new", "options", "client", "in"];
    let name = camel(text);
    if RESERVED.contains(&name.as_str()) { format!("{name}_") } else { name }
}

/// A name as a member of an object.
fn key(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
    if plain { name.to_owned() } else { json!(name).to_string() }
}

fn shown(kind: &Type, indent: usize) -> String {
    match kind {
        Type::Any => "unknown".to_owned(),
        Type::Null => "null".to_owned(),
        Type::Bool => "boolean".to_owned(),
        Type::Number | Type::Integer | Type::SmallInteger => "number".to_owned(),
        Type::Text | Type::Reference(_) => "string".to_owned(),
        Type::Literal(value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_))) => {
            value.to_string()
        }
        Type::Literal(_) => "unknown".to_owned(),
        Type::List(of) => format!("Array<{}>", shown(of, indent)),
        Type::Dictionary(of) => format!("Record<string, {}>", shown(of, indent)),
        Type::Named(name) => name.clone(),
        Type::Union(list) => {
            let parts: Vec<String> = list.iter().map(|k| grouped(k, indent)).collect();
            parts.join(" | ")
        }
        Type::Both(list) => {
            let parts: Vec<String> = list.iter().map(|k| grouped(k, indent)).collect();
            parts.join(" & ")
        }
        Type::Object(members) => {
            let pad = "  ".repeat(indent + 1);
            let mut out = String::from("{\n");
            for member in members {
                if !member.doc.is_empty() {
                    let _ = writeln!(out, "{pad}/** {} */", member.doc);
                }
                let mark = if member.required { "" } else { "?" };
                let _ =
                    writeln!(out, "{pad}{}{mark}: {};", key(&member.name), shown(&member.kind, indent + 1));
            }
            let _ = write!(out, "{}}}", "  ".repeat(indent));
            out
        }
    }
}

fn grouped(kind: &Type, indent: usize) -> String {
    match kind {
        Type::Union(_) | Type::Both(_) => format!("({})", shown(kind, indent)),
        kind => shown(kind, indent),
    }
}
