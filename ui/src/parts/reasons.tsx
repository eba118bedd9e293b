// Why no node takes an instance: at which hurdle nodes fail, and what the nearest ones lack.
import type { Explanation } from "../api/types.ts";
import { count, figure, mib, now, span } from "../lib/format.ts";
import { href } from "../shell/router.ts";
import { REASONS } from "../status.ts";
import { Bar } from "./parts.tsx";

/** More nodes are counted, not listed. */
const NODES_MAX = 10;

export function Reasons({ of, needs }: { of: Explanation; needs: { cpus: number; mem: number; disk: number; constraints?: string[][] | undefined } }) {
  const failing = of.reasons.filter((it) => it.declined > 0);
  const n = of.reasons[0]?.processed ?? 0;
  // Who came furthest is nearest.
  const order = of.reasons.map((it) => it.reason);
  const nearest = [...of.nodes].sort((a, b) => order.indexOf(b.reason) - order.indexOf(a.reason));
  return (
    <>
      <p>
        Each needs {figure(needs.cpus)} CPU, {mib(needs.mem)} of memory{needs.disk > 0 ? `, ${mib(needs.disk)} of disk` : ""}
        {(needs.constraints ?? []).map((it) => <>, <code>{it.join(" ")}</code></>)}.
        {of.backoffUntil && <> After failures the next launch is in <strong>{span(Date.parse(of.backoffUntil) - now.value)}</strong>.</>}
      </p>
      {failing.length > 0 && (
        <ul class="why">
          {failing.map((it) => (
            <li key={it.reason}>
              <span>{it.declined === 1 ? "A node" : "Nodes"} that {it.declined === 1 ? (REASONS[it.reason]?.long ?? it.reason) : plural(REASONS[it.reason]?.long ?? it.reason)}</span>
              <Bar used={it.declined} of={n} label={`${it.declined} of ${count(n, "node")}`} tone="wait" />
              <span class="num">{it.declined} / {n}</span>
            </li>
          ))}
        </ul>
      )}
      {nearest.length > 0 && (
        <>
          <h3>Node by node, the nearest first</h3>
          <ul class="plain">
            {nearest.slice(0, NODES_MAX).map((it) => (
              <li key={it.node}><a href={href(`/node/${encodeURIComponent(it.node)}`)}>{it.node}</a>: {it.detail}</li>
            ))}
          </ul>
          {nearest.length > NODES_MAX && <p class="muted">and {nearest.length - NODES_MAX} more.</p>}
        </>
      )}
    </>
  );
}

const plural = (it: string): string => it.replace(/^has /, "have ").replace(/^does /, "do ").replace(/^is /, "are ").replace(/^offers /, "offer ").replace(/^keeps /, "keep ");
