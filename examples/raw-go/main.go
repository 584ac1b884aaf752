// A hook, a function and a call-back with nothing but grpc-go and generated stubs.
// docs/protocol.md tells the rules that this program follows.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"os"

	pb "example.com/raw-go/pb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

const greetInput = `{"type": "object", "required": ["name", "record"],
	"properties": {"name": {"type": "string", "minLength": 1}, "record": {"type": "string"}}}`

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func greet(ctx context.Context, host pb.HostServiceClient, call *pb.Invocation) ([]byte, error) {
	var given, post struct{ Name, Record, Title string }
	// The core has checked the input against the schema.
	json.Unmarshal(call.GetFunction().Input, &given)
	ctx = metadata.AppendToOutgoingContext(ctx, "tinybase-invocation", call.Token)
	found, err := host.GetRecord(ctx, &pb.GetRecordRequest{Collection: "posts", Id: given.Record})
	if err != nil {
		return nil, err
	}
	json.Unmarshal(found.Record.Data, &post)
	return json.Marshal(map[string]string{"message": "Hello " + given.Name + ", " + post.Title})
}

func handle(ctx context.Context, host pb.HostServiceClient, call *pb.Invocation) *pb.Outcome {
	success, err := &pb.Success{}, error(nil)
	if call.Event == "record.create" {
		var order struct{ Email string }
		err = json.Unmarshal(call.GetRecord().Data, &order)
		log.Println("new order", call.GetRecord().RecordId, order.Email)
	} else if call.Event == "function.invoke" {
		success.Output, err = greet(ctx, host, call)
	}
	if err != nil {
		fault := &pb.Fault{Type: "GreetError", Message: err.Error()}
		return &pb.Outcome{InvocationId: call.Id, Result: &pb.Outcome_Fault{Fault: fault}}
	}
	return &pb.Outcome{InvocationId: call.Id, Result: &pb.Outcome_Success{Success: success}}
}

func main() {
	conn := must(grpc.NewClient("unix:core.sock", grpc.WithTransportCredentials(insecure.NewCredentials())))
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+os.Getenv("TINYBASE_TOKEN"))
	session := must(pb.NewExtensionServiceClient(conn).Session(ctx))
	hooks := []*pb.HookBinding{{Event: "record.create", Phase: pb.Phase_PHASE_AFTER, Collection: "orders"}}
	functions := []*pb.FunctionBinding{{Name: "greet_go", Description: "Greet", InputSchema: []byte(greetInput)}}
	hello, register := &pb.Hello{Extension: os.Getenv("TINYBASE_EXTENSION")}, &pb.Register{Hooks: hooks, Functions: functions}
	// When a Send fails, the next Recv tells why.
	session.Send(&pb.SessionRequest{Hello: hello, Register: register, Ready: &pb.Ready{}})
	for frame, err := session.Recv(); err != io.EOF; frame, err = session.Recv() {
		for _, call := range must(frame, err).Invocations {
			session.Send(&pb.SessionRequest{Outcomes: []*pb.Outcome{handle(ctx, pb.NewHostServiceClient(conn), call)}})
		}
	}
}
