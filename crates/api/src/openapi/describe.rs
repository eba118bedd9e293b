//! What each endpoint does, takes and answers: the table beside that of the routes.

use super::schemas::Schema;
use crate::routes::Endpoint;
use crate::{v2, v3};
use serde_json::{Value, json};

/// What an endpoint does, takes and answers.
pub(super) struct Operation {
    /// One sentence, without its full stop.
    pub(super) summary: &'static str,
    pub(super) query: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    fails: &'static [u16],
    is_local: bool,
}

/// A parameter of the query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    name: &'static str,
    what: &'static str,
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Flag,
    Text,
    Required,
    /// It may stand more than once.
    Texts,
    /// One of these, more than once.
    Words(&'static [&'static str]),
}

/// A request's body.
pub(super) struct Body {
    pub(super) kinds: &'static [&'static str],
    pub(super) schema: Schema,
}

/// An answer that is no failure.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) what: &'static str,
    /// By media type.
    pub(super) content: Vec<(&'static str, Schema)>,
    pub(super) headers: &'static [(&'static str, &'static str)],
}

const JSON: &str = "application/json";
const DEPLOYMENT: (&str, &str) = ("Marathon-Deployment-Id", "The deployment that carries the change out.");
const LOCATION: (&str, &str) = ("Location", "Where the new one is found.");

const FORCE: Parameter = flag("force", "Whether a deployment that holds the app is superseded; it is 409 otherwise.");
const STRICT: Parameter = flag("strict", "Whether fields that have no effect are refused.");
const PARTIAL: Parameter =
    flag("partialUpdate", "Whether fields that are not given stay as they are; they do unless it is false.");
const SCALE: Parameter =
    flag("scale", "Whether the app shall have fewer instances from now on; those killed are replaced otherwise.");
const WIPE: Parameter = flag("wipe", "Accepted, for there is nothing to wipe; not together with `scale`.");
const EMBED: Parameter = Parameter {
    name: "embed",
    what: "What is printed beside the definition.",
    form: Form::Words(&["apps.tasks", "apps.lastTaskFailure", "apps.failures", "apps.readiness", "apps.taskStats"]),
};
const GROUP_EMBED: Parameter = Parameter {
    name: "embed",
    what: "What is printed of the group, and beside the definitions of its apps; groups, apps and pods if none is named.",
    form: Form::Words(&[
        "group.groups",
        "group.apps",
        "group.pods",
        "group.apps.tasks",
        "group.apps.counts",
        "group.apps.deployments",
        "group.apps.readiness",
        "group.apps.lastTaskFailure",
        "group.apps.taskStats",
    ]),
};
const CALLBACK: Parameter =
    Parameter { name: "callbackUrl", what: "Where events are posted to: an `http` URL.", form: Form::Required };

const fn flag(name: &'static str, what: &'static str) -> Parameter {
    Parameter { name, what, form: Form::Flag }
}

const fn text(name: &'static str, what: &'static str) -> Parameter {
    Parameter { name, what, form: Form::Text }
}

const fn words(name: &'static str, what: &'static str, of: &'static [&'static str]) -> Parameter {
    Parameter { name, what, form: Form::Words(of) }
}

impl Parameter {
    pub(super) fn to_json(self) -> Value {
        let schema = match self.form {
            Form::Flag => json!({ "type": "boolean" }),
            Form::Text | Form::Required => json!({ "type": "string" }),
            Form::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Form::Words(words) => json!({ "type": "array", "items": { "type": "string", "enum": words } }),
        };
        json!({
            "name": self.name,
            "in": "query",
            "required": matches!(self.form, Form::Required),
            "description": self.what,
            "schema": schema,
        })
    }
}

impl Operation {
    /// Statuses with the body of an error: those of the endpoint, and those that every request may meet.
    pub(super) fn failures(&self, path: &str) -> Vec<u16> {
        // The path or the query is malformed; the body is too slow or too long.
        let mut failures = vec![400, 408, 413];
        failures.extend(self.fails);
        if !self.is_local {
            // The leader is not known or not reached, or cannot answer now.
            failures.extend([502, 503]);
        }
        if self.body.is_some() {
            failures.extend([415, 422]);
        }
        if path.contains("{id}") {
            // The path is no id.
            failures.push(422);
        }
        if path.contains("{id}/") {
            // The root's id, written `%2F`, leaves the path of something else, which has other methods.
            failures.push(405);
        }
        let is_json_alone = self.answers.iter().all(|it| matches!(it.content.as_slice(), [] | [(JSON, _)]));
        if is_json_alone || self.answers.iter().any(|it| it.content.iter().any(|it| it.0 == "text/event-stream")) {
            failures.push(406);
        }
        failures.sort_unstable();
        failures.dedup();
        failures
    }

    fn query(mut self, parameters: &[Parameter]) -> Self {
        self.query.extend(parameters);
        self
    }

    fn reads(mut self, schema: Schema) -> Self {
        self.body = Some(Body { kinds: &[JSON], schema });
        self
    }

    /// Reads JSON, and JSON merge patches.
    fn patches(mut self, schema: Schema) -> Self {
        self.body = Some(Body { kinds: &[JSON, "application/merge-patch+json"], schema });
        self
    }

    fn answers(mut self, status: u16, what: &'static str, schema: Schema) -> Self {
        self.answers.push(Answer { status, what, content: vec![(JSON, schema)], headers: &[] });
        self
    }

    /// Answers in one of several forms.
    fn answers_in(mut self, status: u16, what: &'static str, content: &[(&'static str, Schema)]) -> Self {
        self.answers.push(Answer { status, what, content: content.to_vec(), headers: &[] });
        self
    }

    /// Answers without a body.
    fn answers_empty(mut self, status: u16, what: &'static str) -> Self {
        self.answers.push(Answer { status, what, content: Vec::new(), headers: &[] });
        self
    }

    /// Sends the client elsewhere.
    fn redirects(mut self, what: &'static str) -> Self {
        let headers = &[("Location", "Where to go.")];
        self.answers.push(Answer { status: 302, what, content: Vec::new(), headers });
        self
    }

    /// Answers with the deployment that carries a change out.
    fn deploys(mut self) -> Self {
        let content = vec![(JSON, Schema::of::<v2::DeploymentResult>())];
        let what = "The change is accepted.";
        self.answers.push(Answer { status: 200, what, content, headers: &[DEPLOYMENT] });
        self
    }

    /// Answers with the deployment that carries a change out, or with something else where that was asked for.
    fn deploys_or<T: schemars::JsonSchema>(mut self) -> Self {
        let content = vec![(JSON, Schema::either::<v2::DeploymentResult, T>())];
        self.answers.push(Answer { status: 200, what: "The change is accepted.", content, headers: &[] });
        self
    }

    /// Answers that something new is accepted.
    fn creates(mut self, schema: Schema) -> Self {
        let what = "It is accepted, and new.";
        self.answers.push(Answer {
            status: 201,
            what,
            content: vec![(JSON, schema)],
            headers: &[DEPLOYMENT, LOCATION],
        });
        self
    }

    fn fails(mut self, statuses: &'static [u16]) -> Self {
        self.fails = statuses;
        self
    }

    /// Every member answers for itself.
    fn local(mut self) -> Self {
        self.is_local = true;
        self
    }
}

const fn does(summary: &'static str) -> Operation {
    Operation { summary, query: Vec::new(), body: None, answers: Vec::new(), fails: &[], is_local: false }
}

/// The endpoint's own words.
pub(super) fn describe(endpoint: Endpoint) -> Operation {
    use Endpoint as It;
    let tasks = [(JSON, Schema::of::<v2::TaskList>()), ("text/plain", Schema::Text)];
    let killed = "What was killed; with `scale`, the deployment that lowers the number of instances.";
    match endpoint {
        It::AppCreate => does("Creates an app")
            .query(&[FORCE, STRICT])
            .reads(Schema::Definition)
            .creates(Schema::of::<v2::AppInfo>())
            .fails(&[409, 422]),
        It::AppDelete => does("Deletes an app and its instances; force is true unless it is said to be false")
            .query(&[FORCE])
            .deploys()
            .fails(&[404, 409, 422]),
        It::AppExplain => does("Says what an app misses, and why, node by node")
            .answers(200, "Why.", Schema::of::<v3::Explanation>())
            .fails(&[404]),
        It::AppGet => does("Shows an app with its instances")
            .query(&[EMBED])
            .answers(200, "The app.", Schema::of::<v2::AppSingle>())
            .fails(&[404]),
        It::AppList => does("Lists apps")
            .query(&[
                text("id", "Part of the id."),
                text("cmd", "Part of the command, in any case."),
                text("label", "A selector, such as `team==pay,tier in (a,b)`."),
                EMBED,
            ])
            .answers(200, "The apps, by id.", Schema::of::<v2::AppList>())
            .fails(&[422]),
        It::AppListBelow => does("Lists the apps below a group, at any depth").query(&[EMBED]).answers(
            200,
            "The apps, by id.",
            Schema::of::<v2::AppStar>(),
        ),
        It::AppPatch => does("Changes parts of an app; as a merge patch it unsets fields with null")
            .query(&[FORCE, STRICT])
            .patches(Schema::Update)
            .deploys()
            .fails(&[404, 409]),
        It::AppPatchMany => does("Changes parts of several apps in one deployment")
            .query(&[FORCE, STRICT])
            .patches(Schema::Updates)
            .deploys()
            .fails(&[404, 409]),
        It::AppPut => does("Changes an app, creates it, or rolls it back to a version")
            .query(&[FORCE, PARTIAL, STRICT])
            .reads(Schema::Update)
            .deploys()
            .creates(Schema::of::<v2::DeploymentResult>())
            .fails(&[404, 409]),
        It::AppPutMany => does("Changes or creates several apps in one deployment")
            .query(&[FORCE, PARTIAL, STRICT])
            .reads(Schema::Updates)
            .deploys()
            .creates(Schema::of::<v2::DeploymentResult>())
            .fails(&[404, 409]),
        It::AppRestart => does("Replaces all instances of an app").query(&[FORCE]).deploys().fails(&[404, 409, 422]),
        It::AppTaskDelete => does("Kills one instance of an app")
            .query(&[SCALE, FORCE, WIPE])
            .answers(200, killed, Schema::either::<v2::TaskSingle, v2::DeploymentResult>())
            .fails(&[404, 409, 422]),
        It::AppTaskList => {
            does("Lists an app's instances").answers_in(200, "The instances.", &tasks).fails(&[404, 406])
        }
        It::AppTaskListBelow => does("Lists the instances of all apps below a group, at any depth")
            .answers_in(200, "The instances.", &tasks)
            .fails(&[406]),
        It::AppTasksDelete => does("Kills an app's instances")
            .query(&[text("host", "Only those on this host."), SCALE, FORCE, WIPE])
            .answers(200, killed, Schema::either::<v2::TaskList, v2::DeploymentResult>())
            .fails(&[404, 409, 422]),
        It::AppVersionGet => {
            does("Shows a stored version of an app").answers(200, "The version.", Schema::of::<v2::App>()).fails(&[404])
        }
        It::AppVersionList => does("Lists an app's stored versions, newest first")
            .answers(200, "The versions.", Schema::of::<v2::VersionList>())
            .fails(&[404]),
        It::DeploymentCancel => does("Rolls a deployment back; with force, ends it where it stands")
            .query(&[flag("force", "Whether it ends where it stands, and nothing is reverted.")])
            .deploys()
            .answers_empty(202, "It ended where it stood.")
            .fails(&[404, 409, 422]),
        It::DeploymentGet => does("Shows a deployment, also one that has ended")
            .answers(200, "The deployment.", Schema::of::<v3::Deployment>())
            .fails(&[404]),
        It::DeploymentHistory => does("Lists deployments, also those that have ended, oldest first").answers(
            200,
            "The deployments.",
            Schema::of::<v3::DeploymentList>(),
        ),
        It::DeploymentList => does("Lists the deployments under way").answers(
            200,
            "The deployments.",
            Schema::of::<Vec<v2::Deployment>>(),
        ),
        It::Events => does("Streams what happens, as server-sent events")
            .query(&[
                Parameter { name: "event_type", what: "Only events of this type.", form: Form::Texts },
                words("plan-format", "`light` leaves groups out of plans.", &["light"]),
            ])
            .answers_in(
                200,
                "Events, each an object of schema `Event`, until either side ends.",
                &[("text/event-stream", Schema::of::<v2::Event>())],
            )
            .redirects("This member does not lead; the leader has the events."),
        It::GroupApps => does("Lists the apps in a group, at any depth")
            .query(&[GROUP_EMBED])
            .answers(200, "The apps, by id.", Schema::of::<Vec<v2::App>>())
            .fails(&[404]),
        It::GroupCreate => does("Creates a group with what is in it")
            .query(&[FORCE, STRICT])
            .reads(Schema::Group)
            .creates(Schema::of::<v2::DeploymentResult>())
            .fails(&[404, 403, 409]),
        It::GroupDelete => does("Deletes a group and what is in it").query(&[FORCE]).deploys().fails(&[404, 409, 422]),
        It::GroupGet => does("Shows a group and what is in it")
            .query(&[GROUP_EMBED])
            .answers(200, "The group.", Schema::of::<v2::GroupInfo>())
            .fails(&[404]),
        It::GroupPatch => does("Says whether a group's name is its apps' role; they have none")
            .reads(Schema::Object)
            .answers_empty(200, "Nothing changes.")
            .fails(&[404]),
        It::GroupPut => does("Changes a group and what is in it, creates it, scales it, or makes it what it was")
            .query(&[FORCE, STRICT, flag("dryRun", "Whether only the steps are told, and nothing happens.")])
            .reads(Schema::Group)
            .deploys_or::<v2::DeploymentSteps>()
            .fails(&[403, 404, 409]),
        It::GroupRestore => does("Makes a group what it was at a version of the tree")
            .query(&[FORCE])
            .deploys()
            .fails(&[403, 404, 409, 422]),
        It::GroupVersionGet => does("Shows a group as it was at a version of the tree")
            .query(&[GROUP_EMBED])
            .answers(200, "The group.", Schema::of::<v2::GroupInfo>())
            .fails(&[404, 422]),
        It::GroupVersionList => does("Lists the kept versions of the tree of groups and apps, newest first")
            .answers(200, "The versions.", Schema::of::<Vec<String>>())
            .fails(&[404]),
        It::Help => does("Shows this list").local().answers_in(200, "A page.", &[("text/html", Schema::Text)]),
        It::Info => does("Says what this server is").answers(200, "What it is.", Schema::of::<v2::Info>()),
        It::Leader => does("Says who leads").answers(200, "The leader.", Schema::of::<v2::LeaderInfo>()).fails(&[404]),
        It::LeaderAbdicate => does("Hands leadership over to another member")
            .query(&[text("backup", "A URI; no effect."), text("restore", "A URI; no effect.")])
            .answers(200, "Another member leads.", Schema::of::<v2::Message>())
            .fails(&[422]),
        It::Logs => does("Tells what containers wrote, also those that are gone, merged over instances and nodes")
            .query(&[
                Parameter { name: "app", what: "Of this app or pod.", form: Form::Texts },
                text("group", "Of all apps and pods in this group, at any depth."),
                text("deployment", "Of the apps that this deployment changes, since it began."),
                Parameter { name: "instance", what: "Of this instance only: its id, or a task's.", form: Form::Texts },
                text("container", "Of a pod: of this container only."),
                text(
                    "since",
                    "Written then or later: a moment such as `2026-11-28T12:00:00Z`, or a time ago such as `10m`.",
                ),
                text("until", "Written before that; as `since`."),
                text("tail", "Only the last so many, 10 000 at most, and what comes; `all` is the default."),
                flag("follow", "Whether what comes is told as well, until either side ends."),
                text("stream", "`stdout` or `stderr` only."),
                text("grep", "Only lines in which this regular expression is found."),
                flag("invert", "Only lines in which it is not."),
                flag("times", "Whether each line of text begins with its time."),
                flag("names", "Whether each line of text names its instance."),
                text("download", "`plain` or `gz`: as a file with a name."),
                text("after", "Behind this place, the id of an event; as the header `Last-Event-ID`."),
            ])
            .answers_in(
                200,
                "Lines: as text, as an object each, or some at once as an event with a place to come back to.",
                &[
                    ("text/plain", Schema::Text),
                    ("application/x-ndjson", Schema::of::<v3::LoggedLine>()),
                    ("text/event-stream", Schema::of::<v3::LogLines>()),
                    ("application/gzip", Schema::Text),
                ],
            )
            .fails(&[404, 406, 422]),
        It::LoggingGet => does("Shows the log levels of this member")
            .local()
            .answers(200, "Levels, by logger.", Schema::of::<std::collections::BTreeMap<String, String>>())
            .fails(&[404]),
        It::LoggingSet => does("Changes a log level of this member")
            .local()
            .reads(Schema::of::<v2::LoggerChange>())
            .answers(200, "What was changed.", Schema::of::<v2::LoggerChange>())
            .fails(&[404]),
        It::Metrics => does("Prints this member's metrics in JSON as Marathon does, or in Prometheus' text form")
            .local()
            .answers_in(200, "The metrics.", &[(JSON, Schema::of::<v2::Metrics>()), ("text/plain", Schema::Text)]),
        It::MetricsText => does("Prints this member's metrics in Prometheus' text form").local().answers_in(
            200,
            "The metrics.",
            &[("text/plain", Schema::Text)],
        ),
        It::NodeDelete => {
            does("Forgets a lost node and all that was on it").answers_empty(204, "It is forgotten.").fails(&[404, 409])
        }
        It::NodeGet => {
            does("Shows a node with its instances").answers(200, "The node.", Schema::of::<v3::Node>()).fails(&[404])
        }
        It::NodeList => does("Lists nodes with status, capacity and use").answers(
            200,
            "The nodes, by name.",
            Schema::of::<v3::NodeList>(),
        ),
        It::OpenApi => does("Describes this API for machines").local().answers(200, "OpenAPI 3.", Schema::Object),
        It::OrphanDelete => does("Has a container that no assignment covers ended and removed")
            .answers_empty(204, "Its node's agent ends it, and removes it.")
            .fails(&[404]),
        It::OrphanList => does("Lists containers that no assignment covers any more, and why").answers(
            200,
            "The orphans, by node.",
            Schema::of::<v3::OrphanList>(),
        ),
        It::Ping => does("Answers pong")
            .local()
            .answers_in(200, "pong", &[("text/plain", Schema::Text), ("text/html", Schema::Text), (JSON, Schema::Text)])
            .answers_empty(204, "The same, to clients that take none of these types."),
        It::PluginList => does("Lists plugins, of which there are none").answers(
            200,
            "An empty list.",
            Schema::of::<v2::PluginList>(),
        ),
        It::PodCreate => does("Creates a pod")
            .query(&[FORCE, STRICT])
            .reads(Schema::Pod)
            .creates(Schema::of::<v2::Pod>())
            .fails(&[403, 409]),
        It::PodDelete => does("Deletes a pod and its instances")
            .query(&[FORCE])
            .answers_empty(202, "It is accepted; the deployment is in the header `Marathon-Deployment-Id`.")
            .fails(&[404, 409, 422]),
        It::PodGet => does("Shows a pod's definition").answers(200, "The pod.", Schema::of::<v2::Pod>()).fails(&[404]),
        It::PodInstanceDelete => does("Kills one instance of a pod")
            .query(&[WIPE])
            .answers(200, "What was killed.", Schema::of::<v2::PodInstance>())
            .fails(&[404, 422]),
        It::PodInstancesDelete => does("Kills instances of a pod")
            .query(&[WIPE])
            .reads(Schema::of::<Vec<String>>())
            .answers(200, "What was killed.", Schema::of::<Vec<v2::PodInstance>>())
            .fails(&[404]),
        It::PodList => does("Lists pods' definitions").answers(200, "The pods, by id.", Schema::of::<Vec<v2::Pod>>()),
        It::PodPut => does("Changes a pod, or creates it")
            .query(&[FORCE, STRICT])
            .reads(Schema::Pod)
            .answers(200, "It is accepted.", Schema::of::<v2::Pod>())
            .creates(Schema::of::<v2::Pod>())
            .fails(&[403, 404, 409]),
        It::PodStatus => {
            does("Shows a pod with its instances").answers(200, "The pod.", Schema::of::<v2::PodStatus>()).fails(&[404])
        }
        It::PodStatusList => {
            does("Lists pods with their instances").answers(200, "The pods, by id.", Schema::of::<Vec<v2::PodStatus>>())
        }
        It::PodVersionGet => {
            does("Shows a stored version of a pod").answers(200, "The version.", Schema::of::<v2::Pod>()).fails(&[404])
        }
        It::PodVersionList => does("Lists a pod's stored versions, newest first")
            .answers(200, "The versions.", Schema::of::<Vec<String>>())
            .fails(&[404]),
        It::QueueDelayDelete => does("Ends the launch delay of an app that failed")
            .answers_empty(204, "Its next launch is not delayed.")
            .fails(&[404]),
        It::QueueList => does("Lists apps that miss instances, and why")
            .query(&[words("embed", "Marathon's last offers, of which there are none.", &["lastUnusedOffers"])])
            .answers(200, "The queue.", Schema::of::<v2::Queue>()),
        It::Root => does("Shows the web UI to browsers, and leads others to it")
            .local()
            .answers_in(200, "The page.", &[("text/html", Schema::Text)])
            .answers_empty(304, "The client has it.")
            .redirects("To `/ui/`."),
        It::SchemaApp => does("Shows the JSON Schema of an app's definition, draft 4").local().answers(
            200,
            "The schema.",
            Schema::Object,
        ),
        It::SchemaGroup => {
            does("Shows the JSON Schema of a group, draft 4").local().answers(200, "The schema.", Schema::Object)
        }
        It::SubscriptionAdd => does("Has events posted to a URL, until the leader changes")
            .query(&[CALLBACK])
            .answers(200, "The event that others are told.", Schema::of::<v2::Event>())
            .fails(&[403, 422]),
        It::SubscriptionList => {
            does("Lists the URLs that events are posted to").answers(200, "The URLs.", Schema::of::<v2::CallbackUrls>())
        }
        It::SubscriptionRemove => does("Has events posted to a URL no more")
            .query(&[CALLBACK])
            .answers(200, "The event that others are told.", Schema::of::<v2::Event>())
            .fails(&[422]),
        It::TaskList => does("Lists the instances of all apps")
            .query(&[words("status", "Only those in this state.", &["running", "staging"])])
            .answers_in(200, "The instances.", &tasks)
            .fails(&[406, 422]),
        It::TasksDelete => does("Kills instances of any apps")
            .query(&[SCALE, FORCE, WIPE])
            .reads(Schema::of::<v2::DeleteTasks>())
            .answers(200, killed, Schema::either::<v2::TaskList, v2::DeploymentResult>())
            .fails(&[409]),
        It::UiAsset => does("Serves a file of the web UI")
            .local()
            .answers_in(
                200,
                "The file.",
                &[("text/javascript", Schema::Text), ("text/css", Schema::Text), ("image/svg+xml", Schema::Text)],
            )
            .answers_empty(304, "The client has it.")
            .fails(&[404]),
        It::UiPage => does("Shows the web UI, whose pages find their own way")
            .local()
            .answers_in(200, "The page.", &[("text/html", Schema::Text)])
            .answers_empty(304, "The client has it."),
    }
}
