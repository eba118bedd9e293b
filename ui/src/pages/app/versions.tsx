// The stored versions of an app: how each ended, what differs, and the way back.
import { appPath, ask } from "../../api/client.ts";
import { type App, deployments } from "../../api/store.ts";
import type { VersionList } from "../../api/types.ts";
import { cli } from "../../lib/cli.ts";
import { definition, differences, type Json } from "../../lib/diff.ts";
import { clock, short } from "../../lib/format.ts";
import { usePolled } from "../../lib/poll.ts";
import { rollback } from "../../parts/actions.tsx";
import { Ago, Card, Chip, Cli, Differences, Scroll } from "../../parts/parts.tsx";
import { RESULTS } from "../../parts/steps.tsx";
import { href, parameter, setParameters } from "../../shell/router.ts";
import type { Part } from "./app.tsx";

export function Versions({ app }: Part) {
  const { value, error } = usePolled(`${app.id} ${app.version}`, () => ask<VersionList>("GET", `${appPath(app.id)}/versions`), false);
  const all = [...new Set([app.version, ...(value?.versions ?? [])])].sort().reverse();
  const from = parameter("from") || all[1] || app.version;
  const to = parameter("to") || app.version;
  return (
    <div class="col">
      <Card title="Versions" aside={value && `${all.length} kept`}>
        {error && <p role="alert">{error.message}</p>}
        <Scroll label={`Versions of ${app.id}`}>
          <table>
            <thead><tr><th scope="col">Accepted</th><th scope="col">How it ended</th><th scope="col">Deployment</th><td /></tr></thead>
            <tbody>
              {all.map((version) => {
                const made = deployments.value.find((it) => it.changes.some((change) => change.app === app.id && change.to === version));
                const result = made && RESULTS[made.status];
                return (
                  <tr key={version}>
                    <th scope="row">{clock(version)} <span class="muted"><Ago time={version} /></span></th>
                    <td>{result ? <Chip tone={result.tone}>{result.word}</Chip> : <span class="muted">no longer remembered</span>}</td>
                    <td>{made ? <a class="nowrap" href={href(`/deployment/${made.id}`)}>{short(made.id)}</a> : "–"}</td>
                    <td>
                      <span class="row">
                        {version === app.version ? <Chip tone="mute" icon="ok">current</Chip> : (
                          <>
                            <button type="button" class="small" aria-label={`Compare ${clock(version)} with the current one`} onClick={() => setParameters({ from: version, to: app.version })}>Compare</button>
                            <button type="button" class="small" aria-label={`Roll back to ${clock(version)}`} onClick={() => void rollback(app.id, version)}>Roll back</button>
                          </>
                        )}
                      </span>
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </Scroll>
        <Cli line={cli.versions(app.id)} />
      </Card>
      {all.length > 1 && (
        <Card title="Compare">
          <div class="row">
            <label>From <select value={from} onChange={(event) => setParameters({ from: event.currentTarget.value })}>{all.map((it) => <option key={it} value={it}>{clock(it)}</option>)}</select></label>
            <label>to <select value={to} onChange={(event) => setParameters({ to: event.currentTarget.value })}>{all.map((it) => <option key={it} value={it}>{clock(it)}</option>)}</select></label>
          </div>
          <Compared app={app.id} from={from} to={to} />
        </Card>
      )}
    </div>
  );
}

/** What differs between two stored versions. */
export function Compared({ app, from, to }: { app: string; from: string; to: string }) {
  const load = (version: string): Promise<App> => ask<App>("GET", `${appPath(app)}/versions/${version}`);
  const { value, error } = usePolled(`${app} ${from} ${to}`, () => Promise.all([load(from), load(to)]), false);
  if (error) return <p class="muted">{error.status === 404 ? "One of them is no longer kept." : error.message}</p>;
  if (!value) return <p class="muted" aria-busy="true">Reading…</p>;
  return <Differences of={differences(definition(value[0]) as Json, definition(value[1]) as Json)} />;
}
