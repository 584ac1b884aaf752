# Installs the packages beside the program; the schema is read when the program starts. The
# installer runs it in this folder, with the schema's path in TINYBASE_PROTO.
set -eu
npm ci --silent --no-audit --no-fund
cp "$TINYBASE_PROTO" extension.proto
