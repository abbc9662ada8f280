//! `doctor`: how a registry would be reached, and whether it can be.

use std::path::PathBuf;

use serde::Serialize;

use super::{Context, OpsError, Verb};
use hod_oci::{Registry, RepositoryName};
use hod_registry::{
    CertificateFacts, Client, FoundLogin, Greeting, Harbor, LoginCheck, Project, ProjectKind,
    ReadPlan, RegistryError, RegistryKind, Repo, Route, Security, Wants,
};
use hod_report::amount::format_count;
use hod_report::{Diagnose as _, chain};

/// Whom to examine.
#[derive(Debug)]
pub struct DoctorOptions {
    pub client: Client,
    pub registry: Registry,
    pub repository: Option<RepositoryName>,
}

/// The observations, in the order in which a connection is made.
#[derive(Debug, Serialize)]
pub struct DoctorOutcome {
    pub registry: String,
    /// Whether nothing failed.
    pub usable: bool,
    /// Whether images can be pushed; `None` if unknown.
    pub pushable: Option<bool>,
    pub findings: Vec<Observation>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Observation {
    /// "credentials"
    pub check: &'static str,
    pub status: ObservationStatus,
    pub text: String,
    /// Advice about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ObservationStatus {
    /// As it is set; nothing was tried.
    Set,
    Ok,
    /// It works, and perhaps not as it should.
    Warning,
    Failed,
}

#[derive(Default)]
struct Observations {
    found: Vec<Observation>,
    pushable: Option<bool>,
}

impl Observations {
    fn add(&mut self, check: &'static str, status: ObservationStatus, text: impl Into<String>) {
        self.found.push(Observation {
            check,
            status,
            text: text.into(),
            hint: None,
        });
    }

    /// Adds a reason for which images cannot be pushed; they may be pulled.
    fn refuse_push(&mut self, check: &'static str, text: impl Into<String>) {
        self.add(check, ObservationStatus::Warning, text);
        self.pushable = Some(false);
    }

    fn fail(&mut self, check: &'static str, error: &RegistryError) {
        self.found.push(Observation {
            check,
            status: ObservationStatus::Failed,
            text: chain(error),
            hint: error.diagnose().hint,
        });
    }
}

/// Checks everything that determines how a registry is reached, then reaches it; continues after
/// failures as far as that makes sense.
pub fn doctor<'a>(cx: &'a Context, options: &'a DoctorOptions) -> Verb<'a, DoctorOutcome> {
    Box::pin(run(cx, options))
}

async fn run(cx: &Context, options: &DoctorOptions) -> Result<DoctorOutcome, OpsError> {
    let mut findings = Observations::default();
    let (client, registry) = (&options.client, &options.registry);
    let repository = options.repository.as_ref();
    let login = match client.session.find_login(registry, repository).await {
        Ok(found) => {
            let obstacle = client.session.login_obstacle(registry, repository);
            let (status, text) = if let Some(obstacle) = obstacle.filter(|_| found.is_none()) {
                (ObservationStatus::Warning, obstacle)
            } else {
                let text = login_text(found.as_ref(), &client.session.credential_files());
                (ObservationStatus::Set, text)
            };
            findings.add("login", status, text);
            found
        }
        Err(error) => {
            findings.fail("login", &error);
            None
        }
    };
    let is_routed = match Route::of(&client.session, registry).await {
        Ok(route) => {
            add_route(&mut findings, &route);
            true
        }
        Err(error) => {
            findings.fail("certificates", &error);
            false
        }
    };
    let is_blocked = !add_mirrors(&mut findings, options);
    if is_routed && !is_blocked {
        cx.stage(&format!("trying {registry}"));
        try_it(&mut findings, options, login.as_ref()).await;
    }
    let is_failed = |finding: &Observation| finding.status == ObservationStatus::Failed;
    Ok(DoctorOutcome {
        registry: registry.to_string(),
        usable: !findings.found.iter().any(is_failed),
        pushable: findings.pushable,
        findings: findings.found,
    })
}

fn login_text(found: Option<&FoundLogin>, files: &[&str]) -> String {
    match found {
        None if files.is_empty() => "none: no login file found".to_owned(),
        None => none_in("none", files),
        Some(found) => {
            let who = match found.login.username() {
                Some(username) => format!("`{username}`"),
                None => "a token".to_owned(),
            };
            format!("{who}, from {}", found.origin)
        }
    }
}

/// Returns the text that nothing was found in the searched files.
fn none_in(none: &str, files: &[impl std::fmt::Display]) -> String {
    let files: Vec<String> = files.iter().map(|file| format!("`{file}`")).collect();
    if files.is_empty() {
        none.to_owned()
    } else {
        format!("{none} in {}", files.join(", "))
    }
}

fn add_route(findings: &mut Observations, route: &Route) {
    let url = &route.url;
    match route.security {
        Security::Verified => findings.add("address", ObservationStatus::Set, url.to_string()),
        Security::Unverified => findings.add(
            "address",
            ObservationStatus::Warning,
            format!("{url}, without verifying its certificate"),
        ),
        Security::Plain => findings.add(
            "address",
            ObservationStatus::Set,
            format!("{url}, without encryption"),
        ),
    }
    if route.security != Security::Plain {
        let shown = |path: &PathBuf| format!("`{}`", path.display());
        let mut text = "system".to_owned();
        for path in &route.ca_files {
            text = format!("{text}, {}", shown(path));
        }
        match (&route.certs_dir, route.ca_files.is_empty()) {
            (Some(dir), true) => text = format!("{text}; none in {}", shown(dir)),
            (None, _) => text += "; none for this host in a `certs.d`",
            _ => {}
        }
        findings.add("CA certificates", ObservationStatus::Set, text);
        if let Some((certificate, key)) = &route.client_certificate {
            let text = format!("{} with {}", shown(certificate), shown(key));
            findings.add("certificate", ObservationStatus::Set, text);
        }
    }
    let proxy = route.proxy.clone();
    let proxy = proxy.unwrap_or_else(|| "none".to_owned());
    findings.add("proxy", ObservationStatus::Set, proxy);
}

/// Returns whether reading is allowed at all.
fn add_mirrors(findings: &mut Observations, options: &DoctorOptions) -> bool {
    let manifests = &options.client.manifests;
    match ReadPlan::of(manifests, &options.registry, options.repository.as_ref()) {
        Err(error) => {
            findings.fail("mirrors", &error);
            false
        }
        Ok(plan) => {
            let text = match plan.rule {
                None => none_in("none configured", &plan.files),
                Some((file, prefix)) => {
                    let mut places = plan.by_tag.join(", then ");
                    if plan.by_digest != plan.by_tag {
                        let by_digest = plan.by_digest.join(", then ");
                        places = format!("for tags {places}; for digests {by_digest}");
                    }
                    format!("{places}; by the rule for `{prefix}` in `{file}`")
                }
            };
            findings.add("mirrors", ObservationStatus::Set, text);
            true
        }
    }
}

async fn try_it(findings: &mut Observations, options: &DoctorOptions, login: Option<&FoundLogin>) {
    let (client, registry) = (&options.client, &options.registry);
    let greeting = match Greeting::of(&client.session, registry).await {
        Ok(greeting) => greeting,
        Err(error) => {
            findings.fail("connection", &error);
            if let RegistryError::Tls { .. } = error
                && let Some(shown) = CertificateFacts::shown_by(&client.session, registry).await
            {
                let text = format!(
                    "`{}`, issued by `{}`, valid until {}",
                    shown.subject, shown.issuer, shown.expires
                );
                findings.add("server", ObservationStatus::Warning, text);
            }
            return;
        }
    };
    let address = greeting.address.map(|address| address.to_string());
    let address = address.unwrap_or_else(|| "it answers".to_owned());
    findings.add("connection", ObservationStatus::Ok, address);
    if let Some(shown) = &greeting.certificate {
        let text = format!(
            "issued by `{}`, valid until {}",
            shown.issuer, shown.expires
        );
        findings.add("server", ObservationStatus::Ok, text);
    }
    add_greeting(findings, &greeting);
    if !add_login(findings, options, login, &greeting).await {
        return;
    }
    let is_harbor = greeting.kind == RegistryKind::Harbor;
    if is_harbor && login.is_some() && !add_harbor(findings, options).await {
        return;
    }
    let Some(name) = &options.repository else {
        return;
    };
    // A name of one component is a project there.
    if !is_harbor || name.components().nth(1).is_some() {
        add_repository(findings, options, name).await;
    }
}

async fn add_repository(
    findings: &mut Observations,
    options: &DoctorOptions,
    name: &RepositoryName,
) {
    let repo = Repo {
        registry: options.registry.clone(),
        name: name.clone(),
    };
    match options.client.tags.list(&repo).await {
        Ok(tags) => {
            let tags = format_count(tags.len(), "tag");
            let text = format!("`{name}` can be read: {tags}");
            findings.add("repository", ObservationStatus::Ok, text);
        }
        // It may be a prefix, or the first push is yet to come.
        Err(error) if error.is_not_found() => {
            let text = format!("`{name}` has no images; a push creates it");
            findings.add("repository", ObservationStatus::Set, text);
        }
        Err(error) => findings.fail("repository", &error),
    }
}

/// Makes the checks of a push at a Harbor; returns false if the project does not exist.
async fn add_harbor(findings: &mut Observations, options: &DoctorOptions) -> bool {
    let (client, registry) = (&options.client, &options.registry);
    // The greeting was not the client's to remember.
    if let Err(error) = client.session.ping(registry).await {
        findings.fail("project", &error);
        return false;
    }
    let Some(harbor) = client.harbor(registry) else {
        return true;
    };
    // The project matters only for choosing the login.
    let any = "library".parse().ok();
    let name = options.repository.as_ref().or(any.as_ref());
    let Some(project) = name.and_then(|name| Project::holding(registry, name)) else {
        return true;
    };
    match harbor.system_info(&project).await {
        Ok(info) => {
            if info.and_then(|info| info.read_only) == Some(true) {
                findings.refuse_push(
                    "read-only",
                    "Harbor is in read-only mode and accepts no pushes",
                );
            }
        }
        Err(error) => findings.fail("read-only", &error),
    }
    options.repository.is_none() || add_project(findings, options, &harbor, &project).await
}

/// Checks a project; returns false if it does not exist.
async fn add_project(
    findings: &mut Observations,
    options: &DoctorOptions,
    harbor: &Harbor,
    project: &Project,
) -> bool {
    let looked_up = async {
        let visible = harbor.visible_projects([project]).await?;
        match visible.get(&project.name) {
            Some(kind) => Ok((Some(true), *kind)),
            None => Ok((harbor.has_project(project).await?, ProjectKind::Own)),
        }
    };
    let (found, kind) = match looked_up.await {
        Ok(found) => found,
        Err(error) => {
            findings.fail("project", &error);
            return false;
        }
    };
    let rights = match harbor.rights(std::slice::from_ref(project)).await {
        Ok(rights) => rights,
        Err(error) => {
            findings.fail("project", &error);
            return false;
        }
    };
    let shown = &project.name;
    let user = options
        .client
        .session
        .username(project.repo())
        .unwrap_or_default();
    match (found, rights.may_push(project)) {
        (Some(false), _) => {
            findings.found.push(Observation {
                check: "project",
                status: ObservationStatus::Failed,
                text: format!("`{shown}` does not exist"),
                hint: Some("`hod push --create-projects` creates missing projects.".to_owned()),
            });
            return false;
        }
        _ if kind == ProjectKind::ProxyCache => {
            let text = format!("`{shown}` is a proxy cache: it accepts pulls, but no pushes");
            findings.refuse_push("project", text);
        }
        (_, Some(true)) => {
            findings.pushable.get_or_insert(true);
            let text = format!("`{shown}` exists, and `{user}` can push to it");
            findings.add("project", ObservationStatus::Ok, text);
        }
        (Some(true), Some(false)) => {
            let text = format!("`{shown}` exists, but `{user}` cannot push to it");
            findings.refuse_push("project", text);
        }
        (Some(true), None) => {
            let text = format!("`{shown}` exists");
            findings.add("project", ObservationStatus::Ok, text);
        }
        (None, Some(false)) => {
            let text = format!("`{shown}` does not exist, or `{user}` cannot push to it");
            findings.refuse_push("project", text);
        }
        (None, None) => {
            let text = format!("`{user}` is not allowed to check whether `{shown}` exists");
            findings.add("project", ObservationStatus::Warning, text);
        }
    }
    true
}

fn add_greeting(findings: &mut Observations, greeting: &Greeting) {
    let status = greeting.status;
    let text = match &greeting.wants {
        Wants::Nothing if status == 200 => "no login required".to_owned(),
        Wants::Nothing => format!("{status}, without a login challenge"),
        Wants::Password => "requires a user and password".to_owned(),
        Wants::Token { realm, service } => {
            let service = service
                .as_ref()
                .map(|service| format!(", service `{service}`"));
            format!(
                "requires a token from `{realm}`{}",
                service.unwrap_or_default()
            )
        }
    };
    findings.add("API", ObservationStatus::Ok, text);
    let kind = match greeting.kind {
        RegistryKind::Harbor => "Harbor",
        RegistryKind::DockerHub => "Docker Hub",
        RegistryKind::Unnamed => return,
    };
    findings.add("kind", ObservationStatus::Ok, kind);
}

/// Returns whether further requests make sense.
async fn add_login(
    findings: &mut Observations,
    options: &DoctorOptions,
    login: Option<&FoundLogin>,
    greeting: &Greeting,
) -> bool {
    let registry = &options.registry;
    let Some(found) = login else {
        if greeting.wants == Wants::Nothing {
            return true;
        }
        let text = "no: only public images can be pulled, and nothing can be pushed";
        findings.add("logged in", ObservationStatus::Warning, text);
        if let Some(finding) = findings.found.last_mut() {
            finding.hint = Some(format!("log in with `hod login {registry}`"));
        }
        return greeting.wants != Wants::Password;
    };
    if found.login.username().is_none() {
        findings.add(
            "logged in",
            ObservationStatus::Set,
            "with a token, which `hod doctor` does not test",
        );
        return true;
    }
    match LoginCheck::run(&options.client.session, registry, &found.login).await {
        Ok(LoginCheck::Accepted) => {
            findings.add("logged in", ObservationStatus::Ok, "the login is accepted");
            true
        }
        Ok(LoginCheck::NotNeeded) => true,
        Ok(LoginCheck::Refused(said)) => {
            findings.found.push(Observation {
                check: "logged in",
                status: ObservationStatus::Failed,
                text: format!("the login is refused: {said}"),
                hint: Some(match greeting.kind {
                    RegistryKind::Harbor => format!(
                        "Log in with `hod login {registry}`. Harbor also answers like this while \
                         its database is down."
                    ),
                    _ => format!("Log in with `hod login {registry}`."),
                }),
            });
            false
        }
        Err(error) => {
            findings.fail("logged in", &error);
            false
        }
    }
}
