/** What `perennial chaos` prints. */
import { expect, it } from "vitest";
import { parseSpec } from "./fault-spec.ts";
import { describeFaults, type FaultDescription, listFaults } from "./list-faults.ts";
import { CONTINUATIONS, FAULTS as QUESTIONED } from "./registry.ts";
import { runChaos } from "./run-chaos.ts";

const FAULTS = [...QUESTIONED, ...CONTINUATIONS.faults];

it("lists every fault on a line of its own, in columns, and starts nothing", async () => {
  const lines: string[] = [];
  expect(await runChaos({ list: true }, (line) => lines.push(line))).toBeUndefined();
  expect(lines).toEqual([listFaults()]);
  const rows = listFaults()
    .split("\n")
    .filter((line) => line.startsWith("  "));
  expect(rows).toHaveLength(FAULTS.length);
  for (const [i, fault] of FAULTS.entries()) {
    expect(rows[i]?.startsWith(`  ${fault.name} `)).toBe(true);
    expect(rows[i]?.indexOf(fault.summary, 24)).toBe(rows[0]?.indexOf(FAULTS[0]?.summary ?? "?"));
  }
});

it("lists every fault as JSON, in names that it takes", async () => {
  const lines: string[] = [];
  expect(await runChaos({ list: true, json: true }, (line) => lines.push(line))).toBeUndefined();
  const listed = JSON.parse(lines.join("\n")) as FaultDescription[];
  expect(listed).toEqual(describeFaults());
  expect(listed.map(({ name }) => name)).toEqual(FAULTS.map(({ name }) => name));
  for (const { name, argument } of listed) {
    const spec = argument === undefined ? name : `${name}:${argument.default}`;
    expect(parseSpec(`${spec}+ok`)[0]?.fault.name).toBe(name);
  }
  expect(listed.find(({ name }) => name === "truncate")).toMatchObject({
    group: "transport",
    argument: { unit: "events" },
    random: true,
  });
});

it("says where it listens in one line of JSON, for programs", async () => {
  const lines: string[] = [];
  const server = await runChaos({ port: 0, json: true }, (line) => lines.push(line));
  const { url } = JSON.parse(lines.join("")) as { url: string };
  expect((await fetch(`${url}/models`)).status).toBe(200);
  await server?.close();
});

it("prints the address and a request to try, and serves", async () => {
  const lines: string[] = [];
  const server = await runChaos({ port: 0, rate: { a: 0.1 }, seed: 3, fault: "503@b" }, (line) => lines.push(line));
  try {
    expect(lines.join("\n")).toMatch(/\/a\/v1, .*\/b\/v1.*name no fault get 503@b.*\/a breaks 10 %/s);
    const url = /http:\S+/.exec(lines[0] ?? "")?.[0] ?? "";
    expect(lines.join("\n")).toContain(`curl -N ${url}/chat/completions`);
    expect((await fetch(`${url}/models`)).status).toBe(200);
  } finally {
    await server?.close();
  }
});

it("gives every fault a name that fits into a SPEC and a URL", () => {
  expect(new Set(FAULTS.map((fault) => fault.name)).size).toBe(FAULTS.length);
  for (const fault of FAULTS) expect(fault.name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
});
