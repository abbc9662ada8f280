//! A registry that is down for a while in the middle of a pull.

use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, blob_path};
use hod_testkit::images::image;
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::whole_images;

#[test]
fn a_registry_that_answered_is_waited_for() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    registry.add("a/b:1", &image(790));
    env.write("list.txt", "a/b:1\n");
    // One more failure than a host is given that has never answered.
    let n = 7 * image(790).blobs.len();
    registry.fail(
        Fault::on("GET", blob_path)
            .first(n)
            .does(Effect::Status(502)),
    );
    let line = format!("pull list.txt --store s --source {}", registry.host());
    env.run_line(&line).success();
    assert_eq!(whole_images(&env.path("s")).len(), 1);
}
