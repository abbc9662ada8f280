//! Indexes of which a part is missing, children that are told apart by little, and images that are
//! for another platform than the one asked for.

mod choice;
mod partial;

use hod_oci::Digest;
use hod_store::Store;
use serde_json::Value;

use hod_testkit::env::{Output, TestEnv};
use hod_testkit::images::{Image, ImageBuilder, repository, tag};
use hod_testkit::indexes::IndexBuilder;
use hod_testkit::registry::TestRegistry;

/// What `BuildKit` makes for three platforms, without those children of which `is_missing` says so.
fn built(seed: u64, is_missing: impl Fn(usize) -> bool) -> (Image, Vec<Digest>) {
    let mut builder = IndexBuilder::new(seed);
    for (at, platform) in ["linux/amd64", "linux/arm64", "linux/s390x"]
        .iter()
        .enumerate()
    {
        builder = builder.platform(platform);
        if is_missing(at) {
            builder = builder.missing();
        }
    }
    for about in 0..2 {
        builder = builder.attestation(about);
        if is_missing(3 + about) {
            builder = builder.missing();
        }
    }
    let index = builder.build();
    let children = index.top().children().iter();
    let digests = children.map(|child| child.digest.clone()).collect();
    (index, digests)
}

/// What of it is wanted.
struct Wish {
    flags: &'static str,
    /// Positions of the platforms that are asked for; none for all.
    platforms: &'static [usize],
    /// Whether missing platforms are left out of an index of all.
    rewrites: bool,
    carries_referrers: bool,
}

const WISHES: [Wish; 9] = [
    wish("--platform linux/amd64", &[0]),
    wish("--platform linux/amd64 --index rewrite", &[0]),
    wish("--platform linux/amd64,linux/arm64", &[0, 1]),
    wish("--platform linux/amd64,linux/arm64 --index keep", &[0, 1]),
    wish("--platform linux/s390x,linux/amd64", &[0, 2]),
    wish("--platform all", &[]),
    Wish {
        carries_referrers: false,
        ..wish("--platform linux/amd64,linux/arm64 --no-referrers", &[0, 1])
    },
    Wish {
        carries_referrers: false,
        ..wish("--platform all --no-referrers", &[])
    },
    Wish {
        rewrites: true,
        ..wish("--platform all --index rewrite", &[])
    },
];

const fn wish(flags: &'static str, platforms: &'static [usize]) -> Wish {
    Wish {
        flags,
        platforms,
        rewrites: false,
        carries_referrers: true,
    }
}

impl Wish {
    fn is_all(&self) -> bool {
        self.platforms.is_empty()
    }

    fn asks_for(&self, platform: usize) -> bool {
        self.is_all() || self.platforms.contains(&platform)
    }

    /// Whether an image can be carried as wished: all is there that was asked for.
    fn can_be(&self, is_missing: impl Fn(usize) -> bool) -> bool {
        let is_whole = self.is_all() && !self.rewrites;
        let lacks_attestation = is_whole && self.carries_referrers && (3..5).any(&is_missing);
        if self.rewrites {
            return !(0..3).all(is_missing);
        }
        !lacks_attestation && !(0..3).any(|at| self.asks_for(at) && is_missing(at))
    }

    /// The children that are carried then.
    fn carried(&self, is_missing: impl Fn(usize) -> bool) -> Vec<usize> {
        let is_one = self.platforms.len() == 1 && !self.flags.contains("rewrite");
        let is_carried = |at: usize| {
            let subject = at.checked_sub(3);
            let platform = subject.unwrap_or(at);
            let has_platform = self.asks_for(platform) && !is_missing(platform);
            let is_left = subject.is_some() && (is_one || !self.carries_referrers);
            has_platform && !is_left && !is_missing(at)
        };
        (0..5).filter(|at| is_carried(*at)).collect()
    }
}

/// Every image of which something is missing, by which children are: bit by bit.
fn all_gaps() -> Vec<(String, Image, Vec<Digest>, u8)> {
    let make = |gaps: u8| {
        let (index, digests) = built(1000 + 100 * u64::from(gaps), |at| gaps & (1 << at) != 0);
        (format!("gap{gaps}/multi"), index, digests, gaps)
    };
    (0..32).map(make).collect()
}

/// Compares what became of each image with what should.
#[track_caller]
fn check_all(output: &Output, wish: &Wish, store: &Store) {
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let reports = document["images"].as_array().unwrap();
    for ((name, _, digests, gaps), report) in all_gaps().iter().zip(reports) {
        let is_missing = |at: usize| gaps & (1 << at) != 0;
        let about = format!("{} of {name}: {report}", wish.flags);
        let is_done = report["status"] == "done";
        assert_eq!(is_done, wish.can_be(is_missing), "{about}");
        if !is_done {
            let error = report["error"].as_str().unwrap();
            assert!(error.contains("was not found in"), "{about}");
            continue;
        }
        let is_carried = |at: &usize| {
            let digest = &digests[*at];
            store.has_revision(&repository(name), digest).unwrap()
        };
        let carried: Vec<usize> = (0..5).filter(is_carried).collect();
        assert_eq!(carried, wish.carried(is_missing), "{about}");
    }
}

#[test]
fn what_was_not_asked_of_a_registry_fails_nothing() {
    let registry = TestRegistry::start();
    let mut list = String::new();
    for (name, index, ..) in all_gaps() {
        registry.add(&format!("{name}:1"), &index);
        list = list + &name + ":1\n";
    }
    for wish in &WISHES {
        let env = TestEnv::in_memory();
        env.write("list.txt", &list);
        let line = format!("pull list.txt --store store --source {}", registry.host());
        let output = env
            .run_line(&format!("{line} --json {}", wish.flags))
            .exits(3);
        check_all(&output, wish, &env.store("store"));
        let _ = env.run_line("verify store").success();
    }
}

#[test]
fn what_was_not_asked_of_a_store_fails_nothing() {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    let mut list = String::new();
    for (name, index, ..) in all_gaps() {
        index.put_in(&store, &format!("{name}:1"));
        list = list + &name + ":1\n";
    }
    env.write("list.txt", &list);
    // A kept index that lacks children is for the registry to refuse.
    let is_rewritten = |wish: &&Wish| !wish.flags.contains("keep");
    for wish in WISHES.iter().filter(is_rewritten) {
        let registry = TestRegistry::start();
        let line = format!("push store {} --only list.txt --json", registry.host());
        let output = env.run_line(&format!("{line} {}", wish.flags)).exits(3);
        check_all(&output, wish, registry.store());
    }
}

const PLATFORMS: [&str; 3] = ["linux/amd64", "linux/arm64", "linux/s390x"];

/// What is said of an image without an index, for one platform, that is carried as wished.
fn said_of_one(wish: &Wish, platform: &str) -> Option<String> {
    let wanted = wish.flags.split(' ').nth(1).unwrap().split(',');
    let missing: Vec<&str> = wanted.filter(|wanted| *wanted != platform).collect();
    (!wish.is_all() && !missing.is_empty()).then(|| {
        let missing = missing.join(",");
        format!("the image is for {platform} only, not for {missing}")
    })
}

#[test]
fn an_image_for_one_platform_is_not_for_all_that_were_asked_for() {
    let (registry, target) = (TestRegistry::start(), TestRegistry::start());
    let env = TestEnv::in_memory();
    let mut list = String::new();
    for (seed, platform) in (10..).zip(PLATFORMS) {
        let (os, architecture) = platform.split_once('/').unwrap();
        let image = ImageBuilder::oci(seed).platform(os, architecture).build();
        registry.add(&format!("one/{architecture}:1"), &image);
        list = list + "one/" + architecture + ":1\n";
    }
    env.write("list.txt", list);
    let (host, to) = (registry.host(), target.host());
    let line = format!("pull list.txt --store store --source {host} --platform all");
    let _ = env.run_line(&line).success();
    let _ = env
        .run_line("pack store --output b.tar --no-tool")
        .success();
    for (n, wish) in WISHES.iter().enumerate() {
        for line in [
            format!("pull list.txt --store pulled{n} --source {host}"),
            format!("pull list.txt --store pulled{n} --source {host} --dry-run"),
            format!("push store {to}/a{n}"),
            format!("push b.tar {to}/b{n}"),
            format!("pack store --output packed{n}.tar --no-tool --force"),
        ] {
            let line = format!("{line} {}", wish.flags);
            let all: Vec<Option<String>> = PLATFORMS.map(|one| said_of_one(wish, one)).to_vec();
            let n_failed = all.iter().flatten().count();
            let code = match n_failed {
                0 => 0,
                3 => 1,
                _ => 3,
            };
            let strict = env.run_line(&format!("{line} --strict-platform"));
            assert_eq!(strict.code, Some(code), "{line}: {}", strict.stderr);
            let warned = env.run_line(&line).success();
            for (platform, said) in PLATFORMS.iter().zip(&all) {
                let architecture = platform.split_once('/').unwrap().1;
                let about = format!("one/{architecture}:1: the image is for ");
                for (output, before) in [(&strict, ""), (&warned, "warning: ")] {
                    let begin = format!("{before}{about}");
                    let mut lines = output.stderr.lines();
                    let line_of_it = lines.find(|line| line.contains(&begin));
                    assert_eq!(line_of_it.is_some(), said.is_some(), "{line}: {begin}");
                    if let (Some(found), Some(said)) = (line_of_it, said) {
                        assert!(found.ends_with(said), "{line}: {found}");
                    }
                }
            }
        }
    }
}

/// The digest that a tag names.
#[track_caller]
fn stored(env: &TestEnv, store: &str, name: &str) -> Digest {
    let digest = env.store(store).resolve_tag(&repository(name), &tag("1"));
    digest.unwrap().expect("the image is stored")
}
