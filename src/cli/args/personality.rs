//! The verbs that run other programs' command lines.

use clap::Args;

/// Run a command line of skopeo 1.22
///
/// With its flags, outputs, logs and exit codes. A link named `skopeo` to hod does the same, so that
/// existing scripts run unchanged. `hod skopeo --help` lists its commands.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_long_help = "\
Instead of skopeo:                          with hod:
  copy docker://A docker://B/N:T            echo 'A to=B/N:T' | hod sync -
  copy docker://A/N:T docker://B/N:T        hod copy A/N:T B (same name)
  copy --all                                the default of hod copy
  --override-os OS --override-arch ARCH     --platform OS/ARCH
  copy docker://A dir:D                     hod copy A dir:D, in D/NAME:TAG
  inspect docker://A                        hod inspect A
  list-tags docker://R                      hod tags R
  delete docker://A                         hod delete A
  manifest-digest F                         hod digest F
  sync --src docker --dest dir REPO D       hod copy 'REPO:*' dir:D
  sync --src yaml --dest docker F B         hod sync F B
  sync --src dir --dest docker D B          hod push D B
  login R -u U                              hod login R --username U
  --src-tls-verify=false                    --insecure or --plain-http HOST
  --retry-times N                           --retries N
  --digestfile F                            --json, or --report F

Instead of image-syncer:                    with hod:
  --auth A --images I                       hod sync --auth A --images I
  --config C                                hod sync --config C
  --arch, --os, --output-success-images     the same flags of hod sync
  --proc N                                  --jobs N
  --retries N                               --retries N, for each request
  --force                                   --recheck
  --registry R --namespace N                hod sync F R/N
  --log F                                   hod sync ... 2> F, or --report F"
)]
pub(crate) struct SkopeoArgs {
    /// The command of skopeo and its arguments
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    pub(crate) arguments: Vec<String>,
}

/// Run a command line of image-syncer 1.5
///
/// With its flags, logs and exit codes. A link named `image-syncer` to hod does the same, so that
/// existing scripts run unchanged. `hod sync` does the same work, with hod's outputs.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct ImageSyncerArgs {
    /// The flags of image-syncer
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    pub(crate) arguments: Vec<String>,
}
