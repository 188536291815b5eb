/** Imports run downhill only, and each library stays in its room (docs/architecture.md). */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";

const SRC = new URL("../src/", import.meta.url).pathname;

/** Top floor first. A file may import from its own room and from any floor below it. */
const FLOORS = [
  ["chaos-main.ts"],
  // The page runs in a browser: it may look down at types and words, and nothing that serves requests may import it.
  ["dashboard"],
  ["main.ts"],
  ["start.ts"],
  ["workers"],
  ["app.ts", "cli", "embed"],
  ["doctor"],
  ["runtime"],
  ["server", "telemetry", "config", "chaos", "capture"],
  ["relay"],
  ["store"],
  ["run"],
  ["attempt"],
  ["balance"],
  ["call"],
  ["upstream", "downstream"],
  ["dialect", "sse"],
  ["core"],
];

/** Where a library may be imported. */
const LIBRARY_ROOMS: Record<string, string[]> = {
  undici: ["upstream"],
  fastify: ["server"],
  pino: ["telemetry", "runtime", "app.ts", "workers", "embed", "start.ts"],
  "pino-pretty": ["telemetry"],
  "eventsource-parser": ["sse"],
  "p-retry": ["attempt"],
  cockatiel: ["balance"],
  ioredis: ["store"],
  yaml: ["config"],
  zod: ["config"],
  commander: ["cli"],
  "close-with-grace": ["start.ts"],
  "prom-client": ["telemetry"],
  preact: ["dashboard"],
  "preact/hooks": ["dashboard"],
  "@opentelemetry/api": ["telemetry"],
  "@opentelemetry/exporter-trace-otlp-http": ["telemetry"],
  "@opentelemetry/resources": ["telemetry"],
  "@opentelemetry/sdk-trace-base": ["telemetry"],
};

/** One dialect encodes its own events, so the dialects stand on sse's shoulders. */
const ALLOWED_ASIDE = new Set(["dialect>sse"]);

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter(
  (file) => /\.tsx?$/.test(file) && !file.endsWith(".test.ts"),
);
const roomOf = (file: string): string => file.split("/", 1)[0] ?? "";
const floorOf = (room: string): number => FLOORS.findIndex((rooms) => rooms.includes(room));

function importsOf(file: string): string[] {
  const source = readFileSync(join(SRC, file), "utf8");
  return [...source.matchAll(/^\s*(?:import|export)\b[^;]*?\bfrom\s+"([^"]+)"|\bimport\("([^"]+)"\)|^import "([^"]+)"/gm)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? "",
  );
}

function violationsOf(file: string, imported: string): string[] {
  const room = roomOf(file);
  if (imported.startsWith("node:")) return [];
  if (!imported.startsWith(".")) {
    const rooms = LIBRARY_ROOMS[imported];
    return rooms !== undefined && !rooms.includes(room)
      ? [`${file} imports ${imported}, which belongs in ${rooms.join(", ")}`]
      : [];
  }
  const target = roomOf(normalize(join(dirname(file), imported)));
  if (target === room || floorOf(target) > floorOf(room) || ALLOWED_ASIDE.has(`${room}>${target}`)) return [];
  return [`${file} (${room}) imports ${imported} (${target}), which is not below it`];
}

test("every room has a floor", () => {
  expect([...new Set(files.map(roomOf))].filter((room) => floorOf(room) === -1)).toEqual([]);
});

test("imports run downhill, and libraries stay in their rooms", () => {
  const seen = files.flatMap((file) => importsOf(file).map((imported) => [file, imported] as const));
  expect(seen.length, "imports found").toBeGreaterThan(50);
  expect(seen.flatMap(([file, imported]) => violationsOf(file, imported))).toEqual([]);
});

test("the floors can be violated", () => {
  expect(violationsOf("core/failure.ts", "../relay/relay.ts")).toHaveLength(1);
  expect(violationsOf("upstream/upstream.ts", "../downstream/client-stream.ts")).toHaveLength(1);
  expect(violationsOf("relay/relay.ts", "undici")).toHaveLength(1);
  expect(violationsOf("server/create-server.ts", "../runtime/runtime.ts")).toHaveLength(1);
  expect(violationsOf("server/dashboard/feed.ts", "../../dashboard/feed.ts")).toHaveLength(1);
  expect(violationsOf("balance/candidate.ts", "../config/schema.ts")).toHaveLength(1);
});
