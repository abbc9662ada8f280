//! Referrers: manifests about another one, such as signatures, attestations and SBOMs.
//!
//! Three ways lead to them: the referrers API, and where a registry has none the tag of an index
//! that lists them (distribution-spec 1.1, "Listing Referrers", "Referrers Tag Schema"), both for
//! manifests with a `subject`; and cosign's own tags.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Algorithm, Descriptor, Digest, MANIFEST_LEN_MAX, Manifest, ManifestBody, MediaType, Tag,
};

/// The suffixes of cosign's tags, after the digest.
const COSIGN_SUFFIXES: [&str; 3] = ["sig", "att", "sbom"];
/// Number of hex digits of a digest in the tag of an index of referrers.
const HEX_LEN_MAX: usize = 64;

/// Whether the referrers of an image are carried with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferrerMode {
    Carry,
    Leave,
}

/// A tag that, judging by its form, leads to referrers of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferrerTag {
    pub kind: ReferrerTagKind,
    algorithm: Algorithm,
    /// The digest's hex, or the start of it.
    hex: Box<str>,
}

/// The kind of content of a [`ReferrerTag`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReferrerTagKind {
    /// `<alg>-<hex>`: an index of the referrers.
    Index,
    /// `<alg>-<hex>.sig`, `.att` or `.sbom`: the referrer itself, which may have no `subject`.
    Cosign,
}

impl ReferrerTag {
    /// Takes a tag apart; `None` for one that is like any other.
    pub fn parse(tag: &Tag) -> Option<Self> {
        let (algorithm, rest) = tag.as_str().split_once('-')?;
        let algorithm = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512]
            .into_iter()
            .find(|known| known.as_str() == algorithm)?;
        let (hex, kind, hex_len) = match rest.split_once('.') {
            Some((hex, suffix)) if COSIGN_SUFFIXES.contains(&suffix) => {
                (hex, ReferrerTagKind::Cosign, algorithm.hex_len())
            }
            Some(_) => return None,
            None => (
                rest,
                ReferrerTagKind::Index,
                algorithm.hex_len().min(HEX_LEN_MAX),
            ),
        };
        let is_hex =
            hex.len() == hex_len && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| Self {
            kind,
            algorithm,
            hex: hex.into(),
        })
    }

    /// The tag of the index of the referrers of `subject`.
    pub fn index_of(subject: &Digest) -> Tag {
        let hex = subject.hex();
        let hex = &hex[..hex.len().min(HEX_LEN_MAX)];
        format!("{}-{hex}", subject.algorithm().as_str())
            .parse()
            .expect("an algorithm and 64 hex characters are a tag")
    }

    /// The tags under which cosign stores the referrers of `subject`; empty for a digest that is
    /// too long.
    pub fn cosign_of(subject: &Digest) -> Vec<Tag> {
        let (algorithm, hex) = (subject.algorithm().as_str(), subject.hex());
        COSIGN_SUFFIXES
            .iter()
            .filter_map(|suffix| format!("{algorithm}-{hex}.{suffix}").parse().ok())
            .collect()
    }

    /// Whether `digest` is its subject.
    pub fn is_about(&self, digest: &Digest) -> bool {
        digest.algorithm() == self.algorithm && digest.hex().starts_with(&*self.hex)
    }

    /// The subject, if the tag contains the whole digest.
    pub fn subject(&self) -> Option<Digest> {
        format!("{}:{}", self.algorithm.as_str(), self.hex)
            .parse()
            .ok()
    }
}

/// A referrer as an index lists it: a descriptor with what clients choose by.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferrerEntry {
    media_type: MediaType,
    digest: Digest,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// The fields of a manifest that only its entry needs.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Chosen {
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IndexDoc<'a> {
    schema_version: u32,
    media_type: &'static str,
    manifests: &'a [ReferrerEntry],
}

impl ReferrerEntry {
    /// Returns the descriptor of a manifest, as specified: with its `artifactType`, otherwise the
    /// type of its config, and with its annotations.
    pub fn of(manifest: &Manifest) -> Self {
        // Fields of other types than in the specification are ignored.
        let chosen: Chosen = serde_json::from_slice(manifest.bytes()).unwrap_or_default();
        let artifact_type = chosen.artifact_type.filter(|text| !text.is_empty());
        let config_type = match manifest.body() {
            ManifestBody::Image(image) => Some(image.config.media_type.to_string()),
            ManifestBody::Index(_) => None,
        };
        Self {
            media_type: manifest.media_type().clone(),
            digest: manifest.digest().clone(),
            size: manifest.bytes().len() as u64,
            artifact_type: artifact_type
                .or(config_type)
                .filter(|text| !text.is_empty()),
            annotations: chosen.annotations.unwrap_or_default(),
        }
    }

    /// The digest of the referrer.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The type by which clients filter.
    pub fn artifact_type(&self) -> Option<&str> {
        self.artifact_type.as_deref()
    }
}

/// Writes an index of referrers; equal referrers give equal bytes, regardless of their order.
///
/// Annotations are left out where they would make it longer than a manifest may be.
pub fn referrers_index(mut entries: Vec<ReferrerEntry>) -> Vec<u8> {
    entries.sort_by(|a, b| a.digest.cmp(&b.digest));
    entries.dedup_by(|a, b| a.digest == b.digest);
    let bytes = render(&entries);
    if bytes.len() as u64 <= MANIFEST_LEN_MAX {
        return bytes;
    }
    for entry in &mut entries {
        entry.annotations.clear();
    }
    render(&entries)
}

fn render(entries: &[ReferrerEntry]) -> Vec<u8> {
    let doc = IndexDoc {
        schema_version: 2,
        media_type: MediaType::OCI_INDEX,
        manifests: entries,
    };
    serde_json::to_vec(&doc).expect("text and numbers are JSON")
}

/// Adds the missing ones of `entries` to an index of referrers, and keeps everything else in it.
///
/// `None` when none are missing, or it is not an index.
pub fn with_referrers(index: &Manifest, entries: &[ReferrerEntry]) -> Option<Vec<u8>> {
    let ManifestBody::Index(body) = index.body() else {
        return None;
    };
    let has = |digest: &Digest| {
        body.manifests
            .iter()
            .any(|has: &Descriptor| has.digest == *digest)
    };
    let lacking: Vec<&ReferrerEntry> = entries.iter().filter(|e| !has(&e.digest)).collect();
    if lacking.is_empty() {
        return None;
    }
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(index.bytes()).ok()?;
    let list = fields.get_mut("manifests")?.as_array_mut()?;
    for entry in lacking {
        list.push(serde_json::to_value(entry).ok()?);
    }
    serde_json::to_vec(&fields).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Manifest {
        Manifest::parse(
            json.replace("DIGEST", Digest::of(b"").as_str())
                .into_bytes()
                .into(),
            None,
        )
        .unwrap()
    }

    #[test]
    fn tags_are_told_from_others_by_their_form() {
        #[track_caller]
        fn check(tag: &str, expect: Option<ReferrerTagKind>) {
            let parsed = ReferrerTag::parse(&tag.parse().unwrap());
            assert_eq!(parsed.map(|tag| tag.kind), expect, "{tag}");
        }
        let hex = Digest::of(b"x").hex().to_owned();
        check(&format!("sha256-{hex}"), Some(ReferrerTagKind::Index));
        check(&format!("sha256-{hex}.sig"), Some(ReferrerTagKind::Cosign));
        check(&format!("sha256-{hex}.sbom"), Some(ReferrerTagKind::Cosign));
        check(&format!("sha512-{hex}"), Some(ReferrerTagKind::Index));
        check(&format!("sha512-{hex}.sig"), None);
        check(&format!("sha256-{hex}.exe"), None);
        check(&format!("sha256-{}", hex.to_uppercase()), None);
        check(&format!("sha256-{}", &hex[1..]), None);
        check(&format!("md5-{hex}"), None);
        check("latest", None);
        check("v1-rc", None);
    }

    #[test]
    fn what_is_made_of_a_digest_is_about_it() {
        let (x, y) = (Digest::of(b"x"), Digest::of(b"y"));
        let mut tags = ReferrerTag::cosign_of(&x);
        assert_eq!(tags.len(), 3);
        tags.push(ReferrerTag::index_of(&x));
        for tag in tags {
            let parsed = ReferrerTag::parse(&tag).unwrap();
            assert!(parsed.is_about(&x) && !parsed.is_about(&y), "{tag}");
            assert_eq!(parsed.subject(), Some(x.clone()));
        }
        let long: Digest = format!("sha512:{}", "ab".repeat(64)).parse().unwrap();
        assert!(
            ReferrerTag::cosign_of(&long).is_empty(),
            "no tag is so long"
        );
        let tag = ReferrerTag::parse(&ReferrerTag::index_of(&long)).unwrap();
        assert!(tag.is_about(&long) && tag.subject().is_none());
    }

    #[test]
    fn entries_say_what_clients_choose_by() {
        #[track_caller]
        fn check(json: &str, expect: &str) {
            let entry = serde_json::to_value(ReferrerEntry::of(&parse(json))).unwrap();
            let chosen = serde_json::json!([entry["artifactType"], entry["annotations"]]);
            assert_eq!(chosen.to_string(), expect);
        }
        let config = r#""config":{"mediaType":"x/config","digest":"DIGEST","size":0}"#;
        check(
            &format!(r#"{{"artifactType":"x/sbom",{config},"annotations":{{"k":"v"}}}}"#),
            r#"["x/sbom",{"k":"v"}]"#,
        );
        check(&format!(r"{{{config}}}"), r#"["x/config",null]"#);
        check(
            &format!(r#"{{{config},"annotations":7}}"#),
            r#"["x/config",null]"#,
        );
        check(r#"{"manifests":[]}"#, "[null,null]");
    }

    #[test]
    fn an_index_of_referrers_is_the_same_for_the_same_referrers() {
        let a = parse(r#"{"config":{"mediaType":"a","digest":"DIGEST","size":0}}"#);
        let b = parse(r#"{"config":{"mediaType":"b","digest":"DIGEST","size":0}}"#);
        let entries = [&a, &b, &a].map(ReferrerEntry::of);
        let bytes = referrers_index(entries.to_vec());
        let turned = referrers_index([&b, &a].map(ReferrerEntry::of).to_vec());
        assert_eq!(bytes, turned);
        let index = Manifest::parse(bytes.into(), None).unwrap();
        assert_eq!(index.children().len(), 2);
        assert_eq!(with_referrers(&index, &entries), None);
        let less = referrers_index(vec![ReferrerEntry::of(&a)]);
        let less = Manifest::parse(less.into(), None).unwrap();
        let more = with_referrers(&less, &entries).unwrap();
        assert_eq!(
            Manifest::parse(more.into(), None).unwrap().children().len(),
            2
        );
        assert_eq!(with_referrers(&a, &entries), None);
    }

    #[test]
    fn annotations_do_not_make_an_index_too_long() {
        let long = "x".repeat(3 << 20);
        let entries = ["a", "b"].map(|media_type| {
            ReferrerEntry::of(&parse(&format!(
                r#"{{"config":{{"mediaType":"{media_type}","digest":"DIGEST","size":0}},
                    "annotations":{{"k":"{long}"}}}}"#
            )))
        });
        let bytes = referrers_index(entries.to_vec());
        assert!(bytes.len() < 1000 && Manifest::parse(bytes.into(), None).is_ok());
    }
}
