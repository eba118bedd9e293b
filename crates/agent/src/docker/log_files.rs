//! Where the engine writes what the node's containers say.

use super::seen::listed;
use super::spec::LABEL_AGENT;
use super::{Docker, Error, LIST_DEADLINE, READ_DEADLINE};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions};
use cluster::AppId;
use cluster::agent::{LogSource, Role};
use cluster::catalog::agent_text;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

/// A container's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFile {
    /// Its app or pod.
    pub(crate) app: AppId,
    /// Which container.
    pub(crate) source: LogSource,
    /// The file; none where its log driver keeps no such file.
    pub(crate) path: Option<PathBuf>,
}

impl Docker {
    /// The logs of this agent's containers, running or not, but for those that are known.
    pub(crate) async fn log_files(&self, known: &BTreeSet<LogSource>) -> Result<Vec<LogFile>, Error> {
        let label = format!("{LABEL_AGENT}={}", agent_text(self.inner.place.agent));
        let filters = HashMap::from([("label".to_owned(), vec![label])]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
        let containers = self.call("list", LIST_DEADLINE, |it| it.list_containers(Some(options))).await?;
        let mut files = Vec::new();
        for container in containers {
            let Some(id) = container.id.clone() else { continue };
            let Some((instance, maker, part)) = listed(container) else { continue };
            let Ok(app) = AppId::parse(&maker.app) else { continue };
            let name = match part.role {
                Role::Network { .. } => continue,
                Role::Member(name) => name,
                Role::Sole => String::new(),
            };
            let source = LogSource { instance, container: name };
            if known.contains(&source) {
                continue;
            }
            let options = None::<InspectContainerOptions>;
            let seen = match self.call("inspect", READ_DEADLINE, |it| it.inspect_container(&id, options)).await {
                Ok(seen) => seen,
                // It went meanwhile.
                Err(Error::Refused { status: 404, .. }) => continue,
                Err(error) => return Err(error),
            };
            let path = seen.log_path.filter(|it| !it.is_empty()).map(PathBuf::from);
            files.push(LogFile { app, source, path });
        }
        Ok(files)
    }
}
