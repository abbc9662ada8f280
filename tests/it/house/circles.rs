//! No two modules of a crate require each other, be it by way of others: each stands below those
//! that use it.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{UseTree, Visibility};

use super::{check, code};

type Path = Vec<String>;

/// What the code of a module names.
#[derive(Default)]
struct Module {
    /// Imported names, and what each stands for.
    names: BTreeMap<String, Path>,
    /// Paths in the code. A name that is re-exported counts only if the code has it too.
    paths: BTreeSet<Path>,
}

impl Module {
    fn of(file: &syn::File) -> Self {
        let mut module = Self::default();
        module.visit_file(file);
        module
    }

    fn import(&mut self, tree: &UseTree, prefix: &[String], is_exported: bool) {
        let mut add = |name: &syn::Ident, alias: &syn::Ident| {
            let mut path = prefix.to_vec();
            path.extend((name != "self").then(|| name.to_string()));
            let alias = match alias.to_string() {
                alias if alias == "self" => path.last().cloned().unwrap_or_default(),
                alias => alias,
            };
            self.names.insert(alias, path.clone());
            self.paths.extend((!is_exported).then_some(path));
        };
        match tree {
            UseTree::Name(name) => add(&name.ident, &name.ident),
            UseTree::Rename(name) => add(&name.ident, &name.rename),
            UseTree::Glob(_) => drop(self.paths.insert(prefix.to_vec())),
            UseTree::Path(path) => {
                let prefix = [prefix, &[path.ident.to_string()]].concat();
                self.import(&path.tree, &prefix, is_exported);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, prefix, is_exported);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.attrs.is_empty() {
            let is_exported = !matches!(item.vis, Visibility::Inherited);
            self.import(&item.tree, &[], is_exported);
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        let segments = segments.map(|segment| segment.ident.to_string());
        self.paths.insert(segments.collect());
        visit::visit_path(self, path);
    }
}

/// The modules of a crate by their paths within it.
#[derive(Default)]
struct Modules(BTreeMap<Path, Module>);

impl Modules {
    /// Returns the module that has what `path` names within the module `at`; `None` outside of the
    /// crate.
    fn home(&self, at: &[String], path: &[String]) -> Option<Path> {
        let (mut at, mut path) = (at.to_vec(), path);
        let mut is_inner = false;
        while let Some((first, rest)) = path.split_first() {
            let below = [at.as_slice(), std::slice::from_ref(first)].concat();
            match first.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                // Alone, a word is rather a variable than a module.
                _ if self.0.contains_key(&below) && (is_inner || !rest.is_empty()) => at = below,
                _ => {
                    let name = self.0.get(&at)?.names.get(first);
                    let name = name.filter(|n| n[0] != *first || self.0.contains_key(&below));
                    let home = name.and_then(|name| self.home(&at, &[name, rest].concat()));
                    return home.or(is_inner.then_some(at));
                }
            }
            (path, is_inner) = (rest, true);
        }
        Some(at)
    }

    /// Returns the modules that each module uses.
    fn used(&self) -> BTreeMap<Path, BTreeSet<Path>> {
        let used = |(at, module): (&Path, &Module)| {
            let homes = module.paths.iter().filter_map(|path| self.home(at, path));
            (at.clone(), homes.filter(|home| home != at).collect())
        };
        self.0.iter().map(used).collect()
    }

    /// Returns each use of one module by another that is part of a circle.
    fn circles(&self) -> Vec<String> {
        let used = self.used();
        let reached = |from| {
            let (mut seen, mut queue) = (BTreeSet::new(), vec![from]);
            while let Some(at) = queue.pop() {
                queue.extend(used[at].iter().filter(|next| seen.insert(*next)));
            }
            (from, seen)
        };
        let reached: BTreeMap<&Path, BTreeSet<&Path>> = used.keys().map(reached).collect();
        let pairs = used
            .iter()
            .flat_map(|(at, used)| used.iter().map(move |to| (at, to)));
        let circular = pairs.filter(|(at, to)| reached[to].contains(at));
        circular
            .map(|(at, to)| format!("`{}` uses `{}`", at.join("::"), to.join("::")))
            .collect()
    }
}

/// Reads the modules of all crates, by the name of the crate.
fn crates() -> BTreeMap<String, Modules> {
    let mut crates: BTreeMap<String, Modules> = BTreeMap::new();
    for source in code() {
        let path = source.path.trim_end_matches(".rs");
        let Some((name, path)) = path
            .strip_prefix("src/")
            .and_then(|path| path.split_once('/'))
        else {
            continue;
        };
        let path = path
            .split('/')
            .filter(|part| *part != "lib")
            .map(str::to_owned);
        let modules = crates.entry(name.to_owned()).or_default();
        modules
            .0
            .insert(path.collect(), Module::of(&source.parsed()));
    }
    crates
}

#[test]
fn no_two_modules_require_each_other() {
    let modules = |texts: &[(&str, &str)]| {
        let module = |(path, text): &(&str, &str)| {
            let path = path.split_whitespace().map(str::to_owned).collect();
            (path, Module::of(&syn::parse_str(text).unwrap()))
        };
        Modules(texts.iter().map(module).collect())
    };
    let above = ("", "mod a; mod b; pub use a::A; pub use b::B;");
    let circular = modules(&[
        above,
        ("a", "use super::B; struct A(B);"),
        ("b", "fn b() { crate::A; }"),
    ]);
    assert_eq!(circular.circles(), ["`a` uses `b`", "`b` uses `a`"]);
    let plain = modules(&[
        above,
        ("a", "use crate::b::B; struct A(B);"),
        ("b", "use std::fmt; pub struct B;"),
    ]);
    assert_eq!(plain.circles(), [""; 0]);

    let circles = crates().into_iter().flat_map(|(name, modules)| {
        let circles = modules.circles().into_iter();
        circles.map(move |circle| format!("{name}: {circle}"))
    });
    check(&circles.collect::<Vec<_>>());
}

/// The layers of `src/registry`, lowest first.
const LAYERS: [&str; 8] = [
    "error", "wire", "login", "route", "api", "harbor", "inspect", "client",
];

#[test]
fn no_layer_of_the_registry_client_uses_one_above_it() {
    let layer = |module: &Path| {
        let name = module.first()?;
        LAYERS.iter().position(|layer| layer == name)
    };
    let mut problems = Vec::new();
    for (at, used) in crates()["registry"].used() {
        if layer(&at).is_none() && !at.is_empty() {
            problems.push(format!("`{}` is in no layer", at.join("::")));
        }
        let above = used
            .iter()
            .filter(|to| layer(to) > layer(&at) && !at.is_empty());
        problems.extend(above.map(|to| format!("`{}` uses `{}`", at.join("::"), to.join("::"))));
    }
    check(&problems);
}
