//! Holds the layers: imports point down only, and the pure core imports nothing impure.
//!
//! It reads the sources, every path in them, those within macros as well.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// The floors of the house, the lowest first.
const FLOORS: [&str; 3] = ["core", "adapters", "app"];

/// What the pure core must do without: I/O, clocks, randomness, the environment.
const IMPURE: [&str; 35] = [
    "tokio",
    "reqwest",
    "axum",
    "hyper",
    "hyper_util",
    "prometheus_client",
    "tracing",
    "tracing_subscriber",
    "anstream",
    "anstyle",
    "anstyle_progress",
    "supports_hyperlinks",
    "clap",
    "clap_complete",
    "clap_mangen",
    "backoff",
    "ring",
    "rusqlite",
    "sd_notify",
    "fastrand",
    "tempfile",
    "signal_hook",
    "rustls",
    "rustix",
    "rustls_native_certs",
    "std::fs",
    "std::env",
    "std::net",
    "std::io",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::sync::mpsc",
    "std::os",
];

/// What takes escape sequences out of a text, and writes nothing.
const PURE_PART: &str = "anstream::adapter";

/// The paths of a file, as `a::b::c`.
#[derive(Default)]
struct Paths(Vec<String>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        flatten("", &item.tree, &mut self.0);
    }

    /// Who may see an item is no import.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.0.push(names.join("::"));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        let text = item.tokens.to_string().replace(' ', "");
        let word = |char: char| !(char.is_alphanumeric() || char == '_' || char == ':');
        self.0.extend(
            text.split(word)
                .filter(|path| path.contains("::"))
                .map(str::to_owned),
        );
        visit::visit_macro(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let test = |attribute: &syn::Attribute| {
            attribute.path().is_ident("cfg")
                && attribute
                    .parse_args::<syn::Path>()
                    .is_ok_and(|path| path.is_ident("test"))
        };
        if !item.attrs.iter().any(test) {
            visit::visit_item_mod(self, item);
        }
    }
}

fn flatten(before: &str, tree: &syn::UseTree, paths: &mut Vec<String>) {
    let join = |name: &syn::Ident| {
        if before.is_empty() {
            name.to_string()
        } else {
            format!("{before}::{name}")
        }
    };
    match tree {
        syn::UseTree::Path(path) => flatten(&join(&path.ident), &path.tree, paths),
        syn::UseTree::Name(name) => paths.push(join(&name.ident)),
        syn::UseTree::Rename(rename) => paths.push(join(&rename.ident)),
        syn::UseTree::Glob(_) => paths.push(format!("{before}::*")),
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                flatten(before, tree, paths);
            }
        }
    }
}

fn paths_of(source: &str) -> Vec<String> {
    let mut paths = Paths::default();
    paths.visit_file(&syn::parse_file(source).unwrap());
    paths.0
}

/// Whether `path` is `start` or lies beneath it.
fn beneath(path: &str, start: &str) -> bool {
    path.strip_prefix(start)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The floor that a path within the crate leads to.
fn floor(path: &str) -> usize {
    let found = FLOORS.iter().position(|floor| beneath(path, floor));
    found.unwrap_or_else(|| panic!("{path} is on no floor"))
}

/// The room of an adapter, `api` for example: adapters do not know each other.
fn room(path: &str) -> Option<&str> {
    path.strip_prefix("adapters::")?.split("::").next()
}

/// What is wrong with the imports of a module.
fn faults(module: &str, source: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for path in paths_of(source) {
        let wrong = if let Some(inner) = path.strip_prefix("crate::") {
            let neighbours = room(module).zip(room(inner));
            floor(inner) > floor(module) || neighbours.is_some_and(|(own, other)| own != other)
        } else {
            let impure =
                IMPURE.iter().any(|impure| beneath(&path, impure)) && !beneath(&path, PURE_PART);
            path.starts_with("super::super")
                || floor(module) == 0 && (impure || path.ends_with("::now"))
        };
        if wrong {
            faults.push(format!("{module} must not use {path}"));
        }
    }
    faults
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn imports_point_down_and_the_core_is_pure() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    let mut pure = 0;
    for file in files {
        let names: Vec<_> = file
            .strip_prefix(&src)
            .unwrap()
            .with_extension("")
            .iter()
            .map(|name| name.to_str().unwrap().to_owned())
            .collect();
        let is_test = names.iter().any(|name| name == "tests");
        let root = names.len() == 1 && !FLOORS.contains(&names[0].as_str());
        if is_test || root {
            continue;
        }
        let module = names.join("::");
        pure += u32::from(floor(&module) == 0);
        wrong.extend(faults(&module, &fs::read_to_string(&file).unwrap()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(pure > 20, "only {pure} pure files were found");
}

#[test]
fn forbidden_imports_are_found() {
    let wrong = |module, source| !faults(module, source).is_empty();
    for source in [
        "use std::{fmt, fs};",
        "use tokio::time as clock;",
        "fn f() { std::env::var(\"A\"); }",
        "fn f() { format!(\"{}\", std::env::args().count()); }",
        "fn f() -> jiff::Timestamp { jiff::Timestamp::now() }",
        "fn f(at: std::time::Instant) {}",
        "use crate::adapters::api::Client;",
        "use crate::{core::wire, app::poll_loop};",
        "use super::super::api;",
    ] {
        assert!(wrong("core::rollout::machine", source), "{source}");
    }
    assert!(wrong(
        "adapters::api::url",
        "use crate::adapters::output::Style;"
    ));
    assert!(wrong("adapters::api", "use crate::app::commands;"));
    assert!(!wrong(
        "adapters::api",
        "use crate::adapters::api::error::E; use tokio::time::sleep;"
    ));
    let fine = "use std::time::Duration; use crate::core::wire::AgentName; #[cfg(test)] mod t { use std::fs; }";
    assert!(!wrong("core::rollout::machine", fine));
}
