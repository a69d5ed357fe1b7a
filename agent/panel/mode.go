package panel

import "tapline/proto/record"

// mode says what became of the mode, and what to do about it.
func mode(why record.Reason) string {
	switch why {
	case "as-configured":
		return "the station enforces what it should"
	case "no-helper", "helper-silent":
		return "THE STATION ENFORCES LESS THAN IT SHOULD: \"tapagent gate\" does not run in the graphical session"
	case "wayland":
		return "THE STATION ENFORCES LESS THAN IT SHOULD: the graphical session runs on Wayland, which holds no input; use X11, or the mode lock"
	case "no-display":
		return "THE STATION ENFORCES LESS THAN IT SHOULD: the X server is away"
	case "grab-refused":
		return "THE STATION ENFORCES LESS THAN IT SHOULD: another program holds keyboard or pointer"
	case "released-by-hand":
		return "the input was released by the emergency button"
	}
	return "THE STATION ENFORCES LESS THAN IT SHOULD: " + string(why) + "; see \"tapagent status\""
}
