//! Lists as people have them: what is read, what is refused, and what is said of it.

use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::image;
use hod_testkit::registry::TestRegistry;

/// Pulls the list and returns what the store then has, a line each.
fn pulled(bytes: &[u8]) -> String {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    registry.add("library/redis:5.0", &image(1));
    registry.add("library/redis:latest", &image(2));
    env.write("list.txt", bytes);
    let host = registry.host();
    let line = format!("pull list.txt --store store --source {host} -q");
    let output = env.run_line(&line).success();
    let names = output.stdout.lines().map(|line| line.split(' ').next());
    names.flatten().collect::<Vec<_>>().join("\n")
}

#[test]
fn lists_from_other_scripts_and_editors_are_read() {
    let utf16 = |text: &str| -> Vec<u8> {
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        [0xff, 0xfe].into_iter().chain(units).collect()
    };
    assert_eq!(pulled(b"redis:5.0 cache"), "cache:5.0");
    assert_eq!(pulled(b"redis library/5.0"), "library/5.0:latest");
    assert_eq!(pulled(b"redis:5.0 cache:six"), "cache:six");
    let in_front = b"--platform=linux/amd64 redis:5.0\n--platform linux/amd64 redis\n";
    assert_eq!(pulled(in_front), "library/redis:5.0\nlibrary/redis:latest");
    let powershell = utf16("redis:5.0\r\nredis\r\n");
    assert_eq!(
        pulled(&powershell),
        "library/redis:5.0\nlibrary/redis:latest"
    );
}

/// What is said of a list that cannot be used, without anything being asked or made.
fn refused(list: &[u8]) -> String {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    env.write("list.txt", list);
    let host = registry.host();
    let line = format!("pull list.txt --store store --source {host}");
    let output = env.run_line(&line).exits(2);
    assert!(registry.seen().is_empty());
    assert_eq!(output.stdout, "");
    output.stderr
}

#[test]
fn files_longer_than_any_list_are_refused_for_what_they_are() {
    let len = 17 << 20;
    let mut tar = vec![0; len];
    tar[257..262].copy_from_slice(b"ustar");
    let text = b"redis:5.0\n".repeat(len / 10);
    let table: [(&[u8], &str); 2] = [
        (&tar, "is an archive, not an image list"),
        (
            &text,
            "it has more than the 16777216 bytes that are allowed",
        ),
    ];
    for (bytes, said) in table {
        let env = TestEnv::new();
        env.write("list.txt", bytes);
        for list in ["list.txt", "-"] {
            let stdin = hod_fsx::open(&env.path("list.txt")).unwrap();
            let mut hod = env.hod();
            hod.args(["pull", list, "--store", "store", "--source", "127.0.0.1:1"]);
            let output = finish(hod.stdin(stdin)).exits(2);
            assert!(output.stderr.contains(said), "{list}: {}", output.stderr);
        }
    }
}

#[test]
fn a_column_with_two_readings_is_refused_with_both() {
    insta::assert_snapshot!(
        refused(b"redis 5.0\nredis:7 5.0\nredis arm64\nredis harbor.corp\nlinux/arm64 redis\n"),
        @"
    error: image list `list.txt` has 5 invalid lines; nothing was done
      line 1: `5.0`: could be the tag (`redis:5.0`) or the destination (`library/5.0`); write the one you mean
      line 2: `5.0`: could be the tag (`redis:5.0`) or the destination (`library/5.0`); write the one you mean
      line 3: `arm64`: could be the platform (`platform=linux/arm64`) or the destination (`library/arm64`); write the one you mean
      line 4: `harbor.corp`: could be a registry or the destination (`library/harbor.corp`); write the one you mean
      line 5: `linux/arm64`: is a platform; a line starts with the image

    hint: Did you mean `redis:5.0` (line 1), `redis platform=linux/arm64` (line 3) and
          `redis platform=linux/arm64` (line 5)?
    "
    );
}

#[test]
fn a_password_in_a_list_is_not_shown() {
    let said = refused(b"admin:s3cret@harbor.corp/app:1\n");
    assert!(said.contains("`***@harbor.corp/app:1`"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn a_file_of_another_tool_is_named_in_one_error() {
    let compose = b"services:\n  web:\n    image: nginx:1.27\n";
    insta::assert_snapshot!(refused(compose), @"
    error: `list.txt` is a Compose file, which cannot be read as a list yet

    hint: Give a list with one image per line. `docker compose -f FILE config --images` prints one.
    ");
    let said = refused(b"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: nginx\n");
    assert!(
        said.starts_with("error: `list.txt` is a Kubernetes manifest,"),
        "{said}"
    );
}

#[test]
fn an_image_where_a_list_is_expected_is_told_from_a_file() {
    let env = TestEnv::in_memory();
    let _ = env.store("store");
    let said = env
        .run_line("select nginx:1.27 --store store --output out")
        .exits(2)
        .stderr;
    assert!(
        said.contains("put `echo 'nginx:1.27' |` in front of"),
        "{said}"
    );
    let said = env.run_line("pull list.txt --store store").exits(2).stderr;
    assert!(!said.contains("echo"), "{said}");
}
