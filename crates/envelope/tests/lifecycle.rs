//! Leases, budgets, caches: what a keystore gives out and when it stops.

mod world;

use intelgraph_envelope::{
    DataKeyLimits, DataKeyRow, DekId, Envelope, EnvelopeError, IndexKeyId, IndexKeyRow, Keystore,
    KeystoreLimits, Secret, TenantId, TenantKey, TenantKeyId, WrappedKey,
};
use std::num::NonZeroUsize;
use std::time::Duration;
use world::*;

fn dek_id(sealed: &[u8]) -> DekId {
    Envelope::parse(sealed).unwrap().dek_id()
}

/// Everything a tenant's lease gives access to, asked for at once.
fn everything_refused(keystore: &Keystore, row: &DataKeyRow, index: &IndexKeyRow, seconds: u64) {
    let (now, ended) = (at(seconds), EnvelopeError::LeaseExpired);
    assert_eq!(keystore.lease(TENANT, now), None);
    assert_eq!(keystore.reserve(TENANT, 1, 1, now).unwrap_err(), ended);
    assert_eq!(keystore.opening_key(TENANT, row.id, now).unwrap_err(), ended);
    assert_eq!(keystore.index_key(TENANT, now).unwrap_err(), ended);
    assert_eq!(keystore.missing(TENANT, [row.id], now).unwrap_err(), ended);
    assert_eq!(keystore.not_held(TENANT, [row.id], now).unwrap_err(), ended);
    assert_eq!(keystore.missing_tenant_keys(TENANT, [], now).unwrap_err(), ended);
    assert_eq!(keystore.load_dek(row, now).unwrap_err(), ended);
    assert_eq!(keystore.load_index_key(index, now).unwrap_err(), ended);
    assert_eq!(keystore.dek_absent(TENANT, row.id, now).unwrap_err(), ended);
    assert_eq!(keystore.generate_dek(TENANT, now).unwrap_err(), ended);
    assert_eq!(keystore.generate_index_key(TENANT, now).unwrap_err(), ended);
    assert_eq!(keystore.refresh_due(TENANT, now).unwrap_err(), ended);
    assert_eq!(keystore.tenant_key_due(TENANT, 0, now).unwrap_err(), ended);
    let key = TenantKey::generate(TENANT, 0).unwrap();
    assert_eq!(keystore.add_tenant_key(key, now).unwrap_err(), ended);
}

/// A renewed lease starts empty: nothing survived the end of the one before.
fn nothing_survived(keystore: &Keystore, row: &DataKeyRow, index: &IndexKeyRow, seconds: u64) {
    let now = at(seconds);
    keystore.renew(TENANT, now, TTL).unwrap();
    assert_eq!(keystore.reserve(TENANT, 1, 1, now).unwrap_err(), EnvelopeError::SealKeyMissing);
    assert_eq!(keystore.opening_key(TENANT, row.id, now).unwrap_err(), EnvelopeError::DataKeyNotLoaded);
    assert_eq!(keystore.index_key(TENANT, now).unwrap_err(), EnvelopeError::IndexKeyMissing);
    assert_eq!(keystore.generate_dek(TENANT, now).unwrap_err(), EnvelopeError::NoTenantKey);
    assert!(keystore.refresh_due(TENANT, now).unwrap());
    let tenant_key = row.wrapped.tenant_key_id();
    assert_eq!(keystore.load_dek(row, now).unwrap_err(), EnvelopeError::TenantKeyMissing(tenant_key));
    assert_eq!(keystore.load_index_key(index, now).unwrap_err(), EnvelopeError::TenantKeyMissing(tenant_key));
}

fn full_keystore() -> (Keystore, DataKeyRow, IndexKeyRow) {
    let keystore = keystore();
    lease(&keystore, TENANT, at(0));
    let row = activate(&keystore, TENANT, at(0));
    let pending = keystore.generate_index_key(TENANT, at(0)).unwrap();
    let index = pending.row();
    keystore.activate_index_key(pending, at(0)).unwrap();
    (keystore, row, index)
}

#[test]
fn a_lease_that_runs_out_takes_everything_with_it() {
    let (keystore, row, index) = full_keystore();
    assert!(keystore.opening_key(TENANT, row.id, at(299)).is_ok());
    everything_refused(&keystore, &row, &index, 300);
    nothing_survived(&keystore, &row, &index, 301);
}

#[test]
fn revocation_takes_everything_at_once() {
    let (keystore, row, index) = full_keystore();
    keystore.revoke(TENANT, at(10));
    everything_refused(&keystore, &row, &index, 10);
    nothing_survived(&keystore, &row, &index, 11);
}

#[test]
fn keys_already_given_out_stop_when_the_lease_ends() {
    let (keystore, row, _) = full_keystore();
    let sealed = seal(&keystore, &context(), b"value", at(1));
    let envelope = Envelope::parse(&sealed).unwrap();
    let opening = keystore.opening_key(TENANT, row.id, at(1)).unwrap();
    let mut batch = keystore.reserve(TENANT, 2, 100, at(1)).unwrap();
    let mut out = Vec::new();
    batch.seal(&context(), b"value", &mut out).unwrap();
    opening.open(&context(), &envelope, &mut out).unwrap();

    keystore.revoke(TENANT, at(2));
    let before = out.clone();
    assert_eq!(batch.seal(&context(), b"value", &mut out), Err(EnvelopeError::LeaseExpired));
    assert_eq!(opening.open(&context(), &envelope, &mut out), Err(EnvelopeError::LeaseExpired));
    assert_eq!(out, before);
}

#[test]
fn expiry_of_all_tenants_is_swept_without_their_calling() {
    let (keystore, row, _) = full_keystore();
    lease(&keystore, OTHER_TENANT, at(100));
    let opening = keystore.opening_key(TENANT, row.id, at(1)).unwrap();
    let sealed = seal(&keystore, &context(), b"value", at(1));
    let envelope = Envelope::parse(&sealed).unwrap();

    assert_eq!(keystore.expire(at(299)), []);
    assert_eq!(keystore.expire(at(300)), [TENANT]);
    assert_eq!(keystore.expire(at(301)), [], "each end is told once");
    let refused = opening.open(&context(), &envelope, &mut Vec::new());
    assert_eq!(refused, Err(EnvelopeError::LeaseExpired));
    assert!(keystore.lease(OTHER_TENANT, at(301)).is_some());
}

#[test]
fn use_does_not_prolong_a_lease_and_renewal_keeps_its_id() {
    let (keystore, row, _) = full_keystore();
    let id = keystore.lease(TENANT, at(0)).unwrap();
    for seconds in (0..300).step_by(10) {
        assert!(keystore.opening_key(TENANT, row.id, at(seconds)).is_ok());
        assert_eq!(keystore.lease(TENANT, at(seconds)), Some(id));
    }
    assert_eq!(keystore.renew(TENANT, at(200), TTL), Ok(id));
    assert!(keystore.reserve(TENANT, 1, 1, at(499)).is_ok());
    assert_eq!(keystore.lease(TENANT, at(500)), None);

    let next = keystore.renew(TENANT, at(500), TTL).unwrap();
    assert!(next.generation() > id.generation());
}

#[test]
fn an_authorisation_older_than_the_last_one_changes_nothing() {
    let (keystore, ..) = full_keystore();
    keystore.renew(TENANT, at(50), TTL).unwrap();
    keystore.renew(TENANT, at(20), TTL).unwrap();
    assert!(keystore.lease(TENANT, at(349)).is_some());
    // The same moment with a longer time bridges an unreachable KMS.
    keystore.renew(TENANT, at(50), 2 * TTL).unwrap();
    assert!(keystore.lease(TENANT, at(649)).is_some());
    assert!(keystore.lease(TENANT, at(650)).is_none());
}

#[test]
fn an_authorisation_asked_for_before_a_denial_is_void() {
    let (keystore, ..) = full_keystore();
    keystore.revoke(TENANT, at(10));
    keystore.revoke(TENANT, at(5));
    for seconds in [0, 9, 10] {
        assert_eq!(keystore.renew(TENANT, at(seconds), TTL), Err(EnvelopeError::AuthorisationStale));
    }
    assert!(keystore.renew(TENANT, at(11), TTL).is_ok());
}

#[test]
fn a_thread_that_dies_with_a_tenant_in_hand_leaves_nothing_behind() {
    let (keystore, row, index) = full_keystore();
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        keystore.missing(TENANT, std::iter::from_fn(|| panic!("the caller's iterator")), at(1))
    }));
    assert!(died.is_err());
    everything_refused(&keystore, &row, &index, 1);
    nothing_survived(&keystore, &row, &index, 1);
}

#[test]
fn a_tenant_never_authorised_has_nothing() {
    let (keystore, row, index) = full_keystore();
    let stranger = TenantId::from_bytes([9; 16]);
    assert_eq!(keystore.lease(stranger, at(0)), None);
    assert_eq!(keystore.reserve(stranger, 1, 1, at(0)).unwrap_err(), EnvelopeError::LeaseExpired);
    let row = DataKeyRow { tenant: stranger, ..row };
    assert_eq!(keystore.load_dek(&row, at(0)).unwrap_err(), EnvelopeError::LeaseExpired);
    let index = IndexKeyRow { tenant: stranger, ..index };
    assert_eq!(keystore.load_index_key(&index, at(0)).unwrap_err(), EnvelopeError::LeaseExpired);
}

#[test]
fn a_key_made_under_one_lease_is_not_activated_under_the_next() {
    let keystore = keystore();
    lease(&keystore, TENANT, at(0));
    let pending = keystore.generate_dek(TENANT, at(0)).unwrap();
    let pending_index = keystore.generate_index_key(TENANT, at(0)).unwrap();
    lease(&keystore, TENANT, at(300));
    assert_eq!(keystore.activate(pending, at(300)), Err(EnvelopeError::LeaseExpired));
    assert_eq!(keystore.activate_index_key(pending_index, at(300)), Err(EnvelopeError::LeaseExpired));
}

#[test]
fn a_key_does_not_seal_before_it_is_activated() {
    let keystore = keystore();
    lease(&keystore, TENANT, at(0));
    let pending = keystore.generate_dek(TENANT, at(0)).unwrap();
    assert_eq!(keystore.reserve(TENANT, 1, 1, at(0)).unwrap_err(), EnvelopeError::SealKeyMissing);
    let id = pending.row().id;
    keystore.activate(pending, at(0)).unwrap();
    let sealed = seal(&keystore, &context(), b"value", at(0));
    assert_eq!(dek_id(&sealed), id);
    assert_eq!(keystore.missing(TENANT, [id], at(0)), Ok(vec![]), "it opens here without a look-up");
}

#[test]
fn another_process_opens_from_the_stored_rows() {
    let tenant_key = TenantKey::generate(TENANT, 0).unwrap();
    let reloaded = || {
        let secret = Secret::copy_of(tenant_key.secret().expose()).unwrap();
        TenantKey::load(TENANT, tenant_key.id(), 0, secret).unwrap()
    };
    let (writer, reader) = (keystore(), keystore());
    for keystore in [&writer, &reader] {
        keystore.renew(TENANT, at(0), TTL).unwrap();
        keystore.add_tenant_key(reloaded(), at(0)).unwrap();
    }
    let row = activate(&writer, TENANT, at(0));
    let sealed = seal(&writer, &context(), b"value", at(0));

    let stored = DataKeyRow { wrapped: WrappedKey::parse(row.wrapped.as_bytes()).unwrap(), ..row };
    assert_eq!(reader.missing(TENANT, [row.id, row.id], at(0)), Ok(vec![row.id]));
    reader.load_dek(&stored, at(0)).unwrap();
    assert_eq!(reader.missing(TENANT, [row.id], at(0)), Ok(vec![]));
    assert_eq!(open(&reader, &context(), &sealed, at(0)).unwrap(), b"value");

    let pending = writer.generate_index_key(TENANT, at(0)).unwrap();
    let index = pending.row();
    writer.activate_index_key(pending, at(0)).unwrap();
    reader.load_index_key(&index, at(0)).unwrap();
    let id =
        |keystore: &Keystore| keystore.index_key(TENANT, at(0)).unwrap().entity_id("aircraft", b"N10156");
    assert_eq!(id(&writer), id(&reader));
}

#[test]
fn a_row_put_in_anothers_place_is_refused() {
    let keystore = keystore();
    lease(&keystore, TENANT, at(0));
    lease(&keystore, OTHER_TENANT, at(0));
    let mine = keystore.generate_dek(TENANT, at(0)).unwrap().row();
    let also_mine = keystore.generate_dek(TENANT, at(0)).unwrap().row();
    let theirs = keystore.generate_dek(OTHER_TENANT, at(0)).unwrap().row();

    let swapped = DataKeyRow { wrapped: also_mine.wrapped, ..mine };
    assert_eq!(keystore.load_dek(&swapped, at(0)).unwrap_err(), EnvelopeError::WrappedKeyNotAuthentic);
    let renamed = DataKeyRow { id: DekId::from_bytes([0; 32]), ..mine };
    assert_eq!(keystore.load_dek(&renamed, at(0)).unwrap_err(), EnvelopeError::WrappedKeyNotAuthentic);
    // Another tenant's row names another tenant's key, which this tenant does not have.
    let moved = DataKeyRow { tenant: TENANT, ..theirs };
    let missing = EnvelopeError::TenantKeyMissing(theirs.wrapped.tenant_key_id());
    assert_eq!(keystore.load_dek(&moved, at(0)).unwrap_err(), missing);
    // With the name of the tenant's own key put in, it does not open.
    let mut forged = *theirs.wrapped.as_bytes();
    forged[1..17].copy_from_slice(mine.wrapped.tenant_key_id().as_bytes());
    let wrapped = WrappedKey::parse(&forged).unwrap();
    let forged = DataKeyRow { wrapped, ..moved };
    assert_eq!(keystore.load_dek(&forged, at(0)).unwrap_err(), EnvelopeError::WrappedKeyNotAuthentic);
    // A data key is no index key.
    let as_index = IndexKeyRow {
        tenant: TENANT,
        id: IndexKeyId::from_bytes(*mine.id.as_bytes()),
        wrapped: mine.wrapped,
    };
    assert_eq!(keystore.load_index_key(&as_index, at(0)).unwrap_err(), EnvelopeError::CommitmentMismatch);
}

#[test]
fn the_newest_tenant_key_wraps_and_the_older_still_unwrap() {
    let keystore = keystore();
    keystore.renew(TENANT, at(0), TTL).unwrap();
    let (old, new) = (TenantKey::generate(TENANT, 1).unwrap(), TenantKey::generate(TENANT, 2).unwrap());
    let (old_id, new_id) = (old.id(), new.id());
    let absent = TenantKeyId::from_bytes([0; 16]);
    keystore.add_tenant_key(old, at(0)).unwrap();
    assert_eq!(
        keystore.missing_tenant_keys(TENANT, [new_id, old_id, absent, absent], at(0)).unwrap().len(),
        2
    );
    let by_old = keystore.generate_dek(TENANT, at(0)).unwrap().row();
    keystore.add_tenant_key(new, at(0)).unwrap();
    let by_new = keystore.generate_dek(TENANT, at(0)).unwrap().row();
    assert_eq!(by_old.wrapped.tenant_key_id(), old_id);
    assert_eq!(by_new.wrapped.tenant_key_id(), new_id);
    for row in [by_old, by_new] {
        assert_eq!(keystore.load_dek(&row, at(0)).unwrap().id(), row.id);
    }
}

#[test]
fn a_tenant_key_from_an_envelope_unwraps_and_wraps_nothing() {
    let (home, away) = (keystore(), keystore());
    let key = TenantKey::generate(TENANT, 5).unwrap();
    let secret = || Secret::copy_of(key.secret().expose()).unwrap();
    let id = key.id();
    let inline = || TenantKey::load_inline(TENANT, id, secret()).unwrap();
    let own = || TenantKey::load(TENANT, id, 5, secret()).unwrap();
    for keystore in [&home, &away] {
        keystore.renew(TENANT, at(0), TTL).unwrap();
    }
    home.add_tenant_key(own(), at(0)).unwrap();
    let row = home.generate_dek(TENANT, at(0)).unwrap().row();

    away.add_tenant_key(inline(), at(0)).unwrap();
    assert!(away.load_dek(&row, at(0)).is_ok());
    assert_eq!(away.generate_dek(TENANT, at(0)).unwrap_err(), EnvelopeError::NoTenantKey);
    assert_eq!(away.tenant_key_due(TENANT, 6, at(0)), Ok(true));
    // Where its row is known it goes on wrapping, in whichever order the two arrive.
    home.add_tenant_key(inline(), at(0)).unwrap();
    away.add_tenant_key(own(), at(0)).unwrap();
    for keystore in [&home, &away] {
        assert!(keystore.generate_dek(TENANT, at(0)).is_ok());
    }
    let wrong = TenantKeyId::from_bytes([0; 16]);
    let refused = TenantKey::load_inline(TENANT, wrong, secret());
    assert_eq!(refused.unwrap_err(), EnvelopeError::CommitmentMismatch);
}

#[test]
fn a_tenant_key_is_due_after_thirty_days() {
    const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;
    let keystore = keystore();
    keystore.renew(TENANT, at(0), TTL).unwrap();
    assert_eq!(keystore.tenant_key_due(TENANT, 0, at(0)), Ok(true));
    keystore.add_tenant_key(TenantKey::generate(TENANT, 7 * DAY_US).unwrap(), at(0)).unwrap();
    assert_eq!(keystore.tenant_key_due(TENANT, 37 * DAY_US - 1, at(0)), Ok(false));
    assert_eq!(keystore.tenant_key_due(TENANT, 37 * DAY_US, at(0)), Ok(true));
    // A clock set back makes nothing due.
    assert_eq!(keystore.tenant_key_due(TENANT, i64::MIN, at(0)), Ok(false));
}

fn keystore_with(messages: u64, bytes: u64, age_seconds: u64) -> Keystore {
    let data_key = DataKeyLimits::new(messages, bytes, Duration::from_secs(age_seconds)).unwrap();
    let keystore = Keystore::new(KeystoreLimits { data_key, ..KeystoreLimits::default() });
    lease(&keystore, TENANT, at(0));
    activate(&keystore, TENANT, at(0));
    keystore
}

#[test]
fn a_data_key_stops_at_its_age_counted_from_its_birth() {
    let keystore = keystore_with(1000, 1000, 60);
    assert!(keystore.reserve(TENANT, 1, 1, at(59)).is_ok());
    assert_eq!(keystore.reserve(TENANT, 1, 1, at(60)).unwrap_err(), EnvelopeError::SealKeyExpired);
    let pending = keystore.generate_dek(TENANT, at(60)).unwrap();
    keystore.activate(pending, at(100)).unwrap();
    assert!(keystore.reserve(TENANT, 1, 1, at(119)).is_ok());
    assert_eq!(keystore.reserve(TENANT, 1, 1, at(120)).unwrap_err(), EnvelopeError::SealKeyExpired);
}

#[test]
fn a_refresh_is_due_between_70_and_90_percent_of_any_budget() {
    // Thresholds are drawn per key: many keys, each within the bounds, not all alike.
    let mut first_due = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let keystore = keystore_with(1000, 10_000_000, 1000);
        assert!(!keystore.refresh_due(TENANT, at(0)).unwrap());
        let due = (0..=1000)
            .find(|_| {
                keystore
                    .reserve(TENANT, 1, 1, at(0))
                    .unwrap()
                    .seal(&context(), b"v", &mut Vec::new())
                    .unwrap();
                keystore.refresh_due(TENANT, at(0)).unwrap()
            })
            .unwrap();
        assert!((699..=899).contains(&due), "{due}");
        first_due.insert(due);

        let keystore = keystore_with(1000, 1000, 1000);
        let held = keystore.reserve(TENANT, 1, 699, at(0)).unwrap();
        assert!(!keystore.refresh_due(TENANT, at(0)).unwrap());
        let _more = keystore.reserve(TENANT, 1, 201, at(0)).unwrap();
        assert!(keystore.refresh_due(TENANT, at(0)).unwrap());
        drop(held);

        let keystore = keystore_with(1000, 1000, 100);
        assert!(!keystore.refresh_due(TENANT, at(69)).unwrap());
        assert!(keystore.refresh_due(TENANT, at(90)).unwrap());
    }
    assert!(first_due.len() > 5, "the threshold is jittered");
}

#[test]
fn what_a_batch_does_not_use_returns() {
    let keystore = keystore_with(10, 100, 60);
    let mut batch = keystore.reserve(TENANT, 10, 100, at(0)).unwrap();
    assert_eq!(keystore.reserve(TENANT, 1, 0, at(0)).unwrap_err(), EnvelopeError::BudgetExhausted);
    let mut out = Vec::new();
    for _ in 0..3 {
        batch.seal(&context(), &[0; 20], &mut out).unwrap();
    }
    assert_eq!(batch.seal(&context(), &[0; 41], &mut out), Err(EnvelopeError::ReservationExceeded));
    assert_eq!(batch.messages_left(), 7);
    drop(batch);
    assert_eq!(keystore.reserve(TENANT, 8, 40, at(0)).unwrap_err(), EnvelopeError::BudgetExhausted);
    assert_eq!(keystore.reserve(TENANT, 7, 41, at(0)).unwrap_err(), EnvelopeError::BudgetExhausted);
    assert!(keystore.reserve(TENANT, 7, 40, at(0)).is_ok());
}

#[test]
fn threads_that_race_for_a_budget_seal_exactly_what_there_is() {
    let keystore = keystore_with(5_000, 1 << 30, 60);
    let sealed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut sealed = 0;
                    // One by one at the end, so that all threads together use the budget up.
                    for size in [64, 8, 1] {
                        while let Ok(mut batch) = keystore.reserve(TENANT, size, size * 10, at(0)) {
                            let mut out = Vec::new();
                            while batch.seal(&context(), b"0123456789", &mut out).is_ok() {
                                sealed += 1;
                            }
                        }
                    }
                    sealed
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(sealed, 5_000);
    assert_eq!(keystore.reserve(TENANT, 1, 0, at(0)).unwrap_err(), EnvelopeError::BudgetExhausted);
}

#[test]
fn a_replaced_key_serves_out_the_batches_that_reserved_it() {
    let keystore = sealing_keystore();
    let mut old = keystore.reserve(TENANT, 1, 5, at(0)).unwrap();
    let old_id = old.key().id();
    let new = activate(&keystore, TENANT, at(1));
    let mut out = Vec::new();
    old.seal(&context(), b"value", &mut out).unwrap();
    assert_eq!(dek_id(&out), old_id);
    assert_eq!(open(&keystore, &context(), &out, at(1)).unwrap(), b"value");
    assert_eq!(dek_id(&seal(&keystore, &context(), b"value", at(1))), new.id);
}

#[test]
fn the_least_recently_used_opening_key_goes_first() {
    let limits = KeystoreLimits { opening_keys: NonZeroUsize::new(2).unwrap(), ..KeystoreLimits::default() };
    let keystore = Keystore::new(limits);
    lease(&keystore, TENANT, at(0));
    let rows: Vec<_> = (0..3).map(|_| keystore.generate_dek(TENANT, at(0)).unwrap().row()).collect();
    keystore.load_dek(&rows[0], at(0)).unwrap();
    keystore.load_dek(&rows[1], at(0)).unwrap();
    // Asking what is missing counts as use.
    assert_eq!(keystore.missing(TENANT, [rows[0].id, rows[2].id], at(0)), Ok(vec![rows[2].id]));
    keystore.load_dek(&rows[2], at(0)).unwrap();
    assert!(keystore.opening_key(TENANT, rows[0].id, at(0)).is_ok());
    assert!(keystore.opening_key(TENANT, rows[2].id, at(0)).is_ok());
    assert_eq!(keystore.opening_key(TENANT, rows[1].id, at(0)).unwrap_err(), EnvelopeError::DataKeyNotLoaded);
}

#[test]
fn a_key_not_found_is_not_looked_for_again_for_thirty_seconds() {
    let keystore = keystore();
    lease(&keystore, TENANT, at(0));
    let pending = keystore.generate_dek(TENANT, at(0)).unwrap();
    let row = pending.row();
    keystore.dek_absent(TENANT, row.id, at(0)).unwrap();
    assert_eq!(keystore.missing(TENANT, [row.id], at(29)), Ok(vec![]));
    assert_eq!(
        keystore.not_held(TENANT, [row.id, row.id], at(29)),
        Ok(vec![row.id]),
        "it does not open either"
    );
    assert_eq!(keystore.opening_key(TENANT, row.id, at(29)).unwrap_err(), EnvelopeError::DataKeyNotFound);
    assert_eq!(keystore.missing(TENANT, [row.id], at(30)), Ok(vec![row.id]));
    assert_eq!(keystore.opening_key(TENANT, row.id, at(30)).unwrap_err(), EnvelopeError::DataKeyNotLoaded);

    keystore.dek_absent(TENANT, row.id, at(31)).unwrap();
    keystore.load_dek(&row, at(32)).unwrap();
    assert!(keystore.opening_key(TENANT, row.id, at(32)).is_ok(), "loading it ends its absence");
    assert_eq!(keystore.not_held(TENANT, [row.id], at(32)), Ok(vec![]));
}
