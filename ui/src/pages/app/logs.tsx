// What an app's containers wrote, also those that are gone, and what they write.
import { useEffect, useRef, useState } from "preact/hooks";
import type { App } from "../../api/store.ts";
import { stream } from "../../api/sse.ts";
import type { LogLines, LoggedLine } from "../../api/types.ts";
import { cli } from "../../lib/cli.ts";
import { clock, short } from "../../lib/format.ts";
import { type Piece, marked, plain } from "../../lib/lines.ts";
import { Card, Cli } from "../../parts/parts.tsx";
import { parameter, setParameters } from "../../shell/router.ts";
import type { Part } from "./app.tsx";

/** So many lines stay on the page: the newest. */
const KEPT = 2000;
/** So many from before are shown at first. */
const BEFORE = "500";
/** Drawn anew so often, milliseconds. */
const PACE = 250;
/** After a stream broke it is opened again, milliseconds. */
const AGAIN = 1000;
/** While somebody types, milliseconds. */
const TYPING = 400;

/** What is asked for, by the page's address. */
export function question(app: App): Record<string, string> {
  const asked: Record<string, string> = { app: app.id };
  for (const name of ["grep", "stream", "instance", "since"]) if (parameter(name)) asked[name] = parameter(name);
  if (parameter("invert") && asked.grep) asked.invert = "true";
  return asked;
}

export function Logs({ app }: Part) {
  const asked = question(app);
  const key = new URLSearchParams(asked).toString();
  const list = useRef<HTMLDivElement>(null);
  const [state, say] = useState("Reading…");
  const [refusal, refuse] = useState("");
  const [held, setHeld] = useState(0);
  const isHeld = parameter("follow") === "off";
  const holding = useRef(isHeld);
  holding.current = isHeld;
  const release = useRef(() => {});
  useEffect(() => {
    if (!isHeld) release.current();
  }, [isHeld]);

  useEffect(() => {
    const box = list.current!;
    box.replaceChildren();
    refuse("");
    say("Reading…");
    const search = expression(asked.grep, asked.invert === "true");
    const stop = new AbortController();
    let waiting: HTMLElement[] = [];
    let timer: number | undefined;
    let last: string | undefined;
    let n = 0;
    const draw = (): void => {
      timer = undefined;
      if (holding.current) return setHeld(waiting.length);
      const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
      const news = waiting.slice(-KEPT);
      waiting = [];
      setHeld(0);
      for (let over = box.childElementCount + news.length - KEPT; over > 0; over--) box.firstElementChild?.remove();
      box.append(...news);
      if (isAtEnd) box.scrollTop = box.scrollHeight;
      say(n === 0 ? "Nothing was written, or nothing passes." : "");
    };
    release.current = draw;
    const take = (data: string): void => {
      const told = JSON.parse(data) as LogLines;
      n += told.lines.length;
      // What would be gone before it is seen is not made.
      for (const it of told.lines.slice(-KEPT)) waiting.push(row(it, search));
      for (const it of told.notices ?? []) waiting.push(notice(it.message));
      if (waiting.length > KEPT) waiting.splice(0, waiting.length - KEPT);
      timer ??= setTimeout(draw, PACE);
    };
    const run = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        try {
          const path = `/v3/logs?${key}&follow=true&tail=${BEFORE}`;
          await stream(path, last, stop.signal, () => (timer ??= setTimeout(draw, PACE)), (told) => {
            last = told.id || last;
            take(told.data);
          });
        } catch (error) {
          if (stop.signal.aborted) return;
          if (error instanceof Error && error.name === "Refused") return refuse(error.message);
          say("The stream broke; it is opened again.");
        }
        await new Promise((done) => setTimeout(done, AGAIN));
      }
    };
    void run();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [key]);

  const instances = [...new Set([...(app.tasks ?? []).map((it) => it.id), ...(asked.instance ? [asked.instance] : [])])];
  const file = (kind: string): string => `/v3/logs?${key}&download=${kind}`;
  return (
    <Card title="Log" aside="of all instances, also those that are gone, in the order of time" actions={
      <button type="button" aria-pressed={!isHeld} onClick={() => setParameters({ follow: isHeld ? "" : "off" })}>Follow</button>
    }>
      <div class="row fields">
        <Search />
        <label><input type="checkbox" checked={parameter("invert") !== ""} disabled={!parameter("grep")} onChange={(event) => setParameters({ invert: event.currentTarget.checked ? "yes" : "" })} /> all others</label>
        <label>Stream <select value={parameter("stream")} onChange={(event) => setParameters({ stream: event.currentTarget.value })}>
          <option value="">both</option><option value="stdout">stdout</option><option value="stderr">stderr</option>
        </select></label>
        <label>Instance <select value={parameter("instance")} onChange={(event) => setParameters({ instance: event.currentTarget.value })}>
          <option value="">all</option>{instances.map((it) => <option key={it} value={it}>{short(it)}</option>)}
        </select></label>
        <label>Since <select value={parameter("since")} onChange={(event) => setParameters({ since: event.currentTarget.value })}>
          <option value="">any time</option>{["5m", "1h", "6h", "1d"].map((it) => <option key={it} value={it}>{it}</option>)}
        </select></label>
      </div>
      {refusal && <p key="refusal" class="bad" role="alert">{refusal}</p>}
      {state && !refusal && <p key="state" class="muted" role="status">{state}</p>}
      {isHeld && held > 0 && <p key="held" class="muted" role="status">{held === KEPT ? `${held} or more` : held} lines since it was held.</p>}
      <div key="lines" class="log lines" ref={list} tabIndex={0} role="log" aria-live="off" aria-label={`What ${app.id} wrote`} />
      <p class="row"><a href={file("plain")} download>Download</a> <a href={file("gz")} download>Download, packed</a> <span class="muted">all that passes, not only what is shown</span></p>
      <Cli line={cli.logs(app.id, asked)} />
    </Card>
  );
}

/** Asked for when the typing pauses. */
function Search() {
  const timer = useRef<number>(undefined);
  return (
    <label>Find <input type="search" data-filter size={18} defaultValue={parameter("grep")} placeholder="error|warn" spellcheck={false} onInput={(event) => {
      const { value } = event.currentTarget;
      clearTimeout(timer.current);
      timer.current = setTimeout(() => setParameters({ grep: value }), TYPING);
    }} /></label>
  );
}

/** What is looked for, to show where it stands; the server's expressions are nearly the browser's. */
function expression(text: string | undefined, isInverted: boolean): RegExp | undefined {
  if (!text || isInverted) return undefined;
  try {
    return new RegExp(text, "g");
  } catch {
    return undefined;
  }
}

function row(it: LoggedLine, search: RegExp | undefined): HTMLElement {
  const line = document.createElement("div");
  if (it.stream === "stderr") line.className = "err";
  const time = document.createElement("time");
  time.dateTime = it.time;
  time.textContent = clock(it.time);
  const name = document.createElement("span");
  name.className = "kind";
  name.textContent = short(it.instance) + (it.container ? `/${it.container}` : "");
  name.title = `${it.instance} on ${it.node}`;
  const said = document.createElement("span");
  said.className = "said";
  said.append(...marked(plain(it.text), search).map(piece));
  line.append(time, " ", name, " ", said);
  return line;
}

function piece({ text, isFound }: Piece): Node {
  if (!isFound) return document.createTextNode(text);
  const mark = document.createElement("mark");
  mark.textContent = text;
  return mark;
}

function notice(text: string): HTMLElement {
  const line = document.createElement("div");
  line.className = "notice";
  line.textContent = text;
  return line;
}
