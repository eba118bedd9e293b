//! The table of routes in `docs/marathon.md` is the table of routes that is served.

use crate::limits::{ITEMS_MAX, LISTS};
use crate::routes::ROUTES;
use std::collections::BTreeSet;

#[test]
fn the_documented_routes_are_the_served_ones() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/marathon.md");
    let text = std::fs::read_to_string(path).unwrap();
    let documented: BTreeSet<(String, String)> = text
        .lines()
        .filter_map(|line| {
            let cell = line.strip_prefix("| `")?;
            let (route, _) = cell.split_once('`')?;
            let (method, path) = route.split_once(' ')?;
            Some((method.to_owned(), path.to_owned()))
        })
        .collect();
    let served: BTreeSet<(String, String)> =
        ROUTES.iter().map(|it| (it.method.to_owned(), it.path.to_owned())).collect();
    let missing: Vec<_> = served.difference(&documented).collect();
    let extra: Vec<_> = documented.difference(&served).collect();
    assert!(missing.is_empty() && extra.is_empty(), "not documented: {missing:?}; not served: {extra:?}");
}

#[test]
fn the_documented_limits_of_lists_are_the_real_ones() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/marathon.md");
    let text = std::fs::read_to_string(path).unwrap();
    for (name, max) in LISTS {
        let is_there =
            text.lines().any(|it| it.contains(&format!("`{name}`")) && it.contains(&format!("| {max} items |")));
        assert!(is_there, "{name}: {max}");
    }
    assert!(text.contains(&format!("| {ITEMS_MAX} items |")));
}
