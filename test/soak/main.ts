/**
 * `npm run soak`: streams that break at random (run.ts), with `--recovery continue` such that go on, with `--failover` two upstreams of
 * which one fails, or goes down, or with `--hostile` whatever upstreams and clients can do on purpose.
 */
const asked = (option: string): boolean => process.argv.some((arg) => arg === option || arg.startsWith(`${option}=`));
const kinds = { "--hostile": "./hostile/run.ts", "--recovery": "./recovery/run.ts", "--failover": "./failover/run.ts" };
await import(Object.entries(kinds).find(([option]) => asked(option))?.[1] ?? "./run.ts");

export {};
