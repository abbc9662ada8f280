//! Upload sessions that outlive the program: a file for each, readable only by its owner, since
//! anyone who knows a session's location may upload there.
//!
//! ```text
//! DIR/<hex>.json   where the session is and how much the registry has
//! DIR/<hex>.lock   held by the run that uploads there, so that no other run continues it
//! ```
//!
//! Keeping sessions is optional: a failure here is reported once and does not fail an upload. The
//! registry checks everything that is read from these files.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Url;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::Repo;
use hod_fsx::{DirLock, LockMode};
use hod_oci::{Descriptor, Digest};
use hod_report::{Event, Reporter};

/// For how long a session is believed to be there, in seconds. Registries keep them for a week,
/// proxies with state for a day.
const AGE_MAX: u64 = 24 * 60 * 60;
/// The longest file that is read, in bytes.
const RECORD_LEN_MAX: u64 = 64 * 1024;

/// The sessions in one directory.
#[derive(Debug)]
pub(super) struct Kept {
    dir: PathBuf,
    swept: OnceCell<()>,
    has_warned: AtomicBool,
}

/// The right to keep the session of one upload.
#[derive(Debug)]
pub(super) struct Slot {
    path: PathBuf,
    repo: Repo,
    blob: (Digest, u64),
    _lock: DirLock,
}

/// A session of an earlier run.
#[derive(Debug)]
pub(super) struct KeptSession {
    pub(super) slot: Arc<Slot>,
    pub(super) location: Url,
    /// The number of bytes that the registry has.
    pub(super) offset: u64,
    pub(super) chunk_len_min: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    format: u32,
    registry: String,
    repository: String,
    digest: String,
    size: u64,
    offset: u64,
    chunk_len_min: u64,
    location: String,
    /// In seconds since 1970.
    saved_at: u64,
}

impl Kept {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            swept: OnceCell::new(),
            has_warned: AtomicBool::new(false),
        }
    }

    /// The session that an earlier run left, if it did and no other run is at it.
    pub(super) async fn find(
        &self,
        repo: &Repo,
        blob: &Descriptor,
        reporter: &Arc<dyn Reporter>,
    ) -> Option<KeptSession> {
        let slot = self.slot(repo, blob, reporter).await?;
        let result = hod_bridge::run(move || {
            let session = slot.read();
            (slot, session)
        });
        let (slot, session) = result.await;
        match session {
            Ok(record) => {
                let (location, record) = record?;
                Some(KeptSession {
                    slot,
                    location,
                    offset: record.offset,
                    chunk_len_min: record.chunk_len_min,
                })
            }
            Err(error) => self.warn(&error, reporter),
        }
    }

    /// The right to keep the session of an upload; `None` when another run has it.
    pub(super) async fn slot(
        &self,
        repo: &Repo,
        blob: &Descriptor,
        reporter: &Arc<dyn Reporter>,
    ) -> Option<Arc<Slot>> {
        let dir = self.dir.clone();
        let sweep = async || {
            let swept = hod_bridge::run(move || sweep(&dir, now())).await;
            if let Err(error) = swept {
                self.warn::<()>(&error, reporter);
            }
        };
        self.swept.get_or_init(sweep).await;
        let (dir, repo) = (self.dir.clone(), repo.clone());
        let blob = (blob.digest.clone(), blob.size);
        match hod_bridge::run(move || Slot::acquire(&dir, repo, blob)).await {
            Ok(slot) => slot.map(Arc::new),
            Err(error) => self.warn(&error, reporter),
        }
    }

    /// Writes down that the registry has `offset` bytes and waits at `location`.
    pub(super) async fn save(
        &self,
        slot: &Arc<Slot>,
        (location, offset, chunk_len_min): (&Url, u64, u64),
        reporter: &Arc<dyn Reporter>,
    ) {
        let record = Record {
            format: 1,
            registry: slot.repo.registry.to_string(),
            repository: slot.repo.name.to_string(),
            digest: slot.blob.0.to_string(),
            size: slot.blob.1,
            offset,
            chunk_len_min,
            location: location.to_string(),
            saved_at: now(),
        };
        let slot = Arc::clone(slot);
        if let Err(error) = hod_bridge::run(move || slot.write(&record)).await {
            self.warn::<()>(&error, reporter);
        }
    }

    /// Forgets a session that has ended.
    pub(super) async fn forget(&self, slot: Arc<Slot>, reporter: &Arc<dyn Reporter>) {
        if let Err(error) = hod_bridge::run(move || slot.remove()).await {
            self.warn::<()>(&error, reporter);
        }
    }

    fn warn<T>(&self, error: &hod_fsx::Error, reporter: &Arc<dyn Reporter>) -> Option<T> {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            let text = format!("the next run cannot resume uploads: {error}");
            reporter.event(Event::Warning { text: &text });
        }
        None
    }
}

impl Slot {
    fn acquire(
        dir: &std::path::Path,
        repo: Repo,
        blob: (Digest, u64),
    ) -> Result<Option<Self>, hod_fsx::Error> {
        hod_fsx::create_private_dir_all(dir)?;
        hod_fsx::make_own_dir(dir)?;
        let name = Digest::of(format!("{repo}@{}", blob.0).as_bytes());
        let path = dir.join(format!("{}.json", &name.hex()[..32]));
        let lock = DirLock::try_acquire(&path.with_extension("lock"), LockMode::Exclusive)?;
        Ok(lock.map(|lock| Self {
            path,
            repo,
            blob,
            _lock: lock,
        }))
    }

    /// The stored session, if it belongs to this upload and is valid.
    fn read(&self) -> Result<Option<(Url, Record)>, hod_fsx::Error> {
        let is_file = hod_fsx::try_stat(&self.path)?.is_some_and(|stat| stat.is_file);
        let bytes = is_file.then(|| hod_fsx::try_read(&self.path, RECORD_LEN_MAX));
        let Some(bytes) = bytes.transpose()?.flatten() else {
            return Ok(None);
        };
        let record: Option<Record> = serde_json::from_slice(&bytes).ok();
        Ok(record
            .filter(|record| {
                record.format == 1
                    && record.registry == self.repo.registry.to_string()
                    && record.repository == self.repo.name.to_string()
                    && record.digest == self.blob.0.to_string()
                    && record.size == self.blob.1
                    && (1..=record.size).contains(&record.offset)
                    && !is_old(record, now())
            })
            .and_then(|record| {
                let location: Url = record.location.parse().ok()?;
                let is_http = matches!(location.scheme(), "http" | "https");
                (is_http && location.host_str().is_some()).then_some((location, record))
            }))
    }

    fn write(&self, record: &Record) -> Result<(), hod_fsx::Error> {
        let bytes = serde_json::to_vec(record).expect("texts and numbers can be written as JSON");
        hod_fsx::write_private(&self.path, &bytes, hod_fsx::Durability::Deferred)
    }

    fn remove(&self) -> Result<(), hod_fsx::Error> {
        hod_fsx::remove_file(&self.path)?;
        hod_fsx::remove_file(&self.path.with_extension("lock"))
    }
}

/// Removes records that are too old or unreadable.
fn sweep(dir: &std::path::Path, now: u64) -> Result<(), hod_fsx::Error> {
    if hod_fsx::open_own_dir(dir)?.is_none() {
        return Ok(());
    }
    hod_fsx::sweep_private(dir)?;
    for name in hod_fsx::read_dir_names(dir)? {
        let path = dir.join(&name);
        // A file with another name is not ours.
        if !name.to_str().is_some_and(is_record_name) {
            continue;
        }
        let Some(stat) = hod_fsx::try_stat(&path)?.filter(|stat| stat.is_file) else {
            continue;
        };
        let record: Option<Record> = match hod_fsx::try_read(&path, RECORD_LEN_MAX) {
            Ok(Some(bytes)) => serde_json::from_slice(&bytes).ok(),
            Ok(None) => continue,
            Err(_) if stat.len > RECORD_LEN_MAX => None,
            Err(error) => return Err(error),
        };
        if record.is_some_and(|record| !is_old(&record, now)) {
            continue;
        }
        let lock = path.with_extension("lock");
        if let Some(_lock) = DirLock::try_acquire(&lock, LockMode::Exclusive)? {
            hod_fsx::remove_file(&path)?;
            hod_fsx::remove_file(&lock)?;
        }
    }
    Ok(())
}

/// Whether a file may be a record, by its name.
fn is_record_name(name: &str) -> bool {
    let stem = name.strip_suffix(".json");
    stem.is_some_and(|stem| stem.len() == 32 && stem.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether a record is too old, or of a time that has not come yet.
fn is_old(record: &Record, now: u64) -> bool {
    now.abs_diff(record.saved_at) > AGE_MAX
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "`tokio::test` gives each test a runtime of its own, and modes are looked at directly"
)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use hod_report::Recorder;

    fn repo(name: &str) -> Repo {
        Repo {
            registry: "harbor.corp:8443".parse().unwrap(),
            name: name.parse().unwrap(),
        }
    }

    fn blob(text: &str) -> Descriptor {
        Descriptor::new("x/y".into(), Digest::of(text.as_bytes()), 100)
    }

    fn names(dir: &std::path::Path) -> Vec<String> {
        let names = hod_fsx::read_dir_names(dir).unwrap();
        names
            .into_iter()
            .map(|name| name.into_string().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn a_session_is_found_again_by_one_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("state/uploads");
        let recorder = Arc::new(Recorder::default());
        let reporter: Arc<dyn Reporter> = Arc::clone(&recorder) as _;
        let location: Url = "https://harbor.corp/v2/a/b/blobs/uploads/1?_state=secret"
            .parse()
            .unwrap();
        let (first, second) = (Kept::new(dir.clone()), Kept::new(dir.clone()));
        let (app, layer) = (repo("a/app"), blob("layer"));
        assert!(first.find(&app, &layer, &reporter).await.is_none());
        let slot = first.slot(&app, &layer, &reporter).await.unwrap();
        first.save(&slot, (&location, 64, 7), &reporter).await;
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&dir) & 0o777, 0o700);
        assert_eq!(mode(&slot.path) & 0o777, 0o600);
        assert_eq!(mode(&slot.path.with_extension("lock")) & 0o777, 0o600);

        assert!(second.slot(&app, &layer, &reporter).await.is_none());
        assert!(second.find(&app, &layer, &reporter).await.is_none());
        assert!(
            second
                .find(&repo("a/other"), &layer, &reporter)
                .await
                .is_none()
        );
        assert!(second.find(&app, &blob("other"), &reporter).await.is_none());
        drop(slot);
        let found = second.find(&app, &layer, &reporter).await.unwrap();
        assert_eq!(found.location, location);
        assert_eq!((found.offset, found.chunk_len_min), (64, 7));
        second.forget(found.slot, &reporter).await;
        assert!(first.find(&app, &layer, &reporter).await.is_none());
        assert_eq!(recorder.lines(), [] as [&str; 0]);
        let left = names(&dir);
        assert!(!left.iter().any(|name| name.contains(".json")), "{left:?}");
    }

    #[tokio::test]
    async fn what_is_old_or_odd_is_not_believed_and_swept() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().to_owned();
        let reporter: Arc<dyn Reporter> = Arc::new(Recorder::default());
        let (app, layer) = (repo("a/app"), blob("layer"));
        let url: Url = "https://harbor.corp/u".parse().unwrap();
        let path = {
            let kept = Kept::new(dir.clone());
            let slot = kept.slot(&app, &layer, &reporter).await.unwrap();
            kept.save(&slot, (&url, 64, 0), &reporter).await;
            slot.path.clone()
        };
        let good = String::from_utf8(hod_fsx::read(&path, 10_000).unwrap()).unwrap();
        let saved_at = format!(r#""saved_at":{}"#, now());
        assert!(good.contains(&saved_at), "{good}");
        let is_found = async |text: &str| {
            hod_fsx::write_file(&path, text.as_bytes()).unwrap();
            let kept = Kept::new(dir.clone());
            kept.find(&app, &layer, &reporter).await.is_some()
        };
        assert!(is_found(&good).await);
        let old = format!(r#""saved_at":{}"#, now() - AGE_MAX - 1);
        for (what, with) in [
            (saved_at.as_str(), old.as_str()),
            (&saved_at, r#""saved_at":99999999999"#),
            (r#""offset":64"#, r#""offset":101"#),
            (r#""offset":64"#, r#""offset":0"#),
            (r#""format":1"#, r#""format":2"#),
            ("https://harbor.corp/u", "file:///etc/passwd"),
            (r#""size":100"#, r#""size":101"#),
            ("a/app", "a/other"),
            ("{", ""),
        ] {
            assert!(good.contains(what), "{what}");
            assert!(!is_found(&good.replacen(what, with, 1)).await, "{with}");
        }
        let huge = " ".repeat(100_000);
        hod_fsx::write_file(&dir.join("0a".repeat(16) + ".json"), huge.as_bytes()).unwrap();
        hod_fsx::write_file(&dir.join(".hod-killed"), b"{").unwrap();
        hod_fsx::write_file(&dir.join("notes.json"), b"precious").unwrap();
        hod_fsx::write_file(&path, good.replace(&saved_at, &old).as_bytes()).unwrap();
        sweep(&dir, now()).unwrap();
        assert_eq!(names(&dir), ["notes.json"]);
        let linked = dir.join("linked");
        std::os::unix::fs::symlink(&dir, &linked).unwrap();
        assert!(sweep(&linked, now()).is_err());
        hod_fsx::remove_file(&linked).unwrap();
        hod_fsx::remove_file(&dir.join("notes.json")).unwrap();
        hod_fsx::write_file(&path, good.as_bytes()).unwrap();
        sweep(&dir, now()).unwrap();
        assert_eq!(names(&dir).len(), 1);
        sweep(&dir.join("none"), now()).unwrap();
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_is_said_once() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        hod_fsx::write_file(&file, b"").unwrap();
        let kept = Kept::new(file.join("uploads"));
        let recorder = Arc::new(Recorder::default());
        let reporter: Arc<dyn Reporter> = Arc::clone(&recorder) as _;
        for _ in 0..2 {
            let found = kept.find(&repo("a/app"), &blob("x"), &reporter).await;
            assert!(found.is_none());
        }
        let lines = recorder.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("the next run cannot resume uploads"));
    }
}
