// What happened, and what happens, with a filter.
import { useEffect, useState } from "preact/hooks";
import { onEvent } from "../../api/live.ts";
import { type Told, read } from "../../api/sse.ts";
import { cli } from "../../lib/cli.ts";
import { clock } from "../../lib/format.ts";
import { Card, Cli, Empty, Heading } from "../../parts/parts.tsx";
import { appHref, parameter, setParameters } from "../../shell/router.ts";

/** So many are kept here, and so many shown at once: the newest. */
const KEPT = 5000;
const SHOWN = 300;
/** A stream that is silent for so long has told all that had happened, milliseconds. */
const QUIET = 700;
/** Drawn anew so often, milliseconds. */
const PACE = 200;
/** Before all that is remembered. */
const BEGINNING = "0-0-0";

/** An event as it is shown. */
export interface Line {
  id: string;
  at: string;
  kind: string;
  app: string;
  text: string;
  isBad: boolean;
}

/** The line of an event; nothing for those about streams themselves, and for those that say the same in other words. */
export function line({ id, name, data }: Told): Line | undefined {
  if (/^event_stream_|^instance_(changed|health_changed)_event$|^reset$/.test(name)) return undefined;
  const it = JSON.parse(data) as Record<string, any>;
  const actions = (it.currentStep?.actions ?? it.plan?.steps?.flatMap((step: any) => step.actions) ?? []) as { action: string; app?: string; pod?: string }[];
  const apps = [...new Set(actions.map((action) => action.app ?? action.pod ?? ""))];
  const app: string = it.appId ?? it.runSpecId ?? it.appDefinition?.id ?? (apps.length === 1 ? apps[0]! : "");
  const parts: (string | undefined)[] = [
    it.taskStatus?.replace("TASK_", "").toLowerCase(),
    it.alive === undefined ? undefined : it.alive ? "healthy" : "unhealthy",
    it.message,
    it.reason,
    name.startsWith("deployment_") ? (apps.length > 1 ? `${apps.length} apps` : actions.map((action) => action.action.replace(/Application|Pod/, "").toLowerCase()).join(", ")) : undefined,
    it.host ? `on ${it.slaveId ?? it.host}` : undefined,
    it.clientIp ? `by ${it.clientIp}` : undefined,
    it.groupId && !app ? it.groupId : undefined,
  ];
  const isBad = /failed|unhealthy_instance/.test(name) || /FAILED|LOST|UNREACHABLE/.test(it.taskStatus ?? "") || it.alive === false;
  return { id, at: it.timestamp, kind: name.replace(/_event$/, "").replaceAll("_", " "), app, text: parts.filter(Boolean).join(", "), isBad };
}

export function EventsPage() {
  const [lines, setLines] = useState<Line[]>([]);
  const [isReading, setReading] = useState(true);
  const filter = parameter("filter").toLowerCase();
  const kind = parameter("type");
  const isHeld = parameter("follow") === "off";
  useEffect(() => {
    const known = new Map<string, Line>();
    let timer: number | undefined;
    const draw = (): void => {
      timer = undefined;
      const all = [...known.values()];
      for (const it of all.slice(0, Math.max(0, all.length - KEPT))) known.delete(it.id);
      setLines(all.slice(-KEPT).sort((a, b) => order(b.id, a.id)));
    };
    const take = (told: Told): void => {
      const it = told.id === "" ? undefined : line(told);
      if (!it || known.has(it.id)) return;
      known.set(it.id, it);
      timer ??= setTimeout(draw, PACE);
    };
    const stop = onEvent(take);
    const past = new AbortController();
    let quiet = setTimeout(() => past.abort(), QUIET * 4);
    const heard = (): void => {
      clearTimeout(quiet);
      quiet = setTimeout(() => past.abort(), QUIET);
    };
    // What is remembered comes over a stream of its own, which ends as soon as it has told that.
    void read(BEGINNING, past.signal, heard, take).catch(() => {}).finally(() => setReading(false));
    return () => {
      stop();
      past.abort();
      clearTimeout(timer);
      clearTimeout(quiet);
    };
  }, []);
  const [held, hold] = useState<Line[]>();
  useEffect(() => hold(isHeld ? lines : undefined), [isHeld]);
  const all = held ?? lines;
  const shown = all.filter((it) => (!kind || it.kind === kind) && (!filter || `${it.kind} ${it.app} ${it.text}`.toLowerCase().includes(filter)));
  const kinds = [...new Set(lines.map((it) => it.kind))].sort();
  if (kind && !kinds.includes(kind)) kinds.push(kind);
  return (
    <>
      <Heading title="Events" aside={shown.length === all.length ? `${all.length}` : `${shown.length} of ${all.length}`}>
        <label>Filter <input type="search" data-filter size={16} value={parameter("filter")} placeholder="/pay/api failed" spellcheck={false} onInput={(event) => setParameters({ filter: event.currentTarget.value })} /></label>
        <label>Type <select value={kind} onChange={(event) => setParameters({ type: event.currentTarget.value })}><option value="">all</option>{kinds.map((it) => <option key={it} value={it}>{it}</option>)}</select></label>
        <button type="button" aria-pressed={!isHeld} onClick={() => setParameters({ follow: isHeld ? "" : "off" })}>Follow</button>
      </Heading>
      {held && lines.length > held.length && <p class="muted" role="status">{lines.length - held.length} new since it was held.</p>}
      <Card title="Newest first">
        {shown.length === 0 ? <Empty>{isReading ? <span aria-busy="true">Reading…</span> : all.length === 0 ? "Nothing is remembered." : "None passes this filter."}</Empty> : (
          <ol class="log" tabIndex={0} aria-label="Events, newest first">
            {shown.slice(0, SHOWN).map((it) => (
              <li key={it.id}>
                <time dateTime={it.at}>{clock(it.at)}</time>
                <span class={it.isBad ? "bad" : "kind"}>{it.kind}</span>
                {it.app && <a href={appHref(it.app)}>{it.app}</a>}
                <span class="said">{it.text}</span>
              </li>
            ))}
          </ol>
        )}
        {shown.length > SHOWN && <p class="muted">and {shown.length - SHOWN} older ones: a filter shows them.</p>}
        <Cli line={cli.events()} />
      </Card>
    </>
  );
}

/** Ids are places in the log, `42-0-1`. */
function order(a: string, b: string): number {
  const [x, y] = [a.split("-").map(Number), b.split("-").map(Number)];
  for (let n = 0; n < 3; n++) if (x[n] !== y[n]) return (x[n] ?? 0) - (y[n] ?? 0);
  return 0;
}
