// A whole call, from an empty unit to the record, by a program that knows of the API only what its description says: schema.ts is
// generated from /api/openapi.json, and this must type-check against it. The Go test that starts it plays the telephones: each line that
// this writes asks it for something, and it answers with a line.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

declare const process: {
  env: Record<string, string | undefined>;
  stdin: AsyncIterable<Uint8Array>;
  stdout: { write(text: string): void };
  exit(code: number): never;
};

type Call = components["schemas"]["CallDetail"];
type Problem = components["schemas"]["Problem"];

/** env reads a setting that the test gives. */
function env(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

const baseUrl = env("CALLPLANE_URL");
const as = (token: string) => createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}`, "Callplane-Api": "1" } });

/** good is the data of an answer, or the problem as an error. */
async function good<T>(answer: Promise<{ data?: T; error?: Problem; response: Response }>): Promise<T> {
  const { data, error, response } = await answer;
  if (error) throw new Error(`${response.url}: ${error.status} ${error.type} ${error.detail ?? ""} ${JSON.stringify(error.errors ?? [])}`);
  return data as T;
}

const replies = (async function* () {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of process.stdin) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
})();

/** ask tells the test what to do with the telephones, and waits until it is done. */
async function ask(step: string, what: Record<string, unknown> = {}): Promise<void> {
  process.stdout.write(JSON.stringify({ step, ...what }) + "\n");
  const { value, done } = await replies.next();
  if (done || value !== "done") throw new Error(`${step}: the test says ${value}`);
}

interface Event {
  seq: number;
  type: string;
  key?: string;
  data?: { from?: string; state?: string };
}

/** events follows the event stream. */
async function* events(token: string): AsyncGenerator<Event> {
  const { data, response } = await as(token).GET("/api/events", { parseAs: "stream" });
  if (!response.ok || !data) throw new Error(`events: ${response.status}`);
  let text = "";
  const decoder = new TextDecoder();
  const reader = (data as unknown as ReadableStream<Uint8Array>).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const line = text.slice(0, end).split("\n").find((l) => l.startsWith("data: "));
      text = text.slice(end + 2);
      if (line) yield JSON.parse(line.slice(6)) as Event;
    }
  }
}

/** until reads the stream up to the event that fits. */
async function until(stream: AsyncGenerator<Event>, what: string, fits: (e: Event) => boolean): Promise<Event> {
  for (;;) {
    const { value, done } = await stream.next();
    if (done) throw new Error(`the stream ended before: ${what}`);
    if (fits(value)) return value;
  }
}

function same(what: string, got: unknown, want: unknown): void {
  if (got !== want) throw new Error(`${what} is ${String(got)}, want ${String(want)}`);
}

async function main(): Promise<void> {
  const unit = env("CALLPLANE_UNIT");
  const name = env("CALLPLANE_NAME");
  const admin = as(env("CALLPLANE_TOKEN"));

  // A key for this program, with every permission that there is. From here on the key does the work.
  const permissions = (await good(admin.GET("/api/user/permissions"))) ?? [];
  const root = (await good(admin.GET("/api/user/units")))?.find((u) => u.parent_id === "");
  const key = await good(
    admin.POST("/api/user/keys", { body: { unit_id: root?.id ?? unit, name, permissions: permissions.map((p) => p.permission) } }),
  );
  const api = as(key.secret);

  const phone = await good(api.POST("/api/route/phones", { body: { unit, name, codecs: ["ulaw"] } }));
  await ask("register", { user: phone.sip_user, password: phone.password });

  const person = await good(
    api.POST("/api/user/users", { body: { login: name, name: "Generated Client", unit_id: unit, roles: ["agent"], language: "en" } }),
  );
  const first = await good(admin.POST("/api/user/login", { body: { login: name, password: person.password ?? "" } }));
  same("the first duty", first.must, "change_password");
  const password = "Green-Apple-42";
  await good(as(first.token).POST("/api/user/password", { body: { old: person.password ?? "", new: password } }));
  const session = await good(admin.POST("/api/user/login", { body: { login: name, password } }));
  const agent = as(session.token);

  const queue = await good(
    api.POST("/api/acd/queues", {
      body: { unit, name, members: [{ agent: person.user.id }], wrap_up_seconds: 0, announce_position: false, comfort_seconds: 0 },
    }),
  );
  const flow = await good(api.POST("/api/ivr/flows", { body: { unit, document: `name: ${name}\nthen: {queue: ${name}}\n` } }));
  await good(api.POST("/api/route/numbers", { body: { unit, number: env("CALLPLANE_NUMBER"), service: name, flow: flow.id } }));
  const presence = await good(agent.POST("/api/agent/sign-in", { body: { phone: phone.name, ready: true } }));
  same("the agent", presence.state, "ready");

  const stream = events(session.token);
  await until(stream, "hello", (e) => e.type === "hello");
  await ask("call");
  const talking = await until(stream, "talking", (e) => e.type === "call.talking");
  const path = { id: talking.key ?? "" };
  const live = await good(agent.GET("/api/call/live"));
  same("live calls", live?.length, 1);
  same("the live call", live?.[0]?.queue, queue.id);

  same("on hold", (await good(agent.POST("/api/call/calls/{id}/hold", { params: { path } }))).state, "on_hold");
  await until(stream, "held", (e) => e.type === "call.held" && e.key === path.id);
  await ask("held");
  same("off hold", (await good(agent.POST("/api/call/calls/{id}/unhold", { params: { path } }))).state, "talking");
  await until(stream, "unheld", (e) => e.type === "call.unheld" && e.key === path.id);
  await ask("unheld");
  await good(agent.POST("/api/call/calls/{id}/hangup", { params: { path } }));
  await until(stream, "ended", (e) => e.type === "call.ended" && e.key === path.id);
  await ask("ended");

  // A call that is over refuses orders, with the problem that the description promises.
  const late = await agent.POST("/api/call/calls/{id}/hold", { params: { path } });
  same("an order for a call that is over", late.error?.status, 409);
  same("its problem", late.error?.type, "/problems/call_gone");

  const record = await history();
  async function history(): Promise<Call & { call: NonNullable<Call["call"]> }> {
    for (;;) {
      const { data, response } = await api.GET("/api/call/calls/{id}", { params: { path } });
      if (data?.call) return { ...data, call: data.call };
      if (!response.ok && response.status !== 404) throw new Error(`the record: ${response.status}`);
      await new Promise((wake) => setTimeout(wake, 50)); // it is written a moment after the end
    }
  }
  same("the end", record.call.end_reason, "agent_hung_up");
  same("the queue", record.call.queue, queue.id);
  same("holds", record.holds?.length, 1);
  if (!record.timeline?.some((m) => m.what === "talking")) throw new Error("the timeline does not tell of the talk");
  const found = await good(api.GET("/api/call/calls", { params: { query: { queue: queue.id, direction: "inbound", limit: 10 } } }));
  same("calls found", found.items?.length, 1);
  const noted = await good(agent.PATCH("/api/call/calls/{id}", { params: { path }, body: { summary: "by a generated client", rating: 5 } }));
  same("the note", noted.summary, "by a generated client");
  await ask("read", { call: path.id });
}

main().then(
  () => process.exit(0),
  (err: unknown) => {
    process.stdout.write(JSON.stringify({ step: "failed", error: err instanceof Error ? (err.stack ?? err.message) : String(err) }) + "\n");
    process.exit(1);
  },
);
