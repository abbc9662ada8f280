//! What scripts do most, by hod and by the installed skopeo on the same registry: exit code, stdout,
//! files and pushed digests. hod follows skopeo 1.22; where the installed one is older and differs,
//! the row says in what.

use std::fmt::Write as _;

use super::lab::{Lab, Player};
use super::normal::{Ran, diff};

/// What of a run is compared.
const PARTS: [&str; 4] = ["code", "stdout", "files", "pushed"];

/// An invocation in each line. `#` lists in what 1.9.3 differs in the next one, and why.
const COPIES: &str = r#"
skopeo copy --src-tls-verify=false --dest-tls-verify=false docker://$R/lab/s2:v1 docker://$R/$P/x:1
skopeo copy --src-tls-verify=false --dest-tls-verify=false --all docker://$R/lab/idxoci:v1 docker://$R/$P/x:1
skopeo copy -a --src-tls-verify=false --dest-tls-verify=false docker://$R/lab/idxs2:v1 docker://$R/$P/x:1
skopeo copy --src-tls-verify=0 --dest-tls-verify=f --src-creds u:p --dest-creds=u:p docker://$R/lab/oci:v1 docker://$R/$P/x:1
skopeo copy --src-tls-verify=false --dest-tls-verify=false --screds u:p --dcreds u:p docker://$R/lab/oci:v1 docker://$R/$P/x:1
skopeo copy --src-tls-verify=false --dest-tls-verify=false --src-no-creds --dest-username u --dest-password p docker://$R/lab/oci:v1 docker://$R/$P/x:1
# pushed: another compressor
skopeo copy -q --src-tls-verify=false docker://$R/lab/s2:v1 docker-archive:f.tar && ln -s f.tar result && skopeo copy --dest-tls-verify=false docker-archive:./result docker://$R/$P/x:1
# files: 1.9.3 cannot read what it wrote from a pipe
skopeo copy -q --src-tls-verify=false docker://$R/lab/s2:v1 docker-archive:f.tar && gzip --fast < f.tar | skopeo copy -q docker-archive:/dev/stdin dir:d; rm f.tar
skopeo copy --src-tls-verify=false docker://$R/lab/s2:v1 docker-archive:f.tar
skopeo copy --src-tls-verify=false docker://$R/lab/s2:v1 docker-archive:f.tar:foo/bar:1 --additional-tag foo:2
skopeo copy --src-tls-verify=false docker://$R/lab/s2:v1 dir:d
skopeo copy -q --src-tls-verify=false docker://$R/lab/oci:v1 dir:d && skopeo copy --dest-tls-verify=false dir:d docker://$R/$P/x:1
skopeo copy --src-tls-verify=false docker://$R/lab/oci:v1 oci:d:tag && rm d/index.json d/oci-layout
skopeo copy -q --src-tls-verify=false docker://$R/lab/s2:v1 oci-archive:f.tar:x/y:1 && skopeo inspect --raw oci-archive:f.tar:x/y:1; rm f.tar
skopeo copy -q --src-tls-verify=false docker://$R/lab/s2:v1 oci-archive:f.tar && skopeo copy --dest-tls-verify=false oci-archive:f.tar docker://$R/$P/x:1; rm f.tar
skopeo copy -q --src-tls-verify=false docker://$R/lab/s2:v1 oci:d && skopeo copy --dest-tls-verify=false oci:d docker://$R/$P/x:1 && rm d/index.json d/oci-layout
skopeo --insecure-policy copy --src-tls-verify=false docker://$R/lab/s2:v1 dir:d
skopeo copy --insecure-policy --override-os linux --override-arch arm64 --src-tls-verify=false docker://$R/lab/idxs2:v1 dir:d
skopeo copy --preserve-digests --all --tls-verify=false docker://$R/lab/idxs2:v1 docker://$R/$P/x:1
echo '{"auths":{}}' > auth.json; skopeo copy --authfile auth.json --src-tls-verify=false docker://$R/lab/s2:v1 dir:d
skopeo copy --format v2s2 --src-tls-verify=false docker://$R/lab/oci:v1 dir:d
skopeo copy --format oci --src-tls-verify=false docker://$R/lab/s2:v1 dir:d
skopeo copy --retry-times 3 --quiet --src-tls-verify=false docker://$R/lab/s2:v1 dir:d
skopeo copy --dest-compress --src-tls-verify=false docker://$R/lab/s2:v1 dir:d
skopeo copy --dest-decompress --src-tls-verify=false docker://$R/lab/s2:v1 dir:d
skopeo copy --dest-shared-blob-dir s --src-tls-verify=false docker://$R/lab/oci:v1 oci:d:x && rm d/index.json d/oci-layout
skopeo copy --digestfile f --src-tls-verify=false docker://$R/lab/s2:v1 dir:d && cat f
skopeo copy --multi-arch=all --src-tls-verify=false docker://$R/lab/idxoci:v1 dir:d
skopeo copy --src-no-creds --remove-signatures --dest-precompute-digests --tmpdir . --src-tls-verify=false docker://$R/lab/s2:v1 dir:d
# code files: an image that is not found is 2 since 1.11, and 1.9.3 leaves a file
skopeo copy --src-tls-verify=false docker://$R/lab/s2:nope dir:d
"#;

const OTHERS: &str = r#"
# stdout: `LayersData` is since 1.10
skopeo inspect --tls-verify=false docker://$R/lab/s2:v1
skopeo inspect --tls-verify=false docker://$R/lab/s2:v1 | sed '/LayersData/,/^    \],/d'
skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://$R/lab/idxoci:v1
skopeo inspect --tls-verify=false -f 'Name: {{.Name}} Digest: {{.Digest}}' docker://$R/lab/oci:v1
skopeo inspect --tls-verify=false -f '{{.Layers}} {{.Created}} {{index .Labels "a.key"}}{{range .Env}} {{.}}{{end}}' docker://$R/lab/oci:v1
skopeo inspect --raw --tls-verify=false docker://$R/lab/idxs2:v1
skopeo inspect --raw --tls-verify=false docker://$R/lab/s2:v1 | sha256sum
skopeo inspect --raw --tls-verify=false docker://$R/lab/s2:v1 | skopeo manifest-digest /dev/stdin
skopeo inspect --no-tags --tls-verify=false -f '{{.RepoTags}}' docker://$R/lab/s2:v1
skopeo inspect --tls-verify=false docker://$R/lab/s2:v1 > /dev/null 2>&1
# code: an image that is not found is 2 since 1.11
skopeo inspect --tls-verify=false docker://$R/lab/s2:v2 > /dev/null 2>&1
skopeo inspect --config --tls-verify=false docker://$R/lab/s2:v1
skopeo inspect --config --raw --tls-verify=false docker://$R/lab/s2:v1
skopeo inspect --retry-times 2 --creds u:p --tls-verify=false -f '{{.Digest}}' docker://$R/lab/s2:v1
skopeo list-tags --tls-verify=false docker://$R/lab/many
skopeo copy -q --src-tls-verify=false --dest-tls-verify=false docker://$R/lab/s2:v1 docker://$R/$P/x:1; skopeo delete --tls-verify=false docker://$R/$P/x:1
skopeo sync --src-tls-verify=false --src docker --dest dir --all $R/lab/idxoci d
skopeo sync --src-tls-verify=false --src docker --dest dir --scoped $R/lab/many:1.0.0 d
skopeo sync --src-tls-verify=false -s docker -d dir $R/lab/s2:v1 d && skopeo sync --dest-tls-verify=false --src dir --dest docker d $R/$P
skopeo sync --src-tls-verify=false --dest-tls-verify=false -s docker -d docker $R/lab/s2:v1 $R/$P
skopeo login $R -u u -p p --tls-verify=false --authfile f
echo p | skopeo login --username u --password-stdin --tls-verify=false --authfile f $R && skopeo login --get-login --authfile f $R && skopeo logout --authfile f $R
skopeo manifest-digest $0
"#;

/// The stdout of 1.9.3 as 1.22 words it.
fn as_newer(stdout: &str) -> String {
    let mut newer = String::new();
    for line in stdout.split_inclusive('\n') {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["Storing", "signatures"] => {}
            ["Copying", n, "of", all, "images", "in", "list"] => {
                writeln!(
                    newer,
                    "Copying {n} images generated from {all} images in list"
                )
                .unwrap();
            }
            _ => newer.push_str(line),
        }
    }
    newer
}

/// Runs every line by both; `prepare` sets what the lines need.
#[track_caller]
pub(super) fn check(lines: &str, prepare: impl FnOnce(&Lab)) {
    let Some(lab) = Lab::new() else { return };
    prepare(&lab);
    let (mut listed, mut problems) = ("", String::new());
    for line in lines.lines().filter(|line| !line.is_empty()) {
        if let Some(remark) = line.strip_prefix("# ") {
            listed = remark.split(':').next().unwrap();
            continue;
        }
        let mut skopeo = lab.run(&Player::Installed, line);
        skopeo.stdout = as_newer(&skopeo.stdout);
        let hod = lab.run(&Player::Hod, line);
        let found = differing(&skopeo, &hod).join(" ");
        if found != listed {
            let diff = diff(&skopeo.to_string(), &hod.to_string());
            writeln!(
                problems,
                "{line}\n  differ: `{found}`, listed: `{listed}`\n{diff}"
            )
            .unwrap();
        }
        listed = "";
    }
    assert!(problems.is_empty(), "`-` is skopeo's:\n{problems}");
}

fn differing(left: &Ran, right: &Ran) -> Vec<&'static str> {
    let are_same = [
        left.code == right.code,
        left.stdout == right.stdout,
        left.files == right.files,
        left.pushed == right.pushed,
    ];
    let parts = PARTS.into_iter().zip(are_same);
    parts
        .filter_map(|(part, is_same)| (!is_same).then_some(part))
        .collect()
}

#[test]
fn copies() {
    check(COPIES, |_| {});
}

#[test]
fn other_verbs() {
    check(OTHERS, |_| {});
}
