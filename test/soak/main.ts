/**
 * `npm run soak`: streams that break at random (run.ts), with `--recovery continue` such that go on, or with `--hostile` whatever
 * upstreams and clients can do on purpose.
 */
const asked = (option: string): boolean => process.argv.some((arg) => arg === option || arg.startsWith(`${option}=`));
await import(asked("--hostile") ? "./hostile/run.ts" : asked("--recovery") ? "./recovery/run.ts" : "./run.ts");

export {};
