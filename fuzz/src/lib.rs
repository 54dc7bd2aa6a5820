//! Every target as a function of bytes, which the coverage-guided engine and the plain driver share.
//!
//! A target panics where the program broke a promise; that is all that an engine has to see.

#![forbid(unsafe_code)]

mod input;
mod oracle;
mod targets;

pub use targets::TARGETS;

/// Runs the target of this name on these bytes.
///
/// # Panics
/// When there is no such target, or when a promise is broken.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("there is no target {name:?}"));
    target(data);
}
