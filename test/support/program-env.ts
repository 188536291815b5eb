/** The environment in which tests start the program: nothing of the machine's own, and what was compiled for one start serves the next. */
import { fileURLToPath } from "node:url";

export const PROGRAM_ENV: Readonly<Record<string, string>> = {
  PATH: process.env.PATH ?? "",
  NODE_COMPILE_CACHE: fileURLToPath(new URL("../../.cache/compile", import.meta.url)),
};

/** After this it hangs. It starts in half a second on a quiet machine, and in twenty on one that is busy. */
export const PROGRAM_LIMIT_MS = 50_000;
