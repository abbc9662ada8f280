//! The flags of image-syncer.

use hod_pflag::{Flag, Kind, Program, Value, Values};

/// What `--help` begins with.
pub(super) const ABOUT: &str = "\
A Fast and Flexible docker registry image synchronization tool implement by Go. \n\t\n\t\
Complete documentation is available at https://github.com/AliyunContainerService/image-syncer";

pub(super) const VERSION: &str = concat!(
    "image-syncer version 1.5.5 (hod ",
    env!("CARGO_PKG_VERSION"),
    ")\n"
);

/// The usage, with the flags of old versions, which are still accepted.
pub(super) const USAGE: &str = "\
Usage:
  image-syncer [flags]

Aliases:
  image-syncer, image-syncer

Flags:
      --arch stringArray               architecture list to filter source tags, not works for OCI media
      --auth string                    auth file path. This flag need to be pair used with --images.
      --config string                  config file path. This flag is deprecated and will be removed in the future. Please use --auth and --images instead.
      --force                          force update manifest whether the destination manifest exists
  -h, --help                           help for image-syncer
      --images string                  images file path. This flag need to be pair used with --auth
      --log string                     log file path (default in os.Stderr)
      --namespace string               default destination namespace for images without a destination, as in old versions
      --os stringArray                 os list to filter source tags, not works for docker v2 schema1 and OCI media
      --output-images-format string    success images output format, json or yaml (default \"yaml\")
      --output-success-images string   output success images in a new file
  -p, --proc int                       numbers of working goroutines (default 5)
      --registry string                default destination registry for images without a destination, as in old versions
  -r, --retries int                    times to retry failed task (default 2)
";

/// The program as its parser sees it.
pub(super) fn program() -> Program {
    let text = |name| Flag::new(name, Kind::Text, "");
    let texts = |name| Flag::new(name, Kind::TextArray, "");
    Program {
        name: "image-syncer",
        about: ABOUT,
        version: String::new(),
        flags: vec![Flag::new("version", Kind::Bool, "")],
        globals: vec![
            text("config"),
            text("auth"),
            text("images"),
            text("log"),
            Flag::new("proc", Kind::Int, "").short('p'),
            Flag::new("retries", Kind::Int, "").short('r'),
            texts("os"),
            texts("arch"),
            Flag::new("force", Kind::Bool, ""),
            text("output-success-images"),
            text("output-images-format"),
            text("registry"),
            text("namespace"),
            // Of version 1.0: a file of layers that were transferred, which hod does not need.
            text("records").hidden(),
        ],
        commands: Vec::new(),
    }
}

/// The value of a number that was given.
pub(super) fn number(values: &Values, name: &str) -> Option<i64> {
    match values.get(name) {
        Some(Value::Int(number)) if values.is_set(name) => Some(*number),
        _ => None,
    }
}
