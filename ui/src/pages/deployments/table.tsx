// Deployments as a table.
import type { Deployment } from "../../api/store.ts";
import { ago, clock, count, span } from "../../lib/format.ts";
import { cancel } from "../../parts/actions.tsx";
import { Ago, Chip, Scroll } from "../../parts/parts.tsx";
import { RESULTS, waits } from "../../parts/steps.tsx";
import { appHref, href } from "../../shell/router.ts";

const DONE: Record<string, string> = { create: "create", remove: "delete", replace: "replace", scale: "scale" };

export function DeploymentTable({ of, app }: { of: Deployment[]; app?: string }) {
  return (
    <Scroll label="Deployments">
      <table>
        <thead><tr><th scope="col">Began</th><th scope="col">Result</th><th scope="col">Changes</th><th scope="col" class="num">Took</th><td /></tr></thead>
        <tbody>
          {of.map((it) => {
            const result = RESULTS[it.status] ?? { tone: "mute" as const, word: it.status };
            const shown = app ? it.changes.filter((change) => change.app === app) : it.changes.slice(0, 3);
            return (
              <tr key={it.id}>
                <th scope="row"><a href={href(`/deployment/${it.id}`)}>{clock(it.version)}</a> <span class="muted opt nowrap"><Ago time={it.version} /></span></th>
                <td><Chip tone={result.tone}>{result.word}</Chip></td>
                <td class="changes">
                  {shown.map((change) => <div key={change.app}>{DONE[change.action] ?? change.action} <a href={appHref(change.app)}>{change.app}</a></div>)}
                  {it.changes.length === 0 && <span class="muted">nothing: all was as it was asked for</span>}
                  {!app && it.changes.length > 3 && <span class="muted">and {count(it.changes.length - 3, "app")} more</span>}
                  {(it.status === "failed" || it.status === "running") && it.waiting[0] && <div class="hint">{waits(it, it.waiting[0])}</div>}
                </td>
                <td class="num">{it.endedAt ? span(Date.parse(it.endedAt) - Date.parse(it.version)) : ago(it.version).replace(" ago", "")}</td>
                <td>{it.status === "running" && <button type="button" class="small danger" aria-label={`Cancel the deployment of ${it.changes.map((change) => change.app).join(", ")}`} onClick={() => cancel(it)}>Cancel</button>}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Scroll>
  );
}
