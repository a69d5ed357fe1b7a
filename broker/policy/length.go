package policy

// MaxPolicy is the longest single policy of a set, in bytes. Cedar's parser goes down one call for each bracket that is opened, and Go ends a
// whole program whose stack gets too deep: a set of 1 MiB of brackets would take the broker down.
const MaxPolicy = 32 << 10

// longest is the length of the longest policy in a text, comments and all, and where it begins. Only Cedar knows what a policy is; for its end it is enough to know that it is
// a semicolon outside of strings and comments.
func longest(text string) (most, begins int) {
	from := 0
	var in byte // '"' in a string, '/' in a comment, 0 outside
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case in == '"' && c == '\\':
			i++
		case in == '"' && c == '"', in == '/' && c == '\n':
			in = 0
		case in != 0:
		case c == '"':
			in = c
		case c == '/' && i+1 < len(text) && text[i+1] == '/':
			in = c
		case c == ';':
			if i+1-from > most {
				most, begins = i+1-from, from
			}
			from = i + 1
		}
	}
	if len(text)-from > most {
		return len(text) - from, from
	}
	return most, begins
}
