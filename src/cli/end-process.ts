/** The end of the process, also where Node's own exit would wait for ever. */

/** Work in one of Node's threads: a name that is looked up, a file on a disk that does not answer. */
const IN_A_THREAD = /^(FSReq|GetAddrInfoReq|GetNameInfoReq)/;

/** How often it is looked whether that work is done, in milliseconds. */
const LOOK_MS = 20;

function isThreadBusy(): boolean {
  return process.getActiveResourcesInfo().some((name) => IN_A_THREAD.test(name));
}

/** Resolves once `process.exit` would end the process. */
export async function untilThreadsAreFree(): Promise<void> {
  while (isThreadBusy()) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}

/** `process.exit` joins Node's threads, so one that hangs would keep the process; then it ends as if killed. */
export function endProcess(code: number): never {
  if (isThreadBusy()) process.kill(process.pid, "SIGKILL");
  process.exit(code);
}
