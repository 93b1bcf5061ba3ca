// Command sink is a target to try Jadwal out with: it answers 200 to
// everything and prints a line for each delivery. A path may ask for something
// else: /?delay=2s waits before the answer, /?status=503 answers that.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/teknohole/jadwal/internal/harness"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9000", "address to listen on")
	flag.Parse()
	s, err := harness.ListenSink(*listen, func(d harness.Delivery) {
		fmt.Println(d)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "sink:", err)
		os.Exit(1)
	}
	fmt.Println("sink: waiting for deliveries at", s.URL())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	<-stop
	s.Close()
}
