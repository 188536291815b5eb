/** Numbers and times as they are read: short, and of a width that does not jump. */

export function formatMs(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 100_000) return `${Math.round(ms / 1_000)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.round((ms % 60_000) / 1_000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** 950, 1.2k, 48k, 3.1M. */
export function formatCount(count: number): string {
  if (count < 1_000) return String(Math.round(count));
  const [value, unit] = count < 1_000_000 ? [count / 1_000, "k"] : [count / 1_000_000, "M"];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)}${unit}`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  return bytes < 1_048_576 ? `${(bytes / 1_024).toFixed(1)} KiB` : `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

export function formatClock(unixMs: number, language: string, seconds = false): string {
  const timeStyle = seconds ? "medium" : "short";
  return new Intl.DateTimeFormat(language, { timeStyle, hourCycle: "h23" }).format(unixMs);
}
