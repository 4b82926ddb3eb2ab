use std::borrow::Cow;

/// A text as it is written inside HTML, or inside an attribute in quotes.
pub fn escaped(text: &str) -> Cow<'_, str> {
    const SPECIAL: [char; 5] = ['&', '<', '>', '"', '\''];
    if !text.contains(SPECIAL) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find(SPECIAL) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert!(matches!(escaped("Größe 10 kg; ok"), Cow::Borrowed("Größe 10 kg; ok")));
        assert_eq!(escaped("ä<b c='d' e=\"f\">&amp;ü"), "ä&lt;b c=&#39;d&#39; e=&quot;f&quot;&gt;&amp;amp;ü");
    }
}
