//! Names of things. One type per kind of thing, so that none can be taken for another.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::num::NonZeroU128;
use std::str::FromStr;
use std::sync::Arc;

/// An app's absolute path, such as `/pay/api`: what users type.
///
/// Segments follow Marathon's pattern: lower-case letters, digits, `-` inside, `.` between such parts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(Arc<str>);

/// Why a text is not an app id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// There is no segment.
    #[error("must name an app, such as /group/app; it is empty")]
    Empty,
    /// A segment breaks the pattern.
    #[error(
        "must fully match regular expression '^(([a-z0-9]|[a-z0-9][a-z0-9\\-]*[a-z0-9])\\.)*([a-z0-9]|[a-z0-9][a-z0-9\\-]*[a-z0-9])|(\\.|\\.\\.)$' in every segment"
    )]
    Pattern,
    /// A segment has more than 63 characters, or all have more than 253.
    #[error("is too long: at most 63 characters a segment and 253 in all")]
    Length,
    /// The last segment is one that the API uses itself.
    #[error("must not end in 'restart', 'tasks' or 'versions': these name sub-resources of the API")]
    Reserved,
    /// More than 16 segments.
    #[error("is nested too deeply: at most 16 segments")]
    Depth,
}

impl AppId {
    /// Reads an id as users write it: `pay/api` and `/pay/api` are the same, `.` and `..` are resolved from the root.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        Self::parse_in(&PathId::root(), text)
    }

    /// Reads an id as users write it inside a group: one without a leading slash is resolved from there.
    pub fn parse_in(group: &PathId, text: &str) -> Result<Self, IdError> {
        let path = PathId::parse_in(group, text)?;
        if path.is_root() {
            return Err(IdError::Empty);
        }
        if matches!(path.segments().next_back(), Some("restart" | "tasks" | "versions")) {
            return Err(IdError::Reserved);
        }
        Ok(Self(path.0))
    }

    /// The path, with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its leading slash, its segments joined by `separator`: `pay_api`.
    pub fn joined(&self, separator: &str) -> String {
        self.0[1..].replace('/', separator)
    }

    /// The segments, outermost first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0[1..].split('/')
    }

    /// The group it is in.
    pub fn group(&self) -> PathId {
        PathId::from(self).parent()
    }
}

/// The absolute path of an app, a pod or a group, such as `/pay`; `/` is the root group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(Arc<str>);

impl PathId {
    /// The root group.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Reads a path as users write it; from the root where it has no leading slash.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        Self::parse_in(&Self::root(), text)
    }

    /// Reads a path as users write it inside a group: one without a leading slash is resolved from there.
    pub fn parse_in(group: &Self, text: &str) -> Result<Self, IdError> {
        let mut segments: Vec<&str> = if text.starts_with('/') { Vec::new() } else { group.segments().collect() };
        for segment in text.split('/').filter(|it| !it.is_empty()) {
            match segment {
                "." => {}
                ".." => {
                    segments.pop();
                }
                _ => segments.push(segment),
            }
        }
        if segments.iter().any(|it| it.len() > 63) || segments.iter().map(|it| it.len() + 1).sum::<usize>() > 253 {
            return Err(IdError::Length);
        }
        if segments.len() > 16 {
            return Err(IdError::Depth);
        }
        if !segments.iter().all(|it| is_segment(it)) {
            return Err(IdError::Pattern);
        }
        Ok(Self(format!("/{}", segments.join("/")).into()))
    }

    /// The path, with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the root group.
    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The segments, outermost first; none for the root.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|it| !it.is_empty())
    }

    /// The group it is in; the root's is the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        match self.0.rfind('/') {
            None | Some(0) => Self::root(),
            Some(end) => Self(self.0[..end].into()),
        }
    }

    /// The groups around it, from its parent to the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + use<> {
        let mut next = (!self.is_root()).then(|| self.parent());
        std::iter::from_fn(move || {
            let this = next.take()?;
            next = (!this.is_root()).then(|| this.parent());
            Some(this)
        })
    }

    /// Whether a path lies inside this one, at any depth; not this path itself.
    pub fn contains(&self, inner: &str) -> bool {
        if self.is_root() {
            return inner.len() > 1;
        }
        inner.strip_prefix(&*self.0).is_some_and(|it| it.starts_with('/'))
    }

    /// The least app id that lies inside it could have; itself no valid one.
    pub(crate) fn first_inside(&self) -> AppId {
        if self.is_root() { AppId("/".into()) } else { AppId(format!("{self}/").into()) }
    }

    /// The app of this path.
    pub(crate) fn as_app(&self) -> AppId {
        AppId(Arc::clone(&self.0))
    }
}

impl From<&AppId> for PathId {
    fn from(app: &AppId) -> Self {
        Self(Arc::clone(&app.0))
    }
}

/// `^(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])$`
fn is_segment(segment: &str) -> bool {
    segment.split('.').all(|part| {
        let inner = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
        !part.is_empty() && part.bytes().all(inner) && !part.starts_with('-') && !part.ends_with('-')
    })
}

fn in_node_name(it: u8) -> bool {
    it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.' | b'_')
}

/// A node's name: unique in the cluster, by default the machine's host name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// Takes a name as it is; [`NodeId::is_valid`] says whether an agent may use it.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Whether the name has 1 to 253 letters, digits, `-`, `.` or `_`.
    pub fn is_valid(name: &str) -> bool {
        (1..=253).contains(&name.len()) && name.bytes().all(in_node_name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text is a path as [`PathId::parse`] returns it, the root among them.
fn is_path(text: &str) -> bool {
    let Some(inside) = text.strip_prefix('/') else { return false };
    let fine = |it: &str| it.len() <= 63 && is_segment(it);
    text.len() <= 253 && (inside.is_empty() || inside.split('/').all(fine) && inside.split('/').count() <= 16)
}

macro_rules! text_id {
    ($name:ident, $what:literal, $is_one:expr) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // What is read may come from anywhere, and whoever has an id relies on its form.
                let text = String::deserialize(deserializer)?;
                if !$is_one(&text) {
                    return Err(serde::de::Error::custom(concat!("not the ", $what)));
                }
                Ok(Self(text.into()))
            }
        }
    };
}
text_id!(AppId, "id of an app", |it: &str| it != "/" && is_path(it));
text_id!(PathId, "path of an app or a group", is_path);
// A node that lost its name to another is kept under a longer one than an agent may choose.
text_id!(NodeId, "name of a node", |it: &str| it.len() <= 512 && it.bytes().all(in_node_name));

/// Names a cluster for its whole life; 48 random bits, drawn once by the first leader.
///
/// It is a part of every instance's id, so that the containers of two clusters on one Docker engine never meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(pub u64);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0 & MASK_48)
    }
}

const MASK_48: u64 = (1 << 48) - 1;

/// Packs cluster, log index and ordinal into a UUID of version 8 (RFC 9562 §5.8), ordered by index, then ordinal:
/// 48 bits cluster, 4 version, 12 index (high), 2 variant, 36 index (low), 26 ordinal.
const fn derived_uuid(cluster: ClusterId, index: u64, ordinal: u32) -> u128 {
    let index = index & MASK_48;
    ((cluster.0 & MASK_48) as u128) << 80
        | 8u128 << 76
        | ((index >> 36) as u128) << 64
        | 0b10u128 << 62
        | ((index & ((1 << 36) - 1)) as u128) << 26
        | (ordinal & ((1 << 26) - 1)) as u128
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        // Never 0, so that none takes no more room than one.
        pub struct $name(NonZeroU128);

        impl $name {
            /// None comes before it.
            pub const FIRST: Self = Self(NonZeroU128::MIN);

            /// The id of the `ordinal`-th such thing made by the log entry at `index`.
            pub const fn derive(cluster: ClusterId, index: u64, ordinal: u32) -> Self {
                match NonZeroU128::new(derived_uuid(cluster, index, ordinal)) {
                    Some(it) => Self(it),
                    None => Self::FIRST,
                }
            }

            /// The cluster that made it.
            pub const fn cluster(self) -> ClusterId {
                ClusterId((self.0.get() >> 80) as u64)
            }

            /// The id whose binary form is these halves; none if it names nothing.
            pub(crate) fn from_halves(high: u64, low: u64) -> Option<Self> {
                NonZeroU128::new((u128::from(high) << 64) | u128::from(low)).map(Self)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // By hand: ids are printed in every answer, and the formatting of large numbers is slow.
                let id = self.0.get();
                let mut text = [b'-'; 36];
                let places = (0..36).filter(|it| !matches!(it, 8 | 13 | 18 | 23));
                for (place, digit) in places.zip((0..32).rev()) {
                    text[place] = b"0123456789abcdef"[(id >> (4 * digit)) as usize & 15];
                }
                f.write_str(std::str::from_utf8(&text).expect("digits and dashes"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl FromStr for $name {
            type Err = NotAUuid;
            fn from_str(text: &str) -> Result<Self, NotAUuid> {
                parse_uuid(text).map(Self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    ((self.0.get() >> 64) as u64, self.0.get() as u64).serialize(serializer)
                }
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
                } else {
                    let (high, low) = <(u64, u64)>::deserialize(deserializer)?;
                    Self::from_halves(high, low).ok_or_else(|| serde::de::Error::custom(NotAUuid))
                }
            }
        }
    };
}
uuid_id!(
    /// Names one instance, for ever: also the name of its container. Sorts by age within a cluster.
    InstanceId
);
uuid_id!(
    /// Names one deployment, for ever. Sorts by age within a cluster.
    DeploymentId
);

/// A text that is not a UUID in its hyphenated lower-case form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a UUID of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")]
pub struct NotAUuid;

fn parse_uuid(text: &str) -> Result<NonZeroU128, NotAUuid> {
    let groups = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    let shaped = parts.len() == groups.len() && parts.iter().zip(groups).all(|(part, n)| part.len() == n);
    if !shaped || !text.bytes().all(|it| it == b'-' || it.is_ascii_hexdigit()) {
        return Err(NotAUuid);
    }
    let number = u128::from_str_radix(&parts.concat(), 16).map_err(|_| NotAUuid)?;
    NonZeroU128::new(number).ok_or(NotAUuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_ids_are_read_as_users_write_them() {
        for (text, expect) in [
            ("/pay/api", Ok("/pay/api")),
            ("pay/api", Ok("/pay/api")),
            ("//pay/api/", Ok("/pay/api")),
            ("/a/../b", Ok("/b")),
            ("/v1.2/x-y", Ok("/v1.2/x-y")),
            ("", Err(IdError::Empty)),
            ("/", Err(IdError::Empty)),
            ("/..", Err(IdError::Empty)),
            ("/Pay", Err(IdError::Pattern)),
            ("/a_b", Err(IdError::Pattern)),
            ("/-a", Err(IdError::Pattern)),
            ("/a..b", Err(IdError::Pattern)),
            ("/a\0b", Err(IdError::Pattern)),
            ("/x/versions", Err(IdError::Reserved)),
        ] {
            assert_eq!(AppId::parse(text).as_ref().map(AppId::as_str), expect.as_ref().copied(), "{text:?}");
        }
        assert_eq!(AppId::parse(&"a".repeat(64)), Err(IdError::Length));
        assert_eq!(AppId::parse(&"a/".repeat(17)), Err(IdError::Depth));
    }

    #[test]
    fn derived_ids_print_parse_and_sort_by_age() {
        let cluster = ClusterId(0x1234_5678_9abc);
        let ids: Vec<_> =
            [(1, 0), (1, 1), (2, 0), (1 << 40, 3)].map(|(i, n)| InstanceId::derive(cluster, i, n)).to_vec();
        assert!(ids.is_sorted());
        for id in ids {
            let text = id.to_string();
            assert_eq!(text.parse(), Ok(id));
            assert_eq!(&text[14..15], "8", "the version nibble");
            assert!("89ab".contains(&text[19..20]), "the variant");
            assert_eq!(id.cluster(), cluster);
        }
        assert!("12345678-9abc".parse::<InstanceId>().is_err());
    }
}
