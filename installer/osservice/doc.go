// Package osservice lets a Tapline program live under the service manager of its machine: systemd on Linux, the
// Service Control Manager on Windows, and a plain terminal on either.
//
// The mains of tapagent and tapbroker call it, and nobody else: they describe themselves once as a [Spec], hand their
// long-running function to [Run], and hang [Commands] under their root command. From there on "tapagent service
// install" means the same on every machine, and so do the numbers of [ExitCode] with which the commands end.
//
// What a program may rely on: the context it is given ends exactly once, on a stop from the manager, on SIGINT or on
// SIGTERM; Run waits for the program's function and gives back its error; the manager hears "ready" when the program
// says so ([Ready]) and "stopping" before it is cut off.
//
// The package installs one unit or one service entry and removes the same one. It never touches the program's data,
// never installs beside a package that already brought the service (the .deb, the .rpm or the MSI), and never ends the
// process: only a main may call os.Exit.
//
// It is the one home of github.com/kardianos/service. That library does install, uninstall and start on both systems.
// Running, and the questions where its answers are not enough (see the README beside this folder), are done here.
package osservice
