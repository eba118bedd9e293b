// One of all tabs of this browser: the one that reads the stream of events for the others.
//
// Web Locks tell which, where the page came over HTTPS or from this machine. Elsewhere browsers do not have them, and
// the tabs agree by a lease in the local storage; should two take it for a moment, both read, and nothing is lost.

const NAME = "ekiden-stream";
/** A tab that did not renew its lease for so long is gone, milliseconds. */
const LEASE = 5000;
const RENEW = 1500;

/** Calls `lead` when this tab's turn comes; it keeps its turn as long as it is open. */
export function takeTurn(lead: () => void): void {
  if (navigator.locks) {
    void navigator.locks.request(NAME, () => {
      lead();
      // Held until the tab closes.
      return new Promise<never>(() => {});
    });
    return;
  }
  const self = crypto.getRandomValues(new Uint32Array(2)).join("-");
  let leads = false;
  const look = (): void => {
    const [holder, until] = (localStorage.getItem(NAME) ?? "").split(" ");
    const isFree = !holder || Number(until) < Date.now();
    if (leads || holder === self || isFree) {
      localStorage.setItem(NAME, `${self} ${Date.now() + LEASE}`);
      // Whoever wrote last has it: who still finds itself there a moment later leads.
      if (!leads && holder === self) {
        leads = true;
        lead();
      }
    }
  };
  addEventListener("pagehide", () => {
    if (leads) localStorage.removeItem(NAME);
  });
  look();
  setTimeout(look, 100);
  setInterval(look, RENEW);
}
