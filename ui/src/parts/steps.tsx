// A deployment's parts: which are done, which is under way, and what it waits for.
import type { Deployment } from "../api/store.ts";
import type { Change } from "../api/types.ts";
import { sentence } from "../lib/format.ts";
import { appHref } from "../shell/router.ts";
import type { Tone } from "../status.ts";
import { Icon } from "./parts.tsx";

/** How deployments end, in words. */
export const RESULTS: Record<string, { tone: Tone; word: string }> = {
  running: { tone: "info", word: "under way" },
  succeeded: { tone: "ok", word: "succeeded" },
  failed: { tone: "bad", word: "failed" },
  rolledBack: { tone: "warn", word: "rolled back" },
  superseded: { tone: "mute", word: "superseded" },
  cancelled: { tone: "mute", word: "cancelled" },
};

const ACTIONS: Record<string, string> = { create: "Create", remove: "Delete", replace: "Replace", scale: "Scale" };

/** What a deployment waits for; where it changes one app, without naming it again. */
export const waits = (of: Deployment, text: string): string => (of.changes.length === 1 ? sentence(text, of.changes[0]!.app) : text);

export function Steps({ of }: { of: Deployment }) {
  return (
    <>
      <ol class="steps">
        {of.changes.map((it) => <Step key={it.app} of={it} isActive={of.status === "running"} />)}
      </ol>
      {of.waiting.length > 0 && (
        <>
          <h3>{of.status === "running" ? "It waits for" : "Why"}</h3>
          <ul class="plain">{of.waiting.map((it) => <li key={it}>{waits(of, it)}</li>)}</ul>
        </>
      )}
    </>
  );
}

function Step({ of, isActive }: { of: Change; isActive: boolean }) {
  const kind = of.settled ? "ok" : isActive ? "info" : "mute";
  const counts = of.instances;
  return (
    <li>
      <span class={kind}><Icon name={kind} /></span>
      <span>
        <span class="vh">{of.settled ? "done: " : isActive ? "not done yet: " : ""}</span>
        {ACTIONS[of.action] ?? of.action} <a href={appHref(of.app)}>{of.app}</a>
        {counts && !of.settled && (
          <span class="muted">
            {" "}{counts.newServing} of {counts.wanted} new serve{counts.newStaged > 0 ? `, ${counts.newStaged} starting` : ""}{counts.old > 0 ? `, ${counts.old} old left` : ""}
          </span>
        )}
      </span>
      {counts && !of.settled && counts.wanted > 0 ? <progress aria-label={`${of.app}: new instances that serve`} value={counts.newServing} max={counts.wanted} /> : null}
    </li>
  );
}
