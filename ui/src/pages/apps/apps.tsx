// All apps: what runs, and how.
import { computed, useComputed } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { app, appsChanged, ids, isLoaded, queue, stranded } from "../../api/store.ts";
import { cli } from "../../lib/cli.ts";
import { passes, toggleStatus } from "../../lib/filter.ts";
import { figure, mib } from "../../lib/format.ts";
import { Ago, Card, Cli, Empty, HealthBar, Heading, Icon, Scroll, StatusChip } from "../../parts/parts.tsx";
import { appHref, href, parameter, setParameters } from "../../shell/router.ts";
import { type Word, TONES, WORDS, status } from "../../status.ts";

/** So many rows are drawn at once; more come as they are scrolled to. */
const ROWS = 120;

/** The word of every app. */
const words = computed(() => {
  appsChanged.value;
  return new Map(ids.value.map((id) => {
    const it = app(id)!.peek();
    return [id, status(it, queue.value.get(id), stranded.value.has(id)).word] as const;
  }));
});

const counts = computed(() => {
  const found = new Map<Word, number>();
  for (const word of words.value.values()) found.set(word, (found.get(word) ?? 0) + 1);
  return found;
});

/** A line of the list: an app, or a group and how many are in it. */
type Row = { app: string; depth: number } | { group: string; depth: number; n: number; isOpen: boolean };

export function AppsPage() {
  const filter = parameter("filter");
  const isFlat = parameter("view") === "flat";
  const shown = ids.value.filter((id) => passes(app(id)!.peek(), words.value.get(id)!, filter));
  const closed = new Set(parameter("closed").split(",").filter(Boolean));
  const rows = isFlat ? shown.map((id) => ({ app: id, depth: 0 })) : tree(shown, filter ? new Set() : closed);
  const all = ids.value.length;
  return (
    <>
      <Heading title="Apps" aside={isLoaded.value && all > 0 && (shown.length === all ? `${all}` : `${shown.length} of ${all} shown`)}>
        <a class="button primary" href={href("/new")}>New app</a>
      </Heading>
      {all > 0 && (
        <div class="row" role="search">
          <label class="row">
            Filter
            <input type="search" data-filter size={28} value={filter} placeholder="status:waiting label:team=pay" spellcheck={false}
              onInput={(event) => setParameters({ filter: event.currentTarget.value })} />
          </label>
          <span class="row" role="group" aria-label="Filter by status">
            {WORDS.filter((it) => counts.value.has(it)).map((it) => (
              <button key={it} type="button" class="small" aria-pressed={filter.split(/\s+/).includes(`status:${it.toLowerCase()}`)}
                onClick={() => setParameters({ filter: toggleStatus(filter, it) })}>
                <Icon name={TONES[it]} /> {it} {counts.value.get(it)}
              </button>
            ))}
          </span>
          <span class="seg end" role="group" aria-label="Order">
            <button type="button" aria-pressed={!isFlat} onClick={() => setParameters({ view: "" })}>Tree</button>
            <button type="button" aria-pressed={isFlat} onClick={() => setParameters({ view: "flat" })}>Flat</button>
          </span>
        </div>
      )}
      {!isLoaded.value ? <p class="muted" aria-busy="true">Reading…</p>
      : all === 0 ? <First />
      : shown.length === 0 ? (
        <Empty><p><strong>No app passes this filter.</strong></p><button type="button" onClick={() => setParameters({ filter: "" })}>Show all {all}</button></Empty>
      ) : <Table rows={rows} closed={closed} />}
      {all > 0 && <Cli line={cli.apps()} />}
    </>
  );
}

/** Nothing runs yet. */
const First = () => (
  <Card title="No apps yet">
    <p>An app is a Docker image that shall run in a number of equal instances, wherever there is room.</p>
    <p><a class="button primary" href={href("/new")}>Create the first one</a></p>
    <p class="muted">Or on the command line:</p>
    <Cli line="ekiden deploy app.json --wait" />
  </Card>
);

function tree(shown: string[], closed: Set<string>): Row[] {
  const sizes = new Map<string, number>();
  const parents = (id: string): string[] => {
    const parts = id.split("/").slice(1, -1);
    return parts.map((_, n) => `/${parts.slice(0, n + 1).join("/")}`);
  };
  for (const id of shown) for (const it of parents(id)) sizes.set(it, (sizes.get(it) ?? 0) + 1);
  const rows: Row[] = [];
  const told = new Set<string>();
  for (const id of shown) {
    const groups = parents(id);
    let isHidden = false;
    for (const [depth, group] of groups.entries()) {
      if (!told.has(group) && !isHidden) rows.push({ group, depth, n: sizes.get(group) ?? 0, isOpen: !closed.has(group) });
      told.add(group);
      isHidden ||= closed.has(group);
    }
    if (!isHidden) rows.push({ app: id, depth: groups.length });
  }
  return rows;
}

function Table({ rows, closed }: { rows: Row[]; closed: Set<string> }) {
  const [n, setN] = useState(ROWS);
  const end = useRef<HTMLTableRowElement>(null);
  useEffect(() => {
    if (!end.current) return;
    const seen = new IntersectionObserver((entries) => entries.some((it) => it.isIntersecting) && setN((before) => before + ROWS), { rootMargin: "400px" });
    seen.observe(end.current);
    return () => seen.disconnect();
  }, [n, rows.length > n]);
  const toggle = (group: string): void => {
    const next = new Set(closed);
    if (!next.delete(group)) next.add(group);
    setParameters({ closed: [...next].join(",") });
  };
  return (
    <div class="card">
      <Scroll label="Apps">
        <table aria-rowcount={rows.length + 1}>
          <thead>
            <tr>
              <th scope="col">App</th><th scope="col">Status</th><th scope="col">Health</th><th scope="col" class="num">Instances</th>
              <th scope="col" class="num opt">CPU</th><th scope="col" class="num opt">Memory</th><th scope="col" class="opt">Image</th><th scope="col" class="opt">Changed</th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, n).map((row) =>
              "app" in row ? <AppRow key={row.app} id={row.app} depth={row.depth} /> : (
                <tr key={`${row.group}/`} class="group">
                  <th scope="row" colSpan={8} style={{ paddingLeft: `${4 + row.depth * 20}px` }}>
                    <button type="button" class="twist" aria-expanded={row.isOpen} aria-label={`Group ${row.group}`} onClick={() => toggle(row.group)}><Icon name="right" /></button>
                    <code>{row.group}</code> <span class="muted">{row.n}</span>
                  </th>
                </tr>
              ),
            )}
            {rows.length > n && <tr ref={end}><td colSpan={8} class="muted">{rows.length - n} more…</td></tr>}
          </tbody>
        </table>
      </Scroll>
    </div>
  );
}

function AppRow({ id, depth }: { id: string; depth: number }) {
  // Of what is known of all apps, a row is drawn anew for its own alone.
  const waits = useComputed(() => queue.value.get(id)).value;
  const isStranded = useComputed(() => stranded.value.has(id)).value;
  const it = app(id)?.value;
  if (!it) return null;
  const how = status(it, waits, isStranded);
  const isBad = how.word === "Crash-looping" || how.word === "Delayed" || how.word === "Degraded";
  return (
    <tr>
      <th scope="row" style={{ paddingLeft: `${8 + depth * 20}px` }}>
        <a href={appHref(id)}>{depth > 0 ? id.slice(id.lastIndexOf("/") + 1) : id}</a>
      </th>
      <td>
        <StatusChip of={how} />
        {isBad && it.lastTaskFailure && <div class="hint opt">{clip(it.lastTaskFailure.message)}</div>}
      </td>
      <td><HealthBar app={it} /></td>
      <td class="num">{`${it.tasksRunning} / ${it.instances}`}</td>
      <td class="num opt">{figure(it.cpus * it.instances)}</td>
      <td class="num opt">{mib(it.mem * it.instances)}</td>
      <td class="opt image"><code>{clip(it.container?.docker?.image ?? it.cmd ?? "–", 40)}</code></td>
      <td class="opt muted nowrap"><Ago time={it.versionInfo?.lastConfigChangeAt ?? it.version} /></td>
    </tr>
  );
}

const clip = (text: string, max = 70): string => (text.length > max ? `${text.slice(0, max - 1)}…` : text);
