// Tapbroker is the central service of Tapline: it decides taps, leases shared accounts, keeps the records of all stations and answers auditors.
//
// It parses the command line and hands over to package broker; everything that it does beyond that is to print. Administrators use tapctl, which
// talks to it over the network; nothing here changes what it knows.
package main

import (
	"context"
	"os"

	"tapline/installer/osservice"
)

func main() { os.Exit(int(osservice.Execute(context.Background(), root()))) }
