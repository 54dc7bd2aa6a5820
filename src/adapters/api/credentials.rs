//! What the API is asked with: found in files and the environment, never in an argument, and recognised
//! by its form before the first request.

mod login;
mod secret;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use jiff::Timestamp;
use tracing::warn;

use self::login::LoginFile;
use self::secret::{Secret, is_quote};

/// The variables that are read, in this order, and what is in each where its form does not show it. In the vendor's
/// own templates the first one is a public key; the last is what the vendor's CLI is given in place of a login.
const VARIABLES: [(&str, Kind); 4] = [
    ("PIPECAT_API_KEY", Kind::PrivateKey),
    ("PCC_API_KEY", Kind::PrivateKey),
    ("PIPECAT_CLOUD_API_KEY", Kind::PrivateKey),
    ("PIPECAT_TOKEN", Kind::Login),
];
/// The organization that a token or a login asks for.
const ORGANIZATION_VARIABLE: &str = "PIPECAT_ORG";

/// The public key, which starts sessions; in the vendor's templates it is the first of [`VARIABLES`].
const PUBLIC_VARIABLE: &str = "PIPECAT_PUBLIC_API_KEY";

/// The most that is read of a file, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// A secret, what it is, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    secret: Secret,
    kind: Kind,
    place: Place,
    /// Whose agents are asked for, where that is said; a private key belongs to one organization.
    organization: Option<String>,
    /// When a login ends, if it says so.
    expires_at: Option<Timestamp>,
}

/// What a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
enum Kind {
    /// `sk_…`, or whatever is where a private key should be.
    #[strum(to_string = "the private API key")]
    PrivateKey,
    /// `pk_…`: starts sessions, and reads nothing.
    #[strum(to_string = "the public key")]
    PublicKey,
    /// `pcc_pat_…`: a personal access token of the vendor's CLI.
    #[strum(to_string = "the personal access token")]
    AccessToken,
    /// What the vendor's CLI got when somebody logged in.
    #[strum(to_string = "the login")]
    Login,
}

/// Where a secret was found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    KeyFile(PathBuf),
    SmokeKeyFile(PathBuf),
    Variable(&'static str),
    LoginFile(PathBuf),
    /// It was made up for a simulator of our own.
    Simulator,
}

impl Credentials {
    /// What is in `key_file`, else in the environment, else in the login file of the vendor's CLI.
    ///
    /// # Errors
    /// When there is nothing, or what is there first cannot be used.
    pub(crate) fn find(key_file: Option<&Path>) -> Result<Self> {
        if let Some(path) = key_file {
            return Self::from_key_file(path);
        }
        let mut public = None;
        let mut empty = None;
        for (variable, otherwise) in VARIABLES {
            let Some(text) = variable_text(variable)? else {
                continue;
            };
            let kind = Kind::of(&text, otherwise);
            if text.trim().is_empty() {
                empty = empty.or(Some(variable));
            } else if kind == Kind::PublicKey {
                public = public.or(Some(variable));
            } else {
                pass_over(public, variable);
                return Self::new(&text, None, kind, Place::Variable(variable))?
                    .with_organization();
            }
        }
        if let Some(login) = LoginFile::find()? {
            pass_over(public, "the login of the vendor's CLI");
            return Self::from_login(login);
        }
        let missing = login::missing().map_or(String::new(), |file| {
            let (variable, file) = (login::FILE_VARIABLE, file.display());
            format!(" ({variable} names {file}, which does not exist)")
        });
        match (public, empty) {
            (Some(variable), _) => Err(only_public(variable)),
            (None, Some(variable)) => bail!(
                "no API key{missing}: {variable} is set but empty; does the pipeline have access to the secret?"
            ),
            (None, None) => bail!(
                "no API key{missing}; put a private API key into PIPECAT_API_KEY, or its file into --api-key-file, or log \
                 in: pipecat cloud auth login"
            ),
        }
    }

    /// The public key in `file`, else in the environment.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find_public(file: Option<&Path>) -> Result<Self> {
        if let Some(path) = file {
            let text = read_text("--smoke-key-file", path)?;
            let kind = Kind::of(&text, Kind::PublicKey);
            let place = Place::SmokeKeyFile(path.to_owned());
            return Self::new(&text, None, kind, place)?.public();
        }
        for variable in [PUBLIC_VARIABLE, VARIABLES[0].0] {
            let text = variable_text(variable)?.unwrap_or_default();
            let kind = Kind::of(&text, Kind::PublicKey);
            let is_meant = variable == PUBLIC_VARIABLE || text.starts_with("pk_");
            if is_meant && !text.trim().is_empty() {
                return Self::new(&text, None, kind, Place::Variable(variable))?.public();
            }
        }
        bail!(
            "--smoke: no public key; put one (pk_…) into PIPECAT_PUBLIC_API_KEY, or its file into \
             --smoke-key-file"
        )
    }

    /// Credentials for a simulator of our own, which takes any.
    pub(crate) fn of_simulator() -> Self {
        Self::made_up("a-key-of-the-simulator-s", Kind::PrivateKey)
    }

    /// A public key for a simulator of our own, which takes any.
    pub(crate) fn public_of_simulator() -> Self {
        Self::made_up("pk_of-the-simulator", Kind::PublicKey)
    }

    /// What is in the same file by now, if it can be read and has changed: a key was replaced, or somebody
    /// has logged in again. A pipe gave its key when it was first read, and reading it again may block
    /// for ever.
    pub(super) fn reload(&self) -> Option<Self> {
        let reloaded = match &self.place {
            Place::KeyFile(path) if path.is_file() => Self::from_key_file(path).ok()?,
            Place::LoginFile(path) if path.is_file() => {
                Self::from_login(LoginFile::read(path).ok()?).ok()?
            }
            _ => return None,
        };
        (reloaded != *self).then_some(reloaded)
    }

    /// What to do where the API does not accept this, unless its own words say that already.
    pub(super) fn renewal(&self) -> Option<&'static str> {
        let is_said = self.expires_at.is_some_and(|at| at <= Timestamp::now());
        (self.kind == Kind::Login && !is_said)
            .then_some("if it has expired, renew it: pipecat cloud auth login")
    }

    /// A text without the secret.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.secret.redaction().text(text).into_owned()
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Whose agents are asked for.
    pub(super) fn scope(&self) -> Scope<'_> {
        match (self.kind, &self.organization) {
            (Kind::PrivateKey | Kind::PublicKey, _) => Scope::OfTheKey,
            (Kind::AccessToken | Kind::Login, Some(name)) => Scope::Organization(name),
            (Kind::AccessToken | Kind::Login, None) => Scope::FirstOrganization,
        }
    }

    fn made_up(word: &str, kind: Kind) -> Self {
        Self::new(word, None, kind, Place::Simulator).expect("a word without blanks is a key")
    }

    fn new(text: &str, renewal: Option<String>, kind: Kind, place: Place) -> Result<Self> {
        let secret = Secret::parse(text, renewal);
        let secret = secret.map_err(|why| anyhow!("{kind} {place} {why}"))?;
        Ok(Self {
            secret,
            kind,
            place,
            organization: None,
            expires_at: None,
        })
    }

    fn from_key_file(path: &Path) -> Result<Self> {
        let text = &read_text("--api-key-file", path)?;
        let kind = Kind::of(text, Kind::PrivateKey);
        if kind == Kind::PublicKey {
            let place = format!("--api-key-file {}", path.display());
            return Err(only_public(&place));
        }
        Self::new(text, None, kind, Place::KeyFile(path.to_owned()))?.with_organization()
    }

    fn from_login(login: LoginFile) -> Result<Self> {
        let kind = Kind::of(&login.token, Kind::Login);
        if kind == Kind::PublicKey {
            return Err(only_public(&login.path.display().to_string()));
        }
        let place = Place::LoginFile(login.path);
        let found = Self::new(&login.token, login.refresh_token, kind, place)?;
        Ok(Self {
            organization: organization_variable()?.or(login.organization),
            expires_at: login.expires_at.filter(|_| kind == Kind::Login),
            ..found
        })
    }

    /// The same, if it is a public key.
    fn public(self) -> Result<Self> {
        ensure!(
            self.kind == Kind::PublicKey,
            "--smoke: a public key (pk_…) is needed, and this is {self}"
        );
        Ok(self)
    }

    /// The organization that a token asks for: the variable's, or the one of the login file.
    fn with_organization(self) -> Result<Self> {
        let organization = match (self.kind, organization_variable()?) {
            (Kind::PrivateKey | Kind::PublicKey, _) => None,
            (_, Some(organization)) => Some(organization),
            (_, None) => LoginFile::find()?.and_then(|login| login.organization),
        };
        Ok(Self {
            organization,
            ..self
        })
    }
}

/// Whose agents are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope<'a> {
    /// The key belongs to one organization.
    OfTheKey,
    Organization(&'a str),
    /// The first one of the account, which is the vendor's default.
    FirstOrganization,
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.place)?;
        if let Scope::Organization(name) = self.scope() {
            write!(f, ", for organization {name}")?;
        }
        match self.expires_at {
            Some(at) if at <= Timestamp::now() => write!(
                f,
                ", which expired at {at}; renew it: pipecat cloud auth login"
            ),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::KeyFile(path) => write!(f, "in {} (--api-key-file)", path.display()),
            Place::SmokeKeyFile(path) => write!(f, "in {} (--smoke-key-file)", path.display()),
            Place::Variable(name) => write!(f, "in {name}"),
            Place::LoginFile(path) => write!(f, "in {}", path.display()),
            Place::Simulator => f.write_str("of the simulator"),
        }
    }
}

impl Kind {
    /// What a secret is by its form; `otherwise` where that says nothing.
    fn of(text: &str, otherwise: Self) -> Self {
        let text = text.trim_start_matches(|char: char| char.is_whitespace() || is_quote(char));
        if text.starts_with("pk_") {
            Kind::PublicKey
        } else if text.starts_with("sk_") {
            Kind::PrivateKey
        } else if text.starts_with("pcc_pat_") {
            Kind::AccessToken
        } else {
            otherwise
        }
    }
}

fn pass_over(public: Option<&str>, used: &str) {
    if let Some(public) = public {
        warn!("{public} holds a public key (pk_…) and is passed over; {used} is used");
    }
}

fn organization_variable() -> Result<Option<String>> {
    let name = variable_text(ORGANIZATION_VARIABLE)?;
    Ok(name.filter(|name| !name.trim().is_empty()))
}

fn variable_text(name: &str) -> Result<Option<String>> {
    let text = std::env::var_os(name)
        .map(OsString::into_string)
        .transpose();
    text.map_err(|_| anyhow!("{name} is not text"))
}

/// The text of a key's file, without the line break with which editors end it.
fn read_text(option: &str, path: &Path) -> Result<String> {
    let shown = path.display();
    let unreadable = || format!("{option}: cannot read {shown}");
    let bytes = read(path).with_context(unreadable)?;
    ensure!(
        bytes.len() as u64 <= MAX_FILE,
        "{option}: {shown} is larger than {MAX_FILE} bytes, so that it cannot be a key's"
    );
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("it is not text"));
    let text = text.with_context(unreadable)?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// That all that there is can only start sessions.
fn only_public(place: &str) -> anyhow::Error {
    anyhow!(
        "{place} holds a public key (pk_…), which only starts sessions; a private API key (sk_…) is needed: \
         Dashboard, Settings, API Keys"
    )
}

/// A file, as far as a secret's can reach and one byte more.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
