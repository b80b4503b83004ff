import { z } from 'zod';

/** An item. */
export interface Item<T> extends Base {
  id: string;
  value: T;
}

export type Key = keyof Item<string> | 'other';

export enum Color {
  Red = 'red',
}

export const schema = z.object({
  name: z.string(),
});

/** Overloaded. */
export function get(key: string): string;
export function get(key: number): number;
export function get(key: unknown): unknown {
  return key;
}

@Injectable()
export abstract class Service<T extends Item<T>> implements Disposable {
  private readonly items = new Map<string, T>();

  constructor(private readonly http: Http) {}

  /** Finds one. */
  @Log('find')
  public async find(id: string): Promise<T | undefined> {
    return this.items.get(id);
  }

  abstract close(): void;

  onEvent = async (event: Event): Promise<void> => {
    await event;
  };
}

export namespace Tools {
  export const version = '1';
  export function run(): void {}
}

declare module 'other' {
  export function declared(x: number): string;
}

declare function ambient(a: string): void;

export const useThing = <T,>(initial: T) => {
  return initial;
};

export default class extends Service<never> {
  close(): void {}
}
