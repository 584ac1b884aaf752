/** Reading a stream of Server-Sent Events, which the generated types leave to the client. */

export interface LiveEvent {
  name: string;
  data: string;
}

/** Each event of a stream as it comes; heartbeats are passed over. */
export async function* events(stream: ReadableStream<Uint8Array>): AsyncGenerator<LiveEvent> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) {
    text += decoder.decode(bytes, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = read(block);
      if (event.data !== "") yield event;
    }
  }
}

function read(block: string): LiveEvent {
  const event: LiveEvent = { name: "message", data: "" };
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === "event") event.name = value ?? "";
    if (field === "data") data.push(value ?? "");
  }
  event.data = data.join("\n");
  return event;
}
