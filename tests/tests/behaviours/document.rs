//! Holds `docs/behaviours.md` to the tests of this folder.

use std::fmt::Write;
use std::path::{Path, PathBuf};

const BEGIN: &str =
    "<!-- What follows is written by a test: UPDATE_EXPECT=1 cargo test -p tests --test behaviours -->\n";
const END: &str = "<!-- What was written by a test ends here. -->\n";
/// So many behaviours are mirrored at least.
const AT_LEAST: usize = 250;

/// One of Marathon's suites, and what is mirrored of it.
struct Suite {
    name: String,
    behaviours: Vec<Behaviour>,
}

struct Behaviour {
    name: String,
    /// What Ekiden does instead, where it decides otherwise.
    better: Option<String>,
}

#[test]
fn the_document_lists_exactly_what_is_mirrored() {
    let suites = suites();
    let n: usize = suites.iter().map(|it| it.behaviours.len()).sum();
    assert!(n >= AT_LEAST, "only {n} behaviours are mirrored");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/behaviours.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("the document has a place for the list");
    let (_, after) = rest.split_once(END).expect("the list has an end");
    let expected = format!("{before}{BEGIN}\n{}\n{END}{after}", list(&suites));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, expected).unwrap();
    } else {
        assert!(document == expected, "docs/behaviours.md is not what is mirrored: run this with UPDATE_EXPECT=1");
    }
}

#[test]
fn suites_and_behaviours_are_read_from_sources() {
    let mut suites = Vec::new();
    let source = "//! X.\n\nmod a_b_test {\n    /// Better: more.\n    #[test]\n    fn it_is_so() {}\n\n    fn helper() {}\n\n    #[test]\n    fn and_so() {}\n}\n";
    read(source, &mut suites);
    assert_eq!(suites.len(), 1);
    let text = list(&suites);
    assert!(text.contains("| `ABTest` | 2 | it is so; and so |"), "{text}");
    assert!(text.contains("| `ABTest` | it is so | more. |"), "{text}");
}

fn suites() -> Vec<Suite> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/behaviours");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    let mut suites = Vec::new();
    for file in
        files.iter().filter(|it| !["document.rs", "main.rs", "tree.rs", "world.rs"].iter().any(|own| it.ends_with(own)))
    {
        read(&std::fs::read_to_string(file).unwrap(), &mut suites);
    }
    suites.sort_by(|a, b| a.name.cmp(&b.name));
    suites
}

/// Reads the suites of one file, as `cargo fmt` leaves it: modules at the margin, tests one step inside.
fn read(source: &str, suites: &mut Vec<Suite>) {
    let (mut better, mut is_test) = (None, false);
    for line in source.lines() {
        if let Some(module) = line.strip_prefix("mod ").and_then(|it| it.strip_suffix(" {")) {
            let words = module.split('_').map(|it| format!("{}{}", it[..1].to_uppercase(), &it[1..]));
            let name = words.collect();
            // The last one is the one that is being read; a suite may be told in several files.
            let there = suites.iter().position(|it: &Suite| it.name == name);
            let suite = there.map_or_else(|| Suite { name, behaviours: Vec::new() }, |n| suites.remove(n));
            suites.push(suite);
        } else if let Some(text) = line.strip_prefix("    /// Better: ") {
            better = Some(text.to_owned());
        } else if let Some(text) = line.strip_prefix("    /// ") {
            better = better.map(|it| format!("{it} {text}"));
        } else if line == "    #[test]" {
            is_test = true;
        } else if let Some(name) = line.strip_prefix("    fn ").and_then(|it| it.split('(').next()) {
            if let (true, Some(suite)) = (is_test, suites.last_mut()) {
                suite.behaviours.push(Behaviour { name: name.replace('_', " "), better: better.take() });
            }
            (better, is_test) = (None, false);
        }
    }
}

fn list(suites: &[Suite]) -> String {
    let n: usize = suites.iter().map(|it| it.behaviours.len()).sum();
    let mut text =
        format!("{n} behaviours of {} suites.\n\n| Suite | Mirrored | Behaviours |\n|---|---|---|\n", suites.len());
    for Suite { name, behaviours } in suites {
        let names: Vec<&str> = behaviours.iter().map(|it| it.name.as_str()).collect();
        let _ = writeln!(text, "| `{name}` | {} | {} |", names.len(), names.join("; "));
    }
    text.push_str(
        "\n## Better\n\nWhere Ekiden decides otherwise on purpose, the test of the name shows what it does.\n\n",
    );
    text.push_str("| Suite | Behaviour | Ekiden |\n|---|---|---|\n");
    for suite in suites {
        for it in &suite.behaviours {
            if let Some(better) = &it.better {
                let _ = writeln!(text, "| `{}` | {} | {better} |", suite.name, it.name);
            }
        }
    }
    text
}
