/** Shapes that the gateway's answers have. */

export type DeliveryStatus = "queued" | "sent" | "failed" | "cancelled";

export interface Delivery {
  id: string;
  endpoint: string;
  payload: unknown;
  not_before?: string;
  status: DeliveryStatus;
}

export interface Endpoint {
  name: string;
  url: string;
  secret?: string;
}

/** One page of a list; `next` is absent on the last. */
export interface Page<T> {
  items: T[];
  next?: string;
}

/** An error as the gateway tells it. */
export interface Problem {
  status: number;
  title: string;
  detail?: string;
  field?: string;
}

export function isProblem(value: unknown): value is Problem {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as Problem).status === "number" &&
    typeof (value as Problem).title === "string"
  );
}

export const FINAL_STATUSES: ReadonlySet<DeliveryStatus> = new Set(["sent", "cancelled"]);
