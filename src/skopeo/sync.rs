//! `skopeo sync`: all images of a command line at once, where skopeo copies one after the other.

mod batch;
mod find;
mod registries;
mod syncing;
mod yaml;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use self::find::Group;
use self::syncing::{Outcome, Pair, To};
pub(crate) use self::syncing::{Sources, SyncFlags, Syncing};
use crate::copy::Copying;
use crate::failure::{Done, Failure};
use crate::name::ImageName;

impl Syncing<'_> {
    /// Copies all images of `source` to `destination`.
    pub(crate) async fn run(&self, source: &str, destination: &str) -> Done {
        let (from, to) = self.flags.ends()?;
        let groups = self.find(from, source).await?;
        if self.flags.dry_run {
            self.log.warn("Running in dry-run mode");
        }
        let n_groups = groups.len();
        let mut pairs = Vec::with_capacity(n_groups);
        let mut dirs = BTreeSet::new();
        for group in groups {
            let pairs_of = self.pairs(&group, to, Path::new(destination), &mut dirs);
            pairs.push(pairs_of.await?);
        }
        let digests = self.open_digestfile().await?;
        let said = if self.flags.dry_run {
            "Would have copied"
        } else {
            "Copying"
        };
        for pairs in &pairs {
            for (at, pair) in pairs.iter().enumerate() {
                let (n, of) = (at + 1, pairs.len());
                let fields = [("from", pair.from.to_string()), ("to", pair.to.to_string())];
                self.log
                    .info(&format!("{said} image ref {n}/{of}"), &fields);
            }
        }
        if self.flags.dry_run {
            let n: usize = pairs.iter().map(Vec::len).sum();
            self.log.info(
                &format!("Would have synced {n} images from {n_groups} sources"),
                &[],
            );
            return Ok(());
        }
        let mut n_synced = 0;
        let mut lines = String::new();
        let mut first_failure = None;
        let pairs = pairs.concat();
        for (pair, outcome) in pairs.iter().zip(self.copy_all(to, &pairs).await) {
            match outcome {
                Outcome::Present(digest) => {
                    n_synced += 1;
                    let _ = writeln!(lines, "{digest} {}", pair.to);
                }
                Outcome::NotTried => {}
                Outcome::Failed(error) => {
                    let from = hod_gotext::quote(pair.from.to_string());
                    if self.flags.keep_going {
                        let fields = [("error", error.to_string())];
                        let text = format!("Error copying ref {from}");
                        self.log.line(crate::log::Level::Error, &text, &fields);
                    }
                    first_failure.get_or_insert(error.during(format!("Error copying ref {from}")));
                }
            }
        }
        if let Some(path) = digests {
            let written =
                hod_bridge::run(move || hod_fsx::overwrite(&path, lines.as_bytes())).await;
            written.map_err(|error| {
                crate::wording::of_file(&error).during("Failed to write digest to file")
            })?;
        }
        match first_failure {
            Some(failure) if !self.flags.keep_going => return Err(failure),
            _ => {}
        }
        self.log.info(
            &format!("Synced {n_synced} images from {n_groups} sources"),
            &[],
        );
        match first_failure {
            Some(_) => Err(Failure::new(
                "Sync failed due to previous reported error(s) for one or more images",
            )),
            None => Ok(()),
        }
    }

    /// Empties the file for digests, so that one that cannot be written to is known at once.
    async fn open_digestfile(&self) -> Done<Option<PathBuf>> {
        let Some(path) = self
            .flags
            .digestfile
            .clone()
            .filter(|_| !self.flags.dry_run)
        else {
            return Ok(None);
        };
        let given = path.clone();
        let emptied = hod_bridge::run(move || crate::wording::write_file(&given, "")).await;
        emptied.map_err(|error| error.during("Error creating digest file"))?;
        Ok(Some(path))
    }

    /// The destinations of a group's images; no other image goes to one of `dirs`.
    async fn pairs(
        &self,
        group: &Group,
        to: To,
        destination: &Path,
        dirs: &mut BTreeSet<PathBuf>,
    ) -> Done<Vec<Pair>> {
        let mut pairs: Vec<Pair> = Vec::with_capacity(group.images.len());
        for from in &group.images {
            let suffix = group.suffix(from, self.flags.scoped);
            let joined = destination.join(suffix.trim_start_matches('/'));
            let text = format!("{}{}", joined.display(), self.flags.append_suffix);
            let to = match to {
                To::Docker => docker_destination(&text)?,
                To::Dir => {
                    let path = PathBuf::from(&text);
                    let known = path.clone();
                    let is_there = hod_bridge::run(move || hod_fsx::try_stat(&known)).await;
                    let is_there = is_there.map_err(|error| {
                        crate::wording::of_file(&error)
                            .during("Destination directory could not be used")
                    })?;
                    if is_there.is_some() || !dirs.insert(path.clone()) {
                        return Err(Failure::new(format!(
                            "Refusing to overwrite destination directory {}",
                            hod_gotext::quote(&text)
                        )));
                    }
                    ImageName::Dir {
                        explicit: path.clone(),
                        path,
                    }
                }
            };
            pairs.push(Pair {
                from: from.clone(),
                to,
                flags: group.flags.clone(),
            });
        }
        Ok(pairs)
    }

    /// Copies all images, those to one destination one after the other: the last one stays.
    async fn copy_all(&self, to: To, mut pairs: &[Pair]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(pairs.len());
        while !pairs.is_empty() {
            let mut taken = BTreeSet::new();
            let is_new = |pair: &&Pair| taken.insert(pair.to.to_string());
            let (now, later) = pairs.split_at(pairs.iter().take_while(is_new).count());
            outcomes.extend(self.copy(to, now).await);
            let has_failed = outcomes.iter().any(|o| matches!(o, Outcome::Failed(_)));
            if has_failed && !self.flags.keep_going {
                break;
            }
            pairs = later;
        }
        outcomes
    }

    fn copying(&self) -> Copying<'_> {
        Copying {
            host: self.host,
            screen: self.screen,
            flags: &self.flags.copy,
            trust: self.trust,
            signing: self.signing,
            skips_present: true,
        }
    }
}

fn docker_destination(text: &str) -> Done<ImageName> {
    ImageName::parse(&format!("docker://{text}")).map_err(|error| {
        Failure::new(format!(
            "Cannot obtain a valid image reference for transport \"docker\" and reference {}: {error}",
            hod_gotext::quote(format!("//{text}"))
        ))
    })
}
