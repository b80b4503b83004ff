export { createStore } from "./createStore";
export type { Listener, Reducer, Store } from "./createStore";
export { createDeliveriesStore, reduceDeliveries } from "./deliveries";
export type { DeliveriesAction, DeliveriesState, DeliveriesStore } from "./deliveries";
