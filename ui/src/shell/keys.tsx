// The keys, and where they are told.
import { signal } from "@preact/signals";
import { Dialog } from "../parts/parts.tsx";

const NAME = "ekiden-keys";

/** Whether single letters do something. */
export const areKeysOn = signal(localStorage.getItem(NAME) !== "off");
areKeysOn.subscribe((on) => (on ? localStorage.removeItem(NAME) : localStorage.setItem(NAME, "off")));

export const isHelpOpen = signal(false);

const KEYS: [string, string][] = [
  ["Ctrl K", "search, go anywhere, do anything"],
  ["g a", "apps"],
  ["g d", "deployments"],
  ["g w", "what waits"],
  ["g n", "nodes"],
  ["g e", "events"],
  ["g i", "about"],
  ["c", "create an app"],
  ["/", "to the filter"],
  ["Esc", "close"],
  ["?", "this list"],
];

/** All keys. */
export const Help = () => (
  <Dialog title="Keys" onClose={() => (isHelpOpen.value = false)}>
    <dl class="kv">
      {KEYS.map(([key, what]) => [<dt key={key}><kbd>{key}</kbd></dt>, <dd key={what}>{what}</dd>])}
    </dl>
    <p><label><input type="checkbox" checked={areKeysOn.value} onChange={(event) => (areKeysOn.value = event.currentTarget.checked)} /> Single letters do this</label></p>
  </Dialog>
);
