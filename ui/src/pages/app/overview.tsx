// The app at a glance: why it fails, what changes it, what runs, where it answers.
import type { App } from "../../api/store.ts";
import type { Evidence } from "../../api/types.ts";
import { services } from "../../lib/consul.ts";
import { cli } from "../../lib/cli.ts";
import { ago, clock, count, figure, mib, short } from "../../lib/format.ts";
import { plain } from "../../lib/lines.ts";
import { cancel, changing, resetDelay, rollback } from "../../parts/actions.tsx";
import { Card, Cli, Copy } from "../../parts/parts.tsx";
import { Reasons } from "../../parts/reasons.tsx";
import { Steps } from "../../parts/steps.tsx";
import { appHref, href } from "../../shell/router.ts";
import type { Part } from "./app.tsx";
import { Cards } from "./instances.tsx";

export function Overview({ app, why, how }: Part) {
  const isWell = how.word === "Running" || how.word === "Suspended";
  const deployment = changing(app);
  const change = deployment?.changes.find((it) => it.app === app.id);
  const before = change?.from;
  return (
    <div class="two">
      <div class="col">
        {why && why.missing > 0 && (why.nodes.length > 0 || why.backoffUntil) && (
          <Card title="Why it waits" tone="held" aside={`${count(why.missing, "instance")} missing${why.since ? ` since ${clock(why.since)}` : ""}`}
            actions={why.backoffUntil && <button type="button" onClick={() => void resetDelay(app.id)}>Try now</button>}>
            <Reasons of={why} needs={app} />
            {why.backoffUntil && <Cli line={cli.reset(app.id)} />}
          </Card>
        )}
        {app.lastTaskFailure && <LastFailure app={app} isOver={isWell} left={why?.evidence?.task === app.lastTaskFailure.taskId ? why.evidence : undefined} />}
        <Card title="Instances" aside={`${app.instances} wanted, ${app.tasksRunning} running${(app.healthChecks ?? []).length > 0 ? `, ${app.tasksHealthy} healthy` : ""}`}
          actions={<a href={appHref(app.id, "instances")}>All instances</a>}>
          <Cards app={app} />
        </Card>
      </div>
      <div class="col">
        {deployment && (
          <Card title="Deployment under way" tone="busy" aside={`since ${clock(deployment.version)}`}
            actions={<>
              {before && change?.action === "replace" && <button type="button" onClick={() => void rollback(app.id, before)}>Roll back</button>}
              <button type="button" class="danger" onClick={() => cancel(deployment)}>Cancel</button>
            </>}>
            <Steps of={deployment} />
            <p><a href={href(`/deployment/${deployment.id}`)}>The whole deployment</a></p>
          </Card>
        )}
        <Endpoints app={app} />
        <Card title="Definition">
          <dl class="kv">
            <dt>Image</dt><dd><code>{app.container?.docker?.image ?? "–"}</code></dd>
            {app.cmd && <><dt>Command</dt><dd><code>{app.cmd}</code></dd></>}
            <dt>Each</dt><dd>{figure(app.cpus)} CPU, {mib(app.mem)}</dd>
            <dt>Version</dt><dd><a href={appHref(app.id, "versions")}>{clock(app.version)}</a> <span class="muted">{ago(app.version)}</span></dd>
            {Object.entries(app.labels).map(([name, it]) => [<dt key={name}>{name}</dt>, <dd key={`${name}=`}>{it || "–"}</dd>])}
          </dl>
          <Cli line={cli.app(app.id)} />
        </Card>
      </div>
    </div>
  );
}

/** How the last one failed. */
function LastFailure({ app, isOver, left }: { app: App; isOver: boolean; left: Evidence | undefined }) {
  const it = app.lastTaskFailure!;
  const isOld = it.version !== app.version;
  const text = `${it.appId} instance ${it.taskId} on ${it.slaveId ?? it.host}, ${it.timestamp}: ${it.state}: ${it.message}`;
  return (
    <Card title="Last failure" tone={isOld || isOver ? "" : "evidence"} aside={`instance ${short(it.taskId)} on ${it.slaveId ?? it.host}, ${ago(it.timestamp)}`} actions={<Copy text={text} what="the failure as text" />}>
      <dl class="kv">
        <dt>Ended</dt><dd><strong>{it.message}</strong></dd>
        <dt>When</dt><dd>{clock(it.timestamp)}</dd>
        {left?.health && <><dt>Health check</dt><dd>{left.health.cause}{left.health.body && <>: <code>{left.health.body}</code></>}</dd></>}
        <dt>Version</dt><dd>{clock(it.version)}{isOld ? ", which is no longer the wanted one" : ""}</dd>
        <dt>Instance</dt><dd><code>{it.taskId}</code></dd>
      </dl>
      {left && left.lines.length > 0 && (
        <div class="log last" tabIndex={0} role="group" aria-label="Its last lines">
          {left.lines.map((line, n) => <div key={n}>{plain(line.text)}</div>)}
        </div>
      )}
      <p>{!isOld && !isOver && <><a href={appHref(app.id, "versions")}>Go back to another version</a> · </>}<a href={href(`/app${app.id.split("/").map(encodeURIComponent).join("/")}`, { tab: "logs", instance: it.taskId })}>What it wrote</a> · <a href={href("/events", { filter: app.id })}>What happened</a></p>
    </Card>
  );
}

function Endpoints({ app }: { app: App }) {
  const names = services(app);
  const ports = app.container?.portMappings ?? app.portDefinitions ?? [];
  const tasks = (app.tasks ?? []).filter((it) => it.state === "TASK_RUNNING");
  return (
    <Card title="Where it answers">
      <dl class="kv">
        {names.map((it) => [
          <dt key={it.name}>Consul{it.port ? `, ${it.port}` : ""}</dt>,
          <dd key={`${it.name}.`}><code>{it.name}.service.consul</code> <Copy text={`${it.name}.service.consul`} what={`${it.name}.service.consul`} /></dd>,
        ])}
        {ports.map((it, n) => {
          const at = tasks.flatMap((task) => (task.ports?.[n] ? [`${task.host}:${task.ports[n]}`] : []));
          return [
            <dt key={n}>{it.name ?? `Port ${n}`}</dt>,
            <dd key={`${n}.`}>
              {at.length === 0 ? <span class="muted">nowhere now</span> : at.slice(0, 6).map((address) => <div key={address}><a href={`http://${address}/`} target="_blank" rel="noreferrer noopener"><code>{address}</code></a></div>)}
              {at.length > 6 && <span class="muted">and {at.length - 6} more</span>}
            </dd>,
          ];
        })}
        {ports.length > 0 && <><dt>Service port</dt><dd>{ports.map((it) => ("servicePort" in it ? it.servicePort : it.port)).join(", ")}</dd></>}
      </dl>
      {ports.length === 0 && names.length === 0 && <p class="muted">It has no ports.</p>}
      {names.length > 0 && <p class="hint">In Consul where the node's agent registers: healthy instances alone.</p>}
    </Card>
  );
}
