/** What is mutated, room by room, and the tests that are asked about it: all of them would take days. */

export interface Room {
  readonly files: string;
  readonly tests: readonly string[];
}

/** Whatever the room: what clients see of all of it. */
const CLIENTS = ["stream-shapes", "endings", "retries", "whole-answers", "joined-answers"];

const room = (name: string, tests: readonly string[]): [string, Room] => [
  name,
  { files: `src/${name}/**/*.ts`, tests: [`src/${name}/**/*.test.ts`, ...tests.map((test) => `test/${test}.test.ts`)] },
];

export const ROOMS: ReadonlyMap<string, Room> = new Map([
  room("run", ["run-states", "gate", "gate-whole", "timers", "slow-clients", "observers", ...CLIENTS]),
  room("attempt", ["tool-calls", "outages", "asked-otherwise", "connection-queue", "final", ...CLIENTS]),
  room("call", ["timers", "patience", "labels", "content-types", "odd-answers", "passthrough", ...CLIENTS]),
  room("downstream", ["heartbeats", "heartbeats-by-client", "interrupt-end", "piped-streams", "slow-clients", ...CLIENTS]),
  room("relay", ["failure-messages", "interrupt-end", "json-routes", "shutdown", ...CLIENTS]),
  room("dialect", [
    "dialect-sequences",
    "event-names",
    "lost-pieces",
    "messages-verdicts",
    "responses-verdicts",
    "dialect-kinds",
    "in-stream-errors",
    "chatchat",
    "messages",
    "responses",
    "joined-answers",
    "tool-calls",
  ]),
  room("sse", ["event-names", "lost-pieces"]),
  room("server", ["front-doors", "edge", "browsers", "request-bodies", "request-paths", "security", "crowds", "warm-up"]),
  room("config", ["upstream-settings", "reload", "runtime"]),
]);
