//! A value opens in its own place only.

mod world;

use intelgraph_envelope::{
    Context, Envelope, EnvelopeError, InlineKeys, Keystore, OVERHEAD, PREFIX_LEN, Purpose, TenantId,
    reserve_header,
};
use proptest::prelude::*;
use world::*;

const PURPOSES: [Purpose; 5] =
    [Purpose::Diff, Purpose::Snapshot, Purpose::Quarantine, Purpose::QuarantineReport, Purpose::Message];

/// A context that owns its fields.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    dataset: String,
    entity: Vec<u8>,
    purpose: Purpose,
    version: u64,
    op: u8,
    valid_at: i64,
}

impl Place {
    fn context(&self) -> Context<'_> {
        Context {
            tenant: TENANT,
            dataset: &self.dataset,
            entity: &self.entity,
            purpose: self.purpose,
            version: self.version,
            op: self.op,
            valid_at: self.valid_at,
        }
    }
}

fn place() -> impl Strategy<Value = Place> {
    let fields = (
        "[a-z.]{0,40}",
        prop::collection::vec(any::<u8>(), 0..300),
        prop::sample::select(&PURPOSES),
        any::<u64>(),
        any::<u8>(),
        any::<i64>(),
    );
    fields.prop_map(|(dataset, entity, purpose, version, op, valid_at)| Place {
        dataset,
        entity,
        purpose,
        version,
        op,
        valid_at,
    })
}

/// The same place but for one field.
fn neighbour(place: &Place, field: usize, other: &Place) -> Place {
    let mut changed = place.clone();
    match field {
        0 => changed.dataset.clone_from(&other.dataset),
        1 => changed.entity.clone_from(&other.entity),
        2 => changed.purpose = other.purpose,
        3 => changed.version = other.version,
        4 => changed.op = other.op,
        _ => changed.valid_at = other.valid_at,
    }
    changed
}

proptest! {
    #[test]
    fn any_plaintext_opens_where_it_was_sealed(place in place(), plaintext in prop::collection::vec(any::<u8>(), 0..2000)) {
        let keystore = sealing_keystore();
        let sealed = seal(&keystore, &place.context(), &plaintext, at(1));
        prop_assert_eq!(sealed.len(), plaintext.len() + OVERHEAD);
        prop_assert_eq!(open(&keystore, &place.context(), &sealed, at(1)), Ok(plaintext));
    }

    #[test]
    fn one_altered_field_and_it_does_not_open(place in place(), other in place(), field in 0_usize..6, random in 0_u64..u64::MAX) {
        let keystore = sealing_keystore();
        let sealed = seal(&keystore, &place.context(), b"value", at(1));
        let mut changed = neighbour(&place, field, &other);
        if changed == place {
            changed.version ^= random + 1;
        }
        prop_assert_eq!(open(&keystore, &changed.context(), &sealed, at(1)), Err(EnvelopeError::NotAuthentic));
    }

    #[test]
    fn one_altered_bit_and_it_does_not_open(plaintext in prop::collection::vec(any::<u8>(), 0..100), bit in any::<prop::sample::Index>()) {
        let keystore = sealing_keystore();
        let mut sealed = seal(&keystore, &context(), &plaintext, at(1));
        let bit = bit.index(sealed.len() * 8);
        sealed[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(open(&keystore, &context(), &sealed, at(1)).is_err());
    }

    #[test]
    fn bytes_moved_across_a_field_boundary_do_not_open(text in "[a-z]{2,20}", cut in any::<prop::sample::Index>()) {
        let keystore = sealing_keystore();
        let at_one = cut.index(text.len());
        let (dataset, entity) = text.split_at(at_one);
        let (next_dataset, next_entity) = text.split_at(at_one + 1);
        let here = Context { dataset, entity: entity.as_bytes(), ..context() };
        let there = Context { dataset: next_dataset, entity: next_entity.as_bytes(), ..context() };
        let sealed = seal(&keystore, &here, b"value", at(1));
        prop_assert_eq!(open(&keystore, &there, &sealed, at(1)), Err(EnvelopeError::NotAuthentic));
    }
}

#[test]
fn every_header_bit_matters() {
    let keystore = sealing_keystore();
    let sealed = seal(&keystore, &context(), b"value", at(1));
    for bit in 0..PREFIX_LEN * 8 {
        let mut altered = sealed.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let refused = open(&keystore, &context(), &altered, at(1)).unwrap_err();
        let expected = match bit / 8 {
            0 => EnvelopeError::UnknownVersion(altered[0]),
            1 => EnvelopeError::UnknownSuite(altered[1]),
            // The inline flag makes the nonce look like a section of keys.
            2 if altered[2] == 1 => {
                assert!(matches!(refused, EnvelopeError::Truncated | EnvelopeError::WrappedKeyMalformed));
                continue;
            }
            2 => EnvelopeError::UnknownFlags(altered[2]),
            3..35 => EnvelopeError::DataKeyNotLoaded,
            _ => EnvelopeError::NotAuthentic,
        };
        assert_eq!(refused, expected, "bit {bit}");
    }
}

#[test]
fn every_cut_is_refused() {
    let keystore = sealing_keystore();
    let sealed = seal(&keystore, &context(), b"value", at(1));
    for length in 0..sealed.len() {
        assert!(open(&keystore, &context(), &sealed[..length], at(1)).is_err(), "{length}");
    }
    let longer = [&sealed[..], &[0]].concat();
    assert_eq!(open(&keystore, &context(), &longer, at(1)), Err(EnvelopeError::NotAuthentic));
}

#[test]
fn versions_and_kinds_cannot_be_swapped() {
    let keystore = sealing_keystore();
    let first = Context { version: 1, ..context() };
    let second = Context { version: 2, ..context() };
    let snapshot = Context { purpose: Purpose::Snapshot, ..first };
    for (here, there) in [(first, second), (second, first), (first, snapshot), (snapshot, first)] {
        let sealed = seal(&keystore, &here, b"value", at(1));
        assert_eq!(open(&keystore, &there, &sealed, at(1)), Err(EnvelopeError::NotAuthentic));
        assert_eq!(open(&keystore, &here, &sealed, at(1)).unwrap(), b"value");
    }
}

#[test]
fn another_tenants_context_is_refused_by_both_keys() {
    let keystore = sealing_keystore();
    let foreign = Context { tenant: OTHER_TENANT, ..context() };
    let mut batch = keystore.reserve(TENANT, 1, 5, at(1)).unwrap();
    let mut out = Vec::new();
    assert_eq!(batch.seal(&foreign, b"value", &mut out), Err(EnvelopeError::WrongTenant));
    assert!(out.is_empty());
    assert_eq!(batch.messages_left(), 1);

    let sealed = seal(&keystore, &context(), b"value", at(1));
    let envelope = Envelope::parse(&sealed).unwrap();
    let key = keystore.opening_key(TENANT, envelope.dek_id(), at(1)).unwrap();
    assert_eq!(key.open(&foreign, &envelope, &mut out), Err(EnvelopeError::WrongTenant));
}

#[test]
fn an_envelope_is_refused_by_a_key_it_does_not_name() {
    let keystore = sealing_keystore();
    let sealed = seal(&keystore, &context(), b"value", at(1));
    let other = activate(&keystore, TENANT, at(2));
    let key = keystore.opening_key(TENANT, other.id, at(2)).unwrap();
    let envelope = Envelope::parse(&sealed).unwrap();
    let mut out = b"before".to_vec();
    assert_eq!(key.open(&context(), &envelope, &mut out), Err(EnvelopeError::KeyMismatch));
    assert_eq!(out, b"before");
}

#[test]
fn opening_appends_and_a_failure_leaves_no_plaintext() {
    let keystore = sealing_keystore();
    let sealed = seal(&keystore, &context(), b"value", at(1));
    let envelope = Envelope::parse(&sealed).unwrap();
    let key = keystore.opening_key(TENANT, envelope.dek_id(), at(1)).unwrap();
    let mut out = b"before".to_vec();
    assert_eq!(key.open(&context(), &envelope, &mut out), Ok(6..11));
    assert_eq!(out, b"beforevalue");

    let elsewhere = Context { version: 8, ..context() };
    assert_eq!(key.open(&elsewhere, &envelope, &mut out), Err(EnvelopeError::NotAuthentic));
    assert_eq!(out, b"beforevalue");
}

#[test]
fn sealing_in_place_equals_sealing() {
    let keystore = sealing_keystore();
    let mut batch = keystore.reserve(TENANT, 2, 100, at(1)).unwrap();
    let mut out = b"row before".to_vec();
    let start = reserve_header(&mut out);
    out.extend_from_slice(b"value");
    batch.seal_in_place(&context(), &mut out, start).unwrap();
    let first_end = out.len();
    batch.seal(&context(), b"value", &mut out).unwrap();

    assert!(out.starts_with(b"row before"));
    for sealed in [&out[10..first_end], &out[first_end..]] {
        assert_eq!(open(&keystore, &context(), sealed, at(1)).unwrap(), b"value");
    }
    assert_ne!(out[10..first_end], out[first_end..], "two seals of one value differ");
}

#[test]
fn a_seal_that_fails_takes_the_plaintext_away() {
    let keystore = sealing_keystore();
    let mut batch = keystore.reserve(TENANT, 1, 4, at(1)).unwrap();
    let mut out = b"row before".to_vec();
    let start = reserve_header(&mut out);
    out.extend_from_slice(b"value");
    let refused = batch.seal_in_place(&context(), &mut out, start);
    assert_eq!(refused, Err(EnvelopeError::ReservationExceeded));
    assert_eq!(out, b"row before");
}

#[test]
fn a_plaintext_without_a_header_before_it_is_refused() {
    let keystore = sealing_keystore();
    let mut batch = keystore.reserve(TENANT, 1, 100, at(1)).unwrap();
    let mut out = vec![0; 60];
    for start in [0, PREFIX_LEN - 1, 61, usize::MAX] {
        let refused = batch.seal_in_place(&context(), &mut out, start);
        assert_eq!(refused, Err(EnvelopeError::PlaintextPlace), "{start}");
        assert_eq!(out, vec![0; 60]);
    }
}

/// An envelope with both wrapped keys inside, and the keystore that sealed it.
fn travelling_envelope(tenant_key: &[u8]) -> (Keystore, Vec<u8>) {
    let keystore = keystore();
    lease(&keystore, TENANT, at(0));
    let row = activate(&keystore, TENANT, at(0));
    let keys = InlineKeys { data_key: row.wrapped, tenant_key };
    let mut sealed = b"".to_vec();
    let mut batch = keystore.reserve(TENANT, 1, 100, at(0)).unwrap();
    batch.seal_with_keys(&context(), &keys, b"a message", &mut sealed).unwrap();
    (keystore, sealed)
}

#[test]
fn keys_that_travel_along_come_out_as_they_went_in() {
    for tenant_key in [&b""[..], b"vault:v1:abc", &[7; 65_458]] {
        let (keystore, sealed) = travelling_envelope(tenant_key);
        let envelope = Envelope::parse(&sealed).unwrap();
        assert_eq!(envelope.inline_keys().unwrap().tenant_key, tenant_key);
        assert_eq!(envelope.plaintext_len(), 9);
        assert_eq!(open(&keystore, &context(), &sealed, at(0)).unwrap(), b"a message");
    }
}

#[test]
fn keys_that_travel_along_are_authenticated() {
    let (keystore, sealed) = travelling_envelope(b"vault:v1:abc");
    let header_end = 3 + 32 + 2 + 77 + b"vault:v1:abc".len();
    for at_byte in 35..header_end {
        let mut altered = sealed.clone();
        altered[at_byte] ^= 1;
        assert!(open(&keystore, &context(), &altered, at(0)).is_err(), "{at_byte}");
    }
}

#[test]
fn a_wrapped_tenant_key_too_long_to_travel_is_refused() {
    let keystore = sealing_keystore();
    let row = activate(&keystore, TENANT, at(0));
    let keys = InlineKeys { data_key: row.wrapped, tenant_key: &[7; 65_459] };
    let mut out = Vec::new();
    let mut batch = keystore.reserve(TENANT, 1, 100, at(0)).unwrap();
    let refused = batch.seal_with_keys(&context(), &keys, b"a message", &mut out);
    assert_eq!(refused, Err(EnvelopeError::InlineTooLong));
    assert!(out.is_empty());
}

#[test]
fn a_data_key_of_one_tenant_is_nothing_to_another() {
    let keystore = sealing_keystore();
    lease(&keystore, OTHER_TENANT, at(0));
    let sealed = seal(&keystore, &context(), b"value", at(1));
    let as_other = Context { tenant: OTHER_TENANT, ..context() };
    assert_eq!(open(&keystore, &as_other, &sealed, at(1)), Err(EnvelopeError::DataKeyNotLoaded));
    assert_eq!(TenantId::try_from(&[1; 16][..]), Ok(TENANT));
}
