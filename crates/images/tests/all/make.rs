//! Pictures to test with.

use std::io::Cursor;

use image::{
    DynamicImage, Frame, ImageEncoder, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage,
    codecs::{gif::GifEncoder, jpeg::JpegEncoder},
};

pub fn gradient(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, ((x * 7 + y * 3) % 256) as u8])
    })
}

pub fn see_through(width: u32, height: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| Rgba([200, (x % 256) as u8, 40, (y * 255 / height) as u8]))
}

/// Two colours side by side: red to the left, blue to the right.
pub fn flag(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) })
}

pub fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub fn jpeg(width: u32, height: u32) -> Vec<u8> {
    encoded(gradient(width, height), ImageFormat::Jpeg)
}

pub fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(gradient(width, height), ImageFormat::Png)
}

pub fn gif(frames: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = DynamicImage::from(flag(40, 20)).into_rgba8();
    let frames = (0..frames).map(|_| Frame::new(picture.clone()));
    GifEncoder::new(&mut bytes).encode_frames(frames).unwrap();
    bytes
}

/// A JPEG as a camera held in that way writes it.
pub fn turned(picture: &RgbImage, orientation: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    encoder.set_exif_metadata(exif(orientation)).unwrap();
    encoder.encode_image(picture).unwrap();
    bytes
}

pub fn exif(orientation: u8) -> Vec<u8> {
    let mut exif = b"MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    exif
}

/// A JPEG with a colour profile.
pub fn profiled(picture: &RgbImage, profile: Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    encoder.set_icc_profile(profile).unwrap();
    encoder.encode_image(picture).unwrap();
    bytes
}

/// The head of an AVIF: its brands, and boxes that say its size.
pub fn avif(width: u32, height: u32, brand: &[u8; 4]) -> Vec<u8> {
    let parted = |kind: &[u8; 4], content: &[u8]| {
        let mut bytes = (content.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend(kind);
        bytes.extend(content);
        bytes
    };
    let size = [&[0; 4][..], &width.to_be_bytes(), &height.to_be_bytes()].concat();
    let iprp = parted(b"iprp", &parted(b"ipco", &parted(b"ispe", &size)));
    let meta = parted(b"meta", &[&[0; 4], iprp.as_slice()].concat());
    let ftyp = parted(b"ftyp", &[&brand[..], &[0; 4], b"avif", b"mif1"].concat());
    [ftyp, meta, parted(b"mdat", &[0; 16])].concat()
}

/// Puts a chunk right behind a PNG's first.
pub fn with_chunk(png: &[u8], kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut bytes = png[..33].to_vec();
    bytes.extend((content.len() as u32).to_be_bytes());
    bytes.extend(kind);
    bytes.extend(content);
    bytes.extend(crc(&[&kind[..], content].concat()).to_be_bytes());
    bytes.extend(&png[33..]);
    bytes
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}
