//! Finding the byte that ends, or interrupts, the plain part of a string.

use wide::u8x16;

/// Position of the first `"`, `\` or control character at or behind `at`; the length of `bytes` if there is
/// none. Takes two blocks at once: most strings end within, so the loop is left as the processor expects.
#[inline(always)]
pub(crate) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&[low, high]) =
        bytes.get(at..).and_then(|rest| rest.as_chunks::<16>().0.first_chunk::<2>())
    {
        let hits = special(low) | special(high) << 16;
        if hits != 0 {
            return at + hits.trailing_zeros() as usize;
        }
        at += 32;
    }
    while bytes.get(at).is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}

/// One bit per special byte.
#[inline(always)]
fn special(block: [u8; 16]) -> u32 {
    let block = u8x16::new(block);
    let control = block.min(u8x16::splat(0x1F)).cmp_eq(block);
    let hits = block.cmp_eq(u8x16::splat(b'"')) | block.cmp_eq(u8x16::splat(b'\\')) | control;
    hits.move_mask() as u32
}

/// How many digits begin the bytes, and how many follow the byte behind those: `12.345,` has 2 and 3.
/// Nothing if that is not seen within the first 16 bytes.
#[inline(always)]
pub(crate) fn digit_runs(bytes: &[u8]) -> Option<(usize, usize)> {
    let block = u8x16::new(*bytes.first_chunk::<16>()?);
    let digits = block.max(u8x16::splat(b'0')).min(u8x16::splat(b'9')).cmp_eq(block);
    let others = !digits.move_mask() as u32 & 0xFFFF;
    let (first, later) = (others.trailing_zeros(), others & others.wrapping_sub(1));
    (later != 0).then(|| (first as usize, (later.trailing_zeros() - first - 1) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_plain_loop_finds(bytes in prop::collection::vec(prop_oneof![
            20 => any::<u8>(), 40 => 0x20u8..0x80, 1 => Just(b'"'), 1 => Just(b'\\'), 1 => 0x1Eu8..0x22,
        ], 0..80), from in 0usize..90) {
            let expected = (from..bytes.len()).find(|&at| matches!(bytes[at], b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(plain_end(&bytes, from), expected.unwrap_or(bytes.len().max(from)));
        }

        #[test]
        fn counts_digits_as_a_plain_loop_does(text in "[0-9]{0,17}[^0-9]?[0-9]{0,17}.{0,3}") {
            let block: Vec<u8> = text.bytes().take(16).collect();
            let mut runs = block.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len);
            let expected = (runs.clone().count() > 2 && block.len() == 16).then(|| (runs.next().unwrap(), runs.next().unwrap()));
            prop_assert_eq!(digit_runs(text.as_bytes()), expected);
        }
    }
}
