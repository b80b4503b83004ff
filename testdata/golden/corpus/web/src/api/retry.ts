import { HttpError, NetworkError } from "./client";

export interface RetryOptions {
  attempts: number;
  firstPause: number;
}

const DEFAULTS: RetryOptions = { attempts: 3, firstPause: 200 };

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

/** Tries reading again when the network or the gateway had a bad moment. */
export async function withRetry<T>(act: () => Promise<T>, options: Partial<RetryOptions> = {}): Promise<T> {
  const { attempts, firstPause } = { ...DEFAULTS, ...options };
  for (let attempt = 1; ; attempt++) {
    try {
      return await act();
    } catch (error) {
      if (attempt >= attempts || !isTemporary(error)) throw error;
      await pause(firstPause * 2 ** (attempt - 1));
    }
  }
}

function isTemporary(error: unknown): boolean {
  return error instanceof NetworkError || (error instanceof HttpError && error.status >= 500);
}
