/** Requests for browsers without fetch. Goes away with the last of them. */

export interface XhrOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  timeout?: number;
}

export function request(url: string, options: XhrOptions = {}): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open(options.method ?? "GET", url);
    xhr.timeout = options.timeout ?? 10_000;
    for (const [name, value] of Object.entries(options.headers ?? {})) {
      xhr.setRequestHeader(name, value);
    }
    xhr.onload = () => resolve({ status: xhr.status, text: xhr.responseText });
    xhr.onerror = () => reject(new Error(`the gateway did not answer at ${url}`));
    xhr.ontimeout = () => reject(new Error(`no answer from ${url} within ${xhr.timeout} ms`));
    xhr.send(options.body ?? null);
  });
}
