// What this is, who leads, and how the UI looks.
import { heardAt } from "../../api/client.ts";
import { ask } from "../../api/client.ts";
import { link } from "../../api/live.ts";
import { ids, nodes } from "../../api/store.ts";
import type { Info } from "../../api/types.ts";
import { cli } from "../../lib/cli.ts";
import { clock, now, span } from "../../lib/format.ts";
import { usePolled } from "../../lib/poll.ts";
import { Card, Cli, Heading } from "../../parts/parts.tsx";
import { areKeysOn, isHelpOpen } from "../../shell/keys.tsx";
import { theme } from "../../shell/theme.ts";

const THEMES = [["system", "As the system"], ["light", "Light"], ["dark", "Dark"]] as const;

export function AboutPage() {
  const { value, error } = usePolled("info", () => ask<Info>("GET", "/v2/info"), true);
  return (
    <>
      <Heading title="About" />
      <div class="grid">
        <Card title="The cluster">
          {error && <p role="alert">{error.message}</p>}
          {value && (
            <dl class="kv">
              <dt>Program</dt><dd>{value.buildref}</dd>
              <dt>API</dt><dd>that of Marathon {value.version}</dd>
              <dt>Leader</dt><dd><code>{value.leader ?? "none"}</code></dd>
              <dt>Members</dt><dd>{value.marathon_config.ha ? "several: others stand by" : "one"}</dd>
              <dt>Id</dt><dd><code>{value.frameworkId ?? "–"}</code></dd>
              <dt>Apps</dt><dd>{ids.value.length}</dd>
              <dt>Nodes</dt><dd>{nodes.value?.length ?? "–"}</dd>
            </dl>
          )}
          <Cli line={cli.version()} />
        </Card>
        <Card title="This page">
          <dl class="kv">
            <dt>Events</dt><dd>{link.value.how === "live" ? "live" : link.value.how}, since {clock(link.value.since)}</dd>
            <dt>Last word of the server</dt><dd>{heardAt.value === 0 ? "none yet" : `${span(now.value - heardAt.value)} ago`}</dd>
          </dl>
          <fieldset>
            <legend>Colours</legend>
            {THEMES.map(([name, text]) => <label key={name}><input type="radio" name="theme" checked={theme.value === name} onChange={() => (theme.value = name)} /> {text}</label>)}
          </fieldset>
          <p><label><input type="checkbox" checked={areKeysOn.value} onChange={(event) => (areKeysOn.value = event.currentTarget.checked)} /> Single letters are keys</label> <button type="button" class="small" onClick={() => (isHelpOpen.value = true)}>All keys</button></p>
        </Card>
        <Card title="For programs">
          <ul class="plain">
            <li><a href="/help" target="_blank" rel="noopener">Every route of the API</a></li>
            <li><a href="/v3/openapi.json" target="_blank" rel="noopener">The API as OpenAPI</a></li>
            <li><a href="/metrics/prometheus" target="_blank" rel="noopener">This member's metrics, for Prometheus</a></li>
          </ul>
        </Card>
      </div>
    </>
  );
}
