export type Listener = () => void;
export type Reducer<S, A> = (state: S, action: A) => S;

export interface Store<S, A> {
  getState(): S;
  dispatch(action: A): void;
  subscribe(listener: Listener): () => void;
}

/** A state that only changes through actions, and tells its listeners when it has. */
export function createStore<S, A>(reducer: Reducer<S, A>, initial: S): Store<S, A> {
  let state = initial;
  let dispatching = false;
  const listeners = new Set<Listener>();

  return {
    getState: () => state,

    dispatch(action) {
      if (dispatching) {
        throw new Error("a reducer must not dispatch: do it from a listener");
      }
      dispatching = true;
      try {
        state = reducer(state, action);
      } finally {
        dispatching = false;
      }
      // A copy: a listener may unsubscribe while it is told.
      for (const listener of [...listeners]) listener();
    },

    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
