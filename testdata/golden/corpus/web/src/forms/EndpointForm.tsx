import { useState, type FormEvent } from "react";

import { isProblem } from "../../shared/types";
import type { ApiClient } from "../api";
import { httpsUrl, isValid, maxLength, required, slug, validate, type Errors, type Rules } from "./validation";

interface Values {
  name: string;
  url: string;
  secret: string;
}

const rules: Rules<Values> = {
  name: [required, slug, maxLength(40)],
  url: [required, httpsUrl],
  secret: [maxLength(128)],
};

interface Props {
  name: string;
  client: ApiClient;
}

/** Registers a place that deliveries go to, or changes one. */
export function EndpointForm({ name, client }: Props) {
  const [values, setValues] = useState<Values>({ name, url: "", secret: "" });
  const [errors, setErrors] = useState<Errors<Values>>({});
  const [saved, setSaved] = useState(false);

  async function submit(event: FormEvent) {
    event.preventDefault();
    const found = validate(values, rules);
    setErrors(found);
    if (!isValid(found)) return;
    try {
      await client.putEndpoint(values);
      setSaved(true);
    } catch (error) {
      // The gateway may know better than our rules: show what it says at the field it names.
      if (isProblem(error) && error.field) {
        setErrors({ [error.field]: error.detail ?? error.title });
      } else {
        throw error;
      }
    }
  }

  const field = (key: keyof Values, label: string) => (
    <label>
      {label}
      <input value={values[key]} onChange={(event) => setValues({ ...values, [key]: event.target.value })} />
      {errors[key] && <em role="alert">{errors[key]}</em>}
    </label>
  );

  return (
    <form onSubmit={submit}>
      {field("name", "Name")}
      {field("url", "Address")}
      {field("secret", "Signing secret")}
      <button type="submit">Save</button>
      {saved && <p>Saved.</p>}
    </form>
  );
}
