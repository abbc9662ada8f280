//! A registry that is down for a while in the middle of a pull.

use crate::support::env::TestEnv;
use crate::support::faults::{Effect, Fault, blob_path};
use crate::support::images::image;
use crate::support::registry::TestRegistry;
use crate::support::tree::whole_images;

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
