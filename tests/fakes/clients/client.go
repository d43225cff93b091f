// Go's own HTTP client, with nothing of ours: `client PORT HTTP HTTPS` answers each request with what
// the four calls of python.py bring.
package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
)

func ask(method, url, body string) string {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	request.Header.Set("content-type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func main() {
	port, plain, secure := os.Args[1], os.Args[2], os.Args[3]
	http.HandleFunc("/", func(out http.ResponseWriter, _ *http.Request) {
		answers := []string{
			ask("POST", secure+"/search", `{"q": "one"}`),
			ask("POST", secure+"/search", `{"q": "two"}`),
		}
		quote, news := make(chan string), make(chan string)
		go func() { quote <- ask("GET", plain+"/quote/ACME", "") }()
		go func() { news <- ask("GET", secure+"/news?topic=ACME", "") }()
		answers = append(answers, <-quote, <-news)
		out.Header().Set("content-type", "application/json")
		json.NewEncoder(out).Encode(map[string]string{"output": strings.Join(answers, " | ")})
	})
	http.ListenAndServe("127.0.0.1:"+port, nil)
}
