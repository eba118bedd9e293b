//! How ids look to containers and in Consul: as in Marathon's API.

use crate::model::{AppId, InstanceId};

/// Marathon's task id of an instance: `pay_api.4f3c…`, the app's path with `_` for `/`, and the instance's id.
pub fn task_id(app: &AppId, instance: InstanceId) -> String {
    format!("{}.{instance}", app.joined("_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ClusterId;

    #[test]
    fn task_ids_have_the_form_that_old_clients_parse() {
        let instance = InstanceId::derive(ClusterId(0xabc), 1, 0);
        let app = AppId::parse("/pay/api").unwrap();
        assert_eq!(task_id(&app, instance), format!("pay_api.{instance}"));
    }
}
