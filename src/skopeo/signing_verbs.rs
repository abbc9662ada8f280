//! `skopeo standalone-sign`, `standalone-verify`, `generate-sigstore-key`

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hod_gotemplate::Time;
use hod_oci::MANIFEST_LEN_MAX;
use hod_trust::{
    GeneratedKey, Gpg, KEYS_LEN_MAX, KeyRing, Passphrase, Payload, PayloadKind, SIGNATURE_LEN_MAX,
    StandaloneExpected, Unverified, verify_manifest,
};
use serde::Serialize;

use crate::failure::{Done, Failure};
use crate::go_json;
use crate::host::Host;
use crate::manifest_digest::digest_of;
use crate::screen::Screen;
use crate::trust::{ask, now, quoted};
use crate::wording;

/// Reads a file whole; `what` is what messages call it. Blocks.
fn read(path: &str, len_max: u64, what: &str) -> Done<Vec<u8>> {
    hod_fsx::read_input(Path::new(path), len_max)
        .map_err(|error| wording::of_file(&error).during(format!("Error reading {what}{path}")))
}

/// Prints what a signature says, of which nothing is verified. Blocks.
pub(crate) fn dump(args: &[String]) -> Done {
    #[derive(Serialize)]
    struct Dump<'a> {
        #[serde(rename = "UntrustedDockerManifestDigest")]
        digest: String,
        #[serde(rename = "UntrustedDockerReference")]
        reference: &'a str,
        #[serde(rename = "UntrustedCreatorID")]
        creator: Option<&'a str>,
        #[serde(rename = "UntrustedTimestamp")]
        timestamp: Option<String>,
        #[serde(rename = "UntrustedShortKeyIdentifier")]
        key: &'a str,
    }
    let [path] = args else {
        return Err(Failure::new(
            "Usage: skopeo untrusted-signature-dump-without-verification signature",
        ));
    };
    let bytes = read(path, SIGNATURE_LEN_MAX, "untrusted signature from ")?;
    let during =
        |error: String| Failure::new(format!("Error decoding untrusted signature: {error}"));
    let signature = Unverified::read(&bytes).map_err(|error| during(error.to_string()))?;
    let payload = Payload::parse(PayloadKind::SimpleSigning, &signature.content);
    let payload = payload.map_err(|error| during(error.to_string()))?;
    let at = |seconds: i64| Time::utc(seconds, 0).to_rfc3339();
    let mut text = go_json::indented(&Dump {
        digest: payload.digest.to_string(),
        reference: &payload.docker_reference,
        creator: payload.creator.as_deref(),
        timestamp: payload.timestamp.map(at),
        key: &signature.key_id,
    });
    text.push('\n');
    Screen::result(text.as_bytes())
}

fn passphrase_in(path: Option<&Path>) -> Done<Option<Passphrase>> {
    let read = path.map(Passphrase::read).transpose();
    read.map_err(|error| Failure::new(error.to_string()))
}

/// Signs a manifest in a file for an image. Blocks.
pub(crate) fn sign(args: &[String], output: &str, passphrase: Option<&Path>) -> Done {
    let ([manifest, reference, fingerprint], false) = (args, output.is_empty()) else {
        return Err(Failure::new(
            "Usage: skopeo standalone-sign manifest docker-reference key-fingerprint -o signature",
        ));
    };
    let bytes = read(manifest, MANIFEST_LEN_MAX, "")?;
    let passphrase = passphrase_in(passphrase)?;
    let during = |error: String| Failure::new(format!("Error creating signature: {error}"));
    let payload = Payload {
        digest: digest_of(&bytes).map_err(|error| error.during("Error creating signature"))?,
        docker_reference: reference.clone(),
        creator: Some(concat!("hod ", env!("CARGO_PKG_VERSION")).to_owned()),
        timestamp: Some(now()),
    };
    let json = payload.to_json(PayloadKind::SimpleSigning);
    let json = json.map_err(|error| during(error.to_string()))?;
    let signed = Gpg::default().sign(json.as_bytes(), fingerprint, passphrase.as_ref());
    let signed = signed.map_err(|error| during(error.to_string()))?;
    hod_fsx::overwrite(Path::new(output), &signed).map_err(|error| {
        wording::of_file(&error).during(format!("Error writing signature to {output}"))
    })
}

/// Verifies a signature in a file. Blocks.
pub(crate) fn verify(args: &[String], keys: Option<&str>) -> Done {
    let [manifest, reference, fingerprints, signature] = args else {
        return Err(Failure::new(
            "Usage: skopeo standalone-verify manifest docker-reference key-fingerprint signature",
        ));
    };
    let is_any = fingerprints == "any";
    if is_any && keys.is_none() {
        return Err(Failure::new(
            "Cannot use any fingerprint without a public key file",
        ));
    }
    let manifest = read(manifest, MANIFEST_LEN_MAX, "manifest from ")?;
    let signature = read(signature, SIGNATURE_LEN_MAX, "signature from ")?;
    let accepted: Vec<String> = fingerprints.split(',').map(str::to_owned).collect();
    let (now, mut ring) = (SystemTime::now(), KeyRing::default());
    let file = if let Some(path) = keys {
        read(path, KEYS_LEN_MAX, "public keys from ")?
    } else {
        // The key that signed, so that one that is not accepted can be named.
        let unverified = Unverified::read(&signature);
        let key = unverified.map(|unverified| unverified.key_id);
        let keys = key.map_or_else(|_| accepted.clone(), |key| vec![key]);
        Gpg::default()
            .export(&keys)
            .map_err(|error| Failure::new(format!("Error initializing GPG: {error}")))?
    };
    ring.add(&file, now);
    let accepted = if is_any {
        ring.fingerprints()
    } else {
        accepted
    };
    let expected = StandaloneExpected {
        manifest: &manifest,
        docker_reference: reference,
        keys: &ring,
        fingerprints: &accepted,
        now,
    };
    let verified = verify_manifest(&signature, expected);
    let verified =
        verified.map_err(|error| Failure::new(format!("Error verifying signature: {error}")))?;
    let (fingerprint, digest) = (verified.fingerprint, verified.digest);
    Screen::result(
        format!("Signature verified using fingerprint {fingerprint}, digest {digest}\n").as_bytes(),
    )
}

/// Makes a pair of keys in two new files. Blocks.
pub(crate) fn generate(
    host: &dyn Host,
    args: &[String],
    prefix: &str,
    passphrase: Option<&Path>,
) -> Done {
    if !args.is_empty() || prefix.is_empty() {
        return Err(Failure::new(
            "Usage: generate-sigstore-key --output-prefix PREFIX",
        ));
    }
    let public = PathBuf::from(format!("{prefix}.pub"));
    let private = PathBuf::from(format!("{prefix}.private"));
    for path in [&public, &private] {
        let found = hod_fsx::try_stat(path).map_err(|error| {
            wording::of_file_call("stat", &error)
                .during(format!("Error checking existence of {}", quoted(path)))
        })?;
        if found.is_some() {
            return Err(Failure::new(format!(
                "Refusing to overwrite existing {}",
                quoted(path)
            )));
        }
    }
    let passphrase = match passphrase_in(passphrase)? {
        Some(passphrase) => passphrase,
        None => ask(host, &private.display().to_string())?,
    };
    let keys = GeneratedKey::generate(&passphrase);
    let keys = keys.map_err(|error| Failure::new(format!("Error generating key pair: {error}")))?;
    hod_fsx::write_new_pair(
        &private,
        keys.secret.as_bytes(),
        &public,
        keys.public.as_bytes(),
    )
    .map_err(|error| wording::of_file(&error).during("Error writing keys"))?;
    let (private, public) = (quoted(&private), quoted(&public));
    Screen::result(format!("Key written to {private} and {public}\n").as_bytes())
}
