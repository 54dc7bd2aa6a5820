//! Which agents are watched: by name and by region.

use wildmatch::WildMatch;

/// Which agents are watched.
#[derive(Debug, Clone)]
pub struct Scope {
    include: Patterns,
    exclude: Patterns,
    /// None means all.
    regions: Vec<String>,
}

/// A pattern that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no pattern: * stands for any characters, ? for any one, and a ! before it excludes"
)]
pub struct BadPattern(pub String);

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
        Ok(Self {
            include: Patterns::or_all(include)?,
            exclude: Patterns::new(exclude)?,
            regions,
        })
    }

    /// Whether an agent of this name, in this region, is watched.
    #[must_use]
    pub fn holds(&self, name: &str, region: Option<&str>) -> bool {
        let in_region = |region: &str| self.regions.iter().any(|known| known == region);
        (self.regions.is_empty() || region.is_some_and(in_region))
            && self.include.fit(name)
            && !self.exclude.fit(name)
    }
}

/// Patterns of which one has to fit, and none that begins with `!`.
#[derive(Debug, Clone)]
pub(super) struct Patterns {
    wanted: Vec<WildMatch>,
    excluded: Vec<WildMatch>,
}

impl Patterns {
    /// # Errors
    /// When one of them is none.
    pub(super) fn new(patterns: &[String]) -> Result<Self, BadPattern> {
        let (mut wanted, mut excluded) = (Vec::new(), Vec::new());
        for pattern in patterns {
            let (list, text) = match pattern.strip_prefix('!') {
                Some(text) => (&mut excluded, text),
                None => (&mut wanted, pattern.as_str()),
            };
            // In other tools these begin something; in a name they cannot be.
            if text.is_empty() || text.contains(['[', ']', '{', '}', '!']) {
                return Err(BadPattern(pattern.clone()));
            }
            list.push(WildMatch::new(text));
        }
        Ok(Self { wanted, excluded })
    }

    /// The same, where all fit that are not excluded unless others are wanted.
    pub(super) fn or_all(patterns: &[String]) -> Result<Self, BadPattern> {
        let mut patterns = Self::new(patterns)?;
        if patterns.wanted.is_empty() {
            patterns.wanted.push(WildMatch::new("*"));
        }
        Ok(patterns)
    }

    pub(super) fn fit(&self, text: &str) -> bool {
        let fits = |pattern: &WildMatch| pattern.matches(text);
        self.wanted.iter().any(fits) && !self.excluded.iter().any(fits)
    }
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

    #[test]
    fn names_and_regions_decide() {
        let all = scope(&[], &[], &[]);
        assert!(all.holds("any", None));
        let but_one = scope(&["!any"], &[], &[]);
        assert!(!but_one.holds("any", None));
        assert!(but_one.holds("other", None));
        let some = scope(
            &["prod-*", "shared", "!*-old"],
            &["*-canary"],
            &["eu-central"],
        );
        for (name, region, held) in [
            ("prod-a", "eu-central", true),
            ("shared", "eu-central", true),
            ("prod-canary", "eu-central", false),
            ("prod-old", "eu-central", false),
            ("dev-a", "eu-central", false),
            ("prod-a", "us-west", false),
        ] {
            assert_eq!(some.holds(name, Some(region)), held, "{name} {region}");
        }
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = Scope::new(&["a[".to_owned()], &[], Vec::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"a[\" is no pattern: * stands for any characters, ? for any one, and a ! before it excludes"
        );
        assert!(Scope::new(&[], &[String::new()], Vec::new()).is_err());
    }
}
