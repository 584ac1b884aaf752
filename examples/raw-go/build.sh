# Generates the stubs into pb/ and compiles. The compiler for the schema is a Go program too, so
# nothing but Go is needed. The installer runs this in this folder, with the schema's path in
# TINYBASE_PROTO.
set -eu
folder=$(dirname "$TINYBASE_PROTO")
export GOBIN="$PWD/.tools"
PATH="$GOBIN:$PATH"
go install github.com/jhump/goprotoc/cmd/goprotoc@v0.5.0
go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11
go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
mkdir -p pb
goprotoc -I "$folder" --go_out=paths=source_relative:pb \
    --go-grpc_out=paths=source_relative:pb "${TINYBASE_PROTO##*/}"
rm -r "$GOBIN"
go build -buildvcs=false -o raw-go .
