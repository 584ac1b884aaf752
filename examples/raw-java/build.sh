# Generates the stubs and packs the program. Maven fetches the compiler for the schema too. The
# installer runs it in this folder, with the schema's path in TINYBASE_PROTO.
set -eu
folder=$(dirname "$TINYBASE_PROTO")
mvn --quiet --batch-mode -Dproto.folder="$folder" package
