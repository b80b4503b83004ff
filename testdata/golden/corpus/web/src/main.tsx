import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { ApiClient } from "./api";
import { DeliveryTable } from "./components/DeliveryTable";
import { EndpointForm } from "./forms/EndpointForm";
import { Router } from "./router";
import { Session } from "./session";
import { createDeliveriesStore } from "./store";

const session = new Session(window.localStorage);
const client = new ApiClient("/v1", () => session.token());
const deliveries = createDeliveriesStore(client);

const router = new Router();
router.add("/deliveries", () => <DeliveryTable store={deliveries} />);
router.add("/endpoints/:name", ({ name }) => <EndpointForm name={name} client={client} />);

const container = document.getElementById("root");
if (!container) {
  throw new Error("index.html has no element with the id root");
}
const root = createRoot(container);
router.start((view) => root.render(<StrictMode>{view}</StrictMode>));
