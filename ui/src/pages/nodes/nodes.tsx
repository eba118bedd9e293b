// The machines: as a map with a dot for each instance, or as a table of the same.
import { signal } from "@preact/signals";
import { ask } from "../../api/client.ts";
import { appsChanged, nodes } from "../../api/store.ts";
import type { Node, Orphan, OrphanList, Task, TaskList } from "../../api/types.ts";
import { cli } from "../../lib/cli.ts";
import { ago, clock, count, figure, mib, short } from "../../lib/format.ts";
import { usePolled } from "../../lib/poll.ts";
import { removeOrphan } from "../../parts/actions.tsx";
import { Bar, Card, Chip, Cli, Empty, Heading, Scroll } from "../../parts/parts.tsx";
import { appHref, href, parameter, setParameters } from "../../shell/router.ts";
import type { Tone } from "../../status.ts";

const TONES: Record<string, Tone> = { ready: "ok", degraded: "warn", lost: "bad" };

export const NodeChip = ({ of }: { of: Node }) => <Chip tone={TONES[of.status] ?? "mute"}>{of.status}{of.lostSince ? ` ${ago(of.lostSince)}` : ""}</Chip>;

/** The app whose instances are shown together. */
const marked = signal("");

export function NodesPage() {
  const isTable = parameter("view") === "table";
  const all = nodes.value;
  // Drawn anew with what changes, and not more often than it is asked for.
  const { value } = usePolled(`tasks ${isTable}`, () => ask<TaskList>("GET", "/v2/tasks"), !isTable && appsChanged.value >= 0);
  const orphans = usePolled("orphans", () => ask<OrphanList>("GET", "/v3/orphans"), true);
  const byNode = Map.groupBy(value?.tasks ?? [], (it: Task) => it.slaveId ?? it.host);
  return (
    <>
      <Heading title="Nodes" aside={all && `${all.filter((it) => it.status === "ready").length} of ${all.length} ready`}>
        <span class="seg" role="group" aria-label="View">
          <button type="button" aria-pressed={!isTable} onClick={() => setParameters({ view: "" })}>Map</button>
          <button type="button" aria-pressed={isTable} onClick={() => setParameters({ view: "table" })}>Table</button>
        </span>
      </Heading>
      {!all ? <p class="muted" aria-busy="true">Reading…</p>
      : all.length === 0 ? <Card title="There is no node yet"><p>An agent on each machine joins it: <code>ekiden agent --config agent.toml</code>.</p></Card>
      : isTable ? <NodeTable of={all} />
      : <ul class="nodes" aria-label="Nodes">{all.map((it) => <NodeCard key={it.name} of={it} tasks={byNode.get(it.name) ?? []} />)}</ul>}
      {(orphans.value?.orphans.length ?? 0) > 0 && <Orphans of={orphans.value!.orphans} />}
      <Cli line={cli.nodes()} />
    </>
  );
}

function NodeCard({ of, tasks }: { of: Node; tasks: Task[] }) {
  return (
    <li class="node">
      <div class="row"><a class="name" href={href(`/node/${encodeURIComponent(of.name)}`)}>{of.name}</a><span class="end"><NodeChip of={of} /></span></div>
      <Meters of={of} />
      {of.reason && <p class="hint">{of.reason}</p>}
      <span class="muted">{count(of.nInstances, "instance")}{(of.orphans ?? []).length > 0 ? `, ${count(of.orphans!.length, "orphan")}` : ""}</span>
      {tasks.length > 0 && (
        <ul class="dots" aria-label={`Instances on ${of.name}`}>
          {tasks.map((it) => {
            const state = it.state === "TASK_RUNNING" ? ((it.healthCheckResults ?? []).some((result) => !result.alive) ? "unhealthy" : "running") : it.state === "TASK_UNREACHABLE" ? "lost" : "starting or ending";
            const tone = state === "running" ? "ok" : state === "starting or ending" ? "info" : "bad";
            return (
              <li key={it.id}>
                <a href={appHref(it.appId, "instances")} class={`${tone} ${marked.value === it.appId ? "sibling" : ""}`} title={`${it.appId}: ${state}`} aria-label={`${it.appId}: ${state}`}
                  onMouseEnter={() => (marked.value = it.appId)} onMouseLeave={() => (marked.value = "")} onFocus={() => (marked.value = it.appId)} onBlur={() => (marked.value = "")} />
              </li>
            );
          })}
        </ul>
      )}
    </li>
  );
}

/** What is kept of what there is. */
export const Meters = ({ of }: { of: Node }) => (
  <div class="meter">
    <span>CPU</span><Bar used={of.used.cpus} of={of.capacity.cpus} label={`CPU: ${figure(of.used.cpus)} of ${figure(of.capacity.cpus)} kept`} />
    <span class="num">{figure(of.used.cpus)} of {figure(of.capacity.cpus)}</span>
    <span>Memory</span><Bar used={of.used.mem} of={of.capacity.mem} label={`Memory: ${mib(of.used.mem)} of ${mib(of.capacity.mem)} kept`} />
    <span class="num">{mib(of.used.mem)} of {mib(of.capacity.mem)}</span>
  </div>
);

const NodeTable = ({ of }: { of: Node[] }) => (
  <div class="card">
    <Scroll label="Nodes">
      <table>
        <thead><tr><th scope="col">Node</th><th scope="col">Status</th><th scope="col">Address</th><th scope="col" class="num">Instances</th><th scope="col" class="num">CPU kept</th><th scope="col" class="num">Memory kept</th><th scope="col" class="num">Disk kept</th><th scope="col" class="num">Ports</th><th scope="col">Versions</th></tr></thead>
        <tbody>
          {of.map((it) => (
            <tr key={it.name}>
              <th scope="row"><a href={href(`/node/${encodeURIComponent(it.name)}`)}>{it.name}</a></th>
              <td><NodeChip of={it} />{it.reason && <div class="hint">{it.reason}</div>}</td>
              <td><code class="nowrap">{it.address}</code></td>
              <td class="num">{it.nInstances}</td>
              <td class="num">{figure(it.used.cpus)} / {figure(it.capacity.cpus)}</td>
              <td class="num">{mib(it.used.mem)} / {mib(it.capacity.mem)}</td>
              <td class="num">{mib(it.used.disk)} / {mib(it.capacity.disk)}</td>
              <td class="num">{it.usedPorts} / {it.ports.last - it.ports.first + 1}</td>
              <td class="muted">{Object.entries(it.versions).map(([name, version]) => `${name} ${version}`).join(", ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  </div>
);

/** Containers that nobody speaks of. */
export const Orphans = ({ of }: { of: Orphan[] }) => (
  <Card title="Orphans" aside="containers that no assignment covers any more; they are left as they are">
    {of.length === 0 ? <Empty>None.</Empty> : (
      <Scroll label="Orphans">
        <table>
          <thead><tr><th scope="col">Container</th><th scope="col">Node</th><th scope="col">App</th><th scope="col">Why</th><th scope="col">Found</th><td /></tr></thead>
          <tbody>
            {of.map((it) => (
              <tr key={it.node + it.id}>
                <th scope="row"><code class="nowrap" title={it.id}>{short(it.id)}</code></th><td>{it.node}</td><td>{it.app}</td>
                <td>{it.reason}{it.running ? "; it runs" : "; it has ended"}</td><td>{clock(it.since)}</td>
                <td>{it.removing ? <span class="muted">is being removed</span> : <button type="button" class="small danger" aria-label={`Remove orphan ${short(it.id)}`} onClick={() => removeOrphan(it)}>Remove</button>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    )}
    <Cli line={cli.orphans()} />
  </Card>
);
