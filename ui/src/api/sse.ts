// Server-sent events, read with `fetch`: it can say where to go on, and tells a refusal from a broken connection.

/** One event. */
export interface Told {
  id: string;
  name: string;
  data: string;
}

/** Takes a stream apart, however it is cut. */
export class Parser {
  #rest = "";

  /** The events that this text completes. */
  take(text: string): Told[] {
    this.#rest += text;
    const told: Told[] = [];
    for (;;) {
      const end = /\r\n\r\n|\n\n/.exec(this.#rest);
      if (!end) return told;
      const block = this.#rest.slice(0, end.index);
      this.#rest = this.#rest.slice(end.index + end[0].length);
      const event: Told = { id: "", name: "message", data: "" };
      const data: string[] = [];
      for (const line of block.split(/\r?\n/)) {
        const at = line.indexOf(":");
        if (at < 1) continue;
        const value = line.slice(at + 1).replace(/^ /, "");
        if (line.startsWith("id:")) event.id = value;
        else if (line.startsWith("event:")) event.name = value;
        else if (line.startsWith("data:")) data.push(value);
      }
      if (data.length > 0) told.push({ ...event, data: data.join("\n") });
    }
  }
}

/** Reads the cluster's events. */
export const read = (after: string | undefined, signal: AbortSignal, heard: () => void, take: (told: Told) => void): Promise<void> =>
  stream("/v2/events?plan-format=light", after, signal, heard, take);

/** Reads events behind `after` until the stream ends or `signal` does. `heard` is told of every sign of life. */
export async function stream(
  path: string,
  after: string | undefined,
  signal: AbortSignal,
  heard: () => void,
  take: (told: Told) => void,
): Promise<void> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (after) headers["Last-Event-ID"] = after;
  const response = await fetch(path, { headers, signal, cache: "no-store" });
  if (!response.ok || !response.body) {
    const said = (await response.json().catch(() => ({}))) as { message?: string };
    const error = new Error(said.message ?? `the stream was answered with ${response.status}`);
    // To ask the same again would be answered the same.
    if (response.status >= 400 && response.status < 500) error.name = "Refused";
    throw error;
  }
  heard();
  const parser = new Parser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    for (const it of parser.take(value)) take(it);
  }
}
