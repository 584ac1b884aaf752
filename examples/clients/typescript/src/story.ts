/** A user's way through the API, typed by the document of the server that answers. */

import createClient from "openapi-fetch";

import { events, type LiveEvent } from "./events.js";
import type { components, paths } from "./schema.js";

type Note = components["schemas"]["notes.Record"];
type NewNote = components["schemas"]["notes.Input"];

const baseUrl = process.env.TINYBASE_URL ?? "http://localhost:8000";
const client = createClient<paths>({ baseUrl });

/** What an answer gave, or an error with the problem's words. */
function given<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data === undefined) {
    throw new Error(`${answer.response.status}: ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

/** Registers somebody new, and sends the token of the login with everything from here on. */
async function signUp(): Promise<void> {
  const body = { email: `ada-${Date.now()}@example.com`, password: "correct horse battery" };
  const user = given(await client.POST("/api/auth/register", { body }));
  const login = given(await client.POST("/api/auth/login", { body }));
  if (login.user_id !== user.id) throw new Error("somebody else is logged in");
  client.use({
    onRequest({ request }) {
      request.headers.set("authorization", `Bearer ${login.access_token}`);
      return request;
    },
  });
}

async function create(note: NewNote): Promise<Note> {
  return given(await client.POST("/api/collections/notes/records", { body: { data: note } }));
}

/** The open notes, found by the server. */
async function openNotes(): Promise<Note[]> {
  const query = { filter: "done == false", sort: "title", limit: 50 };
  const page = given(await client.GET("/api/collections/notes/records", { params: { query } }));
  return page.records;
}

/** Waits for the next change of a note. */
async function nextChange(stream: AsyncGenerator<LiveEvent>, id: string): Promise<Note> {
  for (;;) {
    const { value: event, done } = await stream.next();
    if (done) throw new Error("the stream has ended");
    if (event.name !== "record.update") continue;
    const note = JSON.parse(event.data) as Note;
    if (note.id === id) return note;
  }
}

/** What the compiler refuses: the document knows the collection's fields. */
export const refused: NewNote[] = [
  // @ts-expect-error there is no such field
  { title: "one", dnoe: true },
  // @ts-expect-error a title is a text
  { title: 1 },
  // @ts-expect-error a note has a title
  { done: true },
];

async function main(): Promise<void> {
  await signUp();
  const milk = await create({ title: "buy milk", done: false });
  await create({ title: "write home", done: true });
  const open = await openNotes();
  if (!open.some((note) => note.id === milk.id)) throw new Error("the new note isn't listed");
  console.log(`open: ${open.map((note) => note.data.title).join(", ")}`);

  const stop = new AbortController();
  const watched = given(
    await client.GET("/api/collections/notes/records/events", {
      parseAs: "stream",
      signal: stop.signal,
    }),
  );
  if (watched === null) throw new Error("there is no stream");
  const stream = events(watched);
  const change = nextChange(stream, milk.id);
  const updated = given(
    await client.PATCH("/api/collections/notes/records/{id}", {
      params: { path: { id: milk.id } },
      body: { data: { done: true } },
    }),
  );
  const seen = await change;
  if (seen.data.done !== true || seen.data.title !== updated.data.title) {
    throw new Error(`something else was seen: ${JSON.stringify(seen)}`);
  }
  console.log(`seen as it happened: ${seen.data.title} is done`);
  stop.abort();

  const body = { limit: 1 };
  const outcome = given(await client.POST("/api/functions/heaviest_penguins", { body }));
  const [heaviest] = outcome.result?.penguins ?? [];
  if (heaviest === undefined) throw new Error(`no penguin: ${outcome.error_message}`);
  console.log(`the heaviest penguin is a ${heaviest.species} of ${heaviest.body_mass_g} g`);
}

await main();
