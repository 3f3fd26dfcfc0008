// Idle is a Go program that only waits for a signal: what the runtime itself
// costs, the baseline of lithos_knot's memory.
package main

import (
	"os"
	"os/signal"
)

func main() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	<-c
}
