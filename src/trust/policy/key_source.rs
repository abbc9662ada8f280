//! Where a requirement has its keys from.

use std::path::Path;

use crate::strict_json::{JsonError, array, bytes, string};

/// Files, or their content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeySource {
    Paths(Vec<String>),
    Data(Vec<Vec<u8>>),
}

impl KeySource {
    /// Returns the content of all files. Blocks.
    pub(super) fn load(&self, len_max: u64) -> Result<Vec<Vec<u8>>, hod_fsx::Error> {
        match self {
            Self::Paths(paths) => {
                let paths = paths.iter();
                paths
                    .map(|path| hod_fsx::read(Path::new(path), len_max))
                    .collect()
            }
            Self::Data(data) => Ok(data.clone()),
        }
    }
}

/// The fields of which one may be given: `xPath`, `xPaths`, `xData` and `xDatas`.
#[derive(Debug, Default)]
pub(super) struct KeyFields {
    /// How many of them were there.
    pub(super) n_given: usize,
    /// Those that have a value; an empty path is none.
    sources: Vec<KeySource>,
}

impl KeyFields {
    pub(super) fn path(&mut self, json: &str) -> Result<(), JsonError> {
        let path = string(json)?;
        self.push((!path.is_empty()).then(|| KeySource::Paths(vec![path])));
        Ok(())
    }

    pub(super) fn paths(&mut self, json: &str) -> Result<(), JsonError> {
        self.push(array(json, string)?.map(KeySource::Paths));
        Ok(())
    }

    pub(super) fn data(&mut self, json: &str) -> Result<(), JsonError> {
        self.push(bytes(json)?.map(|data| KeySource::Data(vec![data])));
        Ok(())
    }

    pub(super) fn datas(&mut self, json: &str) -> Result<(), JsonError> {
        let data = array(json, |json| Ok(bytes(json)?.unwrap_or_default()))?;
        self.push(data.map(KeySource::Data));
        Ok(())
    }

    fn push(&mut self, source: Option<KeySource>) {
        self.n_given += 1;
        self.sources.extend(source);
    }

    /// The number of those that have a value.
    pub(super) fn n_sources(&self) -> usize {
        self.sources.len()
    }

    /// Returns the only source.
    pub(super) fn into_only(mut self) -> Option<KeySource> {
        let last = self.sources.pop();
        last.filter(|_| self.sources.is_empty())
    }
}
