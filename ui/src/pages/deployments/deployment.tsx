// One deployment: its steps, what it waits for, what it changes.
import { ask } from "../../api/client.ts";
import { type Deployment, active, deployments } from "../../api/store.ts";
import { cli } from "../../lib/cli.ts";
import { ago, clock, short, span } from "../../lib/format.ts";
import { usePolled } from "../../lib/poll.ts";
import { cancel, rollback } from "../../parts/actions.tsx";
import { Card, Chip, Cli, Empty, Heading } from "../../parts/parts.tsx";
import { RESULTS, Steps } from "../../parts/steps.tsx";
import { appHref, href } from "../../shell/router.ts";
import { Compared } from "../app/versions.tsx";

export function DeploymentPage({ id }: { id: string }) {
  const isActive = active.value.has(id);
  const { value, error } = usePolled(`${id} ${isActive}`, () => ask<Deployment>("GET", `/v3/deployments/${encodeURIComponent(id)}`), isActive);
  const it = value ?? deployments.value.find((known) => known.id === id);
  if (!it) {
    return (
      <>
        <Heading title={`Deployment ${short(id)}`} />
        {error ? <Empty><p><strong>{error.status === 404 ? "It is not remembered." : error.message}</strong></p><p><a href={href("/deployments")}>All deployments</a></p></Empty> : <p class="muted" aria-busy="true">Reading…</p>}
      </>
    );
  }
  const result = RESULTS[it.status] ?? { tone: "mute" as const, word: it.status };
  const names = it.changes.map((change) => change.app);
  const title = names.length === 0 ? "Deployment that changes nothing" : names.length === 1 ? `Deployment of ${names[0]}` : `Deployment of ${names.length} apps`;
  return (
    <>
      <p class="crumb"><a href={href("/deployments")}>Deployments</a> /</p>
      <div class="row head-row">
        <Heading title={title} />
        <Chip tone={result.tone}>{result.word}</Chip>
        <span class="row end">{it.status === "running" && <button type="button" class="danger" onClick={() => cancel(it)}>Cancel</button>}</span>
      </div>
      <p class="lead">
        Began {clock(it.version)}, {it.endedAt ? `ended after ${span(Date.parse(it.endedAt) - Date.parse(it.version))}` : `${ago(it.version)}`}.
        {it.by && <> {it.status === "superseded" ? "Superseded" : "Rolled back"} by <a href={href(`/deployment/${it.by}`)}>{short(it.by)}</a>.</>}
      </p>
      <div class="grid">
        <Card title="Steps" tone={it.status === "failed" ? "evidence" : it.status === "running" ? "busy" : ""}>
          <Steps of={it} />
          <Cli line={cli.deployment(it.id)} />
        </Card>
        {it.changes.slice(0, 20).map((change) => (
          <Card key={change.app} title={<a href={appHref(change.app)}>{change.app}</a>}
            actions={change.from && change.to && it.status !== "running" && <button type="button" class="small" onClick={() => void rollback(change.app, change.from!)}>Roll back to before</button>}>
            <dl class="kv">
              {change.from && <><dt>Before</dt><dd>{clock(change.from)}</dd></>}
              {change.to && <><dt>After</dt><dd>{clock(change.to)}</dd></>}
            </dl>
            {change.from && change.to ? <Compared app={change.app} from={change.from} to={change.to} /> : <p class="muted">{change.to ? "A new app." : "The app is deleted."}</p>}
          </Card>
        ))}
      </div>
    </>
  );
}
