//! The image of the container that holds a pod's network: one static program, made here, that does nothing.
//!
//! No registry is asked and nothing is built: the program is 129 bytes on x86-64 and 148 on AArch64, an ELF header and
//! a loop around one system call that never returns (docs/decisions/0009-pods.md).

use super::{Docker, Error, WRITE_DEADLINE};
use bollard::query_parameters::CreateImageOptions;
use futures::TryStreamExt;

/// The image's name; another program would have another tag.
pub(super) const IMAGE: &str = "ekiden-pause:1";

/// Where the program is in the image.
pub(super) const PROGRAM: &str = "/pause";

/// `pause()` for ever: `mov eax, 34; syscall; jmp` back.
const X86_64: &[u8] = &[0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];

/// `ppoll(NULL, 0, NULL, NULL)` for ever, there being no `pause`: five registers, the number, `svc`, and back.
const AARCH64: [u32; 7] = [0xd280_0000, 0xd280_0001, 0xd280_0002, 0xd280_0003, 0xd280_0928, 0xd400_0001, 0x17ff_fffa];

/// An ELF file with this code and nothing else, for a machine's number in its header.
fn elf(machine: u16, code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let size = HEADERS + code.len() as u64;
    let mut file = Vec::with_capacity(size as usize);
    // 64 bits, little endian, version 1, System V.
    file.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // An executable, version 1, which begins behind the headers.
    file.extend(2u16.to_le_bytes());
    file.extend(machine.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend((BASE + HEADERS).to_le_bytes());
    // One program header right behind this one, no sections, no flags.
    file.extend(64u64.to_le_bytes());
    file.extend(0u64.to_le_bytes());
    file.extend(0u32.to_le_bytes());
    for number in [64u16, 56, 1, 0, 0, 0] {
        file.extend(number.to_le_bytes());
    }
    // All of the file is loaded, to be read and executed.
    file.extend(1u32.to_le_bytes());
    file.extend(5u32.to_le_bytes());
    for number in [0, BASE, BASE, size, size, 0x1000] {
        file.extend(number.to_le_bytes());
    }
    file.extend(code);
    file
}

/// The program for this machine, if there is one: agent and engine share it.
fn program(architecture: &str) -> Option<Vec<u8>> {
    match architecture {
        "x86_64" => Some(elf(62, X86_64)),
        "aarch64" => Some(elf(183, &AARCH64.iter().flat_map(|it| it.to_le_bytes()).collect::<Vec<u8>>())),
        _ => None,
    }
}

/// An archive of one executable file at the root (POSIX `ustar`).
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0u8; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000755\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|it| u32::from(*it)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend(content);
    archive.resize(archive.len().div_ceil(512) * 512 + 1024, 0);
    archive
}

impl Docker {
    /// Makes the image.
    pub(super) async fn make_pause_image(&self) -> Result<(), Error> {
        let architecture = std::env::consts::ARCH;
        let program = program(architecture).ok_or_else(|| Error::Refused {
            status: 501,
            message: format!("pods need an x86_64 or aarch64 machine, and this one is {architecture}"),
        })?;
        let archive = archive(PROGRAM.trim_start_matches('/'), &program);
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(IMAGE.to_owned()),
            message: Some("holds the network of a pod".to_owned()),
            changes: vec![format!("ENTRYPOINT [\"{PROGRAM}\"]"), "LABEL ekiden.pause=1".to_owned()],
            ..CreateImageOptions::default()
        };
        self.call("import", WRITE_DEADLINE, |it| async move {
            let body = bollard::body_full(archive.into());
            it.create_image(Some(options), Some(body), None).try_collect::<Vec<_>>().await.map(drop)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    #[test]
    fn the_program_of_this_machine_runs_and_does_not_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pause");
        std::fs::write(&file, program(std::env::consts::ARCH).unwrap()).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut child = Command::new(&file).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn the_other_machines_program_has_the_same_form() {
        let aarch64 = program("aarch64").unwrap();
        assert_eq!(aarch64[..20], [&elf(183, &[])[..18], &[183, 0]].concat()[..]);
        assert_eq!((aarch64.len(), program("x86_64").unwrap().len()), (148, 129));
        // The branch goes back to the first instruction, and the system call is number 73, `ppoll`.
        assert_eq!(AARCH64[6] & 0x03ff_ffff, 0x0400_0000 - 6);
        assert_eq!(AARCH64[4], 0xd280_0000 | 73 << 5 | 8);
        assert_eq!(program("riscv64"), None);
    }

    #[test]
    fn tar_reads_the_archive() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.tar");
        std::fs::write(&file, archive("pause", b"content")).unwrap();
        let output = Command::new("tar").arg("-tvf").arg(&file).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with("-rwxr-xr-x 0/0") && text.trim().ends_with("pause"), "{text}");
        let output = Command::new("tar").arg("-xOf").arg(&file).output().unwrap();
        assert_eq!(output.stdout, b"content");
    }
}
