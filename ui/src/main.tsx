// The web UI begins here.
import { render } from "preact";
import { follow } from "./api/live.ts";
import { keep } from "./api/store.ts";
import { tick } from "./lib/format.ts";
import { start } from "./shell/router.ts";
import { Shell } from "./shell/shell.tsx";
import "./tokens.css";
import "./ui.css";

start();
tick();
keep();
follow();
const root = document.getElementById("root");
if (root) render(<Shell />, root);
