/** Vitest for the dashboard in a browser: apart from the other tests, since it needs Chromium. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/browser/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: "forks",
    // One browser at a time: what is measured is whether it stays quick.
    maxWorkers: 1,
    fileParallelism: false,
  },
});
