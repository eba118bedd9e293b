//! What is printed has the types that Marathon documents: no field of a wrong type, none that it does not know, no
//! `null`. Every answer that a test gets goes through here.

use crate::routes::{self, Endpoint};
use http::Method;
use serde_json::Value;
use std::collections::BTreeMap;

/// Marathon's types, as far as they are printed. `name:kind` is always there, `name?:kind` may be absent. A kind is
/// `text`, `path`, `time`, `int`, `num`, `bool`, the name of a type, `[kind]`, `{kind}` for a map of any names, or
/// several with `|` between; `+` says that it is left out where it is empty.
const TYPES: &[(&str, &str)] = &[
    (
        "App",
        "id:path acceptedResourceRoles?:[text] args?:[text]+ backoffFactor:num backoffSeconds:int cmd?:text \
         constraints?:[[text]]+ container?:Container cpus:num dependencies?:[path]+ disk:num env?:{text}+ \
         executor:text fetch?:[Artifact]+ gpus:int healthChecks?:[AppHealthCheck]+ instances:int killSelection:text \
         labels:{text} maxLaunchDelaySeconds:int mem:num networks:[Network]+ portDefinitions?:[PortDefinition] \
         readinessChecks?:[ReadinessCheck]+ requirePorts:bool residency?:AppResidency role:text \
         taskKillGracePeriodSeconds?:int tty?:bool unreachableStrategy:text|UnreachableEnabled \
         upgradeStrategy:UpgradeStrategy user?:text version:time versionInfo?:VersionInfo",
    ),
    // `taskStats` is its documented name; 1.11 prints `tasksStats`.
    (
        "AppInfo",
        "App tasksStaged?:int tasksRunning?:int tasksHealthy?:int tasksUnhealthy?:int deployments?:[Identifiable] \
         tasks?:[Task] lastTaskFailure?:TaskFailure readinessCheckResults?:[TaskReadinessCheckResult] \
         taskStats?:TaskStatsByVersion",
    ),
    ("Identifiable", "id:text"),
    ("AppResidency", "relaunchEscalationTimeoutSeconds:int taskLostBehavior:text"),
    ("UpgradeStrategy", "maximumOverCapacity:num minimumHealthCapacity:num"),
    ("UnreachableEnabled", "inactiveAfterSeconds:int expungeAfterSeconds:int"),
    ("VersionInfo", "lastScalingAt:time lastConfigChangeAt:time"),
    ("Artifact", "uri:text extract:bool executable:bool cache:bool destPath?:text"),
    ("Network", "name?:text mode:text labels?:{text}+"),
    ("PortDefinition", "port:int labels?:{text}+ name?:text protocol:text"),
    ("Container", "type:text docker?:DockerContainer volumes:[AppVolume] portMappings?:[ContainerPortMapping]"),
    ("DockerContainer", "image:text forcePullImage:bool parameters:[DockerParameter] privileged:bool"),
    ("DockerParameter", "key:text value:text"),
    (
        "ContainerPortMapping",
        "containerPort:int hostPort?:int labels:{text} name?:text protocol:text servicePort:int networkNames?:[text]+",
    ),
    ("AppVolume", "AppHostVolume|AppPersistentVolume|AppExternalVolume"),
    ("AppHostVolume", "containerPath:text hostPath:text mode:text"),
    ("AppPersistentVolume", "containerPath:text persistent:PersistentVolumeInfo mode:text"),
    ("PersistentVolumeInfo", "type?:text size:int maxSize?:int profileName?:text constraints?:[[text]]"),
    ("AppExternalVolume", "containerPath:text external:DVDIExternalVolumeInfo mode:text"),
    ("DVDIExternalVolumeInfo", "size?:int name:text provider:text options:{text}+ shared:bool"),
    (
        "AppHealthCheck",
        "command?:AppCommandCheck gracePeriodSeconds:int ignoreHttp1xx?:bool intervalSeconds:int \
         maxConsecutiveFailures:int path?:text port?:int portIndex?:int protocol:text ipProtocol?:text \
         timeoutSeconds:int delaySeconds:int",
    ),
    ("AppCommandCheck", "value:text"),
    (
        "ReadinessCheck",
        "name:text protocol:text path:text portName:text intervalSeconds:int timeoutSeconds:int \
         httpStatusCodesForReady:[int]+ preserveLastResponse:bool",
    ),
    ("TaskReadinessCheckResult", "name:text taskId:text ready:bool lastResponse?:ReadinessCheckHttpResponse"),
    ("ReadinessCheckHttpResponse", "status:int contentType:text body:text"),
    (
        "Task",
        "appId:path healthCheckResults?:[Health]+ host:text id:text ipAddresses?:[IpAddr] ports?:[int] \
         servicePorts?:[int] slaveId?:text state:text stagedAt?:time startedAt?:time version?:time \
         localVolumes?:[LocalVolumeId] region?:text zone?:text role:text",
    ),
    ("IpAddr", "ipAddress:text protocol:text"),
    ("LocalVolumeId", "runSpecId:path containerPath:text uuid:text persistenceId:text"),
    (
        "Health",
        "alive:bool consecutiveFailures:int firstSuccess?:time instanceId:text lastSuccess?:time lastFailure?:time \
         lastFailureCause?:text",
    ),
    (
        "TaskFailure",
        "appId:path host:text message:text state:text taskId:text timestamp:time version:time slaveId?:text",
    ),
    (
        "TaskStatsByVersion",
        "startedAfterLastScaling?:Stats withLatestConfig?:Stats withOutdatedConfig?:Stats totalSummary?:Stats",
    ),
    ("Stats", "stats:TaskStats"),
    ("TaskStats", "counts:TaskCounts lifeTime?:TaskLifeTime"),
    ("TaskCounts", "staged:int running:int healthy:int unhealthy:int"),
    ("TaskLifeTime", "averageSeconds:num medianSeconds:num"),
    (
        "GroupInfo",
        "id:path apps?:[AppInfo] pods?:[any] groups?:[GroupInfo] dependencies?:[path] version?:time enforceRole?:bool",
    ),
    ("DeploymentResult", "deploymentId:text version:time"),
    ("DeploymentSteps", "steps:[DeploymentStep]"),
    ("DeploymentStep", "actions:[DeploymentAction]"),
    ("DeploymentAction", "action:text app?:path pod?:path"),
    ("DeploymentActionInfo", "DeploymentAction readinessCheckResults:[TaskReadinessCheckResult]"),
    (
        "DeploymentStepInfo",
        "id:text steps:[DeploymentStep] version:time affectedApps:[path] affectedPods:[path] \
         currentActions:[DeploymentActionInfo] currentStep:int totalSteps:int",
    ),
    // `role` is a field that a client of Marathon's Python library fails on: it is left out.
    (
        "QueueItem",
        "app?:App pod?:any count:int delay:QueueDelay since:time processedOffersSummary:ProcessedOffersSummary \
         lastUnusedOffers?:[UnusedOffer]",
    ),
    ("QueueDelay", "timeLeftSeconds:int overdue:bool"),
    (
        "ProcessedOffersSummary",
        "processedOffersCount:int unusedOffersCount:int lastUnusedOfferAt?:time lastUsedOfferAt?:time \
         rejectSummaryLastOffers?:[DeclinedOfferStep] rejectSummaryLaunchAttempt?:[DeclinedOfferStep]",
    ),
    ("DeclinedOfferStep", "reason:text declined:int processed:int"),
    ("UnusedOffer", "offer:Offer reason:[text] timestamp:time"),
    ("Offer", "id:text hostname:text agentId:text resources:[OfferResource] attributes:[AgentAttribute]"),
    ("OfferResource", "name:text role:text scalar?:num ranges?:[NumberRange] set?:[text]"),
    ("NumberRange", "begin:int end:int"),
    ("AgentAttribute", "name:text text?:text scalar?:num ranges?:[NumberRange] set?:[text]"),
    ("AppList", "apps:[AppInfo]"),
    ("AppStar", "*:[AppInfo]"),
    ("AppSingle", "app:AppInfo"),
    ("VersionList", "versions:[time]"),
    ("TaskList", "tasks:[Task]"),
    ("TaskSingle", "task:Task"),
    ("Queue", "queue:[QueueItem]"),
];

/// The type of an endpoint's answer; nothing for those of other kinds.
fn type_of(endpoint: Endpoint) -> Option<&'static str> {
    Some(match endpoint {
        Endpoint::AppCreate => "AppInfo",
        Endpoint::AppGet => "AppSingle",
        Endpoint::AppList => "AppList",
        Endpoint::AppListBelow => "AppStar",
        Endpoint::AppPut
        | Endpoint::AppPutMany
        | Endpoint::AppPatch
        | Endpoint::AppPatchMany
        | Endpoint::AppDelete
        | Endpoint::AppRestart
        | Endpoint::DeploymentCancel
        | Endpoint::GroupCreate
        | Endpoint::GroupDelete
        | Endpoint::GroupRestore => "DeploymentResult",
        Endpoint::AppTaskList | Endpoint::AppTaskListBelow | Endpoint::TaskList => "TaskList",
        Endpoint::AppTasksDelete | Endpoint::TasksDelete => "TaskList|DeploymentResult",
        Endpoint::AppTaskDelete => "TaskSingle|DeploymentResult",
        Endpoint::AppVersionGet => "App",
        Endpoint::AppVersionList => "VersionList",
        Endpoint::DeploymentList => "[DeploymentStepInfo]",
        Endpoint::GroupApps => "[AppInfo]",
        Endpoint::GroupGet | Endpoint::GroupVersionGet => "GroupInfo",
        Endpoint::GroupPut => "DeploymentResult|DeploymentSteps",
        Endpoint::GroupVersionList => "[time]",
        Endpoint::QueueList => "Queue",
        _ => return None,
    })
}

/// Panics where an answer's body is not of the type that its request has.
pub(super) fn check_answer(line: &str, status: u16, body: &str) {
    let (method, uri) = line.split_once(' ').unwrap();
    let path = uri.split('?').next().unwrap();
    let Ok(body) = serde_json::from_str::<Value>(body) else { return };
    if !(200..300).contains(&status) {
        return;
    }
    let found = crate::request::segments(path).and_then(|it| routes::find(&method.parse::<Method>().unwrap(), &it));
    if let Ok((route, _)) = found
        && let Some(kind) = type_of(route.endpoint)
        && let Err(error) = check(kind, &body, "")
    {
        panic!("{line}: {error} in {body}");
    }
}

fn check(kind: &str, value: &Value, at: &str) -> Result<(), String> {
    let (kind, filled) = kind.strip_suffix('+').map_or((kind, false), |it| (it, true));
    let empty = value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty);
    if filled && empty {
        return Err(format!("{at} is empty"));
    }
    let inner = |open: char, close: char| kind.strip_prefix(open).and_then(|it| it.strip_suffix(close));
    if let Some(inner) = inner('[', ']') {
        let items = value.as_array().ok_or_else(|| format!("{at} is no array"))?;
        return items.iter().enumerate().try_for_each(|(n, it)| check(inner, it, &format!("{at}[{n}]")));
    }
    if let Some(inner) = inner('{', '}') {
        let fields = value.as_object().ok_or_else(|| format!("{at} is no object"))?;
        return fields.iter().try_for_each(|(name, it)| check(inner, it, &format!("{at}/{name}")));
    }
    if kind.contains('|') {
        let errors: Vec<String> = kind.split('|').map_while(|it| check(it, value, at).err()).collect();
        return if errors.len() < kind.split('|').count() { Ok(()) } else { Err(errors.join(", or ")) };
    }
    let right = match kind {
        "text" => value.is_string(),
        "path" => value.as_str().is_some_and(|it| cluster::PathId::parse(it).is_ok_and(|path| path.as_str() == it)),
        "time" => value.as_str().is_some_and(|it| it.len() == 24 && crate::time::parse(it).is_some()),
        "int" => value.is_i64() || value.is_u64(),
        "num" => value.is_number(),
        "bool" => value.is_boolean(),
        "any" => !value.is_null(),
        _ => return check_fields(kind, value, at),
    };
    if right { Ok(()) } else { Err(format!("{at} is not of kind {kind}")) }
}

fn check_fields(name: &str, value: &Value, at: &str) -> Result<(), String> {
    let definition = TYPES.iter().find(|it| it.0 == name).unwrap_or_else(|| panic!("no type {name}")).1;
    if definition.split_whitespace().count() == 1 && !definition.contains(':') {
        return check(definition, value, at);
    }
    let object = value.as_object().ok_or_else(|| format!("{at} is no {name}"))?;
    let known = fields(name);
    for (field, (kind, optional)) in &known {
        match object.get(*field) {
            None if *optional => {}
            None => return Err(format!("{at}/{field} is missing")),
            Some(value) => check(kind, value, &format!("{at}/{field}"))?,
        }
    }
    match object.keys().find(|it| !known.contains_key(it.as_str())) {
        Some(field) => Err(format!("{at}/{field} is not known")),
        None => Ok(()),
    }
}

/// The fields of a type and of the one that it extends.
fn fields(name: &str) -> BTreeMap<&'static str, (&'static str, bool)> {
    let definition = TYPES.iter().find(|it| it.0 == name).unwrap_or_else(|| panic!("no type {name}")).1;
    let mut all = BTreeMap::new();
    for word in definition.split_whitespace() {
        match word.split_once(':') {
            None => all.extend(fields(word)),
            Some((field, kind)) => {
                let name = field.strip_suffix('?');
                all.insert(name.unwrap_or(field), (kind, name.is_some()));
            }
        }
    }
    all
}

#[test]
fn the_checker_finds_what_it_is_for() {
    let network = |text: &str| check("Network", &serde_json::from_str(text).unwrap(), "");
    assert_eq!(network(r#"{"mode":"host"}"#), Ok(()));
    assert_eq!(network(r#"{"mode":"host","labels":{"a":"b"}}"#), Ok(()));
    for (text, error) in [
        ("{}", "/mode is missing"),
        (r#"{"mode":null}"#, "/mode is not of kind text"),
        (r#"{"mode":"host","name":null}"#, "/name is not of kind text"),
        (r#"{"mode":"host","labels":{}}"#, "/labels is empty"),
        (r#"{"mode":"host","nmae":"x"}"#, "/nmae is not known"),
        ("[]", " is no Network"),
    ] {
        assert_eq!(network(text), Err(error.to_owned()), "{text}");
    }
    assert!(check("text|UnreachableEnabled", &serde_json::json!("disabled"), "").is_ok());
    assert!(check("text|UnreachableEnabled", &serde_json::json!(1), "").is_err());
}
