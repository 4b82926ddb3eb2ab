//! Pages that are shown below another address: what leads to a path of the site leads to the same path below a prefix.

use super::check::{Holds, Seen, holds, local, walk};

/// A page whose addresses of the site begin with `prefix`: those that attributes and style sheets in it name.
pub fn prefixed(html: &str, prefix: &str) -> String {
    let mut places = Vec::new();
    walk(html, &mut |seen| match seen {
        Seen::Attribute { name, value, .. } => {
            let (text, at) = (&html[value.clone()], value.start);
            match holds(local(name)) {
                Holds::Address => places.extend(path_at(text, 0).map(|place| at + place)),
                Holds::Addresses => places.extend(listed(text, ' ').map(|place| at + place)),
                Holds::Set => places.extend(listed(text, ',').map(|place| at + place)),
                Holds::Style => places.extend(in_style(text).map(|place| at + place)),
                _ => {}
            }
        }
        Seen::Raw { tag: "style", content, .. } => {
            places.extend(in_style(&html[content.clone()]).map(|place| content.start + place));
        }
        _ => {}
    });
    with(html, places, prefix)
}

/// A style sheet whose addresses of the site begin with `prefix`.
pub fn prefixed_style(css: &str, prefix: &str) -> String {
    with(css, in_style(css).collect(), prefix)
}

/// Where the path is that begins at `at` or behind spaces; `None` when another address is there. `//host` leads elsewhere,
/// and browsers read `/\\host` as the same.
fn path_at(text: &str, at: usize) -> Option<usize> {
    let rest = text[at..].trim_start_matches(|c: char| c <= ' ');
    let is_path = rest.starts_with('/') && !rest[1..].starts_with(['/', '\\']);
    is_path.then(|| text.len() - rest.len())
}

/// The paths of a list, such as `/a.png 1x, /b.png 2x`.
fn listed(text: &str, separator: char) -> impl Iterator<Item = usize> + '_ {
    let behind = text.match_indices(separator).map(|(at, _)| at + 1);
    std::iter::once(0).chain(behind).filter_map(|at| path_at(text, at))
}

/// The paths that a style names with `url(…)`.
fn in_style(css: &str) -> impl Iterator<Item = usize> + '_ {
    css.match_indices("url(").filter_map(|(at, word)| {
        let inner = at + word.len();
        let quoted = css[inner..].trim_start().starts_with(['"', '\'']);
        let first = css.len() - css[inner..].trim_start().len() + usize::from(quoted);
        path_at(css, first)
    })
}

fn with(text: &str, mut places: Vec<usize>, prefix: &str) -> String {
    places.sort_unstable();
    places.dedup();
    let mut out = String::with_capacity(text.len() + places.len() * prefix.len());
    let mut done = 0;
    for place in places {
        out.push_str(&text[done..place]);
        out.push_str(prefix);
        done = place;
    }
    out.push_str(&text[done..]);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_lead_below_the_prefix() {
        for (html, expected) in [
            ("<a href=\"/en/x\">", "<a href=\"/p/k/en/x\">"),
            ("<a href = '/en/x'>", "<a href = '/p/k/en/x'>"),
            ("<a href=/en/x>", "<a href=/p/k/en/x>"),
            ("<A HREF=\" /en/x\">", "<A HREF=\" /p/k/en/x\">"),
            (
                "<form action=\"/s\"><video poster=\"/p.png\">",
                "<form action=\"/p/k/s\"><video poster=\"/p/k/p.png\">",
            ),
            (
                "<img src=\"/a.png\" srcset=\"/a.png 1x, /b.png 2x,https://x.example/c.png 3x\">",
                "<img src=\"/p/k/a.png\" srcset=\"/p/k/a.png 1x, /p/k/b.png 2x,https://x.example/c.png 3x\">",
            ),
            ("<i style=\"background:url('/a.png')\">", "<i style=\"background:url('/p/k/a.png')\">"),
            ("<style>a{b:url( \"/f.woff2\")}</style>", "<style>a{b:url( \"/p/k/f.woff2\")}</style>"),
        ] {
            assert_eq!(prefixed(html, "/p/k"), expected);
        }
        assert_eq!(
            prefixed_style("a{b:url(/f),url(\"//x\"),url(x)}", "/p/k"),
            "a{b:url(/p/k/f),url(\"//x\"),url(x)}"
        );
    }

    #[test]
    fn everything_else_stays() {
        for html in [
            "<a href=\"//other.example/\">",
            "<a href=\"/\\other.example/\">",
            "<a href=\"https://x.example/\">",
            "<a href=\"#x\" title=\"/en/x\">",
            "<p>say \"/en/x\" or href=\"/en/x\"</p>",
            "<script>let a = '<a href=\"/en/x\">'</script>",
            "<!-- <a href=\"/en/x\"> -->",
        ] {
            assert_eq!(prefixed(html, "/p/k"), html);
        }
    }

    proptest! {
        #[test]
        fn nothing_else_is_written(html in "(<a href=|['\"/ ,<>é]|url\\(|srcset=|style){0,12}") {
            prop_assert_eq!(prefixed(&html, "§").replace('§', ""), html);
        }
    }
}
