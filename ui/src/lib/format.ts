// Numbers, times and ids as people read them.
import { signal } from "@preact/signals";

/** The time, in milliseconds. */
export const now = signal(Date.now());

/** Has the time go on, once a second while somebody looks. */
export function tick(): void {
  setInterval(() => {
    if (!document.hidden) now.value = Date.now();
  }, 1000);
}

/** `4 s`, `6 min`, `3 h 12 min`, `2 d 4 h`. */
export function span(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 90) return `${s} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return `${min} min`;
  const h = Math.floor(min / 60);
  if (h < 24) return min % 60 && h < 6 ? `${h} h ${min % 60} min` : `${h} h`;
  const d = Math.floor(h / 24);
  return h % 24 && d < 4 ? `${d} d ${h % 24} h` : `${d} d`;
}

/** How long ago, by a time of the API. */
export const ago = (time: string): string => `${span(now.value - Date.parse(time))} ago`;

const clockForm = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayForm = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** `12:04:31`, with the day where that is another one than today. */
export function clock(time: string | number): string {
  const date = new Date(time);
  return date.toDateString() === new Date(now.peek()).toDateString() ? clockForm.format(date) : dayForm.format(date);
}

/** MiB in a unit that suits. */
export function mib(amount: number): string {
  if (amount >= 1024 * 1024) return `${figure(amount / 1024 / 1024)} TiB`;
  return amount >= 1024 ? `${figure(amount / 1024)} GiB` : `${figure(amount)} MiB`;
}

/** At most two digits behind the point, and none that say nothing. */
export const figure = (it: number): string => (it >= 100 ? Math.round(it) : Math.round(it * 100) / 100).toString();

/** `1 instance`, `2 instances`. */
export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;

/** The end of an id, by which people tell ids apart: its last block holds which entry of the log made it, and which of many. */
export const short = (id: string): string => `…${id.slice(-12).replace(/^0+/, "")}`;

/** What the server says of an app, as a sentence where that app is named already. */
export const sentence = (text: string, id: string): string => {
  const bare = text.startsWith(`${id}: `) ? text.slice(id.length + 2) : text;
  return `${bare[0]?.toUpperCase() ?? ""}${bare.slice(1)}.`;
};
