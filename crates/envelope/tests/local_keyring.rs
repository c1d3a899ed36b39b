//! The keyring file and the keys in it.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use intelgraph_envelope::{EnvelopeError, KekState, LocalKeyring, Secret, TenantId, Unlock};

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const OTHER: TenantId = TenantId::from_bytes([2; 16]);
const KEY_FILE: Unlock<'_> = Unlock::KeyFile(&[0x5A; 32]);

fn secret() -> Secret<32> {
    Secret::copy_of(&[0xC3; 32]).unwrap()
}

fn keyring() -> LocalKeyring {
    keyring_of(TENANT)
}

fn keyring_of(owner: TenantId) -> LocalKeyring {
    let mut keyring = LocalKeyring::create(&KEY_FILE).unwrap();
    keyring.create_kek(owner, 11).unwrap();
    keyring
}

#[test]
fn a_file_holds_versions_and_states() {
    let mut keyring = keyring();
    keyring.create_kek(TENANT, 22).unwrap();
    keyring.create_kek(TENANT, 33).unwrap();
    keyring.create_kek(OTHER, 44).unwrap();
    let wrapped = keyring.wrap(TENANT, b"id", &secret()).unwrap();
    keyring.disable(TENANT, 2).unwrap();
    keyring.destroy(TENANT, 1).unwrap();

    let reopened = LocalKeyring::open(&keyring.seal().unwrap(), &KEY_FILE).unwrap();
    let versions: Vec<_> =
        reopened.versions(TENANT).map(|kek| (kek.number, kek.state, kek.created_us)).collect();
    assert_eq!(
        versions,
        [(1, KekState::Destroyed, 11), (2, KekState::Disabled, 22), (3, KekState::Enabled, 33)]
    );
    assert_eq!(reopened.versions(OTHER).count(), 1);
    assert_eq!(reopened.versions(TenantId::from_bytes([3; 16])).count(), 0);
    assert_eq!(reopened.unwrap(TENANT, b"id", &wrapped).unwrap().expose(), secret().expose());
}

#[test]
fn a_reopened_keyring_seals_again_for_the_same_key_file() {
    let reopened = LocalKeyring::open(&keyring().seal().unwrap(), &KEY_FILE).unwrap();
    let (first, second) = (reopened.seal().unwrap(), reopened.seal().unwrap());
    assert_ne!(first, second, "each seal has its own nonce");
    for sealed in [first, second] {
        assert_eq!(LocalKeyring::open(&sealed, &KEY_FILE).unwrap().versions(TENANT).count(), 1);
    }
}

#[test]
fn a_passphrase_opens_its_own_keyring_only() {
    let mut keyring = LocalKeyring::create(&Unlock::Passphrase(b"correct horse")).unwrap();
    keyring.create_kek(TENANT, 0).unwrap();
    let sealed = keyring.seal().unwrap();
    let reopened = LocalKeyring::open(&sealed, &Unlock::Passphrase(b"correct horse")).unwrap();
    assert_eq!(reopened.versions(TENANT).count(), 1);

    let refused = |unlock| LocalKeyring::open(&sealed, &unlock).unwrap_err();
    assert_eq!(refused(Unlock::Passphrase(b"correct house")), EnvelopeError::KeyringUnlockWrong);
    assert_eq!(refused(Unlock::Passphrase(b"")), EnvelopeError::KeyringUnlockUnfit);
    assert_eq!(refused(KEY_FILE), EnvelopeError::KeyringUnlockKind);
    // The costs are in the header: a lowered one derives another key.
    let mut cheaper = sealed.clone();
    cheaper[10..14].copy_from_slice(&1024_u32.to_be_bytes());
    let refused = LocalKeyring::open(&cheaper, &Unlock::Passphrase(b"correct horse")).unwrap_err();
    assert_eq!(refused, EnvelopeError::KeyringUnlockWrong);
}

#[test]
fn a_key_file_opens_its_own_keyring_only() {
    let sealed = keyring().seal().unwrap();
    let refused = |unlock| LocalKeyring::open(&sealed, &unlock).unwrap_err();
    assert_eq!(refused(Unlock::KeyFile(&[0x5B; 32])), EnvelopeError::KeyringUnlockWrong);
    assert_eq!(refused(Unlock::KeyFile(&[0x5A; 31])), EnvelopeError::KeyringUnlockUnfit);
    assert_eq!(refused(Unlock::Passphrase(b"correct horse")), EnvelopeError::KeyringUnlockKind);
}

#[test]
fn what_makes_no_key_makes_no_keyring() {
    for unlock in [Unlock::Passphrase(b""), Unlock::KeyFile(b"short")] {
        assert_eq!(LocalKeyring::create(&unlock).unwrap_err(), EnvelopeError::KeyringUnlockUnfit);
    }
}

#[test]
fn every_cut_is_a_cut() {
    let sealed = keyring().seal().unwrap();
    for length in 0..sealed.len() {
        let refused = LocalKeyring::open(&sealed[..length], &KEY_FILE).unwrap_err();
        assert_eq!(refused, EnvelopeError::KeyringTruncated, "{length}");
    }
    let longer = [&sealed[..], &[0]].concat();
    assert_eq!(LocalKeyring::open(&longer, &KEY_FILE).unwrap_err(), EnvelopeError::KeyringTruncated);
}

#[test]
fn every_altered_byte_is_named_for_what_it_is() {
    let sealed = keyring().seal().unwrap();
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 0x10;
        let refused = LocalKeyring::open(&altered, &KEY_FILE).unwrap_err();
        let expected = match at {
            0..8 => EnvelopeError::KeyringFormatUnknown,
            8 => EnvelopeError::KeyringVersionUnknown(0x11),
            9..22 => EnvelopeError::KeyringParameters,
            // Salt and check: indistinguishable from another key file.
            22..86 => EnvelopeError::KeyringUnlockWrong,
            86..90 => EnvelopeError::KeyringTruncated,
            _ => EnvelopeError::KeyringCorrupt,
        };
        assert_eq!(refused, expected, "byte {at}");
    }
}

#[test]
fn something_else_is_not_a_keyring() {
    for bytes in [&b"-----BEGIN PRIVATE KEY-----"[..], b"{}", b"\0"] {
        let refused = LocalKeyring::open(bytes, &KEY_FILE).unwrap_err();
        assert_eq!(refused, EnvelopeError::KeyringFormatUnknown);
    }
}

#[test]
fn unwrapping_needs_the_same_tenant_and_key_id() {
    let mut keyring = keyring();
    keyring.create_kek(OTHER, 0).unwrap();
    let wrapped = keyring.wrap(TENANT, b"id", &secret()).unwrap();
    let refused = |tenant, id: &[u8], bytes: &[u8]| keyring.unwrap(tenant, id, bytes).unwrap_err();
    assert_eq!(refused(OTHER, b"id", &wrapped), EnvelopeError::WrappedKeyNotAuthentic);
    assert_eq!(refused(TENANT, b"ie", &wrapped), EnvelopeError::WrappedKeyNotAuthentic);
    assert_eq!(refused(TENANT, b"", &wrapped), EnvelopeError::WrappedKeyNotAuthentic);
    assert_eq!(refused(TenantId::from_bytes([3; 16]), b"id", &wrapped), EnvelopeError::KekUnknown);
    for length in 0..wrapped.len() {
        assert_eq!(refused(TENANT, b"id", &wrapped[..length]), EnvelopeError::WrappedKeyMalformed);
    }
    for at in 0..wrapped.len() {
        let mut altered = wrapped.clone();
        altered[at] ^= 1;
        let expected = match at {
            0 => EnvelopeError::WrappedKeyMalformed,
            1..5 => EnvelopeError::KekUnknown,
            _ => EnvelopeError::WrappedKeyNotAuthentic,
        };
        assert_eq!(refused(TENANT, b"id", &altered), expected, "byte {at}");
    }
}

#[test]
fn a_new_version_wraps_and_the_old_still_unwraps() {
    let mut keyring = keyring();
    let by_first = keyring.wrap(TENANT, b"id", &secret()).unwrap();
    assert_eq!(keyring.create_kek(TENANT, 0), Ok(2));
    let by_second = keyring.wrap(TENANT, b"id", &secret()).unwrap();
    assert_eq!((by_first[4], by_second[4]), (1, 2));
    for wrapped in [&by_first, &by_second] {
        assert_eq!(keyring.unwrap(TENANT, b"id", wrapped).unwrap().expose(), secret().expose());
    }
    // A version's number is bound to its wrap.
    let mut renamed = by_first.clone();
    renamed[4] = 2;
    let refused = keyring.unwrap(TENANT, b"id", &renamed).unwrap_err();
    assert_eq!(refused, EnvelopeError::WrappedKeyNotAuthentic);
}

#[test]
fn a_disabled_key_denies_until_it_is_enabled() {
    let mut keyring = keyring();
    keyring.create_kek(TENANT, 0).unwrap();
    let wrapped = keyring.wrap(TENANT, b"id", &secret()).unwrap();
    keyring.disable(TENANT, 2).unwrap();
    assert_eq!(keyring.unwrap(TENANT, b"id", &wrapped).unwrap_err(), EnvelopeError::KekDisabled);
    let refused = keyring.wrap(TENANT, b"id", &secret()).unwrap_err();
    assert_eq!(refused, EnvelopeError::KekDisabled, "an older version does not step in");
    keyring.enable(TENANT, 2).unwrap();
    assert!(keyring.unwrap(TENANT, b"id", &wrapped).is_ok());
}

#[test]
fn a_destroyed_key_stays_destroyed() {
    let mut keyring = keyring();
    let wrapped = keyring.wrap(TENANT, b"id", &secret()).unwrap();
    keyring.destroy(TENANT, 1).unwrap();
    for mut keyring in [LocalKeyring::open(&keyring.seal().unwrap(), &KEY_FILE).unwrap(), keyring] {
        assert_eq!(keyring.unwrap(TENANT, b"id", &wrapped).unwrap_err(), EnvelopeError::KekDestroyed);
        assert_eq!(keyring.wrap(TENANT, b"id", &secret()).unwrap_err(), EnvelopeError::KekDestroyed);
        assert_eq!(keyring.enable(TENANT, 1), Err(EnvelopeError::KekDestroyed));
        assert_eq!(keyring.disable(TENANT, 1), Err(EnvelopeError::KekDestroyed));
        assert_eq!(keyring.destroy(TENANT, 1), Err(EnvelopeError::KekDestroyed));
    }
}

#[test]
fn a_key_that_is_not_there_is_unknown() {
    let mut keyring = keyring();
    assert_eq!(keyring.wrap(OTHER, b"id", &secret()).unwrap_err(), EnvelopeError::KekUnknown);
    for change in [LocalKeyring::enable, LocalKeyring::disable, LocalKeyring::destroy] {
        assert_eq!(change(&mut keyring, TENANT, 2), Err(EnvelopeError::KekUnknown));
    }
}

fn is_signed(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}

#[test]
fn an_owner_signs_under_the_newest_enabled_version() {
    let mut keyring = keyring();
    let (first, first_key) = keyring.verifying_key(TENANT, None).unwrap();
    let (signed_by, signature) = keyring.sign(TENANT, b"message").unwrap();
    assert_eq!((first, signed_by), (1, 1));
    assert!(is_signed(&first_key, b"message", &signature));
    assert!(!is_signed(&first_key, b"another", &signature));

    keyring.create_kek(TENANT, 22).unwrap();
    let (second, second_key) = keyring.verifying_key(TENANT, None).unwrap();
    assert_eq!((second, keyring.sign(TENANT, b"").unwrap().0), (2, 2));
    assert_ne!(first_key, second_key);
    assert_eq!(keyring.verifying_key(TENANT, Some(1)).unwrap(), (1, first_key));

    keyring.disable(TENANT, 2).unwrap();
    assert_eq!(keyring.sign(TENANT, b"message").unwrap(), (1, signature), "Ed25519 is deterministic");
    assert_eq!(keyring.verifying_key(TENANT, Some(2)).unwrap(), (2, second_key), "to verify what it signed");

    let reopened = LocalKeyring::open(&keyring.seal().unwrap(), &KEY_FILE).unwrap();
    assert_eq!(reopened.sign(TENANT, b"message").unwrap(), (1, signature));
    assert_ne!(keyring_of(OTHER).verifying_key(OTHER, None).unwrap().1, first_key);
}

#[test]
fn nobody_signs_without_an_enabled_version() {
    let mut keyring = keyring();
    assert_eq!(keyring.sign(OTHER, b""), Err(EnvelopeError::KekUnknown));
    assert_eq!(keyring.verifying_key(OTHER, None), Err(EnvelopeError::KekUnknown));
    assert_eq!(keyring.verifying_key(TENANT, Some(2)), Err(EnvelopeError::KekUnknown));
    keyring.disable(TENANT, 1).unwrap();
    assert_eq!(keyring.sign(TENANT, b""), Err(EnvelopeError::KekDisabled));
    assert_eq!(keyring.verifying_key(TENANT, None), Err(EnvelopeError::KekDisabled));
    keyring.destroy(TENANT, 1).unwrap();
    assert_eq!(keyring.sign(TENANT, b""), Err(EnvelopeError::KekDestroyed));
    assert_eq!(keyring.verifying_key(TENANT, Some(1)), Err(EnvelopeError::KekDestroyed));
}
