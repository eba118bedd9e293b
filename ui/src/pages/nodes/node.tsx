// One machine.
import { ask } from "../../api/client.ts";
import { nodes } from "../../api/store.ts";
import type { Node } from "../../api/types.ts";
import { cli } from "../../lib/cli.ts";
import { clock, count, figure, mib, short } from "../../lib/format.ts";
import { usePolled } from "../../lib/poll.ts";
import { Ago, Card, Chip, Cli, Empty, Heading, Scroll } from "../../parts/parts.tsx";
import { appHref, href } from "../../shell/router.ts";
import { taskState } from "../app/instances.tsx";
import { Meters, NodeChip, Orphans } from "./nodes.tsx";

export function NodePage({ name }: { name: string }) {
  const { value, error } = usePolled(name, () => ask<Node>("GET", `/v3/nodes/${encodeURIComponent(name)}`), true);
  const it = value ?? nodes.value?.find((known) => known.name === name);
  if (!it) return (
    <>
      <Heading title={name} />
      {error ? <Empty><p><strong>{error.status === 404 ? `There is no node ${name}.` : error.message}</strong></p><p><a href={href("/nodes")}>All nodes</a></p></Empty> : <p class="muted" aria-busy="true">Reading…</p>}
    </>
  );
  const tasks = it.tasks ?? [];
  return (
    <>
      <p class="crumb"><a href={href("/nodes")}>Nodes</a> /</p>
      <div class="row head-row"><Heading title={name} /><NodeChip of={it} /></div>
      <p class="lead">
        {it.status === "lost" ? `Its agent has been silent${it.lostSince ? ` since ${clock(it.lostSince)}` : ""}; its containers may still run.`
        : it.reason ? `Degraded: ${it.reason}.`
        : `${count(it.nInstances, "instance")}; ${figure(it.capacity.cpus - it.used.cpus)} CPU and ${mib(it.capacity.mem - it.used.mem)} of memory are free.`}
      </p>
      <div class="two">
        <Card title="Instances" aside={String(tasks.length)}>
          {tasks.length === 0 ? <Empty>None is here.</Empty> : (
            <Scroll label={`Instances on ${name}`}>
              <table>
                <thead><tr><th scope="col">App</th><th scope="col">Instance</th><th scope="col">State</th><th scope="col" class="num">Ports</th><th scope="col">Since</th></tr></thead>
                <tbody>
                  {tasks.map((task) => {
                    const { tone, word } = taskState(task, task.healthCheckResults !== undefined);
                    return (
                      <tr key={task.id}>
                        <th scope="row"><a href={appHref(task.appId, "instances")}>{task.appId}</a></th>
                        <td><code class="nowrap" title={task.id}>{short(task.id)}</code></td>
                        <td><Chip tone={tone}>{word}</Chip></td>
                        <td class="num">{(task.ports ?? []).join(", ") || "–"}</td>
                        <td>{task.startedAt ? <Ago time={task.startedAt} /> : "–"}</td>
                      </tr>
                    );
                  })}
                </tbody>
              </table>
            </Scroll>
          )}
        </Card>
        <div class="col">
          <Card title="What is kept"><Meters of={it} />
            <dl class="kv">
              <dt>Disk</dt><dd>{mib(it.used.disk)} of {mib(it.capacity.disk)}</dd>
              <dt>Host ports</dt><dd>{it.usedPorts} of {it.ports.first}–{it.ports.last}</dd>
            </dl>
          </Card>
          <Card title="What it is">
            <dl class="kv">
              <dt>Address</dt><dd><code>{it.address}</code></dd>
              {Object.entries(it.versions).map(([key, text]) => [<dt key={key}>{key}</dt>, <dd key={`${key}.`}>{text}</dd>])}
              {Object.entries(it.attributes).map(([key, text]) => [<dt key={key}>{key}</dt>, <dd key={`${key}.`}>{text}</dd>])}
            </dl>
            <Cli line={cli.nodes()} />
          </Card>
        </div>
      </div>
      {(it.orphans ?? []).length > 0 && <Orphans of={it.orphans!} />}
    </>
  );
}
