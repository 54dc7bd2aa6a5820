//! Which agents are watched: by name and by region.

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::record::AgentRecord;
use crate::wire::Service;

/// Which agents are watched.
#[derive(Debug, Clone)]
pub struct Scope {
    include: GlobSet,
    exclude: GlobSet,
    /// None means all.
    regions: Vec<String>,
}

/// A pattern that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no pattern: {why}")]
pub struct BadPattern {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

impl Scope {
    /// Agents whose name one of `include` fits and none of `exclude`, in one of `regions`; where
    /// `include` or `regions` is empty, all.
    ///
    /// # Errors
    /// When a pattern cannot be understood.
    pub fn new(
        include: &[String],
        exclude: &[String],
        regions: Vec<String>,
    ) -> Result<Self, BadPattern> {
        let all = ["*".to_owned()];
        let include = if include.is_empty() { &all } else { include };
        Ok(Self {
            include: globs(include)?,
            exclude: globs(exclude)?,
            regions,
        })
    }

    /// Whether an agent of the list is watched.
    #[must_use]
    pub fn holds(&self, service: &Service) -> bool {
        let name = service.name.as_deref();
        name.is_some_and(|name| self.fits(name, service.region.as_deref()))
    }

    /// Whether an agent that is remembered is still watched.
    #[must_use]
    pub fn holds_record(&self, record: &AgentRecord) -> bool {
        self.fits(&record.name, record.region.as_deref())
    }

    fn fits(&self, name: &str, region: Option<&str>) -> bool {
        let in_region = |region: &str| self.regions.iter().any(|known| known == region);
        (self.regions.is_empty() || region.is_some_and(in_region))
            && self.include.is_match(name)
            && !self.exclude.is_match(name)
    }
}

/// A set of patterns.
pub(super) fn globs(patterns: &[String]) -> Result<GlobSet, BadPattern> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(glob(pattern)?);
    }
    set.build().map_err(|error| BadPattern {
        pattern: patterns.join(", "),
        why: error.kind().to_string(),
    })
}

fn glob(pattern: &str) -> Result<Glob, BadPattern> {
    Glob::new(pattern).map_err(|error| BadPattern {
        pattern: pattern.to_owned(),
        why: error.kind().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(include: &[&str], exclude: &[&str], regions: &[&str]) -> Scope {
        let own = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        Scope::new(&own(include), &own(exclude), own(regions)).unwrap()
    }

    fn service(name: &str, region: &str) -> Service {
        Service {
            name: Some(name.to_owned()),
            region: Some(region.to_owned()),
            ..Service::default()
        }
    }

    #[test]
    fn names_and_regions_decide() {
        let all = scope(&[], &[], &[]);
        assert!(all.holds(&service("any", "us-west")));
        assert!(!all.holds(&Service::default()), "no name");
        let some = scope(&["prod-*", "shared"], &["*-canary"], &["eu-central"]);
        for (name, region, held) in [
            ("prod-a", "eu-central", true),
            ("shared", "eu-central", true),
            ("prod-canary", "eu-central", false),
            ("dev-a", "eu-central", false),
            ("prod-a", "us-west", false),
        ] {
            assert_eq!(some.holds(&service(name, region)), held, "{name} {region}");
        }
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = Scope::new(&["a[".to_owned()], &[], Vec::new()).unwrap_err();
        assert!(
            error.to_string().starts_with("\"a[\" is no pattern: "),
            "{error}"
        );
    }
}
