// How an app is, in a sentence or two.
import type { App } from "../../api/store.ts";
import type { Explanation, QueueItem } from "../../api/types.ts";
import { count, now, sentence, span } from "../../lib/format.ts";
import { REASONS, type Status, reason, serving } from "../../status.ts";

/** The sentences over an app's page. */
export function headline(app: App, { word }: Status, waits: QueueItem | undefined, why: Explanation | undefined): string {
  const checked = (app.healthChecks ?? []).length > 0;
  const there = `${serving(app)} of ${count(app.instances, "instance")} ${checked ? "healthy" : "running"}`;
  const old = why && why.instances.oldServing > 0 ? ` ${count(why.instances.oldServing, "instance")} of the version before still ${why.instances.oldServing === 1 ? "serves" : "serve"}.` : "";
  const failure = app.lastTaskFailure;
  const next = why?.backoffUntil ? Math.max(0, Date.parse(why.backoffUntil) - now.value) : (waits?.delay.timeLeftSeconds ?? 0) * 1000;
  const since = waits ? span(now.value - Date.parse(waits.since)) : "";
  switch (word) {
    case "Lost":
      return `${there}. Instances of it are on a node that is lost; others take their places as its unreachable strategy says.`;
    case "Crash-looping":
      return `${there}. What is started ends again: ${failure?.message ?? "nobody knows why"}.${old} Next try in ${span(next)}.`;
    case "Delayed":
      return `${there}. It cannot be started: ${failure?.message ?? "nobody knows why"}.${old} Next try in ${span(next)}.`;
    case "Waiting": {
      const what = reason(waits!);
      const steps = waits!.processedOffersSummary.rejectSummaryLastOffers ?? [];
      const most = steps.reduce((most, it) => (it.declined > most.declined ? it : most), { reason: "", declined: 0 });
      const nodes = waits!.processedOffersSummary.processedOffersCount;
      const because = nodes === 0 ? "there is no node" : what === "" ? "no node takes one" : `${most.declined === nodes ? (nodes === 1 ? "the only node" : `each of ${nodes} nodes`) : `${most.declined} of ${nodes} nodes`} ${REASONS[most.reason]?.long ?? most.reason}`;
      return `${there}; ${waits!.count} ${waits!.count === 1 ? "has" : "have"} waited for ${since}: ${because}.${old}`;
    }
    case "Deploying":
      return `${there} of the new version. ${why?.waiting[0] ? sentence(why.waiting[0], app.id) : "A deployment changes it."}${old}`;
    case "Suspended":
      return "It shall have no instances. Scale it up to have it again.";
    case "Degraded":
      return `${there}.${app.tasksUnhealthy > 0 ? ` ${app.tasksUnhealthy} ${app.tasksUnhealthy === 1 ? "fails its health check" : "fail their health checks"}.` : ""}${failure ? ` Last failure: ${failure.message}.` : ""}`;
    case "Running":
      return `${there}.`;
  }
}
