/** Vitest for the tests in containers: apart from the others, since they need a Docker engine and minutes. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/containers/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    // Few at a time: containers that start slow down each other's streams.
    maxWorkers: 2,
    reporters: ["verbose"],
  },
});
