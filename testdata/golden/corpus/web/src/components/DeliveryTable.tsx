import { useEffect, useSyncExternalStore } from "react";

import { FINAL_STATUSES, type Delivery } from "../../shared/types";
import { relativeTime } from "../format/dates";
import type { DeliveriesStore } from "../store";

interface Props {
  store: DeliveriesStore;
}

/** All deliveries, a page at a time, with a button to take one back. */
export function DeliveryTable({ store }: Props) {
  const state = useSyncExternalStore(store.subscribe, store.getState);

  useEffect(() => {
    void store.loadMore();
  }, [store]);

  return (
    <section aria-busy={state.loading}>
      {state.error && <p role="alert">{state.error}</p>}
      <table>
        <thead>
          <tr>
            <th>Id</th>
            <th>Endpoint</th>
            <th>Status</th>
            <th>Due</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {state.items.map((delivery) => (
            <DeliveryRow key={delivery.id} delivery={delivery} onCancel={() => store.cancel(delivery.id)} />
          ))}
        </tbody>
      </table>
      {state.next && <button onClick={() => store.loadMore()}>More</button>}
    </section>
  );
}

function DeliveryRow({ delivery, onCancel }: { delivery: Delivery; onCancel: () => void }) {
  return (
    <tr className={`status-${delivery.status}`}>
      <td>{delivery.id}</td>
      <td>{delivery.endpoint}</td>
      <td>{delivery.status}</td>
      <td>{delivery.not_before ? relativeTime(new Date(delivery.not_before), new Date()) : "now"}</td>
      <td>{!FINAL_STATUSES.has(delivery.status) && <button onClick={onCancel}>Cancel</button>}</td>
    </tr>
  );
}
