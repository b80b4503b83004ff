import { describe, expect, it } from "vitest";

import { httpsUrl, isValid, maxLength, required, slug, validate } from "../forms/validation";

describe("rules", () => {
  it("wants https", () => {
    expect(httpsUrl("https://example.org/hook")).toBeNull();
    expect(httpsUrl("http://example.org/hook")).toContain("https://");
    expect(httpsUrl("nonsense")).toBe("This is not a web address.");
  });

  it("accepts slugs", () => {
    expect(slug("billing-eu2")).toBeNull();
    expect(slug("Billing")).not.toBeNull();
  });
});

describe("validate", () => {
  it("reports the first broken rule of each field", () => {
    const errors = validate({ name: "", url: "x" }, { name: [required, maxLength(3)], url: [httpsUrl] });
    expect(errors.name).toBe("This field is required.");
    expect(isValid(errors)).toBe(false);
  });
});
