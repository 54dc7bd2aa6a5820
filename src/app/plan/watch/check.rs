//! `--check-config`: what would fail at the start although the configuration makes sense.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Error, anyhow};
use rustix::fs::{Access, access};

use super::WatchPlan;
use crate::adapters::api;
use crate::adapters::store::{Reader, StoreError};
use crate::app::error::chain;

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
        let named = |why: Error| anyhow!("--ca-file: {}", chain(why.as_ref()));
        problems.extend(tls.map_err(|why| plan.places.name(named(why))).err());
    }
    problems.extend(plan.access().err());
    let unusable = || format!("--store: {} cannot be opened or made", plan.store.display());
    match check_store(&plan.store).with_context(unusable) {
        Err(problem) => problems.push(plan.places.name(problem)),
        // What is there may be no store, or none of this version.
        Ok(()) => match Reader::open(&plan.store) {
            Ok(_) | Err(StoreError::Missing(_)) => {}
            Err(problem) if problem.may_pass() => {}
            Err(problem) => problems.push(problem.into()),
        },
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// Whether a store can be opened, or made.
pub(super) fn check_store(path: &Path) -> io::Result<()> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // Of anything else it is not known what opening it does.
        Ok(file) if !file.metadata()?.is_file() => return Err(io::Error::other("it is no file")),
        result => return result.map(drop),
    }
    // The folders that are missing are made in the nearest that is there.
    let absolute = std::path::absolute(path)?;
    match absolute.ancestors().skip(1).find(|folder| folder.exists()) {
        Some(folder) => Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?),
        None => Ok(()),
    }
}
