// What all pages are made of.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { App } from "../api/store.ts";
import { type Status, type Tone, TONES, serving } from "../status.ts";
import { brief, type Difference } from "../lib/diff.ts";
import { ago } from "../lib/format.ts";

const PATHS: Record<string, string> = {
  ok: "M3 8.500 6.500 12 13 4.500",
  bad: "M4 4l8 8M12 4l-8 8",
  warn: "M8 3v6M8 12v.5",
  info: "M13 8a5 5 0 1 1-1.500-3.500M13 2v3h-3",
  wait: "M8 4v4l2.500 2M8 1.500a6.500 6.500 0 1 1 0 13 6.500 6.500 0 0 1 0-13",
  mute: "M5.500 3v10M10.500 3v10",
  down: "M8 2v9M4 8l4 4 4-4",
  search: "M7 2.500a4.500 4.500 0 1 1 0 9 4.500 4.500 0 0 1 0-9M10.500 10.500 14 14",
  right: "M6 3l5 5-5 5",
};

/** A sign; the word beside it says the same. */
export const Icon = ({ name }: { name: string }) => (
  <svg class="icon" width="14" height="14" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
    <path d={PATHS[name] ?? ""} fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" />
  </svg>
);

/** A state: colour, sign and word. */
export const Chip = ({ tone, icon, children }: { tone: Tone; icon?: string; children: ComponentChildren }) => (
  <span class={`chip ${tone}`}>
    <Icon name={icon ?? tone} />
    {children}
  </span>
);

export const StatusChip = ({ of: { word, why } }: { of: Status }) => (
  <Chip tone={TONES[word]}>{why === "" ? word : word === "Waiting" ? `${word}: ${why}` : `${word} ${why}`}</Chip>
);

/** How long ago something was. It goes on by itself: what stands around it is not drawn anew each second. */
export const Ago = ({ time }: { time: string }) => <>{ago(time)}</>;

/** One segment for each instance up to here; more are drawn in proportion. */
const SEGMENTS_MAX = 12;

/** How an app's instances are, as a bar of segments. */
export function HealthBar({ app }: { app: App }) {
  const bad = app.tasksUnhealthy;
  const good = Math.max(0, serving(app) - ((app.healthChecks ?? []).length > 0 ? 0 : bad));
  const coming = Math.max(0, app.tasksRunning - good - bad) + app.tasksStaged;
  const missing = Math.max(0, app.instances - good - bad - coming);
  const parts: [string, number, string][] = [
    ["ok", good, (app.healthChecks ?? []).length > 0 ? "healthy" : "running"],
    ["info", coming, "starting"],
    ["bad", bad, "unhealthy"],
    ["wait", missing, "missing"],
  ];
  const there = parts.filter(([, n]) => n > 0);
  const label = there.length === 0 ? "no instances" : there.map(([, n, what]) => `${n} ${what}`).join(", ");
  const sum = good + bad + coming + missing;
  return (
    <span class="hb" role="img" aria-label={label} title={label}>
      {there.flatMap(([kind, n]) =>
        sum <= SEGMENTS_MAX
          ? Array.from({ length: n }, (_, at) => <i key={kind + at} class={kind} />)
          : [<i key={kind} class={kind} style={{ flexGrow: n }} />],
      )}
    </span>
  );
}

/** How much of something is taken. */
export function Bar({ used, of, label, tone = "" }: { used: number; of: number; label: string; tone?: string }) {
  const part = of > 0 ? Math.min(100, (used / of) * 100) : 0;
  return (
    <span class={`bar ${tone}`} role="img" aria-label={label} title={label}>
      <b style={{ width: `${part}%` }} />
    </span>
  );
}

/** Copies a text, and says that it did. */
export function Copy({ text, what }: { text: string; what: string }) {
  const [said, say] = useState("Copy");
  useEffect(() => {
    if (said === "Copy") return;
    const timer = setTimeout(() => say("Copy"), 2000);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async (): Promise<void> => say((await toClipboard(text)) ? "Copied" : "Select and copy");
  return (
    <button type="button" class="small" aria-label={said === "Copy" ? `Copy ${what}` : said} onClick={() => void copy()}>
      {said}
    </button>
  );
}

/** Browsers keep the clipboard from pages that did not come over HTTPS; the old way works there. */
async function toClipboard(text: string): Promise<boolean> {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(() => true, () => false);
  }
  const area = document.createElement("textarea");
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

/** The same on the command line. */
export const Cli = ({ line }: { line: string }) => (
  <p class="cli">
    <code>{line}</code>
    <Copy text={line} what="the command" />
  </p>
);

/** A part of a page with its heading. */
export function Card({ title, aside, actions, tone, children }: {
  title: ComponentChildren; aside?: ComponentChildren; actions?: ComponentChildren; tone?: string; children: ComponentChildren;
}) {
  const id = useId();
  return (
    <section class={`card ${tone ?? ""}`} aria-labelledby={id}>
      <div class="row">
        <h2 id={id}>{title}</h2>
        {aside && <span class="muted">{aside}</span>}
        {actions && <span class="row end">{actions}</span>}
      </div>
      {children}
    </section>
  );
}

/** Scrolls a row of links sideways until the one to where the reader is can be seen: in narrow windows it may be cut off. */
export function showCurrent(strip: HTMLElement | null): void {
  const current = strip?.querySelector("[aria-current=page]")?.getBoundingClientRect();
  const seen = strip?.getBoundingClientRect();
  if (!strip || !current || !seen) return;
  if (current.right > seen.right) strip.scrollLeft += Math.ceil(current.right - seen.right);
  else if (current.left < seen.left) strip.scrollLeft -= Math.ceil(seen.left - current.left);
}

/** Nothing to show, and what to do about it. */
export const Empty = ({ children }: { children: ComponentChildren }) => <div class="empty">{children}</div>;

/** A page's heading. The keyboard arrives at it. */
export function Heading({ title, aside, children }: { title: string; aside?: ComponentChildren; children?: ComponentChildren }) {
  useEffect(() => {
    document.title = `${title} – Ekiden`;
  }, [title]);
  return (
    <div class="row head-row">
      <h1 tabIndex={-1}>{title}</h1>
      {aside && <span class="muted">{aside}</span>}
      <span class="row end">{children}</span>
    </div>
  );
}

/** Fields that differ. */
export const Differences = ({ of }: { of: Difference[] }) =>
  of.length === 0 ? (
    <p class="muted">Nothing differs.</p>
  ) : (
    <ul class="diff" aria-label="Fields that differ">
      {of.map((it) => (
        <li key={it.path}>
          <span class="field">{it.path}</span>{" "}
          {it.before !== undefined && <del><span class="vh">was </span>{brief(it.before)}</del>}{" "}
          {it.after !== undefined && <ins><span class="vh">becomes </span>{brief(it.after)}</ins>}
          {it.after === undefined && <span class="muted"> taken out</span>}
          {it.before === undefined && <span class="muted"> new</span>}
        </li>
      ))}
    </ul>
  );

/** A dialog of the browser's own: it keeps the keyboard inside, and gives it back. */
export function Dialog({ title, onClose, wide, children }: {
  title: string; onClose: () => void; wide?: boolean; children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    return () => before?.focus?.();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={wide ? "wide" : ""}
      aria-labelledby={id}
      onCancel={(event) => (event.preventDefault(), onClose())}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <div class="dialog">
        <div class="row">
          <h2 id={id}>{title}</h2>
          <button type="button" class="small end" onClick={onClose}>Close</button>
        </div>
        {children}
      </div>
    </dialog>
  );
}

/** A table that scrolls by itself where it is too wide; then the keyboard can scroll it too. */
export function Scroll({ label, children }: { label: string; children: ComponentChildren }) {
  return <div class="scroll" tabIndex={0} role="group" aria-label={label}>{children}</div>;
}
