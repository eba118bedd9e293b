// What happens, as it happens: one stream for all tabs of this browser.
//
// Over HTTP/1.1 a browser opens six connections to a server, so a stream per tab would stop the seventh tab. One tab
// reads (`lock.ts`), and tells the others over a BroadcastChannel; when it closes the next one goes on behind the last
// event that all have heard of.
import { signal } from "@preact/signals";
import { heardAt } from "./client.ts";
import { takeTurn } from "./lock.ts";
import { type Told, read } from "./sse.ts";

/** How the stream is. */
export type Link = "connecting" | "live" | "lost";

/** How it is, and since when. */
export const link = signal<{ how: Link; since: number }>({ how: "connecting", since: Date.now() });

/** The server sends a sign of life each 10 s; after so long it is taken for gone, milliseconds. */
const SILENCE = 25_000;
/** The tab that reads is asked how it is after so long. */
const LOOK = 2000;
/** From one try to the next, milliseconds: soon at first, and never so seldom that a healed server waits for us. */
const RETRY = [500, 1000, 2000, 4000];

type Message = { kind: "told"; told: Told } | { kind: "link"; how: Link; since: number; heard: number } | { kind: "ask" };

const channel = new BroadcastChannel("ekiden");
const readers = new Set<(told: Told) => void>();
let lastId = "";
let leads = false;
let connection: AbortController | undefined;

/** Has `reader` told of every event, and of `reset` where some may be missing; returns how that ends. */
export function onEvent(reader: (told: Told) => void): () => void {
  readers.add(reader);
  return () => readers.delete(reader);
}

function tell(told: Told): void {
  if (told.id) lastId = told.id;
  for (const reader of readers) reader(told);
}

function become(how: Link): void {
  if (link.peek().how !== how) link.value = { how, since: Date.now() };
  announce();
}

function announce(): void {
  if (leads) channel.postMessage({ kind: "link", ...link.peek(), heard: heardAt.peek() } satisfies Message);
}

function heard(): void {
  const now = Date.now();
  // Often enough for an age in seconds.
  if (now - heardAt.peek() < 500 && link.peek().how === "live") return;
  heardAt.value = now;
  become("live");
}

/** Tries at once. */
export function tryNow(): void {
  connection?.abort();
  channel.postMessage({ kind: "ask" } satisfies Message);
}

/** Follows the stream from now on. */
export function follow(): void {
  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    if (data.kind === "told") return tell(data.told);
    if (data.kind === "ask") return link.peek().how === "lost" ? connection?.abort() : announce();
    heardAt.value = Math.max(heardAt.peek(), data.heard);
    if (link.peek().how !== data.how) link.value = { how: data.how, since: data.since };
  };
  channel.postMessage({ kind: "ask" } satisfies Message);
  setInterval(() => {
    if (Date.now() - heardAt.peek() < SILENCE) return;
    if (leads) connection?.abort();
    else if (link.peek().how === "live") become("lost");
  }, LOOK);
  takeTurn(() => {
    leads = true;
    void lead();
  });
}

async function lead(): Promise<never> {
  for (let failures = 0; ; ) {
    connection = new AbortController();
    const opened = Date.now();
    try {
      await read(lastId || undefined, connection.signal, heard, (told) => {
        channel.postMessage({ kind: "told", told } satisfies Message);
        tell(told);
      });
    } catch {
      // Said by the state of the link.
    }
    // One that held for a while was a good one.
    failures = Date.now() - opened > SILENCE ? 0 : failures + 1;
    become("lost");
    connection = new AbortController();
    await pause(RETRY[Math.min(failures, RETRY.length) - 1] ?? 500, connection.signal);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), done()));
  });
}
