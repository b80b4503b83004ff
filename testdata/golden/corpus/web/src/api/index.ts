export { ApiClient, HttpError, NetworkError } from "./client";
export { withRetry } from "./retry";
export type { RetryOptions } from "./retry";
export type { Delivery, Endpoint, Page, Problem } from "../../shared/types";
