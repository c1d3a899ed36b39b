//! Entry bundles (C2SP tlog-tiles, "Log entries"): entries, each after its length as a big-endian `u16`.

use crate::error::LedgerError;

/// Bytes that an entry may have.
pub const MAX_ENTRY_LEN: usize = u16::MAX as usize;

/// Appends an entry to a bundle. The length must have been checked.
pub(crate) fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) {
    debug_assert!(entry.len() <= MAX_ENTRY_LEN, "lengths are checked before");
    bundle.extend_from_slice(&(entry.len() as u16).to_be_bytes());
    bundle.extend_from_slice(entry);
}

/// The entries of a bundle, in order. An error is the last item.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
    read: u64,
}

/// Reads a sequence of length-prefixed entries, as many as there are.
pub fn entries(bundle: &[u8]) -> Entries<'_> {
    Entries { rest: bundle, read: 0 }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = self
            .rest
            .split_first_chunk()
            .and_then(|(length, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        let Some((entry, rest)) = entry else {
            self.rest = &[];
            return Some(Err(LedgerError::BundleCutShort { entries: self.read }));
        };
        (self.rest, self.read) = (rest, self.read + 1);
        Some(Ok(entry))
    }
}

/// The entries of a bundle that must hold `width` of them.
///
/// # Errors
/// `BundleCutShort`, `BundleWidth`.
pub fn entries_of_width(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, LedgerError> {
    let entries = entries(bundle).collect::<Result<Vec<_>, _>>()?;
    if entries.len() == usize::from(width) {
        Ok(entries)
    } else {
        Err(LedgerError::BundleWidth { entries: entries.len() as u64, want: width })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_as_they_went_in() {
        let (long, mut bundle) = (vec![9; MAX_ENTRY_LEN], Vec::new());
        let given: [&[u8]; 4] = [b"", b"a", &long, b"end"];
        given.iter().for_each(|entry| push_entry(&mut bundle, entry));
        assert_eq!(&bundle[..5], [0, 0, 0, 1, b'a']);
        assert_eq!(entries_of_width(&bundle, 4).unwrap(), given);
        assert_eq!(entries_of_width(&bundle, 3), Err(LedgerError::BundleWidth { entries: 4, want: 3 }));
        assert_eq!(entries_of_width(&[], 1), Err(LedgerError::BundleWidth { entries: 0, want: 1 }));
    }

    #[test]
    fn a_bundle_ends_where_an_entry_ends() {
        for (bundle, whole) in
            [(&[0][..], 0), (&[0, 1], 0), (&[0, 0, 0], 1), (&[0, 1, 7, 0, 2, 7], 1), (&[255, 255, 0], 0)]
        {
            let error = entries(bundle).find_map(Result::err);
            assert_eq!(error, Some(LedgerError::BundleCutShort { entries: whole }), "{bundle:?}");
        }
    }
}
