package statefiletest

import "fmt"

func name(at int, kept bool) string {
	if kept {
		return fmt.Sprintf("step %d is kept but reported as failed", at)
	}
	return fmt.Sprintf("step %d is lost", at)
}
