//! Whole fetches from servers made up here, and archives that want out.

use super::*;
use cluster::ClusterId;
use std::io::Seek;
use std::os::unix::fs::{PermissionsExt, symlink};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

fn config(reach: Reach) -> FetchConfig {
    FetchConfig {
        enabled: true,
        uris: vec![],
        files: vec![],
        reach,
        ca_file: None,
        max_bytes: 1 << 20,
        timeout: Duration::from_secs(5),
        cache_bytes: 1 << 20,
    }
}

fn limits(bytes_left: u64) -> Limits {
    let deadline = Instant::now() + Duration::from_mins(1);
    Limits { bytes_left, deadline, called_off: CancellationToken::new() }
}

fn fetch(uri: &str) -> Fetch {
    Fetch { uri: uri.into(), extract: true, executable: false, cache: false, dest_path: None }
}

/// A server with these answers by path; counts what it was asked.
async fn server(answers: Vec<(&'static str, String)>) -> (String, tokio::sync::watch::Receiver<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (asked, count) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            asked.send_modify(|it| *it += 1);
            answer(stream, &answers).await;
        }
    });
    (address, count)
}

/// The same by TLS, as `localhost`, with a certificate of the CA that is [`CA`].
async fn tls_server(answers: Vec<(&'static str, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let certificates = CertificateDer::pem_slice_iter(include_bytes!("testdata/server.pem"));
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("testdata/server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(certificates, key);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, &answers).await;
            }
        }
    });
    format!("localhost:{port}")
}

const CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fetch/testdata/ca.pem");

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, answers: &[(&'static str, String)]) {
    let mut request = [0; 2048];
    let n = stream.read(&mut request).await.unwrap_or(0);
    let line = String::from_utf8_lossy(&request[..n]).into_owned();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = answers.iter().find(|it| it.0 == path).map(|it| it.1.clone());
    let answer = answer.unwrap_or("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into());
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn redirect_to(uri: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {uri}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

struct Desk {
    fetcher: Fetcher,
    sandbox: PathBuf,
    dir: tempfile::TempDir,
}

impl Desk {
    fn new(config: FetchConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(dir.path());
        let instance = InstanceId::derive(ClusterId(7), 1, 1);
        let sandbox = dirs.sandbox(instance, "");
        dirs.make_sandboxes(instance, std::slice::from_ref(&sandbox)).unwrap();
        let hands = (Hands::for_directories(), Hands::for_files(config.timeout));
        Self { fetcher: Fetcher::new(config, dirs, "127.0.0.1", hands.0, hands.1), sandbox, dir }
    }

    async fn fetch(&self, fetches: &[Fetch]) -> Result<Vec<String>, String> {
        let told = std::sync::Mutex::new(Vec::new());
        let instance = InstanceId::derive(ClusterId(7), 1, 1);
        let progress = |it: String| told.lock().unwrap().push(it);
        let start = Start { instance, abandoned: &CancellationToken::new(), progress: &progress };
        let done = self.fetcher.fetch_all(&[(self.sandbox.clone(), fetches)], &start).await;
        done.map_err(|it| it.to_string())?;
        Ok(told.into_inner().unwrap())
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.sandbox.join(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        std::fs::metadata(self.sandbox.join(name)).unwrap().permissions().mode() & 0o7777
    }
}

#[tokio::test]
async fn files_come_from_servers_under_their_names_and_are_kept_where_wanted() {
    let (address, asked) = server(vec![
        ("/a/run.sh?key=secret", ok("echo hello")),
        ("/moved", redirect_to("/a/run.sh?key=secret")),
        ("/data", ok("data")),
    ])
    .await;
    let desk = Desk::new(config(Reach::Any));
    let uri = |path: &str| format!("http://{address}{path}");
    let run = Fetch { executable: true, ..fetch(&uri("/a/run.sh?key=secret")) };
    let moved = Fetch { dest_path: Some("sub/dir/moved".into()), ..fetch(&uri("/moved")) };
    let told = desk.fetch(&[run, moved]).await.unwrap();
    assert_eq!(told[0], format!("fetching http://{address}/a/run.sh"), "without what may be secret");
    assert_eq!((desk.text("run.sh").as_str(), desk.mode("run.sh")), ("echo hello", 0o755));
    assert_eq!((desk.text("sub/dir/moved").as_str(), desk.mode("sub/dir/moved")), ("echo hello", 0o644));

    let before = *asked.borrow();
    let kept = Fetch { cache: true, ..fetch(&uri("/data")) };
    desk.fetch(std::slice::from_ref(&kept)).await.unwrap();
    desk.fetch(std::slice::from_ref(&kept)).await.unwrap();
    assert_eq!((*asked.borrow(), desk.text("data").as_str()), (before + 1, "data"), "the second comes from here");
    let left: Vec<_> = std::fs::read_dir(desk.sandbox.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "no part of a download is left: {left:?}");
}

#[tokio::test]
async fn https_is_verified_and_a_ca_of_one_s_own_is_trusted_where_it_is_named() {
    let address = tls_server(vec![("/data", ok("data")), ("/moved", redirect_to("/data"))]).await;
    let uri = |path: &str| fetch(&format!("https://{address}{path}"));
    let refused = Desk::new(config(Reach::Any)).fetch(&[uri("/data")]).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer") && refused.contains(&address), "{refused}");

    let trusting = FetchConfig { ca_file: Some(CA.into()), ..config(Reach::Any) };
    let desk = Desk::new(trusting.clone());
    let moved = Fetch { dest_path: Some("moved".into()), ..uri("/moved") };
    desk.fetch(&[uri("/data"), moved]).await.unwrap();
    assert_eq!((desk.text("data").as_str(), desk.text("moved").as_str()), ("data", "data"));
    let elsewhere = fetch(&format!("https://{}/data", address.replace("localhost", "127.0.0.1")));
    let refused = desk.fetch(&[elsewhere]).await.unwrap_err();
    assert!(refused.contains("not valid for name"), "the certificate is another's: {refused}");

    let gone = FetchConfig { ca_file: Some("/nonexistent/ca.pem".into()), ..trusting };
    let refused = Desk::new(gone).fetch(&[uri("/data")]).await.unwrap_err();
    assert!(refused.contains("/nonexistent/ca.pem: No such file"), "{refused}");
}

#[tokio::test]
async fn nothing_is_fetched_from_where_it_is_not_allowed() {
    let (metadata, asked) = server(vec![("/keys", ok("secret"))]).await;
    let (outside, _) = server(vec![
        ("/in", redirect_to(&format!("http://{metadata}/keys"))),
        ("/link-local", redirect_to("http://169.254.169.254/latest")),
        ("/file", redirect_to("file:///etc/passwd")),
        ("/loop", redirect_to("/loop")),
        ("/large", ok(&"x".repeat(2 << 20))),
        ("/endless", format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(2 << 20))),
    ])
    .await;
    let public = Desk::new(config(Reach::Public));
    for uri in [format!("http://{metadata}/keys"), format!("http://localhost:{}/keys", &metadata[10..])] {
        let error = public.fetch(&[fetch(&uri)]).await.unwrap_err();
        assert!(error.contains("which this node may not fetch from: it is the node's own"), "{error}");
    }
    let prefixed = Desk::new(FetchConfig { uris: vec![format!("http://{outside}/")], ..config(Reach::Private) });
    for (path, expect) in [
        ("/in", "is not among what this node may fetch"),
        ("/link-local", "is not among what this node may fetch"),
        ("/file", "it redirects to something else"),
        ("/loop", "it redirects too often"),
        ("/large", "more than the 1048576 bytes"),
        ("/endless", "more than the 1048576 bytes"),
        ("/none", "answered 404"),
    ] {
        let error = prefixed.fetch(&[fetch(&format!("http://{outside}{path}"))]).await.unwrap_err();
        assert!(error.contains(expect), "{path}: {error}");
    }
    let own = Desk::new(config(Reach::Private)).fetch(&[fetch(&format!("http://{outside}/none"))]).await.unwrap_err();
    assert!(own.contains("it is the node's own"), "{own}");
    let any = Desk::new(config(Reach::Any));
    let error = any.fetch(&[fetch(&format!("http://{outside}/link-local"))]).await.unwrap_err();
    assert!(error.contains("169.254.169.254, which this node may not fetch from"), "{error}");
    assert_eq!(*asked.borrow(), 0, "nobody came to the inner server");
    let off = Desk::new(FetchConfig { enabled: false, ..config(Reach::Any) });
    let error = off.fetch(&[fetch("http://a.example/b")]).await.unwrap_err();
    assert!(error.contains("[fetch] enabled is not set"), "{error}");
}

#[tokio::test]
async fn files_of_the_node_come_from_allowed_directories_and_no_link_leads_elsewhere() {
    let allowed = tempfile::tempdir().unwrap();
    std::fs::write(allowed.path().join("a.txt"), "a").unwrap();
    symlink("/etc/passwd", allowed.path().join("link")).unwrap();
    let desk = Desk::new(FetchConfig { files: vec![allowed.path().to_owned()], ..config(Reach::Public) });
    let path = |name: &str| allowed.path().join(name).display().to_string();
    desk.fetch(&[fetch(&format!("file://{}", path("a.txt")))]).await.unwrap();
    assert_eq!(desk.text("a.txt"), "a");
    for uri in [format!("file://{}", path("link")), path("link"), "file:///etc/passwd".into(), path("../x")] {
        let error = desk.fetch(&[fetch(&uri)]).await.unwrap_err();
        assert!(error.contains("is not below a directory") || error.contains("No such file"), "{uri}: {error}");
    }
    let error = desk.fetch(&[fetch(&allowed.path().display().to_string())]).await.unwrap_err();
    assert!(error.contains("it is no plain file"), "{error}");
}

/// What goes into an archive: a kind, a name, and content or target.
type Entry = (tar::EntryType, &'static str, &'static str);

fn tarred(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o4750);
        // As a hostile packer writes it: unchecked.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        let data = if kind.is_file() { content.as_bytes() } else { &[] };
        if !kind.is_file() {
            header.as_gnu_mut().unwrap().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        header.set_size(data.len() as u64);
        header.set_cksum();
        builder.append(&header, data).unwrap();
    }
    builder.into_inner().unwrap()
}

fn zipped(entries: &[(&str, &str, Option<u32>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content, mode) in entries {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(mode.unwrap_or(0o644));
        if *mode == Some(0o120_777) {
            writer.add_symlink(*name, *content, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

fn unpacked(name: &str, bytes: &[u8], max_bytes: u64) -> (tempfile::TempDir, Result<(), archive::Error>) {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = dir.path().join("sandbox");
    std::fs::create_dir(&sandbox).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    let result =
        archive::unpack(Kind::of(Path::new(name)).unwrap(), file, Path::new(name), &sandbox, &mut limits(max_bytes));
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is beside the sandbox");
    (dir, result)
}

#[test]
fn archives_of_every_kind_are_unpacked() {
    use tar::EntryType::{Directory, Link, Regular, Symlink};
    let plain = tarred(&[
        (Directory, "./", ""),
        (Directory, "bin", ""),
        (Regular, "bin/run", "run"),
        (Link, "bin/again", "bin/run"),
        (Symlink, "lib/latest", "../bin/run"),
        (Regular, "./deep/er/file", "deep"),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.tar");
    std::fs::write(&file, &plain).unwrap();
    let packed = |program: &str| {
        let output = std::process::Command::new(program).arg("-c").arg(&file).output().unwrap();
        assert!(output.status.success(), "{program}");
        output.stdout
    };
    for (name, bytes) in [
        ("a.tar", plain.clone()),
        ("a.tgz", packed("gzip")),
        ("a.tar.gz", packed("gzip")),
        ("a.tbz2", packed("bzip2")),
        ("a.tar.bz2", packed("bzip2")),
        ("a.txz", packed("xz")),
        ("a.tar.xz", packed("xz")),
    ] {
        let (dir, result) = unpacked(name, &bytes, 1 << 20);
        result.expect(name);
        let at = |path: &str| dir.path().join("sandbox").join(path);
        for (path, expect) in
            [("bin/run", "run"), ("bin/again", "run"), ("lib/latest", "run"), ("deep/er/file", "deep")]
        {
            assert_eq!(std::fs::read_to_string(at(path)).unwrap(), expect, "{name} {path}");
        }
        let mode = std::fs::metadata(at("bin/run")).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o755, "what the owner may everybody may, and no more");
    }
    let (dir, result) = unpacked("a.zip", &zipped(&[("d/a", "a", None), ("l", "d/a", Some(0o120_777))]), 1 << 20);
    result.unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("sandbox/l")).unwrap(), "a");
    let (dir, result) = unpacked("a.tar.copy.gz", &packed("gzip"), 1 << 20);
    result.unwrap();
    assert_eq!(std::fs::read(dir.path().join("sandbox/a.tar.copy")).unwrap(), plain);
    assert_eq!([Kind::of(Path::new("a.txt")), Kind::of(Path::new(".gz")), Kind::of(Path::new("a.TGZ"))], [None; 3]);
}

#[test]
fn names_of_any_length_are_read_and_none_fills_the_memory() {
    let long = format!("{}/file", "d".repeat(150));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    builder.append_data(&mut header, &long, &b"long"[..]).unwrap();
    let (dir, result) = unpacked("a.tar", &builder.into_inner().unwrap(), 1 << 20);
    result.unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("sandbox").join(long)).unwrap(), "long");
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(10 << 30);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.resize(200 << 10, b'x');
    let error = unpacked("a.tar", &bytes, 1 << 20).1.unwrap_err().to_string();
    assert_eq!(error, "a name in it is too long");
}

#[test]
fn nothing_gets_out_of_the_sandbox() {
    use tar::EntryType::{Block, Char, Directory, Fifo, Link, Regular, Symlink};
    let hostile: [(&[Entry], &str); 14] = [
        (&[(Regular, "../out", "x")], "leads out of the sandbox"),
        (&[(Regular, "a/../../out", "x")], "leads out of the sandbox"),
        (&[(Regular, "/etc/out", "x")], "leads out of the sandbox"),
        (&[(Directory, "../out", "")], "leads out of the sandbox"),
        (&[(Symlink, "l", "/etc/passwd")], "is a link to an absolute path"),
        (&[(Symlink, "l", "../out")], "is a link that leads out of the sandbox"),
        (&[(Symlink, "a/b/l", "../../../out")], "is a link that leads out of the sandbox"),
        (&[(Directory, "d", ""), (Symlink, "d/l", ".."), (Symlink, "m", "d/l/../../out")], "goes down and up again"),
        (&[(Link, "l", "/etc/passwd")], "leads out of the sandbox"),
        (&[(Link, "l", "../out")], "leads out of the sandbox"),
        (&[(Link, "l", "none")], "is no file of the archive"),
        (&[(Fifo, "f", "")], "is neither a file nor a directory nor a link"),
        (&[(Char, "c", "")], "is neither a file nor a directory nor a link"),
        (&[(Block, "b", "")], "is neither a file nor a directory nor a link"),
    ];
    for (entries, expect) in hostile {
        let error = unpacked("a.tar", &tarred(entries), 1 << 20).1.unwrap_err().to_string();
        assert!(error.contains(expect), "{entries:?}: {error}");
    }
    // What is written below a link's name is written before the link is made, to a directory; the link has no room then.
    let through = tarred(&[(Symlink, "l", "d"), (Directory, "d", ""), (Regular, "l/file", "x")]);
    let error = unpacked("a.tar", &through, 1 << 20).1.unwrap_err().to_string();
    assert!(error.contains("is in the place of a directory"), "{error}");
    for entries in [
        vec![("../out", "x", None)],
        vec![("/etc/out", "x", None)],
        vec![("l", "../out", Some(0o120_777))],
        vec![("l", "/etc/passwd", Some(0o120_777))],
    ] {
        let error = unpacked("a.zip", &zipped(&entries), 1 << 20).1.unwrap_err().to_string();
        assert!(error.contains("out of the sandbox") || error.contains("absolute path"), "{entries:?}: {error}");
    }
}

#[test]
fn a_second_archive_does_not_write_through_the_first_one_s_links() {
    use tar::EntryType::{Link, Regular, Symlink};
    let dir = tempfile::tempdir().unwrap();
    let put = |bytes: Vec<u8>| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file.rewind().unwrap();
        archive::unpack(Kind::Tar, file, Path::new("a.tar"), dir.path(), &mut limits(1 << 20))
    };
    put(tarred(&[(Regular, "d/f", "f"), (Symlink, "l", "d")])).unwrap();
    for entry in [(Regular, "l/new", "x"), (Link, "new", "l/f"), (Symlink, "l/new", "f")] {
        let error = put(tarred(&[entry])).unwrap_err().to_string();
        assert!(error.contains("no directory") || error.contains("no file of the archive"), "{entry:?}: {error}");
    }
    put(tarred(&[(Regular, "l", "now a file")])).unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("d/f")).unwrap(), "f");
}

#[test]
fn a_bomb_ends_at_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let zeros = vec![0u8; 4 << 20];
    let file = dir.path().join("zeros");
    std::fs::write(&file, &zeros).unwrap();
    let gz = std::process::Command::new("gzip").arg("-c").arg(&file).output().unwrap().stdout;
    assert!(gz.len() < 10_000);
    let big = zipped(&[("zeros", std::str::from_utf8(&zeros).unwrap(), None)]);
    for (name, bytes) in [("zeros.gz", gz), ("zeros.zip", big)] {
        let error = unpacked(name, &bytes, 1 << 20).1.unwrap_err();
        assert!(matches!(error, archive::Error::TooLarge), "{name}: {error}");
    }
    let called_off =
        Limits { deadline: Instant::now().checked_sub(Duration::from_secs(1)).unwrap(), ..limits(1 << 20) };
    let place = archive::put(File::open(&file).unwrap(), Path::new("f"), dir.path(), 0o644, &mut { called_off });
    assert!(matches!(place, Err(archive::Error::TooLong)));
}

#[tokio::test]
async fn damaged_archives_are_said_to_be_damaged() {
    let allowed = tempfile::tempdir().unwrap();
    let desk = Desk::new(FetchConfig { files: vec![allowed.path().to_owned()], ..config(Reach::Public) });
    for name in ["a.tgz", "a.zip", "a.txz", "a.tbz2", "a.tar", "a.gz"] {
        let path = allowed.path().join(name);
        std::fs::write(&path, "this is no archive at all, only some text".repeat(40)).unwrap();
        let error = desk.fetch(&[fetch(&path.display().to_string())]).await.unwrap_err();
        assert!(error.starts_with(&format!("cannot unpack {}: ", path.display())), "{error}");
    }
    assert!(desk.dir.path().exists());
}
