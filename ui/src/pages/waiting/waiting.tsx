// What waits, and why.
import { appPath, ask } from "../../api/client.ts";
import { app, stranded } from "../../api/store.ts";
import type { Explanation, QueueItem } from "../../api/types.ts";
import { cli } from "../../lib/cli.ts";
import { clock, count, now, span } from "../../lib/format.ts";
import { usePolled } from "../../lib/poll.ts";
import { resetDelay } from "../../parts/actions.tsx";
import { Card, Chip, Cli, Empty, Heading, StatusChip } from "../../parts/parts.tsx";
import { Reasons } from "../../parts/reasons.tsx";
import { waiting } from "../../shell/places.ts";
import { appHref } from "../../shell/router.ts";
import { reason, status } from "../../status.ts";

export function WaitingPage() {
  const all = waiting();
  return (
    <>
      <Heading title="Waiting" aside={all.length > 0 && `${count(all.reduce((sum, [, it]) => sum + it.count, 0), "instance")} of ${count(all.length, "app")}`} />
      {all.length === 0 && <Card title="Nothing waits"><p class="muted">All that shall run runs, or is on its way. Here stands what finds no node, or fails and is tried again, with the reason of each node.</p></Card>}
      {all.map(([id, it]) => <Waits key={id} id={id} it={it} />)}
      <Cli line={cli.queue()} />
    </>
  );
}

function Waits({ id, it }: { id: string; it: QueueItem }) {
  const isDelayed = !it.delay.overdue;
  const { value } = usePolled(id, () => ask<Explanation>("GET", `/v3${appPath(id).slice(3)}/explain`), it.app !== undefined);
  const why = reason(it);
  const known = app(id)?.value;
  const failure = known?.lastTaskFailure;
  return (
    <Card tone="held" title={it.app ? <a href={appHref(id)}>{id}</a> : id}
      aside={<>{count(it.count, "instance")} missing since {clock(it.since)} ({span(now.value - Date.parse(it.since))})</>}
      actions={<>
        {known ? <StatusChip of={status(known, it, stranded.value.has(id))} /> : <Chip tone="wait">{isDelayed ? "Delayed" : why ? `Waiting: ${why}` : "Waiting"}</Chip>}
        {isDelayed && <button type="button" aria-label={`Try now: ${id}`} onClick={() => void resetDelay(id)}>Try now</button>}
      </>}>
      {value && it.app && <Reasons of={value} needs={it.app} />}
      {isDelayed && failure && <p>Last failure, on {failure.slaveId ?? failure.host} at {clock(failure.timestamp)}: <strong>{failure.message}</strong></p>}
      {value && value.nodes.length === 0 && !isDelayed && <Empty>There is no node: an agent joins with <code>ekiden agent</code>.</Empty>}
      <Cli line={isDelayed ? cli.reset(id) : cli.queue(id)} />
    </Card>
  );
}
