//! What the process says of a command line that is not complete.

use std::process::Command;

#[test]
fn an_incomplete_line_has_help_wherever_the_cluster_is_named() {
    for (line, expect) in
        [("app", "Usage: ekiden app [OPTIONS] <COMMAND>"), ("deploy", "Usage: ekiden deploy <FILE>...")]
    {
        let said = Command::new(env!("CARGO_BIN_EXE_ekiden")).arg(line).env("EKIDEN_URL", "http://a").output().unwrap();
        let text = String::from_utf8(said.stderr).unwrap();
        assert!(text.contains(expect) && !text.contains("was not provided"), "{line}: {text}");
        assert_eq!(said.status.code(), Some(64), "{line}");
    }
}
