//! Archives, unpacked by hand: only directories, plain files and links that stay inside come out, so much and no more.
//!
//! No container runs yet that could put a link in the way, and no link of an archive is there before all of its files
//! are: nothing is written through one.

use super::copy;
use super::rules::inside;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// What an `xz` archive may ask for to be unpacked, KiB: its largest preset needs less.
const XZ_MEMORY_KIB: u32 = 128 << 10;

/// No name or link target in an archive is longer, bytes.
const MAX_NAME: u64 = 64 << 10;

/// No archive has more entries: each costs the node an inode.
const MAX_ENTRIES: u32 = 200_000;

/// What headers and padding may take on top of the files, bytes.
const OVERHEAD: u64 = 256 << 20;

/// Why an archive cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It cannot be read, or not be written.
    #[error("{0}")]
    Io(io::Error),
    /// A name or a link in it leads out of the sandbox, or is in the way of another.
    #[error("its entry '{name}' {problem}")]
    Entry {
        /// Which.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It is too large.
    #[error("it takes more than the operator allows for one instance ([fetch] max_mib)")]
    TooLarge,
    /// It has too many entries.
    #[error("it has more than {MAX_ENTRIES} entries")]
    TooMany,
    /// It takes too long, or nobody waits any more.
    #[error("it takes longer than the operator allows ([fetch] timeout_s)")]
    TooLong,
}

/// What an instance may use up.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Bytes.
    pub(super) bytes_left: u64,
    /// Time.
    pub(super) deadline: Instant,
    /// Nobody waits any more.
    pub(super) called_off: CancellationToken,
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.called_off.is_cancelled() || Instant::now() > self.deadline { Err(Error::TooLong) } else { Ok(()) }
    }

    pub(super) fn take(&mut self, bytes: u64) -> Result<(), Error> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(Error::TooLarge)?;
        Ok(())
    }
}

/// What a file is packed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tar,
    TarGz,
    TarBz2,
    TarXz,
    Zip,
    Gz,
}

impl Kind {
    /// By the end of its name, as Mesos tells archives; nothing if it is none.
    pub(super) fn of(name: &Path) -> Option<Self> {
        let name = name.file_name()?.to_str()?;
        let ends: [(&str, Self); 10] = [
            (".tar.gz", Self::TarGz),
            (".tgz", Self::TarGz),
            (".tar.bz2", Self::TarBz2),
            (".tbz2", Self::TarBz2),
            (".tar.xz", Self::TarXz),
            (".txz", Self::TarXz),
            (".tar", Self::Tar),
            (".zip", Self::Zip),
            (".gz", Self::Gz),
            (".tbz", Self::TarBz2),
        ];
        ends.iter().find(|(end, _)| name.len() > end.len() && name.ends_with(end)).map(|it| it.1)
    }
}

/// Unpacks an archive into the sandbox; `.gz` alone becomes the file without that.
pub(super) fn unpack(kind: Kind, file: File, name: &Path, sandbox: &Path, limits: &mut Limits) -> Result<(), Error> {
    let file = BufReader::new(file);
    match kind {
        Kind::Tar => untar(file, sandbox, limits),
        Kind::TarGz => untar(flate2::bufread::MultiGzDecoder::new(file), sandbox, limits),
        Kind::TarBz2 => untar(bzip2::bufread::MultiBzDecoder::new(file), sandbox, limits),
        Kind::TarXz => untar(lzma_rust2::XzReader::new_mem_limit(file, true, XZ_MEMORY_KIB), sandbox, limits),
        Kind::Zip => unzip(file, sandbox, limits),
        Kind::Gz => {
            let inner = name.with_extension("");
            write(&mut flate2::bufread::MultiGzDecoder::new(file), &inner, sandbox, 0o644, limits)
        }
    }
}

/// Puts a file into the sandbox as it is.
pub(super) fn put(mut file: File, name: &Path, sandbox: &Path, mode: u32, limits: &mut Limits) -> Result<(), Error> {
    write(&mut file, name, sandbox, mode, limits)
}

/// What is to be made when all files are there.
#[derive(Default)]
struct Links {
    symbolic: Vec<(PathBuf, PathBuf)>,
    n_entries: u32,
}

impl Links {
    fn count(&mut self) -> Result<(), Error> {
        self.n_entries += 1;
        if self.n_entries > MAX_ENTRIES { Err(Error::TooMany) } else { Ok(()) }
    }

    /// Makes the links. Their targets are relative, go up no further than to the sandbox, and then only down: whatever
    /// they pass on the way down stays inside for the same reason.
    fn make(self, sandbox: &Path) -> Result<(), Error> {
        for (name, target) in self.symbolic {
            let wrong = |problem| Error::Entry { name: name.display().to_string(), problem };
            let (mut ups, mut downs) = (0, 0);
            for part in target.components() {
                match part {
                    Component::CurDir => {}
                    Component::Normal(_) => downs += 1,
                    Component::ParentDir if downs == 0 => ups += 1,
                    Component::ParentDir => return Err(wrong("is a link that goes down and up again")),
                    Component::RootDir | Component::Prefix(_) => return Err(wrong("is a link to an absolute path")),
                }
            }
            if ups >= name.components().count() {
                return Err(wrong("is a link that leads out of the sandbox"));
            }
            let path = room_for(&name, sandbox)?;
            symlink(&target, &path).map_err(Error::Io)?;
        }
        Ok(())
    }
}

/// Reads a `tar` archive. Long names are read here, as the library would read one of any length into memory.
fn untar(reader: impl Read, sandbox: &Path, limits: &mut Limits) -> Result<(), Error> {
    use tar::EntryType;
    let limited = reader.take(limits.bytes_left.saturating_add(OVERHEAD));
    let mut archive = tar::Archive::new(limited);
    let mut links = Links::default();
    let (mut long_name, mut long_target) = (None, None);
    for entry in archive.entries().map_err(Error::Io)?.raw(true) {
        let mut entry = entry.map_err(Error::Io)?;
        limits.check()?;
        links.count()?;
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName => {
                long_name = Some(text(&mut entry)?);
                continue;
            }
            EntryType::GNULongLink => {
                long_target = Some(text(&mut entry)?);
                continue;
            }
            EntryType::XHeader => {
                let content = text(&mut entry)?;
                for extension in tar::PaxExtensions::new(&content) {
                    let extension = extension.map_err(Error::Io)?;
                    let value = extension.value_bytes().to_vec();
                    match extension.key_bytes() {
                        b"path" => long_name = Some(value),
                        b"linkpath" => long_target = Some(value),
                        b"size" => return Err(Error::TooLarge),
                        _ => {}
                    }
                }
                continue;
            }
            EntryType::XGlobalHeader => continue,
            _ => {}
        }
        let name = path_of(long_name.take().unwrap_or_else(|| entry.header().path_bytes().into_owned()));
        let target = long_target.take().or_else(|| entry.header().link_name_bytes().map(std::borrow::Cow::into_owned));
        let wrong = |problem| Error::Entry { name: name.display().to_string(), problem };
        let mode = entry.header().mode().unwrap_or(0o644);
        let is_root = name.components().all(|it| it == Component::CurDir);
        match kind {
            EntryType::Directory if is_root => {}
            EntryType::Directory => make_dir(&clean(&name)?, sandbox, mode)?,
            EntryType::Regular | EntryType::Continuous => {
                write(&mut entry, &clean(&name)?, sandbox, mode, limits)?;
            }
            EntryType::Symlink => {
                links.symbolic.push((clean(&name)?, path_of(target.unwrap_or_default())));
            }
            EntryType::Link => {
                let target = clean(&path_of(target.unwrap_or_default()))?;
                link(&target, &clean(&name)?, sandbox)?;
            }
            EntryType::GNUSparse => return Err(wrong("is sparse; pack it without --sparse")),
            _ => return Err(wrong("is neither a file nor a directory nor a link")),
        }
    }
    if archive.into_inner().limit() == 0 {
        return Err(Error::TooLarge);
    }
    links.make(sandbox)
}

fn unzip(file: BufReader<File>, sandbox: &Path, limits: &mut Limits) -> Result<(), Error> {
    const TYPE: u32 = 0o170_000;
    let damaged = |it: zip::result::ZipError| Error::Io(io::Error::other(it));
    let mut archive = zip::ZipArchive::new(file).map_err(damaged)?;
    let mut links = Links::default();
    for n in 0..archive.len() {
        limits.check()?;
        links.count()?;
        let mut entry = archive.by_index(n).map_err(damaged)?;
        let given = PathBuf::from(entry.name().map_err(damaged)?.into_owned());
        let name = clean(&given)?;
        let mode = entry.unix_mode().unwrap_or(0o644);
        match mode & TYPE {
            0o120_000 => {
                let target = text(&mut entry)?;
                links.symbolic.push((name, path_of(target)));
            }
            _ if entry.is_dir() => make_dir(&name, sandbox, mode)?,
            0 | 0o100_000 => write(&mut entry, &name, sandbox, mode, limits)?,
            _ => {
                let problem = "is neither a file nor a directory nor a link";
                return Err(Error::Entry { name: given.display().to_string(), problem });
            }
        }
    }
    links.make(sandbox)
}

/// The whole of a name.
fn text(reader: &mut dyn Read) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    reader.take(MAX_NAME + 1).read_to_end(&mut bytes).map_err(Error::Io)?;
    if bytes.len() as u64 > MAX_NAME {
        return Err(Error::Io(io::Error::other("a name in it is too long")));
    }
    Ok(bytes)
}

fn path_of(mut bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    // GNU tar ends long names with a zero.
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

fn clean(name: &Path) -> Result<PathBuf, Error> {
    let problem = "leads out of the sandbox";
    inside(name).ok_or_else(|| Error::Entry { name: name.display().to_string(), problem })
}

/// What its owner may do with a file everybody in the container may: only the image knows who they are there. Never
/// more: `setuid` and the like are left out.
const fn open_mode(mode: u32) -> u32 {
    let owner = mode & 0o500;
    (mode & 0o777) | owner | owner >> 3 | owner >> 6
}

/// A directory, and those above it.
fn make_dir(name: &Path, sandbox: &Path, mode: u32) -> Result<(), Error> {
    let mut path = sandbox.to_owned();
    for part in name.components() {
        path.push(part);
        match fs::symlink_metadata(&path) {
            Ok(there) if there.is_dir() => {}
            Ok(_) => {
                let problem = "is below something that is no directory";
                return Err(Error::Entry { name: name.display().to_string(), problem });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().mode(0o700).create(&path).map_err(Error::Io)?;
                // Whatever the agent's own mask is.
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(Error::Io)?;
            }
            Err(error) => return Err(Error::Io(error)),
        }
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(open_mode(mode | 0o700))).map_err(Error::Io)
}

/// Where something of this name goes: its directory is there, and nothing else is.
fn room_for(name: &Path, sandbox: &Path) -> Result<PathBuf, Error> {
    if let Some(parent) = name.parent().filter(|it| !it.as_os_str().is_empty()) {
        let there = fs::symlink_metadata(sandbox.join(parent)).is_ok_and(|it| it.is_dir());
        if !there || passes_link(parent, sandbox) {
            make_dir(parent, sandbox, 0o755)?;
        }
    }
    let path = sandbox.join(name);
    match fs::symlink_metadata(&path) {
        Ok(there) if there.is_dir() => {
            Err(Error::Entry { name: name.display().to_string(), problem: "is in the place of a directory" })
        }
        // A later entry of one name is the one that counts, as for tar itself.
        Ok(_) => fs::remove_file(&path).map(|()| path).map_err(Error::Io),
        Err(_) => Ok(path),
    }
}

fn passes_link(name: &Path, sandbox: &Path) -> bool {
    let is_link = |it: &Path| fs::symlink_metadata(sandbox.join(it)).is_ok_and(|it| it.is_symlink());
    name.ancestors().filter(|it| !it.as_os_str().is_empty()).any(is_link)
}

fn write(from: &mut dyn Read, name: &Path, sandbox: &Path, mode: u32, limits: &mut Limits) -> Result<(), Error> {
    let path = room_for(name, sandbox)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(Error::Io)?;
    copy(from, &mut file, limits)?;
    file.set_permissions(fs::Permissions::from_mode(open_mode(mode))).map_err(Error::Io)
}

/// A second name of a file that came out before.
fn link(target: &Path, name: &Path, sandbox: &Path) -> Result<(), Error> {
    let there = sandbox.join(target);
    let is_file = fs::symlink_metadata(&there).is_ok_and(|it| it.is_file());
    if !is_file || passes_link(target, sandbox) {
        let problem = "is a link to something that is no file of the archive";
        return Err(Error::Entry { name: name.display().to_string(), problem });
    }
    if target == name {
        return Ok(());
    }
    fs::hard_link(there, room_for(name, sandbox)?).map_err(Error::Io)
}
