//! What must stay true of the repository itself: who may depend on whom, and what no source may contain.
//!
//! Each rule is a function from what it reads to what it finds wrong, so that a planted fault can show
//! that it finds anything at all. The rules' own examples are put together by `concat!`, or they would
//! break the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The house: each crate, and the crates of the workspace that it may and does depend on.
/// `tests` is not listed, it may know everything; `demo-app` is deployed, not linked.
const EDGES: [(&str, &[&str]); 8] = [
    ("cluster", &[]),
    ("api", &["cluster"]),
    ("scheduler", &["api", "cluster"]),
    ("agent", &["api", "cluster", "consul-agent"]),
    ("ctl", &["api"]),
    ("consul-agent", &[]),
    ("ekiden", &["agent", "api", "ctl", "scheduler"]),
    ("demo-app", &[]),
];

/// Crates with the right to name a library, as in `deny.toml`.
const OWNERS: [(&str, &[&str]); 4] = [
    ("bollard", &["agent", "tests"]),
    ("consulrs", &["consul-agent"]),
    ("reqwest", &["consul-agent"]),
    ("raft", &["scheduler"]),
];

/// What decisions must not reach, at any depth.
const IMPURE: [&str; 7] = ["tokio", "raft", "bollard", "consulrs", "axum", "hyper", "tracing"];

/// Marks of unfinished work. The first three count only as whole words.
const UNFINISHED: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
];

/// Hosts of package registries: where a machine gets its packages from is for the machine to say.
const REGISTRIES: [&str; 10] = [
    concat!("crates", ".io"),
    concat!("deb.debian", ".org"),
    concat!("security.debian", ".org"),
    concat!("snapshot.debian", ".org"),
    concat!("archive.ubuntu", ".com"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("proxy.golang", ".org"),
];

#[test]
fn crate_edges_are_those_of_the_house() {
    assert_eq!(wrong_edges(&packages(&metadata())), NOTHING);
}

#[test]
fn libraries_stay_with_their_owners() {
    assert_eq!(wrong_owners(&packages(&metadata())), NOTHING);
}

#[test]
fn decisions_reach_no_effects() {
    assert_eq!(impure(&reach(&metadata(), "cluster")), NOTHING);
}

#[test]
fn no_module_needs_itself() {
    assert_eq!(circles(&sources()), NOTHING);
}

#[test]
fn programs_and_tests_are_one_build() {
    assert_eq!(built_twice(&features("normal,build"), &features("normal,build,dev")), NOTHING);
}

#[test]
fn every_source_opens_with_its_purpose() {
    assert_eq!(over_sources(without_purpose), NOTHING);
}

#[test]
fn no_test_is_ignored_without_a_reason() {
    assert_eq!(over_sources(ignored_without_reason), NOTHING);
}

#[test]
fn nothing_is_left_unfinished() {
    assert_eq!(over_sources(unfinished), NOTHING);
}

#[test]
fn no_file_names_a_package_registry() {
    assert_eq!(over_sources(names_a_registry), NOTHING);
}

#[test]
fn the_ui_is_built_of_little_and_of_the_same_each_time() {
    let file = std::fs::read_to_string(root().join("ui/package.json")).expect("the UI's packages");
    assert_eq!(loose_packages(&serde_json::from_str(&file).expect("JSON")), NOTHING);
}

const NOTHING: [String; 0] = [];

/// A crate of the workspace: its name and all it names as dependencies, of whatever kind.
struct Package {
    name: String,
    dependencies: BTreeSet<String>,
}

fn wrong_edges(packages: &[Package]) -> Vec<String> {
    let members: BTreeSet<_> = packages.iter().map(|package| package.name.as_str()).collect();
    let house = BTreeMap::from(EDGES);
    let mut wrong = Vec::new();
    for package in packages.iter().filter(|package| package.name != "tests") {
        let Some(allowed) = house.get(package.name.as_str()) else {
            wrong.push(format!("crate {} has no place in the house", package.name));
            continue;
        };
        let allowed: BTreeSet<_> = allowed.iter().copied().collect();
        let actual: BTreeSet<_> = package.dependencies.iter().map(String::as_str).collect();
        // To its own integration tests a crate shows what they are made of by depending on itself.
        let actual: BTreeSet<_> = actual.intersection(&members).copied().filter(|it| *it != package.name).collect();
        wrong.extend(actual.difference(&allowed).map(|it| format!("{} must not depend on {it}", package.name)));
        wrong.extend(allowed.difference(&actual).map(|it| format!("{} no longer depends on {it}", package.name)));
    }
    for name in house.keys().filter(|name| !members.contains(*name)) {
        wrong.push(format!("crate {name} is gone"));
    }
    wrong
}

fn wrong_owners(packages: &[Package]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (library, owners) in OWNERS {
        for package in packages {
            if package.dependencies.contains(library) && !owners.contains(&package.name.as_str()) {
                wrong.push(format!("{} names {library}, which is for {owners:?}", package.name));
            }
        }
    }
    wrong
}

/// Returns the packages that the tests want otherwise than the programs: `cargo test` builds them, and all that is made of
/// them, once more. The features are to be asked for in `tests/Cargo.toml`.
fn built_twice(
    programs: &BTreeMap<String, BTreeSet<String>>,
    tests: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<String> {
    let otherwise = programs.iter().filter(|(package, features)| tests.get(*package) != Some(*features));
    otherwise
        .map(|(package, features)| format!("{package}: {features:?}, for tests {:?}", tests.get(package)))
        .collect()
}

fn impure(reached: &BTreeSet<String>) -> Vec<String> {
    IMPURE
        .iter()
        .filter(|library| reached.contains(**library))
        .map(|library| format!("decisions reach {library}"))
        .collect()
}

/// Which modules of one crate need each other in a circle, taking a module and all below it as one.
fn circles(files: &[File]) -> Vec<String> {
    let mut needs: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for file in files.iter().filter(|it| it.is("rs")) {
        let Some((name, path)) = file.path.strip_prefix("crates/").and_then(|it| it.split_once("/src/")) else {
            continue;
        };
        let module = path.split(['/', '.']).next().unwrap_or_default();
        // What only tests need is no part of the house, and the root names everything.
        if !path.contains("test") && !matches!(module, "lib" | "main") {
            needs.entry((name, module)).or_default().extend(named(&file.text));
        }
    }
    let mut found = BTreeSet::new();
    for (name, module) in needs.keys() {
        let reached = |from: &str| {
            let (mut open, mut seen) = (vec![from.to_owned()], BTreeSet::new());
            while let Some(it) = open.pop() {
                for it in needs.get(&(*name, it.as_str())).into_iter().flatten().filter(|next| **next != it) {
                    if seen.insert(*it) {
                        open.push((*it).to_owned());
                    }
                }
            }
            seen
        };
        let round: Vec<_> = reached(module).into_iter().filter(|it| reached(it).contains(module)).collect();
        if round.len() > 1 {
            found.insert(format!("{name}: {}", round.join(", ")));
        }
    }
    found.into_iter().collect()
}

/// The modules of its own crate that a source names, outside of its tests and of its comments.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1)).filter_map(|rest| {
        let end = rest.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(rest.len());
        Some(&rest[..end]).filter(|it| !it.is_empty())
    })
}

fn without_purpose(file: &File) -> Vec<String> {
    let bare = file.is("rs") && !file.text.starts_with("//! ");
    if bare { vec![format!("{}:1: opens without `//!`", file.path)] } else { vec![] }
}

fn ignored_without_reason(file: &File) -> Vec<String> {
    let bare = concat!("#[", "ignore]");
    if file.is("rs") { file.lines_with(|line| line.contains(bare), "ignored without a reason") } else { vec![] }
}

fn unfinished(file: &File) -> Vec<String> {
    let marked = |line: &str| {
        let (words, calls) = UNFINISHED.split_at(3);
        words.iter().any(|word| has_word(line, word)) || calls.iter().any(|call| line.contains(call))
    };
    // Prose may speak about unfinished work.
    if file.is("md") { vec![] } else { file.lines_with(marked, "left unfinished") }
}

fn names_a_registry(file: &File) -> Vec<String> {
    let index = concat!("registry+https://github.com/rust-lang/crates", ".io-index");
    let is_source_of_lock = |line: &str| file.path == "Cargo.lock" && line == format!("source = \"{index}\"");
    let named = |line: &str| REGISTRIES.iter().any(|host| line.contains(host)) && !is_source_of_lock(line);
    file.lines_with(named, "names a package registry")
}

/// The UI's own packages: at most twelve, so that somebody can know them all, each in one version.
fn loose_packages(package: &Value) -> Vec<String> {
    const PACKAGES_MAX: usize = 12;
    let kinds = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];
    let named: Vec<_> = kinds.iter().filter_map(|it| package[it].as_object()).flatten().collect();
    let is_exact = |it: &str| it.split('.').count() == 3 && it.chars().all(|it| it.is_ascii_digit() || it == '.');
    let loose = named.iter().filter(|(_, version)| !is_exact(text(version)));
    let mut wrong: Vec<_> = loose.map(|(name, version)| format!("{name} {version} is more than one version")).collect();
    if named.len() > PACKAGES_MAX {
        wrong.push(format!("{} packages, at most {PACKAGES_MAX}", named.len()));
    }
    wrong
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|it| it == word)
}

/// A committed text file.
struct File {
    path: String,
    text: String,
}

impl File {
    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|it| it == extension)
    }

    fn lines_with(&self, wrong: impl Fn(&str) -> bool, what: &str) -> Vec<String> {
        let lines = self.text.lines().zip(1..).filter(|(line, _)| wrong(line));
        lines.map(|(line, number)| format!("{}:{number}: {what}: {}", self.path, line.trim())).collect()
    }
}

fn over_sources(rule: impl Fn(&File) -> Vec<String>) -> Vec<String> {
    let files = sources();
    assert!(files.iter().any(|file| file.path == "Cargo.toml"), "the list of committed files is empty");
    files.iter().flat_map(rule).collect()
}

/// Returns every committed file that is text.
fn sources() -> Vec<File> {
    let paths = run("git", &["ls-files", "-z"]);
    let read = |path: &str| {
        let text = std::fs::read_to_string(root().join(path)).ok()?; // An image, or not there yet.
        Some(File { path: path.to_owned(), text })
    };
    paths.split('\0').filter_map(read).collect()
}

fn metadata() -> Value {
    // Only what this platform is built of has been downloaded by now.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let args = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &platform];
    serde_json::from_str(&run(env!("CARGO"), &args)).expect("cargo metadata is JSON")
}

/// Returns the members of the workspace.
fn packages(metadata: &Value) -> Vec<Package> {
    let members: BTreeSet<_> = list(&metadata["workspace_members"]).map(text).collect();
    list(&metadata["packages"])
        .filter(|package| members.contains(text(&package["id"])))
        .map(|package| Package {
            name: text(&package["name"]).to_owned(),
            dependencies: list(&package["dependencies"]).map(|it| text(&it["name"]).to_owned()).collect(),
        })
        .collect()
}

/// Returns the names of all packages that `from` is built of, without what only its tests use.
fn reach(metadata: &Value, from: &str) -> BTreeSet<String> {
    let names: BTreeMap<_, _> =
        list(&metadata["packages"]).map(|package| (text(&package["id"]), text(&package["name"]))).collect();
    let nodes: BTreeMap<_, _> = list(&metadata["resolve"]["nodes"]).map(|node| (text(&node["id"]), node)).collect();
    let start = list(&metadata["workspace_members"]).map(text).find(|id| names[id] == from);
    let mut open = vec![start.expect("a member of the workspace")];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let built_of = list(&nodes[id]["deps"]).filter(|it| list(&it["dep_kinds"]).any(|kind| kind["kind"] != "dev"));
        open.extend(built_of.map(|it| text(&it["pkg"])));
    }
    seen.into_iter().map(|id| names[id].to_owned()).collect()
}

/// Returns the features with which each package is built; more than one set where it is built more than once.
fn features(edges: &str) -> BTreeMap<String, BTreeSet<String>> {
    let args = ["tree", "--workspace", "--locked", "--offline", "--prefix", "none", "-e", edges, "-f", "{p}|{f}|"];
    let mut res: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in run(env!("CARGO"), &args).lines() {
        let mut parts = line.split('|');
        let (Some(package), Some(features)) = (parts.next(), parts.next()) else { continue };
        res.entry(package.to_owned()).or_default().insert(features.to_owned());
    }
    res
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is in the workspace")
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(root()).output().expect("starts");
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Planted faults: each rule must find them, and only them.
mod planted {
    use super::*;

    fn house() -> Vec<Package> {
        EDGES.iter().map(|(name, edges)| package(name, edges)).collect()
    }

    fn package(name: &str, dependencies: &[&str]) -> Package {
        Package { name: name.to_owned(), dependencies: dependencies.iter().map(|&it| it.to_owned()).collect() }
    }

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn an_edge_too_many_too_few_and_a_crate_without_place() {
        assert_eq!(wrong_edges(&house()), NOTHING);

        let mut packages = house();
        packages[1].dependencies.insert("scheduler".into());
        packages[4].dependencies.clear();
        packages.push(package("utils", &["serde"]));
        packages.push(package("tests", &["cluster", "ctl"]));
        packages.remove(0);
        assert_eq!(
            wrong_edges(&packages),
            [
                "api must not depend on scheduler",
                "api no longer depends on cluster",
                "scheduler no longer depends on cluster",
                "agent no longer depends on cluster",
                "ctl no longer depends on api",
                "crate utils has no place in the house",
                "crate cluster is gone",
            ]
        );
    }

    #[test]
    fn a_library_in_the_wrong_hands() {
        let packages = [package("agent", &["bollard", "consul-agent"]), package("ctl", &["bollard"])];
        assert_eq!(wrong_owners(&packages), ["ctl names bollard, which is for [\"agent\", \"tests\"]"]);
    }

    #[test]
    fn an_effect_behind_a_pure_library() {
        let metadata = serde_json::json!({
            "workspace_members": ["c"],
            "packages": [
                { "id": "c", "name": "cluster" }, { "id": "i", "name": "innocent" },
                { "id": "t", "name": "tokio" }, { "id": "a", "name": "axum" },
            ],
            "resolve": { "nodes": [
                { "id": "c", "deps": [
                    { "pkg": "i", "dep_kinds": [{ "kind": null }] }, { "pkg": "a", "dep_kinds": [{ "kind": "dev" }] },
                ] },
                { "id": "i", "deps": [{ "pkg": "t", "dep_kinds": [{ "kind": "dev" }, { "kind": null }] }] },
                { "id": "t", "deps": [] },
                { "id": "a", "deps": [] },
            ] },
        });
        assert_eq!(impure(&reach(&metadata, "cluster")), ["decisions reach tokio"]);
    }

    #[test]
    fn a_library_that_tests_want_otherwise() {
        let built = |features: &[&str]| {
            BTreeMap::from([("a v1".to_owned(), features.iter().map(|it| (*it).to_owned()).collect())])
        };
        let mut tests = built(&["std"]);
        tests.extend(BTreeMap::from([("only for tests".to_owned(), BTreeSet::new())]));
        assert_eq!(built_twice(&built(&["std"]), &tests), NOTHING);
        assert_eq!(built_twice(&built(&["std"]), &built(&["std,rng"])).len(), 1);
        assert_eq!(built_twice(&built(&["std"]), &built(&["std", "std,rng"])).len(), 1, "for some of them");
        assert_eq!(built_twice(&built(&["std"]), &BTreeMap::new()).len(), 1);
    }

    #[test]
    fn a_package_that_may_be_another_tomorrow_and_one_too_many() {
        let exact = serde_json::json!({ "dependencies": { "a": "1.2.3" }, "devDependencies": { "b": "10.0.1" } });
        assert_eq!(loose_packages(&exact), NOTHING);
        let loose = serde_json::json!({ "devDependencies": { "a": "^1.2.3", "b": "latest" } });
        assert_eq!(loose_packages(&loose).len(), 2);
        let names = (0..13).map(|n| (format!("p{n}"), serde_json::json!("1.0.0")));
        let many = serde_json::json!({ "dependencies": names.collect::<serde_json::Map<_, _>>() });
        assert_eq!(loose_packages(&many), ["13 packages, at most 12"]);
    }

    #[test]
    fn modules_in_a_circle() {
        let needs = |module: &str, others: &[&str]| {
            let names: Vec<_> = others.iter().map(|it| format!("use crate::{it}::Thing;\n")).collect();
            file(&format!("crates/a/src/{module}.rs"), &names.concat())
        };
        let straight = [needs("lib", &["top"]), needs("top", &["middle", "low"]), needs("middle/part", &["low"])];
        assert_eq!(circles(&straight), NOTHING);
        let more = [needs("low", &["low", "top"]), needs("aside", &["top"])];
        let round: Vec<_> = straight.into_iter().chain(more).collect();
        assert_eq!(circles(&round), ["a: low, middle, top"]);
        let harmless = "// as in crate::top\n#[cfg(test)]\nmod tests { use crate::top::Thing; }\n";
        let told = [needs("top", &["low"]), file("crates/a/src/low.rs", harmless), needs("tests/all", &["top"])];
        assert_eq!(circles(&told), NOTHING);
    }

    #[test]
    fn a_source_without_purpose() {
        assert_eq!(without_purpose(&file("a.rs", "use std::fs;\n")), ["a.rs:1: opens without `//!`"]);
        assert_eq!(without_purpose(&file("a.rs", "//! Files.\n")), NOTHING);
        assert_eq!(without_purpose(&file("a.toml", "[package]\n")), NOTHING);
    }

    #[test]
    fn a_test_ignored_in_silence() {
        let silent = concat!("//! T.\n#[", "ignore]\nfn t() {}");
        assert_eq!(ignored_without_reason(&file("a.rs", silent)).len(), 1);
        assert_eq!(ignored_without_reason(&file("a.rs", "#[ignore = \"needs a second machine\"]")), NOTHING);
    }

    #[test]
    fn work_left_for_later() {
        let text = UNFINISHED.map(|mark| format!("    {mark} later\n")).concat();
        assert_eq!(unfinished(&file("a.rs", &text)).len(), UNFINISHED.len());
        assert_eq!(unfinished(&file("a.md", &text)), NOTHING);
        assert_eq!(unfinished(&file("a.sh", "mktemp /tmp/aXXXX; todo=1")), NOTHING);
    }

    #[test]
    fn a_registry_by_its_host() {
        let text = REGISTRIES.map(|host| format!("see https://{host}/x\n")).concat();
        assert_eq!(names_a_registry(&file("docs/a.md", &text)).len(), REGISTRIES.len());
        let source = concat!("source = \"registry+https://github.com/rust-lang/crates", ".io-index\"\n");
        assert_eq!(names_a_registry(&file("Cargo.lock", source)), NOTHING);
        assert_eq!(names_a_registry(&file("ui/lock", source)).len(), 1);
    }
}
