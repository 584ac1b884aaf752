# Generates the stubs. The installer runs it in this folder, with the `python` of the environment
# that it made for [extension.dependencies], and with the schema's path in TINYBASE_PROTO.
set -eu
python -m grpc_tools.protoc -I "$(dirname "$TINYBASE_PROTO")" \
    --python_out=. --grpc_python_out=. "$TINYBASE_PROTO"
