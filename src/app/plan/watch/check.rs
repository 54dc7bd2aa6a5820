//! `--check-config`: what would fail at the start although the configuration makes sense.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Error};
use rustix::fs::{Access, access};

use super::WatchPlan;
use crate::adapters::api;

/// Looks at the files that a plan needs, and changes nothing.
///
/// # Errors
/// All that cannot be used. That there is no key at all is none: it may be in the environment of the
/// service alone.
pub(crate) fn check_files(plan: &WatchPlan) -> Result<(), Vec<Error>> {
    let mut problems = Vec::new();
    if plan.key_file.is_some() {
        problems.extend(plan.credentials().err());
    }
    if plan.ca_file.is_some() {
        let tls = api::tls_config(plan.ca_file.as_deref());
        problems.extend(tls.err());
    }
    problems.extend(plan.access().err());
    let store = check_store(&plan.store);
    let unusable = || format!("--store: {} cannot be opened or made", plan.store.display());
    problems.extend(store.with_context(unusable).err());
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// Whether a store can be opened, or made.
fn check_store(path: &Path) -> io::Result<()> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        result => return result.map(drop),
    }
    // The folders that are missing are made in the nearest that is there.
    let absolute = std::path::absolute(path)?;
    match absolute.ancestors().skip(1).find(|folder| folder.exists()) {
        Some(folder) => Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?),
        None => Ok(()),
    }
}
