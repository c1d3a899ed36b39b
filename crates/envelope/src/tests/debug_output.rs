//! No key prints its bytes.

use crate::budget::DataKeyLimits;
use crate::data_key::DataKey;
use crate::ids::{IndexKeyId, TenantId, TenantKeyId};
use crate::index_key::IndexKeySecret;
use crate::keyring::{LocalKeyring, Unlock};
use crate::keystore::{Keystore, KeystoreLimits};
use crate::lease::LeaseEnd;
use crate::nonces::Nonces;
use crate::secret::Secret;
use crate::tick::Tick;
use crate::wrap::TenantKey;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);

/// Both forms of Debug, which must be the very text.
fn prints(value: &dyn Debug, text: &str) {
    assert_eq!(format!("{value:?}"), text);
    assert_eq!(format!("{value:#?}"), text);
}

#[test]
fn secrets_print_nothing_of_themselves() {
    prints(&Secret::<32>::generate().unwrap(), "Secret<32>(hidden)");
    prints(&Nonces::for_messages(5), "Nonces(hidden)");
    prints(&Unlock::Passphrase(b"correct horse"), "Passphrase(hidden)");
    prints(&Unlock::KeyFile(&[7; 32]), "KeyFile(hidden)");
}

#[test]
fn keys_print_their_ids() {
    let tenant_key = TenantKey::generate(TENANT, 0).unwrap();
    let id: TenantKeyId = tenant_key.id();
    prints(&tenant_key, &format!("TenantKey({id})"));
    let wrapping = tenant_key.into_wrapping();
    prints(&wrapping, &format!("WrappingKey({id})"));

    let data_key = DataKey::generate(TENANT).unwrap();
    let id = data_key.id;
    let wrapped = wrapping.wrap(id.as_bytes(), &data_key.secret).unwrap();
    prints(&wrapped, &format!("WrappedKey(by {})", wrapping.id));
    prints(&data_key, &format!("DataKey({id})"));
    prints(&data_key.opening_key(LeaseEnd::default()).unwrap(), &format!("OpeningKey({id})"));
    let sealing =
        Arc::new(data_key.into_sealing_key(&DataKeyLimits::default(), LeaseEnd::default()).unwrap());
    prints(&sealing, &format!("SealingKey({id})"));
    let batch = sealing.reserve(2, 30).unwrap();
    prints(&batch, &format!("SealBatch({id}, 2 messages and 30 bytes left)"));

    let index_key = IndexKeySecret::generate(TENANT).unwrap();
    let id: IndexKeyId = index_key.id();
    prints(&index_key, &format!("IndexKeySecret({id})"));
    prints(&index_key.index_key().unwrap(), &format!("IndexKey({id})"));
}

#[test]
fn holders_print_how_much_they_hold() {
    let now = Tick::from_micros(0);
    let keystore = Keystore::new(KeystoreLimits::default());
    keystore.renew(TENANT, now, Duration::from_secs(300)).unwrap();
    keystore.add_tenant_key(TenantKey::generate(TENANT, 0).unwrap(), now).unwrap();
    let pending = keystore.generate_dek(TENANT, now).unwrap();
    prints(&pending, &format!("PendingDek({})", pending.row().id));
    let pending_index = keystore.generate_index_key(TENANT, now).unwrap();
    prints(&pending_index, &format!("PendingIndexKey({})", pending_index.row().id));
    keystore.activate(pending, now).unwrap();
    prints(&keystore, "Keystore(1 tenants)");

    let mut keyring = LocalKeyring::create(&Unlock::KeyFile(&[7; 32])).unwrap();
    keyring.create_kek(TENANT, 0).unwrap();
    prints(&keyring, "LocalKeyring(1 key versions)");
}
