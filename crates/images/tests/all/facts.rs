use ashlar_images::{Facts, Format, ImageError, MAX_SIDE, facts, facts_of};
use image::{DynamicImage, ImageFormat};

use crate::make;

fn known(format: Format, width: u32, height: u32) -> Facts {
    Facts { format, width, height, animated: false, opaque: true }
}

#[test]
fn every_format_is_known_by_its_bytes() {
    let webp = |picture: DynamicImage| make::encoded(picture, ImageFormat::WebP);
    let cases = [
        (make::jpeg(31, 17), known(Format::Jpeg, 31, 17)),
        (make::png(31, 17), known(Format::Png, 31, 17)),
        (webp(make::gradient(31, 17).into()), known(Format::Webp, 31, 17)),
        (webp(make::see_through(31, 17).into()), Facts { opaque: false, ..known(Format::Webp, 31, 17) }),
        (
            make::encoded(make::see_through(31, 17), ImageFormat::Png),
            Facts { opaque: false, ..known(Format::Png, 31, 17) },
        ),
        (
            make::with_chunk(&make::png(9, 9), b"tRNS", &[0; 6]),
            Facts { opaque: false, ..known(Format::Png, 9, 9) },
        ),
        (
            make::with_chunk(&make::png(9, 9), b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]),
            Facts { animated: true, ..known(Format::Png, 9, 9) },
        ),
        (make::with_chunk(&make::png(9, 9), b"acTL", &[0, 0, 0, 1, 0, 0, 0, 0]), known(Format::Png, 9, 9)),
        (make::gif(1), known(Format::Gif, 40, 20)),
        (make::gif(3), Facts { animated: true, ..known(Format::Gif, 40, 20) }),
        (make::avif(640, 480, b"avif"), known(Format::Avif, 640, 480)),
        (make::avif(640, 480, b"avis"), Facts { animated: true, ..known(Format::Avif, 640, 480) }),
        (make::avif(640, 480, b"mif1"), known(Format::Avif, 640, 480)),
        (
            b"RIFF\0\0\0\0WEBPVP8X\x0A\0\0\0\x12\0\0\0\x3F\0\0\x1F\0\0".to_vec(),
            Facts { animated: true, opaque: false, ..known(Format::Webp, 64, 32) },
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(facts(&bytes), Ok(expected));
    }
}

#[test]
fn what_is_no_image_is_unknown() {
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    for bytes in [&b""[..], b"hello", b"%PDF-1.7", heic, b"<!DOCTYPE html><svg></svg>", b"<p>", b"GIF90a"] {
        assert_eq!(facts(bytes), Err(ImageError::Unknown), "{bytes:?}");
    }
}

#[test]
fn a_lying_ending_is_reported() {
    let jpeg = make::jpeg(8, 8);
    let error = facts_of("pictures/hero.png", &jpeg).unwrap_err();
    assert_eq!(error.to_string(), "pictures/hero.png is a JPEG; rename it to end in .jpg");
    let error = facts_of("hero.txt", &make::png(8, 8)).unwrap_err();
    assert_eq!(error.to_string(), "hero.txt is a PNG; rename it to end in .png");
    for path in ["a.jpg", "a.JPEG", "a.png.jpe", "v1.2/hero", ".hidden"] {
        assert!(facts_of(path, &jpeg).is_ok(), "{path}");
    }
}

#[test]
fn endings_and_media_types_belong_together() {
    use Format::{Avif, Gif, Jpeg, Png, Svg, Webp};
    for format in [Jpeg, Png, Webp, Gif, Svg, Avif] {
        assert_eq!(Format::of_path(&format!("x/y.{}", format.ending().to_uppercase())), Some(format));
        assert!(format.media_type().starts_with("image/"));
    }
    assert_eq!(Format::of_path("jpg"), None);
    assert_eq!(Format::of_path("a.jpg/b"), None);
}

#[test]
fn sizes_have_bounds() {
    let sized = |width: u32, height: u32| {
        let mut png = make::png(4, 4);
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        facts(&png)
    };
    assert!(sized(MAX_SIDE, 6103).is_ok());
    assert_eq!(sized(0, 4), Err(ImageError::Empty));
    assert_eq!(sized(4, 0), Err(ImageError::Empty));
    let too_large = |width, height| Err(ImageError::TooLarge { width, height });
    assert_eq!(sized(MAX_SIDE + 1, 1), too_large(16_385, 1));
    assert_eq!(sized(10_001, 10_000), too_large(10_001, 10_000));
    assert_eq!(sized(u32::MAX, u32::MAX), too_large(4_294_967_295, 4_294_967_295));
    assert_eq!(
        sized(20_000, 10).unwrap_err().to_string(),
        "the image is 20000 × 10 pixels large; at most 16384 a side and 100 million in all are allowed"
    );
}

#[test]
fn a_camera_held_upright_swaps_the_sides() {
    let picture = make::gradient(30, 20);
    for orientation in 0..=9 {
        let expected = if (5..=8).contains(&orientation) { (20, 30) } else { (30, 20) };
        let facts = facts(&make::turned(&picture, orientation)).unwrap();
        assert_eq!((facts.width, facts.height), expected, "orientation {orientation}");
    }
}

#[test]
fn jpegs_with_fill_bytes_are_read_and_those_browsers_cannot_show_refused() {
    let jpeg = make::jpeg(12, 34);
    let filled = [&jpeg[..2], &[0xFF, 0xFF], &jpeg[2..]].concat();
    assert_eq!(facts(&filled), Ok(known(Format::Jpeg, 12, 34)));
    let frame = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    let mut arithmetic = jpeg;
    arithmetic[frame + 1] = 0xC9;
    let error = facts(&arithmetic).unwrap_err().to_string();
    assert!(error.contains("browsers cannot show"), "{error}");
}
