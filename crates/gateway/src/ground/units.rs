//! Units behind and before numbers, and numbers as words.

/// Units of numbers, as groups of words and signs in lower case that mean the same.
const UNITS: &[&[&str]] = &[
    &["%", "percent", "prozent"],
    &["€", "eur", "euro", "euros"],
    &["$", "usd", "dollar", "dollars"],
    &["£", "gbp"],
    &["¥", "jpy", "yen"],
    &["chf", "franken"],
    &["thousand", "tausend", "mille"],
    &["million", "millions", "millionen", "mio"],
    &["billion", "billions", "milliarde", "milliarden", "milliard", "milliards"],
    &["second", "seconds", "sekunde", "sekunden", "seconde", "secondes"],
    &["ms", "millisecond", "milliseconds"],
    &["minute", "minutes", "minuten", "min"],
    &["hour", "hours", "stunde", "stunden", "heure", "heures"],
    &["day", "days", "tag", "tage", "tagen", "jour", "jours"],
    &["week", "weeks", "woche", "wochen", "semaine", "semaines"],
    &["month", "months", "monat", "monate", "monaten", "mois"],
    &["year", "years", "jahr", "jahre", "jahren", "ans", "année", "années"],
    &["mm", "millimetre", "millimetres", "millimeter", "millimeters"],
    &["cm", "centimetre", "centimetres", "centimeter", "centimeters"],
    &["m", "metre", "metres", "meter", "meters", "mètre", "mètres"],
    &["km", "kilometre", "kilometres", "kilometer", "kilometers"],
    &["mi", "mile", "miles"],
    &["ft", "foot", "feet"],
    &["nm"],
    &["g", "gram", "grams", "gramm"],
    &["kg", "kilogram", "kilograms", "kilogramm"],
    &["t", "tonne", "tonnes", "tonnen"],
    &["lb", "lbs", "pound", "pounds"],
    &["l", "litre", "litres", "liter", "liters"],
    &["kb"],
    &["kib"],
    &["mb"],
    &["mib"],
    &["gb"],
    &["gib"],
    &["tb"],
    &["tib"],
];

/// Numbers as words. `one` is not here: it is mostly no number.
const NUMBERS: &[(&str, &str)] = &[
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("fifty", "50"),
    ("zwei", "2"),
    ("drei", "3"),
    ("vier", "4"),
    ("fünf", "5"),
    ("sechs", "6"),
    ("sieben", "7"),
    ("acht", "8"),
    ("zehn", "10"),
    ("zwölf", "12"),
    ("deux", "2"),
    ("trois", "3"),
    ("quatre", "4"),
    ("cinq", "5"),
    ("dix", "10"),
];

/// The group of units that a word or sign in lower case belongs to.
fn unit(text: &str) -> Option<usize> {
    UNITS.iter().position(|group| group.contains(&text))
}

/// The unit that follows a number (`39 EUR`, `5 %`, `40-day`), or its sign before it (`$39`).
pub(super) fn unit_of(before: &str, after: &str) -> Option<usize> {
    let rest = after.trim_start_matches([' ', '\u{a0}', '\u{202f}', '-']);
    let gap = after.len() - rest.len();
    let sign = rest.chars().next().filter(|c| matches!(c, '%' | '€' | '$' | '£' | '¥'));
    if let Some(sign) = sign.filter(|_| gap <= 3) {
        return unit(sign.encode_utf8(&mut [0; 4]));
    }
    let word = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let known = if (1..=3).contains(&gap) && word.len() <= 16 { unit(&word.to_lowercase()) } else { None };
    known.or_else(|| {
        let sign = before.trim_end_matches([' ', '\u{a0}']).chars().next_back()?;
        matches!(sign, '€' | '$' | '£' | '¥').then(|| unit(sign.encode_utf8(&mut [0; 4])))?
    })
}

/// The digits of a number that is written as a word.
pub(super) fn digits_of(word: &str) -> Option<&'static str> {
    NUMBERS.iter().find(|(name, _)| *name == word).map(|(_, digits)| *digits)
}

/// A number without zeros that say nothing: `159.00` is `159`.
pub(super) fn plain(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_on_both_sides() {
        let same = |a: (&str, &str), b: (&str, &str)| unit_of(a.0, a.1) == unit_of(b.0, b.1);
        assert!(unit_of("costs ", " EUR a month").is_some());
        assert!(same(("", " EUR"), ("€", "")) && same(("", "%"), ("", " percent")));
        assert!(!same(("", " km"), ("", " miles")));
        assert_eq!((unit_of("in ", " the"), unit_of("", ""), unit_of("x", "st century")), (None, None, None));
        assert_eq!(
            (plain("159.00"), plain("4.50"), plain("1500"), plain("100")),
            ("159", "4.5", "1500", "100")
        );
    }
}
