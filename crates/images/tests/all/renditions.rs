use ashlar_images::{Format, ImageError, Rendition, WIDTHS_MAX, facts, renditions};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, Rgb32FImage, Rgba, RgbaImage};

use crate::make;

fn sizes(made: &[Rendition]) -> Vec<(u32, u32)> {
    made.iter().map(|one| (one.width, one.height)).collect()
}

fn decoded(one: &Rendition) -> DynamicImage {
    image::load_from_memory(&one.bytes).unwrap()
}

#[test]
fn sizes_are_exact_and_never_larger() {
    let made = renditions(&make::jpeg(200, 133), &[150, 0, 50, 200, 100, 50, 201, 5000, 1]).unwrap();
    assert_eq!(sizes(&made), [(1, 1), (50, 33), (100, 67), (150, 100)]);
    for one in &made {
        let facts = facts(&one.bytes).unwrap();
        assert_eq!((facts.format, facts.width, facts.height), (one.format, one.width, one.height));
        assert_eq!((decoded(one).width(), decoded(one).height()), (one.width, one.height));
        assert_eq!(one.format, Format::Jpeg);
    }
    assert_eq!(sizes(&renditions(&make::png(1000, 1), &[10]).unwrap()), [(10, 1)]);
    assert_eq!(renditions(&make::jpeg(20, 20), &[20, 40]), Ok(Vec::new()));
    assert_eq!(
        renditions(&make::jpeg(20, 20), &[9; WIDTHS_MAX + 1]),
        Err(ImageError::Widths { count: WIDTHS_MAX + 1 })
    );
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for bytes in [make::jpeg(300, 200), make::encoded(make::see_through(300, 200), ImageFormat::Png)] {
        let made = renditions(&bytes, &[30, 299]).unwrap();
        assert_eq!(made, renditions(&bytes, &[299, 30]).unwrap());
    }
}

#[test]
fn photos_become_jpegs_and_drawings_stay_exact() {
    let format_of = |bytes: &[u8]| renditions(bytes, &[60]).unwrap()[0].format;
    assert_eq!(format_of(&make::jpeg(120, 80)), Format::Jpeg);
    assert_eq!(format_of(&make::png(120, 80)), Format::Jpeg, "many colours, opaque");
    assert_eq!(format_of(&make::encoded(make::gradient(120, 80), ImageFormat::WebP)), Format::Jpeg);
    let opaque = DynamicImage::from(make::gradient(120, 80)).into_rgba8();
    assert_eq!(
        format_of(&make::encoded(opaque, ImageFormat::Png)),
        Format::Jpeg,
        "an alpha channel that is full"
    );
    for drawing in [make::encoded(make::flag(120, 80), ImageFormat::Png), make::gif(1)] {
        let made = renditions(&drawing, &[20]).unwrap();
        assert!(matches!(made[0].format, Format::Png | Format::Webp));
        let picture = decoded(&made[0]).into_rgb8();
        assert_eq!(
            (picture.get_pixel(0, 0), picture.get_pixel(19, 0)),
            (&Rgb([255, 0, 0]), &Rgb([0, 0, 255]))
        );
    }
    let through =
        &renditions(&make::encoded(make::see_through(120, 80), ImageFormat::WebP), &[60]).unwrap()[0];
    assert!(matches!(through.format, Format::Png | Format::Webp));
    assert!(decoded(through).color().has_alpha());
}

#[test]
fn what_does_not_show_lends_no_colour() {
    // Green that nobody sees, beside red: the edge must not turn green.
    let edge =
        RgbaImage::from_fn(90, 30, |x, _| if x < 44 { Rgba([0, 255, 0, 0]) } else { Rgba([255, 0, 0, 255]) });
    let made = renditions(&make::encoded(edge, ImageFormat::Png), &[30]).unwrap();
    for pixel in decoded(&made[0]).into_rgba8().pixels() {
        assert!(pixel.0[3] < 8 || pixel.0[1] < 8, "{pixel:?}");
    }
}

#[test]
fn grey_and_deep_pictures_work() {
    let grey = GrayImage::from_fn(90, 30, |x, y| Luma([(x * 2 + y) as u8]));
    let made = renditions(&make::encoded(grey, ImageFormat::Jpeg), &[30]).unwrap();
    assert!(!decoded(&made[0]).color().has_color());
    let deep = Rgb32FImage::from_fn(90, 60, |x, y| Rgb([x as f32 / 90.0, y as f32 / 60.0, 0.5]));
    let deep = DynamicImage::from(DynamicImage::from(deep).into_rgb16());
    assert_eq!(sizes(&renditions(&make::encoded(deep, ImageFormat::Png), &[30]).unwrap()), [(30, 20)]);
}

#[test]
fn the_orientation_of_the_camera_is_applied() {
    // Stored with red to the left; where red is seen, by orientation.
    let stored = make::flag(64, 32);
    let at_start =
        [(1, true), (2, false), (3, false), (4, true), (5, true), (6, true), (7, false), (8, false)];
    for (orientation, starts_red) in at_start {
        let made = renditions(&make::turned(&stored, orientation), &[16]).unwrap();
        let picture = decoded(&made[0]).into_rgb8();
        let upright = orientation >= 5;
        assert_eq!(picture.dimensions(), if upright { (16, 32) } else { (16, 8) });
        let (last_x, last_y) = (picture.width() - 1, picture.height() - 1);
        let (first, last) = (picture.get_pixel(0, 0), picture.get_pixel(last_x, last_y));
        assert_eq!(
            (first.0[0] > 200, last.0[0] > 200),
            (starts_red, !starts_red),
            "orientation {orientation}"
        );
        assert!(!made[0].bytes.windows(4).any(|part| part == b"Exif"), "metadata is dropped");
    }
    let turned_png = make::with_chunk(&make::png(64, 32), b"eXIf", &make::exif(6));
    assert_eq!(renditions(&turned_png, &[16]), Ok(Vec::new()), "browsers disagree on it");
}

#[test]
fn a_colour_profile_stays_when_it_says_something() {
    let profile = |name: &[u8]| {
        let mut bytes = vec![0; 128];
        bytes[16..20].copy_from_slice(b"RGB ");
        bytes[36..40].copy_from_slice(b"acsp");
        bytes.extend(
            [
                &1_u32.to_be_bytes()[..],
                b"desc",
                &144_u32.to_be_bytes(),
                &(name.len() as u32).to_be_bytes(),
                name,
            ]
            .concat(),
        );
        bytes
    };
    let keeps = |name: &[u8]| {
        let made = renditions(&make::profiled(&make::gradient(60, 40), profile(name)), &[30]).unwrap();
        made[0].bytes.windows(4).any(|part| part == b"acsp")
    };
    assert!(keeps(b"Display P3"));
    assert!(!keeps(b"sRGB IEC61966-2.1"));
}

#[test]
fn what_moves_or_scales_by_itself_is_passed_through() {
    let moving = make::with_chunk(&make::png(90, 90), b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]);
    for bytes in [make::gif(2), moving, make::avif(640, 480, b"avif")] {
        assert_eq!(renditions(&bytes, &[8]), Ok(Vec::new()));
    }
}

#[test]
fn half_an_image_is_an_error() {
    let webp = make::encoded(make::gradient(90, 60), ImageFormat::WebP);
    for bytes in [make::jpeg(90, 60), make::png(90, 60), webp, make::gif(1)] {
        let half = &bytes[..bytes.len() * 9 / 10];
        let error = renditions(half, &[30]).unwrap_err();
        assert!(matches!(error, ImageError::Truncated { .. } | ImageError::Damaged { .. }), "{error}");
    }
}

#[test]
fn a_size_that_lies_is_an_error_and_takes_no_memory() {
    let mut png = make::png(90, 60);
    png[16..24].copy_from_slice(&[0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10]);
    assert!(renditions(&png, &[30]).is_err());
}
