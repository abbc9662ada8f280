//! Results that machines read: `--report`, `--retry-list`, `--digest-file`.

mod junit;

use serde_json::Value;

use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, blob_path, manifest_path, path_contains};
use hod_testkit::images::{Format, ImageBuilder, image, index};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::exists;
use junit::Suite;

/// All three files.
const FILES: &str = "--report r.json --retry-list retry.txt --digest-file digests.txt";

/// A registry with `app/a:1`, `app/b:1` and `app/c:1`, and a list of them.
fn three() -> (TestEnv, TestRegistry) {
    let (env, source) = (TestEnv::in_memory(), TestRegistry::start());
    for (n, name) in (0..).zip(["a", "b", "c"]) {
        source.add(&format!("app/{name}:1"), &image(100 + 10 * n));
    }
    env.write("list.txt", "app/a:1\napp/b:1\napp/c:1\n");
    (env, source)
}

fn pull_line(source: &TestRegistry, list: &str) -> String {
    let host = source.host();
    format!("pull {list} --store store --source {host} --retries 0")
}

fn json(env: &TestEnv, path: &str) -> Value {
    serde_json::from_str(&env.read(path)).unwrap()
}

/// Status and class of each image of a report.
fn outcomes(report: &Value) -> Vec<(String, String)> {
    let images = report["images"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    images
        .map(|image| (text(&image["status"]), text(&image["error"]["class"])))
        .collect()
}

#[test]
fn some_fail_and_the_rest_is_done_later() {
    let (env, source) = (TestEnv::in_memory(), TestRegistry::start());
    let amd = image(100);
    let arm = ImageBuilder::oci(110).platform("linux", "arm64").build();
    let both = index(Format::Oci, &[amd.clone(), arm]);
    source.add("app/a:1", &amd);
    source.add("app/b:1", &both);
    source.add("app/c:1", &amd);
    let pin = both.digest();
    env.write(
        "list.txt",
        format!(
            "app/a:1\n##site\napp/b:1@{pin}  moved/b:2  platform=linux/amd64,linux/arm64\n\
             ##more\napp/c\n"
        ),
    );
    source.fail(Fault::on("GET", path_contains("/app/b/manifests")).does(Effect::Status(403)));
    let line = pull_line(&source, "list.txt");
    let output = env
        .run_line(&format!("{line} {FILES} --index keep"))
        .exits(3);
    assert!(output.stderr.contains("2 failed"), "{}", output.stderr);
    let report = json(&env, "r.json");
    let expect = [("done", ""), ("failed", "auth"), ("failed", "not-found")];
    let expect = expect.map(|(status, class)| (status.to_owned(), class.to_owned()));
    assert_eq!(outcomes(&report), expect);
    assert_eq!(
        (&report["verb"], &report["exit"]),
        (&"pull".into(), &3.into())
    );
    assert_eq!(report["images"][0]["digest"], amd.digest().as_str());
    assert_eq!(report["images"][0]["bytes"], amd.blobs_len());
    assert!(report["images"][0]["seconds"].as_f64().unwrap() > 0.0);
    assert!(
        report["images"][1]["seconds"].is_null(),
        "it was never begun"
    );
    let error = &report["images"][1]["error"];
    let (message, hint) = (error["message"].as_str().unwrap(), error["hint"].as_str());
    assert!(message.contains("403 DENIED") && hint.is_some(), "{error}");
    assert_eq!(
        env.read("retry.txt"),
        format!(
            "# hod pull: 2 of 3 images are not done\n\
             ##site\napp/b:1@{pin} moved/b:2 platform=linux/amd64,linux/arm64\n\
             ##more\napp/c:latest\n"
        )
    );
    assert_eq!(
        env.read("digests.txt"),
        format!("app/a:1 {}\n", amd.digest())
    );

    source.heal();
    source.add("app/c:latest", &amd);
    let _ = source.take_seen();
    let line = pull_line(&source, "@retry.txt");
    let output = env
        .run_line(&format!("{line} {FILES} --index keep"))
        .success();
    assert!(output.stdout.starts_with("moved/b:2 "), "{}", output.stdout);
    assert_eq!(source.count("GET", path_contains("/app/a/")), 0);
    assert_eq!(
        env.read("retry.txt"),
        "# hod pull: 0 of 2 images are not done\n"
    );
    let expect = format!("moved/b:2 {pin}\napp/c:latest {}\n", amd.digest());
    assert_eq!(env.read("digests.txt"), expect);
}

#[test]
fn a_push_goes_on_with_its_retry_list() {
    let (env, source) = three();
    let _ = env.run_line(&pull_line(&source, "list.txt")).success();
    let target = TestRegistry::start();
    let host = target.host();
    target.fail(Fault::on("PUT", path_contains("/x/app/b/manifests")).does(Effect::Status(413)));
    let line = format!("push store {host}/x --retries 0 {FILES}");
    let _ = env.run_line(&line).exits(3);
    let report = json(&env, "r.json");
    let classes: Vec<String> = outcomes(&report)
        .into_iter()
        .map(|(_, class)| class)
        .collect();
    assert_eq!(classes, ["", "policy", ""]);
    assert_eq!(report["images"][1]["registry"], host);
    assert_eq!(report["images"][1]["destination"], "x/app/b:1");
    assert_eq!(
        env.read("retry.txt"),
        "# hod push: 1 of 3 images is not done\napp/b:1\n"
    );
    target.heal();
    for only in ["@retry.txt", "retry.txt"] {
        let line = format!("push store {host}/x --only {only} --report r.xml");
        let output = env.run_line(&line).success();
        assert_eq!(output.stdout.lines().count(), 1, "{}", output.stdout);
        let suite = Suite::parse(&env.read("r.xml"));
        let case = &suite.cases[0];
        assert_eq!(suite.cases.len(), 1);
        assert_eq!(case.class_name, format!("{host}/x/app/b"));
        assert_eq!(case.name, "app/b:1");
        let expect = if only.starts_with('@') {
            "done"
        } else {
            "unchanged"
        };
        assert_eq!(case.property("status"), expect);
        assert_eq!(case.property("digest"), image(110).digest().as_str());
    }
}

#[test]
fn a_run_that_is_refused_reports_it() {
    let (env, source) = three();
    let _ = env.run_line(&pull_line(&source, "list.txt")).success();
    env.write("more.txt", "app/a:1\napp/missing:1\n");
    env.write("digests.txt", "sha256:1");
    let host = source.host();
    for report in ["r.json", "r.xml"] {
        let line = format!(
            "push store {host}/x --only more.txt --report {report} --retry-list retry.txt \
             --digest-file digests.txt"
        );
        let output = env.run_line(&line).exits(5);
        assert!(
            output.stderr.contains("nothing was done"),
            "{}",
            output.stderr
        );
    }
    let report = json(&env, "r.json");
    assert_eq!(report["exit"], 5);
    assert_eq!(report["error"]["class"], "not-found");
    assert!(report["error"]["hint"].is_string());
    let not_done = ("not-done".to_owned(), String::new());
    assert_eq!(outcomes(&report), [not_done.clone(), not_done]);
    let suite = Suite::parse(&env.read("r.xml"));
    assert_eq!((suite.errors, suite.failures, suite.skipped), (1, 0, 2));
    assert_eq!(suite.cases[0].outcome, "error");
    assert_eq!(suite.cases[0].kind, "not-found");
    assert_eq!(
        env.read("retry.txt"),
        "# hod push: 2 of 2 images are not done\napp/a:1\napp/missing:1\n"
    );
    assert_eq!(env.read("digests.txt"), "");
    // Without a list, all of the source is still to be done.
    let line = "export store --output list.txt/x --retry-list retry.txt";
    let _ = env.run_line(line).exits(5);
    assert_eq!(
        env.read("retry.txt"),
        "# hod export: 3 of 3 images are not done\napp/a:1\napp/b:1\napp/c:1\n"
    );
    // And a list that cannot be read names nothing.
    env.write("bad.txt", "A/B:1\n");
    let line = format!("{} --report r.json", pull_line(&source, "bad.txt"));
    let _ = env.run_line(&line).exits(2);
    let report = json(&env, "r.json");
    assert_eq!(
        (&report["exit"], &report["error"]["class"]),
        (&2.into(), &"usage".into())
    );
}

#[test]
fn what_cannot_be_written_is_known_before_anything_is_done() {
    let (env, source) = three();
    for name in ["report.txt", "report", "report.JSON", "dir.xml/", "."] {
        let line = format!("{} --report {name}", pull_line(&source, "list.txt"));
        let output = env.run_line(&line);
        assert!(matches!(output.code, Some(1 | 2)), "{name}: {output:?}");
    }
    let line = format!("{} --report report.txt", pull_line(&source, "list.txt"));
    let output = env.run_line(&line).exits(2);
    assert_eq!(
        output.stderr,
        "error: the name of report `report.txt` must end in `.json` or `.xml`\n\n\
         hint: The name says what to write: JSON, or JUnit XML, which CI systems show.\n"
    );
    for flag in ["--report", "--retry-list", "--digest-file"] {
        let line = format!("{} {flag} list.txt/r.json", pull_line(&source, "list.txt"));
        let output = env.run_line(&line).exits(2);
        let said = "error: output `list.txt/r.json` cannot be written";
        assert!(output.stderr.starts_with(said), "{}", output.stderr);
    }
    assert!(source.seen().is_empty() && !exists(&env.path("store")));
    for line in [
        "select list.txt --store s --output o",
        "pack --force s --output b.tar",
    ] {
        let _ = env.run_line(&format!("{line} --report x.txt")).exits(2);
    }
}

#[test]
fn every_verb_that_carries_reports() {
    let (env, source) = three();
    let target = TestRegistry::start();
    let pull = pull_line(&source, "list.txt");
    let lines = [
        pull.clone(),
        "select list.txt --store store --output tree".to_owned(),
        "pack --force tree --output b.tar".to_owned(),
        "unpack b.tar --output unpacked".to_owned(),
        "export b.tar --output layouts".to_owned(),
        format!("push layouts {}", target.host()),
    ];
    for line in lines {
        let _ = env.run_line(&format!("{line} {FILES}")).success();
        let report = json(&env, "r.json");
        let verb = line.split(' ').next().unwrap();
        assert_eq!(report["verb"], verb);
        let done = ("done".to_owned(), String::new());
        assert_eq!(outcomes(&report), vec![done; 3], "{verb}");
        assert_eq!(env.read("digests.txt").lines().count(), 3, "{verb}");
        assert_eq!(env.read("retry.txt").lines().count(), 1, "{verb}");
        let _ = env.run_line(&format!("{line} --report r.xml")).success();
        let suite = Suite::parse(&env.read("r.xml"));
        assert_eq!((suite.name.as_str(), suite.cases.len()), (verb, 3));
        assert!(
            suite.cases.iter().all(|case| case.outcome.is_empty()),
            "{verb}"
        );
    }
    let other = TestRegistry::start();
    let line = format!("push b.tar {} --dry-run {FILES}", other.host());
    let _ = env.run_line(&line).success();
    let planned = ("planned".to_owned(), String::new());
    assert_eq!(outcomes(&json(&env, "r.json")), vec![planned; 3]);
    assert_eq!(env.read("digests.txt"), "", "nothing was carried");
    let _ = env.run_line(&line.replace("r.json", "r.xml")).success();
    assert_eq!(Suite::parse(&env.read("r.xml")).skipped, 3);
}

#[test]
fn the_digest_of_one_image_stands_alone() {
    let (env, source) = three();
    env.write("one.txt", "app/a:1\n");
    let line = format!("{} --digest-file d.txt", pull_line(&source, "one.txt"));
    let _ = env.run_line(&line).success();
    assert_eq!(env.read("d.txt"), image(100).digest().as_str());
    source.fail(Fault::on("*", manifest_path).does(Effect::Status(404)));
    let _ = env.run_line(&line).exits(5);
    assert_eq!(env.read("d.txt"), "", "no digest of an earlier run");
}

#[test]
fn what_was_not_tried_any_more_is_still_to_be_done() {
    let (env, source) = three();
    env.write("list.txt", "app/a:1\napp/missing:1\napp/c:1\n");
    let line = format!("{} --fail-fast {FILES}", pull_line(&source, "list.txt"));
    let _ = env.run_line(&line).exits(5);
    let statuses: Vec<String> = outcomes(&json(&env, "r.json"))
        .into_iter()
        .map(|(status, _)| status)
        .collect();
    assert_eq!(statuses, ["not-tried", "failed", "not-tried"]);
    assert_eq!(env.read("retry.txt").lines().count(), 4);
}

#[test]
fn failures_have_classes() {
    #[track_caller]
    fn check(fault: Fault, expect: &str) {
        let (env, source) = three();
        env.write("one.txt", "app/a:1\n");
        source.fail(fault);
        let line = format!(
            "{} --no-preflight --report r.json",
            pull_line(&source, "one.txt")
        );
        let code = match expect {
            "not-found" => 5,
            "verify" => 4,
            _ => 1,
        };
        let _ = env.run_line(&line).exits(code);
        let expect = ("failed".to_owned(), expect.to_owned());
        assert_eq!(outcomes(&json(&env, "r.json")), [expect]);
    }
    let manifests = || Fault::on("GET", manifest_path);
    check(manifests().does(Effect::Status(401)), "auth");
    check(manifests().does(Effect::Status(404)), "not-found");
    check(manifests().does(Effect::Status(429)), "rate-limit");
    check(manifests().does(Effect::Status(500)), "server");
    check(manifests().does(Effect::HangUp), "network");
    check(manifests().does(Effect::FlipByte), "verify");
    let blobs = || Fault::on("GET", blob_path);
    check(blobs().does(Effect::FlipByte), "verify");
    check(blobs().does(Effect::CutBody(10)), "network");
    let lookups = Fault::on("GET", path_contains("/referrers/"));
    check(lookups.does(Effect::Status(403)), "auth");
}

#[test]
fn a_report_appears_whole_and_leaves_nothing_behind() {
    let (env, source) = three();
    let line = format!("{} {FILES}", pull_line(&source, "list.txt"));
    let _ = env.run_line(&line).success();
    let mut names: Vec<String> = hod_fsx::read_dir_names(&env.work())
        .unwrap()
        .into_iter()
        .map(|name| name.into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["digests.txt", "list.txt", "r.json", "retry.txt", "store"]
    );
}

/// A killed run leaves the files that it began; the next one with the same outputs removes them, and
/// nothing that hod did not name.
#[test]
fn what_a_killed_run_left_of_its_results_is_removed() {
    let (env, source) = three();
    let outputs = ["r.json", "retry.txt", "digests.txt", "list.lock"];
    let strangers = [
        ".r.json.partial-notes",
        ".other.json.partial-abcdef",
        "r.json.partial",
    ];
    for name in outputs {
        env.write(format!(".{name}.partial-aB3dE6"), "{");
    }
    for name in strangers {
        env.write(name, "precious");
    }
    hod_fsx::create_dir_all(&env.path(".r.json.partial-direct")).unwrap();
    std::os::unix::fs::symlink("list.txt", env.path(".r.json.partial-linked")).unwrap();
    let line = pull_line(&source, "list.txt");
    env.run_line(&format!("{line} {FILES} --lock list.lock"))
        .success();
    for name in outputs {
        assert!(exists(&env.path(name)), "{name}");
        assert!(
            !exists(&env.path(format!(".{name}.partial-aB3dE6"))),
            "{name}"
        );
    }
    for name in strangers {
        assert_eq!(env.read(name), "precious");
    }
    assert!(exists(&env.path(".r.json.partial-direct")));
    assert!(exists(&env.path(".r.json.partial-linked")));
}

#[test]
fn a_list_that_a_person_wrote_is_not_replaced_by_what_is_left_of_it() {
    let env = TestEnv::in_memory();
    let from = TestRegistry::start();
    from.add("app/a:1", &image(1));
    let list = "# ours\napp/a:1\napp/missing:1\n";
    env.write("list.txt", list);
    let pull = format!("pull list.txt --store store --source {}", from.host());
    for flags in ["", "--dry-run"] {
        let line = format!("{pull} {flags} --retry-list list.txt");
        env.run_line(&line).exits(2);
        assert_eq!(env.read("list.txt"), list);
    }
    // What is left of a run is, and so it is where the user says that it is such a list.
    let _ = env
        .run_line(&format!("{pull} --retry-list retry.txt"))
        .exits(3);
    let left = env.read("retry.txt");
    let again = pull.replace("list.txt", "retry.txt");
    let _ = env
        .run_line(&format!("{again} --retry-list retry.txt"))
        .exits(5);
    assert_eq!(
        env.read("retry.txt")
            .replace("1 of 1 image", "1 of 2 images"),
        left
    );
    // A run that ends before its images are known says nothing of them.
    for line in [
        format!("copy @retry.txt {}/BAD --retry-list retry.txt", from.host()),
        format!("copy @none.txt {} --retry-list retry.txt", from.host()),
        format!("push none.tar {} --retry-list retry.txt", from.host()),
    ] {
        let before = env.read("retry.txt");
        env.run_line(&line).exits(2);
        assert_eq!(env.read("retry.txt"), before, "{line}");
    }
}

/// The document of a run says how it ended, whatever else it says.
#[test]
fn the_document_agrees_with_the_exit_code() {
    let (env, source) = three();
    let line = pull_line(&source, "list.txt");
    // The images are done, and a file that was asked for is not written.
    let output = env.run_line(&format!("--json {line} --digest-file /dev/full"));
    let found: Value = serde_json::from_str(&output.exits(1).stdout).unwrap();
    assert_eq!(found["exit"], 1, "{found}");
    assert_eq!(found["error"]["class"], "space", "{found}");
    assert_eq!(found["images"].as_array().unwrap().len(), 3);

    // A bundle of those that can be read.
    let current =
        env.path("store/docker/registry/v2/repositories/app/b/_manifests/tags/1/current/link");
    hod_fsx::write_file(&current, b"garbage").unwrap();
    let output = env.run_line("--json pack store --output b.tar --no-tool");
    let found: Value = serde_json::from_str(&output.exits(4).stdout).unwrap();
    assert_eq!(found["exit"], 4, "{found}");
    let images = found["images"].as_array().unwrap();
    assert_eq!(images.len(), 1, "{found}");
    assert_eq!(images[0]["status"], "failed");
}
