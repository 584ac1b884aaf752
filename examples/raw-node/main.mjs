// A hook, a function and a call-back with nothing but grpc-js and the schema.
// docs/protocol.md tells the rules that this program follows.
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

// Strings for 64-bit integers and enums; without `oneofs` there is no way to see which body came.
const options = { longs: String, enums: String, defaults: true, oneofs: true };
const { tinybase } = grpc.loadPackageDefinition(loader.loadSync("extension.proto", options));
const { ExtensionService, HostService } = tinybase.extension.v1;
const insecure = grpc.credentials.createInsecure();
const extension = new ExtensionService("unix:core.sock", insecure);
const host = new HostService("unix:core.sock", insecure);

function metadata(invocation) {
  const made = new grpc.Metadata();
  made.set("authorization", `Bearer ${process.env.TINYBASE_TOKEN}`);
  if (invocation) made.set("tinybase-invocation", invocation.token);
  return made;
}

function getRecord(request, invocation) {
  return new Promise((resolve, reject) => {
    const answered = (error, response) => (error ? reject(error) : resolve(response.record));
    host.getRecord(request, metadata(invocation), answered);
  });
}

async function greet(invocation) {
  const { name, record } = JSON.parse(invocation.function.input);
  const post = JSON.parse((await getRecord({ collection: "posts", id: record }, invocation)).data);
  return { message: `Hello ${name}, ${post.title}` };
}

async function handle(invocation) {
  if (invocation.event === "record.create") {
    const { recordId, data } = invocation.record;
    console.log("new order", recordId, JSON.parse(data).email);
  } else if (invocation.event === "function.invoke") {
    return { success: { output: Buffer.from(JSON.stringify(await greet(invocation))) } };
  }
  return { success: {} };
}

const schema = {
  type: "object",
  properties: { name: { type: "string", minLength: 1 }, record: { type: "string" } },
  required: ["name", "record"],
};
const hooks = [{ event: "record.create", phase: "PHASE_AFTER", collection: "orders" }];
const inputSchema = Buffer.from(JSON.stringify(schema));
const functions = [{ name: "greet_node", description: "Greet", inputSchema }];
const hello = { extension: process.env.TINYBASE_EXTENSION };

const session = extension.session(metadata());
session.on("data", async (frame) => {
  for (const invocation of frame.invocations) {
    const failed = ({ name, details, message }) => ({ fault: { type: name, message: details ?? message } });
    const result = await handle(invocation).catch(failed);
    session.write({ outcomes: [{ invocationId: invocation.id, ...result }] });
  }
});
session.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
session.on("end", () => process.exit(0));
session.write({ hello, register: { hooks, functions }, ready: {} });
