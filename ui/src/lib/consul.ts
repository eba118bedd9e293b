// Under which names instances stand in Consul: docs/consul.md.
import type { App } from "../api/store.ts";

const LABEL_MAX = 63;

/** The app's service, and those of its named further ports; none where a label keeps it out. A name that is too long for DNS is cut by the agent, and not guessed here. */
export function services(app: App): { name: string; port: string }[] {
  const label = app.labels.consul;
  if (label === "false") return [];
  const given = label && label !== "true" ? label : (app.labels.CONSUL_SERVICE_NAME ?? app.env?.CONSUL_SERVICE_NAME ?? app.id.split("/").filter(Boolean).reverse().join("-"));
  const ports = app.container?.portMappings ?? app.portDefinitions ?? [];
  const found = ports.flatMap((it, n) => {
    const own = it.labels?.consul;
    if (own === "false") return [];
    const port = it.name ?? String("containerPort" in it ? it.containerPort : it.port);
    if (own && own !== "true") return [{ name: dns(own), port }];
    return n === 0 ? [{ name: dns(given), port }] : it.name ? [{ name: dns(`${given}-${it.name}`), port }] : [];
  });
  const all = ports.length === 0 ? [{ name: dns(given), port: "" }] : found;
  return all.filter((it) => it.name.length <= LABEL_MAX);
}

const dns = (it: string): string => it.toLowerCase().replace(/[^a-z0-9]/g, "-");
