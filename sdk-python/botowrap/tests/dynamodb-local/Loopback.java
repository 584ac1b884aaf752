import com.amazonaws.services.dynamodbv2.local.main.ServerRunner;
import com.amazonaws.services.dynamodbv2.local.server.DynamoDBProxyServer;
import java.util.Arrays;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/**
 * DynamoDB Local on the loopback interface only: by itself it listens on all interfaces, and has no
 * option for that.
 *
 * <p>Takes the port (0 for a free one) and then DynamoDB Local's own options. Prints the port once
 * it listens.
 */
public final class Loopback {
    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        String[] options = Arrays.copyOfRange(arguments, 1, arguments.length);
        DynamoDBProxyServer local = ServerRunner.createServerFromCommandLineArgs(options);
        var field = DynamoDBProxyServer.class.getDeclaredField("server");
        field.setAccessible(true);
        Connector[] connectors = ((Server) field.get(local)).getConnectors();
        if (connectors.length != 1) {
            throw new IllegalStateException("DynamoDB Local listens at other places too");
        }
        ServerConnector connector = (ServerConnector) connectors[0];
        connector.setHost("127.0.0.1");
        connector.setPort(port);
        local.start();
        System.out.println(connector.getLocalPort());
        local.join();
    }
}
