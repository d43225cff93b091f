import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * Java's own HTTP clients, with nothing of ours: `java Client.java PORT CLIENT HTTP HTTPS` answers each
 * request with what the four calls of python.py bring; CLIENT is `client` or `connection`.
 */
public class Client {
  private static final HttpClient CLIENT = HttpClient.newHttpClient();

  private static String ask(String how, String method, String url, String body) {
    try {
      return how.equals("client") ? byClient(method, url, body) : byConnection(method, url, body);
    } catch (IOException | InterruptedException e) {
      throw new CompletionException(e);
    }
  }

  private static String byClient(String method, String url, String body)
      throws IOException, InterruptedException {
    HttpRequest request = HttpRequest.newBuilder(URI.create(url))
        .header("content-type", "application/json")
        .method(method, body == null ? HttpRequest.BodyPublishers.noBody()
            : HttpRequest.BodyPublishers.ofString(body))
        .build();
    return CLIENT.send(request, HttpResponse.BodyHandlers.ofString()).body();
  }

  private static String byConnection(String method, String url, String body) throws IOException {
    HttpURLConnection connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
    connection.setRequestMethod(method);
    connection.setRequestProperty("content-type", "application/json");
    if (body != null) {
      connection.setDoOutput(true);
      connection.getOutputStream().write(body.getBytes(StandardCharsets.UTF_8));
    }
    try (InputStream answer = connection.getInputStream()) {
      return new String(answer.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private static String fourCalls(String how, String plain, String secure) {
    String one = ask(how, "POST", secure + "/search", "{\"q\": \"one\"}");
    String two = ask(how, "POST", secure + "/search", "{\"q\": \"two\"}");
    CompletableFuture<String> quote =
        CompletableFuture.supplyAsync(() -> ask(how, "GET", plain + "/quote/ACME", null));
    CompletableFuture<String> news =
        CompletableFuture.supplyAsync(() -> ask(how, "GET", secure + "/news?topic=ACME", null));
    return String.join(" | ", List.of(one, two, quote.join(), news.join()));
  }

  public static void main(String[] given) throws IOException {
    HttpServer server = HttpServer.create(
        new InetSocketAddress("127.0.0.1", Integer.parseInt(given[0])), 0);
    server.createContext("/", exchange -> {
      String answer;
      try {
        answer = fourCalls(given[1], given[2], given[3]);
      } catch (RuntimeException e) {
        answer = e.toString();
      }
      byte[] body = ("{\"output\": \"" + answer + "\"}").getBytes(StandardCharsets.UTF_8);
      exchange.getResponseHeaders().set("content-type", "application/json");
      exchange.sendResponseHeaders(200, body.length);
      exchange.getResponseBody().write(body);
      exchange.close();
    });
    server.start();
  }
}
