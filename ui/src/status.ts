// The word for how an app is. All pages use it; no other place decides it.
//
// The first rule that holds counts:
//
// | word          | holds while                                                                                    |
// |---------------|------------------------------------------------------------------------------------------------|
// | Lost          | instances are on a node that is lost                                                           |
// | Crash-looping | its next launch is delayed after failures, and what failed last had run before it ended        |
// | Delayed       | its next launch is delayed after failures, and what failed last never ran                      |
// | Waiting       | it misses instances, and no node takes one                                                     |
// | Deploying     | a deployment changes it                                                                        |
// | Suspended     | it shall have no instances                                                                     |
// | Degraded      | fewer instances run than shall, or fewer of them are healthy where it has health checks        |
// | Running       | otherwise                                                                                      |
//
// Delayed, Waiting, Deploying, Suspended, Degraded and Running are decided as `ekiden app list` decides them.
import type { App } from "./api/store.ts";
import type { QueueItem } from "./api/types.ts";

/** How something is, in one word. */
export type Word =
  | "Running" | "Deploying" | "Waiting" | "Delayed" | "Suspended" | "Degraded" | "Crash-looping" | "Lost";

/** All words, the gravest first. */
export const WORDS: readonly Word[] = ["Lost", "Crash-looping", "Degraded", "Delayed", "Waiting", "Deploying", "Running", "Suspended"];

/** How it looks: colour, icon and pattern. */
export type Tone = "ok" | "warn" | "bad" | "info" | "wait" | "mute";

export const TONES: Record<Word, Tone> = {
  Running: "ok", Deploying: "info", Waiting: "wait", Delayed: "wait", Suspended: "mute", Degraded: "warn",
  "Crash-looping": "bad", Lost: "bad",
};

/** How an app is, and in a few words why. */
export interface Status {
  word: Word;
  /** Behind the word: `memory`, `2/3`; may be empty. */
  why: string;
}

/** An app's status. */
export function status(app: App, waits: QueueItem | undefined, isStranded: boolean): Status {
  if (isStranded) return { word: "Lost", why: "node" };
  if (waits && !waits.delay.overdue) {
    const failure = app.lastTaskFailure;
    return failure && hadRun(failure.message) ? { word: "Crash-looping", why: "" } : { word: "Delayed", why: "" };
  }
  if (waits && declinesEverywhere(waits)) return { word: "Waiting", why: reason(waits) };
  if (app.deployments.length > 0) return { word: "Deploying", why: `${serving(app)}/${app.instances}` };
  if (app.instances === 0) return { word: "Suspended", why: "" };
  if (serving(app) < app.instances) return { word: "Degraded", why: `${serving(app)}/${app.instances}` };
  return { word: "Running", why: "" };
}

/** How many instances serve, as far as is known: those that are healthy where there are checks, those that run elsewhere. */
export function serving(app: App): number {
  return (app.healthChecks ?? []).length > 0 ? Math.min(app.tasksHealthy, app.tasksRunning) : app.tasksRunning;
}

/** Whether an instance had run, by what its agent says of its end. */
export function hadRun(message: string): boolean {
  return /exited|killed|out of memory|signal|health check|is gone/i.test(message);
}

/** Whether nodes were asked, and none takes an instance. */
export function declinesEverywhere(waits: QueueItem): boolean {
  const { processedOffersCount, unusedOffersCount } = waits.processedOffersSummary;
  return unusedOffersCount >= processedOffersCount;
}

/** What most nodes lack, in one word; empty where no node was asked. */
export function reason(waits: QueueItem): string {
  const steps = waits.processedOffersSummary.rejectSummaryLastOffers ?? [];
  const most = steps.reduce((most, it) => (it.declined > most.declined ? it : most), { reason: "", declined: 0 });
  return REASONS[most.reason]?.short ?? most.reason;
}

/** Marathon's names of reasons, in our words: as one word, and as a sentence about a node. */
export const REASONS: Record<string, { short: string; long: string }> = {
  UnfulfilledRole: { short: "role", long: "offers another role" },
  UnfulfilledConstraint: { short: "constraint", long: "does not meet a constraint" },
  NoCorrespondingReservationFound: { short: "volume", long: "does not have the persistent volume" },
  AgentMaintenance: { short: "no node", long: "is lost, resting after failures, or takes nothing new" },
  InsufficientCpus: { short: "CPU", long: "has too few free CPUs" },
  InsufficientMemory: { short: "memory", long: "has too little free memory" },
  InsufficientDisk: { short: "disk", long: "has too little free disk" },
  InsufficientGpus: { short: "GPU", long: "has too few free GPUs" },
  InsufficientPorts: { short: "ports", long: "does not have the host ports free" },
  DeclinedScarceResources: { short: "scarce", long: "keeps scarce resources for others" },
};
