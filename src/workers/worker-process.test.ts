import cluster from "node:cluster";
import { afterEach, expect, it } from "vitest";
import type { Config } from "../config/schema.ts";
import type { PrimaryCalls } from "./calls.ts";
import { WorkerProcess } from "./worker-process.ts";

afterEach(() => cluster.setupPrimary({ cwd: undefined as never }));

it("a process that cannot be made is told as the worker's end, with the reason, and ends nothing else", async () => {
  // As with no file descriptor left, or no room among the user's processes: the system refuses to make it.
  cluster.setupPrimary({ cwd: "/there/is/no/such/folder" });
  const worker = new WorkerProcess(1, () => ({}) as PrimaryCalls);
  await expect(worker.begin({ config: {} as Config, isFirst: true })).rejects.toMatchObject({ code: "ENOENT" });
  expect(await worker.ended).toMatchObject({ code: null, signal: null, failure: { code: "ENOENT" } });
  expect([worker.pid, worker.isThere]).toEqual([undefined, false]);
  worker.kill();
});
