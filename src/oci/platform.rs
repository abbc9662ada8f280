//! Platforms: operating system, architecture and variant (OCI image-spec, image-index.md).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest word of a platform that anybody means, in bytes.
const TEXT_LEN_MAX: usize = 255;

/// What an image runs on, in Go's words: `linux/amd64`, `linux/arm/v7`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    pub os: String,
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

/// Why a text is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("platform `{text}` is not of the form `os/architecture` or `os/architecture/variant`")]
pub struct PlatformError {
    text: String,
}

/// Which platforms of a multi-platform image to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlatformChoice {
    /// The index and every child, bytes unchanged.
    All,
    /// One or more platforms.
    These(Vec<Platform>),
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

    /// Whether an image of platform `offered` will do where this one is asked for.
    ///
    /// A variant matters only when it is asked for; `arm64` and `arm64/v8` are the same.
    pub fn accepts(&self, offered: &Self) -> bool {
        self.os == offered.os
            && self.architecture == offered.architecture
            && match self.effective_variant() {
                None => true,
                wanted => wanted == offered.effective_variant(),
            }
    }

    /// Whether it says something that can be written where people read it: a configuration may hold
    /// anything.
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

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let bad = || PlatformError {
            text: text.to_owned(),
        };
        let is_word = |word: &str| {
            !word.is_empty()
                && word.bytes().all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.')
                })
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(|part| is_word(part)) {
            return Err(bad());
        }
        match parts[..] {
            [os, architecture] => Ok(Self::new(os, architecture)),
            [os, architecture, variant] => Ok(Self {
                variant: Some(variant.to_owned()),
                ..Self::new(os, architecture)
            }),
            _ => Err(bad()),
        }
    }
}

impl FromStr for PlatformChoice {
    type Err = PlatformError;

    /// Parses `all`, or platforms separated by commas; doubles fold.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        if text == "all" {
            return Ok(Self::All);
        }
        let mut platforms = Vec::new();
        for part in text.split(',') {
            let platform = part.trim().parse()?;
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        Ok(Self::These(platforms))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match self.variant.as_deref() {
            None | Some("") => Ok(()),
            Some(variant) => write!(f, "/{variant}"),
        }
    }
}

impl fmt::Display for PlatformChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::These(platforms) => {
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
        check("linux", None);
        check("linux/", None);
        check("a/b/c/d", None);
        check("", None);
    }
}
