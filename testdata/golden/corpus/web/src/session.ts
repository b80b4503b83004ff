/** Who is signed in, kept over reloads of the page. */

const KEY = "courier.session";

interface Stored {
  token: string;
  expires: number;
}

export class SessionExpired extends Error {
  constructor() {
    super("your session has ended: sign in again");
    this.name = "SessionExpired";
  }
}

export class Session {
  constructor(private readonly storage: Storage) {}

  /** Remembers a token until the moment at which the gateway stops to accept it. */
  begin(token: string, lifetimeSeconds: number, now: number = Date.now()): void {
    const stored: Stored = { token, expires: now + lifetimeSeconds * 1000 };
    this.storage.setItem(KEY, JSON.stringify(stored));
  }

  token(now: number = Date.now()): string {
    const stored = this.read();
    if (!stored || stored.expires <= now) {
      this.end();
      throw new SessionExpired();
    }
    return stored.token;
  }

  end(): void {
    this.storage.removeItem(KEY);
  }

  private read(): Stored | null {
    const text = this.storage.getItem(KEY);
    if (text === null) return null;
    try {
      return JSON.parse(text) as Stored;
    } catch {
      return null;
    }
  }
}
