// Package gate is the agent's helper in the graphical session of a station: it holds keyboard and pointer while nobody has tapped, so that the view stays
// visible and nothing can be operated, and lets go as soon as the agent says so.
//
// It runs as the account of that session ("tapagent gate"), because only a client of the X server can hold its input, and because nothing is left behind
// when it dies: the server takes the grabs of a client back the moment its connection ends, however it ended. The agent and the helper watch each other over
// the local socket. A helper that hears nothing from the agent lets go, so that an agent that crashes or hangs never leaves a station shut.
//
// While the input is held a banner at an edge of the screen says so, with an emergency button that works by holding it for two seconds, by pointer or touch. It
// opens the station first and tells the agent after, whatever the agent answers.
//
// It also tells the agent when somebody uses the station, for the idle end of a session. It never sees what is typed, except while it holds the
// input, and then throws it away. On Wayland no program can hold the input of others; the helper says so, and the station falls back.
package gate
