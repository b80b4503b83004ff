import { isProblem, type Delivery, type Endpoint, type Page } from "../../shared/types";
import { withRetry } from "./retry";

/** The gateway could not be reached at all. */
export class NetworkError extends Error {
  constructor(readonly url: string, cause: unknown) {
    super(`the gateway did not answer at ${url}`, { cause });
    this.name = "NetworkError";
  }
}

/** It answered with an error that is not described. */
export class HttpError extends Error {
  constructor(readonly status: number, readonly url: string) {
    super(`request to ${url} failed with status ${status}`);
    this.name = "HttpError";
  }
}

export class ApiClient {
  constructor(
    private readonly base: string,
    private readonly token: () => string,
  ) {}

  listDeliveries(cursor?: string): Promise<Page<Delivery>> {
    const query = cursor ? `?cursor=${encodeURIComponent(cursor)}` : "";
    return withRetry(() => this.request<Page<Delivery>>("GET", `/deliveries${query}`));
  }

  createDelivery(delivery: Pick<Delivery, "endpoint" | "payload">): Promise<Delivery> {
    return this.request("POST", "/deliveries", delivery);
  }

  cancelDelivery(id: string): Promise<void> {
    return this.request("POST", `/deliveries/${id}/cancel`);
  }

  putEndpoint(endpoint: Endpoint): Promise<Endpoint> {
    return this.request("PUT", `/endpoints/${endpoint.name}`, endpoint);
  }

  private async request<T>(method: string, path: string, body?: unknown): Promise<T> {
    const url = this.base + path;
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        headers: { authorization: `Bearer ${this.token()}`, "content-type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (cause) {
      throw new NetworkError(url, cause);
    }
    if (response.status === 204) return undefined as T;
    const answer: unknown = await response.json().catch(() => null);
    if (response.ok) return answer as T;
    throw isProblem(answer) ? answer : new HttpError(response.status, url);
  }
}
