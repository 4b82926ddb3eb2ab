//! Words that say nothing about what a text is about.

/// The stop words of a language, in lower case.
pub(super) fn words(language: &str) -> &'static [&'static str] {
    match language {
        "en" => &[
            "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it",
            "no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they",
            "this", "to", "was", "will", "with",
        ],
        "de" => &[
            "aber", "als", "am", "an", "auch", "auf", "aus", "bei", "bin", "bis", "das", "dass", "dem",
            "den", "der", "des", "die", "dies", "du", "durch", "ein", "eine", "einem", "einen", "einer",
            "eines", "er", "es", "für", "hat", "ich", "ihr", "im", "in", "ist", "kann", "mit", "nach",
            "nicht", "noch", "nur", "oder", "sich", "sie", "sind", "so", "um", "und", "von", "vor", "war",
            "was", "wenn", "werden", "wie", "wir", "wird", "zu", "zum", "zur",
        ],
        "fr" => &[
            "à", "au", "aux", "avec", "c", "ce", "ces", "cet", "cette", "d", "dans", "de", "des", "du",
            "elle", "en", "est", "et", "il", "ils", "j", "je", "l", "la", "le", "les", "leur", "m", "mais",
            "n", "ne", "nous", "on", "ou", "par", "pas", "pour", "qu", "que", "qui", "s", "sa", "se", "ses",
            "son", "sont", "sur", "t", "un", "une", "vous", "y",
        ],
        "es" => &[
            "a", "al", "como", "con", "de", "del", "el", "ella", "en", "es", "esta", "este", "la", "las",
            "le", "lo", "los", "más", "no", "o", "para", "pero", "por", "que", "se", "si", "sin", "son",
            "su", "sus", "un", "una", "y", "ya",
        ],
        "it" => &[
            "a", "al", "alla", "che", "con", "da", "dal", "dei", "del", "della", "di", "e", "è", "ed", "gli",
            "i", "il", "in", "la", "le", "lo", "ma", "nel", "nella", "non", "o", "per", "si", "sono", "su",
            "un", "una", "uno",
        ],
        "nl" => &[
            "aan", "als", "bij", "dat", "de", "die", "dit", "een", "en", "er", "het", "hij", "ik", "in",
            "is", "je", "met", "naar", "niet", "of", "om", "op", "te", "tot", "uit", "van", "voor", "was",
            "wat", "we", "wordt", "ze", "zijn",
        ],
        "pt" => &[
            "a", "ao", "as", "com", "como", "da", "das", "de", "do", "dos", "e", "é", "em", "na", "nas",
            "no", "nos", "não", "o", "os", "ou", "para", "pela", "pelo", "por", "que", "se", "sua", "são",
            "um", "uma",
        ],
        "sv" | "da" | "nb" | "nn" | "no" => &[
            "af", "att", "av", "de", "den", "det", "du", "eller", "en", "er", "et", "ett", "för", "for",
            "han", "har", "i", "ikke", "inte", "jag", "jeg", "med", "man", "men", "og", "och", "om", "på",
            "som", "så", "til", "till", "var", "vi", "är",
        ],
        _ => &[],
    }
}
