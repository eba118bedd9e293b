//! Puts what `make ui` built, `ui/dist`, into the program, compressed.
//!
//! It calls no other program: where nothing was built there, the program says so in the UI's place.

use flate2::{Compression, GzBuilder};
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/dist");
    println!("cargo::rerun-if-changed={}", built.display());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let mut files = page(&built)?;
    files.extend(files_of(&built.join("assets"))?);
    files.sort();
    let mut table = "&[\n".to_owned();
    for (n, file) in files.iter().enumerate() {
        let content = fs::read(file)?;
        let packed = out.join(format!("ui-{n}.gz"));
        fs::write(&packed, pack(&content)?)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let (hash, packed) = (hash(&content), packed.display().to_string());
        let _ = writeln!(
            table,
            "    api::ui::Asset {{ name: {name:?}, hash: \"{hash}\", gzip: include_bytes!({packed:?}) }},"
        );
    }
    table.push(']');
    fs::write(out.join("ui.rs"), table)
}

/// The page; nothing where it was not built.
fn page(built: &Path) -> io::Result<Vec<PathBuf>> {
    let page = built.join("index.html");
    Ok(if page.try_exists()? { vec![page] } else { Vec::new() })
}

/// The files of a folder; none where it is not there.
fn files_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|it| Ok(it?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The same content gives the same bytes: no time stands in them.
fn pack(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}

/// Tells contents apart; it keeps no secret.
fn hash(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    format!("{:016x}", hasher.finish())
}
