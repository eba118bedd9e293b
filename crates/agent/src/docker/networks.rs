//! Docker networks that apps name: made where there is none of that name.

use super::{Docker, Error, READ_DEADLINE, WRITE_DEADLINE};
use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::InspectNetworkOptions;
use std::collections::HashMap;

/// Label of a network that Ekiden made; such a one is left when its last instance goes, as others may have joined it.
pub const LABEL_NETWORK: &str = "ekiden.network";

impl Docker {
    /// Sees to it that there is a network of this name; instances that start at once make one, not two.
    pub(super) async fn make_network(&self, name: &str) -> Result<(), Error> {
        let _turn = self.inner.networks.lock().await;
        let options = None::<InspectNetworkOptions>;
        match self.call("inspect-network", READ_DEADLINE, |it| it.inspect_network(name, options)).await {
            Ok(_) => return Ok(()),
            Err(Error::Refused { status: 404, .. }) => {}
            Err(error) => return Err(error),
        }
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            labels: Some(HashMap::from([(LABEL_NETWORK.to_owned(), "made".to_owned())])),
            ..NetworkCreateRequest::default()
        };
        match self.call("create-network", WRITE_DEADLINE, |it| it.create_network(request)).await {
            Ok(_) => tracing::info!(network = name, "made a Docker network"),
            Err(Error::Refused { status, message }) => {
                return Err(Error::Refused { status, message: format!("cannot make network {name}: {message}") });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
