//! Where the keys of a configuration are given, so that a problem names its place.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Error, anyhow};

use crate::app::cli::WatchArgs;
use crate::app::error::chain;

/// The file, and the lines of the keys that count there: what was typed comes first.
#[derive(Debug)]
pub(super) struct Places {
    file: PathBuf,
    lines: HashMap<String, usize>,
}

impl Places {
    /// The places of keys that are filed in these lines, unless they were typed as well.
    pub(super) fn new(args: &WatchArgs, mut lines: HashMap<String, usize>) -> Self {
        let typed = args.keys.set();
        lines.retain(|key, _| !typed.contains_key(key));
        let file = args.config.clone().unwrap_or_default();
        Self { file, lines }
    }

    /// A problem that begins with an option; of one that is filed, it begins with the file and the line instead.
    pub(super) fn name(&self, problem: Error) -> Error {
        let text = chain(problem.as_ref());
        let of_option = text.strip_prefix("--");
        let key = of_option.and_then(|text| text.split([':', ' ']).next());
        match (of_option, key.and_then(|key| self.lines.get(key))) {
            (Some(text), Some(line)) => anyhow!("{}, line {line}: {text}", self.file.display()),
            _ => problem,
        }
    }
}
