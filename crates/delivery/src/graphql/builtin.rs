//! What the schema of every project has beside its content: the fields `search` and `answer`.

use std::collections::BTreeMap;

use ashlar_model::TypeName;

use super::slot::{Kind, Slot};

/// The modes of a search, as the schema names them.
const MODE: &str = "SearchMode";
/// A filter of a search.
const FILTER: &str = "SearchFilter";
/// What `search` answers.
pub(super) const RESULTS: &str = "SearchResults";
/// What `answer` answers.
pub(super) const ANSWER: &str = "Answer";

/// A field of an object: its name, the member it shows, its type, and what is said of it.
pub(super) type Shown = (&'static str, &'static str, &'static str, &'static str);

/// An object type: its name, what is said of it, and its fields.
pub(super) type Described = (&'static str, &'static str, &'static [Shown]);

/// The object types.
pub(super) const OBJECTS: [Described; 9] = [
    (
        RESULTS,
        "What a search found.",
        &[
            ("query", "query", "String!", "The query."),
            ("locale", "locale", "String!", "The preferred language."),
            ("indexes", "indexes", "[String!]!", "The indexes that were searched."),
            ("mode", "mode", "String!", "`hybrid`, `words` or `meaning`."),
            ("vectors", "vectors", "Boolean!", "Whether meaning was looked at."),
            ("hits", "hits", "[SearchHit!]!", "Entries, the best first."),
            ("total", "total", "Int!", "How many entries have a word of the query."),
            ("facets", "facets", "[SearchFacet!]!", "What was asked for with `facets`."),
            (
                "didYouMean",
                "did_you_mean",
                "String",
                "The query that was searched instead, when a word was misspelt.",
            ),
            ("nextOffset", "next_offset", "Int", "`offset` of the next hits; null at the end."),
        ],
    ),
    (
        "SearchHit",
        "An entry that was found, with the part of it that answers best.",
        &[
            ("entry", "entry", "Entry", "The entry."),
            ("type", "type", "String!", "Its content type."),
            ("id", "id", "String!", "Its id."),
            ("locale", "locale", "String!", "Its language."),
            ("title", "title", "String!", "Its title."),
            (
                "titleMarks",
                "title_marks",
                "[[Int!]!]!",
                "Where words of the query are in the title, in UTF-16 code units.",
            ),
            ("path", "path", "String", "The path of its page."),
            ("index", "index", "String!", "The index it was found in."),
            ("snippet", "snippet", "SearchSnippet!", "Words around the match."),
            ("headings", "headings", "[String!]!", "The headings above the match, the outermost first."),
            ("anchor", "anchor", "String", "The fragment of the nearest heading on the page."),
            (
                "score",
                "score",
                "Float!",
                "How well it answers, from 0 to 1. Scores of different queries do not compare.",
            ),
            ("chunk", "chunk", "String!", "The id of the part that was found."),
            ("field", "field", "String!", "The field of that part, as a JSON pointer."),
            ("from", "from", "Int!", "Where in the field it begins, in bytes."),
            ("to", "to", "Int!", "Where in the field it ends, in bytes."),
            ("pinned", "pinned", "Boolean!", "Whether `retrieval.toml` puts it first."),
        ],
    ),
    (
        "SearchSnippet",
        "Words of a field.",
        &[
            ("text", "text", "String!", "The words, without markup."),
            ("marks", "marks", "[[Int!]!]!", "Where words of the query are, in UTF-16 code units."),
        ],
    ),
    (
        "SearchFacet",
        "How many entries were found, by value.",
        &[
            ("name", "name", "String!", "`type`, `index` or an attribute."),
            ("values", "values", "[SearchFacetValue!]!", "The values."),
        ],
    ),
    (
        "SearchFacetValue",
        "A value of a facet.",
        &[
            ("value", "value", "String!", "The value."),
            ("count", "count", "Int!", "How many entries have it."),
        ],
    ),
    (
        ANSWER,
        "The answer to a question, or a refusal.",
        &[
            ("question", "question", "String!", "The question."),
            ("answer", "answer", "String", "The answer; null in a refusal."),
            ("citations", "citations", "[AnswerCitation!]!", "What the answer quotes, in its order."),
            (
                "confidence",
                "confidence",
                "Float!",
                "How likely the first quote answers the question, from 0 to 1.",
            ),
            ("refusal", "refusal", "AnswerRefusal", "Why there is no answer."),
            ("release", "release", "String!", "The release that answered."),
            (
                "trace",
                "trace",
                "String!",
                "Everything that is needed to answer again: `ashlar replay TRACE`.",
            ),
            ("retrieved", "retrieved", "[AnswerPassage!]!", "What was looked at, the best first."),
        ],
    ),
    (
        "AnswerCitation",
        "A quote with its place.",
        &[
            ("entry", "entry", "Entry", "The entry."),
            ("type", "type", "String!", "Its content type."),
            ("id", "id", "String!", "Its id."),
            ("locale", "locale", "String!", "Its language."),
            ("title", "title", "String!", "Its title."),
            ("path", "path", "String", "The path of its page."),
            ("anchor", "anchor", "String", "The fragment of its page at which the quote is."),
            ("field", "field", "String!", "The field, as a JSON pointer."),
            ("from", "from", "Int!", "Where in the field the quote begins, in bytes."),
            ("to", "to", "Int!", "Where it ends."),
            ("text", "text", "String!", "The bytes of the field."),
            ("statement", "statement", "String", "What a field says that is no text, such as a price."),
            ("chunk", "chunk", "String", "The chunk it is from; null for a field that is no text."),
        ],
    ),
    (
        "AnswerRefusal",
        "Why there is no answer.",
        &[
            (
                "code",
                "code",
                "String!",
                "`no_question`, `nothing_found`, `not_covered`, `no_such_kind` or `weak_evidence`.",
            ),
            ("reason", "reason", "String!", "The reason, as a sentence."),
        ],
    ),
    (
        "AnswerPassage",
        "A passage that was looked at.",
        &[
            ("type", "type", "String!", "The content type."),
            ("id", "id", "String!", "The id."),
            ("locale", "locale", "String!", "The language."),
            ("field", "field", "String!", "The field, as a JSON pointer."),
            ("chunk", "chunk", "String!", "The chunk."),
            ("score", "score", "Float!", "How well it was found."),
        ],
    ),
];

/// Names of types that are not objects.
pub(super) const OTHERS: [&str; 2] = [MODE, FILTER];

/// The names that the types have in a schema where a project may have taken them.
pub(super) type Names = BTreeMap<&'static str, String>;

fn named(names: &Names, name: &'static str) -> String {
    names.get(name).cloned().unwrap_or_else(|| name.to_owned())
}

/// What a type such as `[SearchHit!]!` allows. `types` are the content types of the project.
pub(super) fn slot(text: &'static str, names: &Names, types: &[TypeName]) -> Slot {
    let (bare, required) = text.strip_suffix('!').map_or((text, false), |bare| (bare, true));
    let kind = match bare.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(item) => Kind::List(Box::new(slot(item, names, types))),
        None => match bare {
            "String" => Kind::Text,
            "Int" => Kind::Int,
            "Float" => Kind::Float,
            "Boolean" => Kind::Bool,
            "Entry" => Kind::Reference(types.to_vec()),
            object => Kind::Object(named(names, object)),
        },
    };
    Slot { kind, required }
}

/// The types that are not objects.
pub(super) fn inputs(names: &Names) -> String {
    let (mode, filter) = (named(names, MODE), named(names, FILTER));
    format!(
        "\"How a search finds: by words and meaning, by words alone, or by meaning alone.\"\nenum {mode} {{\n  hybrid\n  words\n  meaning\n}}\n\n\
         \"An attribute of `retrieval.toml` with values of which an entry has one; `version` asks for what applies to a version.\"\n\
         input {filter} {{ name: String!, values: [String!]! }}\n\n"
    )
}

/// The fields of `Query`. `search` and `answer` are their names.
pub(super) fn fields(names: &Names, (search, answer): (&str, &str)) -> String {
    let common =
        format!("indexes: [String!], types: [String!], filters: [{}!], locale: String", named(names, FILTER));
    format!(
        "  \"Searches the release as `GET /v1/search` does; `limit` is from 1 to 50, 10 when it is not given.\"\n  \
         {search}(query: String!, {common}, mode: {}, limit: Int, offset: Int, facets: [String!]): {}\n  \
         \"Answers a question as `POST /v1/answers` does.\"\n  {answer}(question: String!, {common}): {}\n",
        named(names, MODE),
        named(names, RESULTS),
        named(names, ANSWER),
    )
}
