//! Removes surplus content from a tree without losing anything.
//!
//! Content is removed only where another store, the origin, has it as well: a blob when the origin
//! has a name of the same inode or its own verified file; an index also when it can be made again
//! from what the origin has. Nothing is removed from a tree that contains further images.
//!
//! The tree is locked exclusively and the origin is locked shared. Every file is checked again
//! before it is removed: its path is walked without following links, and a blob is first renamed
//! away, which is undone when the origin's copy has disappeared meanwhile. Files that do not occur
//! in a finished tree are never touched.

mod lost;
mod planned;
mod proof;
mod removal;
mod retained;
mod shape;
mod surplus;

pub use lost::{Lost, WhyLost};
pub use removal::Removal;
pub(super) use removal::restore;
pub use retained::Retained;
pub use surplus::Surplus;

use super::{Store, StoreError};
use hod_fsx::TempDir;

/// Prefix of the directories that show whether a tree is its origin.
const PROBE: &str = "probe-";

impl Store {
    /// Refuses a tree that is `origin` under another name, which devices and inodes may not show
    /// (network mounts, overlays): a file created in one must not appear in the other.
    pub fn require_apart(&self, origin: &Self) -> Result<(), StoreError> {
        let dirs = |store: &Self| [store.tree().blobs(), store.tree().repositories()];
        for (ours, theirs) in dirs(self).into_iter().zip(dirs(origin)) {
            // Directories of killed runs.
            for name in hod_fsx::read_dir_names(&ours)? {
                if name.as_encoded_bytes().starts_with(PROBE.as_bytes()) {
                    hod_fsx::remove_dir_if_empty(&ours.join(name))?;
                }
            }
            let probe = TempDir::create_in(&ours, PROBE)?;
            let name = probe.path().file_name().unwrap_or_default();
            if hod_fsx::try_stat_link(&theirs.join(name))?.is_some() {
                return Err(StoreError::SameDirectory {
                    path: ours,
                    origin: origin.path().to_owned(),
                });
            }
            probe.remove()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Publication;
    use hod_bridge::Stop;
    use hod_fsx::Durability;
    use hod_oci::Digest;

    /// Puts an image of one layer under `a:1`; returns the digests of its parts.
    fn fill(store: &Store, seed: &str) -> Publication {
        let put = |bytes: &[u8]| {
            let digest = Digest::of(bytes);
            let mut writer = store.blob_writer(&digest).unwrap();
            writer.write(bytes).unwrap();
            writer.commit(Durability::Synced).unwrap();
            digest
        };
        let blob = put(seed.as_bytes());
        let size = seed.len();
        let entry = |kind: &str| {
            let media_type = format!("application/vnd.oci.image.{kind}");
            format!(r#"{{"mediaType":"{media_type}","digest":"{blob}","size":{size}}}"#)
        };
        let (config, layer) = (entry("config.v1+json"), entry("layer.v1.tar"));
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{config},"layers":[{layer}]}}"#
        );
        let top = put(text.as_bytes());
        let publication = Publication {
            repository: "a".parse().unwrap(),
            tag: Some(seed.parse().unwrap()),
            top: top.clone(),
            manifests: vec![top],
            blobs: vec![blob],
        };
        let images = std::slice::from_ref(&publication);
        store.publish(images, Durability::Deferred).unwrap();
        publication
    }

    #[test]
    fn a_blob_whose_copy_has_gone_is_put_back() {
        let root = TempDir::create_in(&std::env::temp_dir(), "hod-store-").unwrap();
        let store = |name: &str| Store::create(&root.path().join(name)).unwrap();
        let (origin, tree) = (store("origin"), store("tree"));
        for store in [&origin, &tree] {
            fill(store, "gone");
        }
        let kept = Retained::of(&[fill(&tree, "kept")]);
        let stop = Stop::default();
        let surplus = tree.surplus(&kept, &origin, &stop).unwrap();
        assert_eq!(surplus.lost(), []);
        assert_eq!(surplus.images()[0].to_string(), "a:gone");
        let blob = Digest::of(b"gone");
        hod_fsx::remove_file(&origin.blob_path(&blob)).unwrap();
        let error = surplus.remove(&stop).unwrap_err();
        assert!(matches!(error, StoreError::Changed { .. }), "{error}");
        assert_eq!(
            tree.read_blob(&blob, 9).unwrap().as_deref(),
            Some(&b"gone"[..])
        );
        // It is kept the next time, too, although no image references it.
        let surplus = tree.surplus(&kept, &origin, &stop).unwrap();
        assert_eq!(surplus.lost(), []);
        assert_eq!(surplus.left(), [tree.blob_path(&blob)]);
        let removal = surplus.remove(&stop).unwrap();
        assert_eq!(removal.left, [tree.blob_path(&blob)]);
        assert!(tree.blob_len(&blob).unwrap().is_some());
    }

    #[test]
    fn a_tree_is_probed_for_being_its_origin() {
        let root = TempDir::create_in(&std::env::temp_dir(), "hod-store-").unwrap();
        let store = |name: &str| Store::create(&root.path().join(name)).unwrap();
        let (origin, tree) = (store("origin"), store("tree"));
        tree.require_apart(&origin).unwrap();
        for dir in [tree.tree().blobs(), tree.tree().repositories()] {
            assert!(hod_fsx::read_dir_names(&dir).unwrap().is_empty());
        }
        let same = tree.require_apart(&Store::open(tree.path()).unwrap());
        let error = same.unwrap_err();
        assert!(matches!(error, StoreError::SameDirectory { .. }), "{error}");
    }

    #[test]
    fn one_store_may_be_open_alone() {
        let root = TempDir::create_in(&std::env::temp_dir(), "hod-store-").unwrap();
        let shared = Store::create(root.path()).unwrap();
        let refused = Store::create_alone(root.path()).unwrap_err();
        assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
        drop(shared);
        let (alone, _) = Store::create_alone(root.path()).unwrap();
        let refused = Store::create_alone(root.path()).unwrap_err();
        assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
        drop(alone);
        let held = Store::open(root.path()).unwrap().hold().unwrap();
        assert!(held.is_some());
        assert!(Store::create(root.path()).is_ok());
        assert!(Store::create_alone(root.path()).is_err());
        let inside = root.path().join("docker/registry/v2");
        assert!(Store::open(&inside).unwrap().hold().unwrap().is_some());
    }
}
