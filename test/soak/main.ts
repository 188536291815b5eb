/** `npm run soak`: streams that break at random (run.ts), or with `--hostile` whatever upstreams and clients can do on purpose. */
await import(process.argv.includes("--hostile") ? "./hostile/run.ts" : "./run.ts");

export {};
