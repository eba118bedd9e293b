// What the pages show, kept current: read once, then changed by what the events tell.
//
// An event names an app; the app is read again, and only its own row is drawn anew. Where many change at once the
// whole list is read. What no event tells (the queue, nodes, what deployments wait for) is asked for again and again,
// while somebody looks.
import { type Signal, batch, computed, signal } from "@preact/signals";
import { ask, appPath } from "./client.ts";
import { link, onEvent } from "./live.ts";
import type { Told } from "./sse.ts";
import type { AppInfo, AppList, AppSingle, Deployment2, DeploymentList, Node, NodeList, Queue, QueueItem } from "./types.ts";

export type App = AppInfo;
export type Deployment = Deployment2;

/** More apps than that are read as one list. */
const SINGLY_MAX = 8;
/** From one reading to the next, milliseconds: what happens within is read once. */
const PACE = 300;
/** What no event tells is asked for so often, milliseconds. */
const LOOK = 3000;

const apps = new Map<string, Signal<App>>();
/** The ids of all apps, in order. */
export const ids = signal<string[]>([]);
/** Counts up with every change of any app. */
export const appsChanged = signal(0);
/** Whether the apps were read at all. */
export const isLoaded = signal(false);
/** What waits, by id. */
export const queue = signal<ReadonlyMap<string, QueueItem>>(new Map());
/** Deployments under way and remembered, newest first. */
export const deployments = signal<Deployment[]>([]);
/** The nodes; nothing before they were read. */
export const nodes = signal<Node[] | undefined>(undefined);
/** What went wrong when reading last. */
export const trouble = signal("");

/** Deployments under way, by id. */
export const active = computed(() => new Map(deployments.value.filter((it) => it.status === "running").map((it) => [it.id, it])));
/** Apps with instances on nodes that are lost. */
export const stranded = signal<ReadonlySet<string>>(new Set());

/** An app as it was read last. */
export const app = (id: string): Signal<App> | undefined => apps.get(id);

const dirty = new Set<string>();
const watched = new Set<string>();
let all = true;
let deploymentsDue = true;
let queueDue = true;
let nodesDue = true;
let timer: number | undefined;
let reading = false;
let last = 0;
let queueText = "";

/** Has an app read whole, with its instances, as long as somebody looks at it. */
export function watch(id: string): () => void {
  watched.add(id);
  dirty.add(id);
  schedule();
  return () => watched.delete(id);
}

/** Reads what an action has changed. */
export function touch(...changed: string[]): void {
  for (const id of changed) dirty.add(id);
  deploymentsDue = queueDue = true;
  schedule();
}

/** Reads everything again. */
export function refresh(): void {
  all = deploymentsDue = queueDue = nodesDue = true;
  schedule();
}

/** Begins to keep it current. */
export function keep(): void {
  onEvent(heed);
  let before = link.peek().how;
  link.subscribe(({ how }) => {
    // While it was away anything may have happened.
    if (how === "live" && before === "lost") refresh();
    before = how;
  });
  document.addEventListener("visibilitychange", () => schedule());
  setInterval(() => {
    queueDue = nodesDue = true;
    deploymentsDue ||= active.peek().size > 0;
    // Without a stream this is all there is.
    if (link.peek().how === "lost") all = deploymentsDue = true;
    schedule();
  }, LOOK);
  schedule();
}

function heed({ name, data }: Told): void {
  if (name === "reset") return refresh();
  if (name === "event_stream_attached" || name === "event_stream_detached") return;
  const event = JSON.parse(data) as Record<string, unknown>;
  const plan = event.plan as { steps: { actions: { app?: string }[] }[] } | undefined;
  const named = [event.appId, event.runSpecId, (event.appDefinition as { id?: string } | undefined)?.id];
  for (const step of plan?.steps ?? []) for (const action of step.actions) named.push(action.app);
  for (const id of named) if (typeof id === "string") dirty.add(id);
  if (plan || name === "group_change_success") deploymentsDue = true;
  queueDue = true;
  schedule();
}

function schedule(): void {
  if (timer !== undefined || reading || document.hidden) return;
  timer = setTimeout(() => void catchUp(), Math.max(0, last + PACE - Date.now()));
}

async function catchUp(): Promise<void> {
  timer = undefined;
  reading = true;
  try {
    await Promise.all([readApps(), readDeployments(), readQueue(), readNodes()]);
    trouble.value = "";
  } catch (error) {
    trouble.value = (error as Error).message;
  }
  reading = false;
  last = Date.now();
  if (all || dirty.size > 0 || deploymentsDue || queueDue) {
    // After trouble the next look comes with the timer above.
    if (trouble.peek() === "") schedule();
  }
}

async function readApps(): Promise<void> {
  const single = [...dirty];
  const whole = all || single.length > SINGLY_MAX;
  dirty.clear();
  all = false;
  try {
    if (whole) {
      const list = await ask<AppList>("GET", "/v2/apps?embed=apps.lastTaskFailure");
      const there = new Set(list.apps.map((it) => it.id));
      batch(() => {
        for (const id of apps.keys()) if (!there.has(id)) apps.delete(id);
        for (const it of list.apps) put(it, false);
        relist();
        isLoaded.value = true;
      });
    }
    await Promise.all((whole ? [...watched] : single).map(readOne));
  } catch (error) {
    if (whole) all = true;
    for (const id of single) dirty.add(id);
    throw error;
  }
}

/** The ids follow the apps in the same breath: a page finds an app for each of them. */
function relist(): void {
  const now = [...apps.keys()].sort();
  const before = ids.peek();
  if (now.length !== before.length || now.some((it, n) => it !== before[n])) ids.value = now;
}

async function readOne(id: string): Promise<void> {
  try {
    const { app } = await ask<AppSingle>("GET", appPath(id));
    batch(() => (put(app, true), relist()));
  } catch (error) {
    if ((error as { status?: number }).status !== 404) throw error;
    batch(() => {
      if (apps.delete(id)) appsChanged.value++;
      relist();
    });
  }
}

function put(it: App, whole: boolean): void {
  const known = apps.get(it.id);
  if (!known) {
    apps.set(it.id, signal(it));
  } else {
    const before = known.peek();
    // What a list does not say of its instances stays until the app itself is read.
    const next = whole || !before.tasks ? it : { ...it, tasks: before.tasks };
    if (!whole && isSame(before, next)) return;
    known.value = next;
  }
  appsChanged.value++;
}

function isSame(a: App, b: App): boolean {
  const text = (it: App): string =>
    [it.version, it.instances, it.tasksStaged, it.tasksRunning, it.tasksHealthy, it.tasksUnhealthy, it.lastTaskFailure?.timestamp, it.deployments?.map((d) => d.id)].join();
  return text(a) === text(b);
}

async function readDeployments(): Promise<void> {
  if (!deploymentsDue) return;
  deploymentsDue = false;
  try {
    const list = await ask<DeploymentList>("GET", "/v3/deployments");
    deployments.value = list.deployments.reverse();
  } catch (error) {
    deploymentsDue = true;
    throw error;
  }
}

async function readQueue(): Promise<void> {
  if (!queueDue) return;
  queueDue = false;
  try {
    const list = await ask<Queue>("GET", "/v2/queue");
    const text = JSON.stringify(list, (name, it) => (name.startsWith("last") ? undefined : it));
    // Nothing is drawn anew where nothing differs.
    if (text !== queueText) queue.value = new Map(list.queue.map((it) => [it.app?.id ?? it.pod?.id ?? "", it]));
    queueText = text;
  } catch (error) {
    queueDue = true;
    throw error;
  }
}

async function readNodes(): Promise<void> {
  if (!nodesDue) return;
  nodesDue = false;
  const list = await ask<NodeList>("GET", "/v3/nodes");
  const lost = list.nodes.filter((it) => it.status === "lost" && it.nInstances > 0);
  const there = await Promise.all(lost.map((it) => ask<Node>("GET", `/v3/nodes/${encodeURIComponent(it.name)}`)));
  const found = there.flatMap((it) => it.tasks?.map((task) => task.appId) ?? []);
  if ([...found].sort().join() !== [...stranded.peek()].sort().join()) stranded.value = new Set(found);
  nodes.value = list.nodes;
}
