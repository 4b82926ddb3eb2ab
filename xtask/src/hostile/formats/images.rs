//! SVG and raster images as assets and icons.

use std::fmt::Write as _;

use super::text::{nested, pieces};
use crate::{
    hostile::corpus::{Generator, Load},
    random::Random,
};

/// Inside an SVG, as an asset or an icon.
fn svg(random: &mut Random, prolog: &str, attributes: &str, inner: &str) -> Load {
    let path = if random.below(2) == 0 { "assets/mark.svg" } else { "site/icons/mark.svg" };
    Load::file(
        path,
        format!(
            "{prolog}<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 8 8\"{attributes}>{inner}</svg>"
        ),
    )
}

/// The head of a PNG of this size, with data that is not there.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend([8, 6, 0, 0, 0]);
    let crc = crc32(&bytes[12..]);
    bytes.extend(crc.to_be_bytes());
    bytes.extend(b"\0\0\0\x02IDAT\x78\x9c");
    bytes.extend(crc32(b"IDAT\x78\x9c").to_be_bytes());
    bytes.extend(b"\0\0\0\0IEND\xae\x42\x60\x82");
    bytes
}

/// CRC-32 as PNG uses it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn jpeg(width: u16, height: u16, segments: usize) -> Vec<u8> {
    let mut bytes = b"\xff\xd8".to_vec();
    for _ in 0..segments {
        bytes.extend(b"\xff\xe1\x00\x02");
    }
    bytes.extend(b"\xff\xc0\x00\x11\x08");
    bytes.extend(height.to_be_bytes());
    bytes.extend(width.to_be_bytes());
    bytes.extend(b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xd9");
    bytes
}

fn gif(width: u16, height: u16, frames: usize) -> Vec<u8> {
    let mut bytes = b"GIF89a".to_vec();
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    for _ in 0..frames {
        bytes.push(0x2c);
        bytes.extend([0; 4]);
        bytes.extend(width.to_le_bytes());
        bytes.extend(height.to_le_bytes());
        bytes.extend([0, 2, 2, 0x44, 1, 0]);
    }
    bytes.push(0x3b);
    bytes
}

fn side(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn side16(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

const DEEP: [usize; 4] = [20, 200, 20_000, 400_000];
const MANY: [usize; 4] = [100, 5_000, 120_000, 700_000];
const SIDE: [usize; 4] = [100, 10_000, 65_535, 2_147_483_647];

macro_rules! generator {
    ($name:literal, $sizes:expr, $make:expr) => {
        Generator { format: "images", name: $name, sizes: $sizes, make: $make }
    };
}

/// Attributes, depth, entities, uses; sides that are not there.
pub const ALL: &[Generator] = &[
    generator!("svg-attributes", MANY, |r, n| {
        let mut all = String::new();
        for i in 0..n {
            let _ = write!(all, " a{i}=\"\"");
        }
        svg(r, "", &all, "")
    }),
    generator!("svg-same-attribute", MANY, |r, n| svg(r, "", &" a=\"\"".repeat(n), "")),
    generator!("svg-namespaces", MANY, |r, n| svg(
        r,
        "",
        &pieces(n, "", |i| format!(" xmlns:n{i}=\"u{i}\"")),
        ""
    )),
    generator!("svg-depth", DEEP, |r, n| svg(r, "", "", &nested("<g>", "", "</g>", n))),
    generator!("svg-depth-unclosed", DEEP, |r, n| svg(r, "", "", &"<g>".repeat(n))),
    generator!("svg-entities", [3, 6, 9, 30], |r, n| {
        let all = pieces(n, "", |i| format!("<!ENTITY e{} \"{}\">", i + 1, format!("&e{i};").repeat(10)));
        svg(r, &format!("<!DOCTYPE svg [<!ENTITY e0 \"lol\">{all}]>"), "", &format!("<text>&e{n};</text>"))
    }),
    generator!("svg-entity-itself", [1, 2, 3, 4], |r, _| svg(
        r,
        "<!DOCTYPE svg [<!ENTITY e \"&e;&e;\">]>",
        "",
        "<text>&e;</text>"
    )),
    generator!("svg-external-entity", [1, 2, 3, 4], |r, n| {
        let to =
            ["file:///etc/passwd", "http://127.0.0.1:1/", "/proc/self/environ", "../../../state.db"][n % 4];
        svg(r, &format!("<!DOCTYPE svg [<!ENTITY e SYSTEM \"{to}\">]>"), "", "<text>&e;</text>")
    }),
    generator!("svg-uses", [3, 8, 20, 60], |r, n| {
        let all =
            pieces(n, "", |i| format!("<g id=\"g{}\"><use href=\"#g{i}\"/><use href=\"#g{i}\"/></g>", i + 1));
        svg(
            r,
            "",
            "",
            &format!("<defs><g id=\"g0\"><path d=\"M0 0h1\"/></g>{all}</defs><use href=\"#g{n}\"/>"),
        )
    }),
    generator!("svg-use-itself", [1, 2, 3, 4], |r, n| svg(
        r,
        "",
        "",
        &"<g id=\"a\"><use href=\"#a\"/></g>".repeat(n)
    )),
    generator!("svg-elements", MANY, |r, n| svg(r, "", "", &"<path d=\"M0 0\"/>".repeat(n))),
    generator!("svg-path", MANY, |r, n| svg(r, "", "", &format!("<path d=\"{}\"/>", "M0 0h1".repeat(n)))),
    generator!("svg-comments", MANY, |r, n| svg(r, "", "", &"<!-- ".repeat(n))),
    generator!("svg-cdata", MANY, |r, n| svg(r, "", "", &"<![CDATA[".repeat(n))),
    generator!("svg-processing", MANY, |r, n| svg(r, &"<?a ?>".repeat(n), "", "")),
    generator!("svg-style", DEEP, |r, n| svg(r, "", "", &format!("<style>{}</style>", "a{".repeat(n)))),
    generator!("svg-angles", DEEP, |r, n| svg(r, "", "", &"<".repeat(n))),
    generator!("svg-references", MANY, |r, n| svg(r, "", "", &"&#x41;".repeat(n))),
    generator!("svg-text", MANY, |r, n| svg(r, "", "", &format!("<text>{}</text>", "a&amp;".repeat(n)))),
    generator!("svg-ids", MANY, |r, n| svg(
        r,
        "",
        "",
        &pieces(n, "", |i| format!("<a id=\"i{i}\" href=\"#i{}\"/>", i + 1))
    )),
    generator!("svg-scripts", [1, 2, 3, 4], |r, n| {
        let inner = [
            "<script>1</script>",
            "<a href=\"javascript:1\"/>",
            "<foreignObject><body onload=\"1\"/></foreignObject>",
            "<image href=\"http://127.0.0.1:1/x\" onload=\"1\"/>",
        ][n % 4];
        svg(r, "", " onload=\"alert(1)\"", inner)
    }),
    generator!("svg-size", SIDE, |r, n| svg(r, "", &format!(" width=\"{n}\" height=\"{n}\""), "")),
    generator!("png", SIDE, |_, n| Load::file("assets/hostile.png", png(side(n), side(n)))),
    generator!("png-named-svg", SIDE, |_, n| Load::file("assets/mark.svg", png(side(n), side(n)))),
    generator!("png-used", SIDE, |_, n| {
        let layout = crate::hostile::rig::file("site/layouts/page.html")
            .replace("assets/mark.svg", "assets/hostile.png");
        Load::Definitions(vec![
            ("assets/hostile.png".to_owned(), png(side(n), side(n))),
            ("site/layouts/page.html".to_owned(), layout.into_bytes()),
        ])
    }),
    generator!("jpeg", SIDE, |_, n| Load::file("assets/hostile.jpg", jpeg(side16(n), side16(n), 0))),
    generator!("jpeg-segments", MANY, |_, n| Load::file("assets/hostile.jpg", jpeg(8, 8, n))),
    generator!("gif", SIDE, |_, n| Load::file("assets/hostile.gif", gif(side16(n), side16(n), 1))),
    generator!("gif-frames", MANY, |_, n| Load::file("assets/hostile.gif", gif(side16(n), side16(n), n))),
    generator!("webp", SIDE, |_, n| {
        let mut bytes = b"RIFF\xff\xff\xff\xffWEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec();
        bytes.extend(&side(n).to_le_bytes()[..3]);
        bytes.extend(&side(n).to_le_bytes()[..3]);
        Load::file("assets/hostile.webp", bytes)
    }),
    generator!("assets", [10, 500, 5_000, 40_000], |_, n| {
        Load::Definitions(
            (0..n)
                .map(|i| {
                    (
                        format!("assets/a{i}.svg"),
                        format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><a id=\"{i}\"/></svg>")
                            .into_bytes(),
                    )
                })
                .collect(),
        )
    }),
];
