//! Words that questions are made of, in the languages that are known. Other languages do without: every word counts as content.

/// What kind of answer a question expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expects {
    /// Nothing in particular.
    Anything,
    /// A number or an amount.
    Number,
    /// A date or a time.
    Time,
    /// A person or an organisation.
    Name,
    /// A place.
    Place,
    /// A reason.
    Reason,
}

/// Words that ask, and words that only carry the grammar of a question.
const ASKING: &[&str] = &[
    // English
    "what",
    "which",
    "who",
    "whom",
    "whose",
    "when",
    "where",
    "why",
    "how",
    "many",
    "much",
    "do",
    "does",
    "did",
    "done",
    "have",
    "has",
    "had",
    "having",
    "been",
    "being",
    "were",
    "would",
    "could",
    "can",
    "should",
    "may",
    "might",
    "must",
    "shall",
    "he",
    "she",
    "him",
    "his",
    "her",
    "hers",
    "its",
    "them",
    "i",
    "me",
    "my",
    "we",
    "us",
    "our",
    "you",
    "your",
    "from",
    "about",
    "than",
    "also",
    "so",
    "any",
    "some",
    "each",
    "every",
    "per",
    "please",
    "name",
    "tell",
    "other",
    "another",
    "am",
    "happen",
    "happens",
    "happened",
    "mean",
    "means",
    "meant", // German
    "wer",
    "wen",
    "wem",
    "wann",
    "wo",
    "wieso",
    "warum",
    "weshalb",
    "welche",
    "welcher",
    "welches",
    "welchen",
    "viel",
    "viele",
    "haben",
    "hat",
    "wurde",
    "wurden",
    "waren",
    "sein",
    "gibt",
    "es",
    "man",
    "pro",
    "jede",
    "jeder",
    "jedes",
    "jeden",
    "woher",
    "wohin",
    "womit",
    "wozu",
    "können",
    "könnte",
    "könnten",
    "soll",
    "sollte",
    "muss",
    "müssen",
    "darf",
    "dürfen",
    "bedeutet",
    "bedeuten",
    "heißt",
    "passiert",
    "geschieht",
    "ihr",
    "mein",
    "meine",
    "unser",
    "unsere",
    "unseren", // French
    "quel",
    "quelle",
    "quels",
    "quelles",
    "quand",
    "où",
    "pourquoi",
    "comment",
    "combien",
    "est",
    "ce",
    "sont",
    "était",
    "ont",
    "chaque",
    "quoi",
    "peut",
    "peuvent",
    "puis",
    "pouvons",
    "doit",
    "faut",
    "signifie",
    "signifient",
    "veut",
    "dire",
];

/// Words that begin a question whether something is so.
const WHETHER: &[&str] = &[
    "do", "does", "did", "is", "are", "was", "were", "can", "could", "will", "would", "may", "must",
    "should", "has", "have", "ist", "sind", "kann", "können", "hat", "haben", "gibt", "darf", "dürfen",
    "muss", "müssen", "peut", "est", "sont", "faut",
];

/// Words that say that something is something.
const COPULA: &[&str] =
    &["is", "are", "means", "mean", "ist", "sind", "bedeutet", "heißt", "est", "sont", "signifie", "désigne"];

/// Words that begin a condition.
const CONDITION: &[&str] = &["when", "if", "as", "wenn", "sobald", "quand", "si", "lorsque"];

/// Words that stand for what the sentence before is about.
const PRONOUNS: &[&str] = &[
    "it", "they", "this", "these", "es", "sie", "er", "dies", "diese", "il", "elle", "ils", "elles", "cela",
];

/// What is asked for after `how`.
const MEASURED: &[&str] = &[
    "long", "often", "old", "far", "large", "tall", "big", "soon", "lange", "oft", "alt", "weit", "groß",
    "hoch", "temps",
];

/// Spans of time.
const SPANS: &[&str] = &[
    "second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "week", "weeks", "month",
    "months", "sekunden", "minuten", "stunde", "stunden", "tag", "tage", "tagen", "woche", "wochen", "monat",
    "monats", "monate", "secondes", "heure", "heures", "jour", "jours", "semaine", "semaines", "mois",
];

/// Words that deny.
const DENYING: &[&str] = &[
    "not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "without", "cannot", "except",
    "besides", "nicht", "kein", "keine", "keinen", "nie", "ohne", "pas", "jamais", "aucun", "sans",
];

/// Words that mean nearly the same in questions and their answers, as groups. The first of a group stands for all.
const SAME: &[&[&str]] = &[
    &[
        "price", "prices", "priced", "cost", "costs", "fee", "fees", "charge", "charges", "expense", "pay",
        "preis", "preise", "kosten", "kostet", "prix", "coût", "coûte", "coûtent", "tarif", "tarifs",
    ],
    &["month", "months", "monthly", "monat", "monate", "monaten", "monatlich", "mois", "mensuel"],
    &["year", "years", "yearly", "annual", "annually", "jahr", "jahre", "jährlich", "année", "années"],
    &["week", "weeks", "weekly", "woche", "wochen", "semaine", "semaines"],
    &["day", "days", "daily", "tag", "tage", "täglich", "jour", "jours"],
    &["start", "starts", "started", "starting", "begin", "begins", "began", "begun", "beginning"],
    &["end", "ends", "ended", "finish", "finished", "conclude", "concluded"],
    &["die", "died", "death", "dies"],
    &["born", "birth"],
    &["build", "built", "construct", "constructed", "construction"],
    &["found", "founded", "establish", "established", "establishment", "founding"],
    &["big", "bigger", "biggest", "large", "larger", "largest"],
    &["make", "makes", "made", "making"],
    &["call", "called", "named", "known", "term", "termed"],
    &["fight", "fought", "battle", "battles"],
    &["write", "wrote", "written", "author"],
    &["lead", "led", "leader", "leads"],
    &["buy", "bought", "purchase", "purchased"],
    &["go", "goes", "went", "gone"],
    &["give", "gives", "gave", "given"],
    &["take", "takes", "took", "taken"],
    &["become", "became", "becomes"],
    &["win", "won", "winner", "victory"],
    &["leave", "left", "leaving"],
    &["teach", "taught", "teaches"],
    &["speak", "spoke", "spoken", "speaks"],
    &["choose", "chose", "chosen", "select", "selected"],
    &["grow", "grew", "grown", "growth"],
    &["kind", "kinds", "type", "types", "sort"],
    &[
        "plan",
        "plans",
        "package",
        "packages",
        "subscription",
        "subscriptions",
        "paket",
        "pakete",
        "abo",
        "formule",
        "formules",
        "abonnement",
        "abonnements",
    ],
    &["use", "used", "uses", "using", "utilize", "utilized"],
];

/// Words of which one denies the other.
const OPPOSITE: &[(&str, &str)] = &[
    ("first", "last"),
    ("first", "second"),
    ("before", "after"),
    ("increase", "decrease"),
    ("increased", "decreased"),
    ("increasing", "decreasing"),
    ("more", "less"),
    ("more", "fewer"),
    ("most", "least"),
    ("high", "low"),
    ("higher", "lower"),
    ("highest", "lowest"),
    ("large", "small"),
    ("larger", "smaller"),
    ("largest", "smallest"),
    ("long", "short"),
    ("longest", "shortest"),
    ("old", "new"),
    ("oldest", "newest"),
    ("early", "late"),
    ("north", "south"),
    ("northern", "southern"),
    ("east", "west"),
    ("eastern", "western"),
    ("inside", "outside"),
    ("internal", "external"),
    ("public", "private"),
    ("legal", "illegal"),
    ("possible", "impossible"),
    ("strong", "weak"),
    ("rich", "poor"),
    ("male", "female"),
    ("men", "women"),
    ("positive", "negative"),
    ("best", "worst"),
    ("upper", "lower"),
    ("begin", "end"),
    ("win", "lose"),
    ("won", "lost"),
    ("accept", "reject"),
    ("allow", "forbid"),
    ("directed", "undirected"),
    ("left", "right"),
    ("same", "different"),
];

const TIMES: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "century",
    "centuries",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "januar",
    "februar",
    "märz",
    "mai",
    "juni",
    "juli",
    "oktober",
    "dezember",
    "janvier",
    "février",
    "mars",
    "juillet",
    "août",
    "décembre",
];

const NUMBERS: &[&str] = &[
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fifteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "hundreds",
    "thousand",
    "thousands",
    "million",
    "millions",
    "billion",
    "half",
    "third",
    "quarter",
    "dozen",
    "twice",
    "double",
    "zwei",
    "drei",
    "vier",
    "fünf",
    "sechs",
    "sieben",
    "acht",
    "neun",
    "zehn",
    "zwölf",
    "zwanzig",
    "dreißig",
    "vierzig",
    "hundert",
    "tausend",
    "deux",
    "trois",
    "quatre",
    "cinq",
    "sept",
    "huit",
    "neuf",
    "dix",
    "douze",
    "vingt",
    "trente",
    "quarante",
    "cent",
];

const REASONS: &[&str] = &[
    "because",
    "due",
    "since",
    "so",
    "therefore",
    "reason",
    "reasons",
    "cause",
    "caused",
    "result",
    "order",
    "avoid",
    "allow",
    "allows",
    "weil",
    "wegen",
    "damit",
    "parce",
    "afin",
    "puisque",
];

const PLACE_BEFORE: &[&str] = &[
    "in",
    "at",
    "from",
    "near",
    "to",
    "into",
    "of",
    "between",
    "outside",
    "across",
    "throughout",
    "von",
    "bei",
    "nach",
    "aus",
    "à",
    "dans",
    "en",
    "vers",
];

const ASKS_TIME: &[&str] = &[
    "year", "years", "date", "day", "month", "century", "decade", "time", "era", "jahr", "datum", "tag",
    "monat", "année", "jour", "mois", "date", "siècle",
];

const ASKS_NUMBER: &[&str] = &[
    "percentage",
    "percent",
    "number",
    "population",
    "amount",
    "age",
    "price",
    "cost",
    "height",
    "size",
    "length",
    "preis",
    "zahl",
    "anzahl",
    "prix",
    "nombre",
    "fraction",
];

const ASKS_PLACE: &[&str] = &[
    "country",
    "city",
    "state",
    "place",
    "region",
    "town",
    "county",
    "continent",
    "area",
    "location",
    "village",
    "province",
    "land",
    "stadt",
    "ort",
    "pays",
    "ville",
    "lieu",
    "river",
];

const ASKS_NAME: &[&str] = &[
    "person",
    "president",
    "king",
    "scientist",
    "company",
    "organization",
    "organisation",
    "leader",
    "ruler",
    "emperor",
    "author",
    "general",
    "philosopher",
    "group",
    "professor",
];

/// The groups of words that mean nearly the same, in lower case: the word that stands for all of them.
pub(super) fn representative(word: &str) -> &str {
    SAME.iter().find(|group| group.contains(&word)).map_or(word, |group| group[0])
}

/// Whether a word is about what something costs.
pub(super) fn is_price(word: &str) -> bool {
    representative(word) == SAME[0][0]
}

/// Whether a text has an amount of money: a sign or a code of a currency.
pub(super) fn has_amount(text: &str) -> bool {
    text.contains(['€', '$', '£', '¥'])
        || text.split(|c: char| !c.is_alphanumeric()).any(|word| {
            word.len() == 3
                && word.bytes().all(|byte| byte.is_ascii_uppercase())
                && !matches!(word, "API" | "URL" | "PDF")
        }) && text.bytes().any(|byte| byte.is_ascii_digit())
}

pub(super) fn asks(word: &str) -> bool {
    ASKING.contains(&word)
}

/// Whether a word begins a question whether something is so.
pub(super) fn asks_whether(word: &str) -> bool {
    WHETHER.contains(&word)
}

pub(super) fn is_copula(word: &str) -> bool {
    COPULA.contains(&word)
}

pub(super) fn is_condition(word: &str) -> bool {
    CONDITION.contains(&word)
}

pub(super) fn is_pronoun(word: &str) -> bool {
    PRONOUNS.contains(&word)
}

pub(super) fn is_span(word: &str) -> bool {
    SPANS.contains(&word)
}

/// Whether `how` and this word ask for a number.
pub(super) fn is_measure(word: &str) -> bool {
    MEASURED.contains(&word) || matches!(word, "many" | "much") || word.starts_with("viel")
}

/// Whether a word asks for one of several things, which the next word names.
pub(super) fn asks_which(word: &str) -> bool {
    matches!(
        word,
        "what"
            | "which"
            | "welche"
            | "welcher"
            | "welches"
            | "welchen"
            | "quel"
            | "quelle"
            | "quels"
            | "quelles"
    )
}

pub(super) fn is_article(word: &str) -> bool {
    matches!(
        word,
        "a" | "an"
            | "the"
            | "one"
            | "any"
            | "every"
            | "ein"
            | "eine"
            | "einen"
            | "der"
            | "die"
            | "das"
            | "un"
            | "une"
            | "le"
            | "la"
            | "les"
    )
}

/// Whether a word stands for the one who asks.
pub(super) fn is_asker(word: &str) -> bool {
    matches!(word, "i" | "we" | "you" | "one" | "ich" | "wir" | "man")
}

/// Whether a word begins a purpose, at the beginning of a sentence.
pub(super) fn is_purpose(word: &str) -> bool {
    matches!(word, "to" | "um" | "pour")
}

/// Whether a word says what is measured, as `long` in `how long`.
pub(super) fn is_measured(before: &str, word: &str) -> bool {
    matches!(before, "how" | "wie" | "combien" | "de") && MEASURED.contains(&word)
}

pub(super) fn denies(word: &str) -> bool {
    DENYING.contains(&word)
}

pub(super) fn opposites(word: &str) -> impl Iterator<Item = &'static str> {
    OPPOSITE.iter().filter_map(move |(a, b)| {
        if *a == word {
            Some(*b)
        } else if *b == word {
            Some(*a)
        } else {
            None
        }
    })
}

/// Whether a word is another with a prefix that denies it, as `unconnected` is `connected`.
pub(super) fn is_prefixed(word: &str, plain: &str) -> bool {
    plain.len() > 3
        && ["un", "in", "im", "ir", "non", "dis"]
            .iter()
            .any(|prefix| word.strip_prefix(prefix) == Some(plain))
}

pub(super) fn is_time(word: &str) -> bool {
    TIMES.contains(&word)
}

pub(super) fn is_number(word: &str) -> bool {
    NUMBERS.contains(&word)
}

pub(super) fn is_reason(word: &str) -> bool {
    REASONS.contains(&word)
}

pub(super) fn is_before_place(word: &str) -> bool {
    PLACE_BEFORE.contains(&word)
}

/// What a question expects, from its words in lower case, and which word names the kind of the answer (the `year` of `what year`).
pub(super) fn expects(words: &[&str]) -> (Expects, Option<usize>) {
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).copied().unwrap_or_default();
        let kind = |near: &[&str]| {
            let of = |list: &[&str]| near.iter().position(|word| list.contains(word));
            [
                (Expects::Time, of(ASKS_TIME)),
                (Expects::Number, of(ASKS_NUMBER)),
                (Expects::Place, of(ASKS_PLACE)),
                (Expects::Name, of(ASKS_NAME)),
            ]
            .into_iter()
            .find_map(|(kind, place)| Some((kind, place? + at + 1)))
        };
        match *word {
            "when" | "wann" | "quand" => return (Expects::Time, None),
            "where" | "wo" | "où" => return (Expects::Place, None),
            "who" | "whom" | "whose" | "wer" | "wen" | "wem" => return (Expects::Name, None),
            "why" | "warum" | "wieso" | "weshalb" | "pourquoi" => return (Expects::Reason, None),
            "how"
                if matches!(
                    next,
                    "many" | "much" | "long" | "old" | "far" | "large" | "tall" | "big" | "often"
                ) =>
            {
                return (Expects::Number, None);
            }
            "wie" if next.starts_with("viel") || matches!(next, "lange" | "groß" | "hoch" | "oft") => {
                return (Expects::Number, None);
            }
            "kostet" | "kosten" | "coûte" | "coûtent" => return (Expects::Number, None),
            "combien" => return (Expects::Number, None),
            "what" | "which" | "welche" | "welcher" | "welches" | "welchen" | "quel" | "quelle" | "quels"
            | "quelles" => {
                let near = &words[(at + 1).min(words.len())..(at + 5).min(words.len())];
                if let Some((kind, place)) = kind(near) {
                    return (kind, Some(place));
                }
                return (Expects::Anything, None);
            }
            _ => {}
        }
    }
    (Expects::Anything, None)
}
