//! Every flag of every command of skopeo: it is taken, or refused by its name.

use std::fmt::Write as _;

use super::lab::{Lab, Player};

/// A line of shell, and the flags that stand in turn at its `{}`.
struct Row {
    line: &'static str,
    flags: &'static str,
}

/// What is run in front of each line.
const FILES: &str = "echo '{}' > auth; echo a:b > pass; mkdir certs blobs registries tmp; \
                     echo '{}' > tls; ";

const TAKEN: &[Row] = &[
    Row {
        line: "skopeo {} copy --src-tls-verify=false docker://$R/lab/idxs2:v1 dir:d",
        flags: "--command-timeout=1m --debug --insecure-policy --override-arch=amd64 --override-os=linux \
                --policy=$POLICY --registries.d=registries --tmpdir=tmp --registries-conf=/dev/null \
                --tls-details=tls --user-agent-prefix=x",
    },
    Row {
        line: "skopeo copy --src-tls-verify=false docker://$R/lab/idxs2:v1 dir:d {}",
        flags: "--command-timeout=1m --debug --insecure-policy --override-arch=amd64 --override-os=linux \
                --policy=$POLICY --registries.d=registries --tmpdir=tmp --registries-conf=/dev/null \
                --tls-details=tls --user-agent-prefix=x",
    },
    Row {
        line: "skopeo copy --override-arch arm64 --override-os linux --override-variant {} \
               --src-tls-verify=false docker://$R/lab/idxs2:v1 dir:d",
        flags: "v8",
    },
    Row {
        line: "skopeo copy {} --src-tls-verify=false docker://$R/lab/s2:v1 dir:d",
        flags: "--all -a --multi-arch=system --multi-arch=all --multi-arch=index-only --format=oci -f=v2s2 \
                --preserve-digests --remove-signatures --quiet -q --digestfile=f --retry-times=1 \
                --retry-delay=1s --image-parallel-copies=2 --src-creds=a:b --screds=a:b --src-no-creds \
                --src-registry-token=x --src-cert-dir=certs --src-authfile=auth --authfile=auth \
                --src-shared-blob-dir=blobs --dest-shared-blob-dir=blobs --src-daemon-host=x \
                --dest-daemon-host=x --dest-creds=a:b --dcreds=a:b --dest-no-creds --dest-registry-token=x \
                --dest-cert-dir=certs --dest-tls-verify=false --dest-authfile=auth --tls-verify=false \
                --dest-compress --dest-decompress --dest-compress-format=gzip --dest-compress-level=3 \
                --dest-force-compress-format=false --dest-oci-accept-uncompressed-layers \
                --dest-precompute-digests --sign-identity=x --sign-passphrase-file=pass",
    },
    Row {
        line: "skopeo copy --{}-username a --{}-password b --src-tls-verify=false docker://$R/lab/s2:v1 dir:d",
        flags: "src dest",
    },
    Row {
        line: "skopeo copy --src-tls-verify=false docker://$R/lab/s2:v1 docker-archive:a.tar:x:1 {}",
        flags: "--additional-tag=x:2",
    },
    Row {
        line: "skopeo sync {} --src docker --dest dir --src-tls-verify=false $R/lab/s2:v1 d",
        flags: "--scoped --all -a --dry-run --keep-going --append-suffix=-x --digestfile=f --format=v2s2 \
                -f=v2s2 --preserve-digests --remove-signatures --retry-times=1 --retry-delay=1s \
                --src-creds=a:b --screds=a:b --src-no-creds --src-registry-token=x --src-cert-dir=certs \
                --src-authfile=auth --authfile=auth --dest-creds=a:b --dcreds=a:b --dest-no-creds \
                --dest-registry-token=x --dest-cert-dir=certs --dest-tls-verify=false --dest-authfile=auth \
                --tls-verify=false --sign-passphrase-file=pass",
    },
    Row {
        line: "skopeo sync {} dir --src-tls-verify=false -s docker $R/lab/s2:v1 d",
        flags: "--dest -d",
    },
    Row {
        line: "skopeo sync --{}-username a --{}-password b --src docker --dest dir --src-tls-verify=false \
               $R/lab/s2:v1 d",
        flags: "src dest",
    },
    Row {
        line: "skopeo inspect {} --tls-verify=false docker://$R/lab/s2:v1",
        flags: "--raw --config --format={{.Digest}} -f={{.Digest}} --no-tags -n --manifest-digest=sha512 \
                --retry-times=1 --retry-delay=1s --creds=a:b --no-creds --registry-token=x --cert-dir=certs \
                --authfile=auth --shared-blob-dir=blobs --daemon-host=x",
    },
    Row {
        line: "skopeo list-tags {} --tls-verify=false docker://$R/lab/s2",
        flags: "--retry-times=1 --retry-delay=1s --creds=a:b --no-creds --registry-token=x --cert-dir=certs \
                --authfile=auth",
    },
    Row {
        line: "skopeo copy -q --src-tls-verify=false docker://$R/lab/oci:v1 oci:o:x && \
               skopeo delete {} oci:o:x",
        flags: "--retry-times=1 --retry-delay=1s --creds=a:b --no-creds --registry-token=x --cert-dir=certs \
                --authfile=auth --daemon-host=x --tls-verify=false",
    },
    Row {
        line: "for v in inspect list-tags delete; do skopeo $v --help; done | grep -q -e {}",
        flags: "--username --password --registry-token --shared-blob-dir",
    },
    Row {
        line: "skopeo login -u a -p b --tls-verify=false {} $R",
        flags: "--authfile=auth --compat-auth-file=compat --cert-dir=certs --verbose -v",
    },
    Row {
        line: "echo b | skopeo login {} --password-stdin --authfile auth --tls-verify=false $R",
        flags: "--username=a -u=a",
    },
    Row {
        line: "skopeo login --username a {} --authfile auth --tls-verify=false $R && \
               skopeo login --get-login --authfile auth $R && skopeo logout --authfile auth $R",
        flags: "--password=b -p=b",
    },
    Row {
        line: "skopeo login -u a -p b --authfile auth --tls-verify=false $R && \
               skopeo logout --authfile auth {} $R",
        flags: "--tls-verify=false",
    },
    Row {
        line: "skopeo login -u a -p b --authfile auth --tls-verify=false $R && \
               skopeo logout --authfile auth {}",
        flags: "--all -a",
    },
    Row {
        line: "skopeo login -u a -p b --compat-auth-file c --tls-verify=false $R && skopeo logout {} $R",
        flags: "--compat-auth-file=c",
    },
    Row {
        line: "skopeo generate-sigstore-key --passphrase-file pass {}",
        flags: "--output-prefix=k",
    },
    Row {
        line: "skopeo generate-sigstore-key --output-prefix k --passphrase-file pass && \
               skopeo {} --src-tls-verify=false --sign-by-sigstore-private-key k.private \
               --sign-passphrase-file pass --sign-identity a.example/x:1 docker://$R/lab/s2:v1 dir:d",
        flags: "copy",
    },
];

/// What hod does not do, or what cannot succeed in these lines; each names the flag or its value.
const REFUSED: &[Row] = &[
    Row {
        line: "skopeo copy {} --src-tls-verify=false docker://$R/lab/s2:v1 dir:d",
        flags: "--encryption-key=encrypted --decryption-key=decrypted --format=v2s1 --sign-by-sigstore=signed \
                --sign-by-sq-fingerprint=fingerprint",
    },
    Row {
        line: "skopeo copy {} --sign-identity a.example/x:1 --src-tls-verify=false docker://$R/lab/s2:v1 dir:d",
        flags: "--sign-by=nobody",
    },
    Row {
        line: "skopeo sync {} --src docker --dest dir --src-tls-verify=false $R/lab/s2:v1 d",
        flags: "--format=v2s1 --sign-by-sigstore=signed --sign-by-sq-fingerprint=fingerprint \
                --sign-by-sigstore-private-key=nokey",
    },
    Row {
        line: "skopeo copy {} --src-tls-verify=false docker://$R/lab/s2:v1 dir:d",
        flags: "--encrypt-layer=1 --policy=nopolicy --tls-details=nodetails",
    },
    Row {
        line: "skopeo --insecure-policy copy {} --src-tls-verify=false docker://$R/lab/s2:v1 dir:d",
        flags: "--require-signed",
    },
    Row {
        line: "skopeo {}",
        flags: "experimental-image-proxy",
    },
];

/// Runs each line with each of its flags.
fn run(rows: &[Row], mut look: impl FnMut(&str, &str, &super::normal::Ran)) {
    let Some(lab) = Lab::new() else { return };
    let policy = lab.env.home().join(".config/containers/policy.json");
    lab.set("POLICY", policy.display().to_string());
    for Row { line, flags } in rows {
        for flag in flags.split_whitespace() {
            let quoted = if flag.contains('{') {
                format!("'{flag}'")
            } else {
                flag.to_owned()
            };
            let line = line.replace("{}", &quoted);
            let ran = lab.run(&Player::Hod, &format!("{FILES}{line}"));
            look(&line, flag, &ran);
        }
    }
}

#[test]
fn every_flag_is_taken() {
    let mut problems = String::new();
    run(TAKEN, |line, _, ran| {
        if ran.code != 0 {
            writeln!(problems, "{line}\n  {} {}", ran.code, ran.stderr.trim_end()).unwrap();
        }
    });
    assert!(problems.is_empty(), "\n{problems}");
}

#[test]
fn what_is_not_done_is_refused_by_its_name() {
    let mut problems = String::new();
    run(REFUSED, |line, flag, ran| {
        let (name, value) = flag.split_once('=').unwrap_or((flag, flag));
        let is_named = [name, value].iter().any(|word| ran.stderr.contains(word));
        if ran.code != 1 || !is_named || ran.stderr.contains("unknown flag") {
            writeln!(problems, "{line}\n  {} {}", ran.code, ran.stderr.trim_end()).unwrap();
        }
    });
    assert!(problems.is_empty(), "\n{problems}");
}
