import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  // Examples say what their readers will say.
  resolve: {
    alias: {
      "perennial/chaos": fileURLToPath(new URL("src/chaos/chaos-server.ts", import.meta.url)),
      perennial: fileURLToPath(new URL("src/embed/perennial.ts", import.meta.url)),
      "@jest/globals": "vitest",
    },
  },
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "examples/**/*.test.ts"],
    exclude: [
      "test/exhaustive/**",
      "test/llama/**",
      "test/redis/**",
      "test/containers/**",
      "test/clients/**",
      "test/browser/**",
      "test/soak/**",
    ],
    // A test that waits for ever must end; one on a machine that is busy with others must not.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // A machine of CI has neighbours; one that asks for a second time is named in the report. At the desk none is forgiven.
    retry: process.env.CI === undefined ? 0 : 1,
    pool: "forks",
    // To start a process and load Perennial for each file would cost as much as all tests; no file leaves anything behind instead.
    isolate: false,
    setupFiles: [fileURLToPath(new URL("test/support/leave-nothing.ts", import.meta.url))],
    // What a test waits for comes late on a busy machine; the default of a second is no measure of anything.
    expect: { poll: { timeout: 45_000, interval: 10 } },
    maxConcurrency: 16,
    // The tests wait more than they work: on two cores the default would be one worker.
    maxWorkers: 8,
  },
});
