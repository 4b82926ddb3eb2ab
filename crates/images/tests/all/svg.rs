use ashlar_images::{Facts, Format, ImageError, SVG_BYTES_MAX, facts, renditions};

fn drawing(attributes: &str, content: &str) -> String {
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {attributes}>{content}</svg>"##
    )
}

fn size(attributes: &str) -> Result<(u32, u32), ImageError> {
    facts(drawing(attributes, "").as_bytes()).map(|facts| (facts.width, facts.height))
}

#[test]
fn drawings_that_would_take_long_to_read_are_refused() {
    let start = std::time::Instant::now();
    let attributes: String = (0..120_000).map(|n| format!("a{n}=\"\" ")).collect();
    let scopes: String = (0..3_000).map(|n| format!("<g xmlns:a{n}=\"b{n}\">")).collect();
    for drawing in [
        drawing(&format!("width=\"1\" height=\"1\" {attributes}"), ""),
        drawing("width=\"1\" height=\"1\"", &format!("{scopes}{}", "</g>".repeat(3_000))),
    ] {
        assert_eq!(facts(drawing.as_bytes()), Err(ImageError::SvgTooLarge));
    }
    let styles = format!("<style>{}{}</style>", "a<style>".repeat(20_000), "</style>".repeat(20_000));
    assert!(facts(drawing("width=\"1\" height=\"1\"", &styles).as_bytes()).is_ok());
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn sizes_come_from_the_attributes_or_the_view_box() {
    assert_eq!(size(r#"width="20" height="10px""#), Ok((20, 10)));
    assert_eq!(size(r#"width="1in" height="2.54cm""#), Ok((96, 96)));
    assert_eq!(size(r#"viewBox="0 0 24 12""#), Ok((24, 12)));
    assert_eq!(size(r#"viewBox="-5,-5,24.4,0.2""#), Ok((24, 1)));
    assert_eq!(size(r#"width="100%" height="2em" viewBox="0 0 24 12""#), Ok((24, 12)));
    assert_eq!(size(r#"width="240" viewBox="0 0 24 12""#), Ok((240, 120)));
    assert_eq!(size(r#"height="120" viewBox="0 0 24 12""#), Ok((240, 120)));
    for attributes in
        ["", r#"width="10""#, r#"width="100%" height="100%""#, r#"viewBox="0 0 1""#, r#"viewBox="0 0 NaN 1""#]
    {
        assert_eq!(size(attributes), Err(ImageError::SvgUnsized), "{attributes}");
    }
    for attributes in [
        r#"width="0" height="1""#,
        r#"viewBox="0 0 0 5""#,
        r#"width="-4" height="4""#,
        r#"width="3" viewBox="0 0 0 1""#,
    ] {
        assert_eq!(size(attributes), Err(ImageError::Empty), "{attributes}");
    }
    for attributes in [r#"width="1e300" height="1""#, r#"width="2" viewBox="0 0 1e-300 1e300""#] {
        assert!(matches!(size(attributes), Err(ImageError::TooLarge { .. })), "{attributes}");
    }
}

#[test]
fn a_usual_drawing_is_safe() {
    let content = r##"<!-- Made by hand --><title>on/off; a url(x) in words</title>
        <style>.a{fill:url(#g);mask:url( "#m" )}@font-face{src:url(data:font/woff2;base64,AA)}</style>
        <defs><linearGradient id="g"/></defs><use xlink:href="#a"/><use href="#b"/>
        <image href="data:image/png;base64,AA"/><path d="M0 0" fill="url(#g)" style="stroke:url('#g')" aria-label="C:\x"/>"##;
    let doctype = r#"<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">"#;
    let expected = Facts { format: Format::Svg, width: 2, height: 1, animated: false, opaque: false };
    for start in ["", "\u{FEFF}\n ", doctype] {
        let svg = format!("{start}{}", drawing(r#"viewBox="0 0 2 1""#, content));
        assert_eq!(facts(svg.as_bytes()), Ok(expected), "{svg}");
    }
    let moving = drawing(r#"viewBox="0 0 2 1""#, r#"<rect><animate attributeName="x" to="5"/></rect>"#);
    assert_eq!(facts(moving.as_bytes()), Ok(Facts { animated: true, ..expected }));
    assert_eq!(renditions(moving.as_bytes(), &[1]), Ok(Vec::new()));
}

#[test]
fn what_runs_or_fetches_is_refused() {
    let contents = [
        "<script>alert(1)</script>",
        "<SCRIPT/>",
        "<foreignObject><p/></foreignObject>",
        r#"<h:img xmlns:h="http://www.w3.org/1999/xhtml" src="x"/>"#,
        r#"<x:script xmlns:x="http://www.w3.org/1999/xhtml"/>"#,
        r#"<rect onclick="x()"/>"#,
        r#"<rect ONLOAD="x()"/>"#,
        r#"<image href="https://example.org/a.png"/>"#,
        r#"<image xlink:href="//example.org/a.png"/>"#,
        r#"<use href="other.svg#a"/>"#,
        r#"<a href=" JavaScript:alert(1)"><rect/></a>"#,
        r#"<a href="java&#9;script:alert(1)"><rect/></a>"#,
        r#"<image href="data:image/svg+xml;base64,AA"/>"#,
        r#"<set attributeName="xlink:href" to="javascript:x"/>"#,
        r#"<animate attributeName="onload" to="x"/>"#,
        r#"<rect fill="url(https://example.org/#a)"/>"#,
        r#"<rect style="fill:URL( 'x.svg#a')"/>"#,
        r#"<rect style="fill:u\72l(x)"/>"#,
        r#"<rect fill="u\72l(x)"/>"#,
        "<style>@import 'x.css';</style>",
        "<style>@im<![CDATA[port]]> 'x.css';</style>",
        r"<style>@\69mport 'x.css';</style>",
        "<style>a{background:image-set('x.png' 1x)}</style>",
        "<style>a{b:url(x)}</style>",
        r#"<g xml:base="https://example.org/"/>"#,
        "<?xml-stylesheet href='x.css'?>",
    ];
    for content in contents {
        let result = facts(drawing(r#"viewBox="0 0 1 1""#, content).as_bytes());
        assert!(matches!(result, Err(ImageError::SvgUnsafe { .. })), "{content}: {result:?}");
    }
    let root = facts(drawing(r#"viewBox="0 0 1 1" onload="x()""#, "").as_bytes());
    assert!(matches!(root, Err(ImageError::SvgUnsafe { .. })), "{root:?}");
    for subset in ["<!ENTITY a 'b'>", "<!ATTLIST svg onload CDATA 'x()'>"] {
        let svg = format!("<!DOCTYPE svg [{subset}]>{}", drawing(r#"viewBox="0 0 1 1""#, ""));
        assert!(matches!(facts(svg.as_bytes()), Err(ImageError::SvgUnsafe { .. })), "{subset}");
    }
    assert_eq!(
        facts(drawing("", "<rect onclick='x'/>").as_bytes()).unwrap_err().to_string(),
        "the SVG is not safe to publish: it has the event handler `onclick`; remove that"
    );
}

#[test]
fn a_drawing_has_bounds() {
    let deep = drawing(r#"viewBox="0 0 1 1""#, &format!("{}{}", "<g>".repeat(90_000), "</g>".repeat(90_000)));
    assert!(facts(deep.as_bytes()).is_ok());
    let many = drawing(r#"viewBox="0 0 1 1""#, &"<g/>".repeat(100_001));
    assert_eq!(facts(many.as_bytes()), Err(ImageError::SvgTooLarge));
    let long = drawing(r#"viewBox="0 0 1 1""#, &" ".repeat(SVG_BYTES_MAX));
    assert_eq!(facts(long.as_bytes()), Err(ImageError::SvgTooLarge));
}

#[test]
fn a_broken_drawing_says_what_is_wrong() {
    let whole = drawing(r#"viewBox="0 0 1 1""#, "<g/>");
    assert_eq!(
        facts(&whole.as_bytes()[..whole.len() - 3]),
        Err(ImageError::Truncated { format: Format::Svg })
    );
    let error = facts(b"<svg viewBox='0 0 1 1'/>").unwrap_err().to_string();
    assert!(error.contains("xmlns"), "{error}");
    assert!(matches!(facts(b"<svg a='\xFF\xFF'/>"), Err(ImageError::Damaged { .. })));
    assert_eq!(facts(b"<p xmlns:a='b'><svg/></p>"), Err(ImageError::Unknown));
}
