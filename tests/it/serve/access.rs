//! What clients of `hod serve` may do: pull, unless the person who starts it allows more.

use hod_testkit::env::TestEnv;
use hod_testkit::http;
use hod_testkit::images;
use hod_testkit::served::Served;
use hod_testkit::tree::exists;

#[test]
fn pushes_and_deletes_are_accepted_only_when_asked_for() {
    let env = TestEnv::in_memory();
    let image = images::image(1);
    image.put_in(&env.store("store"), "app:1");
    let by_digest = format!("/v2/app/manifests/{}", image.digest());
    for (flags, push, delete) in [
        ("", 405, 405),
        ("--read-only", 405, 405),
        ("--writable", 201, 405),
        ("--writable --allow-delete", 201, 202),
    ] {
        let served = Served::with(&env, "store", flags);
        let media_type = [("Content-Type", image.top().media_type().as_str())];
        let target = "/v2/app/manifests/2";
        let body = (&media_type[..], &image.top().bytes()[..]);
        let answer = http::send(&served.host, "PUT", target, body);
        assert_eq!(answer.status, push, "{flags}: {}", answer.text());
        for target in ["/v2/app/manifests/1", &by_digest] {
            let answer = served.send("DELETE", target);
            assert_eq!(answer.status, delete, "{flags} {target}: {}", answer.text());
        }
    }
}

#[test]
fn a_store_is_created_only_when_it_may_be_written_to() {
    let env = TestEnv::new();
    let _ = env.run_line("serve stor").exits(2);
    let _ = env.run_line("serve stor --allow-delete").exits(2);
    let _ = env.run_line("serve stor --read-only --writable").exits(2);
    assert!(!exists(&env.path("stor")));
    for is_new in [true, false] {
        let served = Served::with(&env, "stor", "--writable");
        assert_eq!(served.send("GET", "/v2/_catalog").status, 200);
        drop(served);
        let said = env.read("serve.log");
        assert_eq!(said.contains("created `stor`"), is_new, "{said}");
    }
}
