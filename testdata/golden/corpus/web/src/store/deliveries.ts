import type { Delivery } from "../../shared/types";
import type { ApiClient } from "../api";
import { createStore, type Store } from "./createStore";

export interface DeliveriesState {
  items: Delivery[];
  next?: string;
  loading: boolean;
  error?: string;
}

export type DeliveriesAction =
  | { type: "loading" }
  | { type: "loaded"; items: Delivery[]; next?: string }
  | { type: "cancelled"; id: string }
  | { type: "failed"; error: string };

const empty: DeliveriesState = { items: [], loading: false };

export function reduceDeliveries(state: DeliveriesState, action: DeliveriesAction): DeliveriesState {
  switch (action.type) {
    case "loading":
      return { ...state, loading: true, error: undefined };
    case "loaded":
      return { items: mergeById(state.items, action.items), next: action.next, loading: false };
    case "cancelled":
      return {
        ...state,
        items: state.items.map((item) => (item.id === action.id ? { ...item, status: "cancelled" } : item)),
      };
    case "failed":
      return { ...state, loading: false, error: action.error };
  }
}

/** Newer versions replace older ones in place; unknown ones come last. */
function mergeById(old: Delivery[], fresh: Delivery[]): Delivery[] {
  const byId = new Map(old.map((item) => [item.id, item]));
  for (const item of fresh) byId.set(item.id, item);
  return [...byId.values()];
}

export interface DeliveriesStore extends Store<DeliveriesState, DeliveriesAction> {
  loadMore(): Promise<void>;
  cancel(id: string): Promise<void>;
}

export function createDeliveriesStore(client: ApiClient): DeliveriesStore {
  const store = createStore(reduceDeliveries, empty);
  return {
    ...store,
    async loadMore() {
      store.dispatch({ type: "loading" });
      try {
        const page = await client.listDeliveries(store.getState().next);
        store.dispatch({ type: "loaded", items: page.items, next: page.next });
      } catch (error) {
        store.dispatch({ type: "failed", error: String(error) });
      }
    },
    /** Shows the delivery as cancelled at once, and takes that back if the gateway refuses. */
    async cancel(id) {
      const before = store.getState().items.find((item) => item.id === id);
      store.dispatch({ type: "cancelled", id });
      try {
        await client.cancelDelivery(id);
      } catch (error) {
        if (before) store.dispatch({ type: "loaded", items: [before], next: store.getState().next });
        store.dispatch({ type: "failed", error: String(error) });
      }
    },
  };
}
