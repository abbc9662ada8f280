//! `skopeo sync` with policies, signatures, formats and lists: what decides whether an image that is
//! there already may stay, and what one bad entry does to the others.

use super::lab::{Lab, Player};
use super::normal::Ran;

const TO_REGISTRY: &str = "skopeo sync --src-tls-verify=false --dest-tls-verify=false \
                           --src docker --dest docker $R/lab/s2:v1 $R/$P";
const FROM_YAML: &str =
    "skopeo sync --dest-tls-verify=false --src yaml --dest docker list.yml $R/$P";

fn run(lab: &Lab, line: &str) -> Ran {
    lab.run(&Player::Hod, line)
}

/// A line that writes `list.yml` and then syncs it.
fn from_yaml(list: &str) -> String {
    format!("cat > list.yml <<EOF\n{list}\nEOF\n{FROM_YAML}")
}

#[test]
fn a_policy_rejects_an_image_that_is_at_the_destination() {
    let Some(lab) = Lab::new() else { return };
    let ran = run(
        &lab,
        &format!(
            "{TO_REGISTRY} > /dev/null || exit 9\n\
             echo '{{\"default\":[{{\"type\":\"reject\"}}]}}' > p.json\n\
             {}",
            TO_REGISTRY.replace("skopeo ", "skopeo --policy p.json "),
        ),
    );
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(!ran.stdout.contains("Skipping"), "{}", ran.stdout);
}

#[test]
fn a_policy_knows_a_host_as_it_is_written() {
    let Some(lab) = Lab::new() else { return };
    lab.set("PORT", lab.host().rsplit_once(':').unwrap().1);
    let ran = run(
        &lab,
        "echo '{\"default\":[{\"type\":\"insecureAcceptAnything\"}],\
         \"transports\":{\"docker\":{\"LOCALHOST:'$PORT'\":[{\"type\":\"reject\"}]}}}' > p.json\n\
         skopeo --policy p.json copy --src-tls-verify=false docker://LOCALHOST:$PORT/lab/s2:v1 dir:d",
    );
    assert_eq!(ran.code, 1, "{}", ran.stderr);
}

#[test]
fn another_format_replaces_the_image_that_is_there() {
    let Some(lab) = Lab::new() else { return };
    let top = super::stock::stocked("lab/s2:v1").digest().to_string();
    let ran = run(
        &lab,
        &format!(
            "{TO_REGISTRY} > /dev/null || exit 9\n{}",
            TO_REGISTRY.replace("sync ", "sync --format oci ")
        ),
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stdout.contains("Skipping"), "{}", ran.stdout);
    assert_ne!(ran.pushed["P/s2:v1"], top);
}

#[test]
fn a_blocked_destination_gets_nothing() {
    let Some(lab) = Lab::new() else { return };
    let ran = run(
        &lab,
        &format!(
            "printf '[[registry]]\\nlocation = \"%s\"\\nblocked = true\\n' $R/$P > registries.conf\n\
             export CONTAINERS_REGISTRIES_CONF=$PWD/registries.conf\n{TO_REGISTRY}"
        ),
    );
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("blocked"), "{}", ran.stderr);
    assert_eq!(ran.pushed.len(), 0);
}

#[test]
fn a_missing_tag_fails_after_those_before_it_are_copied() {
    let Some(lab) = Lab::new() else { return };
    let ran = run(
        &lab,
        &from_yaml("$R:\n  tls-verify: false\n  images:\n    lab/s2: [v1, nope]"),
    );
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("manifest unknown"), "{}", ran.stderr);
    assert_eq!(ran.pushed.keys().collect::<Vec<_>>(), ["P/s2:v1"]);
}

#[test]
fn one_list_has_several_registries() {
    let Some(lab) = Lab::new() else { return };
    lab.set("PORT", lab.host().rsplit_once(':').unwrap().1);
    let ran = run(
        &lab,
        &from_yaml(
            "$R:\n  tls-verify: false\n  images:\n    lab/s2: [v1]\n\
             localhost:$PORT:\n  tls-verify: false\n  images:\n    lab/oci: [v1]",
        ),
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(
        ran.pushed.keys().collect::<Vec<_>>(),
        ["P/oci:v1", "P/s2:v1"]
    );
}

#[test]
fn two_entries_for_one_directory_are_refused_before_anything_is_written() {
    let Some(lab) = Lab::new() else { return };
    lab.set("PORT", lab.host().rsplit_once(':').unwrap().1);
    let line = from_yaml(
        "$R:\n  tls-verify: false\n  images:\n    lab/s2: [v1]\n\
         localhost:$PORT:\n  tls-verify: false\n  images:\n    lab/s2: [v1]",
    );
    let ran = run(
        &lab,
        &line.replace(FROM_YAML, "skopeo sync --src yaml --dest dir list.yml d"),
    );
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.files.keys().all(|path| !path.starts_with("d/")));
}
