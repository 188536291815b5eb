#!/usr/bin/env node
/** The program's door: an old Node is told what it lacks, before anything is loaded that it cannot read. */
import { explainOldNode } from "./cli/node-version.ts";

const tooOld = explainOldNode(process.versions.node);
if (tooOld === undefined) {
  // Not at the top of the file: what is imported there is loaded before a line of it has run.
  import("./cli/compile-cache.ts")
    .then(({ keepCompiledCode }) => {
      keepCompiledCode(import.meta.url);
      return import("./start.ts");
    })
    .catch((error) => {
      process.stderr.write(`perennial: ${error.stack}\n`);
      process.exitCode = 1;
    });
} else {
  process.stderr.write(`perennial: ${tooOld}\n`);
  process.exitCode = 1;
}
