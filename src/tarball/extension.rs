//! Headers that extend the next one: GNU's long names and pax records.

use tar::{EntryType, PaxExtensions};

/// The extended headers collected for the next member.
#[derive(Debug, Default)]
pub(super) struct Extension {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) len: Option<u64>,
    pub(super) is_sparse: bool,
}

/// An extension that cannot be read.
pub(super) struct Malformed;

impl Extension {
    /// Whether a member of this kind extends the next one (or all that follow).
    pub(super) fn is_one(kind: EntryType) -> bool {
        kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions()
    }

    /// Takes in the content of an extending member.
    pub(super) fn add(&mut self, kind: EntryType, content: &[u8]) -> Result<(), Malformed> {
        // In practice, global extensions contain comments only.
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        if kind.is_pax_local_extensions() {
            return self.add_pax(content);
        }
        let name = content.split(|&byte| byte == 0).next().unwrap_or_default();
        if kind.is_gnu_longname() {
            self.path = Some(name.to_owned());
        } else {
            self.link = Some(name.to_owned());
        }
        Ok(())
    }

    fn add_pax(&mut self, content: &[u8]) -> Result<(), Malformed> {
        for record in PaxExtensions::new(content) {
            let record = record.map_err(|_| Malformed)?;
            match record.key_bytes() {
                b"path" => self.path = Some(record.value_bytes().to_owned()),
                b"linkpath" => self.link = Some(record.value_bytes().to_owned()),
                b"size" => {
                    let len = record.value().ok().and_then(|text| text.parse().ok());
                    self.len = Some(len.ok_or(Malformed)?);
                }
                key if key.starts_with(b"GNU.sparse.") => self.is_sparse = true,
                _ => {}
            }
        }
        Ok(())
    }
}
