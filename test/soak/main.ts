/**
 * `npm run soak`: streams that break at random (run.ts); with `--hostile` whatever upstreams and clients can do on purpose, with
 * `--failover` two upstreams of which one fails, or goes down.
 */
const { argv } = process;
const kind = argv.includes("--hostile") ? "./hostile/run.ts" : argv.includes("--failover") ? "./failover/run.ts" : "./run.ts";
await import(kind);

export {};
