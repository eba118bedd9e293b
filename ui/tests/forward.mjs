// Inside the browser's network: hands each connection to PORT on to SOCKET.
import { connect, createServer } from "node:net";
import { pass } from "./pass.mjs";

createServer((from) => pass(from, connect(process.env.SOCKET))).listen(Number(process.env.PORT), "127.0.0.1");
