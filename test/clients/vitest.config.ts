/** Vitest for the clients people use: apart from the other tests, since it needs Python and curl. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/clients/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 30_000,
    maxConcurrency: 8,
    pool: "forks",
    reporters: ["dot"],
  },
});
