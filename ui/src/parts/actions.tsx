// What can be done to an app, an instance, a deployment: asked for in a dialog that says what will be hit and how the
// same is typed, done, and followed until its end.
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ApiError, appPath, ask, encodeId } from "../api/client.ts";
import { type App, type Deployment, active, app, deployments, touch } from "../api/store.ts";
import type { DeploymentResult, Task } from "../api/types.ts";
import { cli } from "../lib/cli.ts";
import { definition, differences, type Json } from "../lib/diff.ts";
import { count, short } from "../lib/format.ts";
import { go, href } from "../shell/router.ts";
import { Cli, Dialog, Differences } from "./parts.tsx";

/** Something that was done, and how it goes on. */
export interface Deed {
  key: number;
  what: string;
  deployment?: string;
  /** What came of it where no deployment tells. */
  said?: string;
}

/** What was done on this page. */
export const deeds = signal<Deed[]>([]);
let n = 0;

/** Tells of something that was done. */
export function done(what: string, deployment?: string, said?: string): void {
  const deed: Deed = { key: ++n, what, ...(deployment === undefined ? {} : { deployment }), ...(said === undefined ? {} : { said }) };
  deeds.value = [...deeds.value.slice(-3), deed];
}

/** Takes a notice away. */
export function dismiss(key: number): void {
  deeds.value = deeds.value.filter((it) => it.key !== key);
}

/** How a deed's deployment is. */
export const outcome = (deed: Deed): Deployment | undefined => deployments.value.find((it) => it.id === deed.deployment);

/** The dialog that is open. */
export const dialog = signal<(() => ComponentChildren) | undefined>(undefined);
const close = (): void => {
  dialog.value = undefined;
};
const open = (it: () => ComponentChildren): void => {
  dialog.value = it;
};

/** What a dialog asks for before it does something. */
interface Asked {
  title: string;
  verb: string;
  danger?: boolean;
  line: (force: boolean) => string;
  run: (force: boolean) => Promise<string | undefined>;
  ready?: boolean;
  children: ComponentChildren;
}

/** Asks, does it, and says what went wrong beside what was asked. */
function Ask({ title, verb, danger, line, run, ready = true, children }: Asked) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const held = (error?.deployments.length ?? 0) > 0;
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy || !ready) return;
    setBusy(true);
    try {
      const deployment = await run(held);
      close();
      done(title, deployment, deployment === undefined ? "done" : undefined);
    } catch (caught) {
      if (!(caught instanceof ApiError)) throw caught;
      setError(caught);
    }
    setBusy(false);
  };
  return (
    <Dialog title={title} onClose={close}>
      <form onSubmit={(event) => void submit(event)} noValidate>
        {children}
        <Cli line={line(held)} />
        {error && <Failure error={error} />}
        <div class="row buttons">
          <button type="submit" class={danger || held ? "danger solid" : "primary"} disabled={busy || !ready}>
            {busy ? "Working…" : held ? `Take over and ${verb.toLowerCase()}` : verb}
          </button>
          <button type="button" onClick={close}>Cancel</button>
        </div>
      </form>
    </Dialog>
  );
}

/** Why something was not done. */
export function Failure({ error }: { error: ApiError }) {
  return (
    <div class="failure" role="alert">
      <p><strong>{error.message}</strong>{error.isUnclear && " Look whether the change was made before you repeat it."}</p>
      {error.details.length > 0 && (
        <ul>
          {error.details.map((it) => <li key={it.path}><code>{it.path}</code> {it.errors.join("; ")}</li>)}
        </ul>
      )}
      {error.deployments.map((it) => (
        <p key={it.id}>
          Deployment <a href={href(`/deployment/${it.id}`)} onClick={close}>{short(it.id)}</a> holds it
          {it.waiting && it.waiting.length > 0 ? `: ${it.waiting.join("; ")}` : ""}. Taking over ends it where it stands.
        </p>
      ))}
    </div>
  );
}

async function change(method: string, path: string, id: string, body?: unknown): Promise<string | undefined> {
  const result = await ask<Partial<DeploymentResult> | undefined>(method, path, body);
  touch(id);
  return result?.deploymentId;
}

const withForce = (path: string, force: boolean): string => `${path}${path.includes("?") ? "&" : "?"}force=${force}`;

/** The instances of an app that will be hit, by name. */
function Hit({ tasks, verb }: { tasks: Task[]; verb: string }) {
  return (
    <div class="hit">
      <p>{count(tasks.length, "instance")} {tasks.length === 1 ? "is" : "are"} {verb}:</p>
      <ul>
        {tasks.slice(0, 10).map((it) => (
          <li key={it.id}><code>{short(it.id)}</code> on {it.slaveId ?? it.host}{(it.ports ?? []).length > 0 && `, port ${(it.ports ?? []).join(", ")}`}</li>
        ))}
      </ul>
      {tasks.length > 10 && <p>and {tasks.length - 10} more.</p>}
    </div>
  );
}

export const scale = (it: App): void => open(() => <Scale app={it} />);

function Scale({ app }: { app: App }) {
  const [text, setText] = useState(String(app.instances));
  const to = /^\d+$/.test(text) ? Number(text) : NaN;
  const tasks = app.tasks ?? [];
  const fewer = app.instances - to;
  return (
    <Ask
      title={`Scale ${app.id}`}
      verb="Scale"
      ready={Number.isInteger(to) && to !== app.instances}
      danger={to === 0}
      line={(force) => cli.scale(app.id, Number.isNaN(to) ? "N" : to, force)}
      run={(force) => change("PUT", withForce(appPath(app.id), force), app.id, { instances: to })}
    >
      <p>It shall have {count(app.instances, "instance")} now, and {tasks.length} {tasks.length === 1 ? "is" : "are"} there.</p>
      <p>
        <label>Instances <input name="instances" inputMode="numeric" autofocus value={text} size={6} onInput={(event) => setText(event.currentTarget.value.trim())} /></label>
      </p>
      <p aria-live="polite" class="muted">
        {Number.isNaN(to) ? "A whole number, 0 or more." : fewer > 0 ? `${count(fewer, "instance")} will be ended.` : fewer < 0 ? `${count(-fewer, "instance")} will be started.` : "As it is."}
      </p>
    </Ask>
  );
}

export const restart = (it: App): void => open(() => (
  <Ask
    title={`Restart ${it.id}`}
    verb="Restart"
    line={(force) => cli.restart(it.id, force)}
    run={(force) => change("POST", withForce(`${appPath(it.id)}/restart`, force), it.id)}
  >
    <Hit tasks={it.tasks ?? []} verb="replaced by new ones of the same version" />
    <p class="muted">At least {Math.ceil(it.instances * it.upgradeStrategy.minimumHealthCapacity)} of {it.instances} stay healthy meanwhile.</p>
  </Ask>
));

export const suspend = (it: App): void => open(() => (
  <Ask
    title={`Suspend ${it.id}`}
    verb="Suspend"
    danger
    line={(force) => cli.stop(it.id, force)}
    run={(force) => change("PUT", withForce(appPath(it.id), force), it.id, { instances: 0 })}
  >
    <Hit tasks={it.tasks ?? []} verb="ended" />
    <p class="muted">Its definition and its versions stay. Scale it up to have it again.</p>
  </Ask>
));

export const kill = (it: App, tasks: Task[]): void => open(() => <Kill app={it} tasks={tasks} />);

function Kill({ app, tasks }: { app: App; tasks: Task[] }) {
  const [fewer, setFewer] = useState(false);
  const ids = tasks.map((it) => it.id);
  return (
    <Ask
      title={tasks.length === 1 ? `Kill instance ${short(ids[0]!)} of ${app.id}` : `Kill ${count(tasks.length, "instance")} of ${app.id}`}
      verb="Kill"
      danger
      line={(force) => cli.kill(ids, fewer, force)}
      run={(force) => change("POST", withForce(`/v2/tasks/delete?scale=${fewer}`, force), app.id, { ids })}
    >
      <Hit tasks={tasks} verb="killed" />
      <p>
        <label><input type="checkbox" checked={fewer} onChange={(event) => setFewer(event.currentTarget.checked)} /> and scale down: {app.instances} → {Math.max(0, app.instances - tasks.length)} instances</label>
      </p>
      <p class="muted">{fewer ? "They are not replaced." : "Others take their places."}</p>
    </Ask>
  );
}

export const remove = (it: App): void => open(() => <Remove app={it} />);

function Remove({ app }: { app: App }) {
  const [typed, setTyped] = useState("");
  const volumes = (app.container?.volumes ?? []).filter((it) => it.persistent);
  return (
    <Ask
      title={`Delete ${app.id}`}
      verb="Delete"
      danger
      ready={typed === app.id}
      line={() => cli.remove(app.id)}
      run={async (force) => {
        const deployment = await change("DELETE", withForce(appPath(app.id), force), app.id);
        go(href("/apps"));
        return deployment;
      }}
    >
      <Hit tasks={app.tasks ?? []} verb="ended" />
      <p>
        The app <strong>{app.id}</strong>{volumes.length === 0 ? <> and its stored versions</> : <>, its stored versions and the data in {volumes.map((it) => it.containerPath).join(", ")} of each instance</>} are gone then.
        This cannot be undone.
      </p>
      <p>
        <label>To go on, type <code>{app.id}</code> <input name="confirm" autofocus autocomplete="off" spellcheck={false} value={typed} onInput={(event) => setTyped(event.currentTarget.value.trim())} /></label>
      </p>
    </Ask>
  );
}

/** Goes back to a stored version. */
export async function rollback(id: string, version: string): Promise<void> {
  const it = app(id)?.peek();
  if (!it) return;
  try {
    const stored = await ask<App>("GET", `${appPath(id)}/versions/${version}`);
    const changes = differences(definition(it) as Json, definition(stored) as Json);
    open(() => (
      <Ask
        title={`Roll ${id} back`}
        verb="Roll back"
        line={(force) => cli.rollback(id, version, force)}
        run={(force) => change("PUT", withForce(appPath(id), force), id, { version })}
      >
        <p>Back to the version of {new Date(version).toLocaleString()}. The instances are replaced step by step.</p>
        <Differences of={changes} />
      </Ask>
    ));
  } catch (error) {
    if (error instanceof ApiError) done(`Roll ${id} back`, undefined, error.message);
    else throw error;
  }
}

/** Takes a deployment back, or ends it where it stands. */
export const cancel = (it: Deployment): void => open(() => <Cancel deployment={it} />);

function Cancel({ deployment }: { deployment: Deployment }) {
  const [abandon, setAbandon] = useState(false);
  return (
    <Ask
      title={`Cancel deployment ${short(deployment.id)}`}
      verb={abandon ? "End it here" : "Roll back"}
      danger
      line={() => (abandon ? cli.abandon(deployment.id) : cli.undo(deployment.id))}
      run={async () => {
        const result = await ask<Partial<DeploymentResult> | undefined>("DELETE", `/v2/deployments/${deployment.id}?force=${abandon}`);
        touch(...deployment.changes.map((change) => change.app));
        return result?.deploymentId;
      }}
    >
      <p>It changes {count(deployment.changes.length, "app")}: {deployment.changes.map((change) => change.app).join(", ")}.</p>
      <fieldset>
        <legend>How</legend>
        <label><input type="radio" name="how" checked={!abandon} onChange={() => setAbandon(false)} /> Roll back: another deployment brings back what was there</label>
        <label><input type="radio" name="how" checked={abandon} onChange={() => setAbandon(true)} /> End it where it stands: what was changed so far stays</label>
      </fieldset>
    </Ask>
  );
}

/** Tries an app's launches at once. */
export async function resetDelay(id: string): Promise<void> {
  try {
    await ask("DELETE", `/v2/queue${encodeId(id)}/delay`);
    done(`Try ${id} again`, undefined, "its next launch is not delayed");
    touch(id);
  } catch (error) {
    if (error instanceof ApiError) done(`Try ${id} again`, undefined, error.message);
    else throw error;
  }
}

/** Has a container that nobody speaks of ended and removed. */
export const removeOrphan = (orphan: { id: string; node: string; app: string; running: boolean }): void => open(() => (
  <Ask
    title={`Remove orphan ${short(orphan.id)}`}
    verb="Remove"
    danger
    line={() => cli.removeOrphan(orphan.id)}
    run={async () => {
      await ask("DELETE", `/v3/orphans/${encodeURIComponent(orphan.id)}`);
      return undefined;
    }}
  >
    <p>One container on {orphan.node}, once of {orphan.app}, is {orphan.running ? "ended and " : ""}removed.</p>
  </Ask>
));

/** What can be done to an app now, in the CLI's words. */
export const verbs = (it: App): { name: string; line: string; run: () => void }[] => [
  { name: "Scale", line: cli.scale(it.id, "N"), run: () => scale(it) },
  { name: "Restart", line: cli.restart(it.id), run: () => restart(it) },
  ...(it.instances > 0 ? [{ name: "Suspend", line: cli.stop(it.id), run: () => suspend(it) }] : []),
  { name: "Delete", line: cli.remove(it.id), run: () => remove(it) },
];

/** The deployment that changes an app now. */
export const changing = (it: App): Deployment | undefined => it.deployments.map((ref) => active.value.get(ref.id)).find((found) => found !== undefined);
