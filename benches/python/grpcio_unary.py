"""A unary gRPC server by grpcio: what an extension would be without TinyBase's protocol.

It echoes the 64 bytes of a CallFunctionRequest's `input` as the `output` of the response. The
messages are put together by hand, which spares it protobuf: this baseline is faster than a real
extension would be.
"""

import sys
from concurrent import futures

import grpc

_INPUT = 0x12  # field 2, bytes
_OUTPUT = 0x1A  # field 3, bytes


def echo(request: bytes, context: grpc.ServicerContext) -> bytes:
    """Answers with the same bytes under the response's field."""
    if request[0] != _INPUT:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "only `input` is understood")
    return bytes([_OUTPUT]) + request[1:]


def main() -> None:
    """Serves until killed."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    handler = grpc.unary_unary_rpc_method_handler(echo)
    service = "tinybase.extension.v1.HostService"
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {"CallFunction": handler})]
    )
    server.add_insecure_port(f"unix:{sys.argv[1]}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
