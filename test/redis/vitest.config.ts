/** Vitest for what takes a real Redis: `npm run test:redis`. */
import { mergeConfig } from "vitest/config";
import base from "../../vitest.config.ts";

const config = mergeConfig(base, {});
// Lists would be joined: these replace those of the other suite.
config.test = { ...config.test, include: ["test/redis/**/*.test.ts"], exclude: [] };
export default config;
