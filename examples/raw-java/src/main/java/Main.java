// A hook, a function and a call-back with nothing but grpc-java and generated stubs.
// docs/protocol.md tells the rules that this program follows.
import com.google.gson.*;
import com.google.protobuf.ByteString;
import dev.tinybase.extension.v1.*;
import io.grpc.*;
import io.grpc.stub.MetadataUtils;
import java.util.Map;

public class Main {
  static final String GREET_INPUT = """
      {"type": "object", "required": ["name", "record"],
       "properties": {"name": {"type": "string", "minLength": 1}, "record": {"type": "string"}}}""";

  // Only this builder takes a `unix:` address. It makes the authority from it, and an absolute path
  // makes one that is refused.
  static final Channel CHANNEL = ClientInterceptors.intercept(
      Grpc.newChannelBuilder("unix:core.sock", InsecureChannelCredentials.create())
          .overrideAuthority("localhost").build(),
      header("authorization", "Bearer " + System.getenv("TINYBASE_TOKEN")));

  static ClientInterceptor header(String name, String value) {
    var metadata = new Metadata();
    metadata.put(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER), value);
    return MetadataUtils.newAttachHeadersInterceptor(metadata);
  }

  static String text(ByteString json, String field) {
    return JsonParser.parseString(json.toStringUtf8()).getAsJsonObject().get(field).getAsString();
  }

  static String greet(Invocation invocation) throws Exception {
    var input = invocation.getFunction().getInput();
    var host = HostServiceGrpc.newBlockingV2Stub(CHANNEL)
        .withInterceptors(header("tinybase-invocation", invocation.getToken()));
    var wanted = GetRecordRequest.newBuilder().setCollection("posts").setId(text(input, "record"));
    var title = text(host.getRecord(wanted.build()).getRecord().getData(), "title");
    return new Gson().toJson(Map.of("message", "Hello " + text(input, "name") + ", " + title));
  }

  static Outcome handle(Invocation invocation) {
    var outcome = Outcome.newBuilder().setInvocationId(invocation.getId());
    try {
      if (invocation.getEvent().equals("record.create")) {
        var order = invocation.getRecord();
        System.out.println("new order " + order.getRecordId() + " " + text(order.getData(), "email"));
      } else if (invocation.getEvent().equals("function.invoke")) {
        outcome.getSuccessBuilder().setOutput(ByteString.copyFromUtf8(greet(invocation)));
      }
    } catch (Exception e) {
      outcome.getFaultBuilder().setType(e.getClass().getSimpleName()).setMessage("" + e.getMessage());
    }
    return outcome.build();
  }

  public static void main(String[] args) throws Exception {
    var first = SessionRequest.newBuilder().setReady(Ready.getDefaultInstance());
    first.getHelloBuilder().setExtension(System.getenv("TINYBASE_EXTENSION"));
    first.getRegisterBuilder().addHooksBuilder()
        .setEvent("record.create").setPhase(Phase.PHASE_AFTER).setCollection("orders");
    first.getRegisterBuilder().addFunctionsBuilder().setName("greet_java").setDescription("Greet")
        .setInputSchema(ByteString.copyFromUtf8(GREET_INPUT));

    var session = ExtensionServiceGrpc.newBlockingV2Stub(CHANNEL).session();
    session.write(first.build());
    for (var frame = session.read(); frame != null; frame = session.read()) {
      for (var invocation : frame.getInvocationsList()) {
        session.write(SessionRequest.newBuilder().addOutcomes(handle(invocation)).build());
      }
    }
  }
}
