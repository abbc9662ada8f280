//! Platforms: operating system, architecture and variant (OCI image-spec, image-index.md).

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Maximum length of a word of a platform, in bytes.
const TEXT_LEN_MAX: usize = 255;

/// The operating systems that Go, and with it the image specification, has a word for.
const SYSTEMS: [&str; 20] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "unknown",
    "wasi",
    "wasip1",
    "windows",
    "zos",
];
/// The same for architectures.
const ARCHITECTURES: [&str; 28] = [
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv32",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "sw64",
    "unknown",
    "wasm",
    "wasm32",
];
/// Other names of architectures, and the platform names with their variants.
const OTHER_NAMES: [(&str, &str); 9] = [
    ("arm32v5", "arm/v5"),
    ("arm32v6", "arm/v6"),
    ("arm32v7", "arm/v7"),
    ("arm64v8", "arm64"),
    ("armhf", "arm/v7"),
    ("armv6", "arm/v6"),
    ("armv7", "arm/v7"),
    ("loongarch64", "loong64"),
    ("x64", "amd64"),
];

/// The platform of an image, in Go's terms: `linux/amd64`, `linux/arm/v7`,
/// `windows/amd64:10.0.20348`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// Empty if the image does not state it.
    #[serde(default)]
    pub os: String,
    #[serde(default)]
    pub architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    #[serde(
        default,
        rename = "os.version",
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
}

/// Why a text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    #[error(
        "platform `{text}` is not of the form `os/architecture`, `os/architecture/variant` or \
         `os/architecture:os.version`"
    )]
    Form {
        text: String,
        /// The probable intention.
        meant: Option<String>,
    },
    /// A word that differs in one letter from a common one.
    #[error("platform `{text}` is not known")]
    Misspelt { text: String, meant: String },
}

/// Which platforms of a multi-platform image to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlatformChoice {
    /// The index and every child, bytes unchanged.
    All,
    /// One or more platforms.
    These(Vec<Platform>),
    /// Those of these platforms that the image has: at least one. A system or
    /// an architecture may be left open.
    AnyOf(Vec<Platform>),
}

/// Any operating system or architecture, in [`PlatformChoice::AnyOf`].
const ANY: &str = "*";

impl PlatformChoice {
    /// The same choice with its platforms in one order.
    #[must_use]
    pub fn sorted(&self) -> Self {
        let mut choice = self.clone();
        if let Self::These(platforms) | Self::AnyOf(platforms) = &mut choice {
            platforms.sort();
        }
        choice
    }

    /// The platforms that it names.
    pub fn platforms(&self) -> &[Platform] {
        match self {
            Self::All => &[],
            Self::These(platforms) | Self::AnyOf(platforms) => platforms,
        }
    }

    /// The platforms of any of these systems (`linux`, `windows:10.0.20348`) on any of these
    /// architectures (`arm64`, `arm:v7`), as image-syncer selects them; `None` for all. An empty
    /// list is any.
    pub fn filter(systems: &[String], architectures: &[String]) -> Option<Self> {
        let words = |texts: &[String]| -> Vec<(String, Option<String>)> {
            let texts = texts.iter().filter(|text| !text.is_empty());
            let words = texts.map(|text| match text.split_once(':') {
                Some((word, more)) => (word.to_owned(), Some(more.to_owned())),
                None => (text.clone(), None),
            });
            words.collect()
        };
        let (systems, architectures) = (words(systems), words(architectures));
        if systems.is_empty() && architectures.is_empty() {
            return None;
        }
        let any = || vec![(ANY.to_owned(), None)];
        let or_any = |words: Vec<_>| if words.is_empty() { any() } else { words };
        let (systems, architectures) = (or_any(systems), or_any(architectures));
        let mut platforms = Vec::new();
        for (os, os_version) in &systems {
            for (architecture, variant) in &architectures {
                platforms.push(Platform {
                    variant: variant.clone(),
                    os_version: os_version.clone(),
                    ..Platform::new(os, architecture)
                });
            }
        }
        Some(Self::AnyOf(platforms))
    }
}

impl PlatformError {
    /// The suggested platform.
    pub fn meant(&self) -> Option<&str> {
        match self {
            Self::Form { meant, .. } => meant.as_deref(),
            Self::Misspelt { meant, .. } => Some(meant),
        }
    }
}

impl Platform {
    /// `os` on `architecture`, where the latter may be Rust's or uname's word for it.
    pub fn new(os: &str, architecture: &str) -> Self {
        Self {
            os: os.to_owned(),
            architecture: go_architecture(architecture).to_owned(),
            variant: None,
            os_version: None,
        }
    }

    /// Returns true if an image for platform `offered` runs on this requested platform.
    ///
    /// The variant matters only if it is requested; `arm64` and `arm64/v8` are the same, and `arm`
    /// without a variant is `arm/v7`. The same applies to the version of the operating system,
    /// which is compared as a prefix.
    pub fn accepts(&self, offered: &Self) -> bool {
        (self.os == offered.os || self.os == ANY)
            && (self.architecture == offered.architecture || self.architecture == ANY)
            && match self.effective_variant() {
                None => true,
                wanted => wanted == offered.effective_variant().or(offered.default_variant()),
            }
            && match self.effective_os_version() {
                None => true,
                Some(wanted) => offered
                    .effective_os_version()
                    .and_then(|has| has.strip_prefix(wanted))
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
            }
    }

    /// Returns true if `offered` is the requested platform and not more specific.
    pub fn is_exactly(&self, offered: &Self) -> bool {
        self.accepts(offered)
            && self.effective_variant() == offered.effective_variant()
            && self.effective_os_version() == offered.effective_os_version()
    }

    /// Returns true if the platform is stated: descriptors and configs may leave it empty or
    /// contain anything.
    pub fn is_stated(&self) -> bool {
        !self.architecture.is_empty() && self.is_printable()
    }

    /// Whether it is what tools write that have no platform to name, as for attestations.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// Returns true if the platform can be displayed: a config may contain anything.
    pub fn is_printable(&self) -> bool {
        let more = [&self.variant, &self.os_version].into_iter().flatten();
        let mut texts = [&self.os, &self.architecture].into_iter().chain(more);
        !self.os.is_empty()
            && texts.all(|text| text.len() <= TEXT_LEN_MAX && !text.chars().any(char::is_control))
    }

    fn effective_variant(&self) -> Option<&str> {
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", Some("v8")) | ("amd64", Some("v1")) | (_, Some("")) => None,
            (_, variant) => variant,
        }
    }

    /// The default variant.
    fn default_variant(&self) -> Option<&'static str> {
        (self.architecture == "arm").then_some("v7")
    }

    fn effective_os_version(&self) -> Option<&str> {
        self.os_version.as_deref().filter(|text| !text.is_empty())
    }
}

fn go_architecture(name: &str) -> &str {
    match name {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" | "armv8" => "arm64",
        "x86" | "i386" | "i686" => "386",
        "powerpc64le" => "ppc64le",
        other => other,
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// Parses `os/architecture[/variant][:os.version]`.
    ///
    /// Unknown words are accepted, unless they look like a typing error.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let Some(platform) = parse(text) else {
            return Err(PlatformError::Form {
                text: text.to_owned(),
                meant: likely(text),
            });
        };
        match respelt(&platform) {
            None => Ok(platform),
            Some(meant) => Err(PlatformError::Misspelt {
                text: text.to_owned(),
                meant: meant.to_string(),
            }),
        }
    }
}

fn parse(text: &str) -> Option<Platform> {
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.')
            })
    };
    let (name, os_version) = match text.split_once(':') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    let parts: Vec<&str> = name.split('/').collect();
    if !parts.iter().copied().chain(os_version).all(is_word) {
        return None;
    }
    let (os, architecture, variant) = match parts[..] {
        [os, architecture] => (os, architecture, None),
        [os, architecture, variant] => (os, architecture, Some(variant)),
        _ => return None,
    };
    Some(Platform {
        variant: variant.map(str::to_owned),
        os_version: os_version.map(str::to_owned),
        ..Platform::new(os, architecture)
    })
}

/// The platform with corrected words, if one of them has a wrong letter or the order is wrong.
fn respelt(platform: &Platform) -> Option<Platform> {
    let is_system = |word: &String| word != "unknown" && SYSTEMS.contains(&word.as_str());
    if is_system(&platform.architecture) && !is_system(&platform.os) {
        return Some(Platform {
            os: platform.architecture.clone(),
            architecture: platform.os.clone(),
            ..platform.clone()
        });
    }
    let other_name = |word: &str| {
        let known = OTHER_NAMES.iter().find(|(name, _)| *name == word)?;
        known
            .1
            .split_once('/')
            .map_or(Some((known.1, None)), |(arch, variant)| {
                Some((arch, Some(variant.to_owned())))
            })
    };
    let near = |word: &str, known: &[&'static str]| {
        if known.contains(&word) {
            return None;
        }
        known.iter().copied().find(|known| is_near(word, known))
    };
    let os = near(&platform.os, &SYSTEMS);
    let (architecture, variant) = match other_name(&platform.architecture) {
        Some((architecture, variant)) => (Some(architecture), variant),
        None => (near(&platform.architecture, &ARCHITECTURES), None),
    };
    if os.is_none() && architecture.is_none() {
        return None;
    }
    Some(Platform {
        os: os.unwrap_or(&platform.os).to_owned(),
        architecture: architecture.unwrap_or(&platform.architecture).to_owned(),
        variant: variant.or_else(|| platform.variant.clone()),
        os_version: platform.os_version.clone(),
    })
}

/// The probable intention of a text that does not have a platform's form.
fn likely(text: &str) -> Option<String> {
    let text = text
        .trim()
        .to_lowercase()
        .replace(['\\', '_', '-', ' '], "/");
    let is_system = |word: &str| SYSTEMS.contains(&word);
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    let guess = match parts[..] {
        [architecture] => format!("linux/{architecture}"),
        [architecture, os] if is_system(os) && !is_system(architecture) => {
            format!("{os}/{architecture}")
        }
        [first, ref rest @ ..] => match first.split_once('(') {
            // As containerd writes it.
            Some((os, version)) => {
                format!("{os}/{}:{}", rest.join("/"), version.trim_end_matches(')'))
            }
            None => parts.join("/"),
        },
        [] => return None,
    };
    let platform = parse(&guess)?;
    let platform = respelt(&platform).unwrap_or(platform);
    let is_known =
        is_system(&platform.os) && ARCHITECTURES.contains(&platform.architecture.as_str());
    is_known.then(|| platform.to_string())
}

/// Returns true if the words differ by one inserted, deleted, replaced or swapped letter.
fn is_near(word: &str, known: &str) -> bool {
    let (word, known) = (word.as_bytes(), known.as_bytes());
    let n_same = word.iter().zip(known).take_while(|(a, b)| a == b).count();
    let (word, known) = (&word[n_same..], &known[n_same..]);
    let n_same = word.iter().rev().zip(known.iter().rev());
    let n_same = n_same.take_while(|(a, b)| a == b).count();
    match (&word[..word.len() - n_same], &known[..known.len() - n_same]) {
        ([a, b], [c, d]) => (a, b) == (d, c),
        (word, known) => word.len() <= 1 && known.len() <= 1,
    }
}

impl FromStr for PlatformChoice {
    type Err = PlatformError;

    /// Parses `all`, or platforms separated by commas; doubles fold.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        if text == "all" {
            return Ok(Self::All);
        }
        let mut platforms: Vec<Platform> = Vec::new();
        let mut known = HashSet::new();
        for part in text.split(',') {
            let platform: Platform = part.trim().parse()?;
            if known.insert(platform.clone()) {
                platforms.push(platform);
            }
        }
        Ok(Self::These(platforms))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if let Some(variant) = self.variant.as_deref().filter(|text| !text.is_empty()) {
            write!(f, "/{variant}")?;
        }
        match self.effective_os_version() {
            None => Ok(()),
            Some(version) => write!(f, ":{version}"),
        }
    }
}

impl fmt::Display for PlatformChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::These(platforms) | Self::AnyOf(platforms) => {
                let texts: Vec<String> = platforms.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_systems_on_architectures() {
        #[track_caller]
        fn check(systems: &[&str], architectures: &[&str], expect: [bool; 4]) {
            let owned = |texts: &[&str]| -> Vec<String> {
                texts.iter().map(|text| (*text).to_owned()).collect()
            };
            let choice = PlatformChoice::filter(&owned(systems), &owned(architectures)).unwrap();
            let offered = [
                "linux/amd64",
                "linux/arm64/v8",
                "linux/arm/v7",
                "windows/amd64:10.0.1",
            ];
            let accepted = offered.map(|text| {
                let offered: Platform = text.parse().unwrap();
                choice.platforms().iter().any(|one| one.accepts(&offered))
            });
            assert_eq!(accepted, expect, "{systems:?} {architectures:?}");
        }
        assert_eq!(PlatformChoice::filter(&[], &[String::new()]), None);
        check(&[], &["amd64"], [true, false, false, true]);
        check(&["linux"], &[], [true, true, true, false]);
        check(&["linux"], &["amd64", "arm:v7"], [true, false, true, false]);
        check(&["windows:10.0.1"], &["amd64"], [false, false, false, true]);
        check(&[], &["s390x"], [false; 4]);
    }

    #[test]
    fn doubles_fold_however_many_there_are() {
        // Comparing each with each would take minutes.
        let many: Vec<String> = (0..200_000).map(|n| format!("linux/machine{n}")).collect();
        let text = format!("{},linux/machine7,linux/machine0", many.join(","));
        let PlatformChoice::These(platforms) = text.parse().unwrap() else {
            panic!("that is not all");
        };
        assert_eq!(platforms.len(), 200_000);
        assert_eq!(platforms[0].architecture, "machine0");
    }

    #[test]
    fn a_request_accepts_what_runs_there() {
        #[track_caller]
        fn check(wanted: &str, offered: &str, expect: bool) {
            let (wanted, offered): (Platform, Platform) =
                (wanted.parse().unwrap(), offered.parse().unwrap());
            assert_eq!(wanted.accepts(&offered), expect, "{wanted} {offered}");
        }
        check("linux/amd64", "linux/amd64", true);
        check("linux/arm64", "linux/arm64/v8", true);
        check("linux/arm64/v8", "linux/arm64", true);
        check("linux/arm", "linux/arm/v6", true);
        check("linux/arm/v7", "linux/arm/v6", false);
        check("linux/amd64", "windows/amd64", false);
        check("linux/x86_64", "linux/amd64", true);
        // `arm` without a variant means v7.
        check("linux/arm/v7", "linux/arm", true);
        check("linux/arm/v6", "linux/arm", false);
        check("windows/amd64", "windows/amd64:10.0.20348.1", true);
        check(
            "windows/amd64:10.0.20348",
            "windows/amd64:10.0.20348.1",
            true,
        );
        check("windows/amd64:10.0.20348", "windows/amd64:10.0.20348", true);
        check(
            "windows/amd64:10.0.2034",
            "windows/amd64:10.0.20348.1",
            false,
        );
        check("windows/amd64:10.0.20348", "windows/amd64", false);
    }

    #[test]
    fn what_is_misspelt_is_refused_with_what_was_meant() {
        #[track_caller]
        fn check(text: &str, meant: Option<&str>) {
            let error = text.parse::<PlatformChoice>().unwrap_err();
            assert_eq!(error.meant(), meant, "{text}");
            if let Some(meant) = meant {
                assert_eq!(meant.parse::<Platform>().unwrap().to_string(), meant);
            }
        }
        check("linux/amd65", Some("linux/amd64"));
        check("linux/adm64", Some("linux/amd64"));
        check("linx/amd64", Some("linux/amd64"));
        check("linux/arm64,linux/arm46", Some("linux/arm64"));
        check("linux/armv7", Some("linux/arm/v7"));
        check("linux/x64", Some("linux/amd64"));
        check("amd64", Some("linux/amd64"));
        check("aarch64", Some("linux/arm64"));
        check("Linux/AMD64", Some("linux/amd64"));
        check("linux-amd64", Some("linux/amd64"));
        check("amd64/linux", Some("linux/amd64"));
        check(
            "windows(10.0.20348)/amd64",
            Some("windows/amd64:10.0.20348"),
        );
        check("linux", None);
        check("quark", None);
        check("", None);
    }

    #[test]
    fn a_word_that_nobody_knows_is_taken() {
        for text in SYSTEMS
            .iter()
            .flat_map(|os| ARCHITECTURES.map(|arch| format!("{os}/{arch}")))
        {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in [
            "linux/e2k",
            "haiku/amd64",
            "linux/riscv128",
            "unknown/unknown",
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn choices_parse_and_print() {
        #[track_caller]
        fn check(text: &str, expect: Option<&str>) {
            let got = text
                .parse::<PlatformChoice>()
                .ok()
                .map(|choice| choice.to_string());
            assert_eq!(got.as_deref(), expect);
        }
        check("all", Some("all"));
        check(
            "linux/arm64, linux/amd64,linux/arm64",
            Some("linux/arm64,linux/amd64"),
        );
        check("linux/arm/v7", Some("linux/arm/v7"));
        check(
            "windows/amd64:10.0.20348,linux/arm/v7:6.1",
            Some("windows/amd64:10.0.20348,linux/arm/v7:6.1"),
        );
        check("windows/amd64:", None);
        check("windows/amd64:10:1", None);
        check("linux", None);
        check("linux/", None);
        check("a/b/c/d", None);
        check("", None);
    }
}
