//! Dependencies: paths of apps and groups.

use super::Problems;
use super::read::Object;
use super::seen::Seen;
use cluster::{IdError, PathId};

/// Reads `dependencies` of an app or a group of this path.
pub(super) fn dependencies(problems: &mut Problems, object: &Object, own: &PathId) -> Option<Vec<PathId>> {
    let texts = object.texts(problems, "dependencies")?;
    let (mut paths, mut seen) = (Vec::new(), Seen::new());
    for (n, text) in texts.iter().enumerate() {
        let at = format!("{}({n})", object.at("dependencies"));
        match resolve(own, text) {
            Ok(path) if path.is_root() || path == *own => {
                problems.invalid(&at, "must be the path of another app or group");
            }
            Ok(path) if !seen.is_new(path.clone()) => problems.invalid(&at, format!("'{path}' is given twice")),
            Ok(path) => paths.push(path),
            Err(error) => problems.invalid(&at, error.to_string()),
        }
    }
    Some(paths)
}

/// A path that starts with `..` leads from the path of whose it is, as in Marathon: `../db` is its neighbour. One
/// without any lead would lie inside it there, where nothing can be: it is taken for a neighbour as well.
fn resolve(own: &PathId, text: &str) -> Result<PathId, IdError> {
    match text {
        "" => Err(IdError::Empty),
        _ if text.starts_with("..") => PathId::parse_in(own, text),
        _ => PathId::parse_in(&own.parent(), text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_found_by_either_form() {
        let own = PathId::parse("/product/service/web").unwrap();
        for (text, expect) in [
            ("/product/db", "/product/db"),
            ("../../db", "/product/db"),
            ("../cache", "/product/service/cache"),
            ("cache", "/product/service/cache"),
            ("./cache", "/product/service/cache"),
        ] {
            assert_eq!(resolve(&own, text).unwrap().as_str(), expect, "{text}");
        }
    }
}
