/** What is mutated, room by room, and the tests that are asked about it: all of them would take days. */

export interface Room {
  readonly files: string;
  readonly tests: readonly string[];
  /** Its tests share files that the first of them takes away: each needs a process of its own. */
  readonly isolate: boolean;
}

/**
 * Whatever the room: what clients see of all of it. Suites that start processes, or compare shares of time, stand in no list: on a busy
 * machine they fail now and then, and a test that fails by itself kills whatever is asked.
 */
const CLIENTS = ["stream-shapes", "retries", "whole-answers", "joined-answers"];

const room = (name: string, tests: readonly string[], isolate = false): [string, Room] => [
  name,
  { files: `src/${name}/**/*.ts`, tests: [`src/${name}/**/*.test.ts`, ...tests.map((test) => `test/${test}.test.ts`)], isolate },
];

/** Those that the project promises a score of (docs/testing.md), the cheapest first; then two that may be asked for. */
export const ROOMS: ReadonlyMap<string, Room> = new Map([
  room("sse", ["event-names", "lost-pieces", "wire", "limit-edges", "dialect-sequences"]),
  room("config", ["upstream-settings", "reload", "runtime", "two-sources", "spelled-addresses", "tls"], true),
  room("dialect", [
    "dialects",
    "cases",
    "odd-answers",
    "asked-otherwise",
    "second-time",
    "dialect-sequences",
    "event-names",
    "lost-pieces",
    "messages-verdicts",
    "responses-verdicts",
    "responses-error-event",
    "in-stream-errors",
    "interleaved-answers",
    "finish-done",
    "raw-answer",
    "chatchat",
    "messages",
    "responses",
    "joined-answers",
    "tool-calls",
    "json-routes",
    "resume",
  ]),
  room("attempt", [
    "second-time",
    "timers",
    "resume-reasoning",
    "tool-calls",
    "outages",
    "asked-otherwise",
    "connection-queue",
    "final",
    "hedging",
    "requests-upstream",
    "should-retry",
    "two-causes",
    "resume",
    "resume-elsewhere",
    "native-resume",
    "background-responses",
    "passthrough",
    "gate-whole",
    "recovery-error",
    "finish-done",
    "interleaved-answers",
    ...CLIENTS,
  ]),
  room("downstream", [
    "heartbeats",
    "heartbeats-by-client",
    "interrupt-end",
    "piped-streams",
    "passthrough",
    "slow-clients",
    "limit-edges",
    "shutdown",
    ...CLIENTS,
  ]),
  room("relay", [
    "failure-messages",
    "advice",
    "interrupt-end",
    "json-routes",
    "shutdown",
    "replay",
    "rates",
    "background-responses",
    "native-resume",
    "chatchat",
    "two-causes",
    ...CLIENTS,
  ]),
  room("server", [
    "front-doors",
    "edge",
    "browsers",
    "request-bodies",
    "request-paths",
    "spelled-requests",
    "spelled-addresses",
    "limit-edges",
    "security",
    "connections",
    "shutdown",
    "metrics",
    "dashboard",
    "observers",
    "replay",
    "background-responses",
  ]),
]);

export const MORE_ROOMS: ReadonlyMap<string, Room> = new Map([
  room("run", ["run-states", "gate", "gate-whole", "timers", "slow-clients", "observers", ...CLIENTS]),
  room("call", ["timers", "patience", "labels", "content-types", "odd-answers", "passthrough", ...CLIENTS]),
]);
