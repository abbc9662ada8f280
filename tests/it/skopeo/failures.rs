//! The usual failures: the exit code is skopeo's, and stderr has the text that scripts look for.
//!
//! With `HOD_TEST_SKOPEO=PROGRAM` the table itself is checked, on that skopeo.

use std::fmt::Write as _;
use std::path::PathBuf;

use hod_testkit::disk::SmallDisk;
use hod_testkit::docker_registry::{DockerRegistry, Door, PASSWORD, Tls, USER};
use hod_testkit::pki::Authority;
use hod_testkit::programs::other_skopeo;
use hod_testkit::puppet::{Puppet, Reply};

use super::lab::{Lab, Player};

const NO_TLS: &str = "--src-tls-verify=false --dest-tls-verify=false";

/// The exit code, what stderr contains, and the line of shell.
///
/// `$L` wants a login, `$T` has a certificate of an unknown authority, `$D` denies, `$S` has given a
/// token that opens nothing, `$N` finds nothing;
/// `$NO_TLS` are the flags for both sides.
const REGISTRIES: &str = r"
# What is not there.
2 | manifest unknown | skopeo inspect --tls-verify=false docker://$R/lab/s2:nope
2 | manifest unknown | skopeo inspect --tls-verify=false docker://$R/no/such:1
2 | manifest unknown | skopeo inspect --raw --tls-verify=false docker://$R/lab/s2:nope
2 | manifest unknown | skopeo copy $NO_TLS docker://$R/lab/s2:nope dir:d
2 | manifest unknown | skopeo copy $NO_TLS docker://$R/no/such:1 docker://$R/$P/x:1
2 | manifest unknown | skopeo copy $NO_TLS docker://$R/lab/s2@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 dir:d
1 | repository name not known to registry | skopeo list-tags --tls-verify=false docker://$R/no/such
2 | manifest unknown | skopeo sync --src-tls-verify=false --src docker --dest dir $R/lab/s2:nope d
1 | Image may not exist | skopeo delete --tls-verify=false docker://$R/lab/s2:nope
# Logins.
1 | authentication required | skopeo inspect --tls-verify=false docker://$L/lab/s2:v1
1 | authentication required | skopeo inspect --tls-verify=false --creds $USER:wrong docker://$L/lab/s2:v1
0 |  | skopeo inspect --tls-verify=false --creds $USER:$PASSWORD docker://$L/lab/s2:v1
1 | authentication required | skopeo inspect --tls-verify=false --no-creds docker://$L/lab/s2:v1
1 | authentication required | skopeo list-tags --tls-verify=false docker://$L/lab/s2
1 | authentication required | skopeo copy $NO_TLS docker://$L/lab/s2:v1 dir:d
1 | authentication required | skopeo copy $NO_TLS docker://$R/lab/s2:v1 docker://$L/$P/x:1
1 | authentication required | skopeo copy $NO_TLS --dest-creds $USER:wrong docker://$R/lab/s2:v1 docker://$L/$P/x:1
1 | authentication required | skopeo sync $NO_TLS --src docker --dest docker $R/lab/s2:v1 $L/$P
1 | authentication required | skopeo delete --tls-verify=false docker://$L/lab/s2:v1
1 | unauthorized | skopeo list-tags --tls-verify=false --creds $USER:wrong docker://$L/lab/s2
1 | invalid username/password | skopeo login --tls-verify=false -u $USER -p wrong --authfile f $L
1 | not logged into | skopeo login --get-login --authfile f $L
1 | credential file is not accessible | skopeo logout --authfile f $L
# Refusals.
1 | denied | skopeo inspect --tls-verify=false docker://$D/lab/s2:v1
1 | denied | skopeo copy $NO_TLS docker://$D/lab/s2:v1 dir:d
1 | StatusCode: 403 | skopeo copy $NO_TLS docker://$R/lab/s2:v1 docker://$D/nope/x:1
1 | requested access to the resource is denied | skopeo inspect --tls-verify=false docker://$S/lab/s2:v1
1 | requested access to the resource is denied | skopeo list-tags --tls-verify=false docker://$S/lab/s2
1 | requested access to the resource is denied | skopeo sync --src-tls-verify=false --src docker --dest dir $S/lab/s2:v1 d
1 | StatusCode: 404 | skopeo inspect --tls-verify=false docker://$N/lab/s2:v1
1 | StatusCode: 404 | skopeo copy $NO_TLS docker://$N/lab/s2:v1 dir:d
1 | name unknown | skopeo inspect --tls-verify=false docker://$N/unknown/s2:v1
# Connections.
1 | connection refused | skopeo inspect --tls-verify=false docker://127.0.0.1:1/lab/s2:v1
1 | connection refused | skopeo inspect docker://127.0.0.1:1/lab/s2:v1
1 | connection refused | skopeo copy $NO_TLS docker://$R/lab/s2:v1 docker://127.0.0.1:1/x:1
1 | connection refused | skopeo list-tags --tls-verify=false docker://127.0.0.1:1/x
1 | connection refused | skopeo sync --src-tls-verify=false --src docker --dest dir 127.0.0.1:1/x:1 d
1 | connection refused | skopeo login --tls-verify=false -u a -p b --authfile f 127.0.0.1:1
1 | no such host | skopeo inspect docker://nohost.invalid/lab/s2:v1
1 | no such host | skopeo copy $NO_TLS docker://$R/lab/s2:v1 docker://nohost.invalid/x:1
1 | x509:  | skopeo inspect docker://$T/lab/s2:v1
1 | certificate signed by unknown authority | skopeo copy --dest-tls-verify=true docker://$T/lab/s2:v1 dir:d
0 |  | skopeo inspect --tls-verify=false docker://$T/lab/s2:v1
0 |  | mkdir certs; cp $CA certs/ca.crt; skopeo inspect --cert-dir certs docker://$T/lab/s2:v1
1 | http: server gave HTTP response to HTTPS client | skopeo inspect docker://$R/lab/s2:v1
1 | http: server gave HTTP response to HTTPS client | skopeo copy docker://$R/lab/s2:v1 dir:d
# Platforms and references.
1 | no image found in image index for architecture | skopeo copy $NO_TLS --override-arch s390x docker://$R/lab/idxoci:v1 dir:d
1 | no image found in manifest list for architecture | skopeo inspect --tls-verify=false --override-os plan9 docker://$R/lab/idxs2:v1
1 | repository name must be lowercase | skopeo copy $NO_TLS docker://$R/Lab/s2:v1 dir:d
1 | invalid reference format | skopeo copy $NO_TLS docker://$R/lab/s2: dir:d
1 | does not start with // | skopeo copy $NO_TLS docker:/$R/lab/s2 dir:d
1 | Invalid source name | skopeo copy $NO_TLS $R/lab/s2:v1 dir:d
1 | unsupported image-specific operation on artifact | skopeo inspect --tls-verify=false docker://$R/lab/art:v1
";

/// `$IMAGE` is a `dir:` layout, `$LAYOUT` and `$ARCHIVE` the same as OCI, `$SAVED` as `docker save`
/// has it.
const FILES: &str = r"
1 | no such file or directory | skopeo copy dir:nope dir:d
1 | no such file or directory | skopeo copy oci:nope:x dir:d
1 | archive file not found | skopeo copy oci-archive:nope dir:d
1 | no such file or directory | skopeo copy docker-archive:nope dir:d
1 | no such file or directory | skopeo copy dir:$IMAGE dir:no/such
1 | no such file or directory | skopeo copy dir:$IMAGE docker-archive:no/such.tar
2 | no descriptor found for reference | skopeo copy oci:$LAYOUT:nope dir:d
2 | no descriptor found for reference | skopeo copy oci-archive:$ARCHIVE:nope dir:d
1 | not found | skopeo copy docker-archive:$SAVED:nope:1 dir:d
1 | no such file or directory | skopeo manifest-digest nope
0 |  | skopeo copy --authfile nope dir:$IMAGE dir:d
0 |  | skopeo inspect --authfile nope --tls-verify=false docker://$R/lab/s2:v1
1 | f | echo '{' > f; skopeo inspect --authfile f --tls-verify=false docker://$R/lab/s2:v1
1 | no such file or directory | skopeo --policy nope copy dir:$IMAGE dir:d
# Damage.
1 |  | cp -r $IMAGE i; f=$(ls -S i | head -1); printf X | dd of=i/$f conv=notrunc bs=1 seek=700 2>/dev/null; skopeo copy dir:i dir:d
1 | no such file or directory | cp -r $IMAGE i; rm i/$(ls -S i | head -1); skopeo copy dir:i dir:d
1 |  | cp -r $IMAGE i; echo '{' > i/manifest.json; skopeo copy dir:i dir:d
1 |  | cp -r $LAYOUT i; cd i; f=$(ls -S blobs/sha256/* | head -1); printf X | dd of=$f conv=notrunc bs=1 seek=700 2>/dev/null; skopeo copy oci:.:x dir:../d
1 |  | cp -r $LAYOUT i; echo '{' > i/index.json; skopeo copy oci:i:x dir:d
1 |  | head -c 4000 $ARCHIVE > a; skopeo copy oci-archive:a:x dir:d
1 |  | head -c 4000 $SAVED > a; skopeo copy docker-archive:a dir:d
1 | unexpected EOF | gzip < $SAVED | head -c 4000 > a; skopeo copy docker-archive:a dir:d
1 |  | echo text > a; skopeo copy docker-archive:a dir:d
1 |  | skopeo copy docker-archive:/dev/null dir:d
# What is in the way.
1 | not a containers image directory, don't want to overwrite important data | mkdir d; echo x > d/y; skopeo copy dir:$IMAGE dir:d
1 | not a directory | echo x > d; skopeo copy dir:$IMAGE dir:d
1 | docker-archive doesn't support modifying existing images | echo x > a; skopeo copy dir:$IMAGE docker-archive:a
1 | Refusing to overwrite destination directory | mkdir -p d/s2:v1; skopeo sync --src-tls-verify=false --src docker --dest dir $R/lab/s2:v1 d
1 | no such file or directory | skopeo copy --digestfile no/such dir:$IMAGE dir:d
";

/// `$FULL` has almost no room, `$READONLY` cannot be written to.
const DISKS: &str = r"
1 | no space left on device | skopeo copy dir:$IMAGE dir:$FULL/d
1 | no space left on device | skopeo copy dir:$IMAGE oci:$FULL/o:x
1 | no space left on device | skopeo copy dir:$IMAGE docker-archive:$FULL/a.tar
1 | read-only file system | skopeo copy dir:$IMAGE dir:$READONLY/d
1 | read-only file system | skopeo copy dir:$IMAGE docker-archive:$READONLY/a.tar
";

#[track_caller]
fn check(lab: &Lab, rows: &str) {
    let player = match other_skopeo() {
        Some(path) => Player::At(PathBuf::from(path)),
        None => Player::Hod,
    };
    lab.set("NO_TLS", NO_TLS);
    let mut problems = String::new();
    for row in rows_of(rows) {
        let mut fields = row.splitn(3, " | ");
        let [code, text, line] = std::array::from_fn(|_| fields.next().unwrap());
        let ran = lab.run(&player, line);
        if ran.code.to_string() != code || !ran.stderr.contains(text) {
            writeln!(
                problems,
                "{line}\n  exits with {code} and says {text:?}; it exits with {} and says\n  {}",
                ran.code,
                ran.stderr.trim_end()
            )
            .unwrap();
        }
    }
    assert!(problems.is_empty(), "\n{problems}");
}

fn rows_of(rows: &str) -> impl Iterator<Item = &str> {
    let rows = rows.lines();
    rows.filter(|row| !row.is_empty() && !row.starts_with('#'))
}

#[test]
fn the_tables_have_the_usual_failures_and_the_texts_that_scripts_look_for() {
    let all = [REGISTRIES, FILES, DISKS];
    let failures = || {
        all.into_iter()
            .flat_map(rows_of)
            .filter(|row| !row.starts_with('0'))
    };
    assert!(failures().count() >= 40, "{}", failures().count());
    for (text, n_min) in [
        ("manifest unknown", 5),
        ("authentication required", 5),
        ("denied", 5),
        ("unauthorized", 1),
        ("connection refused", 3),
        ("no such file or directory", 5),
    ] {
        let with_text = failures().filter(|row| row.split(" | ").nth(1).unwrap().contains(text));
        assert!(with_text.count() >= n_min, "{text}");
    }
}

/// One image in four forms.
fn set_images(lab: &Lab) {
    let copy = "skopeo copy -q --src-tls-verify=false docker://$R/lab/s2:v1";
    let line = format!(
        "{copy} dir:i && {copy} oci:o:x && {copy} oci-archive:oci.tar:x && \
         {copy} docker-archive:saved.tar:foo/bar:1"
    );
    let ran = lab.run(&Player::Installed, &line);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let dir = lab.last_dir();
    for (name, file) in [
        ("IMAGE", "i"),
        ("LAYOUT", "o"),
        ("ARCHIVE", "oci.tar"),
        ("SAVED", "saved.tar"),
    ] {
        lab.set(name, dir.join(file).display().to_string());
    }
}

#[test]
fn registries_that_refuse_or_are_not_there() {
    let Some(lab) = Lab::new() else { return };
    let storage = lab.store();
    let login = DockerRegistry::serve_behind(Door::Login, &lab.env, &storage);
    let authority = Authority::new("Corp CA");
    let tls = Tls {
        server: authority.server(&["127.0.0.1"]),
        client_authority: None,
    };
    let untrusted = DockerRegistry::serve_tls(&lab.env, &storage, &tls);
    let denying = Puppet::start(|_, target| {
        match target {
        "/v2/" => Some(Reply::ok("{}")),
        _ => Some(
            Reply::status(
                403,
                r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
            )
            .header("Content-Type", "application/json"),
        ),
    }
    });
    let tokens = Puppet::start(|_, _| Some(Reply::ok(r#"{"token":"nothing"}"#)));
    let realm = format!("http://{}/token", tokens.host());
    let scope = Puppet::start(move |_, _| {
        let reply = Reply::status(
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
        );
        let challenge = format!(r#"Bearer realm="{realm}",service="x",error="insufficient_scope""#);
        Some(reply.header("WWW-Authenticate", &challenge))
    });
    let absent = Puppet::start(|_, target| {
        Some(match target {
            "/v2/" => Reply::ok("{}"),
            _ if target.contains("unknown") => Reply::status(
                404,
                r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}"#,
            ),
            _ => Reply::status(404, "<html>not here</html>"),
        })
    });
    lab.set("S", scope.host());
    lab.set("N", absent.host());
    lab.env.write("ca.crt", &authority.certificate);
    lab.set("L", login.host());
    lab.set("T", untrusted.host());
    lab.set("D", denying.host());
    lab.set("CA", lab.env.path("ca.crt").display().to_string());
    lab.set("USER", USER);
    lab.set("PASSWORD", PASSWORD);
    check(&lab, REGISTRIES);
}

#[test]
fn files_that_are_missing_damaged_or_in_the_way() {
    let Some(lab) = Lab::new() else { return };
    set_images(&lab);
    check(&lab, FILES);
}

#[test]
fn disks_that_are_full_or_read_only() {
    let Some(lab) = Lab::new() else { return };
    let Some(full) = SmallDisk::mount(&lab.env, "full", "size=8k") else {
        return;
    };
    let Some(read_only) = SmallDisk::mount(&lab.env, "read-only", "ro,size=8k") else {
        return;
    };
    lab.set("FULL", full.path().display().to_string());
    lab.set("READONLY", read_only.path().display().to_string());
    set_images(&lab);
    check(&lab, DISKS);
}
