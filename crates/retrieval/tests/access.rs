//! Who sees what.

use std::collections::BTreeMap;

use ashlar_retrieval::access::{Allowed, Attributes, Filter, FilterError, Readers, VersionRange};

fn map<V: Clone>(pairs: &[(&str, V)]) -> BTreeMap<String, V> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn list(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn entry(pairs: &[(&str, &[&str])]) -> Attributes {
    Attributes::new(pairs.iter().map(|(name, values)| ((*name).to_owned(), list(values))), None, None, None)
}

fn readers() -> Readers {
    Readers::new(&map(&[
        ("public", map(&[("audience", list(&["guest"]))])),
        ("partner", map(&[("audience", list(&["guest", "partner"])), ("tier", list(&["gold"]))])),
        ("staff", map(&[("sensitivity", list(&["internal"]))])),
    ]))
}

#[test]
fn restricted_values_are_for_readers_that_list_them() {
    let readers = readers();
    let sees = |reader: Option<&str>, attributes: &Attributes| readers.reader(reader).sees(attributes);
    for (attributes, expect) in [
        (entry(&[]), "public partner staff"),
        (entry(&[("audience", &["guest"])]), "public partner staff"),
        (entry(&[("audience", &["partner"])]), "partner"),
        (entry(&[("audience", &["partner", "guest"])]), "public partner staff"),
        (entry(&[("audience", &["nobody"])]), ""),
        // No reader lists values of it, but it always restricts.
        (entry(&[("sensitivity", &["internal"])]), "staff"),
        (entry(&[("sensitivity", &["secret"])]), ""),
        // One reader lists values of it, so it restricts for all.
        (entry(&[("tier", &["gold"])]), "partner"),
        // Nobody lists values of it: it only describes.
        (entry(&[("region", &["eu"])]), "public partner staff"),
        (entry(&[("audience", &["partner"]), ("tier", &["iron"])]), ""),
    ] {
        let who: Vec<&str> =
            ["public", "partner", "staff"].into_iter().filter(|r| sees(Some(r), &attributes)).collect();
        assert_eq!(who.join(" "), expect, "{attributes:?}");
        assert_eq!(sees(None, &attributes), sees(Some("public"), &attributes));
        assert_eq!(sees(Some("nosuch"), &attributes), sees(Some("public"), &attributes));
        assert_eq!(attributes.is_public(&readers), sees(None, &attributes));
    }
    assert!(!Readers::default().public().sees(&entry(&[("audience", &["x"])])), "closed without any reader");
}

#[test]
fn filters_narrow() {
    let readers = readers();
    let allows = |asked: &[(&str, &str)], version: Option<&str>, attributes: &Attributes| {
        let mut filter = Filter::default();
        for (name, value) in asked {
            filter.add(name, value).unwrap();
        }
        if let Some(version) = version {
            filter.version(version).unwrap();
        }
        Allowed::new(filter, readers.reader(None), 0).allows(attributes)
    };
    let eu = entry(&[("region", &["eu", "uk"])]);
    assert!(allows(&[], None, &eu) && allows(&[("region", "eu")], None, &eu));
    assert!(allows(&[("region", "us"), ("region", "uk")], None, &eu));
    assert!(!allows(&[("region", "us")], None, &eu));
    assert!(allows(&[("region", "us")], None, &entry(&[])), "for every region");
    assert!(!allows(
        &[("region", "eu"), ("plan", "gold")],
        None,
        &entry(&[("region", &["eu"]), ("plan", &["iron"])])
    ));
    // Asking for what one may not see does not show it.
    assert!(!allows(&[("audience", "partner")], None, &entry(&[("audience", &["partner"])])));

    let since_two = Attributes::new([], Some(">=2.0, <3".into()), None, None);
    assert!(
        allows(&[], Some("2.3.1"), &since_two)
            && allows(&[], Some("2.3"), &since_two)
            && allows(&[], Some("v2"), &since_two)
    );
    assert!(!allows(&[], Some("3.0.0"), &since_two) && !allows(&[], Some("1.9.9"), &since_two));
    assert!(allows(&[], None, &since_two) && allows(&[], Some("9.9.9"), &entry(&[])));
    assert!(!allows(&[], Some("2.0.0"), &Attributes::new([], Some("gibberish".into()), None, None)));
}

#[test]
fn times_bound_what_is_found() {
    let readers = Readers::default();
    let timed = Attributes::new([], None, Some(100), Some(200));
    let at = |now: i64| Allowed::public(&readers, now).allows(&timed);
    assert_eq!([99, 100, 199, 200].map(at), [false, true, true, false]);
    assert!(!timed.is_public(&readers) && readers.public().sees(&timed));
}

#[test]
fn versions_lie_in_ranges() {
    for (range, inside, outside) in [
        ("2", "2.0.0 2.9.1", "1.9.0 3.0.0"),
        ("^2.1", "2.1.0 2.4.0", "2.0.9 3.0.0"),
        ("2.x", "2.0.0 2.7.0-rc.1", "3.0.0"),
        (">=1.2, <1.5 || 3.*", "1.2.0 1.4.9 3.7.0", "1.5.0 2.0.0 4.0.0"),
        ("=1.2.3", "1.2.3", "1.2.4"),
        ("<2", "1.0.0 0.1.0", "2.0.0"),
        ("*", "0.0.1 99.0.0", ""),
    ] {
        let parsed = VersionRange::parse(range).unwrap();
        for version in inside.split_whitespace() {
            assert!(parsed.contains(&version.parse().unwrap()), "{version} in {range}");
        }
        for version in outside.split_whitespace() {
            assert!(!parsed.contains(&version.parse().unwrap()), "{version} not in {range}");
        }
    }
    for wrong in ["", " ", "two", "1.2.3.4", ">=1 ||", &"1".repeat(300)] {
        assert!(VersionRange::parse(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn filters_are_bounded() {
    let mut filter = Filter::default();
    assert!(filter.is_empty());
    for n in 0..64 {
        filter.add("region", &n.to_string()).unwrap();
    }
    filter.add("region", "3").unwrap();
    assert_eq!(filter.add("region", "64"), Err(FilterError::Many("region".into())));
    for n in 0..15 {
        filter.add(&format!("a{n}"), "x").unwrap();
    }
    assert_eq!(filter.add("one-more", "x"), Err(FilterError::Many("one-more".into())));
    assert_eq!(filter.add("a1", &"x".repeat(201)), Err(FilterError::Long("a1".into())));
    assert_eq!(filter.version("two"), Err(FilterError::Version("two".into())));
    filter.version("2.0").unwrap();
    assert_eq!(filter.version("2.0"), Err(FilterError::Versions));
}

#[test]
fn equal_attributes_are_equal() {
    let one = entry(&[("region", &["eu", "uk", "eu"]), ("audience", &[])]);
    assert_eq!(one, entry(&[("region", &["uk", "eu"])]));
    let text = serde_json::to_string(&one).unwrap();
    assert_eq!(text, r#"{"values":{"region":["eu","uk"]}}"#);
    assert_eq!(serde_json::from_str::<Attributes>(&text).unwrap(), one);
}
