//! Receipts: list the content that a target has already, so that a bundle need not contain it.
//!
//! ```text
//! {"format":1,"kind":"receipt",
//!  "of":{"kind":"registry","name":"harbor.corp/offline"},
//!  "repositories":{"offline/acme/api":["sha256:…",…],…}}
//! ```
//!
//! The compact form, for channels that carry only text, is `hod-receipt-1:` and the base64 of 8
//! bytes of a checksum and a zstd stream, in which each digest is truncated to 12 bytes. 96 bits do
//! not collide by accident, and an attacker who can make them collide could also write a false
//! receipt. Blanks and line breaks are ignored; a changed character is detected.
//!
//! A receipt is not trusted: content that a bundle lacks because of it is checked at the target
//! before anything is written there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::format::BaseOrigin;
use hod_oci::{Algorithm, Digest, RepositoryName};
use hod_report::amount::format_len;
use hod_report::{Diagnose, Diagnosis, ErrorClass};

/// Maximum length of a receipt in bytes, after decompression.
pub const RECEIPT_LEN_MAX: u64 = 64 * 1024 * 1024;
/// Prefix of a compact receipt; another format has another number.
const COMPACT_PREFIX: &str = "hod-receipt-";
const COMPACT_VERSION: &str = "1";
/// Number of bytes of each digest in a compact receipt.
const CUT_LEN: usize = 12;
const CHECKSUM_LEN: usize = 8;
/// Length of the lines, as of base64 in mails (RFC 2045, 6.8).
const LINE_LEN: usize = 76;
const FORMAT: u64 = 1;
const KIND: &str = "receipt";
const ZSTD_LEVEL: i32 = 19;

/// The digests that a target has, by repository.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The target that it describes.
    pub of: BaseOrigin,
    repositories: BTreeMap<RepositoryName, BTreeSet<Held>>,
    /// The repositories by the first bytes of the digests.
    holders: HashMap<[u8; CUT_LEN], Vec<RepositoryName>>,
}

/// A digest, whole or truncated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    algorithm: Algorithm,
    hex: Box<str>,
}

/// A text that is not a receipt, or a damaged one.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    #[error("it is not a receipt: {found}")]
    NotAReceipt { found: &'static str },
    #[error("it is not valid JSON")]
    Json(#[source] serde_json::Error),
    /// A receipt of a later version of hod.
    #[error("it has {what}, which this version of hod does not support")]
    Unsupported { what: String },
    /// A compact receipt that was damaged in transit.
    #[error("the compact receipt is damaged: {what}")]
    Damaged { what: &'static str },
    #[error("it is larger than {}", format_len(RECEIPT_LEN_MAX))]
    TooLong,
}

impl Diagnose for ReceiptError {
    fn diagnose(&self) -> Diagnosis {
        Diagnosis::new(ErrorClass::Usage).hint(match self {
            Self::NotAReceipt { .. } | Self::Json(_) => {
                "`hod receipt REGISTRY --output have.json` writes a receipt."
            }
            Self::Unsupported { .. } => "Use the version of hod that wrote it, or a later one.",
            Self::Damaged { .. } => {
                "Copy it again, all of it, from `hod-receipt-1:` to its end. Line breaks do not \
                 matter."
            }
            Self::TooLong => "Limit the receipt to the images of lists with `hod receipt --list`.",
        })
    }
}

#[derive(Serialize)]
struct Written<'a> {
    format: u64,
    kind: &'static str,
    of: &'a BaseOrigin,
    repositories: BTreeMap<&'a RepositoryName, Vec<String>>,
}

#[derive(Deserialize)]
struct Document {
    of: BaseOrigin,
    repositories: BTreeMap<RepositoryName, BTreeSet<Digest>>,
}

impl Receipt {
    /// Makes the receipt of the digests of each repository.
    pub fn new(of: BaseOrigin, repositories: BTreeMap<RepositoryName, BTreeSet<Digest>>) -> Self {
        let held = |digests: BTreeSet<Digest>| digests.iter().map(Held::of).collect();
        let repositories = repositories
            .into_iter()
            .map(|(name, digests)| (name, held(digests)));
        Self::of_held(of, repositories.collect())
    }

    fn of_held(of: BaseOrigin, repositories: BTreeMap<RepositoryName, BTreeSet<Held>>) -> Self {
        let mut holders: HashMap<[u8; CUT_LEN], Vec<RepositoryName>> = HashMap::new();
        for (name, digests) in &repositories {
            for held in digests {
                let names = holders.entry(held.cut()).or_default();
                if names.last() != Some(name) {
                    names.push(name.clone());
                }
            }
        }
        Self {
            of,
            repositories,
            holders,
        }
    }

    /// Returns whether the start of a file looks like a receipt of either form.
    pub fn is_receipt(start: &[u8]) -> bool {
        let text = String::from_utf8_lossy(start);
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        text.starts_with(COMPACT_PREFIX)
            || text.starts_with('{') && text.contains("\"kind\":\"receipt\"")
    }

    /// Reads a receipt of either form.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() as u64 > RECEIPT_LEN_MAX {
            return Err(ReceiptError::TooLong);
        }
        let start = bytes.trim_ascii_start();
        if start.starts_with(COMPACT_PREFIX.as_bytes()) {
            return parse_compact(start);
        }
        if !start.starts_with(b"{") {
            let found = "it starts with neither `{` nor `hod-receipt-`";
            return Err(ReceiptError::NotAReceipt { found });
        }
        check_format(bytes)?;
        let document: Document = serde_json::from_slice(bytes).map_err(ReceiptError::Json)?;
        Ok(Self::new(document.of, document.repositories))
    }

    /// Returns the repositories that have `digest`, sorted; truncated digests are compared by their
    /// first bytes.
    pub fn holders(&self, digest: &Digest) -> Vec<RepositoryName> {
        let held = Held::of(digest);
        let cut = held.shortened();
        let names = self.holders.get(&held.cut()).into_iter().flatten();
        let has = |name: &&RepositoryName| {
            let digests = &self.repositories[*name];
            digests.contains(&held) || digests.contains(&cut)
        };
        names.filter(has).cloned().collect()
    }

    /// Returns whether any repository has `digest`.
    pub fn has(&self, digest: &Digest) -> bool {
        !self.holders(digest).is_empty()
    }

    /// Returns the names of its repositories, sorted.
    pub fn repositories(&self) -> impl Iterator<Item = &RepositoryName> {
        self.repositories.keys()
    }

    /// Returns the number of different digests.
    pub fn n_digests(&self) -> usize {
        self.holders.len()
    }

    /// Renders it as JSON; equal receipts produce equal bytes.
    pub fn to_json(&self) -> Vec<u8> {
        let repositories = self.repositories.iter();
        let written = Written {
            format: FORMAT,
            kind: KIND,
            of: &self.of,
            repositories: repositories
                .map(|(name, digests)| (name, digests.iter().map(Held::text).collect()))
                .collect(),
        };
        let mut bytes = serde_json::to_vec_pretty(&written).expect("names and digests are JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Renders the compact form, in lines.
    pub fn to_compact(&self) -> String {
        let payload = self.payload();
        let mut bytes = checksum(&payload).to_vec();
        let packed = zstd::bulk::compress(&payload, ZSTD_LEVEL);
        bytes.extend(packed.expect("memory takes what is written to it"));
        let whole = format!("{COMPACT_PREFIX}{COMPACT_VERSION}:{}", BASE64.encode(bytes));
        let mut text = String::with_capacity(whole.len() + whole.len() / LINE_LEN + 1);
        for line in whole.as_bytes().chunks(LINE_LEN) {
            text.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
            text.push('\n');
        }
        text
    }

    /// The target as JSON, then each repository: its name, the number of digests, the digests.
    /// Lengths are four bytes, little-endian.
    fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        let of = serde_json::to_vec(&self.of).expect("names are JSON");
        push_text(&mut payload, &of);
        for (name, digests) in &self.repositories {
            push_text(&mut payload, name.as_str().as_bytes());
            push_len(&mut payload, digests.len());
            for held in digests {
                payload.push(algorithm_number(held.algorithm));
                payload.extend(held.cut());
            }
        }
        payload
    }
}

impl Held {
    fn of(digest: &Digest) -> Self {
        Self {
            algorithm: digest.algorithm(),
            hex: digest.hex().into(),
        }
    }

    fn shortened(&self) -> Self {
        Self {
            algorithm: self.algorithm,
            hex: self.hex[..CUT_LEN * 2].into(),
        }
    }

    /// The first bytes of the digest.
    fn cut(&self) -> [u8; CUT_LEN] {
        let nibble = |at: usize| {
            let digit = char::from(self.hex.as_bytes()[at]).to_digit(16);
            u8::try_from(digit.expect("digests are hex")).expect("a hex digit is small")
        };
        std::array::from_fn(|at| nibble(at * 2) << 4 | nibble(at * 2 + 1))
    }

    fn text(&self) -> String {
        format!("{}:{}", self.algorithm.as_str(), self.hex)
    }
}

/// Checks only kind and format, since a later format may have any shape.
fn check_format(bytes: &[u8]) -> Result<(), ReceiptError> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(default)]
        format: Option<u64>,
        #[serde(default)]
        kind: Option<String>,
    }
    let head: Head = serde_json::from_slice(bytes).map_err(ReceiptError::Json)?;
    if head.kind.as_deref() != Some(KIND) {
        let found = "its `kind` is not `receipt`";
        return Err(ReceiptError::NotAReceipt { found });
    }
    match head.format {
        Some(FORMAT) => Ok(()),
        Some(other) => Err(ReceiptError::Unsupported {
            what: format!("format {other}"),
        }),
        None => Err(ReceiptError::NotAReceipt {
            found: "it has no `format`",
        }),
    }
}

fn parse_compact(text: &[u8]) -> Result<Receipt, ReceiptError> {
    let damaged = |what| ReceiptError::Damaged { what };
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let rest = &text[COMPACT_PREFIX.len()..];
    let colon = rest.iter().position(|&byte| byte == b':');
    let (version, data) = rest.split_at(colon.ok_or_else(|| damaged("its colon is missing"))?);
    if version != COMPACT_VERSION.as_bytes() {
        let version = String::from_utf8_lossy(&version[..version.len().min(20)]);
        return Err(ReceiptError::Unsupported {
            what: format!("format `{}`", version.escape_debug()),
        });
    }
    let bytes = BASE64
        .decode(&data[1..])
        .map_err(|_| damaged("it is not base64, or not all of it"))?;
    let (expected, packed) = bytes
        .split_at_checked(CHECKSUM_LEN)
        .ok_or_else(|| damaged("it ends too early"))?;
    let broken = || damaged("its zstd stream breaks off or is wrong");
    let mut payload = Vec::new();
    zstd::Decoder::with_buffer(packed)
        .and_then(|decoder| decoder.take(RECEIPT_LEN_MAX + 1).read_to_end(&mut payload))
        .map_err(|_| broken())?;
    if payload.len() as u64 > RECEIPT_LEN_MAX {
        return Err(ReceiptError::TooLong);
    }
    if checksum(&payload) != expected {
        return Err(damaged("its checksum is wrong"));
    }
    parse_payload(&payload).ok_or_else(|| damaged("its content makes no sense"))
}

fn parse_payload(mut rest: &[u8]) -> Option<Receipt> {
    let of: BaseOrigin = serde_json::from_slice(take_text(&mut rest)?).ok()?;
    let mut repositories = BTreeMap::new();
    while !rest.is_empty() {
        let name = std::str::from_utf8(take_text(&mut rest)?).ok()?;
        let n = take_len(&mut rest)?;
        let mut digests = BTreeSet::new();
        for _ in 0..n {
            let (number, after) = rest.split_first()?;
            let (cut, after) = after.split_at_checked(CUT_LEN)?;
            rest = after;
            digests.insert(Held {
                algorithm: algorithm_of(*number)?,
                hex: cut.iter().map(|byte| format!("{byte:02x}")).collect(),
            });
        }
        repositories.insert(name.parse().ok()?, digests);
    }
    Some(Receipt::of_held(of, repositories))
}

fn checksum(payload: &[u8]) -> [u8; CHECKSUM_LEN] {
    let digest = Held::of(&Digest::of(payload));
    std::array::from_fn(|at| digest.cut()[at])
}

fn algorithm_number(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Sha256 => 0,
        Algorithm::Sha384 => 1,
        Algorithm::Sha512 => 2,
    }
}

fn algorithm_of(number: u8) -> Option<Algorithm> {
    [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512]
        .into_iter()
        .find(|algorithm| algorithm_number(*algorithm) == number)
}

fn push_len(payload: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("a receipt has fewer than four billion of anything");
    payload.extend(len.to_le_bytes());
}

fn push_text(payload: &mut Vec<u8>, text: &[u8]) {
    push_len(payload, text.len());
    payload.extend(text);
}

fn take_len(rest: &mut &[u8]) -> Option<usize> {
    let (len, after) = rest.split_first_chunk()?;
    *rest = after;
    usize::try_from(u32::from_le_bytes(*len)).ok()
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = take_len(rest)?;
    let (text, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::format::OriginKind;
    use super::*;

    fn digest(seed: u32) -> Digest {
        Digest::of(&seed.to_le_bytes())
    }

    fn sample() -> Receipt {
        let of = BaseOrigin {
            kind: OriginKind::Registry,
            name: "harbor.corp/offline".to_owned(),
            version: None,
            id: None,
        };
        let sha512 = format!("sha512:{}", "ab".repeat(64)).parse().unwrap();
        let repositories = [
            ("offline/acme/api", vec![digest(1), digest(2), sha512]),
            ("offline/acme/web", vec![digest(2), digest(3)]),
            ("offline/empty", vec![]),
        ];
        let parsed = repositories
            .map(|(name, digests)| (name.parse().unwrap(), digests.into_iter().collect()));
        Receipt::new(of, parsed.into())
    }

    fn names(receipt: &Receipt, digest: &Digest) -> Vec<String> {
        let names = receipt.holders(digest);
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_forms_say_who_has_what() {
        let receipt = sample();
        let compact = receipt.to_compact();
        assert!(compact.lines().all(|line| line.len() <= 76), "{compact}");
        for bytes in [receipt.to_json(), compact.clone().into_bytes()] {
            assert!(Receipt::is_receipt(&bytes[..bytes.len().min(64)]));
            let read = Receipt::parse(&bytes).unwrap();
            assert_eq!(read.of, receipt.of);
            assert_eq!(names(&read, &digest(1)), ["offline/acme/api"]);
            let both = ["offline/acme/api", "offline/acme/web"];
            assert_eq!(names(&read, &digest(2)), both);
            assert!(read.has(&digest(3)) && !read.has(&digest(4)));
            assert_eq!((read.repositories().count(), read.n_digests()), (3, 4));
        }
        assert_eq!(
            Receipt::parse(compact.as_bytes()).unwrap().to_compact(),
            compact
        );
        let json = receipt.to_json();
        assert_eq!(Receipt::parse(&json).unwrap().to_json(), json);
    }

    #[test]
    fn a_digest_that_starts_alike_is_another_unless_it_was_cut() {
        let receipt = sample();
        let mut text = digest(1).to_string();
        text.pop();
        text.push(if digest(1).hex().ends_with('0') {
            '1'
        } else {
            '0'
        });
        let alike: Digest = text.parse().unwrap();
        assert!(!receipt.has(&alike));
        let cut = Receipt::parse(receipt.to_compact().as_bytes()).unwrap();
        assert!(cut.has(&alike));
        // Of another algorithm, it is never the same.
        let sha512: Digest = format!("sha512:{}{}", digest(1).hex(), "0".repeat(64))
            .parse()
            .unwrap();
        assert!(!cut.has(&sha512));
    }

    #[test]
    fn mail_may_break_lines_and_every_changed_character_is_found() {
        let compact = sample().to_compact();
        let mailed = format!(" \r\n{}\r\n\r\n", compact.replace('\n', "\r\n\t "));
        assert_eq!(Receipt::parse(mailed.as_bytes()).unwrap().n_digests(), 4);
        let one_line = compact.replace('\n', "");
        assert_eq!(Receipt::parse(one_line.as_bytes()).unwrap().n_digests(), 4);
        for at in COMPACT_PREFIX.len()..one_line.len() {
            for other in [b'A', b'b', b'='] {
                let mut changed = one_line.clone().into_bytes();
                if changed[at] == other {
                    continue;
                }
                changed[at] = other;
                assert!(Receipt::parse(&changed).is_err(), "{at}");
            }
            assert!(Receipt::parse(&one_line.as_bytes()[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn what_is_no_receipt_is_refused() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            let error = Receipt::parse(text.as_bytes()).unwrap_err();
            let text = match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            };
            assert!(text.contains(expect), "{text}");
        }
        check("", "starts with neither");
        check("{", "not valid JSON");
        check("{}", "`kind` is not `receipt`");
        check(r#"{"kind":"receipt"}"#, "no `format`");
        check(r#"{"kind":"receipt","format":2}"#, "format 2");
        check(r#"{"kind":"receipt","format":1}"#, "missing field `of`");
        let with = |repositories: &str| {
            format!(
                r#"{{"kind":"receipt","format":1,"of":{{"kind":"store","name":"x"}},"repositories":{repositories}}}"#
            )
        };
        check(&with(r#"{"../x":[]}"#), "name");
        check(&with(r#"{"x":["sha256:12"]}"#), "2 of 64 hex");
        check(&with(r#"{"x":["md5:12"]}"#), "md5");
        check("hod-receipt-2:AAAA", "format `2`");
        check("hod-receipt-1", "colon");
        check("hod-receipt-1:", "ends too early");
        check("hod-receipt-1:AAAAAAAAAAAAAAAA", "zstd");
        // A bomb unpacks no further than a receipt may be long.
        let zeros = zstd::bulk::compress(&vec![0; 65 * 1024 * 1024], 1).unwrap();
        let bomb = [vec![0; 8], zeros].concat();
        check(
            &format!("hod-receipt-1:{}", BASE64.encode(bomb)),
            "larger than",
        );
        let lying = [&[1, 0, 0, 0, b'{'][..], &[255; 40]].concat();
        let packed = zstd::bulk::compress(&lying, 1).unwrap();
        let bytes = [checksum(&lying).to_vec(), packed].concat();
        check(
            &format!("hod-receipt-1:{}", BASE64.encode(bytes)),
            "makes no sense",
        );
    }
}
