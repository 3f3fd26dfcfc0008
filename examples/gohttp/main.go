// Command gohttp serves on the socket that it is given, or on one of its own in
// development.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "gohttp %s\n", os.Getenv("LITHOS_NAME"))
	})
	var listener net.Listener
	var err error
	if os.Getenv("LISTEN_FDS") == "1" {
		listener, err = net.FileListener(os.NewFile(3, "socket"))
	} else {
		listener, err = net.Listen("tcp", "127.0.0.1:8080")
	}
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, nil))
}
