/** Whether a connection failed for want of a file descriptor: a limit of this machine or process, and not the upstream's fault. */
export function isOutOfDescriptors(code: string | undefined): boolean {
  return code === "EMFILE" || code === "ENFILE";
}
