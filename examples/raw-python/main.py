"""A hook, a function and a call-back with nothing but grpcio and generated stubs.

docs/protocol.md tells the rules that this program follows.
"""

import json
import os
import queue

import extension_pb2 as pb
import extension_pb2_grpc as rpc
import grpc

GREET_INPUT = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "record": {"type": "string"}},
    "required": ["name", "record"],
}

# grpcio makes the authority from the address, and an absolute path makes one that is refused.
channel = grpc.insecure_channel("unix:core.sock", options=[("grpc.default_authority", "localhost")])
host = rpc.HostServiceStub(channel)
session_token = ("authorization", "Bearer " + os.environ["TINYBASE_TOKEN"])


def greet(invocation):
    given = json.loads(invocation.function.input)
    metadata = [session_token, ("tinybase-invocation", invocation.token)]
    request = pb.GetRecordRequest(collection="posts", id=given["record"])
    post = json.loads(host.GetRecord(request, metadata=metadata).record.data)
    return {"message": f"Hello {given['name']}, {post['title']}"}


def handle(invocation):
    outcome = pb.Outcome(invocation_id=invocation.id)
    try:
        if invocation.event == "record.create":
            email = json.loads(invocation.record.data)["email"]
            print("new order", invocation.record.record_id, email, flush=True)
        elif invocation.event == "function.invoke":
            outcome.success.output = json.dumps(greet(invocation)).encode()
    except grpc.RpcError as error:
        outcome.fault.type, outcome.fault.message = error.code().name, error.details()
    except Exception as error:
        outcome.fault.type, outcome.fault.message = type(error).__name__, str(error)
    return outcome


hooks = [pb.HookBinding(event="record.create", phase=pb.PHASE_AFTER, collection="orders")]
schema = json.dumps(GREET_INPUT).encode()
functions = [pb.FunctionBinding(name="greet_python", description="Greet", input_schema=schema)]
frames = queue.SimpleQueue()
frames.put(
    pb.SessionRequest(
        hello=pb.Hello(extension=os.environ["TINYBASE_EXTENSION"]),
        register=pb.Register(hooks=hooks, functions=functions),
        ready=pb.Ready(),
    )
)
session = rpc.ExtensionServiceStub(channel).Session(
    iter(frames.get, None), metadata=[session_token]
)
for frame in session:
    for invocation in frame.invocations:
        frames.put(pb.SessionRequest(outcomes=[handle(invocation)]))
