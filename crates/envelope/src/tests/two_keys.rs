//! AES-GCM does not commit to its key: whoever knows two keys can make one ciphertext that opens under
//! both, to two plaintexts (Dodis, Grubbs, Ristenpart, Woodage: "Fast Message Franking", 2018, §3).
//! Here one is made, and the envelope refuses it under all but the key it names.

use crate::aead::AeadKey;
use crate::budget::DataKeyLimits;
use crate::context::{Context, Purpose};
use crate::data_key::DataKey;
use crate::derive::{Label, derive};
use crate::envelope::{Envelope, Suite, header};
use crate::error::EnvelopeError;
use crate::ids::TenantId;
use crate::lease::LeaseEnd;
use crate::secret::Secret;
use std::sync::Arc;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const NONCE: [u8; 12] = [7; 12];
const BLOCK: usize = 16;

/// Multiplication in GCM's field, bit-reflected (SP 800-38D §6.3).
fn multiply(x: u128, mut y: u128) -> u128 {
    let mut product = 0;
    for bit in (0..128).rev() {
        if x >> bit & 1 == 1 {
            product ^= y;
        }
        let carry = y & 1;
        y >>= 1;
        if carry == 1 {
            y ^= 0xE1 << 120;
        }
    }
    product
}

/// x^(2^128 − 2), the product of x^2, x^4, …, x^(2^127).
fn inverse(x: u128) -> u128 {
    let mut power = multiply(x, x);
    let mut product = power;
    for _ in 2..128 {
        power = multiply(power, power);
        product = multiply(product, power);
    }
    product
}

fn number(tag: [u8; BLOCK]) -> u128 {
    u128::from_be_bytes(tag)
}

/// The hash key H. With one zero block of AAD and no plaintext the tag is (len · H) ⊕ E(J0), with
/// nothing at all it is E(J0).
fn hash_key(key: &AeadKey) -> u128 {
    let mask = number(key.seal(NONCE, &[], &mut []).unwrap());
    let lengths = 128_u128 << 64;
    multiply(number(key.seal(NONCE, &[0; BLOCK], &mut []).unwrap()) ^ mask, inverse(lengths))
}

/// The plaintext that `ciphertext` stands for under `key`, and its tag.
fn decipher(key: &AeadKey, aad: &[u8], ciphertext: &[u8]) -> (Vec<u8>, [u8; BLOCK]) {
    let mut keystream = vec![0; ciphertext.len()];
    key.seal(NONCE, aad, &mut keystream).unwrap();
    let plaintext: Vec<_> = ciphertext.iter().zip(&keystream).map(|(c, k)| c ^ k).collect();
    let mut again = plaintext.clone();
    let tag = key.seal(NONCE, aad, &mut again).unwrap();
    assert_eq!(again, ciphertext);
    (plaintext, tag)
}

fn aead_of(key: &DataKey) -> AeadKey {
    let suite = [Suite::Aes256Gcm.number()];
    AeadKey::new(&derive(&key.secret, Label::DataKeyEncryption, &suite, TENANT).unwrap()).unwrap()
}

#[test]
fn a_ciphertext_made_for_two_keys_opens_under_the_one_it_names() {
    let (named, other) = (DataKey::generate(TENANT).unwrap(), DataKey::generate(TENANT).unwrap());
    let (named_aead, other_aead) = (aead_of(&named), aead_of(&other));
    let context = Context {
        tenant: TENANT,
        dataset: "flights",
        entity: &[3; 16],
        purpose: Purpose::Diff,
        version: 1,
        op: 1,
        valid_at: 0,
    };
    let head = header(Suite::Aes256Gcm, &named.id);
    let aad = context.authenticated(&head);

    // A change of the last block by x changes a tag by x·H²: solve for the x that makes both equal.
    let mut ciphertext = vec![0x55; 2 * BLOCK];
    ciphertext[BLOCK..].fill(0);
    let tags = [&named_aead, &other_aead].map(|key| number(decipher(key, aad.as_slice(), &ciphertext).1));
    let squares = [&named_aead, &other_aead].map(|key| multiply(hash_key(key), hash_key(key)));
    let last = multiply(tags[0] ^ tags[1], inverse(squares[0] ^ squares[1]));
    ciphertext[BLOCK..].copy_from_slice(&last.to_be_bytes());
    let (first_text, tag) = decipher(&named_aead, aad.as_slice(), &ciphertext);
    let (second_text, other_tag) = decipher(&other_aead, aad.as_slice(), &ciphertext);
    assert_eq!(tag, other_tag, "AES-GCM opens it under both keys");
    assert_ne!(first_text, second_text);

    let sealed = [&head[..], &NONCE, &ciphertext, &tag].concat();
    let envelope = Envelope::parse(&sealed).unwrap();
    let mut out = Vec::new();
    named.opening_key(LeaseEnd::default()).unwrap().open(&context, &envelope, &mut out).unwrap();
    assert_eq!(out, first_text);
    let refused = other.opening_key(LeaseEnd::default()).unwrap().open(&context, &envelope, &mut out);
    assert_eq!(refused, Err(EnvelopeError::KeyMismatch));

    // Nor does the other key pass for the named one, or the envelope for the other key's.
    let other_secret = Secret::copy_of(other.secret.expose()).unwrap();
    let passed_off = DataKey::load(TENANT, named.id, Suite::Aes256Gcm, other_secret);
    assert_eq!(passed_off.unwrap_err(), EnvelopeError::CommitmentMismatch);
    let relabelled = [&header(Suite::Aes256Gcm, &other.id)[..], &sealed[head.len()..]].concat();
    let envelope = Envelope::parse(&relabelled).unwrap();
    let refused = other.opening_key(LeaseEnd::default()).unwrap().open(&context, &envelope, &mut out);
    assert_eq!(refused, Err(EnvelopeError::NotAuthentic));
}

#[test]
fn sealing_and_opening_key_of_one_data_key_fit() {
    let key = DataKey::generate(TENANT).unwrap();
    let opening = key.opening_key(LeaseEnd::default()).unwrap();
    let sealing = Arc::new(key.into_sealing_key(&DataKeyLimits::default(), LeaseEnd::default()).unwrap());
    let context = Context {
        tenant: TENANT,
        dataset: "",
        entity: &[],
        purpose: Purpose::Message,
        version: 0,
        op: 0,
        valid_at: 0,
    };
    let mut sealed = Vec::new();
    sealing.reserve(1, 5).unwrap().seal(&context, b"value", &mut sealed).unwrap();
    let mut out = Vec::new();
    opening.open(&context, &Envelope::parse(&sealed).unwrap(), &mut out).unwrap();
    assert_eq!((&out[..], opening.id(), opening.tenant()), (&b"value"[..], sealing.id(), sealing.tenant()));
}
