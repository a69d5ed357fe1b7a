package main

// maxDiff bounds the table of a comparison: two lists of 2,000 lines each.
const maxDiff = 4_000_000

// diff compares two lists of lines: each line of the outcome begins with "-", "+" or " ". Lists that are too long are compared at their ends only.
func diff(a, b []string) []string {
	var out []string
	add := func(mark string, lines ...string) {
		for _, l := range lines {
			if l == "" {
				continue // after the last line break
			}
			if l[len(l)-1] != '\n' {
				l += "\n"
			}
			out = append(out, mark+l)
		}
	}
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	add(" ", a[:head]...)
	end := a[len(a)-tail:]
	a, b = a[head:len(a)-tail], b[head:len(b)-tail]
	for len(a) > 0 && len(b) > 0 {
		var same int
		if a, b, same = apart(a, b, add); same == 0 {
			break
		}
	}
	add("-", a...)
	add("+", b...)
	add(" ", end...)
	return out
}

// apart writes what stands before the lines that two lists have in common, and those lines, by the longest such sequence; same is how many they are.
func apart(a, b []string, add func(string, ...string)) (restA, restB []string, same int) {
	if len(a)*len(b) > maxDiff {
		return a, b, 0
	}
	longest := make([][]int, len(a)+1)
	for i := range longest {
		longest[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for longest[i][j] > 0 {
		switch {
		case a[i] == b[j]:
			add(" ", a[i])
			i, j, same = i+1, j+1, same+1
		case longest[i+1][j] >= longest[i][j+1]:
			add("-", a[i])
			i++
		default:
			add("+", b[j])
			j++
		}
	}
	return a[i:], b[j:], same
}

// around is how many lines that do not differ are shown beside those that do.
const around = 3

// short leaves out what is far from any difference, with a line that says so.
func short(lines []string) []string {
	near := make([]bool, len(lines))
	for i, l := range lines {
		if l[0] == ' ' {
			continue
		}
		for j := max(0, i-around); j <= min(len(lines)-1, i+around); j++ {
			near[j] = true
		}
	}
	var out []string
	for i, l := range lines {
		switch {
		case near[i]:
			out = append(out, l)
		case i == 0 || near[i-1]:
			out = append(out, "...\n")
		}
	}
	return out
}
