//! Who to log in as: what the user said for this run, and the files and helpers of Docker and
//! containers.
//!
//! ```text
//! secret     Secret, Login
//! auth_file  one auth.json, config.json or .dockercfg
//! keychain   the programs docker-credential-X
//! keep       what `hod login` and `hod logout` write
//! ```
//!
//! Which files there are, and in which order, is decided elsewhere; nothing here reads one. Helper
//! programs are run, each once for each host in the life of a [`Credentials`] and its clones.

mod auth_file;
mod error;
mod keep;
mod keychain;
mod secret;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use crate::HelperError;
use auth_file::{AuthFile, Clue};
pub use error::CredentialsError;
pub use keep::{KeepError, Kept, LoginFile};
pub use secret::{Login, Secret};

use hod_oci::{Registry, RepositoryName};

/// Docker Hub's name in Docker's files and for helpers.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Assigns logins to registries or parts of them.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// In order: the first that has a login wins.
    sources: Vec<Source>,
    answers: Arc<HelperAnswers>,
}

#[derive(Debug, Clone)]
enum Source {
    Given {
        registry: Registry,
        login: Arc<Login>,
        by: String,
    },
    File {
        name: String,
        file: Arc<AuthFile>,
    },
}

/// A login, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLogin {
    pub login: Arc<Login>,
    pub origin: LoginOrigin,
}

/// The source of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginOrigin {
    /// A flag or a variable, by its name.
    Given { by: String },
    /// An entry of a file.
    File { file: String, key: String },
    /// A helper that a file names.
    Helper { file: String, helper: String },
}

impl fmt::Display for LoginOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given { by } => write!(f, "`{by}`"),
            Self::File { file, key } => write!(f, "`{file}`, key `{key}`"),
            Self::Helper { file, helper } => {
                write!(f, "`docker-credential-{helper}`, named in `{file}`")
            }
        }
    }
}

/// Cached answers of helpers, including failures, so that each is run once per question.
#[derive(Default)]
struct HelperAnswers(Mutex<HashMap<(String, String), Arc<HelperAnswer>>>);

type HelperAnswer = OnceCell<Result<Option<Arc<Login>>, HelperError>>;

impl fmt::Debug for HelperAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HelperAnswers")
    }
}

impl HelperAnswers {
    fn of(&self, helper: &str, server: &str) -> Arc<HelperAnswer> {
        let mut answers = self
            .0
            .lock()
            .expect("nothing panics while it holds the lock");
        let key = (helper.to_owned(), server.to_owned());
        Arc::clone(answers.entry(key).or_default())
    }
}

/// The result of looking up a registry in one source.
enum Lead<'a> {
    Login(FoundLogin),
    Ask {
        helper: &'a str,
        file: &'a str,
        is_store: bool,
    },
    /// An entry that cannot be used, and so does not contain a login.
    Broken {
        error: &'a CredentialsError,
        file: &'a str,
    },
}

impl Credentials {
    /// Logs in nowhere.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Credentials of one `config.json` or `auth.json`.
    pub fn parse_docker_config(bytes: &[u8]) -> Result<Self, CredentialsError> {
        let mut credentials = Self::default();
        credentials.add_file("config.json", bytes)?;
        Ok(credentials)
    }

    /// Adds a login for all of `registry`, after the existing ones; `by` names the flag or variable
    /// that gave it.
    pub fn give(&mut self, registry: Registry, login: Login, by: impl Into<String>) {
        self.sources.push(Source::Given {
            registry,
            login: Arc::new(login),
            by: by.into(),
        });
    }

    /// Adds a `config.json` or `auth.json`, after the existing ones.
    pub fn add_file(
        &mut self,
        name: impl Into<String>,
        bytes: &[u8],
    ) -> Result<(), CredentialsError> {
        self.add(name.into(), AuthFile::parse(bytes)?);
        Ok(())
    }

    /// Adds a `~/.dockercfg`, after the existing files.
    pub fn add_dockercfg(
        &mut self,
        name: impl Into<String>,
        bytes: &[u8],
    ) -> Result<(), CredentialsError> {
        self.add(name.into(), AuthFile::parse_dockercfg(bytes)?);
        Ok(())
    }

    fn add(&mut self, name: String, file: AuthFile) {
        let file = Arc::new(file);
        self.sources.push(Source::File { name, file });
    }

    /// The files that were read, in their order.
    pub fn files(&self) -> Vec<&str> {
        let files = self.sources.iter().filter_map(|source| match source {
            Source::File { name, .. } => Some(name.as_str()),
            Source::Given { .. } => None,
        });
        files.collect()
    }

    /// Finds the login of a repository, or of a registry as a whole; asks helpers where needed.
    pub async fn find(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<FoundLogin>, HelperError> {
        for lead in self.leads(registry, repository) {
            if let Lead::Ask {
                helper, is_store, ..
            } = lead
            {
                let server = server_name(registry);
                let (name, url) = (helper.to_owned(), server.clone());
                let cell = self.answers.of(helper, &server);
                let answer = cell
                    .get_or_init(|| async {
                        let answer = hod_bridge::run(move || keychain::get(&name, &url)).await;
                        Ok(answer?.map(Arc::new))
                    })
                    .await;
                match answer {
                    // It may have been right on the machine that the file comes from.
                    Err(HelperError::Absent { .. }) if is_store => continue,
                    Err(error) => return Err(error.clone()),
                    Ok(_) => {}
                }
            }
            if let Some(found) = self.follow(registry, lead) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The login that [`Self::find`] found, or would find without asking a helper anew.
    pub fn lookup(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Option<Arc<Login>> {
        let mut leads = self.leads(registry, repository).into_iter();
        let found = leads.find_map(|lead| self.follow(registry, lead));
        found.map(|found| found.login)
    }

    /// The source of the login that [`Self::lookup`] finds.
    pub fn origin(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Option<LoginOrigin> {
        let mut leads = self.leads(registry, repository).into_iter();
        let found = leads.find_map(|lead| self.follow(registry, lead));
        found.map(|found| found.origin)
    }

    /// The login that a lead leads to as far as is known by now.
    fn follow(&self, registry: &Registry, lead: Lead<'_>) -> Option<FoundLogin> {
        match lead {
            Lead::Login(found) => Some(found),
            Lead::Broken { .. } => None,
            Lead::Ask { helper, file, .. } => {
                let cell = self.answers.of(helper, &server_name(registry));
                let answer = cell.get()?.as_ref().ok()?.clone();
                answer.map(|login| FoundLogin {
                    login,
                    origin: LoginOrigin::Helper {
                        file: file.to_owned(),
                        helper: helper.to_owned(),
                    },
                })
            }
        }
    }

    fn leads(&self, registry: &Registry, repository: Option<&RepositoryName>) -> Vec<Lead<'_>> {
        let mut leads = Vec::new();
        for source in &self.sources {
            match source {
                Source::Given {
                    registry: of,
                    login,
                    by,
                } => {
                    if of == registry {
                        leads.push(Lead::Login(FoundLogin {
                            login: Arc::clone(login),
                            origin: LoginOrigin::Given { by: by.clone() },
                        }));
                    }
                }
                Source::File { name, file } => {
                    leads.extend(file.clues(registry, repository).into_iter().map(
                        |clue| match clue {
                            Clue::Login { key, login } => Lead::Login(FoundLogin {
                                login: Arc::clone(login),
                                origin: LoginOrigin::File {
                                    file: name.clone(),
                                    key: key.to_owned(),
                                },
                            }),
                            Clue::Broken(error) => Lead::Broken { error, file: name },
                            Clue::Helper(helper) => Lead::Ask {
                                helper,
                                file: name,
                                is_store: false,
                            },
                            Clue::Store(helper) => Lead::Ask {
                                helper,
                                file: name,
                                is_store: true,
                            },
                        },
                    ));
                }
            }
        }
        leads
    }

    /// Why no login was found although the user may expect one.
    pub fn obstacle(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Option<String> {
        self.leads(registry, repository)
            .into_iter()
            .find_map(|lead| {
                let (helper, file) = match lead {
                    Lead::Login(_) => return None,
                    Lead::Broken { error, file } => return Some(format!("{error} (`{file}`)")),
                    Lead::Ask { helper, file, .. } => (helper, file),
                };
                let cell = self.answers.of(helper, &server_name(registry));
                let error = cell.get()?.as_ref().err()?;
                Some(format!("{error}, and `{file}` names it"))
            })
    }
}

/// The name of a registry in questions to helpers.
fn server_name(registry: &Registry) -> String {
    if registry.is_docker_hub() {
        DOCKER_HUB_KEY.to_owned()
    } else {
        registry.to_string()
    }
}
