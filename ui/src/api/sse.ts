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

/** Reads events behind `after` until the stream ends or `signal` does. `heard` is told of every sign of life. */
export async function read(
  after: string | undefined,
  signal: AbortSignal,
  heard: () => void,
  take: (told: Told) => void,
): Promise<void> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (after) headers["Last-Event-ID"] = after;
  const response = await fetch("/v2/events?plan-format=light", { headers, signal, cache: "no-store" });
  if (!response.ok || !response.body) throw new Error(`the stream of events was answered with ${response.status}`);
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
