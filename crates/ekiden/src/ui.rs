//! The web UI, as `make ui` built it before this program was.

use api::ui::Asset;

/// Its files; none where it was not built.
pub(crate) const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/ui.rs"));
