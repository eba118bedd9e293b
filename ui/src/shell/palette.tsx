// Ctrl-K: every page, app and node by its name, and every action in the CLI's words.
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { app, ids, nodes, queue } from "../api/store.ts";
import { cli } from "../lib/cli.ts";
import { resetDelay, verbs } from "../parts/actions.tsx";
import { Dialog } from "../parts/parts.tsx";
import { PLACES } from "./places.ts";
import { appHref, go, href, path } from "./router.ts";

export const isPaletteOpen = signal(false);

/** More are not shown: who types on sees others. */
const SHOWN_MAX = 12;

interface Entry {
  name: string;
  line: string;
  run: () => void;
}

function entries(): Entry[] {
  const here = path.peek();
  const current = here.startsWith("/app/") ? app(decodeURIComponent(here.slice(4)))?.peek() : undefined;
  const lines: Record<string, string> = {
    Apps: cli.apps(), Deployments: cli.deployments(), Waiting: cli.queue(), Nodes: cli.nodes(), Events: cli.events(), About: cli.version(),
  };
  const all = ids.value.flatMap((id) => app(id)?.peek() ?? []);
  const does = (it: typeof all) => it.flatMap((one) => verbs(one).map((verb) => ({ name: `${verb.name} ${one.id}`, line: verb.line, run: verb.run })));
  return [
    ...(current ? does([current]) : []),
    ...PLACES.map((it) => ({ name: it.name, line: lines[it.name] ?? "", run: () => go(href(it.page)) })),
    { name: "New app", line: cli.create(), run: () => go(href("/new")) },
    ...all.map((it) => ({ name: it.id, line: cli.app(it.id), run: () => go(appHref(it.id)) })),
    ...(nodes.value ?? []).map((it) => ({ name: `node ${it.name}`, line: cli.nodes(), run: () => go(href(`/node/${encodeURIComponent(it.name)}`)) })),
    ...does(all.filter((it) => it !== current)),
    ...[...queue.value.entries()].filter(([, it]) => !it.delay.overdue).map(([id]) => ({ name: `Try ${id} again now`, line: cli.reset(id), run: () => void resetDelay(id) })),
  ];
}

/** How well a name fits what was typed: less is better; nothing if it does not. */
export function fits(name: string, typed: string): number | undefined {
  const [text, wanted] = [name.toLowerCase(), typed.toLowerCase().split(/\s+/).filter(Boolean)];
  let rank = text.length / 1000;
  for (const it of wanted) {
    const at = text.indexOf(it);
    if (at < 0) return undefined;
    rank += at === 0 || /[\s/-]/.test(text[at - 1] ?? "") ? 0 : 1;
  }
  return rank;
}

export function Palette() {
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const ranked = entries().flatMap((it, n) => {
    const rank = fits(`${it.name} ${it.line.replace(/^ekiden /, "")}`, typed);
    const own = fits(it.name, typed);
    return rank === undefined ? [] : [{ it, rank: typed ? (own ?? rank + 2) : n / 1000 }];
  });
  const found = ranked.sort((a, b) => a.rank - b.rank).slice(0, SHOWN_MAX).map((it) => it.it);
  const chosen = Math.min(at, found.length - 1);
  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  const close = (): void => {
    isPaletteOpen.value = false;
  };
  const run = (it: Entry | undefined): void => {
    if (!it) return;
    close();
    // The dialog gives the keyboard back first.
    setTimeout(it.run, 0);
  };
  const press = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length > 0) setAt((chosen + step + found.length) % found.length);
    else if (event.key === "Enter") run(found[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Search or run" onClose={close} wide>
      <input
        class="full"
        role="combobox"
        aria-label="Name of a page, app, node or action"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found.length > 0 ? `palette-${chosen}` : undefined}
        autocomplete="off"
        spellcheck={false}
        autofocus
        placeholder="/pay/api, scale, nodes…"
        value={typed}
        onInput={(event) => (setTyped(event.currentTarget.value), setAt(0))}
        onKeyDown={press}
      />
      <ul class="palette" role="listbox" id="palette-list" aria-label="Found" ref={list}>
        {found.map((it, n) => (
          <li key={it.name} id={`palette-${n}`} role="option" aria-selected={n === chosen} onClick={() => run(it)} onMouseMove={() => n !== chosen && setAt(n)}>
            <span>{it.name}</span>
            <code class="muted">{it.line}</code>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p class="muted" role="status">Nothing has that name.</p>}
    </Dialog>
  );
}
