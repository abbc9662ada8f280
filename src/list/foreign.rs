//! The formats of other tools that name images, recognised by their lines.

use std::fmt;

use hod_oci::Reference;

/// The kind of a file that is not a list of one image a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignFormat {
    SkopeoSync,
    ImageSyncer,
    /// Logins for image-syncer.
    ImageSyncerAuth,
    /// What `hod receipt` writes.
    Receipt,
    Compose,
    Kubernetes,
    HelmChart,
    HelmValues,
    Json,
    Yaml,
}

impl ForeignFormat {
    /// Recognises a file of another tool by its lines; `None` if it may be a list.
    pub(super) fn of(text: &str) -> Option<Self> {
        if is_json(text) {
            return Some(Self::of_json(text));
        }
        let lines: Vec<YamlLine<'_>> = text.lines().filter_map(YamlLine::of).collect();
        let has_key = |line: &YamlLine<'_>| line.key.is_some_and(|key| key != "image");
        if !lines.iter().all(|line| line.is_yaml) || !lines.iter().any(has_key) {
            return None;
        }
        Some(Self::of_yaml(&lines))
    }

    fn of_json(text: &str) -> Self {
        let has = |key: &str| text.contains(&format!("\"{key}\""));
        if has("apiVersion") {
            Self::Kubernetes
        } else if has("services") {
            Self::Compose
        } else if has("repositories") && text.contains("\"receipt\"") {
            Self::Receipt
        } else if (has("images") && has("auth")) || json_pairs(text) {
            Self::ImageSyncer
        } else {
            Self::Json
        }
    }

    fn of_yaml(lines: &[YamlLine<'_>]) -> Self {
        let has = |depth: Depth, key: &str| {
            lines
                .iter()
                .any(|line| line.depth == depth && line.key == Some(key))
        };
        let is_pair = |line: &&YamlLine<'_>| {
            line.depth == Depth::Top && line.key.is_some_and(is_image_with_path)
        };
        if has(Depth::Top, "apiVersion") {
            if has(Depth::Top, "kind") {
                Self::Kubernetes
            } else {
                Self::HelmChart
            }
        } else if has(Depth::Top, "services") {
            Self::Compose
        } else if ["images", "images-by-tag-regex", "images-by-semver"]
            .iter()
            .any(|key| has(Depth::Below, key))
        {
            Self::SkopeoSync
        } else if lines.iter().any(|line| is_pair(&line))
            || (has(Depth::Top, "images") && has(Depth::Top, "auth"))
        {
            Self::ImageSyncer
        } else if has(Depth::Below, "repository") {
            Self::HelmValues
        } else {
            Self::Yaml
        }
    }

    /// How to write such a file, or how to make a list of it.
    pub(super) fn hint(self) -> String {
        let how = match self {
            Self::Compose => "`docker compose -f FILE config --images` prints one.",
            Self::Kubernetes => {
                "`grep -o 'image: *[^ ]*' FILE | sed 's/image: *//' | sort -u` prints one."
            }
            Self::HelmChart | Self::HelmValues => {
                "`helm template CHART | grep -o 'image: *[^ ]*' | sed 's/image: *//' | sort -u` \
                 prints one."
            }
            Self::Receipt => {
                return "A receipt is read by `hod pack --since` and `hod diff`.".to_owned();
            }
            Self::SkopeoSync => {
                return "In a file for `skopeo sync`, each registry has `images` (for each \
                        repository a list of tags or digests, none for all tags), \
                        `images-by-tag-regex` (a regular expression) or `images-by-semver` (a \
                        range of versions)."
                    .to_owned();
            }
            Self::ImageSyncer => {
                return "In a file for image-syncer, images are pairs `SOURCE: DESTINATION` or \
                        `SOURCE: [DESTINATION, …]`. A source ends with `:TAG`, `:TAG,TAG`, \
                        `:/REGEX/`, `@DIGEST`, or none of them for all tags."
                    .to_owned();
            }
            Self::ImageSyncerAuth => {
                return "In a file of logins for image-syncer, each `registry[/namespace]` has \
                        `username`, `password` and perhaps `insecure`."
                    .to_owned();
            }
            Self::Json | Self::Yaml => "A line is `[registry/]repository[:tag][@digest]`.",
        };
        format!("Give a list with one image per line. {how}")
    }
}

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SkopeoSync => "a YAML file for `skopeo sync`",
            Self::ImageSyncer => "a file for image-syncer",
            Self::ImageSyncerAuth => "a file of logins for image-syncer",
            Self::Receipt => "a receipt",
            Self::Compose => "a Compose file",
            Self::Kubernetes => "a Kubernetes manifest",
            Self::HelmChart => "a Helm chart",
            Self::HelmValues => "a values file of a Helm chart",
            Self::Json => "a JSON file",
            Self::Yaml => "a YAML file",
        })
    }
}

fn is_json(text: &str) -> bool {
    let mut characters = text.chars().filter(|c| !c.is_whitespace());
    matches!(characters.next(), Some('{' | '['))
        && matches!(characters.next(), Some('"' | '{' | '[' | '}' | ']'))
}

/// Whether there are pairs such as `"quay.io/a/b:1": "harbor.corp/a/b"`, perhaps with several
/// destinations.
fn json_pairs(text: &str) -> bool {
    let quoted: Vec<&str> = text.split('"').collect();
    quoted.windows(3).any(|window| {
        let between = window[1].trim();
        let is_pair = between.starts_with(':') && matches!(between[1..].trim(), "" | "[");
        is_pair && is_image_with_path(window[0]) && window[2].parse::<Reference>().is_ok()
    })
}

/// Whether a text names an image by more than one word, which other files seldom have as keys.
fn is_image_with_path(text: &str) -> bool {
    text.contains('/') && text.parse::<Reference>().is_ok()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Top,
    Below,
}

/// A line that is neither blank nor a comment.
#[derive(Debug)]
struct YamlLine<'a> {
    depth: Depth,
    key: Option<&'a str>,
    is_yaml: bool,
}

impl<'a> YamlLine<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') {
            return None;
        }
        let is_indented = line.starts_with([' ', '\t']);
        let is_item = content == "-" || content.starts_with("- ");
        let key = match content.trim_start_matches("- ").split_once(": ") {
            Some((key, _)) => Some(key),
            None => content.trim_start_matches("- ").strip_suffix(':'),
        };
        let key = key.map(|key| key.trim_matches(['"', '\'']));
        let key = key.filter(|key| !key.is_empty() && !key.contains(char::is_whitespace));
        let is_marker = matches!(content, "---" | "...") || content.starts_with("{{");
        Some(Self {
            depth: if is_indented || is_item {
                Depth::Below
            } else {
                Depth::Top
            },
            key,
            is_yaml: is_indented || is_item || is_marker || key.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_tools_are_told_apart() {
        #[track_caller]
        fn check(text: &str, expect: Option<ForeignFormat>) {
            assert_eq!(ForeignFormat::of(text), expect, "{text}");
        }
        use ForeignFormat::{
            Compose, HelmChart, HelmValues, ImageSyncer, Json, Kubernetes, Receipt, SkopeoSync,
            Yaml,
        };
        check(
            "{\"format\":1,\"kind\":\"receipt\",\"of\":{},\"repositories\":{\"a/b\":[\"sha256:1\"]}}",
            Some(Receipt),
        );
        check(
            "registry.example.com:\n  tls-verify: false\n  images:\n    redis:\n      - \"1.0\"\n",
            Some(SkopeoSync),
        );
        check(
            "# c\nquay.io:\n    images-by-tag-regex:\n        coreos/etcd: ^3\\.4\n",
            Some(SkopeoSync),
        );
        check(
            "{\n \"quay.io/a/b:1\": \"harbor.corp/a/b\"\n}\n",
            Some(ImageSyncer),
        );
        check("{\"auth\": {}, \"images\": {}}", Some(ImageSyncer));
        check(
            "quay.io/a/b:1: harbor.corp/a/b\nquay.io/a/c:\n  - h/c\n",
            Some(ImageSyncer),
        );
        check("\"quay.io/a/b:1\": harbor.corp/a/b\n", Some(ImageSyncer));
        check(
            "version: '3'\nservices:\n  web:\n    image: nginx:1.27\n",
            Some(Compose),
        );
        check(
            "---\napiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: nginx\n",
            Some(Kubernetes),
        );
        check(
            "{\"apiVersion\": \"v1\", \"kind\": \"List\"}",
            Some(Kubernetes),
        );
        check(
            "apiVersion: v2\nname: web\nversion: 1.0.0\n",
            Some(HelmChart),
        );
        check(
            "replicas: 1\nimage:\n  repository: nginx\n  tag: 1.27\n",
            Some(HelmValues),
        );
        check("[\"nginx:1.27\", \"redis:7\"]", Some(Json));
        check("{\"images\": [\"nginx:1.27\"]}", Some(Json));
        check(
            "{\"a/b:1\": [\"h.corp/a/b\", \"x.corp/b\"]}",
            Some(ImageSyncer),
        );
        check("{\"dependencies\": {\"@types/node\": \"^18\"}}", Some(Json));
        check("---\nimages:\n- nginx:1.27\n", Some(Yaml));
        check("images:\n- name: nginx\n  newTag: v1\n", Some(Yaml));
        check(
            "auth:\n  h.corp:\n    username: u\nimages:\n  a/b: c/d\n",
            Some(ImageSyncer),
        );
        check("list:\n- nginx:1.27\n", Some(Yaml));
        check("nginx:1.27\nredis\nquay.io/a/b:1 x/y:1\n", None);
        check("- nginx:1.27\n- redis:7\n", None);
        check("- image: nginx:1.27\n- image: \"redis:7\"\n", None);
        check("image: nginx:1.27\n", None);
        check("nginx:1.27\nNote: that was all\n", None);
        check("##section\nnginx:1.27,\n  redis:7\n", None);
        check("[a\n", None);
        check("", None);
        check("# nothing\n", None);
    }
}
