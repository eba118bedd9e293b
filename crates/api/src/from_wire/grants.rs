//! What nodes allow: an app that asks for more than any node of the cluster lets it have could never start.

use super::Problems;
use cluster::{AppSpec, Ask, State};

/// Whether some node's operator allows all that an app asks of Docker; `place` is where the app stands in the input. A
/// cluster without nodes allows what a node does whose operator has said nothing.
///
/// # Errors
/// Every part that no node allows, or the app, where no node allows all of it.
pub fn check_granted(place: &str, spec: &AppSpec, state: &State) -> Result<(), Problems> {
    let asks: Vec<Ask> = spec.run.asks().collect();
    let allowed = |asks: &[Ask]| {
        let covers = |grants: &cluster::Grants| asks.iter().all(|it| grants.cover(it));
        if state.n_nodes() == 0 {
            return covers(&cluster::Grants::default());
        }
        state.nodes().any(|it| covers(&it.description.grants))
    };
    if allowed(&asks) {
        return Ok(());
    }
    let mut problems = Problems::default();
    for ask in asks.iter().filter(|it| !allowed(std::slice::from_ref(it))) {
        let reach =
            if ask.is("privileged", "true") { "it would own the node" } else { "it reaches beyond the container" };
        let why = format!(
            "no node allows '{ask}': {reach}, so the operator of a node has to name it in 'parameters_allowed' of agent.toml"
        );
        problems.invalid(&format!("{place}{}", place_of(ask, spec)), why);
    }
    if problems.is_empty() {
        let all: Vec<String> = asks.iter().map(|it| format!("'{it}'")).collect();
        problems.invalid(
            &format!("{place}/container"),
            format!("no node allows all of {} together: see 'parameters_allowed' of agent.toml", all.join(", ")),
        );
    }
    Err(problems)
}

/// Where an app has said what it asks for.
fn place_of(ask: &Ask, spec: &AppSpec) -> String {
    match spec.run.parameters.iter().position(|(option, value)| ask.is(option, value)) {
        Some(n) if spec.run.parameters[n] == super::privileged() => "/container/docker/privileged".to_owned(),
        Some(n) => format!("/container/docker/parameters({n})"),
        None => "/networks".to_owned(),
    }
}
