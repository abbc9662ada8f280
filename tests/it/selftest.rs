//! Tests of the tests' own tools: a fault that does not strike proves nothing.

use hod_testkit::env::{TestEnv, finish};
use hod_testkit::faults::{
    Effect, Fault, any_path, blob_path, manifest_path, path_contains, upload_path,
};
use hod_testkit::http;
use hod_testkit::images::{self, Blob, ImageBuilder, menagerie};
use hod_testkit::programs::{Look, look};
use hod_testkit::registry::{Auth, RegistryOptions, TestRegistry};

#[test]
fn the_program_finds_nothing_of_the_users_own() {
    let env = TestEnv::new();
    let mut command = env.command("sh");
    let output = finish(command.args(["-c", "echo $HOME $http_proxy; pwd; echo no >&2; exit 3"]));
    let (home, work) = (env.home(), env.work());
    let names = [
        (home.to_str().unwrap(), "[HOME]"),
        (work.to_str().unwrap(), "[WORK]"),
    ];
    assert_eq!(
        output.exits(3).snapshot(&names),
        "exit code: 3\n--- stdout\n[HOME]\n[WORK]\n--- stderr\nno\n"
    );
}

#[test]
fn the_program_itself_can_be_run() {
    let env = TestEnv::new();
    let output = env.run(["--help"]).success();
    assert_eq!(env.run_line(" --help ").success(), output);
    assert_eq!(finish(env.hod().arg("--help")), output);
    env.write("a/list", "text");
    assert_eq!(env.read("a/list"), "text");
    assert_eq!(hod_fsx::read_dir_names(&env.tmp()).unwrap().len(), 0);
}

#[test]
fn images_are_the_same_each_time_and_no_two_of_them_are() {
    let (first, second) = (menagerie(), menagerie());
    let digests = |zoo: &[(&str, images::Image)]| -> Vec<_> {
        zoo.iter()
            .map(|(_, image)| image.digest().clone())
            .collect()
    };
    assert_eq!(digests(&first), digests(&second));
    let unique: std::collections::BTreeSet<_> = digests(&first).into_iter().collect();
    assert_eq!(unique.len(), first.len());
    let twice = first.iter().find(|(kind, _)| *kind == "twice").unwrap();
    assert_eq!((twice.1.blobs.len(), twice.1.top().blobs().count()), (2, 3));
    let len: usize = twice.1.blobs.iter().map(|blob| blob.bytes.len()).sum();
    assert_eq!(twice.1.blobs_len(), len as u64);
}

#[test]
fn the_tests_own_faults_do_what_they_say() {
    let image = ImageBuilder::oci(1)
        .layer(&images::layer(2, 50_000, images::Compression::Gzip))
        .build();
    let blob = &image.blobs[1];
    let target = format!("/v2/app/blobs/{}", blob.digest);
    let with = |effect: Effect| {
        let faults = vec![Fault::on("GET", blob_path).nth(1).does(effect)];
        let registry = TestRegistry::with(RegistryOptions {
            faults,
            ..RegistryOptions::default()
        });
        registry.add("app:1", &image);
        let spoiled = http::try_send(registry.host(), "GET", &target, (&[], b""));
        assert_eq!(registry.send("GET", &target).body, blob.bytes, "only once");
        assert_eq!(registry.n_blob_gets(), 2);
        spoiled
    };
    assert_eq!(with(Effect::Status(503)).unwrap().status, 503);
    let limited = with(Effect::RetryAfter(429, "7")).unwrap();
    assert_eq!(
        (limited.status, limited.header("retry-after")),
        (429, Some("7"))
    );
    assert_eq!(with(Effect::Page(413, "<html>")).unwrap().text(), "<html>");
    assert!(with(Effect::HangUp).is_none());
    let cut = with(Effect::CutBody(40_000)).unwrap();
    assert!(cut.is_cut && !cut.body.is_empty() && cut.body.len() <= 40_000);
    assert!(blob.bytes.starts_with(&cut.body));
    let short = with(Effect::ShortBody(10)).unwrap();
    assert!(!short.is_cut && short.body == blob.bytes[..10]);
    let flipped = with(Effect::FlipByte).unwrap().body;
    assert!(flipped[0] != blob.bytes[0] && flipped[1..] == blob.bytes[1..]);
    let header = with(Effect::NoHeader("docker-content-digest")).unwrap();
    assert_eq!(header.header("docker-content-digest"), None);
    let header = with(Effect::Header("etag", "x".to_owned())).unwrap();
    assert_eq!(header.header("etag"), Some("x"));
    assert_eq!(with(Effect::Delay(1)).unwrap().status, 200);
    let redirect = with(Effect::Redirect(307, "http://127.0.0.1:1".to_owned())).unwrap();
    assert_eq!(
        redirect.header("location"),
        Some(format!("http://127.0.0.1:1{target}").as_str())
    );
}

#[test]
fn a_fault_counts_what_it_is_about() {
    let registry = TestRegistry::start();
    let fault = Fault::on("HEAD", path_contains("app/manifests/"))
        .nth(2)
        .does(Effect::Status(500));
    registry.fail(fault.clone());
    registry.add("app:1", &images::image(1));
    let statuses = [1, 2, 3].map(|_| registry.send("HEAD", "/v2/app/manifests/1").status);
    assert_eq!(statuses, [200, 500, 200]);
    assert_eq!(registry.send("GET", "/v2/app/manifests/1").status, 200);
    assert_eq!(fault.n_seen(), 3);
    assert_eq!(registry.count("*", manifest_path), 4);
}

#[test]
fn the_tests_own_registry_spoils_uploads_too() {
    let registry = TestRegistry::start();
    registry.add("from:1", &images::image(1));
    let digest = images::image(1).blobs[0].digest.clone();
    registry.fail(
        Fault::on("POST", upload_path)
            .first(1)
            .does(Effect::NoMount),
    );
    registry.fail(
        Fault::on("POST", any_path)
            .after(1)
            .does(Effect::OpaqueLocation),
    );
    let mount = format!("/v2/to/blobs/uploads/?mount={digest}&from=from");
    assert_eq!(registry.send("POST", &mount).status, 202);
    assert_eq!(registry.send("POST", &mount).status, 201);
    let answer = registry.send("POST", "/v2/to/blobs/uploads/");
    let location = answer.header("location").unwrap();
    assert!(location.ends_with("?_state=a%2Bb%3D"), "{location}");
    registry.heal();
    let elsewhere = Effect::AbsoluteLocation("http://elsewhere:1".to_owned());
    registry.fail(Fault::on("GET", upload_path).nth(1).does(elsewhere));
    let status = registry.send("GET", location);
    let absolute = status.header("location").unwrap();
    assert!(
        absolute.starts_with("http://elsewhere:1/v2/to/"),
        "{absolute}"
    );
    registry.fail(
        Fault::on("*", any_path)
            .first(1)
            .does(Effect::DoneButHangUp),
    );
    let blob = Blob::new("done all the same");
    let target = format!("{location}&digest={}", blob.digest);
    let answer = http::try_send(registry.host(), "PUT", &target, (&[], &blob.bytes));
    assert!(answer.is_none());
    assert_eq!(registry.store().blob_len(&blob.digest).unwrap(), Some(17));
    let seen = registry.take_seen();
    assert_eq!(
        seen.last().map(|seen| (seen.method.as_str(), seen.status)),
        Some(("PUT", 0))
    );
    assert!(registry.seen().is_empty());
}

#[test]
fn the_tests_own_registry_asks_for_logins() {
    let open = |auth: Auth| {
        let registry = TestRegistry::with(RegistryOptions {
            auth,
            ..RegistryOptions::default()
        });
        registry.add("app:1", &images::image(1));
        registry
    };
    let target = "/v2/app/manifests/1";
    let registry = open(Auth::Basic {
        user: "u".to_owned(),
        password: "p".to_owned(),
    });
    let refused = registry.send("GET", target);
    assert_eq!(
        (refused.status, refused.header("www-authenticate")),
        (401, Some("Basic realm=\"test\""))
    );
    let login = ("Authorization", "Basic dTpw");
    assert_eq!(
        registry.send_with("GET", target, (&[login], b"")).status,
        200
    );

    let registry = open(Auth::Bearer {
        login: Some(("u".to_owned(), "p".to_owned())),
    });
    let refused = registry.send("GET", target);
    let challenge = refused.header("www-authenticate").unwrap().to_owned();
    assert!(
        challenge.ends_with("service=\"test\",scope=\"repository:app:pull\""),
        "{challenge}"
    );
    let ask = "/token?service=test&scope=repository%3Aapp%3Apull";
    assert_eq!(registry.send("GET", ask).status, 401);
    let token = registry.send_with("GET", ask, (&[login], b"")).json();
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let bearer = [("Authorization", bearer.as_str())];
    let get = |method, target: &str| registry.send_with(method, target, (&bearer, b"")).status;
    assert_eq!(get("GET", target), 200);
    assert_eq!(get("GET", "/v2/other/manifests/1"), 401);
    assert_eq!(get("POST", "/v2/app/blobs/uploads/"), 401);
    registry.expire_tokens();
    assert_eq!(get("GET", target), 401);
}

#[test]
fn a_test_without_its_programs_fails_in_ci_and_says_so_elsewhere() {
    assert_eq!(look(&["sh", "cat"], true), Look::Here);
    let programs = ["sh", "hod-no-such-program", "hod-nor-this"];
    let missing = "no hod-no-such-program and no hod-nor-this here; on Debian or Ubuntu: \
                   `sudo apt-get install hod-no-such-program hod-nor-this`";
    let text = format!("this test cannot be left out here: {missing}");
    assert_eq!(look(&programs, true), Look::Fail(text));
    let text = format!("note: a test was left out: {missing}");
    assert_eq!(look(&programs, false), Look::LeaveOut(text));
}
