//! The targets, by the names of their folders under `corpus/` and of their files for the engine.
//!
//! A new one needs a module, a line in this table, a file in `fuzz_targets/` with its `[[bin]]`, and
//! a folder of seeds; a test holds these together.

mod body;
mod ci;
mod config;
mod event;
mod fleet;
mod list;
mod logs;
mod moment;
mod redact;
mod retry_after;
mod scenario;
mod signature;
mod text;

/// A target: it panics where a promise is broken.
pub(crate) type Target = fn(&[u8]);

/// All of them.
pub const TARGETS: [(&str, Target); 13] = [
    ("body", body::run),
    ("ci", ci::run),
    ("config", config::run),
    ("fleet", fleet::run),
    ("list", list::run),
    ("logs", logs::run),
    ("moment", moment::run),
    ("event", event::run),
    ("redact", redact::run),
    ("retry_after", retry_after::run),
    ("scenario", scenario::run),
    ("signature", signature::run),
    ("text", text::run),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The names in a folder, without what follows a dot.
    fn names(folder: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let entries = fs::read_dir(folder).expect("the folder is there");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let stems = paths.map(|path| path.file_stem().expect("a name").to_owned());
        stems
            .map(|stem| stem.into_string().expect("text"))
            .collect()
    }

    #[test]
    fn every_target_has_its_module_its_file_and_its_seeds() {
        let targets: BTreeSet<String> =
            TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(targets.len(), TARGETS.len());
        for folder in ["src/targets", "fuzz_targets", "corpus"] {
            assert_eq!(names(folder), targets, "{folder}");
        }
        let manifest = include_str!("../Cargo.toml");
        for target in &targets {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")));
        }
    }

    #[test]
    fn seeds_are_small_few_and_keep_every_promise() {
        for (target, run) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("corpus")
                .join(target);
            let seeds: Vec<_> = fs::read_dir(folder).expect("seeds").collect();
            assert!((1..=24).contains(&seeds.len()), "{target}");
            for seed in seeds {
                let data = fs::read(seed.expect("a seed").path()).expect("a seed can be read");
                assert!(data.len() < 4096, "{target}");
                run(&data);
            }
        }
    }
}
