//! No input makes anything panic.

use std::sync::LazyLock;

use ashlar_images::{ImageError, facts, facts_of, renditions};
use image::ImageFormat;
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::make;

/// One small valid file of every kind.
static VALID: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    vec![
        make::jpeg(24, 16),
        make::turned(&make::gradient(24, 16), 6),
        make::png(24, 16),
        make::encoded(make::see_through(24, 16), ImageFormat::Png),
        make::encoded(make::see_through(24, 16), ImageFormat::WebP),
        make::gif(1),
        make::gif(2),
        make::avif(24, 16, b"avif"),
        br##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 1"><style>a{fill:url(#a)}</style><g id="a"/></svg>"##
            .to_vec(),
    ]
});

/// Asks everything, and checks what an answer promises.
fn ask(bytes: &[u8]) {
    let known = facts(bytes);
    let _ = facts_of("a.png", bytes);
    match renditions(bytes, &[1, 7, 9000]) {
        Ok(made) => {
            let known = known.expect("what was scaled is known");
            for one in made {
                assert!(one.width < known.width && one.height <= known.height);
                assert_eq!(facts(&one.bytes).expect("a rendition is an image").width, one.width);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[test]
fn every_file_may_stop_anywhere() {
    for bytes in VALID.iter() {
        assert!(facts(bytes).is_ok());
        for length in 0..bytes.len() {
            ask(&bytes[..length]);
        }
    }
}

#[test]
fn a_head_that_stops_is_truncated_and_nothing_else() {
    for bytes in VALID.iter() {
        let failed: Vec<_> =
            (12..bytes.len()).map(|length| facts(&bytes[..length])).take_while(Result::is_err).collect();
        assert!(failed.len() > 4);
        for result in failed {
            assert!(
                matches!(result, Err(ImageError::Truncated { .. } | ImageError::Damaged { .. })),
                "{result:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        ask(&bytes);
    }

    #[test]
    fn any_bytes_behind_a_true_beginning(file in any::<Index>(), keep in 2_usize..60, bytes in vec(any::<u8>(), 0..200)) {
        let valid = file.get(&VALID);
        ask(&[&valid[..keep.min(valid.len())], &bytes].concat());
    }

    #[test]
    fn valid_files_with_wrong_bytes(file in any::<Index>(), changes in vec((any::<Index>(), any::<u8>()), 1..12)) {
        let mut bytes = file.get(&VALID).clone();
        for (at, byte) in changes {
            *at.get_mut(&mut bytes) = byte;
        }
        ask(&bytes);
    }

    #[test]
    fn valid_files_with_a_wrong_head(file in any::<Index>(), changes in vec((0_usize..64, any::<u8>()), 1..6)) {
        let mut bytes = file.get(&VALID).clone();
        for (at, byte) in changes {
            if let Some(old) = bytes.get_mut(at) {
                *old = byte;
            }
        }
        ask(&bytes);
    }
}
