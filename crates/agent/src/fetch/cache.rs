//! Fetched files that are kept for the next instance: the oldest go first when there are too many.

use crate::dirs::private;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What is kept, by its URI.
#[derive(Clone)]
pub(super) struct Cache {
    dir: PathBuf,
    max_bytes: u64,
}

impl Cache {
    pub(super) fn new(dir: &Path, max_bytes: u64) -> Self {
        Self { dir: dir.to_owned(), max_bytes }
    }

    /// What was kept of this URI.
    pub(super) fn find(&self, uri: &str) -> Option<File> {
        let path = self.path(uri);
        // Two URIs of one sum are still two.
        let same = fs::read_to_string(path.with_extension("uri")).is_ok_and(|it| it == uri);
        let file = same.then(|| File::open(&path).ok()).flatten()?;
        let _ = file.set_modified(SystemTime::now());
        Some(file)
    }

    /// Keeps this file; a cache that cannot be written is none, and no reason to fail.
    pub(super) fn keep(&self, uri: &str, file: &Path) {
        if let Err(error) = self.try_keep(uri, file) {
            tracing::warn!(dir = %self.dir.display(), %error, "cannot keep a fetched file");
        }
    }

    fn try_keep(&self, uri: &str, file: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let path = self.path(uri);
        let name = path.with_extension("uri");
        // Without its name nothing is found: it goes first and comes last.
        let _ = fs::remove_file(&name);
        let _ = fs::remove_file(&path);
        // Another name of the same file costs no room; on another disk it is copied.
        fs::hard_link(file, &path).or_else(|_| fs::copy(file, &path).map(drop))?;
        private().create(true).truncate(true).write(true).open(&name)?.write_all(uri.as_bytes())?;
        self.shrink()
    }

    fn shrink(&self) -> io::Result<()> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let data = entry.metadata()?;
            if entry.path().extension().is_none() {
                kept.push((data.modified()?, data.len(), entry.path()));
            }
        }
        kept.sort();
        let mut total: u64 = kept.iter().map(|it| it.1).sum();
        for (_, size, path) in kept {
            if total <= self.max_bytes {
                break;
            }
            let _ = fs::remove_file(path.with_extension("uri"));
            fs::remove_file(path)?;
            total -= size;
        }
        Ok(())
    }

    fn path(&self, uri: &str) -> PathBuf {
        self.dir.join(format!("{:08x}", crc32fast::hash(uri.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_is_kept_is_found_until_there_is_too_much() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(&dir.path().join("cache"), 10);
        let put = |uri: &str, content: &str| {
            let file = dir.path().join("part");
            let _ = fs::remove_file(&file);
            fs::write(&file, content).unwrap();
            cache.keep(uri, &file);
        };
        let get = |uri: &str| {
            let mut text = String::new();
            cache.find(uri).map(|mut it| it.read_to_string(&mut text).map(|_| text.clone()).unwrap())
        };
        assert_eq!(get("a"), None);
        put("a", "1234");
        put("b", "5678");
        assert_eq!((get("a").as_deref(), get("b").as_deref()), (Some("1234"), Some("5678")));
        put("a", "new");
        assert_eq!(get("a").as_deref(), Some("new"));
        std::thread::sleep(std::time::Duration::from_millis(20));
        put("c", "abcdef");
        assert_eq!((get("b"), get("c").as_deref()), (None, Some("abcdef")), "the least used goes");
        fs::write(cache.path("c").with_extension("uri"), "other").unwrap();
        assert_eq!(get("c"), None, "another URI of the same sum");
    }
}
