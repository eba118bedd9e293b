// One app: how it is and why, what runs of it, how it came to that, and how to change it.
import { useEffect, useRef } from "preact/hooks";
import { ApiError, appPath, ask } from "../../api/client.ts";
import { type App, app, appsChanged, queue, stranded } from "../../api/store.ts";
import type { AppSingle, Explanation } from "../../api/types.ts";
import { watch } from "../../api/store.ts";
import { usePolled } from "../../lib/poll.ts";
import { changing, remove, restart, scale, suspend } from "../../parts/actions.tsx";
import { Empty, Heading, StatusChip, showCurrent } from "../../parts/parts.tsx";
import { appHref, href, parameter } from "../../shell/router.ts";
import { type Status, status } from "../../status.ts";
import { Configuration } from "./configuration.tsx";
import { AppDeployments } from "./history.tsx";
import { headline } from "./headline.ts";
import { Instances } from "./instances.tsx";
import { Logs } from "./logs.tsx";
import { Overview } from "./overview.tsx";
import { Versions } from "./versions.tsx";

/** What the tabs get. */
export interface Part {
  app: App;
  /** Why it misses instances, and what its deployment waits for. */
  why: Explanation | undefined;
  /** How it is. */
  how: Status;
}

/** The parts of the page, by the name in its address. */
const TABS: { name: string; tab: string; count?: (it: App) => number; part: (it: Part) => preact.JSX.Element }[] = [
  { name: "Overview", tab: "", part: Overview },
  { name: "Instances", tab: "instances", count: (it) => it.tasks?.length ?? 0, part: Instances },
  { name: "Logs", tab: "logs", part: Logs },
  { name: "Deployments", tab: "deployments", part: AppDeployments },
  { name: "Configuration", tab: "configuration", part: Configuration },
  { name: "Versions", tab: "versions", part: Versions },
];

export function AppPage({ id }: { id: string }) {
  useEffect(() => watch(id), [id]);
  appsChanged.value;
  const it = app(id)?.value;
  const waits = queue.value.get(id);
  const explained = usePolled(id, () => ask<Explanation>("GET", `/v3${appPath(id).slice(3)}/explain`), it !== undefined && (it.deployments.length > 0 || waits !== undefined));
  // The first reading says sooner than the list that there is none.
  const found = usePolled(id, () => ask<AppSingle>("GET", appPath(id)), false);
  // What was there and is no more was deleted; the first reading says nothing of that.
  const wasThere = useRef(false);
  const strip = useRef<HTMLUListElement>(null);
  useEffect(() => showCurrent(strip.current), [parameter("tab"), it === undefined]);
  wasThere.current ||= it !== undefined;
  const isGone = wasThere.current && !it;
  const shown = isGone ? undefined : (it ?? found.value?.app);
  if (!shown) return <Missing id={id} error={isGone ? new ApiError(404, "It was deleted.") : found.error} />;
  const how = status(shown, waits, stranded.value.has(id));
  const isCurrent = explained.value?.deployment === changing(shown)?.id || shown.deployments.length > 0 || waits !== undefined;
  const why = isCurrent ? explained.value : undefined;
  const tab = TABS.find((part) => part.tab === parameter("tab")) ?? TABS[0]!;
  const groups = id.split("/").slice(1, -1);
  return (
    <>
      <p class="crumb">
        <a href={href("/apps")}>Apps</a>
        {groups.map((name, n) => <> / <a href={href("/apps", { filter: `group:/${groups.slice(0, n + 1).join("/")}` })}>{name}</a></>)} /
      </p>
      <div class="row head-row">
        <Heading title={id.slice(id.lastIndexOf("/") + 1)} />
        <span role="status"><StatusChip of={how} /></span>
        <span class="row end">
          <button type="button" onClick={() => scale(shown)}>Scale</button>
          <button type="button" onClick={() => restart(shown)} disabled={shown.instances === 0}>Restart</button>
          <button type="button" onClick={() => suspend(shown)} disabled={shown.instances === 0}>Suspend</button>
          <button type="button" class="danger" onClick={() => remove(shown)}>Delete</button>
        </span>
      </div>
      <p class="lead">{headline(shown, how, waits, why)}</p>
      <nav aria-label={`Parts of ${id}`}>
        <ul class="tabs" ref={strip}>
          {TABS.map((part) => (
            <li key={part.tab}>
              <a href={appHref(id, part.tab)} aria-current={part === tab ? "page" : undefined}>{part.name}{part.count ? ` ${part.count(shown)}` : ""}</a>
            </li>
          ))}
        </ul>
      </nav>
      <tab.part app={shown} why={why} how={how} />
    </>
  );
}

function Missing({ id, error }: { id: string; error: ApiError | undefined }) {
  return (
    <>
      <Heading title={id} />
      {!error ? <p class="muted" aria-busy="true">Reading…</p>
      : error.status === 404 ? (
        <Empty>
          <p><strong>There is no app {id}.</strong> It was deleted, or never there.</p>
          <p><a href={href("/apps")}>All apps</a> · <a href={href("/events", { filter: id })}>What happened to it</a></p>
        </Empty>
      ) : <p role="alert">{error.message}</p>}
    </>
  );
}
