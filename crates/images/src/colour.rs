//! Which colour profile a smaller image keeps. Metadata is dropped, but a profile is what the numbers of the pixels
//! mean: without it a phone's wide-gamut photo would turn dull.

/// The most bytes of a profile worth carrying in every rendition; those of phones and cameras have about 600.
const PROFILE_BYTES_MAX: usize = 16 * 1024;

/// The most entries of a profile looked at.
const TAGS_MAX: usize = 64;

/// The profile that a smaller image carries: only one that fits the channels, and not sRGB, which is meant anyway.
pub(crate) fn profile_to_keep(profile: Option<Vec<u8>>, grey: bool) -> Option<Vec<u8>> {
    let space: &[u8] = if grey { b"GRAY" } else { b"RGB " };
    profile.filter(|profile| {
        profile.len() <= PROFILE_BYTES_MAX
            && profile.get(16..20) == Some(space)
            && profile.get(36..40) == Some(b"acsp")
            && !is_srgb(profile)
    })
}

/// Whether the profile calls itself sRGB, in single bytes or in UTF-16.
fn is_srgb(profile: &[u8]) -> bool {
    description(profile).is_some_and(|text| {
        text.windows(4).any(|part| part == b"sRGB") || text.windows(7).any(|part| part == b"s\0R\0G\0B")
    })
}

/// The bytes of the entry `desc`.
fn description(profile: &[u8]) -> Option<&[u8]> {
    let number = |at: usize| -> Option<usize> {
        let bytes = profile.get(at..)?.first_chunk()?;
        usize::try_from(u32::from_be_bytes(*bytes)).ok()
    };
    let tags = number(128)?.min(TAGS_MAX);
    let entry =
        (0..tags).map(|index| 132 + index * 12).find(|at| profile.get(*at..at + 4) == Some(b"desc"))?;
    let from = number(entry + 4)?;
    profile.get(from..from.checked_add(number(entry + 8)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(space: &[u8; 4], name: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 128];
        bytes[16..20].copy_from_slice(space);
        bytes[36..40].copy_from_slice(b"acsp");
        bytes.extend(1_u32.to_be_bytes());
        bytes.extend(b"desc");
        bytes.extend(144_u32.to_be_bytes());
        bytes.extend(u32::try_from(name.len()).unwrap().to_be_bytes());
        bytes.extend(name);
        bytes
    }

    #[test]
    fn only_a_profile_that_says_something_is_kept() {
        let wide = profile(b"RGB ", b"Display P3");
        assert_eq!(profile_to_keep(Some(wide.clone()), false), Some(wide.clone()));
        assert_eq!(profile_to_keep(Some(wide), true), None, "colours for a grey picture");
        assert_eq!(profile_to_keep(Some(profile(b"RGB ", b"sRGB IEC61966-2.1")), false), None);
        assert_eq!(profile_to_keep(Some(profile(b"RGB ", b"\0s\0R\0G\0B\0 \0v\x004")), false), None);
        assert_eq!(profile_to_keep(Some(profile(b"CMYK", b"Coated")), false), None);
        assert_eq!(profile_to_keep(None, false), None);
    }

    #[test]
    fn a_cut_profile_is_no_reason_to_panic() {
        let whole = profile(b"RGB ", b"Display P3");
        for length in 0..whole.len() {
            profile_to_keep(Some(whole[..length].to_vec()), false);
        }
        let mut lying = whole;
        lying[136..144].fill(0xFF);
        assert!(profile_to_keep(Some(lying), false).is_some());
    }
}
