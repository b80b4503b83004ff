import type { ReactNode } from "react";

export type Params = Record<string, string>;
type View = (params: Params) => ReactNode;

interface Route {
  pattern: RegExp;
  names: string[];
  view: View;
}

/** Turns `/endpoints/:name` into an expression and the names of its parts. */
export function compilePattern(path: string): { pattern: RegExp; names: string[] } {
  const names: string[] = [];
  const source = path
    .split("/")
    .map((part) => {
      if (!part.startsWith(":")) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
      names.push(part.slice(1));
      return "([^/]+)";
    })
    .join("/");
  return { pattern: new RegExp(`^${source}/?$`), names };
}

/** Shows the view that belongs to the address bar. */
export class Router {
  private routes: Route[] = [];
  private render: (view: ReactNode) => void = () => undefined;

  add(path: string, view: View): void {
    this.routes.push({ ...compilePattern(path), view });
  }

  /** The view for a path; `null` where no route matches. */
  resolve(path: string): ReactNode {
    for (const { pattern, names, view } of this.routes) {
      const match = pattern.exec(path);
      if (match) {
        const values = match.slice(1).map(decodeURIComponent);
        return view(Object.fromEntries(names.map((name, index) => [name, values[index]])));
      }
    }
    return null;
  }

  /** Listens to the browser's back and forward buttons. */
  start(render: (view: ReactNode) => void): void {
    this.render = render;
    window.addEventListener("popstate", () => this.refresh());
    this.refresh();
  }

  /** Goes somewhere without loading the page again. */
  navigate(path: string): void {
    if (path === window.location.pathname) return;
    window.history.pushState({}, "", path);
    this.refresh();
  }

  private refresh(): void {
    const view = this.resolve(window.location.pathname);
    if (view === null) {
      console.warn(`no route matches ${window.location.pathname}`);
    }
    this.render(view);
  }
}
