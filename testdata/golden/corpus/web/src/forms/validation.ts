/** What is wrong with a field, in words for the person who fills it in; `null` if nothing. */
export type Rule<T> = (value: T) => string | null;

export const required: Rule<string> = (value) => (value.trim() === "" ? "This field is required." : null);

export const maxLength =
  (limit: number): Rule<string> =>
  (value) =>
    value.length > limit ? `At most ${limit} characters, please.` : null;

export const httpsUrl: Rule<string> = (value) => {
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    return "This is not a web address.";
  }
  return url.protocol === "https:" ? null : "Only addresses that begin with https:// are safe.";
};

export const slug: Rule<string> = (value) =>
  /^[a-z][a-z0-9-]*$/.test(value) ? null : "Use lower-case letters, digits and hyphens, a letter first.";

export type Rules<T> = { [K in keyof T]?: Rule<T[K]>[] };
export type Errors<T> = { [K in keyof T]?: string };

/** Applies the rules of each field in order; the first that is broken counts. */
export function validate<T extends object>(values: T, rules: Rules<T>): Errors<T> {
  const errors: Errors<T> = {};
  for (const key of Object.keys(rules) as (keyof T)[]) {
    for (const rule of rules[key] ?? []) {
      const message = rule(values[key]);
      if (message !== null) {
        errors[key] = message;
        break;
      }
    }
  }
  return errors;
}

export function isValid<T>(errors: Errors<T>): boolean {
  return Object.keys(errors).length === 0;
}
