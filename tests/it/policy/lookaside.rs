//! Lookaside storage on a web server, honest or not.

use super::Signed;
use hod_testkit::env::Output;
use hod_testkit::images::image;
use hod_testkit::puppet::{Puppet, Reply};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{exists, read};

/// A registry with one image, and its only signature, which is nowhere yet.
fn signed() -> (Signed, Vec<u8>) {
    let signed = Signed::new();
    signed.add("team/app:1", &image(1), "");
    let copy = format!(
        "copy --src-tls-verify=false {} ours.private --sign-identity {host}/team/app:1 \
         docker://{host}/team/app:1 dir:signed",
        super::SIGN,
        host = signed.host()
    );
    signed.skopeo(&copy).success();
    let signature = read(&signed.env.path("signed/signature-1"));
    signed.policy(&["docker"]);
    (signed, signature)
}

/// Pulls the image with signatures from `url`.
fn pull(signed: &Signed, url: &str, store: &str) -> Output {
    let yaml = format!("default-docker: {{lookaside: '{url}'}}");
    signed.env.write("rd/all.yaml", yaml);
    let host = signed.host();
    signed.run(&format!(
        "pull {host}/team/app:1 --store {store} --platform all --retries 0 --stall-timeout 2"
    ))
}

fn path(number: usize) -> String {
    let hex = image(1).digest().hex().to_owned();
    format!("/sigs/team/app@sha256={hex}/signature-{number}")
}

#[test]
fn signatures_are_fetched_one_after_the_other() {
    let (signed, signature) = signed();
    let junk = [b"\0simple-signing\n".as_slice(), b"x"].concat();
    let server = Puppet::start(move |_, target| match target {
        target if target == path(1) => Some(Reply::ok(junk.clone())),
        target if target == path(2) => Some(Reply::ok(signature.clone())),
        _ => None,
    });
    let url = format!("http://user:secret@{}/sigs", server.host());
    let output = pull(&signed, &url, "store").success();
    assert!(!output.stderr.contains("secret"), "{}", output.stderr);
    let expect: Vec<String> = (1..=3)
        .map(|number| format!("GET {}", path(number)))
        .collect();
    assert_eq!(server.seen(), expect);
    // The same of files.
    let files = signed.env.path("files");
    let hex = image(1).digest().hex().to_owned();
    let file = files.join(format!("team/app@sha256={hex}/signature-1"));
    hod_fsx::write_file(&file, &read(&signed.env.path("signed/signature-1"))).unwrap();
    pull(&signed, &format!("file://{}", files.display()), "other").success();
}

#[test]
fn a_hostile_server_lets_nothing_through_and_ends() {
    let (signed, signature) = signed();
    let elsewhere = TestRegistry::start();
    let moved = |to: String| Reply::status(302, "").header("Location", &to);
    let other = elsewhere.host().to_owned();
    let server = Puppet::start(move |_, target| {
        let kind = target.split('/').nth(1).unwrap_or_default();
        let is_first = target.ends_with("-1");
        Some(match kind {
            "endless" => Reply::ok(vec![0; 100_000]).endless(),
            "dripping" => Reply::ok("x").dripping(),
            "huge" => Reply::ok(vec![0xa3; 4 * 1024 * 1024 + 1]),
            "page" => Reply::ok("<html>Welcome</html>").header("Content-Type", "text/html"),
            "empty" => Reply::ok(""),
            "cut" => Reply::ok(signature[..signature.len() / 2].to_vec()),
            "many" => Reply::ok(signature.clone()),
            "denied" => Reply::status(403, "no"),
            "login" => Reply::status(401, "").header("WWW-Authenticate", "Basic realm=\"x\""),
            "late" if is_first => Reply::ok(signature.clone()),
            "broken" | "late" => Reply::status(500, "no"),
            "loop" => moved(target.to_owned()),
            "other" => moved(format!("http://{other}/v2/")),
            "inside" => moved("https://169.254.169.254/latest".to_owned()),
            "file" => moved("file:///etc/passwd".to_owned()),
            _ => return None,
        })
    });
    for kind in [
        "endless", "dripping", "huge", "page", "empty", "cut", "many", "denied", "broken", "login",
        "late", "loop", "other", "inside", "file", "absent",
    ] {
        let url = format!("http://{}/{kind}", server.host());
        let output = pull(&signed, &url, kind);
        assert!(!matches!(output.code, Some(0) | None), "{kind}");
        assert!(!exists(&signed.env.path(kind)), "{kind}");
        assert!(!output.stderr.contains('\0'), "{kind}");
    }
    assert!(elsewhere.seen().is_empty());
    assert!(server.n_sent() < 64 * 1024 * 1024);
    assert!(server.seen().len() < 300, "{}", server.seen().len());
}

#[test]
fn skopeo_reads_it_and_writes_no_web_server() {
    let (signed, signature) = signed();
    let server =
        Puppet::start(move |_, target| (target == path(1)).then(|| Reply::ok(signature.clone())));
    let yaml = format!(
        "default-docker: {{lookaside: 'http://{}/sigs'}}",
        server.host()
    );
    signed.env.write("rd/all.yaml", yaml);
    let host = signed.host();
    let skopeo = |line: &str| {
        signed.env.run_line(&format!(
            "skopeo --policy policy.json --registries.d rd {line}"
        ))
    };
    let from = format!("copy --src-tls-verify=false docker://{host}/team/app:1");
    skopeo(&format!("{from} dir:copied")).success();
    assert!(exists(&signed.env.path("copied/signature-1")));
    // The image is deleted first, as by skopeo.
    let delete = format!("delete --tls-verify=false docker://{host}/team/app:1");
    let output = skopeo(&delete).exits(1);
    assert!(
        output.stderr.contains("lookaside-staging"),
        "{}",
        output.stderr
    );
    assert!(server.seen().iter().all(|line| line.starts_with("GET ")));
}

#[test]
fn deleting_an_image_removes_its_signatures() {
    let (signed, signature) = signed();
    let files = signed.env.path("files");
    let hex = image(1).digest().hex().to_owned();
    let dir = files.join(format!("team/app@sha256={hex}"));
    for number in 1..=2 {
        hod_fsx::write_file(&dir.join(format!("signature-{number}")), &signature).unwrap();
    }
    hod_fsx::write_file(&dir.join("signature-4"), &signature).unwrap();
    let yaml = format!(
        "default-docker: {{lookaside: 'file://{}'}}",
        files.display()
    );
    signed.env.write("rd/all.yaml", yaml);
    let host = signed.host();
    let delete = format!("delete --tls-verify=false docker://{host}/team/app:1");
    signed.skopeo(&delete).success();
    let left = [1, 2, 4].map(|number| exists(&dir.join(format!("signature-{number}"))));
    assert_eq!(left, [false, false, true]);
}
