# Makes the extension's own environment and generates the stubs. The installer runs it in this
# folder, with the schema's path in TINYBASE_PROTO.
set -eu
folder=$(dirname "$TINYBASE_PROTO")
python3 -m venv .venv
.venv/bin/pip install --quiet -r requirements.txt
.venv/bin/python -m grpc_tools.protoc -I "$folder" \
    --python_out=. --grpc_python_out=. "$TINYBASE_PROTO"
