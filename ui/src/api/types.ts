// Made by scripts/types.mjs of the server's /v3/openapi.json: not to be edited.

/** Answer of `GET /metrics` in JSON (RAML `NewMetrics`). */
export interface Metrics {
  /** The form's version, of the library that Marathon used. */
  version: string;
  /** What only grows, by name. */
  counters: Record<string, Counted>;
  /** What goes up and down, by name. */
  gauges: Record<string, Measured>;
  /** What is measured many times, by name. */
  histograms: Record<string, Distribution>;
  /** Always empty. */
  meters: Record<string, Counted>;
  /** Always empty: times are among the histograms, in seconds. */
  timers: Record<string, Counted>;
}

/** A counter (RAML `Counter`). */
export interface Counted {
  /** How many. */
  count: number;
}

/** A gauge (RAML `Gauge`). */
export interface Measured {
  /** How much. */
  value: Number;
}

/** A JSON number; whole ones are printed without a fraction, as Marathon does: `1`, not `1.0`. */
export type Number = number;

/** A histogram (RAML `Histogram`). */
export interface Distribution {
  /** How many values there were. */
  count: number;
  /** Their mean. */
  mean: Number;
}

/** Body and answer of `POST /logging` (RAML `LoggerChange`). */
export interface LoggerChange {
  /** `off`, `error`, `warn`, `info`, `debug` or `trace`. */
  level: string;
  /** A module's path, such as `scheduler` or `api::handlers`; `ROOT` for all that have no level of their own. */
  logger: string;
  /** So long, seconds; for good where it is absent. */
  durationSeconds?: number;
}

/** Answer of `GET /v2/apps` (RAML `AppList`). */
export interface AppList {
  /** The apps, by id. */
  apps: AppInfo[];
}

/** An app and what is known of its instances (RAML `AppInfo`). */
export interface AppInfo {
  /** Its absolute path. */
  id: string;
  /** Resource roles; only ever `*`. */
  acceptedResourceRoles?: string[];
  /** Arguments for the image's entrypoint. */
  args?: string[];
  /** Each further launch delay is so many times the last. */
  backoffFactor: Number;
  /** The first launch delay after a failure. */
  backoffSeconds: number;
  /** Command line for `/bin/sh -c`. */
  cmd?: string;
  /** `[field, operator]` or `[field, operator, value]`. */
  constraints?: string[][];
  /** What is started. */
  container?: Container | null;
  /** Cores, to a thousandth. */
  cpus: Number;
  /** Apps and groups that a deployment brings to their new version first. */
  dependencies?: string[];
  /** MiB of disk. */
  disk: Number;
  /** Environment. */
  env?: Record<string, string>;
  /** Always empty. */
  executor: string;
  /** Files that are there before the process starts. */
  fetch?: Artifact[];
  /** Always 0. */
  gpus: number;
  /** Health checks. */
  healthChecks?: HealthCheck[];
  /** How many instances shall run. */
  instances: number;
  /** `YOUNGEST_FIRST` or `OLDEST_FIRST`. */
  killSelection: string;
  /** Labels. */
  labels: Record<string, string>;
  /** No launch delay is longer. */
  maxLaunchDelaySeconds: number;
  /** MiB of memory. */
  mem: Number;
  /** How instances are attached. */
  networks: Network[];
  /** Ports of apps on the host network; absent for others. */
  portDefinitions?: PortDefinition[];
  /** How a new instance is asked whether it may take an old one's place. */
  readinessChecks?: ReadinessCheck[];
  /** Whether port definitions name host ports. */
  requirePorts: boolean;
  /** What an app with persistent volumes says of lost nodes; kept, and without effect. */
  residency?: Residency | null;
  /** Always `*`. */
  role: string;
  /** From the polite to the hard stop signal. */
  taskKillGracePeriodSeconds?: number;
  /** Whether the process has a terminal; absent unless it has. */
  tty?: boolean;
  /** What happens to instances of a lost node. */
  unreachableStrategy: UnreachableStrategy;
  /** Limits of a rolling update. */
  upgradeStrategy: UpgradeStrategy;
  /** User of the container's process. */
  user?: string;
  /** When this definition was accepted: its name. */
  version: string;
  /** When what changed last. */
  versionInfo?: VersionInfo | null;
  /** Instances on their way. */
  tasksStaged: number;
  /** Instances that run. */
  tasksRunning: number;
  /** Instances whose checks all succeed. */
  tasksHealthy: number;
  /** Instances with a failing check. */
  tasksUnhealthy: number;
  /** The deployments that change the app now. */
  deployments: DeploymentRef[];
  /** Its instances, where asked for. */
  tasks?: Task[];
  /** The last failure, where asked for and there was one. */
  lastTaskFailure?: TaskFailure | null;
  /** What the new instances of a deployment answer to the readiness check, where asked for. */
  readinessCheckResults?: ReadinessResult[];
  /** Counts by version, where asked for. */
  taskStats?: TaskStatsByVersion | null;
}

/** What is started (RAML `Container`). */
export interface Container {
  /** `DOCKER`, or `MESOS` where the user said so: Docker runs it all the same. */
  type: string;
  /** The image and its options. */
  docker?: DockerContainer | null;
  /** Ports of apps on a network of containers; absent on the host network. */
  portMappings?: PortMapping[];
  /** What is mounted. */
  volumes: Volume[];
}

/** An image and how it is run (RAML `DockerContainer`). */
export interface DockerContainer {
  /** Image reference. */
  image: string;
  /** Pull before every start. */
  forcePullImage: boolean;
  /** Whether it has all rights of the node's root, where the node's operator allows it. */
  privileged: boolean;
  /** Extra options for Docker. */
  parameters: DockerParameter[];
}

/** An extra option for Docker (RAML `DockerParameter`). */
export interface DockerParameter {
  /** The option's name, without dashes. */
  key: string;
  /** Its value. */
  value: string;
}

/** A port of a container (RAML `ContainerPortMapping`). */
export interface PortMapping {
  /** The port inside; 0: the same as the host port. */
  containerPort: number;
  /** The host port; 0: any of the node's range. */
  hostPort?: number;
  /** Labels. */
  labels: Record<string, string>;
  /** Name. */
  name?: string;
  /** `tcp`, `udp` or `udp,tcp`. */
  protocol: string;
  /** Number for load balancers. */
  servicePort: number;
}

/** Something mounted (RAML `AppVolume`): one of its three kinds. */
export interface Volume {
  /** Path inside. */
  containerPath: string;
  /** A volume of a Docker driver. */
  external?: ExternalVolume | null;
  /** A directory of the node: its path there. */
  hostPath?: string;
  /** `RW` or `RO`. */
  mode: string;
  /** A directory that is kept on the node. */
  persistent?: PersistentVolume | null;
}

/** A volume of a Docker driver (RAML `DVDIExternalVolumeInfo`). */
export interface ExternalVolume {
  /** The driver's name for it. */
  name: string;
  /** For the driver; `dvdi/driver` names it. */
  options?: Record<string, string>;
  /** Always `dvdi`. */
  provider: string;
  /** Whether several apps may mount it. */
  shared: boolean;
  /** MiB, where it was given. */
  size?: number;
}

/** A directory that is kept on the node (RAML `PersistentVolumeInfo`). */
export interface PersistentVolume {
  /** MiB. */
  size: number;
  /** Always `root`. */
  type: string;
}

/** A file that is fetched before the start (RAML `Artifact`). */
export interface Artifact {
  /** Keep it on the node for the next instance. */
  cache: boolean;
  /** Path inside the sandbox. */
  destPath?: string;
  /** Make it executable. */
  executable: boolean;
  /** Unpack it. */
  extract: boolean;
  /** Where from. */
  uri: string;
}

/** A health check, all defaults filled in (RAML `AppHealthCheck`). */
export interface HealthCheck {
  /** The command, for `COMMAND`. */
  command?: Command | null;
  /** From the start to the first probe, seconds. */
  delaySeconds: number;
  /** So long after the start failures do not count. */
  gracePeriodSeconds: number;
  /** Whether answers 100–199 give no result; HTTP only. */
  ignoreHttp1xx?: boolean;
  /** From one probe to the next. */
  intervalSeconds: number;
  /** `IPv4` or `IPv6`, for probes over the network. */
  ipProtocol?: string;
  /** So many failures in a row end the instance; 0: never. */
  maxConsecutiveFailures: number;
  /** Path, for HTTP kinds. */
  path?: string;
  /** Port number. */
  port?: number;
  /** Position among the app's ports. */
  portIndex?: number;
  /** `HTTP`, `HTTPS`, `TCP`, `COMMAND`, `MESOS_HTTP`, `MESOS_HTTPS` or `MESOS_TCP`. */
  protocol: string;
  /** A probe that takes longer has failed. */
  timeoutSeconds: number;
}

/** A command line to check with (RAML `AppCommandCheck`). */
export interface Command {
  /** For `/bin/sh -c`. */
  value: string;
}

/** How instances are attached (RAML `Network`). */
export interface Network {
  /** Labels, of a named network. */
  labels?: Record<string, string>;
  /** `host`, `container/bridge` or `container`. */
  mode: string;
  /** Its name, in mode `container`. */
  name?: string;
}

/** A port of an app on the host network (RAML `PortDefinition`). */
export interface PortDefinition {
  /** Labels. */
  labels?: Record<string, string>;
  /** Name. */
  name?: string;
  /** Service port, and host port where ports are required. */
  port: number;
  /** `tcp`, `udp` or `udp,tcp`. */
  protocol: string;
}

/** A readiness check, all defaults filled in (RAML `ReadinessCheck`). */
export interface ReadinessCheck {
  /** The answers that mean ready. */
  httpStatusCodesForReady: number[];
  /** From one probe to the next. */
  intervalSeconds: number;
  /** Its name. */
  name: string;
  /** Path and query. */
  path: string;
  /** The name of the app's port that is asked. */
  portName: string;
  /** Whether the last answer is kept to be shown. */
  preserveLastResponse: boolean;
  /** `HTTP` or `HTTPS`. */
  protocol: string;
  /** A probe that takes longer has no answer. */
  timeoutSeconds: number;
}

/** What an app with persistent volumes says of lost nodes (RAML `AppResidency`). */
export interface Residency {
  /** Seconds. */
  relaunchEscalationTimeoutSeconds: number;
  /** `WAIT_FOREVER` or `RELAUNCH_AFTER_TIMEOUT`. */
  taskLostBehavior: string;
}

/** What happens to instances of a lost node (RAML `UnreachableStrategy`). */
export type UnreachableStrategy = string | {
  /** From the loss to forgetting. */
  expungeAfterSeconds: number;
  /** From the loss to the replacement. */
  inactiveAfterSeconds: number;
};

/** Limits of a rolling update (RAML `UpgradeStrategy`). */
export interface UpgradeStrategy {
  /** By this part the instances may be exceeded. */
  maximumOverCapacity: Number;
  /** This part of the instances stays healthy. */
  minimumHealthCapacity: Number;
}

/** When what changed last (RAML `VersionInfo`). */
export interface VersionInfo {
  /** When the number of instances did. */
  lastScalingAt: string;
  /** When anything else did, or the app was restarted. */
  lastConfigChangeAt: string;
}

/** A deployment, by name (RAML `Identifiable`). */
export interface DeploymentRef {
  /** Its id. */
  id: string;
}

/** One instance (RAML `Task`). */
export interface Task {
  /** Its app. */
  appId: string;
  /** Results of its health checks; absent while there is none. */
  healthCheckResults?: Health[];
  /** Where its ports are reached. */
  host: string;
  /** `<path _ joined>.<uuid>`; the UUID is the instance's id and the container's name. */
  id: string;
  /** Its own addresses. */
  ipAddresses: IpAddress[];
  /** Its persistent volumes. */
  localVolumes: LocalVolume[];
  /** Its host ports. */
  ports: number[];
  /** Always `*`. */
  role: string;
  /** The app's service ports. */
  servicePorts: number[];
  /** Its node. */
  slaveId?: string;
  /** When it was placed. */
  stagedAt?: string;
  /** When it was seen running. */
  startedAt?: string;
  /** Mesos' name for its state: `TASK_RUNNING`. */
  state: string;
  /** The app's version it was launched for. */
  version?: string;
}

/** One check's results for one instance (RAML `Health`). */
export interface Health {
  /** Whether the last success is newer than the last failure. */
  alive: boolean;
  /** Failures in a row. */
  consecutiveFailures: Number;
  /** First success. */
  firstSuccess?: string;
  /** Last success. */
  lastSuccess?: string;
  /** Last failure. */
  lastFailure?: string;
  /** Why it was one. */
  lastFailureCause?: string;
  /** Whose results these are. */
  instanceId: string;
}

/** An address of an instance (RAML `IpAddr`). */
export interface IpAddress {
  /** The address. */
  ipAddress: string;
  /** `IPv4` or `IPv6`. */
  protocol: string;
}

/** A persistent volume of an instance (RAML `LocalVolumeId`). */
export interface LocalVolume {
  /** Its app. */
  runSpecId: string;
  /** Path inside. */
  containerPath: string;
  /** The reservation's id: the same for the instance's successor. */
  uuid: string;
  /** `<path _ joined>#<containerPath>#<uuid>` */
  persistenceId: string;
}

/** How an instance failed (RAML `TaskFailure`). */
export interface TaskFailure {
  /** Its app. */
  appId: string;
  /** Where it ran. */
  host: string;
  /** Why. */
  message: string;
  /** Its node. */
  slaveId?: string;
  /** Mesos' name for how it ended. */
  state: string;
  /** Which one. */
  taskId: string;
  /** When. */
  timestamp: string;
  /** The app's version it was launched for. */
  version: string;
}

/** What an instance answered last (RAML `TaskReadinessCheckResult`). */
export interface ReadinessResult {
  /** The check's name. */
  name: string;
  /** The instance's task id. */
  taskId: string;
  /** Whether it is ready. */
  ready: boolean;
  /** Its answer, where the check asks to keep it. */
  lastResponse?: ReadinessResponse | null;
}

/** An HTTP answer (RAML `ReadinessCheckHttpResponse`). */
export interface ReadinessResponse {
  /** Status. */
  status: number;
  /** Content type. */
  contentType: string;
  /** The body's beginning. */
  body: string;
}

/** Counts by how new instances are (RAML `TaskStatsByVersion`); a group without instances is absent. */
export interface TaskStatsByVersion {
  /** Those started after the last change of their number. */
  startedAfterLastScaling?: Stats | null;
  /** Those that run the wanted configuration. */
  withLatestConfig?: Stats | null;
  /** Those that run an older one. */
  withOutdatedConfig?: Stats | null;
  /** All. */
  totalSummary?: Stats | null;
}

/** A wrapper that Marathon has (RAML `Stats`). */
export interface Stats {
  /** What is in it. */
  stats: TaskStats;
}

/** Counts and ages (RAML `TaskStats`). */
export interface TaskStats {
  /** How many. */
  counts: TaskCounts;
  /** How old those that run are. */
  lifeTime?: LifeTime | null;
}

/** How many instances (RAML `TaskCounts`). */
export interface TaskCounts {
  /** On their way. */
  staged: number;
  /** Running. */
  running: number;
  /** With checks that all succeed. */
  healthy: number;
  /** With a failing check. */
  unhealthy: number;
}

/** How old instances are, seconds (RAML `TaskLifeTime`). */
export interface LifeTime {
  /** Mean. */
  averageSeconds: Number;
  /** Median. */
  medianSeconds: Number;
}

/** Answer of every change (RAML `DeploymentResult`). */
export interface DeploymentResult {
  /** The deployment that carries the change out. */
  deploymentId: string;
  /** The version that the apps move to. */
  version: string;
}

/** Answer of `GET /v2/apps/{group}/*`. */
export interface AppStar {
  /** The apps below the group, by id. */
  "*": AppInfo[];
}

/** Answer of lists and kills of tasks (RAML `TaskList`). */
export interface TaskList {
  /** The tasks. */
  tasks: Task[];
}

/** Answer of `GET /v2/apps/{id}/versions` (RAML `VersionList`). */
export interface VersionList {
  /** The versions, newest first. */
  versions: string[];
}

/** An app's definition, as printed: all defaults filled in (RAML `App`). */
export interface App {
  /** Its absolute path. */
  id: string;
  /** Resource roles; only ever `*`. */
  acceptedResourceRoles?: string[];
  /** Arguments for the image's entrypoint. */
  args?: string[];
  /** Each further launch delay is so many times the last. */
  backoffFactor: Number;
  /** The first launch delay after a failure. */
  backoffSeconds: number;
  /** Command line for `/bin/sh -c`. */
  cmd?: string;
  /** `[field, operator]` or `[field, operator, value]`. */
  constraints?: string[][];
  /** What is started. */
  container?: Container | null;
  /** Cores, to a thousandth. */
  cpus: Number;
  /** Apps and groups that a deployment brings to their new version first. */
  dependencies?: string[];
  /** MiB of disk. */
  disk: Number;
  /** Environment. */
  env?: Record<string, string>;
  /** Always empty. */
  executor: string;
  /** Files that are there before the process starts. */
  fetch?: Artifact[];
  /** Always 0. */
  gpus: number;
  /** Health checks. */
  healthChecks?: HealthCheck[];
  /** How many instances shall run. */
  instances: number;
  /** `YOUNGEST_FIRST` or `OLDEST_FIRST`. */
  killSelection: string;
  /** Labels. */
  labels: Record<string, string>;
  /** No launch delay is longer. */
  maxLaunchDelaySeconds: number;
  /** MiB of memory. */
  mem: Number;
  /** How instances are attached. */
  networks: Network[];
  /** Ports of apps on the host network; absent for others. */
  portDefinitions?: PortDefinition[];
  /** How a new instance is asked whether it may take an old one's place. */
  readinessChecks?: ReadinessCheck[];
  /** Whether port definitions name host ports. */
  requirePorts: boolean;
  /** What an app with persistent volumes says of lost nodes; kept, and without effect. */
  residency?: Residency | null;
  /** Always `*`. */
  role: string;
  /** From the polite to the hard stop signal. */
  taskKillGracePeriodSeconds?: number;
  /** Whether the process has a terminal; absent unless it has. */
  tty?: boolean;
  /** What happens to instances of a lost node. */
  unreachableStrategy: UnreachableStrategy;
  /** Limits of a rolling update. */
  upgradeStrategy: UpgradeStrategy;
  /** User of the container's process. */
  user?: string;
  /** When this definition was accepted: its name. */
  version: string;
  /** When what changed last. */
  versionInfo?: VersionInfo | null;
}

/** Answer of the kill of one task (RAML `TaskSingle`). */
export interface TaskSingle {
  /** The task. */
  task: Task;
}

/** Answer of `GET /v2/apps/{id}`. */
export interface AppSingle {
  /** The app. */
  app: AppInfo;
}

/** A group and what is in it (RAML `GroupInfo`). Each part is absent where it is not asked for. */
export interface GroupInfo {
  /** Its absolute path. */
  id: string;
  /** Its own apps. */
  apps?: App[];
  /** Its own pods, with their instances. */
  pods?: PodStatus[];
  /** The groups in it. */
  groups?: GroupInfo[];
  /** Apps and groups that a deployment brings to their new version before the apps of this one. */
  dependencies: string[];
  /** When it, or something in it, last changed. */
  version?: string;
}

/** A pod and its instances (RAML `PodStatus`). */
export interface PodStatus {
  /** Its path. */
  id: string;
  /** Its definition. */
  spec: Pod;
  /** `STABLE`, `DEGRADED`, or `TERMINAL` while it is being removed. */
  status: string;
  /** Since when. */
  statusSince: string;
  /** Why, for people. */
  message?: string;
  /** Its instances that have not ended. */
  instances: PodInstanceStatus[];
  /** Instances that have ended, as far as they are remembered. */
  terminationHistory: TerminationHistory[];
  /** As of when this is. */
  lastUpdated: string;
  /** When it last changed. */
  lastChanged: string;
}

/** A pod's definition, as printed: all defaults filled in (RAML `Pod`). */
export interface Pod {
  /** Its absolute path. */
  id: string;
  /** Labels. */
  labels?: Record<string, string>;
  /** When this definition was accepted: its name. */
  version: string;
  /** User of the containers' processes that name none. */
  user?: string;
  /** Environment of all containers. */
  environment?: Record<string, string>;
  /** The containers. */
  containers: PodContainer[];
  /** Directories that they share. */
  volumes?: PodVolume[];
  /** How instances are attached. */
  networks?: PodNetwork[];
  /** How many instances shall run. */
  scaling: PodScaling;
  /** How instances are placed and replaced. */
  scheduling: PodScheduling;
  /** What Marathon adds for its executor: always its defaults. Ekiden adds nothing. */
  executorResources?: ExecutorResources | null;
  /** Always `*`. */
  role: string;
}

/** One container of a pod (RAML `PodContainer`). */
export interface PodContainer {
  /** Its name, unique in the pod. */
  name: string;
  /** What is run; the image's own command if absent. */
  exec?: PodExec | null;
  /** What it takes of its node. */
  resources: PodResources;
  /** Its ports. */
  endpoints?: PodEndpoint[];
  /** Its image; the cluster's image for commands if absent. */
  image?: PodImage | null;
  /** Environment; wins over the pod's. */
  environment?: Record<string, string>;
  /** User of its process. */
  user?: string;
  /** Its health check. */
  healthCheck?: PodHealthCheck | null;
  /** Which volumes it sees. */
  volumeMounts?: PodMount[];
  /** Files that are there before its process starts. */
  artifacts?: PodArtifact[];
  /** Labels. */
  labels?: Record<string, string>;
  /** How it is ended. */
  lifecycle?: PodLifecycle | null;
  /** Whether its process gets a terminal. */
  tty?: boolean;
}

/** What a container runs (RAML `MesosExec`). */
export interface PodExec {
  /** The command. */
  command: PodCommand;
  /** Whether the first word of an `argv` takes the place of the image's entrypoint. */
  overrideEntrypoint?: boolean;
}

/** A command (RAML `MesosCommand`). */
export type PodCommand = {
  /** The command line. */
  shell: string;
} | {
  /** The words. */
  argv: string[];
};

/** What a container takes of its node (RAML `Resources`). */
export interface PodResources {
  /** Cores, to a thousandth. */
  cpus: Number;
  /** MiB of memory. */
  mem: Number;
  /** MiB of disk. */
  disk: Number;
  /** Always 0. */
  gpus: number;
}

/** A port of a container (RAML `Endpoint`). */
export interface PodEndpoint {
  /** Its name, unique in the pod. */
  name: string;
  /** The port inside; absent on the host network. */
  containerPort?: number;
  /** The host port; 0: any of the node's range; absent: none. */
  hostPort?: number;
  /** `tcp`, `udp` or both. */
  protocol?: string[];
  /** Labels. */
  labels?: Record<string, string>;
}

/** A container's image (RAML `Image`). */
export interface PodImage {
  /** Always `DOCKER`. */
  kind: string;
  /** Image reference. */
  id: string;
  /** Pull before every start. */
  forcePull?: boolean;
}

/** A health check of a container, all defaults filled in (RAML `HealthCheck`). */
export interface PodHealthCheck {
  /** By HTTP. */
  http?: PodHttpCheck | null;
  /** By a connection. */
  tcp?: PodTcpCheck | null;
  /** By a command in the container. */
  exec?: PodCommandCheck | null;
  /** So long after the start failures do not count, seconds. */
  gracePeriodSeconds: number;
  /** From one probe to the next. */
  intervalSeconds: number;
  /** So many failures in a row end the instance; 0: never. */
  maxConsecutiveFailures: number;
  /** A probe that takes longer has failed. */
  timeoutSeconds: number;
  /** From the start to the first probe. */
  delaySeconds: number;
}

/** A check by HTTP (RAML `HttpCheck`). */
export interface PodHttpCheck {
  /** Which of the container's endpoints. */
  endpoint: string;
  /** Path and query. */
  path?: string;
  /** `HTTP` or `HTTPS`. */
  scheme?: string;
}

/** A check by a connection (RAML `TcpCheck`). */
export interface PodTcpCheck {
  /** Which of the container's endpoints. */
  endpoint: string;
}

/** A check by a command (RAML `CommandCheck`). */
export interface PodCommandCheck {
  /** The command. */
  command: PodCommand;
}

/** A volume as one container sees it (RAML `VolumeMount`). */
export interface PodMount {
  /** The volume's name. */
  name: string;
  /** Path inside; relative to the sandbox where it has no leading slash. */
  mountPath: string;
  /** Whether the container may only read. */
  readOnly?: boolean;
}

/** A file that is fetched (RAML `Artifact`). */
export interface PodArtifact {
  /** Where from. */
  uri: string;
  /** Unpack it, if it is an archive. */
  extract: boolean;
  /** Make it executable. */
  executable: boolean;
  /** Keep it on the node for the next instance. */
  cache: boolean;
  /** Path inside the sandbox. */
  destPath?: string;
}

/** How a container is ended (RAML `Lifecycle`). */
export interface PodLifecycle {
  /** From the polite to the hard stop signal. */
  killGracePeriodSeconds?: Number | null;
}

/** A directory that containers share (RAML `PodHostVolume` and `PodEphemeralVolume`). */
export interface PodVolume {
  /** Its name, unique in the pod. */
  name: string;
  /** The directory of the node; absent for one that lives as long as the instance. */
  host?: string;
}

/** How instances are attached (RAML `Network`). */
export interface PodNetwork {
  /** The Docker network's name, for mode `container`. */
  name?: string;
  /** `host`, `container/bridge` or `container`. */
  mode: string;
  /** Labels. */
  labels?: Record<string, string>;
}

/** How many instances shall run (RAML `FixedPodScalingPolicy`). */
export interface PodScaling {
  /** Always `fixed`. */
  kind: string;
  /** How many. */
  instances: number;
}

/** How instances are placed and replaced (RAML `PodSchedulingPolicy`). */
export interface PodScheduling {
  /** Launch delays after failures. */
  backoff: PodBackoff;
  /** Limits of a rolling update. */
  upgrade: UpgradeStrategy;
  /** Where instances may run. */
  placement?: PodPlacement | null;
  /** `YOUNGEST_FIRST` or `OLDEST_FIRST`. */
  killSelection: string;
  /** What happens to instances of a lost node. */
  unreachableStrategy: UnreachableStrategy;
}

/** Launch delays after failures (RAML `PodSchedulingBackoffStrategy`). */
export interface PodBackoff {
  /** The first, seconds. */
  backoff: Number;
  /** Each further one is so many times the last. */
  backoffFactor: Number;
  /** None is longer, seconds. */
  maxLaunchDelay: Number;
}

/** Where instances may run (RAML `PodPlacementPolicy`). */
export interface PodPlacement {
  /** The rules. */
  constraints?: PodConstraint[];
  /** Resource roles; only ever `*`. */
  acceptedResourceRoles?: string[];
}

/** A rule on nodes (RAML `Constraint`). */
export interface PodConstraint {
  /** `hostname`, or a node's attribute. */
  fieldName: string;
  /** What must hold of it. */
  operator: string;
  /** The operator's argument. */
  value?: string;
}

/** What Marathon's executor takes (RAML `ExecutorResources`). */
export interface ExecutorResources {
  /** Cores. */
  cpus: Number;
  /** MiB of memory. */
  mem: Number;
  /** MiB of disk. */
  disk: Number;
}

/** One instance of a pod (RAML `PodInstanceStatus`). */
export interface PodInstanceStatus {
  /** `<path _ joined>.marathon-<uuid>`. */
  id: string;
  /** `STAGING`, `STABLE`, `DEGRADED` or `TERMINAL`. */
  status: string;
  /** Since when. */
  statusSince: string;
  /** Why, for people. */
  message?: string;
  /** What its checks say. */
  conditions?: StatusCondition[];
  /** Where its ports are reached. */
  agentHostname?: string;
  /** Its node. */
  agentId?: string;
  /** What it takes of its node. */
  resources?: PodResources | null;
  /** Its addresses. */
  networks?: NetworkStatus[];
  /** Its containers. */
  containers?: ContainerStatus[];
  /** Where the definition is that it runs. */
  specReference?: string;
  /** As of when this is. */
  lastUpdated: string;
  /** When it last changed. */
  lastChanged: string;
  /** Always `*`. */
  role: string;
}

/** Something that holds, or not (RAML `StatusCondition`). */
export interface StatusCondition {
  /** What: `healthy`. */
  name: string;
  /** When its value last changed. */
  lastChanged: string;
  /** As of when this is. */
  lastUpdated: string;
  /** `true` or `false`. */
  value: string;
  /** Why. */
  reason?: string;
}

/** Addresses in a network (RAML `NetworkStatus`). */
export interface NetworkStatus {
  /** The network's name, where it has one. */
  name?: string;
  /** The addresses. */
  addresses: string[];
}

/** One container of an instance (RAML `ContainerStatus`). */
export interface ContainerStatus {
  /** Its name. */
  name: string;
  /** Mesos' name for its state: `TASK_RUNNING`. */
  status: string;
  /** Since when. */
  statusSince: string;
  /** Why, for people. */
  message?: string;
  /** What its check says. */
  conditions?: StatusCondition[];
  /** The instance's id and the container's name. */
  containerId?: string;
  /** Its ports. */
  endpoints?: EndpointStatus[];
  /** What it takes of its node. */
  resources?: PodResources | null;
  /** As of when this is. */
  lastUpdated: string;
  /** When it last changed. */
  lastChanged: string;
}

/** A port of a container that runs (RAML `ContainerEndpointStatus`). */
export interface EndpointStatus {
  /** Its name. */
  name: string;
  /** Its host port, where it has one. */
  allocatedHostPort?: number;
  /** What the check on it says. */
  healthy?: boolean;
}

/** An instance that has ended (RAML `TerminationHistory`). */
export interface TerminationHistory {
  /** Which one. */
  instanceID: string;
  /** When it started. */
  startedAt: string;
  /** When it ended, or the cluster learnt of it. */
  terminatedAt: string;
  /** Why, for people. */
  message?: string;
  /** Its containers. */
  containers: ContainerTermination[];
}

/** A container that has ended (RAML `ContainerTerminationHistory`). */
export interface ContainerTermination {
  /** The instance's id and the container's name. */
  containerId: string;
  /** Mesos' name for how it ended. */
  lastKnownState?: string;
  /** How, where it is known. */
  termination?: TerminationState | null;
}

/** How a container ended (RAML `ContainerTerminationState`). */
export interface TerminationState {
  /** Its exit code, where it had one. */
  exitCode?: number;
  /** Why, for people. */
  message?: string;
}

/** Answer of a dry run (RAML `DeploymentSteps`). */
export interface DeploymentSteps {
  /** What would be done, in order. */
  steps: DeploymentStep[];
}

/** Actions that are carried out side by side (RAML `DeploymentStep`). */
export interface DeploymentStep {
  /** The actions. */
  actions: DeploymentAction[];
}

/** What is done to one app (RAML `DeploymentAction`). */
export interface DeploymentAction {
  /** `StartApplication`, `StopApplication`, `ScaleApplication` or `RestartApplication`, or `…Pod`. */
  action: string;
  /** Which app. */
  app?: string;
  /** Or which pod. */
  pod?: string;
}

/** Body of `POST /v2/tasks/delete` (RAML `DeleteTasks`). */
export interface DeleteTasks {
  /** Task ids. */
  ids: string[];
}

/** A deployment under way (RAML `DeploymentStepInfo`). */
export interface Deployment {
  /** Its name. */
  id: string;
  /** The version that the apps move to. */
  version: string;
  /** Apps it changes. */
  affectedApps: string[];
  /** Pods it changes. */
  affectedPods: string[];
  /** All its steps. */
  steps: DeploymentStep[];
  /** The actions of the current one. */
  currentActions: DeploymentActionInfo[];
  /** Which step it is at, from 1. */
  currentStep: number;
  /** How many it has. */
  totalSteps: number;
}

/** An action under way (RAML `DeploymentActionInfo`). */
export interface DeploymentActionInfo {
  /** `StartApplication`, `StopApplication`, `ScaleApplication` or `RestartApplication`, or `…Pod`. */
  action: string;
  /** Which app. */
  app?: string;
  /** Or which pod. */
  pod?: string;
  /** What the instances that it brings up answer to the readiness check. */
  readinessCheckResults: ReadinessResult[];
}

/** An instance that was killed (RAML `Instance`). */
export interface PodInstance {
  /** `<path _ joined>.marathon-<uuid>`. */
  instanceId: string;
  /** How it is. */
  state: InstanceState;
  /** Where it is. */
  agentInfo?: AgentInfo | null;
  /** The version it was launched for. */
  runSpecVersion: string;
  /** What happens to it when its node is lost. */
  unreachableStrategy: UnreachableStrategy;
}

/** How an instance is (RAML `InstanceState`). */
export interface InstanceState {
  /** Marathon's name for its state: `Running`. */
  condition: string;
  /** Since when. */
  since: string;
  /** When it was seen running. */
  activeSince?: string;
  /** What its checks say. */
  healthy?: boolean;
  /** What is wanted of it: `Running` or `Decommissioned`. */
  goal: string;
}

/** Where an instance is (RAML `AgentInfo`). */
export interface AgentInfo {
  /** Where its ports are reached. */
  host: string;
  /** Its node. */
  agentId?: string;
  /** What constraints may name of the node. */
  attributes: AgentAttribute[];
}

/** An attribute of a node (RAML `AgentAttribute`). */
export interface AgentAttribute {
  /** Its name. */
  name: string;
  /** Its value. */
  text: string;
}

/** Answer of `GET /v2/queue` (RAML `Queue`). */
export interface Queue {
  /** The apps and pods that miss instances. */
  queue: QueueItem[];
}

/** An app or a pod that misses instances (RAML `QueueItem`). */
export interface QueueItem {
  /** The app; absent for a pod. */
  app?: App | null;
  /** The pod; absent for an app. */
  pod?: Pod | null;
  /** How many it misses. */
  count: number;
  /** How long its launches wait after failures. */
  delay: Delay;
  /** Since when it waits. */
  since: string;
  /** What the nodes said. */
  processedOffersSummary: ProcessedOffersSummary;
  /** The nodes that do not do, where asked for. */
  lastUnusedOffers?: UnusedOffer[];
}

/** A launch delay (RAML `QueueDelay`). */
export interface Delay {
  /** So long no launch is tried, seconds. */
  timeLeftSeconds: number;
  /** Whether launches are tried now. */
  overdue: boolean;
}

/** What the nodes said (RAML `ProcessedOffersSummary`); a node counts as an offer. */
export interface ProcessedOffersSummary {
  /** Nodes looked at. */
  processedOffersCount: Number;
  /** Nodes that did not do. */
  unusedOffersCount: Number;
  /** When one did not do. */
  lastUnusedOfferAt?: string;
  /** When one took an instance. */
  lastUsedOfferAt?: string;
  /** Reasons, in the order in which they are looked at. */
  rejectSummaryLastOffers?: DeclinedOfferStep[];
  /** The same. */
  rejectSummaryLaunchAttempt?: DeclinedOfferStep[];
}

/** One reason (RAML `DeclinedOfferStep`). */
export interface DeclinedOfferStep {
  /** Marathon's name for it. */
  reason: string;
  /** Nodes that failed here. */
  declined: number;
  /** Nodes that came so far. */
  processed: number;
}

/** A node that does not do (RAML `UnusedOffer`). */
export interface UnusedOffer {
  /** What it has to give. */
  offer: Offer;
  /** Why it does not do. */
  reason: string[];
  /** When it was looked at. */
  timestamp: string;
}

/** What a node has to give (RAML `Offer`). */
export interface Offer {
  /** The node's name: it is always the same offer. */
  id: string;
  /** Where its ports are reached. */
  hostname: string;
  /** The node's name. */
  agentId: string;
  /** What is free. */
  resources: OfferResource[];
  /** What constraints may name. */
  attributes: AgentAttribute[];
}

/** An amount of something, or numbers of ports (RAML `OfferResource`). */
export interface OfferResource {
  /** `cpus`, `mem`, `disk` or `ports`. */
  name: string;
  /** Always `*`. */
  role: string;
  /** How much. */
  scalar?: Number | null;
  /** Which. */
  ranges?: NumberRange[];
}

/** Numbers one after another, both ends included (RAML `NumberRange`). */
export interface NumberRange {
  /** The lowest. */
  begin: number;
  /** The highest. */
  end: number;
}

/** One event: its type and time, and what belongs to the type. */
export type Event = {
  /** When it happened. */
  timestamp: string;
} & ({
  eventType: "event_stream_attached";
  remoteAddress: string;
} | {
  eventType: "event_stream_detached";
  remoteAddress: string;
} | {
  eventType: "subscribe_event";
  clientIp: string;
  callbackUrl: string;
} | {
  eventType: "unsubscribe_event";
  clientIp: string;
  callbackUrl: string;
} | {
  eventType: "api_post_event";
  clientIp: string;
  uri: string;
  appDefinition: App;
} | {
  eventType: "pod_created_event";
  clientIp: string;
  uri: string;
} | {
  eventType: "pod_updated_event";
  clientIp: string;
  uri: string;
} | {
  eventType: "pod_deleted_event";
  clientIp: string;
  uri: string;
} | {
  eventType: "app_terminated_event";
  appId: string;
} | {
  eventType: "group_change_success";
  groupId: string;
  version: string;
} | {
  eventType: "deployment_info";
  plan: DeploymentPlan;
  currentStep: DeploymentStep;
} | {
  eventType: "deployment_step_success";
  plan: DeploymentPlan;
  currentStep: DeploymentStep;
} | {
  eventType: "deployment_success";
  id: string;
  plan: DeploymentPlan;
} | {
  eventType: "deployment_failed";
  id: string;
  plan: DeploymentPlan;
  reason: string;
} | {
  eventType: "status_update_event";
  slaveId: string;
  taskId: string;
  taskStatus: string;
  message: string;
  appId: string;
  host: string;
  ipAddresses: IpAddress[];
  ports: number[];
  version: string;
} | {
  eventType: "instance_changed_event";
  instanceId: string;
  condition: string;
  runSpecId: string;
  agentId: string;
  host: string;
  runSpecVersion: string;
} | {
  eventType: "health_status_changed_event";
  appId: string;
  instanceId: string;
  taskId: string;
  version: string;
  alive: boolean;
} | {
  eventType: "instance_health_changed_event";
  instanceId: string;
  runSpecId: string;
  runSpecVersion: string;
  healthy?: boolean;
} | {
  eventType: "add_health_check_event";
  appId: string;
  version: string;
  healthCheck: HealthCheck;
} | {
  eventType: "remove_health_check_event";
  appId: string;
} | {
  eventType: "failed_health_check_event";
  appId: string;
  taskId: string;
  instanceId: string;
  healthCheck: HealthCheck;
} | {
  eventType: "unhealthy_instance_kill_event";
  appId: string;
  taskId: string;
  instanceId: string;
  version: string;
  reason: string;
  host: string;
  slaveId: string;
} | {
  eventType: "unknown_instance_terminated_event";
  instanceId: string;
  runSpecId: string;
  condition: string;
});

/** A deployment as events tell of it (RAML `DeploymentPlan`). */
export interface DeploymentPlan {
  /** Its name. */
  id: string;
  /** The version that the apps move to. */
  version: string;
  /** All its steps. */
  steps: DeploymentStep[];
  /** A stand-in for the root group before; left out for readers of light plans. */
  original?: EmptyGroup | null;
  /** A stand-in for the root group after; left out for readers of light plans. */
  target?: EmptyGroup | null;
}

/** A group without content: some clients insist on one in every plan. */
export interface EmptyGroup {
  /** `/`. */
  id: string;
  /** The plan's version. */
  version: string;
  /** Empty. */
  apps: Record<string, unknown>[];
  /** Empty. */
  groups: Record<string, unknown>[];
  /** Empty. */
  pods: Record<string, unknown>[];
  /** Empty. */
  dependencies: Record<string, unknown>[];
}

/** Answer of `GET /v2/eventSubscriptions`. */
export interface CallbackUrls {
  /** Where events are posted to. */
  callbackUrls: string[];
}

/** Answer of `GET /v2/info` (RAML `MarathonInfo`). */
export interface Info {
  /** Always `marathon`: clients look for it. */
  name: string;
  /** The version of Marathon whose API this is. */
  version: string;
  /** What it really is: `ekiden 0.1.0`. */
  buildref: string;
  /** Whether there is a leader. */
  elected: boolean;
  /** The leader, `host:port`. */
  leader?: string;
  /** The cluster's id. */
  frameworkId?: string;
  /** As much of Marathon's configuration as has a meaning here. */
  marathon_config: MarathonConfig;
  /** Names of a part that Ekiden does not have; empty where clients insist on a text. */
  zookeeper_config: ZooKeeperConfig;
  /** Where the API listens. */
  http_config: HttpConfig;
}

/** As much of Marathon's configuration as has a meaning here (RAML `MarathonConfig`). */
export interface MarathonConfig {
  /** `ekiden`. */
  framework_name: string;
  /** Whether other members stand by. */
  ha: boolean;
  /** Instances survive the control plane. */
  checkpoint: boolean;
  /** This member's host. */
  hostname: string;
  /** Lowest service port chosen. */
  local_port_min: number;
  /** The service port after the highest chosen. */
  local_port_max: number;
  /** Always empty. */
  executor: string;
  /** Always empty. */
  features: string[];
  /** Always empty: there is no Mesos. */
  master: string;
  /** Always `*`. */
  mesos_role: string;
  /** Docker's name for the bridge network. */
  mesos_bridge_name: string;
  /** A leader that does not take a connection in this time is taken for gone, milliseconds. */
  leader_proxy_connection_timeout_ms: number;
  /** A leader that does not begin to answer in this time is given up, milliseconds. */
  leader_proxy_read_timeout_ms: number;
  /** Always 0: instances of lost nodes are replaced as their own strategies say. */
  task_lost_expunge_initial_delay: number;
  /** Always 0. */
  task_lost_expunge_interval: number;
  /** Where the web UI is. */
  webui_url?: string;
}

/** Ekiden has no ZooKeeper (RAML `ZooKeeperConfig`). */
export interface ZooKeeperConfig {
  /** Always empty. */
  zk: string;
  /** How many versions of an app are kept. */
  zk_max_versions: number;
  /** Always 0. */
  zk_connection_timeout: number;
  /** Always 0. */
  zk_session_timeout: number;
  /** Always 0. */
  zk_timeout: number;
}

/** Where the API listens (RAML `HttpConfig`). */
export interface HttpConfig {
  /** HTTP. */
  http_port: number;
  /** HTTPS; 0: none. */
  https_port: number;
}

/** Answer of `GET /v2/leader` (RAML `LeaderInfo`). */
export interface LeaderInfo {
  /** `host:port`. */
  leader: string;
}

/** A sentence (RAML `Message`). */
export interface Message {
  /** The sentence. */
  message: string;
}

/** Answer of `GET /v2/plugins`. */
export interface PluginList {
  /** Always empty. */
  plugins: Record<string, unknown>[];
}

/** Answer of `GET /v3/nodes`. */
export interface NodeList {
  /** The nodes, by name. */
  nodes: Node[];
}

/** A machine that runs instances. */
export interface Node {
  /** Its name. */
  name: string;
  /** Where its instances' ports are reached. */
  address: string;
  /** `ready`, `degraded` or `lost`. */
  status: string;
  /** Why it is degraded. */
  reason?: string;
  /** When it was given up. */
  lostSince?: string;
  /** What it offers. */
  capacity: Resources;
  /** What its instances hold. */
  used: Resources;
  /** The range of host ports it offers. */
  ports: PortRange;
  /** How many host ports its instances hold. */
  usedPorts: number;
  /** What constraints may name. */
  attributes: Record<string, string>;
  /** Versions of its agent and its Docker engine. */
  versions: Record<string, string>;
  /** How many instances it has; also ended ones whose containers were not yet confirmed removed. */
  nInstances: number;
  /** Containers on its engine that no assignment covers; absent if there are none. */
  orphans?: Orphan[];
  /** Its instances; for `GET /v3/nodes/{node}` only. */
  tasks?: Task[];
}

/** An amount of resources, in the units of app definitions. */
export interface Resources {
  /** Cores. */
  cpus: Number;
  /** MiB of memory. */
  mem: Number;
  /** MiB of disk. */
  disk: Number;
}

/** A range of ports, both ends included. */
export interface PortRange {
  /** The lowest. */
  first: number;
  /** The highest. */
  last: number;
}

/** A container of this cluster that no assignment covers any more. It is left as it is until somebody removes it. */
export interface Orphan {
  /** The instance whose container it is. */
  id: string;
  /** The node on whose engine it is. */
  node: string;
  /** The app's path, as the container's label has it. */
  app: string;
  /** The name of the node whose agent made it, as its label has it. */
  madeBy: string;
  /** Whether it runs. */
  running: boolean;
  /** Why nobody speaks of it. */
  reason: string;
  /** When it was found. */
  since: string;
  /** Somebody ordered that it be ended and removed. */
  removing: boolean;
}

/** Answer of `GET /v3/orphans`. */
export interface OrphanList {
  /** The orphans, by node. */
  orphans: Orphan[];
}

/** Answer of `GET /v3/deployments`. */
export interface DeploymentList {
  /** Those under way and those that are remembered, oldest first. */
  deployments: Deployment2[];
}

/** A deployment, also one that has ended. */
export interface Deployment2 {
  /** Its name. */
  id: string;
  /** The version that the apps move to; also when it was accepted. */
  version: string;
  /** `running`, `succeeded`, `failed`, `superseded`, `rolledBack` or `cancelled`. */
  status: string;
  /** The deployment that superseded it or rolled it back. */
  by?: string;
  /** When it ended. */
  endedAt?: string;
  /** What it changes. */
  changes: Change[];
  /** What it waits for, in sentences; once it has failed, what it waited for then; empty if it ended otherwise. */
  waiting: string[];
  /** What instances of its apps left behind that failed: the last of each app; absent if there is nothing. */
  evidence?: Evidence[];
}

/** What a deployment does to one app. */
export interface Change {
  /** Which app. */
  app: string;
  /** `create`, `remove`, `replace` or `scale`. */
  action: string;
  /** Its version before. */
  from?: string;
  /** Its version after. */
  to?: string;
  /** Whether this part is done. */
  settled: boolean;
  /** What runs of the app now; absent once the deployment has ended. */
  instances?: InstanceCounts | null;
}

/** What runs of an app, old and new. */
export interface InstanceCounts {
  /** How many shall run. */
  wanted: number;
  /** Those of the wanted version that are on their way. */
  newStaged: number;
  /** Those of the wanted version that run. */
  newRunning: number;
  /** Those of the wanted version that serve: they run, and are healthy where the app has health checks. */
  newServing: number;
  /** Those of older versions that have not ended. */
  old: number;
  /** Those of older versions that serve. */
  oldServing: number;
}

/** How an instance failed, and what it left behind. */
export interface Evidence {
  /** Its app. */
  app: string;
  /** Its name, as in `/v2/tasks`. */
  task: string;
  /** Where it ran. */
  node: string;
  /** The app's version it was launched for. */
  version: string;
  /** When the cluster learnt of it. */
  at: string;
  /** Why it failed, in a sentence. */
  message: string;
  /** The container of a pod that ended first. */
  container?: string;
  /** The exit code. */
  exitCode?: number;
  /** The signal that ended it, such as `KILL`. */
  signal?: string;
  /** The kernel ended it for want of memory. */
  outOfMemory: boolean;
  /** Docker's own remark. */
  error?: string;
  /** What a health check that failed was answered last. */
  health?: HealthAnswer | null;
  /** The last lines that it wrote, oldest first; empty as long as its agent has not told them. */
  lines: LogLine[];
  /** How many lines before these its agent keeps on the node. */
  moreLines: number;
  /** Why there are no lines although there may have been some. */
  missing?: string;
}

/** What a health check was answered that failed. */
export interface HealthAnswer {
  /** When. */
  at: string;
  /** The HTTP status, where there was one. */
  status?: number;
  /** Why it counts as a failure. */
  cause: string;
  /** How the answer's body begins. */
  body?: string;
}

/** A line that a container wrote. */
export interface LogLine {
  /** When, as Docker has it. */
  at: string;
  /** `stdout` or `stderr`. */
  stream: string;
  /** The line, without its end. */
  text: string;
}

/** Answer of `GET /v3/apps/{id}/explain`. */
export interface Explanation {
  /** Which app. */
  app: string;
  /** What runs of it. */
  instances: InstanceCounts;
  /** How many instances it misses. */
  missing: number;
  /** Since when. */
  since?: string;
  /** Launches are delayed until then, after failures. */
  backoffUntil?: string;
  /** The deployment that changes it now. */
  deployment?: string;
  /** What that one waits for, in sentences. */
  waiting: string[];
  /** Reasons, in the order in which they are looked at. */
  reasons: DeclinedOfferStep[];
  /** Each node that does not do. */
  nodes: NodeExplanation[];
  /** What the instance left behind that failed last; absent if none has. */
  evidence?: Evidence | null;
}

/** Why a node does not do. */
export interface NodeExplanation {
  /** Which node. */
  node: string;
  /** The reason's name. */
  reason: string;
  /** What is missing there. */
  detail: string;
}

/** A line that a container wrote: one of `GET /v3/logs`. */
export interface LoggedLine {
  /** When the engine read it: RFC 3339, UTC, nine decimals. */
  time: string;
  /** Its app or pod. */
  app: string;
  /** Its instance, as a task's id. */
  instance: string;
  /** The pod's container. */
  container?: string;
  /** Its node. */
  node: string;
  /** `stdout` or `stderr`. */
  stream: string;
  /** The line, without its end. */
  text: string;
}

/** The data of an event of `GET /v3/logs`. */
export interface LogLines {
  /** Lines, in the order of time. */
  lines: LoggedLine[];
  /** What is missing. */
  notices?: LogNotice[];
}

/** What is said about lines that are missing. */
export interface LogNotice {
  /** For people. */
  message: string;
  /** Whose lines were left out. */
  instance?: string;
  /** The node that did not answer, or not to the end. */
  node?: string;
  /** How many lines were left out, where that is known. */
  lines?: number;
}

/** Body of every answer with a status from 400 on (RAML `Error`). */
export interface ErrorBody {
  /** What is wrong. */
  message: string;
  /** Where, and more. */
  details?: Details | null;
  /** The deployments that hold an app, for a 409. */
  deployments?: LockingDeployment[];
}

/** Marathon has two forms of details. */
export type Details = string | ErrorDetail[];

/** What is wrong at one place (RAML `ErrorDetail`). */
export interface ErrorDetail {
  /** Where, as `/container/portMappings(0)/hostPort`; `/` for the whole. */
  path: string;
  /** What. */
  errors: string[];
}

/** A deployment that holds an app: its name, as Marathon tells it, and why it still does. */
export interface LockingDeployment {
  /** Its id. */
  id: string;
  /** When it was accepted; absent where it has ended meanwhile. */
  since?: string;
  /** What it waits for, in sentences. */
  waiting?: string[];
}

/** An app's definition. Fields that are not given have their defaults; the older dialect of Marathon, with `ports`, `uris` and `container.docker.network`, is read as well. */
export interface AppDefinition {
  /** Its absolute path. At most 4096 bytes. */
  id: string;
  /** Resource roles; only ever `*`. At most 64 items. */
  acceptedResourceRoles?: string[];
  /** Arguments for the image's entrypoint. At most 1024 items. */
  args?: string[];
  /** Each further launch delay is so many times the last. */
  backoffFactor?: number;
  /** The first launch delay after a failure. */
  backoffSeconds?: number;
  /** Command line for `/bin/sh -c`. At most 131072 bytes. */
  cmd?: string;
  /** `[field, operator]` or `[field, operator, value]`. At most 64 items. */
  constraints?: string[][];
  /** What is started. */
  container?: {
    /** `DOCKER`, or `MESOS` where the user said so: Docker runs it all the same. At most 4096 bytes. */
    type?: string;
    /** The image and its options. */
    docker?: {
      /** Image reference. At most 4096 bytes. */
      image?: string;
      /** Pull before every start. */
      forcePullImage?: boolean;
      /** Whether it has all rights of the node's root, where the node's operator allows it. */
      privileged?: boolean;
      /** Extra options for Docker. At most 256 items. */
      parameters?: {
        /** The option's name, without dashes. At most 4096 bytes. */
        key?: string;
        /** Its value. At most 131072 bytes. */
        value?: string;
      }[];
    };
    /** Ports of apps on a network of containers; absent on the host network. At most 1024 items. */
    portMappings?: {
      /** The port inside; 0: the same as the host port. */
      containerPort?: number;
      /** The host port; 0: any of the node's range. */
      hostPort?: number;
      /** Labels. At most 1024 entries. */
      labels?: Record<string, string>;
      /** Name. At most 4096 bytes. */
      name?: string;
      /** `tcp`, `udp` or `udp,tcp`. At most 4096 bytes. */
      protocol?: string;
      /** Number for load balancers. */
      servicePort?: number;
    }[];
    /** What is mounted. At most 256 items. */
    volumes?: {
      /** Path inside. At most 4096 bytes. */
      containerPath?: string;
      /** A volume of a Docker driver. */
      external?: {
        /** The driver's name for it. At most 4096 bytes. */
        name?: string;
        /** For the driver; `dvdi/driver` names it. At most 1024 entries. */
        options?: Record<string, string>;
        /** Always `dvdi`. At most 4096 bytes. */
        provider?: string;
        /** Whether several apps may mount it. */
        shared?: boolean;
        /** MiB, where it was given. */
        size?: number;
      };
      /** A directory of the node: its path there. At most 4096 bytes. */
      hostPath?: string;
      /** `RW` or `RO`. At most 4096 bytes. */
      mode?: string;
      /** A directory that is kept on the node. */
      persistent?: {
        /** MiB. */
        size?: number;
        /** Always `root`. At most 4096 bytes. */
        type?: string;
      };
    }[];
  };
  /** Cores, to a thousandth. */
  cpus?: number;
  /** Apps and groups that a deployment brings to their new version first. At most 256 items. */
  dependencies?: string[];
  /** MiB of disk. */
  disk?: number;
  /** Environment. At most 1024 entries. */
  env?: Record<string, string>;
  /** Always empty. At most 4096 bytes. */
  executor?: string;
  /** Files that are there before the process starts. At most 256 items. */
  fetch?: {
    /** Keep it on the node for the next instance. */
    cache?: boolean;
    /** Path inside the sandbox. At most 4096 bytes. */
    destPath?: string;
    /** Make it executable. */
    executable?: boolean;
    /** Unpack it. */
    extract?: boolean;
    /** Where from. At most 4096 bytes. */
    uri?: string;
  }[];
  /** Always 0. */
  gpus?: number;
  /** Health checks. At most 64 items. */
  healthChecks?: {
    /** The command, for `COMMAND`. */
    command?: {
      /** For `/bin/sh -c`. At most 131072 bytes. */
      value?: string;
    };
    /** From the start to the first probe, seconds. */
    delaySeconds?: number;
    /** So long after the start failures do not count. */
    gracePeriodSeconds?: number;
    /** Whether answers 100–199 give no result; HTTP only. */
    ignoreHttp1xx?: boolean;
    /** From one probe to the next. */
    intervalSeconds?: number;
    /** `IPv4` or `IPv6`, for probes over the network. At most 4096 bytes. */
    ipProtocol?: string;
    /** So many failures in a row end the instance; 0: never. */
    maxConsecutiveFailures?: number;
    /** Path, for HTTP kinds. At most 4096 bytes. */
    path?: string;
    /** Port number. */
    port?: number;
    /** Position among the app's ports. */
    portIndex?: number;
    /** `HTTP`, `HTTPS`, `TCP`, `COMMAND`, `MESOS_HTTP`, `MESOS_HTTPS` or `MESOS_TCP`. At most 4096 bytes. */
    protocol?: string;
    /** A probe that takes longer has failed. */
    timeoutSeconds?: number;
  }[];
  /** How many instances shall run. */
  instances?: number;
  /** `YOUNGEST_FIRST` or `OLDEST_FIRST`. At most 4096 bytes. */
  killSelection?: string;
  /** Labels. At most 1024 entries. */
  labels?: Record<string, string>;
  /** No launch delay is longer. */
  maxLaunchDelaySeconds?: number;
  /** MiB of memory. */
  mem?: number;
  /** How instances are attached. At most 64 items. */
  networks?: {
    /** Labels, of a named network. At most 1024 entries. */
    labels?: Record<string, string>;
    /** `host`, `container/bridge` or `container`. At most 4096 bytes. */
    mode?: string;
    /** Its name, in mode `container`. At most 4096 bytes. */
    name?: string;
  }[];
  /** Ports of apps on the host network; absent for others. At most 1024 items. */
  portDefinitions?: {
    /** Labels. At most 1024 entries. */
    labels?: Record<string, string>;
    /** Name. At most 4096 bytes. */
    name?: string;
    /** Service port, and host port where ports are required. */
    port?: number;
    /** `tcp`, `udp` or `udp,tcp`. At most 4096 bytes. */
    protocol?: string;
  }[];
  /** How a new instance is asked whether it may take an old one's place. At most 64 items. */
  readinessChecks?: {
    /** The answers that mean ready. At most 64 items. */
    httpStatusCodesForReady?: number[];
    /** From one probe to the next. */
    intervalSeconds?: number;
    /** Its name. At most 4096 bytes. */
    name?: string;
    /** Path and query. At most 4096 bytes. */
    path?: string;
    /** The name of the app's port that is asked. At most 4096 bytes. */
    portName?: string;
    /** Whether the last answer is kept to be shown. */
    preserveLastResponse?: boolean;
    /** `HTTP` or `HTTPS`. At most 4096 bytes. */
    protocol?: string;
    /** A probe that takes longer has no answer. */
    timeoutSeconds?: number;
  }[];
  /** Whether port definitions name host ports. */
  requirePorts?: boolean;
  /** What an app with persistent volumes says of lost nodes; kept, and without effect. */
  residency?: {
    /** Seconds. */
    relaunchEscalationTimeoutSeconds?: number;
    /** `WAIT_FOREVER` or `RELAUNCH_AFTER_TIMEOUT`. At most 4096 bytes. */
    taskLostBehavior?: string;
  };
  /** Always `*`. At most 4096 bytes. */
  role?: string;
  /** From the polite to the hard stop signal. */
  taskKillGracePeriodSeconds?: number;
  /** Whether the process has a terminal; absent unless it has. */
  tty?: boolean;
  /** What happens to instances of a lost node. */
  unreachableStrategy?: string | {
    /** From the loss to forgetting. */
    expungeAfterSeconds?: number;
    /** From the loss to the replacement. */
    inactiveAfterSeconds?: number;
  };
  /** Limits of a rolling update. */
  upgradeStrategy?: {
    /** By this part the instances may be exceeded. */
    maximumOverCapacity?: number;
    /** This part of the instances stays healthy. */
    minimumHealthCapacity?: number;
  };
  /** User of the container's process. At most 4096 bytes. */
  user?: string;
  /** When this definition was accepted: its name. At most 4096 bytes. */
  version?: string;
}

/** An app's definition. Fields that are not given have their defaults; the older dialect of Marathon, with `ports`, `uris` and `container.docker.network`, is read as well. */
export interface AppUpdate {
  /** Its absolute path. At most 4096 bytes. */
  id?: string;
  /** Resource roles; only ever `*`. At most 64 items. */
  acceptedResourceRoles?: string[];
  /** Arguments for the image's entrypoint. At most 1024 items. */
  args?: string[];
  /** Each further launch delay is so many times the last. */
  backoffFactor?: number;
  /** The first launch delay after a failure. */
  backoffSeconds?: number;
  /** Command line for `/bin/sh -c`. At most 131072 bytes. */
  cmd?: string;
  /** `[field, operator]` or `[field, operator, value]`. At most 64 items. */
  constraints?: string[][];
  /** What is started. */
  container?: {
    /** `DOCKER`, or `MESOS` where the user said so: Docker runs it all the same. At most 4096 bytes. */
    type?: string;
    /** The image and its options. */
    docker?: {
      /** Image reference. At most 4096 bytes. */
      image?: string;
      /** Pull before every start. */
      forcePullImage?: boolean;
      /** Whether it has all rights of the node's root, where the node's operator allows it. */
      privileged?: boolean;
      /** Extra options for Docker. At most 256 items. */
      parameters?: {
        /** The option's name, without dashes. At most 4096 bytes. */
        key?: string;
        /** Its value. At most 131072 bytes. */
        value?: string;
      }[];
    };
    /** Ports of apps on a network of containers; absent on the host network. At most 1024 items. */
    portMappings?: {
      /** The port inside; 0: the same as the host port. */
      containerPort?: number;
      /** The host port; 0: any of the node's range. */
      hostPort?: number;
      /** Labels. At most 1024 entries. */
      labels?: Record<string, string>;
      /** Name. At most 4096 bytes. */
      name?: string;
      /** `tcp`, `udp` or `udp,tcp`. At most 4096 bytes. */
      protocol?: string;
      /** Number for load balancers. */
      servicePort?: number;
    }[];
    /** What is mounted. At most 256 items. */
    volumes?: {
      /** Path inside. At most 4096 bytes. */
      containerPath?: string;
      /** A volume of a Docker driver. */
      external?: {
        /** The driver's name for it. At most 4096 bytes. */
        name?: string;
        /** For the driver; `dvdi/driver` names it. At most 1024 entries. */
        options?: Record<string, string>;
        /** Always `dvdi`. At most 4096 bytes. */
        provider?: string;
        /** Whether several apps may mount it. */
        shared?: boolean;
        /** MiB, where it was given. */
        size?: number;
      };
      /** A directory of the node: its path there. At most 4096 bytes. */
      hostPath?: string;
      /** `RW` or `RO`. At most 4096 bytes. */
      mode?: string;
      /** A directory that is kept on the node. */
      persistent?: {
        /** MiB. */
        size?: number;
        /** Always `root`. At most 4096 bytes. */
        type?: string;
      };
    }[];
  };
  /** Cores, to a thousandth. */
  cpus?: number;
  /** Apps and groups that a deployment brings to their new version first. At most 256 items. */
  dependencies?: string[];
  /** MiB of disk. */
  disk?: number;
  /** Environment. At most 1024 entries. */
  env?: Record<string, string>;
  /** Always empty. At most 4096 bytes. */
  executor?: string;
  /** Files that are there before the process starts. At most 256 items. */
  fetch?: {
    /** Keep it on the node for the next instance. */
    cache?: boolean;
    /** Path inside the sandbox. At most 4096 bytes. */
    destPath?: string;
    /** Make it executable. */
    executable?: boolean;
    /** Unpack it. */
    extract?: boolean;
    /** Where from. At most 4096 bytes. */
    uri?: string;
  }[];
  /** Always 0. */
  gpus?: number;
  /** Health checks. At most 64 items. */
  healthChecks?: {
    /** The command, for `COMMAND`. */
    command?: {
      /** For `/bin/sh -c`. At most 131072 bytes. */
      value?: string;
    };
    /** From the start to the first probe, seconds. */
    delaySeconds?: number;
    /** So long after the start failures do not count. */
    gracePeriodSeconds?: number;
    /** Whether answers 100–199 give no result; HTTP only. */
    ignoreHttp1xx?: boolean;
    /** From one probe to the next. */
    intervalSeconds?: number;
    /** `IPv4` or `IPv6`, for probes over the network. At most 4096 bytes. */
    ipProtocol?: string;
    /** So many failures in a row end the instance; 0: never. */
    maxConsecutiveFailures?: number;
    /** Path, for HTTP kinds. At most 4096 bytes. */
    path?: string;
    /** Port number. */
    port?: number;
    /** Position among the app's ports. */
    portIndex?: number;
    /** `HTTP`, `HTTPS`, `TCP`, `COMMAND`, `MESOS_HTTP`, `MESOS_HTTPS` or `MESOS_TCP`. At most 4096 bytes. */
    protocol?: string;
    /** A probe that takes longer has failed. */
    timeoutSeconds?: number;
  }[];
  /** How many instances shall run. */
  instances?: number;
  /** `YOUNGEST_FIRST` or `OLDEST_FIRST`. At most 4096 bytes. */
  killSelection?: string;
  /** Labels. At most 1024 entries. */
  labels?: Record<string, string>;
  /** No launch delay is longer. */
  maxLaunchDelaySeconds?: number;
  /** MiB of memory. */
  mem?: number;
  /** How instances are attached. At most 64 items. */
  networks?: {
    /** Labels, of a named network. At most 1024 entries. */
    labels?: Record<string, string>;
    /** `host`, `container/bridge` or `container`. At most 4096 bytes. */
    mode?: string;
    /** Its name, in mode `container`. At most 4096 bytes. */
    name?: string;
  }[];
  /** Ports of apps on the host network; absent for others. At most 1024 items. */
  portDefinitions?: {
    /** Labels. At most 1024 entries. */
    labels?: Record<string, string>;
    /** Name. At most 4096 bytes. */
    name?: string;
    /** Service port, and host port where ports are required. */
    port?: number;
    /** `tcp`, `udp` or `udp,tcp`. At most 4096 bytes. */
    protocol?: string;
  }[];
  /** How a new instance is asked whether it may take an old one's place. At most 64 items. */
  readinessChecks?: {
    /** The answers that mean ready. At most 64 items. */
    httpStatusCodesForReady?: number[];
    /** From one probe to the next. */
    intervalSeconds?: number;
    /** Its name. At most 4096 bytes. */
    name?: string;
    /** Path and query. At most 4096 bytes. */
    path?: string;
    /** The name of the app's port that is asked. At most 4096 bytes. */
    portName?: string;
    /** Whether the last answer is kept to be shown. */
    preserveLastResponse?: boolean;
    /** `HTTP` or `HTTPS`. At most 4096 bytes. */
    protocol?: string;
    /** A probe that takes longer has no answer. */
    timeoutSeconds?: number;
  }[];
  /** Whether port definitions name host ports. */
  requirePorts?: boolean;
  /** What an app with persistent volumes says of lost nodes; kept, and without effect. */
  residency?: {
    /** Seconds. */
    relaunchEscalationTimeoutSeconds?: number;
    /** `WAIT_FOREVER` or `RELAUNCH_AFTER_TIMEOUT`. At most 4096 bytes. */
    taskLostBehavior?: string;
  };
  /** Always `*`. At most 4096 bytes. */
  role?: string;
  /** From the polite to the hard stop signal. */
  taskKillGracePeriodSeconds?: number;
  /** Whether the process has a terminal; absent unless it has. */
  tty?: boolean;
  /** What happens to instances of a lost node. */
  unreachableStrategy?: string | {
    /** From the loss to forgetting. */
    expungeAfterSeconds?: number;
    /** From the loss to the replacement. */
    inactiveAfterSeconds?: number;
  };
  /** Limits of a rolling update. */
  upgradeStrategy?: {
    /** By this part the instances may be exceeded. */
    maximumOverCapacity?: number;
    /** This part of the instances stays healthy. */
    minimumHealthCapacity?: number;
  };
  /** User of the container's process. At most 4096 bytes. */
  user?: string;
  /** When this definition was accepted: its name. At most 4096 bytes. */
  version?: string;
}

export interface GroupUpdate {
  /** At most 4096 bytes. */
  id?: string;
  /** At most 10000 items. */
  apps?: AppDefinition[];
  /** At most 1024 items. */
  groups?: GroupUpdate[];
  /** At most 256 items. */
  dependencies?: string[];
  scaleBy?: number;
  /** At most 4096 bytes. */
  version?: string;
}

/** A pod's definition, as printed: all defaults filled in (RAML `Pod`). */
export interface PodDefinition {
  /** Its absolute path. At most 4096 bytes. */
  id: string;
  /** Labels. At most 1024 entries. */
  labels?: Record<string, string>;
  /** When this definition was accepted: its name. At most 4096 bytes. */
  version?: string;
  /** User of the containers' processes that name none. At most 4096 bytes. */
  user?: string;
  /** Environment of all containers. At most 1024 entries. */
  environment?: Record<string, string>;
  /** The containers. At most 64 items. */
  containers: {
    /** Its name, unique in the pod. At most 4096 bytes. */
    name?: string;
    /** What is run; the image's own command if absent. */
    exec?: {
      /** The command. */
      command?: {
        /** The command line. */
        shell?: string;
      } | {
        /** The words. */
        argv?: string[];
      };
      /** Whether the first word of an `argv` takes the place of the image's entrypoint. */
      overrideEntrypoint?: boolean;
    };
    /** What it takes of its node. */
    resources?: {
      /** Cores, to a thousandth. */
      cpus?: number;
      /** MiB of memory. */
      mem?: number;
      /** MiB of disk. */
      disk?: number;
      /** Always 0. */
      gpus?: number;
    };
    /** Its ports. At most 64 items. */
    endpoints?: {
      /** Its name, unique in the pod. At most 4096 bytes. */
      name?: string;
      /** The port inside; absent on the host network. */
      containerPort?: number;
      /** The host port; 0: any of the node's range; absent: none. */
      hostPort?: number;
      /** `tcp`, `udp` or both. At most 64 items. */
      protocol?: string[];
      /** Labels. At most 1024 entries. */
      labels?: Record<string, string>;
    }[];
    /** Its image; the cluster's image for commands if absent. */
    image?: {
      /** Always `DOCKER`. At most 4096 bytes. */
      kind?: string;
      /** Image reference. At most 4096 bytes. */
      id?: string;
      /** Pull before every start. */
      forcePull?: boolean;
    };
    /** Environment; wins over the pod's. At most 1024 entries. */
    environment?: Record<string, string>;
    /** User of its process. At most 4096 bytes. */
    user?: string;
    /** Its health check. */
    healthCheck?: {
      /** By HTTP. */
      http?: {
        /** Which of the container's endpoints. At most 4096 bytes. */
        endpoint?: string;
        /** Path and query. At most 4096 bytes. */
        path?: string;
        /** `HTTP` or `HTTPS`. At most 4096 bytes. */
        scheme?: string;
      };
      /** By a connection. */
      tcp?: {
        /** Which of the container's endpoints. At most 4096 bytes. */
        endpoint?: string;
      };
      /** By a command in the container. */
      exec?: {
        /** The command. */
        command?: {
          /** The command line. */
          shell?: string;
        } | {
          /** The words. */
          argv?: string[];
        };
      };
      /** So long after the start failures do not count, seconds. */
      gracePeriodSeconds?: number;
      /** From one probe to the next. */
      intervalSeconds?: number;
      /** So many failures in a row end the instance; 0: never. */
      maxConsecutiveFailures?: number;
      /** A probe that takes longer has failed. */
      timeoutSeconds?: number;
      /** From the start to the first probe. */
      delaySeconds?: number;
    };
    /** Which volumes it sees. At most 256 items. */
    volumeMounts?: {
      /** The volume's name. At most 4096 bytes. */
      name?: string;
      /** Path inside; relative to the sandbox where it has no leading slash. At most 4096 bytes. */
      mountPath?: string;
      /** Whether the container may only read. */
      readOnly?: boolean;
    }[];
    /** Files that are there before its process starts. At most 256 items. */
    artifacts?: {
      /** Where from. At most 4096 bytes. */
      uri?: string;
      /** Unpack it, if it is an archive. */
      extract?: boolean;
      /** Make it executable. */
      executable?: boolean;
      /** Keep it on the node for the next instance. */
      cache?: boolean;
      /** Path inside the sandbox. At most 4096 bytes. */
      destPath?: string;
    }[];
    /** Labels. At most 1024 entries. */
    labels?: Record<string, string>;
    /** How it is ended. */
    lifecycle?: {
      /** From the polite to the hard stop signal. */
      killGracePeriodSeconds?: number;
    };
    /** Whether its process gets a terminal. */
    tty?: boolean;
  }[];
  /** Directories that they share. At most 256 items. */
  volumes?: {
    /** Its name, unique in the pod. At most 4096 bytes. */
    name?: string;
    /** The directory of the node; absent for one that lives as long as the instance. At most 4096 bytes. */
    host?: string;
  }[];
  /** How instances are attached. At most 64 items. */
  networks?: {
    /** The Docker network's name, for mode `container`. At most 4096 bytes. */
    name?: string;
    /** `host`, `container/bridge` or `container`. At most 4096 bytes. */
    mode?: string;
    /** Labels. At most 1024 entries. */
    labels?: Record<string, string>;
  }[];
  /** How many instances shall run. */
  scaling?: {
    /** Always `fixed`. At most 4096 bytes. */
    kind?: string;
    /** How many. */
    instances?: number;
  };
  /** How instances are placed and replaced. */
  scheduling?: {
    /** Launch delays after failures. */
    backoff?: {
      /** The first, seconds. */
      backoff?: number;
      /** Each further one is so many times the last. */
      backoffFactor?: number;
      /** None is longer, seconds. */
      maxLaunchDelay?: number;
    };
    /** Limits of a rolling update. */
    upgrade?: {
      /** By this part the instances may be exceeded. */
      maximumOverCapacity?: number;
      /** This part of the instances stays healthy. */
      minimumHealthCapacity?: number;
    };
    /** Where instances may run. */
    placement?: {
      /** The rules. At most 64 items. */
      constraints?: {
        /** `hostname`, or a node's attribute. At most 4096 bytes. */
        fieldName?: string;
        /** What must hold of it. At most 4096 bytes. */
        operator?: string;
        /** The operator's argument. At most 131072 bytes. */
        value?: string;
      }[];
      /** Resource roles; only ever `*`. At most 64 items. */
      acceptedResourceRoles?: string[];
    };
    /** `YOUNGEST_FIRST` or `OLDEST_FIRST`. At most 4096 bytes. */
    killSelection?: string;
    /** What happens to instances of a lost node. */
    unreachableStrategy?: string | {
      /** From the loss to forgetting. */
      expungeAfterSeconds?: number;
      /** From the loss to the replacement. */
      inactiveAfterSeconds?: number;
    };
  };
  /** What Marathon adds for its executor: always its defaults. Ekiden adds nothing. */
  executorResources?: {
    /** Cores. */
    cpus?: number;
    /** MiB of memory. */
    mem?: number;
    /** MiB of disk. */
    disk?: number;
  };
  /** Always `*`. At most 4096 bytes. */
  role?: string;
}
