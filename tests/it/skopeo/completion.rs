//! The scripts of `skopeo completion` in shells.

use hod_testkit::programs;

use super::lab::{Lab, Player};

/// What bash does with the words before the cursor; it breaks them at colons and equal signs.
const BASH: &str = r#"
. <(skopeo completion bash)
complete -p skopeo > /dev/null || exit 1
compopt() { :; }
try() {
    COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
    COMP_LINE=${COMP_LINE// : /:}
    COMP_POINT=${#COMP_LINE}
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    local last=${COMP_WORDS[COMP_CWORD]}
    [[ $last == : ]] && last=
    _skopeo skopeo "$last" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo "$COMP_LINE| ${COMPREPLY[*]}"
}
try skopeo ins
try skopeo --debug co
try skopeo copy docker-
try skopeo copy docker-archive
try skopeo inspect --manifest-d
try skopeo copy --dest-comp
try skopeo list-tags ""
try skopeo completion z
"#;

#[test]
fn bash_completes_commands_flags_and_transports() {
    let Some(lab) = Lab::new() else { return };
    lab.set("SCRIPT", BASH);
    let ran = lab.run(&Player::Hod, "bash -c \"$SCRIPT\"");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(
        ran.stdout,
        "skopeo ins| inspect\n\
         skopeo --debug co| copy\n\
         skopeo copy docker-| docker-archive: docker-daemon:\n\
         skopeo copy docker-archive| docker-archive:\n\
         skopeo inspect --manifest-d| --manifest-digest\n\
         skopeo copy --dest-comp| --dest-compress --dest-compress-format --dest-compress-level\n\
         skopeo list-tags | \n\
         skopeo completion z| zsh\n",
        "{}",
        ran.stderr
    );
}

#[test]
fn the_script_for_bash_is_clean() {
    if !programs::are_here(&["shellcheck"]) {
        return;
    }
    let Some(lab) = Lab::new() else { return };
    let line = "skopeo completion bash > s && shellcheck -s bash s";
    let ran = lab.run(&Player::Hod, line);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
}
