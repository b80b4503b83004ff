import { expect, it } from "vitest";

import { compilePattern, Router } from "../router";

it("compiles parameters into groups", () => {
  const { pattern, names } = compilePattern("/endpoints/:name/keys/:key");
  expect(names).toEqual(["name", "key"]);
  expect(pattern.exec("/endpoints/billing/keys/2")?.slice(1)).toEqual(["billing", "2"]);
});

it("resolves the first route that matches", () => {
  const router = new Router();
  router.add("/deliveries", () => "list");
  router.add("/deliveries/:id", ({ id }) => `one ${id}`);
  expect(router.resolve("/deliveries/")).toBe("list");
  expect(router.resolve("/deliveries/a%20b")).toBe("one a b");
  expect(router.resolve("/nowhere")).toBeNull();
});
