// The pages that the navigation, the palette and the keys lead to.
import { queue } from "../api/store.ts";
import { declinesEverywhere } from "../status.ts";

/** By their place in the navigation: the key behind `g`, and which addresses belong to it. */
export const PLACES = [
  { name: "Apps", page: "/apps", key: "a", of: ["/", "/apps", "/app/", "/new"] },
  { name: "Deployments", page: "/deployments", key: "d", of: ["/deployments", "/deployment/"] },
  { name: "Waiting", page: "/waiting", key: "w", of: ["/waiting"] },
  { name: "Nodes", page: "/nodes", key: "n", of: ["/nodes", "/node/"] },
  { name: "Events", page: "/events", key: "e", of: ["/events"] },
  { name: "About", page: "/about", key: "i", of: ["/about"] },
];

/** What waits for a node, or for better times; what is only on its way does not count. */
export const waiting = () => [...queue.value.entries()].filter(([, it]) => !it.delay.overdue || declinesEverywhere(it));
