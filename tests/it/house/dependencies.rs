//! What the crates depend on: nothing that they do not use, and nothing under other terms than ours.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{check, root, sources};

/// Licences whose terms those of hod satisfy.
const LICENCES: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "bzip2-1.0.6",
    "Zlib",
];

/// The crates, from the ground up: each may use only those on lower floors.
const FLOORS: [&[&str]; 10] = [
    &["hod-oci", "hod-gotext"],
    &["hod-gotemplate", "hod-pflag", "hod-report"],
    &["hod-list", "hod-program", "hod-retry"],
    &["hod-fsx"],
    &["hod-bridge", "hod-tarball"],
    &[
        "hod-bundle",
        "hod-layout",
        "hod-registry",
        "hod-store",
        "hod-template",
        "hod-trust",
    ],
    &["hod-server"],
    &["hod-transfer"],
    &["hod-ops", "hod-skopeo"],
    &["hod", "hod-testkit"],
];

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let Value::Array(packages) = metadata["packages"].take() else {
        panic!("cargo lists packages");
    };
    packages
}

/// Whether one of the alternatives of an expression of SPDX is a choice of ours.
fn is_allowed(licence: &str) -> bool {
    let licence = licence.replace('/', " OR ");
    licence.split(" OR ").any(|choice| {
        choice.split(" AND ").all(|one| {
            LICENCES.contains(&one.trim_matches(|c: char| c == '(' || c == ')' || c == ' '))
        })
    })
}

#[test]
fn licences_and_sources_are_allowed() {
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0") && is_allowed("GPL-3.0 OR MIT"));
    assert!(!is_allowed("GPL-3.0-only") && !is_allowed("MIT AND AGPL-3.0-only"));
    let packages = packages();
    assert!(packages.len() > 100, "{}", packages.len());
    let problem = |package: &Value| {
        let licence = package["license"].as_str().unwrap_or_default();
        let source = package["source"].as_str();
        let is_known = source.is_none_or(|source| source.starts_with("registry+"));
        let is_fine = is_known && is_allowed(licence);
        (!is_fine).then(|| format!("{}: {licence} from {source:?}", package["name"]))
    };
    check(&packages.iter().filter_map(problem).collect::<Vec<_>>());
}

#[test]
fn every_dependency_is_used() {
    let sources = sources();
    let mut unused = Vec::new();
    for package in packages()
        .iter()
        .filter(|package| package["source"].is_null())
    {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let dir = manifest.parent().unwrap().strip_prefix(root()).unwrap();
        let is_own = |path: &Path| match dir.to_str() {
            // The program and its tests.
            Some("") => {
                path.starts_with("src/cli")
                    || path.starts_with("tests/it")
                    || path.iter().count() == 2
            }
            _ => path.starts_with(dir),
        };
        let own = sources
            .iter()
            .filter(|source| is_own(Path::new(&source.path)));
        let own: Vec<&str> = own.map(|source| source.text.as_str()).collect();
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            let path = format!("{}::", name.replace('-', "_"));
            if !own.iter().any(|text| text.contains(&path)) {
                unused.push(format!("{}: {name}", dir.display()));
            }
        }
    }
    check(&unused);
}

#[test]
fn crates_use_only_lower_floors() {
    let floor = |name: &str| FLOORS.iter().position(|floor| floor.contains(&name));
    let mut wrong = Vec::new();
    for package in packages()
        .iter()
        .filter(|package| package["source"].is_null())
    {
        let own = package["name"].as_str().unwrap();
        assert!(floor(own).is_some(), "{own} has no floor");
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            let is_for_tests = dependency["kind"] == "dev";
            if name.starts_with("hod-") && !is_for_tests && floor(name) >= floor(own) {
                wrong.push(format!("{own} uses {name}"));
            }
        }
    }
    check(&wrong);
}
