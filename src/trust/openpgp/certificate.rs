//! Certificates: a primary key, its names and its subkeys, and what their owner says about them.

use std::collections::BTreeSet;

use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, Signature, SignatureType, SignatureVersion, SubpacketData};
use pgp::types::{Duration, KeyDetails, KeyVersion, Tag};

/// Why a key may not have made a signature.
pub(super) type Problem = &'static str;

/// When a signature was verified, and when it claims to have been made; seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) now: u64,
    pub(super) signed: u64,
}

/// Returns the seconds since 1970 at which a signature claims to have been made.
pub(super) fn created(signature: &Signature) -> Option<u64> {
    Some(u64::from(signature.created()?.as_secs()))
}

/// Whether nothing in a signature is critical that is not understood here.
pub(super) fn is_understood(signature: &Signature) -> bool {
    let is_understood = |data: &SubpacketData| {
        !matches!(
            data,
            SubpacketData::Notation(_) | SubpacketData::Experimental(..) | SubpacketData::Other(..)
        )
    };
    signature.config().is_some_and(|config| {
        let all = config
            .hashed_subpackets()
            .chain(config.unhashed_subpackets());
        let mut critical = all.filter(|packet| packet.is_critical);
        critical.all(|packet| is_understood(&packet.data))
    })
}

/// Whether the period of a signature has ended.
pub(super) fn is_expired(signature: &Signature, now: u64) -> bool {
    let period = signature
        .signature_expiration_time()
        .map_or(0, Duration::as_secs);
    period != 0 && created(signature).is_none_or(|created| created + u64::from(period) <= now)
}

/// Whether what a key says about itself counts. SHA-1 does: who would profit from a collision is
/// the owner of the key alone. Old keys, of which distributions still have some, know nothing else.
fn counts(signature: &Signature, times: Times) -> bool {
    let is_hash_known = signature
        .hash_alg()
        .is_some_and(|hash| hash == HashAlgorithm::Sha1 || is_strong(hash));
    signature.version() == SignatureVersion::V4
        && is_hash_known
        && is_understood(signature)
        && created(signature).is_some()
        && !is_expired(signature, times.now)
}

/// Whether a signature of content may use this hash.
pub(super) fn is_strong(hash: HashAlgorithm) -> bool {
    matches!(
        hash,
        HashAlgorithm::Sha224
            | HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512
    )
}

/// Whether any owner's statement about a key is left, without which it is not of that owner.
pub(super) fn has_owner(certificate: &SignedPublicKey, now: u64) -> bool {
    let times = Times { now, signed: now };
    certificate.primary_key.version() == KeyVersion::V4
        && self_signature(certificate, times).is_some()
}

/// Checks that the primary key may have made a signature.
pub(super) fn check_primary(certificate: &SignedPublicKey, times: Times) -> Result<(), Problem> {
    let signature = check_alive(certificate, times)?;
    check_flags(signature)
}

/// Checks that a subkey may have made a signature, and that its primary key is in order.
pub(super) fn check_subkey(
    certificate: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    times: Times,
) -> Result<(), Problem> {
    check_alive(certificate, times)?;
    let primary = &certificate.primary_key;
    let is_of_primary = |signature: &Signature| {
        signature
            .verify_subkey_binding(primary, &subkey.key)
            .is_ok()
    };
    let of_kind = |kind: SignatureType| {
        let all = subkey.signatures.iter();
        all.filter(move |signature| signature.typ() == Some(kind))
    };
    if of_kind(SignatureType::SubkeyRevocation).any(is_of_primary) {
        return Err("the subkey is revoked");
    }
    let binding = of_kind(SignatureType::SubkeyBinding)
        .filter(|signature| counts(signature, times) && is_of_primary(signature))
        .max_by_key(|signature| created(signature));
    let binding = binding.ok_or("the subkey does not belong to its primary key")?;
    check_period(&subkey.key, binding, times)?;
    check_flags(binding)?;
    // Otherwise the owner of another key could be said to have signed.
    let back = binding.embedded_signature().filter(|back| {
        let is_hash_known = back
            .hash_alg()
            .is_some_and(|hash| hash == HashAlgorithm::Sha1 || is_strong(hash));
        is_hash_known
            && back
                .verify_primary_key_binding(&subkey.key, primary)
                .is_ok()
    });
    back.map(|_| ())
        .ok_or("the subkey does not confirm that it belongs to its primary key")
}

/// Checks that the primary key is neither revoked nor expired, and returns its statement.
fn check_alive(certificate: &SignedPublicKey, times: Times) -> Result<&Signature, Problem> {
    if certificate.primary_key.version() != KeyVersion::V4 {
        return Err("keys of this version are not supported");
    }
    if is_revoked(certificate) {
        return Err("the key is revoked");
    }
    let signature = self_signature(certificate, times).ok_or("the key has no valid user ID")?;
    check_period(&certificate.primary_key, signature, times)?;
    Ok(signature)
}

/// Whether the owner, or another key that the owner has authorized, revoked the key.
fn is_revoked(certificate: &SignedPublicKey) -> bool {
    let primary = &certificate.primary_key;
    let authorized: Vec<&[u8]> = certificate
        .details
        .direct_signatures
        .iter()
        .filter(|signature| signature.verify_key(primary).is_ok())
        .filter_map(|signature| Some(&signature.revocation_key()?.fingerprint[..]))
        .collect();
    let ends_with = |id: &[u8]| {
        authorized
            .iter()
            .any(|fingerprint| fingerprint.ends_with(id))
    };
    // A revocation by an authorized key counts unverified: that key may not be present.
    let is_by_other = |signature: &Signature| {
        let mut fingerprints = signature.issuer_fingerprint().into_iter();
        let mut ids = signature.issuer_key_id().into_iter();
        fingerprints.any(|fingerprint| ends_with(fingerprint.as_bytes()))
            || ids.any(|id| ends_with(id.as_ref()))
    };
    let mut revocations = certificate.details.revocation_signatures.iter();
    revocations.any(|signature| signature.verify_key(primary).is_ok() || is_by_other(signature))
}

/// Returns the owner's latest statement about the key: over the key itself or with a user ID that is
/// not revoked.
fn self_signature(certificate: &SignedPublicKey, times: Times) -> Option<&Signature> {
    let primary = &certificate.primary_key;
    let direct = certificate.details.direct_signatures.iter();
    let direct = direct.filter(|signature| {
        signature.typ() == Some(SignatureType::Key)
            && counts(signature, times)
            && signature.verify_key(primary).is_ok()
    });
    let users = certificate.details.users.iter().filter_map(|user| {
        let is_own = |signature: &&Signature| {
            signature
                .verify_certification(primary, Tag::UserId, &user.id)
                .is_ok()
        };
        let own = user.signatures.iter().filter(is_own);
        let latest = own
            .filter(|signature| counts(signature, times))
            .max_by_key(|signature| created(signature))?;
        (latest.typ() != Some(SignatureType::CertRevocation)).then_some(latest)
    });
    // A certificate is of somebody only if it has a user ID.
    let latest = users.max_by_key(|signature| created(signature))?;
    direct
        .chain([latest])
        .max_by_key(|signature| created(signature))
}

fn check_period(key: &impl KeyDetails, signature: &Signature, times: Times) -> Result<(), Problem> {
    let created = u64::from(key.created_at().as_secs());
    if created > times.now {
        return Err("the key is from the future; check the clock of this machine");
    }
    if created > times.signed {
        return Err("the key is newer than the signature");
    }
    let period = signature.key_expiration_time().map_or(0, Duration::as_secs);
    if period != 0 && created + u64::from(period) <= times.now {
        return Err("the key is expired");
    }
    Ok(())
}

/// Checks that the key is for signing; one that says nothing is for all that its algorithm can do.
fn check_flags(signature: &Signature) -> Result<(), Problem> {
    let flags = signature.config().and_then(|config| {
        config
            .hashed_subpackets()
            .find_map(|packet| match &packet.data {
                SubpacketData::KeyFlags(flags) => Some(flags),
                _ => None,
            })
    });
    if flags.is_none_or(KeyFlags::sign) {
        Ok(())
    } else {
        Err("the key is not for signing")
    }
}

/// Adds what another copy of the same certificate says.
pub(super) fn merge(certificate: &mut SignedPublicKey, other: SignedPublicKey) {
    let details = other.details;
    let own = &mut certificate.details;
    own.revocation_signatures
        .extend(details.revocation_signatures);
    own.direct_signatures.extend(details.direct_signatures);
    for user in details.users {
        match own
            .users
            .iter_mut()
            .find(|known| known.id.id() == user.id.id())
        {
            Some(known) => known.signatures.extend(user.signatures),
            None => own.users.push(user),
        }
    }
    for subkey in other.public_subkeys {
        let fingerprint = subkey.key.fingerprint();
        let mut subkeys = certificate.public_subkeys.iter_mut();
        match subkeys.find(|known| known.key.fingerprint() == fingerprint) {
            Some(known) => known.signatures.extend(subkey.signatures),
            None => certificate.public_subkeys.push(subkey),
        }
    }
}

/// Returns the fingerprints of the primary keys, each once.
pub(super) fn fingerprints(certificates: &[SignedPublicKey]) -> BTreeSet<String> {
    let all = certificates.iter();
    all.map(|certificate| fingerprint(&certificate.primary_key))
        .collect()
}

/// Returns a fingerprint as gpg prints it.
pub(super) fn fingerprint(key: &impl KeyDetails) -> String {
    key.fingerprint().to_string().to_uppercase()
}
