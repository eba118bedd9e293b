// What runs of an app.
import { useState } from "preact/hooks";
import type { App } from "../../api/store.ts";
import type { Task } from "../../api/types.ts";
import { cli } from "../../lib/cli.ts";
import { ago, clock, short } from "../../lib/format.ts";
import { kill } from "../../parts/actions.tsx";
import { Ago, Card, Chip, Cli, Empty, Scroll } from "../../parts/parts.tsx";
import { href } from "../../shell/router.ts";
import type { Tone } from "../../status.ts";
import type { Part } from "./app.tsx";

const STATES: Record<string, [Tone, string]> = {
  TASK_STAGING: ["info", "starting"],
  TASK_STARTING: ["info", "starting"],
  TASK_RUNNING: ["ok", "running"],
  TASK_KILLING: ["warn", "ending"],
  TASK_UNREACHABLE: ["bad", "lost"],
  TASK_LOST: ["bad", "lost"],
};

/** How an instance is, and why. */
export function taskState(it: Task, isChecked: boolean): { tone: Tone; word: string; why: string } {
  const [tone, word] = STATES[it.state] ?? ["mute", it.state.replace("TASK_", "").toLowerCase()];
  if (it.state !== "TASK_RUNNING" || !isChecked) return { tone, word, why: "" };
  const results = it.healthCheckResults ?? [];
  const failing = results.find((result) => !result.alive);
  if (failing) return { tone: "bad", word: "unhealthy", why: failing.lastFailureCause ?? "" };
  return results.length > 0 ? { tone: "ok", word: "healthy", why: "" } : { tone: "info", word: "not checked yet", why: "" };
}

/** The instances, small. */
export function Cards({ app }: { app: App }) {
  const tasks = app.tasks ?? [];
  if (tasks.length === 0) return <p class="muted">None is there.</p>;
  return (
    <ul class="nodes">
      {tasks.slice(0, 12).map((it) => {
        const { tone, word, why } = taskState(it, (app.healthChecks ?? []).length > 0);
        return (
          <li key={it.id} class={`inst ${tone}`}>
            <strong>{it.slaveId ?? it.host}{(it.ports ?? []).length > 0 ? `:${it.ports![0]}` : ""}</strong>
            <span><Chip tone={tone}>{word}</Chip></span>
            <span class="muted">{it.version === app.version ? "" : "older version, "}{it.startedAt ? ago(it.startedAt).replace(" ago", "") : "not started yet"}</span>
            {why && <span class="hint">{why}</span>}
          </li>
        );
      })}
      {tasks.length > 12 && <li class="muted">and {tasks.length - 12} more</li>}
    </ul>
  );
}

export function Instances({ app }: Part) {
  const [chosen, choose] = useState<ReadonlySet<string>>(new Set());
  const tasks = app.tasks ?? [];
  const isChecked = (app.healthChecks ?? []).length > 0;
  const hit = tasks.filter((it) => chosen.has(it.id));
  const toggle = (id: string): void => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    choose(next);
  };
  return (
    <Card title="Instances" aside={`${app.instances} wanted`} actions={<button type="button" class="danger" disabled={hit.length === 0} onClick={() => kill(app, hit)}>Kill {hit.length > 0 ? hit.length : "selected"}</button>}>
      {tasks.length === 0 ? <Empty>None is there.</Empty> : (
        <Scroll label={`Instances of ${app.id}`}>
          <table>
            <thead><tr><td /><th scope="col">Instance</th><th scope="col">State</th><th scope="col">Node</th><th scope="col" class="num">Ports</th><th scope="col">Version</th><th scope="col">Since</th><td /></tr></thead>
            <tbody>
              {tasks.map((it) => {
                const { tone, word, why } = taskState(it, isChecked);
                return (
                  <tr key={it.id}>
                    <td><input type="checkbox" aria-label={`Select ${short(it.id)}`} checked={chosen.has(it.id)} onChange={() => toggle(it.id)} /></td>
                    <th scope="row"><code class="nowrap" title={it.id}>{short(it.id)}</code></th>
                    <td><Chip tone={tone}>{word}</Chip>{why && <div class="hint">{why}</div>}</td>
                    <td><a href={href(`/node/${encodeURIComponent(it.slaveId ?? it.host)}`)}>{it.slaveId ?? it.host}</a></td>
                    <td class="num">{(it.ports ?? []).join(", ") || "–"}</td>
                    <td>{it.version === undefined ? "–" : it.version === app.version ? "current" : <span title={it.version}>older: {clock(it.version)}</span>}</td>
                    <td>{it.startedAt ? <Ago time={it.startedAt} /> : it.stagedAt ? <>placed <Ago time={it.stagedAt} /></> : "–"}</td>
                    <td><button type="button" class="small danger" aria-label={`Kill ${short(it.id)}`} onClick={() => kill(app, [it])}>Kill</button></td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </Scroll>
      )}
      <Cli line={cli.tasks(app.id)} />
    </Card>
  );
}
