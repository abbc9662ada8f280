//! Scripts that people have around skopeo, with only the program changed: they do the same.

use std::path::Path;

use hod_testkit::docker_registry::DockerRegistry;
use hod_testkit::env::finish;
use hod_testkit::images::Image;
use hod_testkit::tree::{Tree, assert_same, tree};

use super::lab::{Lab, Player};
use super::stock::stocked;

const LIST: [&str; 4] = ["lab/s2:v1", "lab/oci:v1", "lab/idxoci:v1", "lab/many:v1.2"];
const CHOSEN: [&str; 2] = ["lab/idxoci:v1", "lab/many:v1.2"];

/// From one registry into another, image by image over a list: usage SOURCE LIST TARGET.
const COPY: &str = r#"
set -eu
while read -r image; do
    if ! skopeo copy --insecure-policy --all --src-tls-verify=false --dest-tls-verify=false \
        "docker://$1/$image" "docker://$3/$image" </dev/null; then
        echo "$image" >>failed.list
    fi
done <"$2"
test ! -e failed.list
"#;
/// Every image of a list into a `dir:` layout: usage SOURCE LIST LAYOUTS.
const PULL: &str = include_str!("../../bench/peers/pull.sh");
/// Layouts into the storage of a registry, by hardlinks: usage LAYOUTS TREE.
const CONVERT: &str = include_str!("../../bench/peers/convert.sh");
/// Layouts into a registry: usage LAYOUTS TARGET.
const PUSH: &str = include_str!("../../bench/peers/push.sh");
/// Some images of one storage into another, by hardlinks: usage TREE LIST OUTPUT.
const SELECT: &str = include_str!("../../bench/peers/select.sh");
/// The storage of a registry back into layouts: usage TREE LAYOUTS.
const REVERSE: &str = r#"
set -eu
tree=$1/docker/registry/v2
data() { echo "$tree/blobs/sha256/$(echo "$1" | cut -c1-2)/$1/data"; }
digests() { grep -o 'sha256:[0-9a-f]\{64\}' "$1" | cut -d: -f2 | sort -u; }
find "$tree/repositories" -path '*/current/link' | while read -r link; do
    tagged=${link%/current/link}
    repository=${tagged%/_manifests/tags/*}
    name=${repository#"$tree/repositories/"}:${tagged##*/}
    hex=$(cut -d: -f2 <"$link")
    mkdir -p "$2/$name"
    ln "$(data "$hex")" "$2/$name/manifest.json"
    echo "Directory Transport Version: 1.1" >"$2/$name/version"
    for one in $(digests "$(data "$hex")"); do
        if [ -e "$repository/_manifests/revisions/sha256/$one/link" ]; then
            ln "$(data "$one")" "$2/$name/$one.manifest.json"
            for blob in $(digests "$(data "$one")"); do
                ln -f "$(data "$blob")" "$2/$name/$blob"
            done
        else
            ln -f "$(data "$one")" "$2/$name/$one"
        fi
    done
done
"#;

/// Runs a script in a directory.
#[track_caller]
fn run(lab: &Lab, player: &Player, dir: &str, (script, arguments): (&str, &[&str])) {
    let mut shell = lab.shell(player);
    let command = shell.args(["-c", script, "script"]).args(arguments);
    let _ = finish(command.current_dir(lab.env.path(dir))).success();
}

#[track_caller]
fn assert_serves(registry: &DockerRegistry, prefix: &str, names: &[&str]) {
    for name in names {
        let image: Image = stocked(name);
        registry.assert_serves(&format!("{prefix}{name}"), &image);
    }
}

/// All four, one after another; returns what they made.
fn run_all(lab: &Lab, player: &Player, name: &str) -> [Tree; 4] {
    let dir = |rest: &str| format!("{name}/{rest}");
    hod_fsx::create_dir_all(&lab.env.path(name)).unwrap();
    lab.env.write(dir("images.list"), LIST.join("\n") + "\n");
    lab.env.write(dir("chosen.list"), CHOSEN.join("\n") + "\n");
    let host = lab.host();

    let target = DockerRegistry::serve(&lab.env, dir("copied"));
    run(
        lab,
        player,
        name,
        (COPY, &[host, "images.list", target.host()]),
    );
    assert_serves(&target, "", &LIST);

    run(lab, player, name, (PULL, &[host, "images.list", "layouts"]));
    let layouts = format!("layouts/{host}");
    run(lab, player, name, (CONVERT, &[&layouts, "tree"]));
    assert_serves(&DockerRegistry::serve(&lab.env, dir("tree")), "", &LIST);

    run(lab, player, name, (REVERSE, &["tree", "reversed"]));
    let target = DockerRegistry::serve(&lab.env, dir("pushed"));
    let offline = format!("{}/offline", target.host());
    run(lab, player, name, (PUSH, &["reversed", &offline]));
    assert_serves(&target, "offline/", &LIST);

    run(
        lab,
        player,
        name,
        (SELECT, &["tree", "chosen.list", "selected"]),
    );
    let registry = DockerRegistry::serve(&lab.env, dir("selected"));
    assert_serves(&registry, "", &CHOSEN);

    let made = |path: &str| tree(&lab.env.path(dir(path)));
    [
        made(&layouts),
        made("tree"),
        made("reversed"),
        made("selected"),
    ]
}

#[test]
fn scripts_around_skopeo_do_the_same() {
    let Some(lab) = Lab::new() else { return };
    let theirs = run_all(&lab, &Player::Installed, "theirs");
    let ours = run_all(&lab, &Player::Hod, "ours");
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_same(theirs, ours, "skopeo's and hod's");
    }
    for link in ["_manifests", "_layers"] {
        let path = Path::new("docker/registry/v2/repositories/lab/s2").join(link);
        assert!(ours[1].contains_key(&path), "{}", path.display());
    }
}
