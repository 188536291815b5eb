/**
 * `npm run soak`: streams that break at random (run.ts), with `--recovery continue` such that go on, with `--hostile` whatever
 * upstreams and clients can do on purpose, with `--failover` two upstreams of which one fails, or goes down.
 */
const asked = (option: string): boolean => process.argv.some((arg) => arg === option || arg.startsWith(`${option}=`));
const kind = asked("--hostile") ? "hostile" : asked("--recovery") ? "recovery" : asked("--failover") ? "failover" : undefined;
await import(kind === undefined ? "./run.ts" : `./${kind}/run.ts`);

export {};
