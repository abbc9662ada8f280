use super::*;
use hod_oci::Digest;

fn facts(kind: BundleKind) -> Facts {
    Facts {
        name: "site-a".to_owned(),
        version: Some("3.1.1".to_owned()),
        stem: "site-a".to_owned(),
        kind,
        tool_version: "0.1.0".to_owned(),
        images: vec![ImageFacts {
            name: "library/redis:7".to_owned(),
            digest: Digest::of(b""),
            len: 3 << 20,
        }],
        n_blobs: 4,
        n_base: 0,
        base: Vec::new(),
        len: (3 << 30) + (1 << 29),
        tools: vec![ToolFacts {
            arch: "amd64".to_owned(),
            digest: Digest::of(b"tool"),
        }],
        files: Vec::new(),
        set: [("registry".to_owned(), "harbor.corp/x".to_owned())].into(),
    }
}

fn text(facts: &Facts, name: &str) -> String {
    let rendered = render(facts, &[]).unwrap();
    let found = rendered.into_iter().find(|text| text.name == name);
    found.unwrap().text
}

fn own(name: &str, text: &str) -> Template {
    Template {
        name: name.to_owned(),
        text: text.to_owned(),
        executable: false,
    }
}

#[test]
fn the_readme_has_commands_that_fit_the_kind() {
    let plain = text(&facts(BundleKind::One), "README.txt");
    assert!(
        plain.starts_with(
            "site-a 3.1.1\n============\n中文说明见下文“安装说明”。\n\nThis bundle contains"
        ),
        "{plain}"
    );
    assert!(plain.contains("1 image in 4 blobs, 3.5 GiB.\n"), "{plain}");
    assert!(
        plain.contains("\n    tar -xf site-a.tar install.sh\n"),
        "{plain}"
    );
    assert!(
        plain.contains("\n    tar -x -f site-a.tar -C registry-data\n"),
        "{plain}"
    );
    assert!(
        plain.contains("\nlibrary/redis:7\n    sha256:e3b0c442"),
        "{plain}"
    );
    assert!(
        plain.contains(" --registry harbor.corp/x --dry-run\n"),
        "{plain}"
    );
    assert!(plain.ends_with(", 3.0 MiB\n"), "{plain}");
    let compressed = text(&facts(BundleKind::Compressed), "README.txt");
    assert!(
        compressed.contains("tar -x --zstd -f site-a.tar.zst"),
        "{compressed}"
    );
    let volumes = text(&facts(BundleKind::Volumes), "README.txt");
    assert!(volumes.contains("for v in site-a.*.tar; do"), "{volumes}");
    assert!(
        volumes.contains("hod push site-a.001.tar harbor.corp/x\n"),
        "{volumes}"
    );
}

#[test]
fn every_text_works_with_few_facts_and_with_odd_ones() {
    for kind in [BundleKind::One, BundleKind::Volumes, BundleKind::Compressed] {
        let mut facts = facts(kind);
        facts.name = "it's \"$HOME\" <产品>".to_owned();
        facts.stem = "it's $x".to_owned();
        facts.version = None;
        facts.tools.clear();
        facts.set.clear();
        let rendered = render(&facts, &[]).unwrap();
        assert!(rendered.is_sorted_by_key(|text| text.name.clone()));
        for text in &rendered {
            assert!(text.text.ends_with('\n'), "{}", text.name);
            assert!(!text.text.contains("\n\n\n"), "{}", text.name);
            assert_eq!(text.executable, text.name == "install.sh");
        }
        let installer = &rendered.last().unwrap().text;
        assert!(
            installer.contains(r#"title='it'\''s "$HOME" <产品>'"#),
            "{installer}"
        );
    }
}

#[test]
fn templates_of_the_user_replace_and_add() {
    let facts = facts(BundleKind::One);
    let mine = [
        own("README.txt", "{{ name }}!\n"),
        own("notes/a.txt", "{{ set.registry }}"),
    ];
    let rendered = render(&facts, &mine).unwrap();
    let names: Vec<&str> = rendered.iter().map(|text| text.name.as_str()).collect();
    let expected = [
        "MIRRORS.txt",
        "README.txt",
        "hod-serve.service",
        "hosts.toml",
        "install.sh",
    ];
    assert_eq!(names[..5], expected);
    assert_eq!(names[5], "notes/a.txt");
    assert_eq!(rendered[1].text, "site-a!\n");
    assert_eq!(rendered[5].text, "harbor.corp/x");
}

#[test]
fn what_nobody_set_is_an_error_with_its_line() {
    #[track_caller]
    fn check(text: &str, line: usize) {
        let error = render(&facts(BundleKind::One), &[own("x.txt", text)]).unwrap_err();
        let said = error.to_string();
        assert_eq!(
            said,
            format!("template `x.txt`, line {line}, cannot be rendered")
        );
        assert!(error.diagnose().hint.unwrap().contains("--set"));
    }
    check("a\n{{ nothing }}\n", 2);
    check("a\nb\n{{ set.nothing }}\n", 3);
    check("{% if %}", 1);
    check("{{ name|nofilter }}", 1);
}

#[test]
fn a_bundle_that_is_not_whole_is_not_served() {
    let whole = text(&facts(BundleKind::One), "install.sh");
    let mut facts = facts(BundleKind::One);
    facts.n_base = 3;
    let delta = text(&facts, "install.sh");
    let refusal = "requires an earlier bundle and cannot be served alone";
    assert!(delta.contains(refusal) && !whole.contains(refusal));
}

#[test]
fn the_readme_of_a_delta_says_what_it_requires() {
    let whole = text(&facts(BundleKind::One), "README.txt");
    let mut facts = facts(BundleKind::One);
    facts.n_base = 3;
    facts.base = vec!["acme 1.0".to_owned(), "acme 1.1".to_owned()];
    let delta = text(&facts, "README.txt");
    for said in [
        "It is a delta: it requires 3 blobs that it\ndoes not contain. Install acme 1.0, acme 1.1 first.",
        "a delta is not a complete registry",
        "这是增量包：有 3 个数据块不在包内，需要先安装 acme 1.0、acme 1.1。",
    ] {
        assert!(delta.contains(said), "{delta}");
        assert!(!whole.contains(said), "{whole}");
    }
}

/// The commands and flags of the English part and of the Chinese part of README.txt.
#[test]
fn both_languages_have_the_same_commands_and_flags() {
    fn commands(text: &str) -> Vec<&str> {
        let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
        let mut commands: Vec<&str> = lines.filter(|line| !line.starts_with(' ')).collect();
        commands.sort_unstable();
        commands
    }
    fn flags(text: &str) -> std::collections::BTreeSet<&str> {
        let words = text.split(|c: char| c != '-' && !c.is_ascii_alphanumeric());
        words.filter(|word| word.starts_with("--")).collect()
    }
    for kind in [BundleKind::One, BundleKind::Volumes, BundleKind::Compressed] {
        for n_base in [0, 3] {
            let mut facts = facts(kind);
            facts.n_base = n_base;
            let text = text(&facts, "README.txt");
            let (text, _) = text.split_once("\nImages\n------\n").unwrap();
            let (english, chinese) = text.split_once("\n安装说明\n--------\n").unwrap();
            assert_eq!(commands(english), commands(chinese));
            let mut english = flags(english);
            // The rules below headings.
            english.retain(|flag| !flag.trim_matches('-').is_empty());
            assert_eq!(english, flags(chinese));
        }
    }
}

/// The mirror configuration for the clients of a site.
#[test]
fn mirrors_are_asked_where_a_push_puts_images() {
    /// The request of containerd for `name`, by an address of its hosts.toml.
    #[track_caller]
    fn asked(text: &str, mirror_of: &str, name: &str) -> String {
        let (_, text) = text.split_once(mirror_of).unwrap();
        let (_, text) = text.split_once("[host.\"https://").unwrap();
        let (address, rest) = text.split_once("\"]\n").unwrap();
        let mut settings = rest.lines().map(str::trim).take(4);
        if settings.any(|line| line == "override_path = true") {
            format!("{address}/{name}/manifests/1")
        } else {
            format!("{address}/v2/{name}/manifests/1")
        }
    }
    /// The request of k3s for `name`.
    #[track_caller]
    fn rewritten(text: &str, mirror_of: &str, name: &str) -> String {
        let (_, text) = text.split_once(&format!("      {mirror_of}:\n")).unwrap();
        let mut lines = text.lines();
        let endpoint = lines.next().unwrap().trim();
        let host = endpoint.strip_prefix("endpoint: [\"https://").unwrap();
        let host = host.strip_suffix("\"]").unwrap();
        let name = match lines.next().unwrap().trim() {
            "rewrite:" => {
                let rule = lines.next().unwrap().trim();
                let to = rule.strip_prefix("\"(.*)\": \"").unwrap();
                to.strip_suffix('"').unwrap().replace("$1", name)
            }
            _ => name.to_owned(),
        };
        format!("{host}/v2/{name}/manifests/1")
    }
    #[track_caller]
    fn check(registry: Option<&str>, project: Option<&str>, host: &str, prefix: &str) {
        let mut facts = facts(BundleKind::One);
        let set = [("registry", registry), ("project", project)];
        let set = set.map(|(key, value)| Some((key.to_owned(), value?.to_owned())));
        facts.set = set.into_iter().flatten().collect();
        let below = if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}/")
        };
        let of_docker = format!("{host}/v2/{below}acme/api/manifests/1");
        let of_quay = format!("{host}/v2/{below}quay.io/coreos/etcd/manifests/1");
        let hosts = text(&facts, "hosts.toml");
        assert_eq!(asked(&hosts, "registry-1.docker.io", "acme/api"), of_docker);
        let mirrors = text(&facts, "MIRRORS.txt");
        assert_eq!(asked(&mirrors, "server =", "coreos/etcd"), of_quay);
        assert_eq!(rewritten(&mirrors, "docker.io", "acme/api"), of_docker);
        assert_eq!(rewritten(&mirrors, "quay.io", "coreos/etcd"), of_quay);
        assert!(
            mirrors.contains(&format!("    configs:\n      \"{host}\":\n")),
            "{mirrors}"
        );
        let mirror_of_docker = format!("\"registry-mirrors\": [\"https://{host}\"]");
        assert_eq!(mirrors.contains(&mirror_of_docker), prefix.is_empty());
        let front = format!("name images with\n{host}/{prefix} in front.");
        assert_eq!(mirrors.contains(&front), !prefix.is_empty(), "{mirrors}");
        let location = format!("location = \"{host}/{below}quay.io\"\n");
        assert!(mirrors.contains(&location), "{mirrors}");
    }
    check(None, None, "REGISTRY", "");
    check(None, Some("p"), "REGISTRY", "p");
    check(Some("h.corp:5000"), None, "h.corp:5000", "");
    check(Some("h.corp"), Some("p"), "h.corp", "p");
    check(Some("h.corp/a/b"), None, "h.corp", "a/b");
    check(Some("h.corp/a/b/"), Some("p"), "h.corp", "a/b/p");
}

#[test]
fn a_text_that_names_the_mirror_uses_the_settings_behind_it() {
    let mine = ["README.txt", "install.sh", "MIRRORS.txt", "hosts.toml"];
    let mine = mine.map(|name| own(name, "{{ mirror.host }}\n"));
    let keys = ["registry", "project", "other"].map(str::to_owned);
    let (unused, _) = unused_settings(&keys, &mine).unwrap();
    assert_eq!(unused, [&keys[2]]);
}
