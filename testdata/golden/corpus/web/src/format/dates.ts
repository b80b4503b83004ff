const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

/** "in 3 hours", "2 days ago". */
export function relativeTime(then: Date, now: Date, locale = "en"): string {
  const seconds = Math.round((then.getTime() - now.getTime()) / 1000);
  const format = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) {
      return format.format(Math.trunc(seconds / size), unit);
    }
  }
  return format.format(0, "second");
}

/** Reads `2026-01-31` as that day in the reader's own time zone, not in UTC. */
export function parseLocalDate(text: string): Date {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (!match) {
    throw new RangeError(`"${text}" is not a date like 2026-01-31`);
  }
  const [year, month, day] = match.slice(1).map(Number);
  return new Date(year, month - 1, day);
}
